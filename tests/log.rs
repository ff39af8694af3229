//! The log of a running gateway cannot end it, stop it or fill a disk.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::Value;

#[path = "common/sockets.rs"]
#[expect(unreachable_pub, reason = "it is of several test binaries")]
mod sockets;

use sockets::{Gateway, TENANT};
use transload_lab::{eventually, obtained};

/// Hosts whose MAC address moves once: each is worth a line.
const MOVERS: u16 = 3_000;

fn start(args: &[&str], log: impl Into<Stdio>) -> Gateway {
    Gateway::start(TENANT, args, log)
}

/// Has every mover speak behind both ports.
fn upset(gateway: &Gateway) {
    for port in ["a", "b"] {
        for n in 0..MOVERS {
            let mut frame = [0xff; 60];
            let [high, low] = n.to_be_bytes();
            frame[6..12].copy_from_slice(&[2, 0, 0, 0, high, low]);
            frame[12..14].copy_from_slice(&[0x88, 0xb5]);
            gateway.send(port, &frame);
            // A socket takes a few hundred frames that nobody has read yet.
            if n % 100 == 0 {
                thread::sleep(Duration::from_millis(2));
            }
        }
    }
    let moved = |row: &serde_json::Value| row["held_back"].as_u64() > Some(1_000);
    eventually("the addresses move", || gateway.answers("log").as_array().unwrap().iter().any(moved));
}

#[test]
fn a_tenant_whose_addresses_move_does_not_fill_the_log() {
    let keeper = tempfile::tempdir().unwrap();
    let file = keeper.path().join("log");
    let gateway = start(&[], File::create(&file).unwrap());
    upset(&gateway);
    assert!(gateway.stop().0.success());
    let log = fs::read_to_string(&file).unwrap();
    let lines = |words: &str| log.lines().filter(|line| line.contains(words)).count();
    assert!((10..200).contains(&lines("moved from")), "{log}");
    // One a period, of which there are several where the moves take long.
    assert!((1..10).contains(&lines("more like this: t: 02:00:00:00:")), "{log}");
    assert_eq!(lines("stopped"), 1, "{log}");
}

#[test]
fn a_log_on_a_full_disk_is_a_count() {
    let gateway = start(&[], File::options().write(true).open("/dev/full").unwrap());
    upset(&gateway);
    eventually("lines are lost", || gateway.answers("log")[0]["lost"].as_u64() > Some(10));
    assert!(gateway.stop().0.success());
}

#[test]
fn a_log_whose_reader_is_gone_is_a_count() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let gateway = start(&[], writer);
    upset(&gateway);
    eventually("lines are lost", || gateway.answers("log")[0]["lost"].as_u64() > Some(10));
    assert!(gateway.stop().0.success());
}

#[test]
fn a_log_that_nobody_reads_keeps_nobody_waiting() {
    let (mut reader, writer) = std::io::pipe().unwrap();
    // No more than one page waits in the pipe: a few dozen lines.
    rustix::pipe::fcntl_setpipe_size(&writer, 4_096).unwrap();
    let gateway = start(&[], writer);
    upset(&gateway);
    assert!(gateway.stop().0.success(), "whoever waits for a reader does not end");
    let mut log = String::new();
    reader.read_to_string(&mut log).unwrap();
    assert!(log.contains("ready: "), "what was written can still be read: {log}");
}

/// Starts a gateway, has its file read again, once with a mistake, and stops it. Returns what it wrote.
fn short_life(args: &[&str]) -> String {
    let keeper = tempfile::tempdir().unwrap();
    let file = keeper.path().join("log");
    let gateway = start(args, File::create(&file).unwrap());
    gateway.write(&TENANT.replace("b: { port: b", "c: { port: b"));
    assert!(gateway.ask(&["reload"]).status.success());
    gateway.write(&TENANT.replace("port: b", "port: nowhere"));
    assert!(!gateway.ask(&["reload"]).status.success());
    assert!(gateway.stop().0.success());
    fs::read_to_string(&file).unwrap()
}

#[test]
fn the_log_is_lines_of_text_unless_told_otherwise() {
    for args in [&[][..], &["--log-format", "text"]] {
        let log = short_life(args);
        let line = |words: &str| log.lines().find(|line| line.contains(words)).unwrap_or_else(|| panic!("{log}"));
        assert!(line("ready: ").contains("Z  INFO ready: 2 ports, "), "{log}");
        assert!(line("reload rejected").contains("Z ERROR reload rejected, running configuration unchanged:"), "{log}");
        assert!(!log.contains('\x1b') && !log.contains("reload_refused"), "{log}");
    }
}

