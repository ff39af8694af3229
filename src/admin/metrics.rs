//! Metrics for scrapers: a thread of their own makes and serves them, after everybody else who wants the processor.
//!
//! They are answered by a TCP port, if the file names one, and on the admin socket. One scrape is made at a time, and handed
//! out again for as long as it is fresh: however many ask, the thread rests for most of the time. How many clients there
//! are at a time, and for how long one may read, is bounded.

use std::io;
use std::net::TcpListener as StdListener;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
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

use super::clients::{ClientHandle, ClientListener};
use super::doors::Door;
use super::{Asked, refuse, scrape, take_turns};
use crate::logging::LogEvent;
use crate::report::metrics::MetricFormat;

/// Most clients by TCP at a time.
const MOST: usize = 8;
/// Time in which a client has to read its answer; after it the connection is closed.
const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes of an answer that are sent in one piece.
const PIECE: usize = 1 << 16;
/// A scrape is handed out again for so many times as long as it took to make, and for so long at most.
const REST: u32 = 9;
const FRESH: Duration = Duration::from_secs(1);
/// The niceness (nice(2)) of the thread that serves metrics; workers and control have 0, the most is 19.
const NICENESS: i32 = 10;

/// The thread that makes and serves metrics, which ends when this is dropped.
#[derive(Debug)]
pub struct MetricsServer {
    asking: MetricsAsking,
    /// Whether clients are taken in by TCP.
    is_serving: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// Asks the thread for something.
#[derive(Debug, Clone)]
pub struct MetricsAsking(UnboundedSender<MetricsRequest>);

/// The lines of each metric.
type MetricLines = Vec<Bytes>;

#[derive(Debug)]
enum MetricsRequest {
    /// All metrics as they are now.
    Scrape(oneshot::Sender<MetricLines>),
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
        let (sender, mut requests) = unbounded_channel();
        let asking = MetricsAsking(sender);
        let is_serving = Arc::new(AtomicBool::new(false));
        let mut work = MetricsWork::new(asking.clone(), Arc::clone(&is_serving));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = thread::Builder::new().name("metrics".to_owned()).spawn(move || {
            // Without it, it stands where control does.
            let _ = setpriority_process(None, NICENESS);
            // A scrape that panics, which the log tells, is the last of nobody but whoever asked for it.
            while catch_unwind(AssertUnwindSafe(|| runtime.block_on(work.go_on(&*gateway, &mut requests)))).is_err() {}
        })?;
        Ok(Self { asking, is_serving, thread: Some(thread) })
    }

    /// Serves by this TCP port, which does not block, or by none, from now on.
    pub fn serve(&self, listener: Option<StdListener>) {
        self.is_serving.store(listener.is_some(), Ordering::Relaxed);
        self.asking.send(MetricsRequest::Serve(listener));
    }

    /// Whether it serves by a TCP port; no more if that has failed.
    #[must_use]
    pub fn is_serving(&self) -> bool {
        self.is_serving.load(Ordering::Relaxed)
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
        self.send(MetricsRequest::Scrape(reply));
        match made.await {
            // So that a place is free again: from one scrape to the next is long.
            Ok(lines) => {
                let headers = [(CONTENT_TYPE, format.content_type()), (CONNECTION, "close")];
                (headers, in_time(format.pieces(lines))).into_response()
            }
            Err(_) => {
                refuse(StatusCode::SERVICE_UNAVAILABLE, "the gateway is stopping, or its log tells what went wrong")
            }
        }
    }
}

/// What is served under `/metrics`.
pub(super) fn route<S: Clone + Send + Sync + 'static>(asking: MetricsAsking) -> MethodRouter<S> {
    get(async move |headers: HeaderMap| asking.answer(&headers).await)
}

/// What the thread does.
struct MetricsWork {
    asking: MetricsAsking,
    /// Takes clients in by TCP.
    serving: Option<AbortHandle>,
    is_serving: Arc<AtomicBool>,
    last: LastScrape,
}

impl MetricsWork {
    fn new(asking: MetricsAsking, is_serving: Arc<AtomicBool>) -> Self {
        Self { asking, serving: None, is_serving, last: LastScrape::default() }
    }

