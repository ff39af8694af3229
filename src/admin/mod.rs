//! The admin socket: a running gateway answers HTTP on a Unix socket, one JSON list a path.

pub mod client;
pub mod directory;
pub mod rights;
pub mod socket;

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use crate::report::rows::{ErrorRow, LogRow, Reloaded};
use crate::report::{GatewayState, NoSuchTenant};

/// The gateway that answers.
pub trait Asked: Send + Sync + 'static {
    /// Reads what the gateway knows now.
    fn read<R>(&self, read: impl FnOnce(&GatewayState<'_>) -> R) -> R;

    /// What became of lines that are not in the log.
    fn log(&self) -> LogRow;

    /// Reads the file again. `None` if the gateway is stopping; an error says, in words, why the file is rejected.
    fn reload(&self) -> impl Future<Output = Option<Result<Reloaded, String>>> + Send;
}

/// What may be asked for: `?tenant=NAME`.
#[derive(Debug, Deserialize)]
struct TenantFilter {
    tenant: Option<String>,
}

/// Answers until the task is dropped.
///
/// # Errors
/// When the socket stops listening.
pub async fn serve(listener: std::os::unix::net::UnixListener, gateway: Arc<impl Asked>) -> std::io::Result<()> {
    axum::serve(tokio::net::UnixListener::from_std(listener)?, router(gateway)).await
}

#[expect(clippy::redundant_closure_for_method_calls, reason = "a method named by its path has one lifetime, not any")]
fn router<G: Asked>(gateway: Arc<G>) -> Router {
    Router::new()
        .route("/fdb", of_tenant(|state, tenant| state.fdb(tenant)))
        .route("/tenants", of_tenant(|state, tenant| state.tenants(tenant)))
        .route("/peers", of_tenant(|state, tenant| state.peers(tenant)))
        .route("/mappings", whole("mappings", |gateway: &G| gateway.read(|state| state.mappings())))
        .route("/ports", whole("ports", |gateway: &G| gateway.read(|state| state.ports())))
        .route("/drops", whole("drops", |gateway: &G| gateway.read(|state| state.drops())))
        .route("/log", whole("log", |gateway: &G| vec![gateway.log()]))
        .route("/reload", post(async |State(gateway): State<Arc<G>>| reload(&*gateway).await))
        .fallback(async || {
            refuse(
                StatusCode::NOT_FOUND,
                "there is /fdb, /tenants, /mappings, /peers, /ports, /drops and /log, and POST /reload",
            )
        })
        .with_state(gateway)
}

async fn reload(gateway: &impl Asked) -> Response {
    match gateway.reload().await {
        Some(Ok(reloaded)) => Json(reloaded).into_response(),
        Some(Err(why)) => refuse(StatusCode::CONFLICT, why),
        None => refuse(StatusCode::SERVICE_UNAVAILABLE, "the gateway is stopping"),
    }
}

/// A list of which a tenant's part may be asked for.
fn of_tenant<G: Asked, T: Serialize + 'static>(
    rows: fn(&GatewayState<'_>, Option<&str>) -> Result<Vec<T>, NoSuchTenant>,
) -> MethodRouter<Arc<G>> {
    get(async move |Query(filter): Query<TenantFilter>, State(gateway): State<Arc<G>>| {
        match gateway.read(|state| rows(state, filter.tenant.as_deref())) {
            Ok(rows) => Json(rows).into_response(),
            Err(missing) => refuse(StatusCode::NOT_FOUND, missing.to_string()),
        }
    })
}

/// A list that no tenant has a part of. To show all of it to whoever asks for a tenant's part would mislead.
fn whole<G: Asked, T: Serialize + 'static>(what: &'static str, rows: fn(&G) -> Vec<T>) -> MethodRouter<Arc<G>> {
    get(async move |Query(filter): Query<TenantFilter>, State(gateway): State<Arc<G>>| match filter.tenant {
        None => Json(rows(&gateway)).into_response(),
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
