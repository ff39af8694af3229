//! A gateway that takes the place of a running one: it gets everything ready beside it, and only then has it end.
//!
//! What ends a gateway is the signal that always does. It writes its state file while its workers still move frames; once
//! they do not any more it lets go of its locks, and its place is free. Where it has no lock that we wait for,
//! its place is free when its process has ended.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::sockopt::socket_peercred;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::exclusive::Exclusive;
use super::opening::{self, OpeningError};
use super::service_manager::ServiceManager;
use super::start::StartError;
use crate::admin::client;
use crate::admin::directory::{is_here, own_directory};
use crate::admin::socket::{NAME, answers_here, running, stranger};
use crate::compile::Plan;

/// How often to look whether the place is free.
const LOOK: Duration = Duration::from_millis(1);
/// How long a gateway may take to end: it may have a large state to write.
const PATIENCE: Duration = Duration::from_secs(30);

/// The gateway that is to be replaced.
#[derive(Debug)]
pub(super) struct Predecessor {
    process: Pid,
    /// Means this process, also when its number is another's.
    handle: OwnedFd,
    socket: PathBuf,
}

impl Predecessor {
    /// The gateway that answers on this admin socket, or else on the usual one; `None` if there is none. It may have become
    /// `user`.
    ///
    /// # Errors
    /// When somebody else answers there, or a gateway of another network namespace, or it is not clear which one is meant.
    pub(super) fn find(named: Option<&Path>, user: Option<u32>) -> Result<Option<Self>, StartError> {
        let usual = || Some(own_directory().ok()?.join(NAME));
        let Some(socket) = named.map(Path::to_owned).or_else(usual) else { return Ok(None) };
        let Ok(stream) = UnixStream::connect(&socket) else { return Ok(None) };
        let refused = |why: &str| StartError::NotReplaced(format!("{} {why}", socket.display()));
        if let Some(user) = stranger(&socket, user) {
            return Err(refused(&format!("is of user {user}")));
        }
        let process = listener(&stream).map_err(|error| cannot(&error))?;
        let unseen = |error: io::Error| refused(&format!("is of a process that cannot be examined from here: {error}"));
        let handle = pidfd_open(process, PidfdFlags::empty()).map_err(|error| unseen(error.into()))?;
        if !is_here(process).map_err(unseen)? {
            return Err(refused(
                "is of a gateway in another network namespace; --admin PATH says which one to replace",
            ));
        }
        let is_another = |path: &PathBuf| *path != socket && answers_here(path);
        if named.is_none() && running().0.iter().any(is_another) {
            return Err(refused("is not the only gateway's here; --admin PATH says which one to replace"));
        }
        Ok(Some(Self { process, handle, socket }))
    }

    /// Has it end, and claims what a plan serves as soon as it is free. Before that it tells the service manager that we are the
    /// service; one that does not know of this ends all the same. Meanwhile it goes on, and `idle` is called again and again,
    /// for the last time when it does not any more.
    ///
    /// # Errors
    /// When it does not end, or another gateway has something of the plan.
    pub(super) async fn end(
        &self,
        plan: &Plan,
        exclusive: &mut Exclusive,
        manager: &ServiceManager,
        mut idle: impl FnMut(),
    ) -> Result<(), StartError> {
        let waits_for_locks = matches!(opening::claim_at_once(plan, exclusive), Err(OpeningError::Taken(_)));
        let handed_over = client::succeed(&self.socket).ok();
        manager.succeeds(handed_over.and_then(|answer| answer.watchdog_usec).map(Duration::from_micros));
        pidfd_send_signal(&self.handle, Signal::TERM).map_err(|error| cannot(&error.into()))?;
        let begin = Instant::now();
        loop {
            // It closes its admin socket first, and removes it before it lets go of its locks.
            let is_listening = UnixStream::connect(&self.socket).is_ok();
            let is_over = !is_listening && (waits_for_locks || self.has_ended());
            let claimed = opening::claim_at_once(plan, exclusive);
            manager.waits();
            idle();
            match claimed {
                Ok(()) if is_over => return Ok(()),
                Ok(()) | Err(OpeningError::Taken(_)) if begin.elapsed() < PATIENCE => {}
                Ok(()) => return Err(StartError::NotReplaced(format!("process {} does not end", self.pid()))),
                Err(error) => return Err(error.into()),
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    fn has_ended(&self) -> bool {
        let mut wanted = [PollFd::new(&self.handle, PollFlags::IN)];
        poll(&mut wanted, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
    }

    fn pid(&self) -> i32 {
        self.process.as_raw_nonzero().get()
    }
}

/// The process that listens where this is connected to.
fn listener(stream: &UnixStream) -> io::Result<Pid> {
    Ok(socket_peercred(stream)?.pid)
}

fn cannot(error: &io::Error) -> StartError {
    StartError::NotReplaced(error.to_string())
}
