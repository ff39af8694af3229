//! A running gateway whose peer has a DNS name, resolved by the system from a hosts file that the test writes.

use std::fs;
use std::io;
use std::net::UdpSocket;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use transload_lab::{Namespace, eventually};

#[path = "common/furnish.rs"]
mod furnish;

use furnish::Furnish;

const NAME: &str = "leaf-3.example.net";

const FILE: &str = r"
version: 1
ports: { up1: { device: up1 }, ce: { device: ce1 } }
endpoints: { fabric: { address: 192.0.2.1, ports: [up1] } }
peers:
  named: { address: leaf-3.example.net, encap: vxlan }
  fixed: { address: 10.0.1.9, encap: vxlan }
tenants:
  blue: { attachments: { n: { peer: named, vni: 1 }, f: { peer: fixed, vni: 1 }, ce: { port: ce, s_vid: 5 } } }
";

/// A gateway in a namespace of its own, with a hosts file and a resolver of its own, killed when dropped.
struct Gateway {
    namespace: Namespace,
    directory: TempDir,
    child: Option<Child>,
}

impl Gateway {
    /// `None`, said loudly, where namespaces cannot be made.
    fn start(test: &str, hosts: &str) -> Option<Self> {
        match Self::build(hosts) {
            Ok(gateway) => Some(gateway),
            Err(error) => {
                eprintln!("SKIPPED: {test}: network namespaces cannot be made here ({error}); run as root");
                None
            }
        }
    }

    fn build(hosts: &str) -> io::Result<Self> {
        let mut gateway = Self { namespace: Namespace::new()?, directory: tempfile::tempdir()?, child: None };
        gateway.namespace.netlink(async |netlink| {
            netlink.add_address("lo", "192.0.2.1".parse().unwrap(), 32).await?;
            for name in ["up1", "ce1"] {
                netlink.add_veth(name, &format!("{name}-far")).await?;
                netlink.set_up(name, true).await?;
                netlink.set_up(&format!("{name}-far"), true).await?;
            }
            Ok(())
        })?;
        let path = |name: &str| gateway.directory.path().join(name).display().to_string();
        fs::write(path("gateway.yaml"), FILE)?;
        fs::write(path("hosts"), hosts)?;
        fs::write(path("resolv.conf"), "nameserver 192.0.2.1\noptions timeout:30\n")?;
        let script = format!(
            "mount --bind {} /etc/hosts && mount --bind {} /etc/resolv.conf && exec {} run {} --admin {}",
            path("hosts"),
            path("resolv.conf"),
            env!("CARGO_BIN_EXE_transload"),
            path("gateway.yaml"),
            path("admin.sock")
        );
        let log = fs::File::create(path("log"))?;
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", &script]).stdin(Stdio::null()).stderr(log);
        gateway.child = Some(gateway.namespace.enter(|| command.spawn())?);
        Ok(gateway)
    }

    fn hosts(&self, lines: &str) {
        // In place, since the file is mounted.
        fs::write(self.directory.path().join("hosts"), lines).unwrap();
    }

    fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap()
    }

    fn ask(&self, verb: &[&str]) -> Option<String> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_transload"));
        let output = command.args(verb).arg("--socket").arg(self.directory.path().join("admin.sock")).output().unwrap();
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
    }

    /// Address and failures of the peer with a name.
    fn peer(&self) -> Option<(String, String)> {
        let rows: serde_json::Value = serde_json::from_str(&self.ask(&["show", "peers", "--json"])?).unwrap();
        let row = rows.as_array().unwrap().iter().find(|row| row["peer"] == "named").unwrap();
        Some((row["address"].as_str().unwrap().to_owned(), row["failures"].to_string()))
    }

    fn eventually(&self, what: &str, mut is_so: impl FnMut(&Self) -> bool) {
        eventually(what, || is_so(self));
    }

    fn stop(mut self) -> (Option<i32>, Duration) {
        let mut child = self.child.take().unwrap();
        let started = Instant::now();
        kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
        (child.wait().unwrap().code(), started.elapsed())
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

#[test]
fn a_name_is_resolved_when_it_can_be_and_followed_and_no_answer_takes_anothers_address() {
    let Some(gateway) = Gateway::start("a_name_is_resolved", "") else { return };
    gateway.eventually("it runs without an answer", |gateway| gateway.peer().is_some());
    let (address, failures) = gateway.peer().unwrap();
    assert_eq!(address, NAME);
    assert!(failures.contains("name not resolved yet"), "{failures}");

    gateway.hosts(&format!("10.0.1.2 {NAME}\n"));
    gateway.eventually("it asks again by itself", |gateway| gateway.peer().unwrap().0 == "10.0.1.2");
    gateway.eventually("the log says so", |gateway| gateway.log().contains(&format!("{NAME} is 10.0.1.2")));

    gateway.hosts(&format!("10.0.1.3 {NAME}\n"));
    gateway.ask(&["reload"]).expect("the reload is accepted");
    assert_eq!(gateway.peer().unwrap().0, "10.0.1.3");
    gateway.eventually("the log says so", |gateway| gateway.log().contains("it was 10.0.1.2"));

    gateway.hosts(&format!("10.0.1.9 {NAME}\n"));
    gateway.ask(&["reload"]).expect("the reload is accepted");
    let (address, failures) = gateway.peer().unwrap();
    assert_eq!(address, "10.0.1.3");
    let refused = format!("{NAME} resolves to 10.0.1.9, which is an address of peer `fixed`; 10.0.1.3 is kept");
    assert!(failures.contains(&refused), "{failures}");
    gateway.eventually("the log says so", |gateway| gateway.log().contains(&refused));
    assert_eq!(gateway.stop().0, Some(0));
}

#[test]
fn a_resolver_that_does_not_answer_delays_neither_control_nor_the_end() {
    let Some(gateway) = Gateway::start("a_resolver_that_does_not_answer", "") else { return };
    // It takes questions and keeps them.
    let _mute = gateway.namespace.enter(|| UdpSocket::bind("192.0.2.1:53")).unwrap();
    gateway.eventually("it runs without an answer", |gateway| gateway.peer().is_some());
    let until = Instant::now() + Duration::from_secs(8);
    while Instant::now() < until {
        let asked = Instant::now();
        gateway.peer().expect("it answers");
        // The gateway gives the resolver five seconds.
        assert!(asked.elapsed() < Duration::from_secs(4), "control waits for the resolver");
        thread::sleep(Duration::from_millis(200));
    }
    let (code, took) = gateway.stop();
    assert_eq!(code, Some(0));
    // The resolver takes half a minute and more.
    assert!(took < Duration::from_secs(20), "the end waits for the resolver: {took:?}");
}
