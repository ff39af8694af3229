//! `transload events` follows what happens in a running gateway; `docs/EVENTS.md` lists names and fields.
//!
//! With `REWRITE=1` in the environment the page is written anew from `src/logging/`.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::Value;
use transload::logging::{FIELDS, KINDS};
use transload_lab::skip;

#[path = "common/sockets.rs"]
#[expect(unreachable_pub, reason = "it is of several test binaries")]
mod sockets;
#[path = "common/wire.rs"]
#[expect(dead_code, unreachable_pub, reason = "every test binary uses its own part of this")]
mod wire;

use sockets::{Gateway, TENANT};
use transload_lab::obtained;
use wire::{BROADCAST, mac};

/// `transload events`, as it runs.
struct Followed {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Followed {
    fn start(gateway: &Gateway, args: &[&str]) -> Self {
        let mut command = gateway.verb(&[&["events"], args].concat());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self { child, lines }
    }

    fn next(&mut self) -> Option<Value> {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        (!line.is_empty()).then(|| serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}")))
    }

    /// The next event of this name; those before it are not looked at.
    fn until(&mut self, name: &str) -> Value {
        loop {
            let row = self.next().unwrap_or_else(|| panic!("no {name}: {}", self.said()));
            if row["event"] == name {
                return row;
            }
        }
    }