#[test]
fn the_log_as_json_is_an_object_a_line_with_the_events_name_and_fields() {
    let log = short_life(&["--log-format", "json"]);
    let rows: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for row in &rows {
        assert!(row["time"].as_str().is_some_and(|time| time.len() == 27 && time.ends_with('Z')), "{row}");
        assert!(
            row["message"].is_string() && ["error", "warn", "info"].contains(&row["level"].as_str().unwrap()),
            "{row}"
        );
    }
    let named = |name: &str| rows.iter().find(|row| row["event"] == name).unwrap_or_else(|| panic!("{log}"));
    assert!(named("started")["socket"].as_str().unwrap().ends_with("admin.sock"));
    assert_eq!(named("reload_done")["count"], named("reload_done")["changes"].as_array().unwrap().len());
    let refused = named("reload_refused");
    assert!(refused["level"] == "error" && refused["why"].as_str().unwrap().contains("nowhere"), "{refused}");
    assert_eq!(rows.last().unwrap()["event"], "stopped");
}

/// Runs a gateway where a journal listens at its usual place: in a mount namespace, on a `/run` of its own.
fn with_journal(directory: &std::path::Path) -> Command {
    let mut command = Command::new("unshare");
    let script = "mount -t tmpfs run /run && mkdir -p /run/systemd/journal && mount --bind \"$0\" /run/systemd/journal && \
                  exec \"$@\"";
    command.args(["--map-root-user", "--mount", "sh", "-c", script]).arg(directory);
    command.arg(env!("CARGO_BIN_EXE_transload"));
    command
}

/// Whether this machine lets us have mounts of our own.
fn has_namespaces() -> bool {
    let output =
        Command::new("unshare").args(["--map-root-user", "--mount", "mount", "-t", "tmpfs", "run", "/run"]).output();
    let is_there = output.is_ok_and(|Output { status, .. }| status.success());
    if !is_there {
        eprintln!("skipped: no mount namespaces here");
    }
    is_there
}

#[test]
fn the_journal_gets_events_with_fields() {
    if !has_namespaces() {
        return;
    }
    let keeper = tempfile::tempdir().unwrap();
    let journal = UnixDatagram::bind(keeper.path().join("socket")).unwrap();
    journal.set_nonblocking(true).unwrap();
    let log = File::create(keeper.path().join("log")).unwrap();
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let command = with_journal(keeper.path());
    let gateway = Gateway::start_by(command, directory, TENANT, &["--log-format", "journald"], log);
    let next = |name: &str| {
        obtained(name, || {
            let mut room = vec![0; 1 << 16];
            let length = journal.recv(&mut room).ok()?;
            let fields = String::from_utf8_lossy(&room[..length]).into_owned();
            fields.contains(&format!("\nTRANSLOAD_EVENT={name}\n")).then_some(fields)
        })
    };
    let started = next("started");
    assert!(started.starts_with("MESSAGE=ready: ") && started.contains("\nPRIORITY=6\n"), "{started}");
    // The calls of a confined gateway are enough for it.
    gateway.write(&TENANT.replace("port: b", "port: nowhere"));
    assert!(!gateway.ask(&["reload"]).status.success());
    assert!(next("reload_refused").contains("\nPRIORITY=3\n"));
    assert!(gateway.stop().0.success());
    next("stopped");
    assert_eq!(fs::read_to_string(keeper.path().join("log")).unwrap(), "", "nothing is said twice");
}

#[test]
fn where_standard_error_goes_to_the_journal_events_do_too_and_else_they_are_lines_of_text() {
    if !has_namespaces() {
        return;
    }
    for (is_stream, has_journal) in [(true, true), (true, false), (false, true)] {
        let keeper = tempfile::tempdir().unwrap();
        let _journal = has_journal.then(|| UnixDatagram::bind(keeper.path().join("socket")).unwrap());
        let path = keeper.path().join("log");
        let log = File::create(&path).unwrap();
        let file = log.metadata().unwrap();
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let mut command = with_journal(keeper.path());
        command.env("JOURNAL_STREAM", format!("{}:{}", file.dev(), file.ino() + u64::from(!is_stream)));
        let gateway = Gateway::start_by(command, directory, TENANT, &[], log);
        assert!(gateway.stop().0.success());
        let log = fs::read_to_string(&path).unwrap();
        assert_eq!(log.contains(" INFO stopped"), !(is_stream && has_journal), "{is_stream} {has_journal}: {log}");
    }
}

#[test]
fn a_journal_that_is_not_there_is_said_at_once() {
    if !has_namespaces() {
        return;
    }
    let script = "mount -t tmpfs run /run && exec \"$0\" run --log-format journald /dev/null";
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--mount", "sh", "-c", script, env!("CARGO_BIN_EXE_transload")]);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("no systemd journal listens on") && said.contains("--log-format text"), "{said}");
}
