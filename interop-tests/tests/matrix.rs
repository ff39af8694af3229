//! The matrix by itself: it tells failures from what did not run, and leaves nothing behind, however it ends.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use transload_lab::need;

/// A run of its own: everything it makes is below its directory, and every process it starts knows that name.
struct Run {
    process: Child,
    directory: TempDir,
}

impl Run {
    fn start(arguments: &[&str]) -> Self {
        let directory = tempfile::Builder::new().prefix("mx-").tempdir().unwrap();
        fs::create_dir(directory.path().join("tmp")).unwrap();
        let process = Command::new(env!("CARGO_BIN_EXE_interop"))
            .args(arguments)
            .arg("--out")
            .arg(directory.path().join("out"))
            .env("TMPDIR", directory.path().join("tmp"))
            .stdout(Stdio::null())
            .stderr(fs::File::create(directory.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        Self { process, directory }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap()
    }

    /// Waits until it says so.
    fn until(&mut self, words: &str) {
        let end = Instant::now() + Duration::from_mins(2);
        while !self.log().contains(words) {
            assert!(self.process.try_wait().unwrap().is_none(), "it has ended: {}", self.log());
            assert!(Instant::now() < end, "no `{words}`: {}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Its exit code, once it has ended; nothing of it may be left.
    fn ended(mut self) -> (Option<i32>, Option<Value>) {
        let code = self.process.wait().unwrap().code();
        let tmp = self.directory.path().join("tmp");
        let left: Vec<_> = fs::read_dir(&tmp).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(left.is_empty(), "it left {left:?}");
        let processes = processes_of(self.directory.path());
        assert!(processes.is_empty(), "it left {processes:?}");
        let report = fs::read_to_string(self.directory.path().join("out/report.json")).ok();
        (code, report.map(|report| serde_json::from_str(&report).unwrap()))
    }

    /// The process that builds and runs, below the one that was started.
    fn worker(&self) -> Pid {
        let children = format!("/proc/{0}/task/{0}/children", self.process.id());
        let children = fs::read_to_string(children).unwrap();
        Pid::from_raw(children.split_whitespace().next().unwrap().parse().unwrap()).unwrap()
    }
}

/// The command lines of processes that were started with this directory for temporary files.
fn processes_of(directory: &Path) -> Vec<String> {
    let mark = directory.join("tmp").display().to_string();
    let processes = fs::read_dir("/proc").unwrap().filter_map(Result::ok).map(|entry| entry.path());
    let is_of = |process: &Path| {
        fs::read(process.join("environ")).is_ok_and(|environ| String::from_utf8_lossy(&environ).contains(&mark))
    };
    let found = processes.filter(|process| is_of(process));
    found.map(|process| fs::read_to_string(process.join("cmdline")).unwrap_or_default()).collect()
}

const PEERS: [&str; 4] = ["--peer", "kernel", "--peer", "ovs-gre"];

#[test]
fn what_holds_is_told_and_nothing_is_left() {
    need!(root, ip, ping, vxlan, ovs, ethtool);
    let run = Run::start(&[&PEERS[..], &["--case", "arp-and-ping", "--strict"]].concat());
    let (code, report) = run.ended();
    let report = report.unwrap();
    assert_eq!(code, Some(0), "{report:#}");
    assert_eq!(report["totals"]["passed"], 6);
    assert_eq!(report["cases"][0]["proved_against"], serde_json::json!(["Linux", "Open vSwitch"]));
}

#[test]
fn a_case_that_fails_is_told_and_nothing_is_left() {
    need!(root, ip, ping, vxlan, ovs, ethtool);
    let (code, report) = Run::start(&[&PEERS[..], &["--case", "fails-on-purpose"]].concat()).ended();
    let report = report.unwrap();
    assert_eq!(code, Some(1));
    assert_eq!((&report["totals"]["passed"], &report["totals"]["failed"]), (&0.into(), &3.into()));
    assert_eq!(report["cases"][0]["proved_against"], serde_json::json!([]));
}

#[test]
fn ctrl_c_in_the_middle_leaves_nothing() {
    need!(root, ip, ping, vxlan, ovs, ethtool);
    let mut run = Run::start(&[&PEERS[..], &["--case", "arp-and-ping", "--case", "payloads"]].concat());
    run.until("arp-and-ping");
    kill_process(Pid::from_child(&run.process), Signal::INT).unwrap();
    assert_eq!(run.ended().0, Some(130));
}

#[test]
fn a_run_that_dies_in_the_middle_leaves_no_process() {
    need!(root, ip, ping, vxlan, ovs, ethtool);
    let mut run = Run::start(&PEERS);
    run.until("starting the gateway");
    kill_process(run.worker(), Signal::KILL).unwrap();
    assert_eq!(run.ended().0, Some(128 + 9));
}

#[test]
fn what_cannot_run_is_no_pass_and_fails_a_strict_run() {
    // Nobody has this peer, so nothing is built and there is nothing to pass.
    for (arguments, code) in [(&["--peer", "nobody"][..], 2), (&["--case", "nothing-is-called-so"], 2)] {
        assert_eq!(Run::start(arguments).ended().0, Some(code), "{arguments:?}");
    }
}