    /// Makes and serves metrics until it is told to end.
    async fn go_on<G: Asked>(&mut self, gateway: &G, requests: &mut UnboundedReceiver<MetricsRequest>) {
        while let Some(request) = requests.recv().await {
            match request {
                // Whoever has gone meanwhile costs nothing.
                MetricsRequest::Scrape(reply) if reply.is_closed() => {}
                MetricsRequest::Scrape(reply) => {
                    drop(reply.send(self.last.lines(|others| scrape::scrape(gateway, others))));
                }
                MetricsRequest::Serve(listener) => {
                    let serve = |listener| serve(listener, self.asking.clone(), Arc::clone(&self.is_serving));
                    let next = listener.map(|listener| tokio::spawn(serve(listener)).abort_handle());
                    // Those who are connected get their answers all the same.
                    std::mem::replace(&mut self.serving, next).iter().for_each(AbortHandle::abort);
                }
                MetricsRequest::End => return,
            }
        }
    }
}

/// The last scrape, and until when it is fresh.
#[derive(Default)]
struct LastScrape {
    lines: MetricLines,
    fresh_until: Option<Instant>,
}

impl LastScrape {
    /// The lines of a scrape, which is made now unless there is a fresh one.
    fn lines(&mut self, make: impl FnOnce(Vec<Vec<u8>>) -> Vec<Vec<u8>>) -> MetricLines {
        let begin = Instant::now();
        if self.fresh_until.is_none_or(|until| until <= begin) {
            self.fresh_until = None;
            let lines = make(self.lines.drain(..).map(reused).collect());
            self.lines = lines.into_iter().map(Bytes::from).collect();
            self.fresh_until = Some(Instant::now() + (begin.elapsed() * REST).min(FRESH));
        }
        self.lines.clone()
    }
}

/// The memory of these lines, or as much elsewhere if a client still reads them.
fn reused(lines: Bytes) -> Vec<u8> {
    match lines.try_into_mut() {
        Ok(mut lines) => {
            lines.clear();
            lines.into()
        }
        Err(read) => Vec::with_capacity(read.len()),
    }
}

async fn serve(listener: StdListener, asking: MetricsAsking, is_serving: Arc<AtomicBool>) {
    let router = Router::new()
        .route("/metrics", route(asking))
        .fallback(async || refuse(StatusCode::NOT_FOUND, "there is /metrics"))
        .layer(middleware::from_fn(take_turns));
    let served = async {
        let door = Door::Tcp(TcpListener::from_std(listener)?);
        let service = router.into_make_service_with_connect_info::<ClientHandle>();
        axum::serve(ClientListener::new(door, MOST), service).await
    };
    if let Err(error) = served.await {
        is_serving.store(false, Ordering::Relaxed);
        LogEvent::MetricsNotServed { why: &error.to_string() }.tell();
    }
}

/// The pieces of a text as the body of an answer, which ends early if it takes too long.
fn in_time(pieces: impl Iterator<Item = Bytes> + Send + 'static) -> Body {
    let deadline = Instant::now() + PATIENCE;
    let small = pieces.flat_map(|mut rest| {
        std::iter::from_fn(move || Some(rest.split_to(rest.len().min(PIECE))).filter(|piece| !piece.is_empty()))
    });
    let late = || Err(io::Error::from(io::ErrorKind::TimedOut));
    let sent = small.map(move |piece| if Instant::now() > deadline { late() } else { Ok(piece) });
    Body::from_stream(stream::iter(sent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_many_ask_the_thread_rests_for_most_of_the_time() {
        let (mut last, mut made) = (LastScrape::default(), 0_u8);
        let mut ask = || {
            let lines = last.lines(|_| {
                made += 1;
                thread::sleep(Duration::from_millis(100));
                vec![vec![made]]
            });
            lines[0][0]
        };
        let begin = Instant::now();
        assert_eq!(ask(), 1);
        let next = (0..1_000).map(|_| ask()).find(|made| *made == 2);
        assert!(next.is_none() || begin.elapsed() > Duration::from_millis(900), "it is handed out again");
        let now = ask();
        thread::sleep(FRESH);
        assert_ne!(ask(), now, "and for a second at most");
    }

    #[test]
    fn lines_are_written_where_the_last_ones_were_unless_somebody_still_reads_those() {
        let mut last = LastScrape::default();
        let mut scrape = |letter: u8| {
            last.fresh_until = None;
            last.lines(|mut others| {
                let mut lines = others.pop().unwrap_or_default();
                lines.clear();
                lines.resize(1000, letter);
                vec![lines]
            })
        };
        let first = scrape(b'a').remove(0);
        let place = first.as_ptr();
        drop(first);
        let second = scrape(b'b').remove(0);
        assert_eq!(second.as_ptr(), place);
        let third = scrape(b'c').remove(0);
        assert!(second.iter().all(|byte| *byte == b'b'));
        assert!(third.iter().all(|byte| *byte == b'c'));
    }
}
