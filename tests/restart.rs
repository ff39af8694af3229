//! A gateway that ends and is started again, with or without a warning, and whom `show` believes meanwhile.

use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write as _};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use transload_lab::{PATIENCE, eventually};

/// A directory with a gateway's file, its sockets, and two hosts.
struct Place {
    directory: TempDir,
    hosts: [UnixDatagram; 2],
}

impl Place {
    fn new(settings: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let hosts = ["host-a", "host-b"].map(|name| UnixDatagram::bind(directory.path().join(name)).unwrap());
        let place = Self { directory, hosts };
        place.hosts.iter().for_each(|host| host.set_read_timeout(Some(PATIENCE)).unwrap());
        fs::write(place.path("gateway.yaml"), place.yaml(settings)).unwrap();
        place
    }

    fn yaml(&self, settings: &str) -> String {
        let mut yaml = format!("version: 1\n{settings}\nports:\n");
        for port in ["a", "b"] {
            let (local, remote) = (self.path(port), self.path(&format!("host-{port}")));
            let (local, remote) = (local.display(), remote.display());
            writeln!(yaml, "  {port}: {{ io: {{ unix: {{ local: \"{local}\", remote: \"{remote}\" }} }} }}").unwrap();
        }
        yaml + "tenants: { t: { unknown_unicast: drop, attachments: { a: { port: a, untagged: true }, b: { port: b, \
                untagged: true } } } }\n"
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn command(&self, file: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_transload"));
        command.arg("run").arg(if file == "-" { file.into() } else { self.path(file) });
        command.arg("--admin").arg(self.path("admin.sock")).stdin(Stdio::null());
        let log = fs::File::options().create(true).append(true).open(self.path("log")).unwrap();
        command.env_remove("RUST_LOG").stderr(log);
        command
    }

    /// Starts a gateway that answers.
    fn start(&self) -> Running {
        let running = Running(self.command("gateway.yaml").spawn().unwrap());
        eventually("the gateway answers", || self.show().status.success());
        running
    }

    fn show(&self) -> Output {
        show(&["fdb", "--json", "--socket", self.path("admin.sock").to_str().unwrap()])
    }

    fn fdb(&self) -> Vec<serde_json::Value> {
        let output = self.show();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap()
    }

    /// A host says something to everybody, and is known then.
    fn speak(&self, host: usize) {
        self.hosts[host].send_to(&frame([0xff; 6], mac(host)), self.path(["a", "b"][host])).unwrap();
        let address = format!("02:00:00:00:00:{host:02x}");
        eventually("the host is known", || {
            self.fdb().iter().any(|row| row["mac"] == address && row["source"] == "learned")
        });
    }

    fn sockets(&self) -> Vec<String> {
        let entries = fs::read_dir(self.directory.path()).unwrap().map(|entry| entry.unwrap());
        let sockets = entries.filter(|entry| entry.file_type().unwrap().is_socket());
        let mut names: Vec<_> = sockets.map(|entry| entry.file_name().into_string().unwrap()).collect();
        names.retain(|name| !name.starts_with("host-"));
        names
    }
}

/// A gateway, killed when dropped.
struct Running(Child);

impl Running {
    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }

    fn end_by(mut self, signal: Signal) -> Option<i32> {
        self.signal(signal);
        self.0.wait().unwrap().code()
    }

