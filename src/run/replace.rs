//! A gateway that takes the place of a running one: it gets everything ready beside it, and only then has it end.
//!
//! What ends a gateway is the signal that always does. It writes its state file while its workers still move frames; once
//! they do not any more it lets go of its locks, and its place is free.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::net::sockopt::socket_peercred;
use rustix::process::{Pid, Signal, kill_process};

use super::exclusive::Exclusive;
use super::opening::{self, OpeningError};
use super::start::StartError;
use crate::admin::directory::own_directory;
use crate::admin::socket::{NAME, stranger};
use crate::compile::Plan;

/// How often to look whether the place is free.
const LOOK: Duration = Duration::from_millis(1);
/// How long a gateway may take to end: it may have a large state to write.
const PATIENCE: Duration = Duration::from_secs(30);

/// The gateway that is to be replaced.
#[derive(Debug)]
pub(super) struct Predecessor {
    process: Pid,
    socket: PathBuf,
}

impl Predecessor {
    /// The gateway that answers on this admin socket, or else on the usual one; `None` if there is none.
    ///
    /// # Errors
    /// When somebody else answers there.
    pub(super) fn find(named: Option<&Path>) -> Result<Option<Self>, StartError> {
        let usual = || Some(own_directory().ok()?.join(NAME));
        let Some(socket) = named.map(Path::to_owned).or_else(usual) else { return Ok(None) };
        let Ok(stream) = UnixStream::connect(&socket) else { return Ok(None) };
        if let Some(user) = stranger(&socket) {
            return Err(StartError::NotReplaced(format!("{} is of user {user}", socket.display())));
        }
        let listener = socket_peercred(&stream).map_err(|error| cannot(&error.into()))?;
        Ok(Some(Self { process: listener.pid, socket }))
    }

    /// Has it end, and claims what a plan serves as soon as it is free. Meanwhile it goes on, and `idle` is called again and
    /// again, for the last time when it does not any more.
    ///
    /// # Errors
    /// When it does not end, or another gateway has something of the plan.
    pub(super) async fn end(
        &self,
        plan: &Plan,
        exclusive: &mut Exclusive,
        mut idle: impl FnMut(),
    ) -> Result<(), StartError> {
        kill_process(self.process, Signal::TERM).map_err(|error| cannot(&error.into()))?;
        let begin = Instant::now();
        loop {
            // It closes its admin socket first, and removes it before it lets go of its locks.
            let is_listening = UnixStream::connect(&self.socket).is_ok();
            let claimed = opening::claim(plan, exclusive);
            idle();
            match claimed {
                Ok(()) if !is_listening => return Ok(()),
                Ok(()) | Err(OpeningError::Taken(_)) if begin.elapsed() < PATIENCE => {}
                Ok(()) => return Err(StartError::NotReplaced(format!("process {} does not end", self.pid()))),
                Err(error) => return Err(error.into()),
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    fn pid(&self) -> i32 {
        self.process.as_raw_nonzero().get()
    }
}

fn cannot(error: &io::Error) -> StartError {
    StartError::NotReplaced(error.to_string())
}
