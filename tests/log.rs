//! The log of a running gateway cannot end it, stop it or fill a disk.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(20);
/// Hosts whose MAC address moves once: each is worth a line.
const MOVERS: u16 = 3_000;

/// A gateway between two sockets, with its log where the test wants it.
struct Gateway {
    directory: TempDir,
    child: Child,
    hosts: [UnixDatagram; 2],
}

impl Gateway {
    fn start(log: impl Into<Stdio>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let mut yaml = "version: 1\nports:\n".to_owned();
        for port in ["a", "b"] {
            writeln!(yaml, "  {port}: {{ io: {{ unix: {{ local: \"{}\" }} }} }}", at(port).display()).unwrap();
        }
        yaml += "tenants: { t: { attachments: { a: { port: a, untagged: true }, b: { port: b, untagged: true } } } }\n";
        fs::write(at("gateway.yaml"), yaml).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_transload"));
        command.arg("run").arg(at("gateway.yaml")).arg("--admin").arg(at("admin.sock")).stdin(Stdio::null());
        let child = command.env_remove("RUST_LOG").stderr(log).spawn().unwrap();
        let hosts = ["host-a", "host-b"].map(|name| UnixDatagram::bind(at(name)).unwrap());
        let gateway = Self { directory, child, hosts };
        gateway.answers();
        gateway
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The rows of a question, once the gateway answers it.
    fn answers(&self) -> serde_json::Value {
        let begin = Instant::now();
        loop {
            let mut command = Command::new(env!("CARGO_BIN_EXE_transload"));
            let output =
                command.args(["show", "log", "--json", "--socket"]).arg(self.path("admin.sock")).output().unwrap();
            if output.status.success() {
                return serde_json::from_slice(&output.stdout).unwrap();
            }
            assert!(begin.elapsed() < PATIENCE, "no answer: {}", String::from_utf8_lossy(&output.stderr));
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Has every mover speak behind both ports.
    fn upset(&self) {
        for (port, host) in ["a", "b"].iter().zip(&self.hosts) {
            for n in 0..MOVERS {
                let mut frame = [0xff; 60];
                let [high, low] = n.to_be_bytes();
                frame[6..12].copy_from_slice(&[2, 0, 0, 0, high, low]);
                frame[12..14].copy_from_slice(&[0x88, 0xb5]);
                host.send_to(&frame, self.path(port)).unwrap();
                // A socket takes a few hundred frames that nobody has read yet.
                if n % 100 == 0 {
                    thread::sleep(Duration::from_millis(2));
                }
            }
        }
        let moved = |row: &serde_json::Value| row["held_back"].as_u64() > Some(1_000);
        let begin = Instant::now();
        while !self.answers().as_array().unwrap().iter().any(moved) {
            assert!(begin.elapsed() < PATIENCE, "the addresses did not move: {}", self.answers());
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Has it stop as an operator would. Returns how it ended, and after how long.
    fn stop(mut self) -> (ExitStatus, Duration) {
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

#[test]
fn a_tenant_whose_addresses_move_does_not_fill_the_log() {
    let keeper = tempfile::tempdir().unwrap();
    let file = keeper.path().join("log");
    let gateway = Gateway::start(File::create(&file).unwrap());
    gateway.upset();
    assert!(gateway.stop().0.success());
    let log = fs::read_to_string(&file).unwrap();
    let lines = |words: &str| log.lines().filter(|line| line.contains(words)).count();
    assert!((10..200).contains(&lines("moved from")), "{log}");
    assert_eq!(lines("more like this: t: 02:00:00:00:"), 1, "{log}");
    assert_eq!(lines("stopped"), 1, "{log}");
}

#[test]
fn a_log_on_a_full_disk_is_a_count() {
    let gateway = Gateway::start(File::options().write(true).open("/dev/full").unwrap());
    gateway.upset();
    assert!(gateway.answers()[0]["lost"].as_u64() > Some(10));
    assert!(gateway.stop().0.success());
}

#[test]
fn a_log_whose_reader_is_gone_is_a_count() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let gateway = Gateway::start(writer);
    gateway.upset();
    assert!(gateway.answers()[0]["lost"].as_u64() > Some(10));
    assert!(gateway.stop().0.success());
}

#[test]
fn a_log_that_nobody_reads_keeps_nobody_waiting() {
    let (mut reader, writer) = std::io::pipe().unwrap();
    // No more than one page waits in the pipe: a few dozen lines.
    rustix::pipe::fcntl_setpipe_size(&writer, 4_096).unwrap();
    let gateway = Gateway::start(writer);
    gateway.upset();
    let (status, took) = gateway.stop();
    assert!(status.success() && took < Duration::from_secs(5), "{status} after {took:?}");
    let mut log = String::new();
    reader.read_to_string(&mut log).unwrap();
    assert!(log.contains("ready: "), "what was written can still be read: {log}");
}
