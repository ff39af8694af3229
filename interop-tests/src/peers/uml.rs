//! A whole Linux kernel as a process (User-Mode Linux), wired by a Unix datagram socket: one frame per datagram, no
//! privilege, and tunnels that the running kernel may lack.
//!
//! Its root is the host's file system, read-only, so `ip`, `ping` and our own binaries are there. Its console is a
//! shell that reads commands from our pipe (`uml/init.sh`).

use std::fs::{self, Permissions};
use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::io::FdFlags;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, waitid};
use tempfile::TempDir;

use crate::host::{Host, failed};
use crate::interrupt;
use crate::peers::Namespace;

const INIT: &str = include_str!("../../uml/init.sh");
const MODPROBE: &str = include_str!("../../uml/modprobe.sh");
/// Where Debian keeps the modules.
const MODULES: &str = "/usr/lib/uml/modules";
const BOOT: Duration = Duration::from_mins(1);
const COMMAND: Duration = Duration::from_mins(1);
const END: Duration = Duration::from_secs(10);
/// How often waiting looks whether it should end.
const GLANCE: Duration = Duration::from_millis(50);
/// Asks whether a child has ended, without taking its number away.
const ENDED: WaitIdOptions = WaitIdOptions::EXITED.union(WaitIdOptions::NOHANG).union(WaitIdOptions::NOWAIT);
/// Room for a few bursts of long frames; the kernel may grant less.
const SOCKET_BUFFER: usize = 4 << 20;

/// A running kernel. Its network card is `vec0`, which is down: once it was up it must stay so, since User-Mode Linux
/// closes the socket with it.
#[derive(Debug)]
pub struct Uml {
    process: Child,
    console: Mutex<Console>,
    /// Where its network card is bound, if it is.
    bound: Option<PathBuf>,
    /// Scripts, sockets and process IDs of this kernel alone.
    _directory: TempDir,
}

#[derive(Debug)]
struct Console {
    input: ChildStdin,
    lines: Receiver<String>,
}

impl Uml {
    /// Boots one whose network card is a socket bound to `own` and connected to `gateway`, which must exist.
    ///
    /// # Errors
    /// When the socket cannot be made, or the kernel does not come up; the error shows its last words.
    pub fn at(own: &Path, gateway: &Path) -> io::Result<Self> {
        // A socket's queue is as long as its namespace says, and the machine's own says ten datagrams.
        let socket = match Namespace::new() {
            Ok(namespace) => namespace.enter(|| UnixDatagram::bind(own))?,
            Err(_) => UnixDatagram::bind(own)?,
        };
        socket.connect(gateway)?;
        let mut uml = Self::boot(socket)?;
        uml.bound = Some(own.to_owned());
        Ok(uml)
    }

    /// Boots one whose network card is this connected socket. Takes about two seconds.
    ///
    /// # Errors
    /// When the kernel does not come up; the error shows its last words.
    pub fn boot(card: UnixDatagram) -> io::Result<Self> {
        rustix::net::sockopt::set_socket_send_buffer_size(&card, SOCKET_BUFFER)?;
        rustix::net::sockopt::set_socket_recv_buffer_size(&card, SOCKET_BUFFER)?;
        let directory = directory()?;
        let place = directory.path().display();
        let mut command = Command::new("linux.uml");
        command
            .args(["mem=192M", "root=/dev/root", "rootfstype=hostfs", "ro", "con=null", "con0=fd:0,fd:1", "quiet"])
            .arg(format!("init={place}/init.sh"))
            .arg(format!("uml_dir={place}"))
            .arg(format!("vec0:transport=fd,fd={},depth=64", card.as_raw_fd()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0);
        // The kernel inherits its card. Another program started in this instant would too, and never use it.
        rustix::io::fcntl_setfd(card.as_fd(), FdFlags::empty())?;
        let mut process = command.spawn()?;
        drop(card);

        let lines = lines_of(process.stdout.take());
        let input = process.stdin.take().ok_or_else(|| io::Error::other("the kernel has no console"))?;
        let uml = Self { process, console: Mutex::new(Console { input, lines }), bound: None, _directory: directory };
        uml.console().until("@READY", BOOT)?;
        uml.sh("modprobe ipv6")?;
        Ok(uml)
    }

    fn console(&self) -> std::sync::MutexGuard<'_, Console> {
        self.console.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The kernel's own directory: what it runs first, and where it finds modules.
fn directory() -> io::Result<TempDir> {
    let directory = tempfile::Builder::new().prefix("uml-").tempdir()?;
    for (name, script) in [("init.sh", INIT), ("modprobe.sh", MODPROBE)] {
        let path = directory.path().join(name);
        fs::write(&path, script)?;
        fs::set_permissions(&path, Permissions::from_mode(0o755))?;
    }
    let modules = directory.path().join("modules/lib");
    fs::create_dir_all(&modules)?;
    symlink(MODULES, modules.join("modules"))?;
    Ok(directory)
}

/// What the console prints, line by line; a thread reads it, so that waiting can have an end.
fn lines_of(stdout: Option<impl io::Read + Send + 'static>) -> Receiver<String> {
    let (sender, lines) = mpsc::channel();
    std::thread::spawn(move || {
        let Some(stdout) = stdout else { return };
        for line in BufReader::new(stdout).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    lines
}

impl Console {
    /// The lines before one that begins with `mark`, and the rest of that one.
    fn until(&mut self, mark: &str, patience: Duration) -> io::Result<(Vec<String>, String)> {
        let end = Instant::now() + patience;
        let mut before = Vec::new();
        loop {
            interrupt::check()?;
            let line = match self.lines.recv_timeout(GLANCE) {
                Ok(line) => line,
                Err(RecvTimeoutError::Timeout) if Instant::now() < end => continue,
                Err(_) => return Err(failed("User-Mode Linux does not answer", &before.join("\n"))),
            };
            match line.strip_prefix(mark) {
                Some(rest) => return Ok((before, rest.to_owned())),
                None => before.push(line),
            }
        }
    }

    fn sh(&mut self, line: &str) -> io::Result<String> {
        writeln!(self.input, "{}", line.replace('\n', "; "))?;
        let (printed, code) = self.until("@RC ", COMMAND)?;
        let printed = printed.join("\n");
        if code == "0" { Ok(printed) } else { Err(failed(line, &printed)) }
    }
}

impl Host for Uml {
    /// The line succeeds as a whole if its last command does.
    fn sh(&self, line: &str) -> io::Result<String> {
        self.console().sh(line)
    }

    fn background(&self, line: &str) -> io::Result<()> {
        self.sh(&format!("{line} > /dev/null 2>&1 < /dev/null &")).map(|_| ())
    }
}

impl Drop for Uml {
    fn drop(&mut self) {
        let kernel = Pid::from_child(&self.process);
        // Asked to end it takes its helper processes along, but for one now and then, which stays stopped for ever:
        // hence the whole process group, while its leader is still there to hold the number.
        let _ = kill_process(kernel, Signal::TERM);
        let end = Instant::now() + END;
        let has_ended = || waitid(WaitId::Pid(kernel), ENDED);
        while Instant::now() < end && matches!(has_ended(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = kill_process_group(kernel, Signal::KILL);
        let _ = self.process.wait();
        if let Some(path) = &self.bound {
            let _ = fs::remove_file(path);
        }
    }
}
