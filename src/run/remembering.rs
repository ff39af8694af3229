//! What is known survives a restart: read from the state file at the start, written to it now and then and at the end.

use std::env;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::gateway::Gateway;
use super::state_file;
use crate::admin::directory::{network_namespace, own_directory};
use crate::compile::Plan;
use crate::logging::LogEvent;

/// Numbers that are freed while they are written down spoil the work; then it is done again.
const ATTEMPTS: usize = 3;

/// The state file of a gateway.
pub struct StateKeeper {
    /// Where it is unless the gateway's file names another place; none for a gateway that is read from standard input.
    usual: Option<PathBuf>,
    /// Held while it is written.
    writing: Mutex<()>,
}

impl StateKeeper {
    /// The state file of the gateway of `file`: in the directory that the service manager gives it for state, or else beside
    /// its admin socket. It has the socket's name if `named` says where that is; else one that no other file and no other
    /// network namespace has.
    #[must_use]
    pub fn new(file: &Path, named: Option<&Path>) -> Self {
        let given = given_directory();
        let of_socket = named.map(|socket| {
            let name = format!("{}.state", socket.file_name().unwrap_or_default().to_string_lossy());
            given.as_ref().map_or_else(|| socket.with_file_name(&name), |directory| directory.join(&name))
        });
        let of_file = || {
            let whole = file.canonicalize().ok()?;
            let digest = Sha256::digest(whole.as_os_str().as_encoded_bytes());
            let short: String = format!("{digest:x}").chars().take(16).collect();
            let namespace = network_namespace().ok()?;
            let directory = given.clone().or_else(|| own_directory().ok())?;
            Some(directory.join(format!("{namespace}-{short}.state")))
        };
        Self { usual: of_socket.or_else(of_file), writing: Mutex::new(()) }
    }

    /// Where it is; none if the plan wants none.
    pub(super) fn path(&self, plan: &Plan) -> Option<PathBuf> {
        let state = plan.settings.state.as_ref()?;
        state.file.clone().or_else(|| self.usual.clone())
    }

    /// Takes in what was written down, if anything, by root, by us or by `user`.
    pub fn restore(&self, gateway: &Gateway, user: Option<u32>) {
        let path = self.path(gateway.rib().plan());
        let Some(path) = path else { return };
        match state_file::read(&path, user) {
            Ok(None) => {}
            Ok(Some((remembered, seconds))) => {
                let now = gateway.clock.now();
                let restored = gateway.change(|rib| rib.restore(&remembered, seconds, now));
                let (file, macs, peers) = (&*path.display().to_string(), restored.macs, restored.peers);
                LogEvent::StateRestored { file, macs, peers, count: restored.left_out, seconds }.tell();
            }
            Err(error) => {
                LogEvent::StateNotUsed { file: &path.display().to_string(), why: &error.to_string() }.tell();
            }
        }
    }

    /// Writes it down.
    pub fn write(&self, gateway: &Gateway) {
        let Some(path) = self.path(gateway.rib().plan()) else { return };
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        for _ in 0..ATTEMPTS {
            let remembering = gateway.rib().remembering();
            let remembered = remembering.remembered(gateway.clock.now());
            if gateway.rib().reclaims() != remembering.reclaims {
                continue;
            }
            if let Err(error) = state_file::write(&path, &remembered) {
                LogEvent::StateNotWritten { file: &path.display().to_string(), why: &error.to_string() }.tell();
            }
            return;
        }
    }
}

/// What systemd.exec(5) calls the state directory of a service; it may name several.
fn given_directory() -> Option<PathBuf> {
    let directories = env::var_os("STATE_DIRECTORY")?;
    let first = directories.as_bytes().split(|byte| *byte == b':').next()?;
    let first = PathBuf::from(OsStr::from_bytes(first));
    first.is_absolute().then_some(first)
}

/// Writes the state file now and then, on a thread that nobody waits for, until the task is dropped.
pub(super) async fn keep(gateway: &Arc<Gateway>, keeper: &Arc<StateKeeper>) {
    const LOOK: Duration = Duration::from_secs(1);
    let mut silent = 0;
    loop {
        tokio::time::sleep(LOOK).await;
        silent += LOOK.as_secs();
        let interval = gateway.rib().plan().settings.state.as_ref().map(|state| state.interval);
        if interval.is_some_and(|interval| silent >= interval) {
            let (gateway, keeper) = (Arc::clone(gateway), Arc::clone(keeper));
            // It does not fail, and the next time comes anyway.
            let _ = tokio::task::spawn_blocking(move || keeper.write(&gateway)).await;
            silent = 0;
        }
    }
}
