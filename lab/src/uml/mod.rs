//! User-Mode Linux (UML): a Linux kernel that is a process.
//!
//! A [`Launch`] has what every one is started with: the host's file system as its root, a console that is our pipe, a
//! private directory, and the object that makes it run on processors with AMX (`xstate/`). What it runs first and how
//! it is wired is its user's. A [`UmlProcess`] is one that was started; whatever it prints is kept until it has ended
//! well.

mod failure;
mod probe;

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, WaitIdStatus, kill_process, kill_process_group, waitid};
use tempfile::TempDir;

use crate::{interrupt, programs};

pub use failure::{KEEP_IN, UmlFailure};
pub use probe::starts;

/// `xstate/src/lib.rs`, compiled; empty where there is no UML that needs it.
const XSTATE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/uml-xstate.so"));
/// The program.
const PROGRAM: &str = "linux.uml";
const PRELOAD: &str = "LD_PRELOAD";
/// Whatever waits looks at this interval whether the process has ended and whether somebody has pressed Ctrl-C.
const GLANCE: Duration = Duration::from_millis(50);
/// How long one that was asked to end has for it.
const END: Duration = Duration::from_secs(10);
/// Asks whether a child has ended, without taking its number away.
const ENDED: WaitIdOptions = WaitIdOptions::EXITED.union(WaitIdOptions::NOHANG).union(WaitIdOptions::NOWAIT);

/// Where it is, if it is installed.
#[must_use]
pub fn find() -> Option<PathBuf> {
    programs::find(PROGRAM)
}

/// A UML that is about to start.
#[derive(Debug)]
pub struct Launch {
    command: Command,
    directory: TempDir,
    /// Where its output is kept if it fails; none for a new file each time.
    kept: Option<PathBuf>,
}

impl Launch {
    /// One with its private directory, which is there already.
    ///
    /// # Errors
    /// When UML is not installed, or the directory cannot be made.
    pub fn new() -> io::Result<Self> {
        let program = find().ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "linux.uml is not installed"))?;
        let directory = tempfile::Builder::new().prefix("uml-").tempdir()?;
        let mut command = Command::new(program);
        command.args(["root=/dev/root", "rootfstype=hostfs", "ro", "quiet", "con=null", "con0=fd:0,fd:1"]);
        command.arg(format!("uml_dir={}", directory.path().display()));
        // From a terminal, Ctrl-C is for us: we end it then.
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0);
        if !XSTATE.is_empty() {
            let object = directory.path().join("xstate.so");
            fs::write(&object, XSTATE)?;
            command.env(PRELOAD, preloaded(object, std::env::var_os(PRELOAD)));
        }
        Ok(Self { command, directory, kept: None })
    }

    /// Its private directory, for scripts and sockets. It is gone when the process is dropped.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Adds to the kernel's command line. What follows `--` is for its first program.
    pub fn arg(&mut self, argument: &str) -> &mut Self {
        self.command.arg(argument);
        self
    }

    /// Has its output kept in this file if it fails.
    pub fn keep_output(&mut self, file: &Path) -> &mut Self {
        self.kept = Some(file.to_owned());
        self
    }

    /// Starts it, by `spawn`: in a namespace perhaps.
    ///
    /// # Errors
    /// As `spawn` says.
    pub fn start(mut self, spawn: impl FnOnce(&mut Command) -> io::Result<Child>) -> io::Result<UmlProcess> {
        let output = self.directory.path().join("output");
        let file = File::options().create(true).append(true).open(&output)?;
        self.command.stderr(file.try_clone()?);
        let mut child = spawn(&mut self.command)?;
        let console = child.stdin.take();
        let lines = lines_of(child.stdout.take(), file)?;
        Ok(UmlProcess { child, console, lines, output, kept: self.kept, _directory: self.directory })
    }
}

/// Ours goes before what the user preloads.
fn preloaded(object: PathBuf, users: Option<OsString>) -> OsString {
    let mut list = object.into_os_string();
    if let Some(users) = users.filter(|users| !users.is_empty()) {
        list.push(":");
        list.push(users);
    }
    list
}

/// What the console prints, line by line, also into a file. A thread reads it, so that waiting can have an end.
fn lines_of(console: Option<ChildStdout>, mut copy: File) -> io::Result<Receiver<String>> {
    let console = console.ok_or(io::ErrorKind::BrokenPipe)?;
    let (sender, lines) = mpsc::channel();
    thread::Builder::new().name("console".into()).spawn(move || {
        for line in BufReader::new(console).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            // A disk that is full costs the copy, not the console.
            let _ = writeln!(copy, "{line}");
            if sender.send(line).is_err() {
                return;
            }
        }
    })?;
    Ok(lines)
}

