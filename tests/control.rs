//! Control never blocks: whatever has become of the gateway's file, however large it is, and whatever clients of the admin
//! socket do, it answers others meanwhile, and stops when it is told to.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::symlink;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};
use tempfile::TempDir;
use transload_lab::{PATIENCE, eventually};

/// A gateway between two sockets, in a directory of its own.
struct Gateway {
    directory: TempDir,
    child: Child,
}

/// A file with so many tenants, by a pattern; `shift` moves the IDs of one of their sides.
fn file(directory: &Path, tenants: u32, shift: u32) -> String {
    let mut yaml = "version: 1\nports:\n".to_owned();
    for (port, peer) in [("a", 9), ("b", 10)] {
        let local = directory.join(port);
        writeln!(
            yaml,
            "  {port}: {{ io: {{ unix: {{ local: \"{}\" }} }}, mac: \"02:00:00:00:00:0{port}\", next_hops: {{ 192.0.2.{peer}: \
             \"02:00:00:00:00:02\" }} }}",
            local.display()
        )
        .unwrap();
    }
    write!(
        yaml,
        "endpoints: {{ here: {{ address: 192.0.2.1, ports: [a, b] }} }}
peers:
  left: {{ address: 192.0.2.9, encap: vxlan }}
  right: {{ address: 192.0.2.10, encap: vxlan }}
patterns:
  \"cust-{{n}}\":
    for: {{ n: 1-{tenants} }}
    attachments:
      left: {{ peer: left, vni: \"n\" }}
      right: {{ peer: right, vni: \"{}+n\" }}
",
        100_000 + shift
    )
    .unwrap();
    yaml
}

impl Gateway {
    /// One that may have so many descriptors.
    fn start(tenants: u32, descriptors: u64) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::write(at("gateway.yaml"), file(directory.path(), tenants, 0)).unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", &format!("ulimit -n {descriptors}; exec \"$@\""), "sh", env!("CARGO_BIN_EXE_transload")]);
        command.arg("run").arg(at("gateway.yaml")).arg("--admin").arg(at("admin.sock")).stdin(Stdio::null());
        let child = command.env_remove("RUST_LOG").stderr(File::create(at("log")).unwrap()).spawn().unwrap();
        let gateway = Self { directory, child };
        eventually("it is ready", || gateway.log().contains("ready: "));
        gateway
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap()
    }

    fn write(&self, tenants: u32, shift: u32) {
        fs::write(self.path("gateway.yaml"), file(self.directory.path(), tenants, shift)).unwrap();
    }

    fn connect(&self) -> UnixStream {
        UnixStream::connect(self.path("admin.sock")).unwrap()
    }

    /// A client that has sent this request.
    fn asks(&self, request: &str) -> UnixStream {
        let mut client = self.connect();
        // One that was refused need not have been read.
        let _ = client.write_all(format!("{request} HTTP/1.0\r\n\r\n").as_bytes());
        client
    }

    /// What `transload VERB` says to the gateway: whether it succeeded, and what it printed.
    fn told(&self, words: &[&str]) -> (bool, String) {
        let socket = self.path("admin.sock");
        told(&[words, &["--socket", socket.to_str().unwrap()]].concat())
    }

    fn answers(&self) {
        let (is_answered, said) = self.told(&["show", "ports"]);
        assert!(is_answered && said.contains("02:00:00:00:00:0a"), "{said}");
    }

    fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap().count()
    }

    /// What it holds of memory, and the most that it ever held, in KiB.
    fn memory(&self) -> [u64; 2] {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        ["VmRSS:", "VmHWM:"].map(|key| {
            let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
            line.trim().trim_end_matches(" kB").parse().unwrap()
        })
    }

    /// Has it stop as an operator would. Returns how long that took, and its log.
    fn stop(mut self) -> (Duration, String) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        let begin = Instant::now();
        let mut status = None;
        eventually("it stops", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        let log = self.log();
        assert!(status.unwrap().success(), "{log}");
        (begin.elapsed(), log)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs `transload`, which must not take for ever. Whether it succeeded, and all that it printed.
fn told(words: &[&str]) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_transload"));
    let mut child =
        command.args(words).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (mut out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let begin = Instant::now();
    let watch = thread::spawn(move || {
        let mut said = String::new();
        out.read_to_string(&mut said).unwrap();
        err.read_to_string(&mut said).unwrap();
        said
    });
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if watch.is_finished() || begin.elapsed() < PATIENCE {
            thread::sleep(Duration::from_millis(10));
            continue;
        }
        child.kill().unwrap();
        panic!("`transload {}` hangs", words.join(" "));
    };
    (status.success(), watch.join().unwrap())
}

fn answer(mut client: UnixStream) -> String {
    let mut answer = String::new();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    let _ = client.read_to_string(&mut answer);
    answer
}

/// Makes room for more clients than a process may usually have descriptors.
fn many_descriptors() {
    let most = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: most.map(|most| most.min(8_192)).or(Some(8_192)), maximum: most })
        .unwrap();
}

