//! A running gateway between two Unix sockets, with its log where the test wants it. It needs no privilege.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use transload_lab::{PATIENCE, obtained};

/// One tenant behind both.
pub const TENANT: &str =
    "tenants: { t: { attachments: { a: { port: a, untagged: true }, b: { port: b, untagged: true } } } }\n";

/// The gateway, its directory, and the hosts behind its ports `a` and `b`.
pub struct Gateway {
    pub directory: TempDir,
    pub child: Child,
    pub hosts: [UnixDatagram; 2],
}

impl Gateway {
    /// The gateway of a file with these ports and `rest`, started with `args` of `run` too.
    pub fn start(rest: &str, args: &[&str], log: impl Into<Stdio>) -> Self {
        Self::start_by(Command::new(env!("CARGO_BIN_EXE_transload")), tempfile::tempdir().unwrap(), rest, args, log)
    }

    /// The same by another command, to which the words of `run` are given, in this directory.
    pub fn start_by(
        mut command: Command,
        directory: TempDir,
        rest: &str,
        args: &[&str],
        log: impl Into<Stdio>,
    ) -> Self {
        let at = |name: &str| directory.path().join(name);
        fs::write(at("gateway.yaml"), yaml(&directory, rest)).unwrap();
        command.arg("run").arg(at("gateway.yaml")).arg("--admin").arg(at("admin.sock")).args(args);
        let child = command.stdin(Stdio::null()).env_remove("RUST_LOG").stderr(log).spawn().unwrap();
        let hosts = ["host-a", "host-b"].map(|name| UnixDatagram::bind(at(name)).unwrap());
        let gateway = Self { directory, child, hosts };
        gateway.answers("log");
        gateway
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes the file anew, with another `rest`.
    pub fn write(&self, rest: &str) {
        fs::write(self.path("gateway.yaml"), yaml(&self.directory, rest)).unwrap();
    }

    /// A verb that asks this gateway.
    pub fn verb<S: AsRef<OsStr>>(&self, words: &[S]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_transload"));
        command.args(words).arg("--socket").arg(self.path("admin.sock"));
        command
    }

    pub fn ask(&self, words: &[&str]) -> Output {
        self.verb(words).output().unwrap()
    }

    /// The rows of a question, once the gateway answers it.
    pub fn answers(&self, what: &str) -> serde_json::Value {
        let answer = obtained("an answer", || {
            let output = self.ask(&["show", what, "--json"]);
            output.status.success().then_some(output.stdout)
        });
        serde_json::from_slice(&answer).unwrap()
    }

    /// Sends a frame to a port, from the host behind it.
    pub fn send(&self, port: &str, frame: &[u8]) {
        let host = &self.hosts[usize::from(port != "a")];
        host.send_to(frame, self.path(port)).unwrap();
    }

    /// Has it stop as an operator would. Returns how it ended, and after how long.
    pub fn stop(mut self) -> (ExitStatus, Duration) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait().unwrap() {
                return (status, begin.elapsed());
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("it does not stop");
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The file: both ports, each with a MAC address and a neighbour for tunnels, and the rest.
fn yaml(directory: &TempDir, rest: &str) -> String {
    let mut yaml = "version: 1\nports:\n".to_owned();
    for port in ["a", "b"] {
        let local = directory.path().join(port);
        writeln!(
            yaml,
            "  {port}: {{ io: {{ unix: {{ local: \"{}\" }} }}, mac: \"02:aa:00:00:00:0{port}\", next_hops: {{ 192.0.2.9: \
             \"02:00:00:00:00:fe\" }} }}",
            local.display()
        )
        .unwrap();
    }
    yaml + rest
}
