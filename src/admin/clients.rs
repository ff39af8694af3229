//! The clients of a socket: so many at a time, and none of them keeps the others waiting.
//!
//! One that sends no request, or does not take its answer, is closed after a while, and sooner if another client needs its
//! place. What they can have of the process is bounded in this way, above all its descriptors: a device that comes back is
//! opened all the same.

use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::ioctl_fionread;
use rustix::net::{Shutdown, shutdown};
use rustix::process::{Resource, getrlimit};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep};

use super::doors::{ClientSocket, Door};

/// Most clients of the admin socket at a time, if the process may have descriptors enough.
pub(super) const MOST: usize = 128;
/// The part of the process's descriptors that clients may have.
const SHARE: u64 = 4;
/// A client is closed when it has sent no request for so long, or has read nothing of its answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// The same while no place is free and another client waits for one: without a request, and with an answer unread.
const SHORT_GRACE: Duration = Duration::from_millis(10);
const GRACE: Duration = Duration::from_millis(250);
/// How long a client waits for a place, and how often one is looked for.
const NO_PLACE: Duration = Duration::from_millis(500);
const LOOK_FOR_PLACE: Duration = Duration::from_millis(1);
/// How often clients that keep us waiting are looked for.
const LOOK: Duration = Duration::from_secs(1);
const BUSY: &str = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n\
                    {\"error\":\"too many clients ask this gateway already; ask again in a moment\"}";

/// Takes clients in.
pub(super) struct ClientListener {
    door: Door,
    clients: Vec<Weak<SocketClient>>,
    most: usize,
    /// Since when there has been no place for one more.
    full_since: Option<Instant>,
    look: Interval,
}

/// A client, for as long as its connection lasts.
pub(super) struct SocketClient {
    stream: ClientSocket,
    turn: Mutex<NextMove>,
    /// It follows events: nothing is to be done for it until there is one.
    is_follower: AtomicBool,
    /// It has taken something of its answer.
    has_taken: Notify,
}

/// Who has to do something next.
#[derive(Debug, Clone, Copy)]
enum NextMove {
    /// The client, which has been here since then and sent no whole request.
    Asking(Instant),
    /// The gateway, which works on the answer.
    Ours,
    /// Part of the answer was sent then: the gateway's turn, or the client's if that was all of it.
    Sent(Instant),
    /// The client, for whose answer there has been no room since then.
    Stalled(Instant),
}

impl ClientListener {
    /// Takes clients in by this socket, at most so many at a time.
    pub(super) fn new(door: Door, most: usize) -> Self {
        let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        let most = usize::try_from(descriptors / SHARE).unwrap_or(most).clamp(1, most);
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { door, clients: Vec::new(), most, full_since: None, look }
    }

    /// Gives a client a place, for which it may have to wait a moment.
    async fn admit(&mut self, stream: ClientSocket) -> Option<Arc<SocketClient>> {
        while !self.has_room() {
            if self.full_since.get_or_insert_with(Instant::now).elapsed() > NO_PLACE {
                // There is room for it in the socket, which is new. Whoever has gone misses nothing.
                let _ = stream.try_write(&[IoSlice::new(BUSY.as_bytes())]);
                return None;
            }
            sleep(LOOK_FOR_PLACE).await;
        }
        self.full_since = None;
        let client = Arc::new(SocketClient {
            stream,
            turn: Mutex::new(NextMove::Asking(Instant::now())),
            is_follower: AtomicBool::new(false),
            has_taken: Notify::new(),
        });
        self.clients.push(Arc::downgrade(&client));
        Some(client)
    }

    /// Whether there is a place. If not, all that have let us wait for long enough are closed, and there is one soon.
    fn has_room(&mut self) -> bool {
        self.forget_gone();
        let is_full = self.clients.len() >= self.most;
        if is_full {
            self.close(SocketClient::may_be_closed);
        }
        !is_full
    }

    fn close(&self, is_due: impl Fn(&SocketClient) -> bool) {
        self.clients.iter().filter_map(Weak::upgrade).filter(|client| is_due(client)).for_each(|client| client.close());
    }

    /// A place is free once the descriptor is.
    fn forget_gone(&mut self) {
        self.clients.retain(|client| client.strong_count() > 0);
    }
}

/// Clients that keep us waiting are closed: nobody looks after them any more. The others get their answers.
impl Drop for ClientListener {
    fn drop(&mut self) {
        self.close(|client| client.has_kept_us_waiting() > Some(SHORT_GRACE));
    }
}

impl Listener for ClientListener {
    type Io = ClientStream;
    type Addr = ClientHandle;

    async fn accept(&mut self) -> (ClientStream, ClientHandle) {
        loop {
            tokio::select! {
                _ = self.look.tick() => {
                    self.close(|client| client.has_kept_us_waiting() > Some(PATIENCE));
                    self.forget_gone();
                }
                accepted = self.door.accept() => match accepted {
                    Ok(stream) => if let Some(client) = self.admit(stream).await {
                        return (ClientStream(Arc::clone(&client)), ClientHandle(Some(client)));
                    },
                    Err(error) => {
                        self.door.tell_failure(&error);
                        sleep(LOOK).await;
                    }
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<ClientHandle> {
        Ok(ClientHandle(None))
    }
}

impl SocketClient {
    fn turn(&self) -> NextMove {
        *self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_turn(&self, turn: NextMove) {
        *self.turn.lock().unwrap_or_else(PoisonError::into_inner) = turn;
    }

    fn is_follower(&self) -> bool {
        self.is_follower.load(Ordering::Relaxed)
    }

    /// How long it has kept us waiting. What it has done already, and we have not seen yet, counts.
    fn has_kept_us_waiting(&self) -> Option<Duration> {
        if self.is_follower() {
            return None;
        }
        let (since, is_its_move) = match self.turn() {
            NextMove::Ours => return None,
            NextMove::Asking(since) => (since, ioctl_fionread(&self.stream).is_ok_and(|unread| unread == 0)),
            NextMove::Sent(since) => (since, true),
            NextMove::Stalled(since) => (since, !has_room(&self.stream)),
        };
        is_its_move.then(|| since.elapsed())
    }

    /// Whether it has kept us waiting for long enough that another may have its place.
    fn may_be_closed(&self) -> bool {
        // There are few of them, so that it comes to this only where all places are few; they can follow again.
        if self.is_follower() {
            return true;
        }
        let grace = match self.turn() {
            NextMove::Ours => return false,
            NextMove::Asking(_) => SHORT_GRACE,
            // It may be us who are slow.
            NextMove::Sent(_) => PATIENCE / 2,
            NextMove::Stalled(_) => GRACE,
        };
        self.has_kept_us_waiting() > Some(grace)
    }

    /// Ends the connection; whoever serves it is told so by the system.
    fn close(&self) {
        // It may have been quicker.
        let _ = shutdown(&self.stream, Shutdown::Both);
    }
}

/// Whether something could be sent by a socket now.
fn has_room(stream: &ClientSocket) -> bool {
    let mut wanted = [PollFd::new(stream, PollFlags::OUT)];
    poll(&mut wanted, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
}

/// A client, for those who answer it.
#[derive(Clone)]
pub(super) struct ClientHandle(Option<Arc<SocketClient>>);

impl ClientHandle {
    /// The number of its process, as this process sees it.
    pub(super) fn process(&self) -> Option<u32> {
        let process = self.0.as_ref()?.stream.process()?;
        u32::try_from(process).ok().filter(|process| *process != 0)
    }

    /// Its request is there.
    pub(super) fn has_asked(&self) {
        self.0.iter().for_each(|client| client.take_turn(NextMove::Ours));
    }

    /// It follows events from here on.
    pub(super) fn follows(&self) {
        self.0.iter().for_each(|client| client.is_follower.store(true, Ordering::Relaxed));
    }

    /// Waits until there is room for more of its answer.
    pub(super) async fn has_room(&self) {
        let Some(client) = &self.0 else { return };
        loop {
            let taken = client.has_taken.notified();
            if !matches!(client.turn(), NextMove::Stalled(_)) {
                return;
            }
            taken.await;
        }
    }

    /// More of its answer is to come, and it is the gateway that has it.
    pub(super) fn is_ours_to_answer(&self) {
        let sent = self.0.iter().filter(|client| matches!(client.turn(), NextMove::Sent(_)));
        sent.for_each(|client| client.take_turn(NextMove::Ours));
    }

    /// Its answer begins.
    pub(super) fn is_answered(&self) {
        self.0.iter().for_each(|client| client.take_turn(NextMove::Sent(Instant::now())));
    }
}

impl fmt::Debug for ClientHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ClientHandle").field(&self.0.as_ref().map(|client| client.turn())).finish()
    }
}

impl Connected<IncomingStream<'_, ClientListener>> for ClientHandle {
    fn connect_info(stream: IncomingStream<'_, ClientListener>) -> Self {
        stream.remote_addr().clone()
    }
}

/// The connection to a client.
pub(super) struct ClientStream(Arc<SocketClient>);

impl AsyncRead for ClientStream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.0.stream.poll_read_ready(context))?;
            match self.0.stream.try_read(into.initialize_unfilled()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return Poll::Ready(read.map(|count| into.advance(count))),
            }
        }
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(bytes)])
    }

    /// So that hyper copies nothing of a long answer.
    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        loop {
            if self.0.stream.poll_write_ready(context)?.is_pending() {
                if !matches!(self.0.turn(), NextMove::Stalled(_)) {
                    self.0.take_turn(NextMove::Stalled(Instant::now()));
                }
                return Poll::Pending;
            }
            match self.0.stream.try_write(parts) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => {
                    self.0.take_turn(NextMove::Sent(Instant::now()));
                    self.0.has_taken.notify_waiters();
                    return Poll::Ready(written);
                }
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(shutdown(&self.0.stream, Shutdown::Write).map_err(io::Error::from))
    }
}