/// Puts something else in the place of a file, and says what it is.
fn in_place_of(path: &Path, what: &str) -> &'static str {
    let _ = fs::remove_file(path);
    let _ = fs::remove_dir(path);
    match what {
        "fifo" => {
            mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
            "a FIFO"
        }
        "zero" => {
            symlink("/dev/zero", path).unwrap();
            "a device"
        }
        "folder" => {
            fs::create_dir(path).unwrap();
            "a directory"
        }
        _ => {
            drop(UnixDatagram::bind(path).unwrap());
            "a socket"
        }
    }
}

#[test]
fn what_is_no_regular_file_is_refused_by_its_path_at_the_start_by_check_and_at_a_reload() {
    let gateway = Gateway::start(2, 256);
    let path = gateway.path("gateway.yaml");
    for what in ["fifo", "zero", "folder", "socket"] {
        let kind = in_place_of(&path, what);
        let words = format!("cannot read {}: it is {kind}, and a configuration is a regular file", path.display());
        for verb in ["check", "run"] {
            let (ok, said) = told(&[verb, path.to_str().unwrap()]);
            assert!(!ok && said.replace("\n  │ ", " ").contains(&words), "{verb}: {said}");
        }
        let (ok, said) = gateway.told(&["reload"]);
        assert!(!ok && said.contains(&words), "{said}");
        gateway.answers();
        fs::remove_file(&path).or_else(|_| fs::remove_dir(&path)).unwrap();
    }
    gateway.write(3, 0);
    assert!(gateway.told(&["reload"]).1.contains("+ tenant cust-3"));
}

#[test]
fn what_an_include_finds_that_is_no_regular_file_is_refused_and_no_tenant_vanishes_without_a_word() {
    let gateway = Gateway::start(2, 256);
    let part = gateway.path("red.yaml");
    let yaml = format!("{}include: \"*d.yaml\"\n", file(gateway.directory.path(), 2, 0));
    fs::write(gateway.path("gateway.yaml"), yaml).unwrap();
    fs::write(&part, "tenants: { red: { attachments: { left: { peer: left, vni: 7000 } } } }\n").unwrap();
    assert!(gateway.told(&["reload"]).1.contains("+ tenant red"));
    in_place_of(&part, "fifo");
    let (ok, said) = gateway.told(&["reload"]);
    assert!(!ok && said.contains(&format!("cannot read {}: it is a FIFO", part.display())), "{said}");
    assert!(gateway.told(&["show", "tenants"]).1.contains("red"));
}

#[test]
fn a_pattern_of_forty_stars_and_a_file_that_includes_itself_by_another_name_are_no_trouble() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    fs::write(at(&"a".repeat(250)), "").unwrap();
    let yaml = |include: &str| format!("version: 1\ninclude: \"{include}\"\n");
    fs::write(at("stars.yaml"), yaml(&format!("{}b.yaml", "*a".repeat(40)))).unwrap();
    assert!(told(&["check", at("stars.yaml").to_str().unwrap()]).1.contains("no file matches"));
    fs::write(at("self.yaml"), yaml("./other.yaml")).unwrap();
    symlink(at("self.yaml"), at("other.yaml")).unwrap();
    assert!(told(&["check", at("self.yaml").to_str().unwrap()]).1.contains("self.yaml includes itself"));
}

#[test]
fn a_configuration_has_64_mib_at_most() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    File::create(at("huge.yaml")).unwrap().set_len(1 << 40).unwrap();
    let (ok, said) = told(&["check", at("huge.yaml").to_str().unwrap()]);
    assert!(!ok && said.contains("a configuration has 64 MiB at most"), "{said}");
    fs::create_dir(at("parts")).unwrap();
    for part in ["one", "two"] {
        fs::write(at("parts").join(part), format!("#{}\n", "x".repeat(40 << 20))).unwrap();
    }
    fs::write(at("both.yaml"), "version: 1\ninclude: parts/*\n").unwrap();
    let (ok, said) = told(&["check", at("both.yaml").to_str().unwrap()]);
    assert!(!ok && said.contains("a configuration has 64 MiB at most, all its files together"), "{said}");
}

#[test]
fn clients_that_say_nothing_or_half_of_it_keep_nobody_from_an_answer_and_take_few_descriptors() {
    many_descriptors();
    let gateway = Gateway::start(2, 200);
    let before = gateway.descriptors();
    let idle: Vec<_> = (0..1_100).map(|_| gateway.connect()).collect();
    gateway.answers();
    let halves: Vec<_> = (0..300)
        .map(|_| {
            let mut client = gateway.connect();
            let _ = client.write_all(b"GET /ports HTTP/1.1\r\n");
            client
        })
        .collect();
    gateway.answers();
    assert!(gateway.descriptors() < 130, "{} descriptors", gateway.descriptors());
    // They need not go away: whoever sends no request is closed after a while.
    eventually("they are closed", || gateway.descriptors() <= before);
    drop((idle, halves));
}