    /// Whether it does something of its own when this signal comes.
    fn catches(&self, signal: Signal) -> bool {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
        u64::from_str_radix(caught.trim(), 16).unwrap() & 1 << (signal.as_raw() - 1) != 0
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn show(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_transload")).arg("show").args(arguments).output().unwrap()
}

fn mac(host: usize) -> [u8; 6] {
    [2, 0, 0, 0, 0, host as u8]
}

fn frame(to: [u8; 6], from: [u8; 6]) -> Vec<u8> {
    [&to[..], &from, &[0x88, 0xb5], &[7; 46]].concat()
}

#[test]
fn a_silent_host_is_reached_after_a_restart() {
    let place = Place::new("");
    let first = place.start();
    place.speak(1);
    assert_eq!(first.end_by(Signal::TERM), Some(0), "{}", place.log());
    let mode = fs::metadata(place.path("admin.sock.state")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let _second = place.start();
    assert_eq!((&place.fdb()[0]["source"], &place.fdb()[0]["via"]), (&"restored".into(), &"b".into()));
    // Unknown unicast is dropped here, so this goes where the host was.
    place.hosts[1].set_nonblocking(true).unwrap();
    while place.hosts[1].recv(&mut [0; 2000]).is_ok() {}
    place.hosts[1].set_nonblocking(false).unwrap();
    place.hosts[0].send_to(&frame(mac(1), mac(0)), place.path("a")).unwrap();
    let mut received = [0; 2000];
    let len = place.hosts[1].recv(&mut received).unwrap();
    assert_eq!(received[..len], frame(mac(1), mac(0)));
    place.speak(1);
    assert_eq!(place.fdb().iter().find(|row| row["via"] == "b").unwrap()["moves"], 0);
}

#[test]
fn a_killed_gateway_forgets_an_interval_at_most() {
    let place = Place::new("state: { interval: 1s }");
    let first = place.start();
    place.speak(1);
    let written = || fs::metadata(place.path("admin.sock.state")).and_then(|found| found.modified()).ok();
    let before = written();
    eventually("it is written", || written().is_some_and(|now| Some(now) != before));
    let again = written();
    eventually("it is written with what was known", || written() != again);
    assert_eq!(first.end_by(Signal::KILL), None);
    let _second = place.start();
    assert_eq!(place.fdb()[0]["source"], "restored");
}

#[test]
fn what_was_written_as_the_user_of_the_file_is_known_after_a_restart() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: only root becomes another user");
        return;
    }
    let place = Place::new("user: nobody");
    fs::set_permissions(place.directory.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let first = place.start();
    place.speak(1);
    assert_eq!(first.end_by(Signal::TERM), Some(0), "{}", place.log());
    let _second = place.start();
    assert_eq!(place.fdb()[0]["source"], "restored", "{}", place.log());
}

#[test]
fn a_state_file_that_cannot_be_used_is_refused_in_words_and_the_gateway_starts() {
    let place = Place::new("");
    let state = place.path("admin.sock.state");
    let first = place.start();
    place.speak(1);
    first.end_by(Signal::TERM);
    let good = fs::read(&state).unwrap();
    let newer = [b"transload state 2", &good[b"transload state 1".len()..]].concat();
    let damaged = [&good[..], b"x"].concat();
    for (bytes, words) in [
        (&newer[..], "it is of version 2, and this transload reads version 1"),
        (&damaged, "it is damaged: its checksum does not match its contents"),
        (b"\x1b]0;hello\x07", "it is no state file of transload"),
    ] {
        fs::write(&state, bytes).unwrap();
        let running = place.start();
        assert!(place.fdb().is_empty());
        eventually("the log says so", || place.log().contains(words));
        running.end_by(Signal::KILL);
        fs::remove_file(place.path("log")).unwrap();
    }
    let off = Place::new("state: off");
    let running = off.start();
    off.speak(1);
    running.end_by(Signal::TERM);
    assert!(!off.path("admin.sock.state").exists());
}

#[test]
fn the_state_file_may_be_elsewhere_and_an_interval_is_a_time() {
    let place = Place::new("");
    let elsewhere = place.path("of its own");
    fs::write(place.path("gateway.yaml"), place.yaml(&format!("state: {{ file: \"{}\" }}", elsewhere.display())))
        .unwrap();
    place.start().end_by(Signal::TERM);
    assert!(elsewhere.exists() && !place.path("admin.sock.state").exists());
    fs::write(place.path("gateway.yaml"), place.yaml("state: { interval: 0s }")).unwrap();
    let output =
        Command::new(env!("CARGO_BIN_EXE_transload")).arg("check").arg(place.path("gateway.yaml")).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("every 0 seconds") && said.contains("write 1s or more, or `state: off`"), "{said}");
}

#[test]
fn signals_of_other_programs_are_ignored_and_sigquit_leaves_nothing_behind() {
    let place = Place::new("");
    let running = place.start();
    for signal in [Signal::USR1, Signal::USR2, Signal::ALARM, Signal::VTALARM, Signal::PROF, Signal::IO, Signal::XFSZ] {
        running.signal(signal);
    }
    thread::sleep(Duration::from_millis(200));
    assert!(place.show().status.success(), "{}", place.log());
    assert_eq!(place.sockets().len(), 3, "two ports and the admin socket: {:?}", place.sockets());
    assert_eq!(running.end_by(Signal::QUIT), Some(0), "{}", place.log());
    assert_eq!(place.sockets(), [""; 0]);
}

#[test]
fn a_hangup_while_it_starts_is_a_reload_and_an_end_is_an_end() {
    let place = Place::new("");
    let mut command = place.command("-");
    // It starts for as long as somebody writes its file.
    let mut running = Running(command.stdin(Stdio::piped()).spawn().unwrap());
    eventually("it listens for signals", || running.catches(Signal::HUP));
    running.signal(Signal::HUP);
    let mut file = running.0.stdin.take().unwrap();
    file.write_all(place.yaml("").as_bytes()).unwrap();
    drop(file);
    eventually("it reloads", || place.log().contains("reload"));
    assert!(place.show().status.success(), "{}", place.log());
    running.end_by(Signal::TERM);

    let mut running = Running(place.command("-").stdin(Stdio::piped()).spawn().unwrap());
    eventually("it listens for signals", || running.catches(Signal::TERM));
    running.signal(Signal::TERM);
    let mut file = running.0.stdin.take().unwrap();
    file.write_all(place.yaml("").as_bytes()).unwrap();
    drop(file);
    assert_eq!(running.0.wait().unwrap().code(), Some(0));
    assert_eq!(place.sockets(), [""; 0]);
}

/// Answers one question after another with these rows, as anybody may on a socket of theirs.
fn pretend(socket: &Path, rows: &'static str) {
    let listener = UnixListener::bind(socket).unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.set_read_timeout(Some(Duration::from_secs(10)));
            if stream.read(&mut [0; 1000]).is_ok_and(|len| len > 0) {
                let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{rows}", rows.len());
            }
        }
    });
}

