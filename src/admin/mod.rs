//! The admin socket: a running gateway answers HTTP on a Unix socket, one JSON list a path.

pub mod client;
pub mod socket;

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use crate::report::rows::Refusal;
use crate::run::gateway::{Gateway, NoSuchTenant};

/// What may be asked for: `?tenant=NAME`.
#[derive(Debug, Deserialize)]
struct Filter {
    tenant: Option<String>,
}

/// Answers until the task is dropped.
///
/// # Errors
/// When the socket stops listening.
pub async fn serve(listener: std::os::unix::net::UnixListener, gateway: Arc<Gateway>) -> std::io::Result<()> {
    axum::serve(tokio::net::UnixListener::from_std(listener)?, router(gateway)).await
}

fn router(gateway: Arc<Gateway>) -> Router {
    Router::new()
        .route("/fdb", get(async |Query(filter), State(gateway)| answer(gateway, filter, Gateway::fdb)))
        .route("/tenants", get(async |Query(filter), State(gateway)| answer(gateway, filter, Gateway::tenants)))
        .route("/peers", get(async |Query(filter), State(gateway)| answer(gateway, filter, Gateway::peers)))
        .route(
            "/mappings",
            get(async |Query(filter), State(gateway)| whole("mappings", filter, gateway, Gateway::mappings)),
        )
        .route("/ports", get(async |Query(filter), State(gateway)| whole("ports", filter, gateway, Gateway::ports)))
        .route("/drops", get(async |Query(filter), State(gateway)| whole("drops", filter, gateway, Gateway::drops)))
        .route("/reload", post(async |State(gateway): State<Arc<Gateway>>| reload(&gateway).await))
        .fallback(async || {
            refuse(
                StatusCode::NOT_FOUND,
                "there is /fdb, /tenants, /mappings, /peers, /ports and /drops, and POST /reload",
            )
        })
        .with_state(gateway)
}

async fn reload(gateway: &Gateway) -> Response {
    match gateway.ask_for_reload().await {
        Ok(Ok(reloaded)) => Json(reloaded).into_response(),
        Ok(Err(refused)) => refuse(StatusCode::CONFLICT, refused),
        Err(_) => refuse(StatusCode::SERVICE_UNAVAILABLE, "the gateway is stopping"),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the shape axum's extractors have")]
fn answer<T: Serialize>(
    gateway: Arc<Gateway>,
    filter: Filter,
    read: impl FnOnce(&Gateway, Option<&str>) -> Result<Vec<T>, NoSuchTenant>,
) -> Response {
    match read(&gateway, filter.tenant.as_deref()) {
        Ok(rows) => Json(rows).into_response(),
        Err(missing) => refuse(StatusCode::NOT_FOUND, missing.to_string()),
    }
}

/// A list that is not kept by tenant. To show all of it to whoever asks for a tenant's part would mislead.
#[expect(clippy::needless_pass_by_value, reason = "the shape axum's extractors have")]
fn whole<T: Serialize>(
    what: &str,
    filter: Filter,
    gateway: Arc<Gateway>,
    read: impl FnOnce(&Gateway) -> Vec<T>,
) -> Response {
    match filter.tenant {
        None => Json(read(&gateway)).into_response(),
        Some(_) => refuse(
            StatusCode::BAD_REQUEST,
            format!("{what} are not kept by tenant; fdb, tenants and peers are, and `tenants` has how many it dropped"),
        ),
    }
}

fn refuse(status: StatusCode, error: impl Into<String>) -> Response {
    (status, Json(Refusal { error: error.into() })).into_response()
}