#[test]
fn clients_that_ask_for_much_and_read_nothing_keep_nobody_from_an_answer_and_take_little_memory() {
    many_descriptors();
    let gateway = Gateway::start(1_500, 1_024);
    let ([before, _], descriptors) = (gateway.memory(), gateway.descriptors());
    let greedy: Vec<_> = (0..60).map(|_| gateway.asks("GET /tenants")).collect();
    gateway.answers();
    let (ok, text) = gateway.told(&["show", "tenants", "--json"]);
    assert!(ok, "{text}");
    let rows: serde_json::Value = serde_json::from_str(&text).unwrap();
    let names: Vec<_> = rows.as_array().unwrap().iter().map(|row| row["tenant"].as_str().unwrap()).collect();
    assert!(names.len() == 1_500 && names.is_sorted(), "{names:?}");
    let [after, _] = gateway.memory();
    assert!(after < before + 30_000, "from {before} to {after} KiB for answers that nobody reads");
    eventually("they are closed", || gateway.descriptors() <= descriptors);
    let cut = answer(greedy.into_iter().next_back().unwrap());
    assert!(cut.starts_with("HTTP/1.0 200 OK") && !cut.ends_with(']'), "{} bytes", cut.len());
}

#[test]
fn whoever_finds_all_places_taken_is_told_so_and_many_who_ask_for_a_reload_share_it() {
    let gateway = Gateway::start(2, 64);
    gateway.write(6_000, 0);
    // A quarter of the descriptors are for clients.
    let asking: Vec<_> = (0..16).map(|_| gateway.asks("POST /reload")).collect();
    let asking: Vec<_> = asking.into_iter().map(|client| thread::spawn(|| answer(client))).collect();
    thread::sleep(Duration::from_millis(100));
    let (ok, said) = gateway.told(&["show", "ports"]);
    assert!(!ok && said.contains("too many clients ask this gateway already"), "{said}");
    for client in asking {
        let answer = client.join().unwrap();
        assert!(answer.contains("6000 tenants"), "{} bytes", answer.len());
    }
    gateway.answers();
    let reloads = gateway.log().matches("reloaded: ").count();
    assert!((1..=2).contains(&reloads), "{reloads} reloads");
}

#[test]
fn control_answers_while_a_large_file_is_compiled_and_gives_the_memory_back() {
    let gateway = Gateway::start(10, 256);
    gateway.answers();
    let [before, _] = gateway.memory();
    let is_done = AtomicBool::new(false);
    let mut answers = 0;
    thread::scope(|scope| {
        let reload = scope.spawn(|| {
            let mut last = String::new();
            for (tenants, shift) in [(4_000, 0), (4_000, 7), (10, 0)] {
                gateway.write(tenants, shift);
                last = answer(gateway.asks("POST /reload"));
            }
            is_done.store(true, Ordering::Relaxed);
            last
        });
        loop {
            let answer = answer(gateway.asks("GET /ports"));
            assert!(answer.starts_with("HTTP/1.0 200 OK"), "{answer}");
            if is_done.load(Ordering::Relaxed) {
                break;
            }
            answers += 1;
        }
        let told = reload.join().unwrap();
        assert!(told.contains("- tenant cust-4000"), "{told}");
    });
    // Three reloads that each take seconds in a debug build, and milliseconds between.
    assert!(answers > 20, "{answers} answers during three reloads");
    let [after, most] = gateway.memory();
    assert!(after < before + (most - before) / 2, "{before} KiB before, {most} at most, {after} after");
}

#[test]
fn a_gateway_stops_at_once_while_a_large_file_is_compiled() {
    let gateway = Gateway::start(10, 256);
    gateway.write(6_000, 0);
    let begin = Instant::now();
    assert!(answer(gateway.asks("POST /reload")).contains("6000 tenants"));
    let reload = begin.elapsed();
    gateway.write(6_000, 7);
    let asking = gateway.asks("POST /reload");
    thread::sleep(reload / 8);
    let (took, log) = gateway.stop();
    assert_eq!(log.matches("reloaded: ").count(), 1, "{log}");
    assert!(took < reload, "it stopped after {took:?}, and a reload takes {reload:?}");
    assert!(!answer(asking).contains("6000 tenants"));
}

#[test]
fn show_says_when_an_answer_ends_in_the_middle() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("admin.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let cut = thread::spawn(move || {
        let mut request = [0; 512];
        // First it looks who answers.
        let mut client = loop {
            let (mut client, _) = listener.accept().unwrap();
            if client.read(&mut request).unwrap() > 0 {
                break client;
            }
        };
        client.write_all(b"HTTP/1.0 200 OK\r\n\r\n[{\"port\":\"a\"").unwrap();
    });
    let (ok, said) = told(&["show", "ports", "--json", "--socket", socket.to_str().unwrap()]);
    assert!(!ok && said.contains("the gateway's answer ends in the middle"), "{said}");
    cut.join().unwrap();
}

#[test]
fn show_says_when_nobody_answers_in_time() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("admin.sock");
    // Whoever connects waits in the queue, as with a gateway that hangs; or gets a part of an answer.
    let listener = UnixListener::bind(&socket).unwrap();
    let (ok, said) = told(&["show", "ports", "--socket", socket.to_str().unwrap()]);
    assert!(!ok && said.contains("has not answered within 10 s"), "{said}");
    drop(listener);
}
