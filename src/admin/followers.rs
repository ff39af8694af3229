//! Those who follow events: an answer that goes on, a line of JSON for each event, until the gateway or the follower ends.

use std::convert::Infallible;
use std::sync::{Arc, LazyLock};

use axum::body::Body;
use axum::extract::{ConnectInfo, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::Deserialize;
use tokio::sync::Semaphore;

use super::clients::ClientHandle;
use super::{Asked, AskedFor, refuse};
use crate::logging::{EventFilter, follow};

/// Those who follow at a time, at most.
const MOST: usize = 8;

static PLACES: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(MOST)));

/// Which events: `?tenant=NAME&peer=NAME&name=NAME,NAME&last=COUNT&end=now`.
#[derive(Debug, Deserialize)]
pub(super) struct EventQuery {
    tenant: Option<String>,
    peer: Option<String>,
    /// Names of events, with commas between.
    name: Option<String>,
    /// Number of events from before the request that the follower gets first; 0 unless it asks.
    #[serde(default)]
    last: usize,
    /// Only those that were.
    end: Option<EventsEnd>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum EventsEnd {
    Now,
}

pub(super) async fn events<G: Asked>(
    AskedFor(wanted): AskedFor<EventQuery>,
    ConnectInfo(client): ConnectInfo<ClientHandle>,
    State(gateway): State<Arc<G>>,
) -> Response {
    let EventQuery { tenant, peer, name, last, end } = wanted;
    if let Err(missing) = gateway.read(|_| false, |state| state.tenant(tenant.as_deref()).map(drop)) {
        return refuse(StatusCode::NOT_FOUND, missing.to_string());
    }
    if let Some(peer) = &peer {
        let is_known = |name: &str| name == peer;
        let names = |state: &crate::report::GatewayState<'_>| {
            state.names.peers().any(|(_, name)| is_known(name)) || state.names.ports().any(|(_, name)| is_known(name))
        };
        if !gateway.read(|_| false, names) {
            return refuse(StatusCode::NOT_FOUND, format!("there is no peer or port `{peer}`"));
        }
    }
    let Ok(place) = PLACES.clone().try_acquire_owned() else {
        let words = format!("{MOST} follow the events of this gateway already; end one of them");
        return refuse(StatusCode::SERVICE_UNAVAILABLE, words);
    };
    let names = name.iter().flat_map(|names| names.split(',')).map(str::to_owned).collect();
    let follower = follow(EventFilter { tenant, peer, names }, last, end.is_none());
    client.follows();
    let lines = stream::unfold((follower, client, place), async |(mut follower, client, place)| {
        client.has_room().await;
        let line = follower.next().await?.json() + "\n";
        Some((Ok::<_, Infallible>(line), (follower, client, place)))
    });
    ([(CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines)).into_response()
}
