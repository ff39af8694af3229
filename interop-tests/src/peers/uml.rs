//! User-Mode Linux (UML) as a peer, wired by a Unix datagram socket: one frame per datagram, no privilege, and tunnels
//! that the running kernel may lack.
//!
//! Its root is the host's file system, read-only, so `ip`, `ping` and our own binaries are there. Its console is a
//! shell that reads commands from our pipe (`uml/init.sh`).

use std::fs::{self, Permissions};
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::io::FdFlags;
use transload_lab::Namespace;
use transload_lab::host::{Host, failed};
use transload_lab::uml::{Launch, UmlProcess};

const INIT: &str = include_str!("../../uml/init.sh");
const MODPROBE: &str = include_str!("../../uml/modprobe.sh");
/// Where Debian keeps the modules.
const MODULES: &str = "/usr/lib/uml/modules";
const BOOT: Duration = Duration::from_mins(1);
const COMMAND: Duration = Duration::from_mins(1);
/// Room for a few bursts of long frames; the kernel may grant less.
const SOCKET_BUFFER: usize = 4 << 20;

/// A running kernel. Its network card is `vec0`, which is down: once it was up it must stay so, since User-Mode Linux
/// closes the socket with it.
#[derive(Debug)]
pub struct Uml {
    console: Mutex<Console>,
    _socket: Option<Bound>,
}

/// Its console: one line in, its answer out.
#[derive(Debug)]
struct Console {
    process: UmlProcess,
    /// The line that was not answered, if one was not. Whatever comes after it may be its late answer, so nothing more
    /// is asked.
    unanswered: Option<String>,
}

/// The name of a network card in the file system, which goes with it.
#[derive(Debug)]
struct Bound(PathBuf);

impl Drop for Bound {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
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
        let bound = Bound(own.to_owned());
        socket.connect(gateway)?;
        Ok(Self { _socket: Some(bound), ..Self::boot(socket)? })
    }

    /// Boots one whose network card is this connected socket. Takes about two seconds.
    ///
    /// # Errors
    /// When the kernel does not come up; the error shows its last words.
    pub fn boot(card: UnixDatagram) -> io::Result<Self> {
        rustix::net::sockopt::set_socket_send_buffer_size(&card, SOCKET_BUFFER)?;
        rustix::net::sockopt::set_socket_recv_buffer_size(&card, SOCKET_BUFFER)?;
        let mut launch = Launch::new()?;
        let init = furnish(launch.directory())?;
        launch.arg("mem=192M").arg(&format!("init={}", init.display()));
        launch.arg(&format!("vec0:transport=fd,fd={},depth=64", card.as_raw_fd()));
        // The kernel inherits its card. Another program started in this instant would too, and never use it.
        rustix::io::fcntl_setfd(card.as_fd(), FdFlags::empty())?;
        let mut process = launch.start(Command::spawn)?;
        drop(card);
        process.until("@READY", BOOT)?;
        let uml = Self { console: Mutex::new(Console { process, unanswered: None }), _socket: None };
        uml.sh("modprobe ipv6")?;
        Ok(uml)
    }

    /// Why it is of no use any more, in a few words behind "User-Mode Linux"; none while it is.
    #[must_use]
    pub fn lost(&self) -> Option<String> {
        let console = self.console.lock().unwrap_or_else(PoisonError::into_inner);
        console.process.end().or_else(|| Some(format!("did not answer `{}`", console.unanswered.as_ref()?)))
    }
}

/// Puts into the kernel's own directory what it runs first, and where it finds modules.
fn furnish(directory: &Path) -> io::Result<PathBuf> {
    for (name, script) in [("init.sh", INIT), ("modprobe.sh", MODPROBE)] {
        let path = directory.join(name);
        fs::write(&path, script)?;
        fs::set_permissions(&path, Permissions::from_mode(0o755))?;
    }
    let modules = directory.join("modules/lib");
    fs::create_dir_all(&modules)?;
    symlink(MODULES, modules.join("modules"))?;
    Ok(directory.join("init.sh"))
}

impl Host for Uml {
    /// The line succeeds as a whole if its last command does.
    fn sh(&self, line: &str) -> io::Result<String> {
        let mut console = self.console.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = &console.unanswered {
            return Err(failed(line, &format!("User-Mode Linux did not answer `{before}` before")));
        }
        console.process.tell(&line.replace('\n', "; "))?;
        let answer = console.process.until("@RC ", COMMAND);
        if answer.is_err() {
            console.unanswered = Some(line.to_owned());
        }
        let (printed, code) = answer?;
        let printed = printed.join("\n");
        if code == "0" { Ok(printed) } else { Err(failed(line, &printed)) }
    }

    fn background(&self, line: &str) -> io::Result<()> {
        self.sh(&format!("{line} > /dev/null 2>&1 < /dev/null &")).map(|_| ())
    }
}
