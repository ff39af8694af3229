//! The admin socket: a running gateway answers HTTP on a Unix socket, one JSON list a path; `/events` is one JSON object a
//! line, and goes on.
//!
//! It answers on control's thread, so that whatever takes long is done in parts (`lists`), and nobody can hold more than a
//! bounded part of the process (`clients`).

mod captures;
pub mod client;
mod clients;
pub mod directory;
mod doors;
mod followers;
mod lists;
pub mod metrics;
pub mod rights;
mod scrape;
pub mod socket;
mod status;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequestParts, Query, Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixListener;

use crate::forwarding::PeerId;
use crate::report::drop_history::LastMinute;
use crate::report::rows::{ErrorRow, GatewayRow, HandedOver, LogRow, Reloaded};
use crate::report::{GatewayState, NoSuchTenant};
pub use captures::{CaptureParts, CaptureRequest};
use clients::{ClientHandle, ClientListener};
use doors::Door;
use metrics::MetricsAsking;

/// The gateway that answers.
pub trait Asked: Send + Sync + 'static {
    /// Reads what the gateway knows now; of `tunnels` those that are asked for.
    fn read<R>(&self, tunnels: impl Fn(PeerId) -> bool, read: impl FnOnce(&GatewayState<'_>) -> R) -> R;

    /// The numbers of the tunnel peers, each with the moment in which it was learned, if it was, in nanoseconds of the
    /// workers' clock.
    fn tunnels(&self) -> Vec<(PeerId, Option<u64>)>;

    /// The gateway as a whole.
    fn gateway(&self) -> GatewayRow;

    /// Tells of tenants, by their names, whether they have no metrics of their own.
    fn leaves_out(&self) -> Box<dyn Fn(&str) -> bool>;

    /// What was dropped in the last minute.
    fn last_minute(&self) -> LastMinute;

    /// The files of the configuration that are not as they were loaded, and how they differ.
    fn changed_files(&self) -> impl Future<Output = BTreeMap<String, String>> + Send;

    /// What became of lines that are not in the log.
    fn log(&self) -> LogRow;

    /// Begins a capture; an error says, in words, why it cannot.
    fn capture(self: Arc<Self>, request: CaptureRequest) -> Result<impl CaptureParts, String>;

    /// Reads the file again. `None` if the gateway is stopping; an error says, in words, why the file is rejected.
    fn reload(&self) -> impl Future<Output = Option<Result<Reloaded, String>>> + Send;

    /// The process of this number is about to take the gateway's place.
    fn hand_over(&self, process: u32) -> HandedOver;
}

/// What may be asked for: `?tenant=NAME`.
#[derive(Debug, Deserialize)]
struct TenantFilter {
    tenant: Option<String>,
}

/// Which one of many is asked for: `?name=NAME`.
#[derive(Debug, Deserialize)]
struct OneOfMany {
    name: String,
}

/// What is written behind the `?` of a request; what cannot be read is refused in words.
struct AskedFor<T>(T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for AskedFor<T> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        match Query::from_request_parts(parts, state).await {
            Ok(Query(asked)) => Ok(Self(asked)),
            Err(wrong) => Err(refuse(StatusCode::BAD_REQUEST, wrong.body_text())),
        }
    }
}

/// Answers until the task is dropped; what is asked for metrics is passed on.
///
/// # Errors
/// When the socket stops listening.
pub async fn serve(
    listener: std::os::unix::net::UnixListener,
    gateway: Arc<impl Asked>,
    metrics: MetricsAsking,
) -> std::io::Result<()> {
    let service = router(gateway, metrics).into_make_service_with_connect_info::<ClientHandle>();
    let door = Door::Unix(UnixListener::from_std(listener)?);
    axum::serve(ClientListener::new(door, clients::MOST), service).await
}

