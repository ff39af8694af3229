//! Metrics for scrapers: a thread of their own makes and serves them, after everybody else who wants the processor.
//!
//! They are answered by a TCP port, if the file names one, and on the admin socket. One scrape is made at a time; how many
//! clients there are at a time, and for how long one may read, is bounded.

use std::io;
use std::net::TcpListener as StdListener;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::header::{ACCEPT, CONNECTION, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use futures_util::stream;
use rustix::process::setpriority_process;
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::clients::{AdminListener, ClientHandle};
use super::doors::Door;
use super::{Asked, refuse, scrape, take_turns};
use crate::logging::LogEvent;
use crate::report::metrics::MetricFormat;

/// Most clients by TCP at a time.
const MOST: usize = 8;
/// How long a client may take to read its answer: whoever is slower is closed.
const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes of an answer that are sent in one piece.
const PIECE: usize = 1 << 16;
/// How far it stands behind the workers and control, which have 0; 19 is the last.
const NICENESS: i32 = 10;

/// The thread that makes and serves metrics, which ends when this is dropped.
#[derive(Debug)]
pub struct MetricsServer {
    asking: MetricsAsking,
    thread: Option<JoinHandle<()>>,
}

/// Asks the thread for something.
#[derive(Debug, Clone)]
pub struct MetricsAsking(UnboundedSender<MetricsRequest>);

#[derive(Debug)]
enum MetricsRequest {
    /// All metrics as they are now.
    Scrape(MetricFormat, oneshot::Sender<Bytes>),
    /// To serve by this TCP port, or by none, in place of the one before.
    Serve(Option<StdListener>),
    /// To end.
    End,
}

impl MetricsServer {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system has none.
    pub fn start(gateway: Arc<impl Asked>) -> io::Result<Self> {
        let (sender, requests) = unbounded_channel();
        let asking = MetricsAsking(sender);
        let asked = asking.clone();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = thread::Builder::new().name("metrics".to_owned()).spawn(move || {
            // Without it, it stands where control does.
            let _ = setpriority_process(None, NICENESS);
            runtime.block_on(work(&*gateway, requests, &asked));
        })?;
        Ok(Self { asking, thread: Some(thread) })
    }

    /// Serves by this TCP port, which does not block, or by none, from now on.
    pub fn serve(&self, listener: Option<StdListener>) {
        self.asking.send(MetricsRequest::Serve(listener));
    }

    /// What asks it.
    #[must_use]
    pub fn asking(&self) -> MetricsAsking {
        self.asking.clone()
    }
}

impl Drop for MetricsServer {
    fn drop(&mut self) {
        self.asking.send(MetricsRequest::End);
        // A panic of its has been told already.
        self.thread.take().map(JoinHandle::join);
    }
}

impl MetricsAsking {
    fn send(&self, request: MetricsRequest) {
        // Nobody listens only once the thread has ended.
        let _ = self.0.send(request);
    }

    /// Answers `GET /metrics`.
    async fn answer(&self, headers: &HeaderMap) -> Response {
        let accept = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let format = MetricFormat::accepted(&accept.collect::<Vec<_>>().join(","));
        let (reply, made) = oneshot::channel();
        self.send(MetricsRequest::Scrape(format, reply));
        match made.await {
            // So that a place is free again: from one scrape to the next is long.
            Ok(text) => {
                let headers = [(CONTENT_TYPE, format.content_type()), (CONNECTION, "close")];
                (headers, in_pieces(text)).into_response()
            }
            Err(_) => refuse(StatusCode::SERVICE_UNAVAILABLE, "the gateway is stopping"),
        }
    }
}

/// What is served under `/metrics`.
pub(super) fn route<S: Clone + Send + Sync + 'static>(asking: MetricsAsking) -> MethodRouter<S> {
    get(async move |headers: HeaderMap| asking.answer(&headers).await)
}

/// Makes and serves metrics until it is told to end.
async fn work<G: Asked>(gateway: &G, mut requests: UnboundedReceiver<MetricsRequest>, asking: &MetricsAsking) {
    let mut serving: Option<AbortHandle> = None;
    while let Some(request) = requests.recv().await {
        match request {
            // Whoever has gone meanwhile costs nothing.
            MetricsRequest::Scrape(_, reply) if reply.is_closed() => {}
            MetricsRequest::Scrape(format, reply) => drop(reply.send(scrape::scrape(gateway, format).into())),
            MetricsRequest::Serve(listener) => {
                let next = listener.map(|listener| tokio::spawn(serve(listener, asking.clone())).abort_handle());
                // Those who are connected get their answers all the same.
                std::mem::replace(&mut serving, next).iter().for_each(AbortHandle::abort);
            }
            MetricsRequest::End => return,
        }
    }
}

async fn serve(listener: StdListener, asking: MetricsAsking) {
    let router = Router::new()
        .route("/metrics", route(asking))
        .fallback(async || refuse(StatusCode::NOT_FOUND, "there is /metrics"))
        .layer(middleware::from_fn(take_turns));
    let served = async {
        let door = Door::Tcp(TcpListener::from_std(listener)?);
        let service = router.into_make_service_with_connect_info::<ClientHandle>();
        axum::serve(AdminListener::new(door, MOST), service).await
    };
    if let Err(error) = served.await {
        LogEvent::MetricsNotServed { why: &error.to_string() }.tell();
    }
}

/// A text as the body of an answer.
fn in_pieces(text: Bytes) -> Body {
    let deadline = Instant::now() + PATIENCE;
    let piece = move |mut rest: Bytes| {
        let is_late = Instant::now() > deadline;
        let piece = rest.split_to(rest.len().min(PIECE));
        let sent = if is_late { Err(io::Error::from(io::ErrorKind::TimedOut)) } else { Ok(piece.clone()) };
        std::future::ready((!piece.is_empty()).then_some((sent, rest)))
    };
    Body::from_stream(stream::unfold(text, piece))
}
