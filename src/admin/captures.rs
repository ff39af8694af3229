//! A capture as the answer to a request: pcapng, part by part, for as long as the client reads and there is something to
//! come.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{ConnectInfo, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::{Deserialize, Serialize};
use tokio::task::yield_now;
use tokio::time::sleep;

use super::clients::ClientHandle;
use super::{Asked, AskedFor, refuse};

/// Pause between two looks at what the workers have captured.
const LOOK: Duration = Duration::from_millis(20);

/// What is to be captured; all of it must be so.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaptureRequest {
    /// The tenant.
    pub tenant: Option<String>,
    /// The peer that a frame comes from or goes to.
    pub peer: Option<String>,
    /// The port that it comes in or leaves by.
    pub port: Option<String>,
    /// The address that it is from or to.
    pub mac: Option<String>,
    /// The reason for which it is dropped.
    pub reason: Option<String>,
    /// Only what is dropped.
    #[serde(default)]
    pub dropped: bool,
    /// The points between the stages, separated by commas; all if left out.
    pub at: Option<String>,
    /// After so many frames it ends.
    pub count: Option<u64>,
    /// After so many seconds it ends.
    pub seconds: Option<u64>,
    /// Of so many frames one is captured.
    pub sample: Option<u64>,
    /// Bytes of a frame that are captured.
    pub snaplen: Option<u32>,
}

/// A capture that runs. It ends when this is dropped.
pub trait CaptureParts: Send + 'static {
    /// The next part of the file, which may be empty if there is nothing now; none once all is told.
    fn next(&mut self) -> Option<Vec<u8>>;
}

pub(super) async fn capture<G: Asked>(
    AskedFor(request): AskedFor<CaptureRequest>,
    ConnectInfo(client): ConnectInfo<ClientHandle>,
    State(gateway): State<Arc<G>>,
) -> Response {
    let parts = match gateway.capture(request) {
        Ok(parts) => parts,
        Err(why) => return refuse(StatusCode::CONFLICT, why),
    };
    let body = stream::unfold((parts, client), async |(mut parts, client)| {
        loop {
            client.has_room().await;
            client.is_ours_to_answer();
            let part = parts.next()?;
            if !part.is_empty() {
                // Everything of control runs on this thread, and whoever reads fast would have it alone.
                yield_now().await;
                return Some((Ok::<_, Infallible>(part), (parts, client)));
            }
            sleep(LOOK).await;
        }
    });
    ([(CONTENT_TYPE, "application/x-pcapng")], Body::from_stream(body)).into_response()
}