    fn said(&mut self) -> String {
        let mut said = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        said
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn start(rest: &str) -> Gateway {
    Gateway::start(rest, &[], Stdio::null())
}

fn broadcast(source: u8) -> Vec<u8> {
    wire::tenant_frame(BROADCAST, mac(source), 0)
}

/// The events that were, of these arguments.
fn were(gateway: &Gateway, args: &[&str]) -> Vec<Value> {
    let output = gateway.ask(&[&["events", "--no-follow", "--last", "1000"], args].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn moves_and_reloads_are_followed_until_the_gateway_stops() {
    let gateway = start(TENANT);
    let mut followed = Followed::start(&gateway, &["--last", "100"]);
    assert!(followed.until("started")["summary"].as_str().unwrap().starts_with("2 ports"));
    gateway.send("a", &broadcast(7));
    obtained("it is learned", || (gateway.answers("fdb").as_array()?.len() == 1).then_some(()));
    gateway.send("b", &broadcast(7));
    let moved = followed.until("mac_moved");
    let keys = ["tenant", "mac", "from", "from_via", "to", "to_via", "level"].map(|key| moved[key].as_str().unwrap());
    assert_eq!(keys, ["t", "02:00:00:00:00:07", "a", "a", "b", "b", "info"]);
    assert_eq!(moved["message"], "t: 02:00:00:00:00:07 moved from a (a) to b (b)");
    gateway.write(&TENANT.replace("port: b", "port: nowhere"));
    assert!(!gateway.ask(&["reload"]).status.success());
    assert!(followed.until("reload_refused")["why"].as_str().unwrap().contains("nowhere"));
    gateway.write(&TENANT.replace("b: { port: b", "c: { port: b"));
    assert!(gateway.ask(&["reload"]).status.success());
    assert_ne!(followed.until("reload_done")["count"], 0);
    assert!(gateway.stop().0.success());
    followed.until("stopping");
    assert_eq!(followed.next(), None);
    assert!(followed.said().contains("the gateway has stopped"));
    assert_eq!(followed.child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_gateway_that_is_killed_is_an_error() {
    let mut gateway = start(TENANT);
    let mut followed = Followed::start(&gateway, &["--last", "100"]);
    followed.until("started");
    gateway.child.kill().unwrap();
    assert_eq!(followed.next(), None);
    assert!(followed.said().contains("the gateway told no more"));
    assert_eq!(followed.child.wait().unwrap().code(), Some(1));
}

#[test]
fn peers_that_are_learned_are_told() {
    let gateway = start(
        "endpoints: { here: { address: 192.0.2.1, ports: [a] } }
groups: { leafs: { encap: vxlan, learn_from: 192.0.2.0/28 } }
tenants: { t: { attachments: { leafs: { group: leafs, vni: 5 }, b: { port: b, untagged: true } } } }
",
    );
    let packet = wire::udp(50_000, 4789, &wire::vxlan(5, &broadcast(3)));
    let ends = ([192, 0, 2, 9].into(), [192, 0, 2, 1].into());
    gateway.send("a", &wire::outer(([2, 0xaa, 0, 0, 0, 0xa], mac(0xfe)), ends, 0, 17, &packet));
    let mut followed = Followed::start(&gateway, &["--last", "100", "--name", "peer_learned,peer_forgotten"]);
    let learned = followed.next().unwrap();
    assert_eq!(
        (&learned["event"], learned["peer"].as_str().unwrap().contains("192.0.2.9")),
        (&"peer_learned".into(), true)
    );
    let peer = learned["peer"].as_str().unwrap();
    assert_eq!(were(&gateway, &["--peer", peer, "--name", "peer_learned"]), std::slice::from_ref(&learned));
}

#[test]
fn loops_are_told_when_they_are_found_and_when_they_are_over() {
    let gateway = start(&TENANT.replace("t: {", "t: { loop_guard: { hold: 1s },"));
    let mut followed = Followed::start(&gateway, &["--last", "100", "--name", "loop_suspected,loop_found,loop_ended"]);
    let found = obtained("a loop is found", || {
        // What joins both ports brings every broadcast to the other.
        (0..50).for_each(|n| gateway.send(["a", "b"][n % 2], &broadcast(9)));
        were(&gateway, &["--name", "loop_found"]).pop()
    });
    assert_eq!((&found["tenant"], &found["between"]), (&"t".into(), &serde_json::json!(["a", "b"])));
    followed.until("loop_suspected");
    followed.until("loop_found");
    assert_eq!(followed.until("loop_ended")["between"], found["between"]);
}

#[test]
fn a_tenant_that_is_never_still_does_not_hide_the_others() {
    let rest = "tenants:
  noisy: { attachments: { a: { port: a, vid: 1 }, b: { port: b, vid: 1 } } }
  calm: { attachments: { a: { port: a, vid: 2 }, b: { port: b, vid: 2 } } }
";
    let gateway = start(rest);
    for port in ["a", "b"] {
        gateway.send(port, &wire::tag(&broadcast(1), 0x8100, 2));
        obtained("it has moved", || (gateway.answers("fdb")[0]["attachment"] == port).then_some(()));
    }
    for (n, port) in (0..250).flat_map(|n| [(n, "a"), (n, "b")]) {
        gateway.send(port, &wire::tag(&broadcast(n), 0x8100, 1));
        if n % 50 == 0 {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
    let held = obtained("it is held back", || {
        let rows = were(&gateway, &["--tenant", "noisy"]);
        rows.into_iter().find(|row| row["event"] == "held_back")
    });
    assert_eq!((&held["of"], held["count"].as_u64() > Some(50)), (&"mac_moved".into(), true));
    assert!(were(&gateway, &["--tenant", "noisy"]).len() < 150);
    let calm = were(&gateway, &["--tenant", "calm"]);
    assert_eq!(calm.iter().map(|row| &row["event"]).collect::<Vec<_>>(), ["mac_moved"]);
}

#[test]
fn what_cannot_be_followed_is_refused_in_words() {
    let gateway = start(TENANT);
    let said = |args: &[&str]| {
        let output = gateway.ask(&[&["events"], args].concat());
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, words) = said(&["--tenant", "nobody"]);
    assert!(code == Some(1) && words.contains("there is no tenant `nobody`"), "{words}");
    let (code, words) = said(&["--peer", "nobody"]);
    assert!(code == Some(1) && words.contains("there is no peer or port `nobody`"), "{words}");
    let (code, words) = said(&["--name", "mac_mvoed"]);
    assert!(code == Some(2) && words.contains("mac_moved"), "{words}");
}

#[test]
fn followers_are_few_and_one_that_does_not_read_keeps_nobody_waiting() {
    let gateway = start(TENANT);
    let follow = || {
        let mut stream = UnixStream::connect(gateway.path("admin.sock")).unwrap();
        stream.write_all(b"GET /events?last=1 HTTP/1.0\r\n\r\n").unwrap();
        let mut first = [0; 12];
        stream.read_exact(&mut first).unwrap();
        (String::from_utf8_lossy(&first).into_owned(), stream)
    };
    let mut idle: Vec<_> = (0..8).map(|_| follow()).collect();
    assert!(idle.iter().all(|(first, _)| first.ends_with("200")), "{idle:?}");
    let refused = gateway.ask(&["events"]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("8 follow the events of this gateway already"));
    gateway.answers("ports");
    drop(idle.pop());
    obtained("there is a place", || gateway.ask(&["events", "--no-follow"]).status.success().then_some(()));
    assert!(gateway.stop().0.success());
}

#[test]
fn on_a_terminal_an_event_is_a_line_for_people() {
    let gateway = start(TENANT);
    let words = format!(
        "{} events --no-follow --socket {}",
        env!("CARGO_BIN_EXE_transload"),
        gateway.path("admin.sock").display()
    );
    let Ok(output) = Command::new("script").args(["-qec", &words, "/dev/null"]).env("NO_COLOR", "1").output() else {
        return skip::say("on_a_terminal_an_event_is_a_line_for_people", "script (apt-get install bsdutils)");
    };
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("Z  INFO ready: 2 ports"), "{said}");
}

const INTRODUCTION: &str = "# Events

What happens in a running gateway has a name that never changes, a level and fields. The log has it as a line of text, with
`run --log-format json` as an object with `time`, `level`, `event` (the name), `message` (the words) and the fields, and
in a unit of systemd, or with `--log-format journald`, in the journal: `journalctl TRANSLOAD_EVENT=mac_moved TRANSLOAD_TENANT=blue`. `transload events`
follows them on a running gateway, but for those of level `debug`. `RUST_LOG=info,transload::mac_learned=debug` has one kind
logged that is not otherwise.
";

fn page() -> String {
    let mut page = INTRODUCTION.to_owned();
    // Writing into a string does not fail.
    let _ = writeln!(page, "\n## Names\n\n| event | level | meaning | what to do | fields |\n|---|---|---|---|---|");
    for kind in KINDS {
        let fields: Vec<_> = kind.fields.iter().map(|field| format!("`{field}`")).collect();
        let level = kind.level.to_string().to_lowercase();
        let about = kind.about.split_whitespace().collect::<Vec<_>>().join(" ");
        let _ = writeln!(page, "| `{}` | {level} | {about} | {} | {} |", kind.name, kind.advice, fields.join(", "));
    }
    let _ = writeln!(page, "\n## Fields\n\n| field | meaning |\n|---|---|");
    for (field, about) in FIELDS {
        let _ = writeln!(page, "| `{field}` | {about} |");
    }
    page
}

#[test]
fn the_page_lists_every_event_and_every_field() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/EVENTS.md");
    if std::env::var_os("REWRITE").is_some() {
        fs::write(&file, page()).unwrap();
    }
    let written = fs::read_to_string(file).unwrap_or_default();
    assert!(written == page(), "docs/EVENTS.md is not what src/logging/ says; REWRITE=1 writes it anew");
}