fn router<G: Asked>(gateway: Arc<G>, metrics: MetricsAsking) -> Router {
    let read = |read: fn(&GatewayState<'_>) -> Response| move |gateway: &G| gateway.read(|_| false, read);
    Router::new()
        .route("/fdb", of_tenant(lists::fdb::<G>))
        .route("/tenants", of_tenant(lists::tenants::<G>))
        .route("/peers", of_tenant(lists::peers::<G>))
        .route("/tenant", of_one(lists::tenant))
        .route("/peer", of_one(lists::peer))
        .route("/mappings", whole("mappings", read(|state| Json(state.mappings()).into_response())))
        .route("/ports", whole("ports", read(|state| Json(state.ports()).into_response())))
        .route("/drops", whole("drops", read(|state| Json(state.drops()).into_response())))
        .route("/gateway", whole("gateway", |gateway: &G| Json([gateway.gateway()]).into_response()))
        .route("/workers", whole("workers", read(|state| Json(state.workers()).into_response())))
        .route("/log", whole("log", |gateway: &G| Json([gateway.log()]).into_response()))
        .route("/metrics", metrics::route(metrics))
        .route("/status", get(async |State(gateway): State<Arc<G>>| Json([status::status(&*gateway).await])))
        .route("/events", get(followers::events::<G>))
        .route("/capture", get(captures::capture::<G>))
        .route("/reload", post(async |State(gateway): State<Arc<G>>| reload(&*gateway).await))
        .route(
            "/successor",
            post(async |ConnectInfo(client), State(gateway): State<Arc<G>>| hand_over(&*gateway, &client)),
        )
        .fallback(async || {
            refuse(
                StatusCode::NOT_FOUND,
                "there is /fdb, /tenants, /tenant, /mappings, /peers, /peer, /ports, /drops, /gateway, /workers, /log, /metrics, \
                 /status, /events and /capture, and POST /reload and /successor",
            )
        })
        .layer(middleware::from_fn(take_turns))
        .with_state(gateway)
}

/// Notes when the request is complete and when the answer begins, by which [`clients`] knows whom it waits for.
async fn take_turns(ConnectInfo(client): ConnectInfo<ClientHandle>, request: Request, next: Next) -> Response {
    client.has_asked();
    let answer = next.run(request).await;
    client.is_answered();
    answer
}

async fn reload(gateway: &impl Asked) -> Response {
    match gateway.reload().await {
        Some(Ok(reloaded)) => {
            // A line for everything that changed may be megabytes.
            let answer = tokio::task::spawn_blocking(|| Json(reloaded).into_response()).await;
            answer.unwrap_or_else(|broken| refuse(StatusCode::INTERNAL_SERVER_ERROR, broken.to_string()))
        }
        Some(Err(why)) => refuse(StatusCode::CONFLICT, why),
        None => refuse(StatusCode::SERVICE_UNAVAILABLE, "the gateway is stopping"),
    }
}

fn hand_over(gateway: &impl Asked, client: &ClientHandle) -> Response {
    match client.process() {
        Some(process) => Json(gateway.hand_over(process)).into_response(),
        None => {
            refuse(StatusCode::FORBIDDEN, "a process that cannot be seen from here cannot take the gateway's place")
        }
    }
}

/// Makes the list, or the part of a tenant of this name, for a client.
type ListOfTenant<G> = fn(Arc<G>, ClientHandle, Option<&str>) -> Result<Response, NoSuchTenant>;

/// A list of which a tenant's part may be asked for.
fn of_tenant<G: Asked>(list: ListOfTenant<G>) -> MethodRouter<Arc<G>> {
    get(async move |AskedFor(filter): AskedFor<TenantFilter>, ConnectInfo(client), State(gateway): State<Arc<G>>| {
        match list(gateway, client, filter.tenant.as_deref()) {
            Ok(list) => list,
            Err(missing) => refuse(StatusCode::NOT_FOUND, missing.to_string()),
        }
    })
}

/// A list of one.
fn of_one<G: Asked>(find: fn(&G, &str) -> Result<Response, String>) -> MethodRouter<Arc<G>> {
    get(async move |AskedFor(one): AskedFor<OneOfMany>, State(gateway): State<Arc<G>>| {
        find(&gateway, &one.name).unwrap_or_else(|missing| refuse(StatusCode::NOT_FOUND, missing))
    })
}

/// A list that no tenant has a part of. To show all of it to whoever asks for a tenant's part would mislead.
fn whole<G: Asked>(
    what: &'static str,
    list: impl Fn(&G) -> Response + Clone + Send + Sync + 'static,
) -> MethodRouter<Arc<G>> {
    get(async move |AskedFor(filter): AskedFor<TenantFilter>, State(gateway): State<Arc<G>>| match filter.tenant {
        None => list(&gateway),
        Some(_) => refuse(
            StatusCode::BAD_REQUEST,
            format!(
                "{what} cannot be asked for by tenant; fdb, tenants and peers can, and tenants have a count of drops"
            ),
        ),
    })
}

fn refuse(status: StatusCode, error: impl Into<String>) -> Response {
    (status, Json(ErrorRow { error: error.into() })).into_response()
}
