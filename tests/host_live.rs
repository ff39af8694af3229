//! What `check --host` and `run` say of the machine they are on: every world is a namespace of this process, in which
//! both are run.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use transload_lab::{Host, Namespace, eventually};

#[path = "host_live/causes.rs"]
mod causes;
#[path = "host_live/ipsec.rs"]
mod ipsec;
#[path = "host_live/moments.rs"]
mod moments;
#[path = "host_live/names.rs"]
mod names;
#[path = "host_live/refusals.rs"]
mod refusals;
#[path = "host_live/taken.rs"]
mod taken;

/// A machine with the devices `up1` (192.0.2.1/24) and `ce1`, and a gateway's file.
struct World {
    namespace: Namespace,
    directory: TempDir,
    file: String,
}

const FILE: &str = "
version: 1
ports:
  up: { device: up1 }
  ce: { device: ce1 }
endpoints:
  fabric: { address: 192.0.2.1, ports: [up] }
peers:
  leaf: { address: 192.0.2.9, encap: vxlan }
tenants:
  blue:
    attachments:
      leaf: { peer: leaf, vni: 100 }
      ce:   { port: ce, untagged: true }
";

/// What became of a gateway.
struct Said {
    /// Whether it is fine.
    ok: bool,
    text: String,
}

impl Said {
    /// Without the line breaks of a diagnostic.
    fn contains(&self, words: &str) -> bool {
        let plain = |text: &str| {
            text.replace(['\n', '|', '│', '·', '×', '⚠', '╰', '─', '▶', '?'], " ")
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" ")
        };
        plain(&self.text).contains(&plain(words))
    }

    fn assert_fine(&self) {
        assert!(self.ok && !self.text.contains("warning") && !self.text.contains("WARN"), "{}", self.text);
    }
}

impl World {
    /// `None`, said loudly, where namespaces cannot be made.
    fn new(test: &str) -> Option<Self> {
        match Namespace::new() {
            Ok(namespace) => {
                let world = Self { namespace, directory: tempfile::tempdir().unwrap(), file: FILE.to_owned() };
                for device in ["up1", "ce1"] {
                    world.sh(&format!("ip link add {device} type veth peer name {device}-far; ip link set dev {device} up; ip link set {device}-far up"));
                }
                world.sh("ip address add 192.0.2.1/24 dev up1; ip address add 2001:db8::1/64 dev up1 nodad");
                Some(world)
            }
            Err(error) => {
                eprintln!("SKIPPED: {test}: network namespaces cannot be made here ({error}); run as root");
                None
            }
        }
    }

    /// The same machine with something else in the file.
    fn with(&self, from: &str, to: &str) -> &Self {
        assert!(self.file.contains(from), "{from}");
        fs::write(self.path(), self.file.replace(from, to)).unwrap();
        self
    }

    fn sh(&self, line: &str) -> String {
        self.namespace.sh(line).unwrap()
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("gateway.yaml")
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("admin.sock")
    }

    fn transload(arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_transload"));
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// `check --host`.
    fn check(&self) -> Said {
        let mut command = Self::transload(&["check", "--host"]);
        let output = self.namespace.enter(|| command.arg(self.path()).output()).unwrap();
        Said { ok: output.status.success(), text: both(output) }
    }

    fn start(&self) -> Gateway {
        let mut command = Self::transload(&["run"]);
        if !fs::read_to_string(self.path()).unwrap().contains("admin:") {
            command.arg("--admin").arg(self.socket());
        }
        command.arg(self.path());
        let child = self.namespace.spawn(&mut command).unwrap();
        let mut gateway = Gateway(Some(child));
        eventually("it answers or ends", || gateway.has_ended() || self.show("ports").status.success());
        gateway
    }

    /// `run`, until it answers or has ended.
    fn run(&self) -> Said {
        self.start().stop()
    }

    /// What both say, who must agree on whether it works.
    fn agreed(&self) -> [Said; 2] {
        let both = [self.check(), self.run()];
        assert_eq!(both[0].ok, both[1].ok, "check --host says\n{}\nrun says\n{}", both[0].text, both[1].text);
        both
    }

    /// Both refuse with these words.
    fn refused(&self, words: &str) {
        for said in self.agreed() {
            assert!(!said.ok && said.contains(words), "{words}\n{}", said.text);
        }
    }

    /// Both work, and warn with these words.
    fn warned(&self, words: &str) {
        for said in self.agreed() {
            assert!(said.ok && said.contains(words), "{words}\n{}", said.text);
        }
    }

    /// Both work without a warning.
    fn fine(&self) {
        self.agreed().iter().for_each(Said::assert_fine);
    }

    fn show(&self, what: &str) -> Output {
        Self::transload(&["show", what, "--socket"]).arg(self.socket()).output().unwrap()
    }

    /// Has a running gateway read its file again.
    fn reload(&self) -> Said {
        let output = Self::transload(&["reload", "--socket"]).arg(self.socket()).output().unwrap();
        Said { ok: output.status.success(), text: both(output) }
    }
}

/// A running gateway, killed when dropped.
struct Gateway(Option<Child>);

impl Gateway {
    fn has_ended(&mut self) -> bool {
        self.0.as_mut().is_none_or(|child| child.try_wait().unwrap().is_some())
    }

    fn stop(mut self) -> Said {
        let mut child = self.0.take().unwrap();
        if child.try_wait().unwrap().is_none() {
            kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
        }
        let output = child.wait_with_output().unwrap();
        Said { ok: output.status.success(), text: both(output) }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn both(output: Output) -> String {
    String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap()
}
