//! The matrix by itself: it tells failures from what did not run, and leaves nothing behind, however it ends.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use transload_lab::{need, uml};

/// A run of its own: everything it makes is below its directory, and every process it starts knows that name.
struct Run {
    process: Child,
    directory: TempDir,
}

impl Run {
    fn start(arguments: &[&str]) -> Self {
        Self::start_where(&std::env::var("PATH").unwrap(), arguments)
    }

    /// Where programs are looked for on this path.
    fn start_where(path: &str, arguments: &[&str]) -> Self {
        let directory = tempfile::Builder::new().prefix("mx-").tempdir().unwrap();
        fs::create_dir(directory.path().join("tmp")).unwrap();
        let process = Command::new(env!("CARGO_BIN_EXE_interop"))
            .args(arguments)
            .arg("--out")
            .arg(directory.path().join("out"))
            .env("TMPDIR", directory.path().join("tmp"))
            .env("PATH", path)
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
    let place = tempfile::tempdir().unwrap();
    let junit = place.path().join("junit.xml").display().to_string();
    let (code, report) = Run::start(&[&PEERS[..], &["--case", "fails-on-purpose", "--junit", &junit]].concat()).ended();
    assert!(fs::read_to_string(junit).unwrap().contains("tests=\"3\" skipped=\"0\" failures=\"3\""));
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

/// What a User-Mode Linux prints whose registers the processor's kernel does not take.
const WORDS: &str = "userspace - ptrace set fp regs failed, errno = 14";

/// A path that finds this script first where `linux.uml` is looked for. The name is always the same.
fn path_with(name: &str, script: &str) -> String {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&directory).unwrap();
    let program = directory.join("linux.uml");
    fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    format!("{}:{}", directory.display(), std::env::var("PATH").unwrap())
}

/// The reasons of all cells that were not run.
fn not_run(report: &Value) -> Vec<String> {
    let cells = report["cases"][0]["cells"].as_array().unwrap().iter();
    cells.filter_map(|cell| Some(cell["outcome"]["not_run"].as_str()?.to_owned())).collect()
}

#[test]
fn a_user_mode_linux_that_dies_at_its_start_is_listed_with_its_last_words() {
    need!(ip, ping);
    let path = path_with("dying-uml", &format!("echo '{WORDS}'\nkill -ABRT $$"));
    let mut list = Command::new(env!("CARGO_BIN_EXE_interop"));
    let output = list.args(["--list", "--peer", "uml"]).env("PATH", path).output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let reason = "uml-vxlan        not here: needs a User-Mode Linux that starts: it has ended by signal 6";
    assert!(printed.contains(reason) && printed.contains(WORDS), "{printed}");
    assert!(printed.contains("uml-gre6         not here, as above\n"), "{printed}");
}

#[test]
fn a_user_mode_linux_that_dies_at_its_start_leaves_the_others_to_run() {
    need!(root, ip, ping, vxlan, ovs, ethtool);
    let path = path_with("dying-uml", &format!("echo '{WORDS}'\nkill -ABRT $$"));
    let arguments = [&PEERS[..], &["--peer", "uml-gre", "--case", "arp-and-ping"]].concat();
    for (strict, code) in [(&[][..], Some(0)), (&["--strict"], Some(1))] {
        let (ended, report) = Run::start_where(&path, &[&arguments[..], strict].concat()).ended();
        let report = report.unwrap();
        assert_eq!(ended, code, "{report:#}");
        assert_eq!((&report["totals"]["passed"], &report["totals"]["failed"]), (&6.into(), &0.into()));
        let why = not_run(&report);
        assert!(why.len() == 1 && why[0].contains(WORDS), "{why:?}");
    }
}

#[test]
fn a_peer_that_does_not_come_up_is_left_out_of_the_run() {
    need!(root, ip, ping, vxlan, uml);
    // It starts where somebody only looks whether it does, with less memory than a peer.
    let real = uml::find().unwrap();
    let script =
        format!("case \"$*\" in *mem=64M*) exec {} \"$@\";; esac\necho '{WORDS}'\nkill -ABRT $$", real.display());
    let path = path_with("sometimes-dying-uml", &script);
    let arguments = ["--peer", "kernel", "--peer", "uml-gre", "--case", "arp-and-ping"];
    let mut run = Run::start_where(&path, &arguments);
    run.until("uml does not come up and is left out: User-Mode Linux has ended by signal 6");
    let kept = fs::read_dir(run.directory.path().join("out")).unwrap().map(|entry| entry.unwrap().path());
    let kept = kept.into_iter().find(|path| path.extension().is_some_and(|extension| extension == "log")).unwrap();
    assert_eq!(fs::read_to_string(&kept).unwrap().trim(), WORDS);
    let (code, report) = run.ended();
    let report = report.unwrap();
    assert_eq!(code, Some(0), "{report:#}");
    assert_eq!((&report["totals"]["passed"], &report["totals"]["failed"]), (&2.into(), &0.into()));
    let why = not_run(&report);
    assert!(why.len() == 1 && why[0].contains(WORDS) && why[0].contains(kept.to_str().unwrap()), "{why:?}");
    assert!(report["absent"].as_array().unwrap().iter().any(|absent| absent["name"] == "uml-gre"));
    assert!(report["sites"].as_array().unwrap().iter().all(|site| site["stack"] == "kernel"));
}

#[test]
fn a_peer_and_the_gateway_restart_and_carry_again() {
    need!(root, ip, ping, vxlan, ovs, ethtool);
    let cases = ["--case", "peer-restarts", "--case", "gateway-restarts", "--strict"];
    let (code, report) = Run::start(&[&PEERS[..], &cases].concat()).ended();
    let report = report.unwrap();
    assert_eq!(code, Some(0), "{report:#}");
    // While the switch was away, two sites of the kernel went on; all three came back, and all three carried again.
    assert_eq!(report["totals"]["passed"], 1 + 3 + 3);
}

#[test]
fn what_cannot_run_is_no_pass_and_fails_a_strict_run() {
    // Nobody has this peer, so nothing is built and there is nothing to pass.
    for arguments in [
        &["--peer", "nobody"][..],
        &["--peer", "ovs", "--peer", "nobody"],
        &["--case", "nothing-is-called-so"],
        &["--case", "udp", "--case", "nothing-is-called-so"],
        &["--case", "udp", "--junit", "/dev/null/junit.xml"],
    ] {
        assert_eq!(Run::start(arguments).ended().0, Some(2), "{arguments:?}");
    }
}
