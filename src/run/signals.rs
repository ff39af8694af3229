//! The signals of a gateway: what stops it, what has it read its file again, and what it ignores.

use std::future::poll_fn;
use std::io;
use std::task::Poll;

use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// From SIGINT, SIGQUIT, SIGTERM, SIGXCPU and SIGPWR a gateway ends as it should: nothing is left behind.
const STOP: [i32; 5] = [libc::SIGINT, libc::SIGQUIT, libc::SIGTERM, libc::SIGXCPU, libc::SIGPWR];
/// These would end it on the spot, and mean nothing here: somebody took it for another program.
const IGNORED: [i32; 8] = [
    libc::SIGUSR1,
    libc::SIGUSR2,
    libc::SIGALRM,
    libc::SIGVTALRM,
    libc::SIGPROF,
    libc::SIGIO,
    libc::SIGSTKFLT,
    libc::SIGXFSZ,
];

/// The signals that we listen for.
pub struct Signals {
    /// What stops us.
    pub stop: StopSignals,
    /// SIGHUP: the file is to be read again.
    pub hangup: Signal,
}

/// The signals that stop us.
pub struct StopSignals(Vec<Signal>);

impl Signals {
    /// Listens from now on; a signal that comes before anybody waits is not lost.
    ///
    /// # Errors
    /// When the system does not let us.
    pub fn listen(runtime: &Runtime) -> io::Result<Self> {
        let _inside = runtime.enter();
        let hangup = signal(SignalKind::hangup())?;
        let listen = |number| signal(SignalKind::from_raw(number));
        let stop = StopSignals(STOP.into_iter().map(listen).collect::<io::Result<_>>()?);
        // Whoever has listened once goes on without the system's own answer to the signal.
        for number in IGNORED.into_iter().chain(libc::SIGRTMIN()..=libc::SIGRTMAX()) {
            drop(listen(number)?);
        }
        Ok(Self { stop, hangup })
    }
}

impl StopSignals {
    /// Waits until we are told to stop.
    pub async fn told(&mut self) {
        poll_fn(|context| {
            let is_told = self.0.iter_mut().any(|signal| signal.poll_recv(context).is_ready());
            if is_told { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Does some work; `None` if we are told to stop before it is done.
    pub async fn unless_told<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.told() => None,
            done = work => Some(done),
        }
    }
}
