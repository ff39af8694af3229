//! Metrics as scrapers get them from a running gateway, by TCP and on the admin socket: what they ask for, what they may
//! not hold up, and what a reload makes of the port.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use transload_lab::{Host, Namespace, PATIENCE, eventually, need};

#[path = "common/openmetrics.rs"]
#[expect(unreachable_pub, reason = "it is a module of a test binary")]
mod openmetrics;

#[path = "common/prometheus.rs"]
mod prometheus;

#[path = "common/wire.rs"]
#[expect(dead_code, unreachable_pub, reason = "of its packets, only VXLAN is sent")]
mod wire;

use openmetrics::{read, value};

const AT: &str = "127.0.0.1:9475";
const OPENMETRICS: &str = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5";

/// A gateway between two Unix sockets in a network namespace of its own.
struct Gateway {
    namespace: Namespace,
    directory: TempDir,
    child: Option<Child>,
}

impl Gateway {
    /// One that is not started yet, with so many tenants by a pattern, and these lines about metrics.
    fn new(tenants: u32, metrics: &str) -> Self {
        let gateway =
            Self { namespace: Namespace::new().unwrap(), directory: tempfile::tempdir().unwrap(), child: None };
        gateway.write(tenants, metrics);
        gateway
    }

    fn write(&self, tenants: u32, metrics: &str) {
        let mut yaml = "version: 1\nports:\n".to_owned();
        for (port, peer) in [("a", 9), ("b", 10)] {
            let local = self.path(port);
            writeln!(
                yaml,
                "  {port}: {{ io: {{ unix: {{ local: \"{}\" }} }}, mac: \"02:00:00:00:00:0{port}\", next_hops: {{ \
                 192.0.2.{peer}: \"02:00:00:00:00:02\" }} }}",
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
      right: {{ peer: right, vni: \"100000+n\" }}
{metrics}
"
        )
        .unwrap();
        fs::write(self.path("gateway.yaml"), yaml).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn start(&mut self) {
        let child = self.spawn(&[]);
        self.child = Some(child);
    }

    /// A gateway that is ready, run with these options besides the usual ones.
    fn spawn(&self, options: &[&str]) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_transload"));
        command.arg("run").args(options).arg(self.path("gateway.yaml")).arg("--admin").arg(self.path("admin.sock"));
        // The gateway before this one may still write to its end.
        fs::write(self.path("log"), "").unwrap();
        let log = File::options().append(true).open(self.path("log")).unwrap();
        command.stdin(Stdio::null()).stderr(log).env_remove("RUST_LOG");
        let child = self.namespace.spawn(&mut command).unwrap();
        eventually("it is ready", || self.log().contains("ready: "));
        child
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap()
    }

    /// What `transload` says when it is run where the gateway is.
    fn told(&self, words: &[&str]) -> (bool, String) {
        let socket = self.path("admin.sock");
        let mut command = Command::new(env!("CARGO_BIN_EXE_transload"));
        command.args(words).stdin(Stdio::null());
        if matches!(words.first(), Some(&"show" | &"reload" | &"status")) {
            command.arg("--socket").arg(socket);
        }
        let Output { status, stdout, stderr } = self.namespace.enter(|| command.output()).unwrap();
        (status.success(), String::from_utf8(stdout).unwrap() + &String::from_utf8(stderr).unwrap())
    }

    fn connect(&self) -> io::Result<TcpStream> {
        let stream = self.namespace.enter(|| TcpStream::connect(AT))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(stream)
    }

    /// The head of an answer, and its body.
    fn answer(&self, request: &str, accept: &str) -> io::Result<(String, String)> {
        let mut stream = self.connect()?;
        write!(stream, "{request} HTTP/1.0\r\nHost: gateway\r\nAccept: {accept}\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
        Ok((head.to_owned(), body.to_owned()))
    }

    fn scrape(&self) -> io::Result<String> {
        let (head, body) = self.answer("GET /metrics", OPENMETRICS)?;
        if !head.contains(" 200 ") || !body.ends_with("# EOF\n") {
            return Err(io::Error::other(head));
        }
        Ok(body)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn listening() -> String {
    format!("metrics: {{ listen: {AT} }}")
}

#[test]
fn a_scraper_gets_what_it_asks_for_and_nothing_else_is_served() {
    need!(root);
    let mut gateway = Gateway::new(3, &listening());
    gateway.start();
    let (head, body) = gateway.answer("GET /metrics", OPENMETRICS).unwrap();
    assert!(head.contains(" 200 ") && head.contains("application/openmetrics-text; version=1.0.0"), "{head}");
    let families = read(&body);
    let labels = [("tenant", "cust-3"), ("attachment", "left")];
    assert_eq!(value(&families, "transload_tenant_receive_frames_total", &labels), Some("0"));
    assert_eq!(value(&families, "transload_port_up", &[("port", "a")]), Some("1"));
    assert_eq!(value(&families, "transload_config_last_reload_successful", &[]), Some("1"));
    assert_eq!(
        value(&families, "transload_build_info", &[("version", env!("CARGO_PKG_VERSION"))]),
        Some("1"),
        "{body}"
    );
    let config = &families["transload_config"].samples[0].labels;
    assert_eq!(config["file"], gateway.path("gateway.yaml").display().to_string());
    let (head, body) = gateway.answer("GET /metrics", "text/plain").unwrap();
    assert!(head.contains("text/plain; version=0.0.4") && !body.contains("# EOF"), "{head}");
    assert!(gateway.answer("GET /fdb", "*/*").unwrap().0.contains(" 404 "), "rows are for the admin socket");
    assert!(gateway.answer("POST /reload", "*/*").unwrap().0.contains(" 404 "));
    assert!(gateway.answer("POST /metrics", "*/*").unwrap().0.contains(" 405 "));
    let (is_told, text) = gateway.told(&["show", "metrics"]);
    assert!(is_told, "{text}");
    assert!(families.keys().eq(read(&text).keys()), "the admin socket has the same");
    assert!(!gateway.told(&["show", "metrics", "--json"]).0);
}

#[test]
fn a_port_in_use_is_told_with_its_place_and_keeps_no_gateway_from_its_tenants() {
    need!(root);
    let mut gateway = Gateway::new(1, &listening());
    let other = gateway.namespace.enter(|| TcpListener::bind(AT)).unwrap();
    let file = gateway.path("gateway.yaml");
    let line = fs::read_to_string(&file).unwrap().lines().count();
    let file = file.to_str().unwrap().to_owned();
    let (is_fine, said) = gateway.told(&["check", "--host", &file]);
    assert!(!is_fine && said.contains("cannot serve metrics on 127.0.0.1:9475"), "{said}");
    assert!(said.contains(&format!("gateway.yaml:{line}:20")) && said.contains("ss -ltnp"), "{said}");
    assert!(gateway.told(&["check", &file]).0, "nothing is wrong with the file");

    gateway.start();
    let words = "metrics are not served: 127.0.0.1:9475";
    eventually("the log says so", || gateway.log().contains(words));
    let status = || gateway.told(&["status"]).1.replace('|', " ");
    assert!(status().contains("trouble: gateway metrics: metrics are not served"), "{}", status());
    assert!(gateway.told(&["show", "metrics"]).0, "the admin socket has them");
    // What it is not about is not refused for it.
    gateway.write(2, &listening());
    let (is_done, said) = gateway.told(&["reload"]);
    assert!(is_done && said.contains("+ tenant cust-2"), "{said}");

    drop(other);
    eventually("it is served by itself", || gateway.scrape().is_ok());
    eventually("the log says so", || gateway.log().contains("metrics are served on 127.0.0.1:9475"));
    assert!(!status().contains("metrics are not served"), "{}", status());
    assert_eq!(gateway.log().matches(words).count(), 1, "{}", gateway.log());
}

#[test]
fn a_reload_moves_the_port_while_scrapes_go_on_and_a_bad_one_changes_nothing() {
    need!(root);
    let mut gateway = Gateway::new(3, &listening());
    gateway.start();
    let (is_over, scrapes) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        let asker = scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                // One that waits to be taken in when the port is closed may be reset, and asks again.
                let mut tries = 0;
                while let Err(error) = gateway.scrape() {
                    assert_ne!(error.kind(), io::ErrorKind::ConnectionRefused, "there is no gap");
                    tries += 1;
                    assert!(tries < 3, "{error}");
                }
                scrapes.fetch_add(1, Ordering::Relaxed);
            }
        });
        for at in ["0.0.0.0:9475", "127.0.0.1:9475", "\"[::]:9475\"", "0.0.0.0:9475", AT] {
            gateway.write(3, &format!("metrics: {{ listen: {at} }}"));
            let (is_done, said) = gateway.told(&["reload"]);
            assert!(is_done && said.contains("metrics"), "{at}: {said}");
            let before = scrapes.load(Ordering::Relaxed);
            eventually("scrapes go on", || asker.is_finished() || scrapes.load(Ordering::Relaxed) > before + 1);
        }
        is_over.store(true, Ordering::Relaxed);
    });
    let _other = gateway.namespace.enter(|| TcpListener::bind("127.0.0.1:9476")).unwrap();
    for (at, why) in [("127.0.0.1:9476", "in use"), ("192.0.2.77:9475", "address"), ("127.0.0.1:80", "restart")] {
        gateway.write(3, &format!("metrics: {{ listen: {at} }}"));
        let (is_done, said) = gateway.told(&["reload"]);
        assert!(!is_done && said.contains(why) && said.contains("gateway.yaml:"), "{at}: {said}");
        // A text of a moment ago may be handed out again.
        eventually("it is told", || {
            let families = read(&gateway.scrape().unwrap());
            value(&families, "transload_config_last_reload_successful", &[]) == Some("0")
        });
    }
    eventually("they are counted", || {
        let families = read(&gateway.scrape().unwrap());
        let reloads = |result| value(&families, "transload_config_reloads_total", &[("result", result)]);
        (reloads("done"), reloads("rejected")) == (Some("5"), Some("3"))
    });
    gateway.write(3, "");
    assert!(gateway.told(&["reload"]).0);
    eventually("the port is closed", || gateway.connect().is_err());
    let is_said = "transload_config_last_reload_successful 1";
    eventually("it is told", || gateway.told(&["show", "metrics"]).1.contains(is_said));
}

#[test]
fn a_gateway_that_has_become_another_user_moves_its_port_all_the_same() {
    need!(root);
    let mut gateway = Gateway::new(1, &format!("user: nobody\n{}", listening()));
    fs::set_permissions(gateway.directory.path(), fs::Permissions::from_mode(0o777)).unwrap();
    gateway.start();
    for at in ["0.0.0.0:9475", AT] {
        gateway.write(1, &format!("user: nobody\nmetrics: {{ listen: {at} }}"));
        let (is_done, said) = gateway.told(&["reload"]);
        assert!(is_done && said.contains("metrics"), "{at}: {said}");
        read(&gateway.scrape().unwrap());
    }
}

#[test]
fn a_gateway_that_takes_the_place_of_another_takes_its_port_too() {
    need!(root, ip);
    let mut gateway = Gateway::new(1, "");
    gateway
        .namespace
        .sh("ip link add name one type veth peer name two && ip link set one up && ip link set two up")
        .unwrap();
    let file = format!(
        "version: 1\nports: {{ a: {{ device: one, io: af_packet }}, b: {{ device: two, io: af_packet }} }}\ntenants: {{ blue: {{ \
         attachments: {{ a: {{ port: a, s_vid: 1 }}, b: {{ port: b, s_vid: 2 }} }} }} }}\n{}\n",
        listening()
    );
    fs::write(gateway.path("gateway.yaml"), file).unwrap();
    gateway.start();
    read(&gateway.scrape().unwrap());
    let successor = gateway.spawn(&["--replace"]);
    let mut before = gateway.child.replace(successor).unwrap();
    eventually("the one before ends", || before.try_wait().unwrap().is_some());
    read(&gateway.scrape().unwrap());
    assert!(!gateway.log().contains("cannot serve metrics"), "{}", gateway.log());
    // What the next one serves has nothing in common with what this one does, but the port.
    gateway.namespace.sh("ip address add 192.0.2.1/24 dev one").unwrap();
    let file = format!(
        "version: 1\nports: {{ a: {{ device: one, io: af_packet }} }}\nendpoints: {{ here: {{ address: 192.0.2.1, ports: [a] }} \
         }}\npeers:\n  left: {{ address: 192.0.2.9, encap: vxlan }}\n  right: {{ address: 192.0.2.10, encap: vxlan \
         }}\ntenants: {{ blue: {{ attachments: {{ left: {{ peer: left, vni: 1 }}, right: {{ peer: right, vni: 2 }} }} }} }}\n{}\n",
        listening()
    );
    fs::write(gateway.path("gateway.yaml"), file).unwrap();
    let successor = gateway.spawn(&["--replace"]);
    let mut before = gateway.child.replace(successor).unwrap();
    eventually("the one before ends", || before.try_wait().unwrap().is_some());
    read(&gateway.scrape().unwrap());
}

#[test]
fn askers_that_hang_hold_nobody_up() {
    need!(root);
    let mut gateway = Gateway::new(2_000, &listening());
    gateway.start();
    let mut clients = Vec::new();
    for number in 0..40 {
        let mut client = gateway.connect().unwrap();
        let sent = match number % 3 {
            0 => client.write_all(b"GET /met"),
            // An answer of megabytes, of which nothing is read.
            1 => client.write_all(b"GET /metrics HTTP/1.1\r\nHost: gateway\r\n\r\n"),
            _ => Ok(()),
        };
        // One too many may have been told so already.
        drop(sent);
        clients.push(client);
    }
    eventually("a scrape comes through", || gateway.scrape().is_ok());
    let (is_answered, said) = gateway.told(&["show", "ports"]);
    assert!(is_answered, "{said}");
    gateway.write(1, &listening());
    assert!(gateway.told(&["reload"]).0);
    let process = Pid::from_child(gateway.child.as_ref().unwrap());
    kill_process(process, Signal::TERM).unwrap();
    eventually("it stops", || gateway.child.as_mut().unwrap().try_wait().unwrap().is_some());
    assert!(gateway.log().contains("stopped"), "{}", gateway.log());
}

#[test]
fn ten_thousand_tenants_are_scraped_and_those_left_out_are_one() {
    need!(root);
    let leave_out = "tenants: { leave_out: [\"cust-?\", \"cust-1*\"] }";
    let mut gateway = Gateway::new(10_000, &format!("metrics: {{ listen: {AT}, {leave_out} }}"));
    // A busy machine may keep frames waiting, but loses none of them.
    gateway.namespace.sh("echo 1000 > /proc/sys/net/unix/max_dgram_qlen").unwrap();
    gateway.start();
    let mut scraped = String::new();
    let refused = || {
        let drops: serde_json::Value =
            serde_json::from_str(&gateway.told(&["show", "drops", "--all", "--json"]).1).unwrap();
        let rows = drops.as_array().unwrap().iter().filter(|row| row["reason"] == "port_busy");
        rows.map(|row| row["dropped"].as_u64().unwrap() as usize).sum::<usize>()
    };
    let before = refused();
    let (sent, arrived) = under_load(&gateway, || {
        for _ in 0..5 {
            scraped = gateway.scrape().unwrap();
        }
    });
    let refused = refused() - before;
    // For some of them the host's socket may have had no room, on a machine that lets the test wait.
    assert!(
        sent > 0 && arrived + refused == sent,
        "{arrived} of {sent} arrived while it was scraped, {refused} had no room"
    );
    let families = read(&scraped);
    let tenants: Vec<_> = families["transload_tenant_mac_limit"].samples.iter().collect();
    // 2 to 9, and all that begin with 1.
    assert_eq!(tenants.len(), 10_000 - 8 - 1_112 + 1);
    let limit = |tenant| value(&families, "transload_tenant_mac_limit", &[("tenant", tenant)]);
    assert_eq!(limit("cust-1000"), None);
    assert_eq!(limit("cust-2000"), Some("65536"));
    assert_eq!(limit("(others)").unwrap(), (65_536_u64 * 1_120).to_string());
}

/// Sends frames of a tenant through the gateway, at most a thousand a second, while this is done. Returns how many, and how
/// many arrived.
fn under_load(gateway: &Gateway, work: impl FnOnce()) -> (usize, usize) {
    let host = |name| gateway.namespace.enter(|| UnixDatagram::bind(gateway.path(name))).unwrap();
    let (left, right) = (host("host-a"), host("host-b"));
    let inner = wire::tenant_frame(wire::mac(2), wire::mac(1), 7);
    let datagram = wire::udp(50_000, 4789, &wire::vxlan(2000, &inner));
    let ends = ([192, 0, 2, 9].into(), [192, 0, 2, 1].into());
    let frame = wire::outer(([2, 0, 0, 0, 0, 10], [2, 0, 0, 0, 0, 2]), ends, 0, 17, &datagram);
    let send = || left.send_to(&frame, gateway.path("a")).unwrap();
    let arrives = || right.recv(&mut [0; 2048]).is_ok();
    // So that it knows where to send.
    right.send_to(&[0; 60], gateway.path("b")).unwrap();
    right.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    eventually("a frame passes", || {
        send();
        arrives()
    });
    while arrives() {}
    right.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let sender = scope.spawn(|| {
            let mut count = 0;
            while !is_over.load(Ordering::Relaxed) {
                send();
                count += 1;
                thread::sleep(Duration::from_millis(1));
            }
            count
        });
        let receiver = scope.spawn(|| {
            let mut count = 0;
            while arrives() {
                count += 1;
            }
            count
        });
        work();
        is_over.store(true, Ordering::Relaxed);
        (sender.join().unwrap(), receiver.join().unwrap())
    })
}

struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_real_prometheus_takes_every_sample() {
    need!(root, prometheus);
    let mut gateway = Gateway::new(3, &listening());
    gateway.start();
    let config = "scrape_configs: [{ job_name: gateway, scrape_interval: 1s, static_configs: [{ targets: \
                  ['127.0.0.1:9475'] }] }]\n";
    fs::write(gateway.path("prometheus.yml"), config).unwrap();
    let argument = |name: &str, path: &Path| format!("--{name}={}", path.display());
    let mut command = Command::new("prometheus");
    command
        .arg(argument("config.file", &gateway.path("prometheus.yml")))
        .arg(argument("storage.tsdb.path", &gateway.path("tsdb")))
        .arg("--web.listen-address=127.0.0.1:9090")
        .stdin(Stdio::null())
        .stderr(File::create(gateway.path("prometheus.log")).unwrap());
    let _prometheus = Ended(gateway.namespace.spawn(&mut command).unwrap());
    let number = |query: &str| -> Option<usize> {
        let rows = prometheus::ask(&gateway.namespace, "127.0.0.1:9090", query).ok()?;
        rows.first()?["value"][1].as_str()?.parse().ok()
    };
    eventually("the gateway is up", || number("up") == Some(1));
    let samples = gateway.scrape().unwrap().lines().filter(|line| !line.starts_with('#')).count();
    eventually("every sample is taken", || number("scrape_samples_scraped") == Some(samples));
    assert_eq!(number("count(transload_tenant_receive_bytes_total)"), Some(6));
    assert_eq!(number("sum(transload_peer_state)"), Some(2));
}