const LIES: &str = r#"[{"held_back":1,"lost":2}]"#;
const ROWS: &str = "[{\"tenant\":\"\\u001b]0;owned\\u0007\\u009b2J\",\"mac\":\"x\\r\",\"attachment\":\"a\",\"via\":\"b\",\
                    \"source\":\"learned\",\"age\":1,\"here_for\":null,\"moves\":0,\"last_move\":null,\"held_for\":null}]";

/// `show`, with its temporary directory here.
fn show_at(directory: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_transload"));
    command.arg("show").args(arguments).env("TMPDIR", directory).env_remove("XDG_RUNTIME_DIR").output().unwrap()
}

#[test]
fn a_socket_that_anyone_may_have_made_is_not_believed() {
    let place = tempfile::tempdir().unwrap();
    let own = place.path().join(format!("transload-{}", rustix::process::geteuid().as_raw()));
    fs::create_dir(&own).unwrap();
    fs::set_permissions(&own, fs::Permissions::from_mode(0o777)).unwrap();
    pretend(&own.join("admin.sock"), LIES);
    let output = show_at(place.path(), &["log"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("not asked: others may write to"), "{said}");
    assert!(!String::from_utf8(output.stdout).unwrap().contains("HELD BACK"));

    fs::set_permissions(&own, fs::Permissions::from_mode(0o700)).unwrap();
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(&own, Some(65534), None).unwrap();
        let said = String::from_utf8(show_at(place.path(), &["log"]).stderr).unwrap();
        assert!(said.contains("belongs to user 65534, not to user 0"), "{said}");
        std::os::unix::fs::chown(&own, Some(0), None).unwrap();
        std::os::unix::fs::chown(own.join("admin.sock"), Some(65534), None).unwrap();
        let said = String::from_utf8(show_at(place.path(), &["log"]).stderr).unwrap();
        assert!(said.contains("admin.sock is of user 65534"), "{said}");
    }
}

#[test]
fn what_a_socket_or_a_file_says_moves_no_cursor() {
    let place = tempfile::tempdir().unwrap();
    let socket = place.path().join("admin.sock");
    pretend(&socket, ROWS);
    let asked = show(&["fdb", "--socket", socket.to_str().unwrap()]);
    let shown = String::from_utf8(asked.stdout).unwrap();
    assert!(shown.contains(r"\u{1b}]0;owned\u{7}\u{9b}2J"), "{shown:?} {}", String::from_utf8_lossy(&asked.stderr));
    assert!(shown.chars().all(|c| !c.is_control() || c == '\n'), "{shown:?}");

    let file = place.path().join("gateway.yaml");
    for text in [
        "version: 1\nports:\n  a: { device: \"\\e[2Jeth0\", mtu: \"\\e]0;x\\a\" }\n",
        "version: 1\nporst: \"\u{1b}[2J\"\n",
        "version: 1\ninclude: \"\\e[2J.yaml\"\n",
    ] {
        fs::write(&file, text).unwrap();
        for verb in ["check", "run"] {
            let output = Command::new(env!("CARGO_BIN_EXE_transload")).arg(verb).arg(&file).output().unwrap();
            let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
            assert!(!said.is_empty() && said.chars().all(|c| !c.is_control() || c == '\n' || c == '\t'), "{said:?}");
        }
    }
}
