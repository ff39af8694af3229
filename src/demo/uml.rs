//! The other Linux, from outside: User-Mode Linux as a process, wired to the gateway by a TAP, told what to do on its
//! console.

use std::io::{self, BufRead, BufReader, ErrorKind, Write};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::guest::{MARK, WIRED};
use super::sites::{Site, UNDERLAY_MTU};
use super::tcp::{Budget, Moved};
use crate::lab::Namespace;

/// Enough for a kernel and one process; taken as it is used.
const MEMORY: &str = "mem=128M";
const BOOT: Duration = Duration::from_secs(12);
const OFF: Duration = Duration::from_secs(5);
/// On top of what the order itself may take.
const GRACE: Duration = Duration::from_secs(12);
const LOOK: Duration = Duration::from_millis(10);

/// Where User-Mode Linux is, if it is installed.
pub(super) fn find() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join("linux.uml")).find(|candidate| candidate.is_file())
}

/// A running User-Mode Linux. Switched off when dropped.
#[derive(Debug)]
pub(super) struct Uml {
    child: Child,
    console: Option<ChildStdin>,
    said: Receiver<String>,
}

impl Uml {
    /// Starts it for this site. Its network device is a TAP in `namespace` with the name of the gateway's end of the
    /// cable; there is no other cable.
    ///
    /// # Errors
    /// When it is not installed or cannot be started.
    pub(super) fn start(namespace: &Namespace, directory: &Path, site: &Site) -> io::Result<Self> {
        let kernel = find().ok_or(ErrorKind::NotFound)?;
        let program = std::env::current_exe()?;
        // With gro, the driver has room for the super-frames that it lets the TAP promise.
        let network =
            format!("vec0:transport=tap,ifname={},mac={},mtu={UNDERLAY_MTU},gro=1", site.device(), site.far_mac());
        let mut child = namespace.enter(|| {
            Command::new(kernel)
                .args([
                    MEMORY,
                    "root=/dev/root",
                    "rootfstype=hostfs",
                    "ro",
                    "quiet",
                    "console=tty0",
                    "con=null",
                    "con0=fd:0,fd:1",
                ])
                .arg(format!("uml_dir={}", directory.display()))
                .arg(format!("umid={}", site.name))
                .arg(format!("init={}", program.display()))
                .args([&network, "--", "demo", "--guest", site.name])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
        })?;
        let console = child.stdin.take();
        let said = listen(child.stdout.take().ok_or(ErrorKind::BrokenPipe)?)?;
        Ok(Self { child, console, said })
    }

    /// Waits until its end of the cable, and so the TAP, is there.
    ///
    /// # Errors
    /// When it is not within its time, or says why it cannot be.
    pub(super) fn wait_until_wired(&self) -> io::Result<()> {
        match self.hear(BOOT)?.as_str() {
            WIRED => Ok(()),
            other => Err(io::Error::other(format!("User-Mode Linux: {other}"))),
        }
    }

    /// Has the site furnished, now that the TAP is up.
    ///
    /// # Errors
    /// When it cannot be.
    pub(super) fn furnish(&mut self) -> io::Result<()> {
        self.ask("furnish", Duration::ZERO).map(drop)
    }

    /// Pings from it.
    ///
    /// # Errors
    /// When nobody answers.
    pub(super) fn ping(&mut self, to: Ipv4Addr, patience: Duration) -> io::Result<Duration> {
        let answer = self.ask(&format!("ping {to} {}", patience.as_millis()), patience)?;
        Ok(Duration::from_nanos(number(answer.first())?))
    }

    /// Sends from it.
    ///
    /// # Errors
    /// When not everything arrives unchanged.
    pub(super) fn send(&mut self, to: Ipv4Addr, budget: Budget) -> io::Result<Moved> {
        let answer = self.ask(&format!("send {to} {} {}", budget.bytes, budget.time.as_millis()), budget.time)?;
        Ok(Moved { bytes: number(answer.first())?, time: Duration::from_nanos(number(answer.get(1))?) })
    }

    fn ask(&mut self, order: &str, patience: Duration) -> io::Result<Vec<String>> {
        let console = self.console.as_mut().ok_or(ErrorKind::BrokenPipe)?;
        writeln!(console, "{order}")?;
        console.flush()?;
        let answer = self.hear(patience + GRACE)?;
        match answer.strip_prefix("ok") {
            Some(values) => Ok(values.split_whitespace().map(str::to_owned).collect()),
            None => Err(io::Error::new(ErrorKind::TimedOut, answer)),
        }
    }

    fn hear(&self, patience: Duration) -> io::Result<String> {
        self.said.recv_timeout(patience).map_err(|error| match error {
            RecvTimeoutError::Timeout => io::Error::new(ErrorKind::TimedOut, "User-Mode Linux says nothing"),
            RecvTimeoutError::Disconnected => io::Error::new(ErrorKind::BrokenPipe, "User-Mode Linux has ended"),
        })
    }

    /// Switches it off; true if it went by itself.
    pub(super) fn stop(&mut self) -> io::Result<bool> {
        drop(self.console.take());
        if self.ends_within(OFF)? {
            return Ok(true);
        }
        // Killed, it would leave its helper processes behind; asked, it takes them with it.
        if let Some(pid) = Pid::from_raw(self.child.id().cast_signed()) {
            kill_process(pid, Signal::TERM)?;
        }
        if !self.ends_within(OFF)? {
            self.child.kill()?;
            self.child.wait()?;
        }
        Ok(false)
    }

    fn ends_within(&mut self, patience: Duration) -> io::Result<bool> {
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline {
            if self.child.try_wait()?.is_some() {
                return Ok(true);
            }
            thread::sleep(LOOK);
        }
        Ok(false)
    }
}

impl Drop for Uml {
    fn drop(&mut self) {
        let _ = self.stop();
    }
}

/// What the guest says to us, out of everything on its console.
fn listen(console: ChildStdout) -> io::Result<Receiver<String>> {
    let (sender, said) = channel();
    thread::Builder::new().name("console".into()).spawn(move || {
        for line in BufReader::new(console).lines().map_while(Result::ok) {
            let Some((_, message)) = line.split_once(MARK) else { continue };
            if sender.send(message.trim().to_owned()).is_err() {
                break;
            }
        }
    })?;
    Ok(said)
}

fn number(text: Option<&String>) -> io::Result<u64> {
    let number = text.and_then(|text| text.parse().ok());
    number.ok_or_else(|| ErrorKind::InvalidData.into())
}
