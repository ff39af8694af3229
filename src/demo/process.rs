//! A gateway of its own: a `transload run` that we start in a namespace, wait for, and stop.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde::de::DeserializeOwned;
use transload_lab::Namespace;

use crate::admin::client;

const START: Duration = Duration::from_secs(10);
const STOP: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(10);

/// A running `transload run`. Stopped when dropped.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    admin: PathBuf,
    log: PathBuf,
}

impl Process {
    /// Starts a gateway with this configuration in a namespace and waits until it answers. Its files go to `dir`
    /// under `name`.
    ///
    /// # Errors
    /// When it ends before it answers: the error is what it said.
    pub(super) fn start(namespace: &Namespace, dir: &Path, name: &str, configuration: &str) -> io::Result<Self> {
        let file = dir.join(format!("{name}.yaml"));
        let admin = dir.join(format!("{name}.sock"));
        let log = dir.join(format!("{name}.log"));
        fs::write(&file, configuration)?;
        let stderr = File::create(&log)?;
        let child = namespace.enter(|| {
            Command::new("/proc/self/exe")
                .args(["run", "--attended", "--admin"])
                .args([&admin, &file])
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(stderr)
                .spawn()
        })?;
        let mut process = Self { child, admin, log };
        process.wait_until_it_answers(name)?;
        Ok(process)
    }

    fn wait_until_it_answers(&mut self, name: &str) -> io::Result<()> {
        let deadline = Instant::now() + START;
        while client::ask(&self.admin, "/ports", None).is_err() {
            if self.child.try_wait()?.is_some() || Instant::now() > deadline {
                let said = fs::read_to_string(&self.log).unwrap_or_default();
                return Err(io::Error::other(format!("`transload run {name}.yaml` did not start:\n{said}")));
            }
            thread::sleep(LOOK);
        }
        Ok(())
    }

    /// What the gateway answers on its admin socket.
    ///
    /// # Errors
    /// When it does not.
    pub(super) fn ask<T: DeserializeOwned>(&self, path: &str) -> io::Result<Vec<T>> {
        client::rows(&self.admin, path, None).map_err(io::Error::other)
    }

    /// Stops it, as Ctrl-C would, and says how it ended.
    ///
    /// # Errors
    /// When it does not end.
    pub(super) fn stop(mut self) -> io::Result<ExitStatus> {
        self.end()
    }

    fn end(&mut self) -> io::Result<ExitStatus> {
        if let Some(pid) = Pid::from_raw(self.child.id().cast_signed()) {
            // If it has ended already, its status is waiting.
            let _ = kill_process(pid, Signal::TERM);
        }
        let deadline = Instant::now() + STOP;
        loop {
            match self.child.try_wait()? {
                Some(status) => return Ok(status),
                None if Instant::now() > deadline => {
                    self.child.kill()?;
                    return self.child.wait();
                }
                None => thread::sleep(LOOK),
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.end();
    }
}