/// A UML that was started. It is ended when dropped.
#[derive(Debug)]
pub struct UmlProcess {
    child: Child,
    /// What its console reads; none once that was closed.
    console: Option<ChildStdin>,
    /// What its console prints.
    lines: Receiver<String>,
    /// A file with all that it prints, on its console and on standard error.
    output: PathBuf,
    /// Where that is kept if it fails; none for a new file.
    kept: Option<PathBuf>,
    /// Scripts, sockets, process IDs and the output of this kernel alone.
    _directory: TempDir,
}

impl UmlProcess {
    /// Writes a line to its console.
    ///
    /// # Errors
    /// When it reads no more.
    pub fn tell(&mut self, line: &str) -> io::Result<()> {
        let console = self.console.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        writeln!(console, "{line}")?;
        console.flush()
    }

    /// Waits for a line with this mark in it. Returns the lines before, and what is behind the mark.
    ///
    /// # Errors
    /// A [`UmlFailure`] when it ends or stays silent for so long; when somebody presses Ctrl-C.
    pub fn until(&mut self, mark: &str, patience: Duration) -> io::Result<(Vec<String>, String)> {
        let end = Instant::now() + patience;
        let mut before = Vec::new();
        loop {
            interrupt::check()?;
            // Asked before the console is: what it said at its end is then there to be read.
            let ended = self.ended()?;
            match self.lines.recv_timeout(GLANCE) {
                Ok(line) => match line.split_once(mark) {
                    Some((_, rest)) => return Ok((before, rest.to_owned())),
                    None => before.push(line),
                },
                Err(RecvTimeoutError::Timeout) if ended.is_none() && Instant::now() < end => {}
                Err(RecvTimeoutError::Timeout) if ended.is_none() => {
                    return Err(self.failure(&format!("does not answer within {} s", patience.as_secs())).into());
                }
                Err(_) => return Err(self.failure(&self.how_it_ended()).into()),
            }
        }
    }

    /// What is to be said of it when something went wrong: `what` happened, and what it printed, which is kept.
    #[must_use]
    pub fn failure(&self, what: &str) -> UmlFailure {
        UmlFailure::of(what, &self.output, self.kept.as_deref())
    }

    /// Closes its console, which its first program takes for the end, and waits for it. True if it went by itself
    /// within this time; else it is ended when it is dropped.
    ///
    /// # Errors
    /// When there is no such process.
    pub fn switch_off(&mut self, patience: Duration) -> io::Result<bool> {
        drop(self.console.take());
        self.ends_within(patience)
    }

    /// Its end as a sentence that begins with "User-Mode Linux" goes on, such as its exit status; `None` while it runs.
    #[must_use]
    pub fn end(&self) -> Option<String> {
        matches!(self.ended(), Ok(Some(_))).then(|| self.how_it_ended())
    }

    fn ended(&self) -> io::Result<Option<WaitIdStatus>> {
        Ok(waitid(WaitId::Pid(Pid::from_child(&self.child)), ENDED)?)
    }

    fn ends_within(&self, patience: Duration) -> io::Result<bool> {
        let end = Instant::now() + patience;
        while Instant::now() < end {
            if self.ended()?.is_some() {
                return Ok(true);
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(false)
    }

    fn how_it_ended(&self) -> String {
        // Its console may be closed an instant before it ends.
        let _ = self.ends_within(Duration::from_secs(1));
        match self.ended() {
            Ok(Some(status)) => match (status.exit_status(), status.terminating_signal()) {
                (Some(code), _) => format!("has ended with exit code {code}"),
                (None, Some(signal)) => format!("has ended by signal {signal}"),
                (None, None) => "has ended".to_owned(),
            },
            _ => "has closed its console".to_owned(),
        }
    }
}

impl Drop for UmlProcess {
    fn drop(&mut self) {
        let kernel = Pid::from_child(&self.child);
        // Asked to end it takes its helper processes along, but for one now and then, which stays stopped for ever:
        // hence the whole process group, while its leader is still there to hold the number.
        let _ = kill_process(kernel, Signal::TERM);
        let _ = self.ends_within(END);
        let _ = kill_process_group(kernel, Signal::KILL);
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ours_is_preloaded_before_what_the_user_preloads() {
        let ours = || PathBuf::from("/a/xstate.so");
        assert_eq!(preloaded(ours(), None), "/a/xstate.so");
        assert_eq!(preloaded(ours(), Some(OsString::new())), "/a/xstate.so");
        assert_eq!(preloaded(ours(), Some("/b/c.so /d.so".into())), "/a/xstate.so:/b/c.so /d.so");
    }
}
