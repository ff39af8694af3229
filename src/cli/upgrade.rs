//! The way from one build to another: this program takes the place of a running gateway of another build, as a process of its
//! own with the other's arguments.
//!
//! The running gateway cannot start it: it has given up the right to run programs, and most others.

use std::env;
use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::net::sockopt::socket_peercred;
use rustix::process::geteuid;

use super::Failure;
use crate::admin::client;

/// How often to look whether the new gateway is ready.
const LOOK: Duration = Duration::from_millis(20);
/// How long it may take: a large file takes a while to compile.
const PATIENCE: Duration = Duration::from_mins(5);

/// A running gateway of another build.
pub(super) struct OtherBuild {
    process: i32,
    /// As whom it began to listen.
    user: u32,
    arguments: Vec<OsString>,
    /// Where it was started, unless that is out of sight from here, as in another mount namespace.
    directory: Option<PathBuf>,
}

impl OtherBuild {
    /// The gateway on this socket, if its program is another file than this one, or the file has been exchanged since.
    pub(super) fn on(socket: &Path) -> Result<Option<Self>, Failure> {
        let Ok((process, user)) = listener(socket) else { return Ok(None) };
        let unseen = |error: io::Error| {
            Failure::with_help(
                format!("cannot see which program the gateway on {} is: {error}", socket.display()),
                "run this as the user who runs the gateway, or as root",
            )
        };
        let of = |what: &str| PathBuf::from(format!("/proc/{process}/{what}"));
        let file = |metadata: Metadata| (metadata.dev(), metadata.ino());
        let theirs = fs::metadata(of("exe")).map(file).map_err(unseen)?;
        if theirs == fs::metadata("/proc/self/exe").map(file).map_err(unseen)? {
            return Ok(None);
        }
        let arguments = fs::read(of("cmdline")).map_err(unseen)?;
        let arguments = arguments.split(|byte| *byte == 0).skip(1).filter(|argument| !argument.is_empty());
        let arguments = arguments.map(|argument| OsString::from_vec(argument.to_vec())).collect();
        let directory = fs::read_link(of("cwd")).ok().filter(|directory| directory.is_dir());
        Ok(Some(Self { process, user, arguments, directory }))
    }

    /// Starts this program in its place, and returns once that has taken over: the number of the new process.
    pub(super) fn replace(self, socket: &Path) -> Result<u32, NotReplaced> {
        if let Some(why) = self.kept_by_others() {
            let advice =
                "`systemctl reload` of its unit upgrades it, or this verb as its user and with its environment";
            return Err(NotReplaced { why, advice, goes_on: true });
        }
        let stays = |why: String| NotReplaced { why, advice: RESTART, goes_on: true };
        if self.arguments.iter().any(|argument| argument == "-") {
            return Err(stays("its file came by standard input, which cannot be read again".into()));
        }
        let cannot = |error: io::Error| stays(format!("the new gateway cannot be started: {error}"));
        let mut command = Command::new(env::current_exe().map_err(cannot)?);
        command.stdin(Stdio::null()).stdout(Stdio::null()).process_group(0);
        command.args(self.arguments.iter().filter(|argument| *argument != "--attended" && *argument != "--replace"));
        command.arg("--replace");
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        let mut new = command.spawn().map_err(cannot)?;
        let number = new.id();
        let begin = Instant::now();
        // The socket is there before it has workers; what is asked of it is answered when it has.
        while answering(socket) != i32::try_from(number).ok() || client::ask(socket, "/log", None).is_err() {
            let ended = new.try_wait().ok().flatten();
            if ended.is_none() && begin.elapsed() < PATIENCE {
                thread::sleep(LOOK);
                continue;
            }
            let why = if let Some(status) = ended {
                format!("the new gateway has ended ({status}), and has said why")
            } else {
                // It may have ended just now.
                let _ = new.kill();
                format!("the new gateway does not take over within {} s", PATIENCE.as_secs())
            };
            return Err(NotReplaced { why, advice: RESTART, goes_on: answering(socket) == Some(self.process) });
        }
        Ok(number)
    }

    /// Why a process that we start would not be what this one is: of its user, and in its unit.
    fn kept_by_others(&self) -> Option<String> {
        if self.user != geteuid().as_raw() {
            return Some(format!("it runs as user {}", self.user));
        }
        let of = |process: &str, what: &str| fs::read(format!("/proc/{process}/{what}")).ok();
        let process = self.process.to_string();
        let environment = of(&process, "environ").unwrap_or_default();
        let is_service = environment.split(|byte| *byte == 0).any(|variable| variable.starts_with(b"NOTIFY_SOCKET="));
        (is_service && of(&process, "cgroup") != of("self", "cgroup")).then(|| "it runs as a service".to_owned())
    }
}

const RESTART: &str = "restart it to upgrade it";

/// Why a running gateway was not replaced.
pub(super) struct NotReplaced {
    /// In words.
    pub why: String,
    /// What upgrades it.
    pub advice: &'static str,
    /// Whether it goes on.
    pub goes_on: bool,
}

/// The process that listens on a socket, and as whom it began to.
fn listener(socket: &Path) -> io::Result<(i32, u32)> {
    let peer = socket_peercred(UnixStream::connect(socket)?)?;
    Ok((peer.pid.as_raw_nonzero().get(), peer.uid.as_raw()))
}

/// The process that listens on a socket, if there is one.
fn answering(socket: &Path) -> Option<i32> {
    listener(socket).ok().map(|(process, _)| process)
}
