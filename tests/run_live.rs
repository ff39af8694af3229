//! `transload run` and `show` on real devices, in namespaces of this process, and the demonstration as a whole.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use transload_lab::{Namespace, eventually};

#[path = "common/furnish.rs"]
mod furnish;
#[path = "common/wire.rs"]
#[expect(dead_code, unreachable_pub, reason = "written for tests of another kind, of which only some is needed here")]
mod wire;

use furnish::Furnish;

const FILE: &str = r#"
version: 1
ports:
  up1: { device: up1 }
  ce:  { device: ce1 }
endpoints:
  fabric: { address: 192.0.2.1, ports: [up1] }
peers:
  leaf: { address: 10.0.1.2, encap: vxlan }
tenants:
  blue:
    attachments:
      leaf: { peer: leaf, vni: 100 }
      ce:   { port: ce, s_vid: 5 }
    static:
      - { mac: "02:00:00:00:00:07", via: ce }
"#;

/// A namespace with the devices and the address that the file asks for, and a directory for everything else.
struct Lab {
    namespace: Namespace,
    directory: TempDir,
}

impl Lab {
    /// `None`, said loudly, where namespaces cannot be made.
    fn new(test: &str) -> Option<Self> {
        match Self::build() {
            Ok(lab) => Some(lab),
            Err(error) => {
                eprintln!("SKIPPED: {test}: network namespaces cannot be made here ({error}); run as root");
                None
            }
        }
    }

    fn build() -> io::Result<Self> {
        let lab = Self { namespace: Namespace::new()?, directory: tempfile::tempdir()? };
        lab.namespace.netlink(async |netlink| netlink.add_address("lo", "192.0.2.1".parse().unwrap(), 32).await)?;
        lab.cable("up1");
        lab.cable("ce1");
        fs::write(lab.file(), FILE)?;
        Ok(lab)
    }

    fn cable(&self, name: &str) {
        let far = format!("{name}-far");
        let laid = self.namespace.netlink(async |netlink| {
            netlink.add_veth(name, &far).await?;
            netlink.set_up(name, true).await?;
            netlink.set_up(&far, true).await
        });
        laid.unwrap();
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("gateway.yaml")
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("admin.sock")
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_transload"));
        command.arg("run").arg(self.file()).arg("--admin").arg(self.socket()).stdin(Stdio::null());
        command.stderr(Stdio::piped());
        command
    }

    /// Starts a gateway and waits until it answers.
    fn start(&self) -> Running {
        let child = self.namespace.enter(|| self.command().spawn()).unwrap();
        let running = Running(Some(child));
        eventually("the gateway answers", || self.show(&["ports"]).status.success());
        running
    }

    /// Runs a gateway that is expected to end by itself, with an error.
    fn fails(&self) -> String {
        let output = self.namespace.enter(|| self.command().output()).unwrap();
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    }

    fn show(&self, what: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_transload"));
        command.arg("show").args(what).arg("--socket").arg(self.socket()).output().unwrap()
    }

    fn shown(&self, what: &[&str]) -> String {
        String::from_utf8(self.show(what).stdout).unwrap()
    }
}

/// A gateway, killed when dropped.
struct Running(Option<Child>);

impl Running {
    /// Sends SIGTERM, and gives back exit code and log.
    fn stop(mut self, signal: Signal) -> (Option<i32>, String) {
        let child = self.0.take().unwrap();
        kill_process(Pid::from_child(&child), signal).unwrap();
        let output = child.wait_with_output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn is_listening(socket: &Path) -> bool {
    std::os::unix::net::UnixStream::connect(socket).is_ok()
}

#[test]
fn a_gateway_answers_show_and_leaves_nothing_behind() {
    let Some(lab) = Lab::new("a_gateway_answers_show_and_leaves_nothing_behind") else { return };
    let running = lab.start();
    assert_eq!(fs::metadata(lab.socket()).unwrap().permissions().mode() & 0o777, 0o600);

    let fdb: serde_json::Value = serde_json::from_str(&lab.shown(&["fdb", "--json", "--tenant", "blue"])).unwrap();
    assert_eq!(fdb[0]["mac"], "02:00:00:00:00:07");
    assert_eq!((&fdb[0]["attachment"], &fdb[0]["via"]), (&"ce".into(), &"ce".into()));
    assert_eq!((&fdb[0]["source"], &fdb[0]["age"]), (&"static".into(), &serde_json::Value::Null));
    assert!(lab.shown(&["fdb"]).contains("static"));
    assert!(lab.shown(&["tenants"]).contains("leaf (vni 100)"));
    assert!(lab.shown(&["peers"]).contains("10.0.1.2"));
    assert!(lab.shown(&["drops", "--all"]).contains("unknown_peer"));
    let refused = lab.show(&["fdb", "--tenant", "bl&ue"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8(refused.stderr).unwrap().contains("there is no tenant `bl&ue`"));

    for whole in ["drops", "ports", "mappings"] {
        let refused = lab.show(&[whole, "--tenant", "blue"]);
        assert_eq!((refused.status.code(), refused.stdout), (Some(1), Vec::new()));
        let said = String::from_utf8(refused.stderr).unwrap();
        assert!(said.contains(&format!("{whole} cannot be asked for by tenant")), "{said}");
    }

    let (code, log) = running.stop(Signal::TERM);
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("ready: 2 ports"), "{log}");
    assert!(!lab.socket().exists());
}

#[test]
fn show_says_that_no_gateway_answers() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("admin.sock");
    let mut show = Command::new(env!("CARGO_BIN_EXE_transload"));
    let output = show.args(["show", "drops", "--socket"]).arg(&socket).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains("no gateway answers on"));
}

#[test]
fn what_the_machine_does_not_have_is_pointed_to_in_the_file() {
    let Some(lab) = Lab::new("what_the_machine_does_not_have_is_pointed_to_in_the_file") else { return };
    fs::write(lab.file(), FILE.replace("device: ce1", "device: ce0").replace("192.0.2.1", "192.0.2.2")).unwrap();
    let said = lab.fails();
    assert!(said.contains("this machine has no network device `ce0`"), "{said}");
    assert!(said.contains("gateway.yaml:5:18"), "{said}");
    assert!(said.contains("its devices: ") && !said.contains("did you mean"), "another number is no near name: {said}");
    assert!(said.contains("no device of this machine has the address 192.0.2.2"), "{said}");
    assert!(!lab.socket().exists(), "nothing is half-started");
    fs::write(lab.file(), FILE.replace("device: ce1", "device: cf1")).unwrap();
    assert!(lab.fails().contains("did you mean `ce1`?"));
}

#[test]
fn check_says_which_mtus_the_devices_do_not_have_or_have_too_little_of() {
    let Some(lab) = Lab::new("check_says_which_mtus_the_devices_do_not_have_or_have_too_little_of") else { return };
    fs::write(lab.file(), FILE.replace("device: up1", "device: up1, mtu: 9000")).unwrap();
    lab.namespace.netlink(async |netlink| netlink.set_mtu("ce1", 1280).await).unwrap();
    let check = || {
        let mut check = Command::new(env!("CARGO_BIN_EXE_transload"));
        let output =
            lab.namespace.enter(|| check.args(["check", "--host", "--json"]).arg(lab.file()).output()).unwrap();
        assert_eq!(output.status.code(), Some(0), "warnings only");
        let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let problems = found["problems"].as_array().unwrap().iter();
        let text =
            |problem: &serde_json::Value| format!("{}: {}", problem["line"], problem["message"].as_str().unwrap());
        problems.map(text).filter(|text| text.contains("MTU") || text.contains("bytes")).collect::<Vec<_>>()
    };
    let found = check();
    assert_eq!(found.len(), 3, "{found:#?}");
    assert!(found[0].contains("hosts of tenant `blue` may send packets of 1450 bytes by port `up1`"), "{}", found[0]);
    assert_eq!(found[1], "4: port `up1` has an MTU of 9000, but up1 carries only 1500: longer packets are lost");
    assert!(found[2].starts_with("5: an MTU of 1280 leaves 1276 bytes to attachment `ce`"), "{}", found[2]);
    fs::write(lab.file(), FILE).unwrap();
    lab.namespace.netlink(async |netlink| netlink.set_mtu("ce1", 1500).await).unwrap();
    assert_eq!(check(), [""; 0]);
}

#[test]
fn a_port_whose_cable_is_unplugged_says_so_and_is_told_from_one_switched_off() {
    let Some(lab) = Lab::new("a_port_whose_cable_is_unplugged_says_so_and_is_told_from_one_switched_off") else {
        return;
    };
    let running = lab.start();
    let set = |name, up| lab.namespace.netlink(async |netlink| netlink.set_up(name, up).await).unwrap();
    let says = |words: &str| eventually(words, || lab.shown(&["ports"]).contains(words));
    set("ce1-far", false);
    says("ce1 has no carrier: the other end of the cable is down");
    set("ce1", false);
    says("ce1 is down");
    set("ce1", true);
    set("ce1-far", true);
    eventually("it is up again", || ["ce1 has", "ce1 is"].iter().all(|words| !lab.shown(&["ports"]).contains(words)));
    drop(running);
}

#[test]
fn a_live_admin_socket_is_respected_and_a_dead_one_replaced() {
    let Some(lab) = Lab::new("a_live_admin_socket_is_respected_and_a_dead_one_replaced") else { return };
    let first = lab.start();
    let said = lab.fails();
    assert!(said.contains("another gateway answers on") && said.contains("run --replace"), "{said}");
    assert!(is_listening(&lab.socket()), "the first one goes on");

    let (code, _) = first.stop(Signal::KILL);
    assert_eq!(code, None);
    assert!(lab.socket().exists(), "a killed process cleans nothing up");
    let second = lab.start();
    assert_eq!(second.stop(Signal::INT).0, Some(0));

    fs::File::create(lab.socket()).unwrap().write_all(b"something of somebody's").unwrap();
    let said = lab.fails();
    assert!(said.contains("exists and is no socket"), "{said}");
    assert!(lab.socket().exists(), "what is not ours stays");
}

#[test]
fn a_port_whose_device_vanishes_comes_back_with_it() {
    let Some(lab) = Lab::new("a_port_whose_device_vanishes_comes_back_with_it") else { return };
    let running = lab.start();
    let received = |port: &str| {
        let ports: serde_json::Value = serde_json::from_str(&lab.shown(&["ports", "--json"])).unwrap();
        let row = ports.as_array().unwrap().iter().find(|row| row["port"] == port).unwrap().clone();
        (row["rx_frames"].as_u64().unwrap(), row["failure"].as_str().map(str::to_owned))
    };
    lab.namespace.netlink(async |netlink| netlink.delete("ce1").await).unwrap();
    eventually("the failure is shown", || received("ce").1.as_deref() == Some("ce1 is gone"));
    assert_eq!(received("up1").1, None);

    let before = received("ce").0;
    lab.cable("ce1");
    // A device that comes up says so to its neighbours, and the port hears it.
    eventually("the port receives again", || received("ce").0 > before && received("ce").1.is_none());
    let (code, log) = running.stop(Signal::TERM);
    assert_eq!(code, Some(0), "{log}");
}

#[test]
fn a_gateway_whose_user_is_gone_stops() {
    let Some(lab) = Lab::new("a_gateway_whose_user_is_gone_stops") else { return };
    let mut command = lab.command();
    command.arg("--attended").stdin(Stdio::piped());
    let mut child = lab.namespace.enter(|| command.spawn()).unwrap();
    eventually("the gateway answers", || lab.show(&["ports"]).status.success());
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
    assert!(!lab.socket().exists());
}

#[test]
fn an_endpoint_is_served_once_in_each_namespace_and_nobody_else_can_take_its_name() {
    const TEST: &str = "an_endpoint_is_served_once_in_each_namespace_and_nobody_else_can_take_its_name";
    let (Some(lab), Some(elsewhere)) = (Lab::new(TEST), Lab::new(TEST)) else { return };
    // What anybody can bind.
    let squat = |name: &str| UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(name)?);
    let squatters = lab.namespace.enter(|| {
        ["transload/endpoint 192.0.2.1", "transload/the tags of ce1"]
            .into_iter()
            .map(squat)
            .collect::<io::Result<Vec<_>>>()
    });
    let first = lab.start();
    drop(squatters.unwrap());
    let mut second = Command::new(env!("CARGO_BIN_EXE_transload"));
    second.arg("run").arg(lab.file()).arg("--admin").arg(lab.directory.path().join("second.sock"));
    let said = String::from_utf8(lab.namespace.enter(|| second.output()).unwrap().stderr).unwrap();
    assert!(said.contains("another transload on this machine serves endpoint 192.0.2.1 already"), "{said}");
    assert!(said.contains("run --replace"), "{said}");
    let other = elsewhere.start();
    assert_eq!(other.stop(Signal::TERM).0, Some(0));
    // One that was killed leaves its lock's file behind, but no lock.
    first.stop(Signal::KILL);
    assert_eq!(lab.start().stop(Signal::TERM).0, Some(0));
}

/// Numbered frames of a host, sent by one device and received by another.
const HOSTS: &str = r"
version: 1
ports:
  up: { device: up1 }
  ce: { device: ce1 }
tenants:
  blue:
    unknown_unicast: drop
    attachments: { up: { port: up, untagged: true }, ce: { port: ce, untagged: true } }
";

type Channel = (Box<dyn pnet_datalink::DataLinkSender>, Box<dyn pnet_datalink::DataLinkReceiver>);

/// A device, to send frames by and to receive them.
fn channel(device: &str) -> io::Result<Channel> {
    let found = pnet_datalink::interfaces().into_iter().find(|found| found.name == device).unwrap();
    let config = pnet_datalink::Config { read_timeout: Some(Duration::from_millis(100)), ..Default::default() };
    match pnet_datalink::channel(&found, config) {
        Ok(pnet_datalink::Channel::Ethernet(sender, receiver)) => Ok((sender, receiver)),
        Ok(_) => Err(io::ErrorKind::Unsupported.into()),
        Err(error) => Err(error),
    }
}

#[test]
fn a_gateway_that_is_replaced_loses_hardly_a_frame_and_doubles_none() {
    let Some(lab) = Lab::new("a_gateway_that_is_replaced_loses_hardly_a_frame_and_doubles_none") else { return };
    fs::write(lab.file(), HOSTS).unwrap();
    let first = lab.start();
    let ends = lab.namespace.enter(|| Ok((channel("up1-far")?, channel("ce1-far")?)));
    let ((mut out, _), (mut silent, mut receiver)) = ends.unwrap();
    let frame = |to: u8, from: u8, n: u32| {
        let link = [2, 0, 0, 0, 0, to, 2, 0, 0, 0, 0, from, 0x88, 0xb5];
        [&link[..], &n.to_be_bytes(), &[0; 42]].concat()
    };
    silent.send_to(&[&[0xff; 6], &frame(1, 9, 0)[6..]].concat(), None).unwrap().unwrap();
    eventually("the silent host is known", || lab.shown(&["fdb"]).contains("02:00:00:00:00:09"));

    let is_over = AtomicBool::new(false);
    let arrivals = AtomicUsize::new(0);
    let carried = || arrivals.load(Ordering::Relaxed);
    let (sent, arrived) = thread::scope(|scope| {
        let sending = scope.spawn(|| {
            let mut n = 0;
            while !is_over.load(Ordering::Relaxed) {
                n += 1;
                out.send_to(&frame(9, 1, n), None).unwrap().unwrap();
                thread::sleep(Duration::from_millis(1));
            }
            n as usize
        });
        let receiving = scope.spawn(|| {
            let mut times: BTreeMap<[u8; 4], usize> = BTreeMap::new();
            let mut last = Instant::now();
            while !is_over.load(Ordering::Relaxed) || last.elapsed() < Duration::from_secs(1) {
                let Ok(bytes) = receiver.next() else { continue };
                if bytes.starts_with(&frame(9, 1, 0)[..14]) {
                    *times.entry(bytes[14..18].try_into().unwrap()).or_default() += 1;
                    arrivals.fetch_add(1, Ordering::Relaxed);
                    last = Instant::now();
                }
            }
            times
        });
        eventually("the first one carries frames", || carried() > 100);
        let second = lab.namespace.enter(|| lab.command().arg("--replace").spawn()).unwrap();
        let second = Running(Some(second));
        let mut first = first;
        let ended = first.0.take().unwrap().wait_with_output().unwrap();
        assert_eq!(ended.status.code(), Some(0), "{}", String::from_utf8_lossy(&ended.stderr));
        eventually("the second one answers", || lab.shown(&["fdb"]).contains("02:00:00:00:00:09"));
        let before = carried();
        eventually("the second one carries frames", || carried() > before + 100);
        is_over.store(true, Ordering::Relaxed);
        let counts = (sending.join().unwrap(), receiving.join().unwrap());
        assert_eq!(second.stop(Signal::TERM).0, Some(0));
        counts
    });
    // A few milliseconds' worth on a machine that has nothing else to do; on a busy one the test itself misses some.
    eprintln!("{} of {sent} frames lost", sent - arrived.len());
    assert!(arrived.values().all(|times| *times == 1), "handled by one gateway each");
}

/// Frames that a host sends ten times a second, for as long as this is there.
struct Speaking(Arc<AtomicBool>, Option<thread::JoinHandle<()>>);

impl Speaking {
    fn start((mut sender, _): Channel, frame: Vec<u8>) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let end = Arc::clone(&is_over);
        let speak = move || {
            while !end.load(Ordering::Relaxed) {
                let _ = sender.send_to(&frame, None);
                thread::sleep(Duration::from_millis(100));
            }
        };
        Self(is_over, Some(thread::spawn(speak)))
    }
}

impl Drop for Speaking {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
        self.1.take().unwrap().join().unwrap();
    }
}

#[test]
fn whether_a_peer_works_is_shown_and_can_be_watched() {
    let Some(lab) = Lab::new("whether_a_peer_works_is_shown_and_can_be_watched") else { return };
    let near = "up1: { device: up1, next_hops: { \"10.0.1.2\": \"02:00:00:00:00:99\" } }";
    fs::write(lab.file(), FILE.replace("up1: { device: up1 }", near)).unwrap();
    lab.namespace.netlink(async |netlink| netlink.add_address("up1", "10.0.1.1".parse().unwrap(), 24).await).unwrap();
    let running = lab.start();
    let rows = |what: &[&str]| -> serde_json::Value { serde_json::from_str(&lab.shown(what)).unwrap() };
    let leaf = || rows(&["peers", "--json"])[0].clone();
    assert_eq!((&leaf()["state"], &leaf()["silent_for"]), (&"idle".into(), &serde_json::Value::Null));

    let (leaf_end, host_end) = lab.namespace.enter(|| Ok((channel("up1-far")?, channel("ce1-far")?))).unwrap();
    let asked = wire::tag(&wire::tenant_frame(wire::BROADCAST, wire::mac(1), 1), 0x88a8, 5);
    let _asking = Speaking::start(host_end, asked);
    eventually("nothing comes back", || leaf()["silent_for"].as_u64() >= Some(2));
    eventually("the peer is silent", || leaf()["state"] == "silent");
    assert!(leaf()["rates"]["tx_frames"].as_u64() > Some(0) && leaf()["rates"]["rx_frames"] == 0);
    let page = lab.shown(&["peer", "leaf"]);
    for words in
        ["state          silent", "frames are sent to it", "last heard     never", "vxlan on UDP port 4789", "1450"]
    {
        assert!(page.contains(words), "{words}: {page}");
    }

    let mac = rows(&["ports", "--json"])[0]["mac"].as_str().unwrap().to_owned();
    let mac: Vec<u8> = mac.split(':').map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
    let inner = wire::tenant_frame(wire::BROADCAST, wire::mac(2), 1);
    let ends = ("10.0.1.2".parse().unwrap(), "192.0.2.1".parse().unwrap());
    let link = (mac.try_into().unwrap(), wire::mac(0x99));
    let from_leaf = |vni| wire::outer(link, ends, 0, 17, &wire::udp(50_000, 4789, &wire::vxlan(vni, &inner)));
    let (answer, stray) = (from_leaf(100), from_leaf(999));
    let _answering = Speaking::start(leaf_end, answer);
    eventually("the peer is heard", || leaf()["state"] == "fine" && !leaf()["last_heard"].is_null());
    assert_eq!(leaf()["silent_for"], serde_json::Value::Null);
    eventually("it is heard by its attachment", || {
        !rows(&["tenants", "--json"])[0]["attachments"][0]["last_heard"].is_null()
    });
    let tenant = || rows(&["tenant", "blue", "--json"])[0].clone();
    // Frames come in while the rows are made.
    eventually("a tenant's counts are those of its attachments", || {
        let tenant = tenant();
        let of = |row: &serde_json::Value, key: &str| row[key].as_u64().unwrap();
        let sum = |key| tenant["attachments"].as_array().unwrap().iter().map(|row| of(row, key)).sum::<u64>();
        ["rx_frames", "rx_bytes", "tx_frames", "tx_bytes", "dropped"].iter().all(|key| of(&tenant, key) == sum(key))
    });
    assert_eq!(tenant()["mtus"]["leaf"], 1450);
    eventually("the worker has something to do", || rows(&["workers", "--json"])[0]["busy"].as_u64() > Some(0));

    let (mut out, _) = lab.namespace.enter(|| channel("up1-far")).unwrap();
    eventually("what was dropped last is on the page", || {
        out.send_to(&stray, None).unwrap().unwrap();
        lab.shown(&["peer", "leaf"]).contains("unknown_segment")
    });
    assert!(!lab.shown(&["tenant", "blue"]).contains("unknown_segment"), "that was none of its frames");

    for (what, wrong, meant) in [("peer", "leav", "leaf"), ("tenant", "bleu", "blue")] {
        let refused = lab.show(&[what, wrong]);
        let told = String::from_utf8(refused.stderr).unwrap();
        assert_eq!(refused.status.code(), Some(1));
        assert!(
            told.contains(&format!("there is no {what} `{wrong}`"))
                && told.contains(&format!("did you mean `{meant}`?")),
            "{told}"
        );
    }
    assert_eq!((lab.show(&["peer"]).status.code(), lab.show(&["ports", "up1"]).status.code()), (Some(2), Some(1)));

    watch(&lab, running);
}

/// A reader of rounds sees the gateway go and come back.
fn watch(lab: &Lab, running: Running) {
    let watcher = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_transload"));
        command.arg("show").args(args).arg("--watch=0.2").arg("--socket").arg(lab.socket());
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let mut json = watcher(&["peers", "--json"]);
    let mut lines = BufReader::new(json.stdout.take().unwrap()).lines();
    let mut told = BufReader::new(json.stderr.take().unwrap()).lines();
    let mut round = || serde_json::from_str::<serde_json::Value>(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!((&round()[0]["peer"], &round()[0]["state"]), (&"leaf".into(), &"fine".into()));

    let mut table = watcher(&["ports"]);
    let mut drawn = BufReader::new(table.stdout.take().unwrap()).lines();
    let heads: Vec<_> =
        drawn.by_ref().map(Result::unwrap).filter(|line| line.contains("RX FRAMES/S")).take(3).collect();
    assert_eq!(heads.len(), 3, "one block after another");
    // Nobody reads any more.
    drop(drawn);
    eventually("it ends", || table.try_wait().unwrap().is_some());
    assert_eq!(table.wait().unwrap().code(), Some(0));

    assert_eq!(running.stop(Signal::TERM).0, Some(0));
    let mut says = |words: &str| assert!(told.by_ref().any(|line| line.unwrap().contains(words)), "{words}");
    says("no gateway answers");
    let _again = lab.start();
    says("the gateway answers again");
    assert_eq!(round()[0]["peer"], "leaf");
    kill_process(Pid::from_child(&json), Signal::INT).unwrap();
    assert_eq!(json.wait().unwrap().code(), Some(0));

    let gone = lab.directory.path().join("nobody.sock");
    let mut command = Command::new(env!("CARGO_BIN_EXE_transload"));
    let refused = command.args(["show", "ports", "--watch", "--socket"]).arg(gone).output().unwrap();
    assert_eq!(refused.status.code(), Some(1), "whoever has never answered is not waited for");
}

#[test]
fn a_gateway_of_another_network_namespace_is_not_replaced() {
    const TEST: &str = "a_gateway_of_another_network_namespace_is_not_replaced";
    let (Some(lab), Some(other)) = (Lab::new(TEST), Lab::new(TEST)) else { return };
    let running = lab.start();
    let output = other.namespace.enter(|| lab.command().arg("--replace").output()).unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("is of a gateway in another network"), "{said}");
    assert!(lab.show(&["ports"]).status.success(), "it goes on");
    assert_eq!(running.stop(Signal::TERM).0, Some(0));
}

fn demonstration(test: &str, arguments: &[&str]) {
    if Lab::new(test).is_none() {
        return;
    }
    let output = Command::new(env!("CARGO_BIN_EXE_transload")).arg("demo").args(arguments).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("12 of 12 pairs reached each other"), "{said}");
    assert!(said.contains("the same 98 bytes on both sides"), "{said}");
}

#[test]
fn the_demonstration_works_with_whatever_is_installed() {
    demonstration("the_demonstration_works_with_whatever_is_installed", &[]);
}

#[test]
fn a_user_mode_linux_that_dies_at_its_start_is_quoted_replaced_and_the_world_shown_once() {
    const TEST: &str = "a_user_mode_linux_that_dies_at_its_start_is_quoted_replaced_and_the_world_shown_once";
    const WORDS: &str = "userspace - ptrace set fp regs failed, errno = 14";
    if Lab::new(TEST).is_none() {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let program = place.path().join("linux.uml");
    fs::write(&program, format!("#!/bin/sh\necho '{WORDS}'\nkill -ABRT $$\n")).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let (kept, path) = (place.path().join("kept"), std::env::var("PATH").unwrap());
    let demonstration = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_transload"));
        command.arg("demo").env("PATH", format!("{}:{path}", place.path().display()));
        let output = command.env(transload_lab::uml::KEEP_IN, &kept).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
        said
    };
    let said = demonstration();
    for once in ["transload demo: one tenant", "VNI 777216", "version: 1", "12 of 12 pairs reached each other"] {
        assert_eq!(said.matches(once).count(), 1 + usize::from(once.starts_with("VNI")), "{once}: {said}");
    }
    assert!(!said.contains("Linux in UML"), "the picture is of what runs: {said}");
    // A running kernel that speaks all of it, or a machine without TAPs, does without User-Mode Linux.
    let is_replaced = said.contains("speaks in its place for: ");
    assert_eq!(is_replaced, said.contains("User-Mode Linux has ended by signal 6"), "{said}");
    if is_replaced {
        assert!(said.contains(&format!("Its last words:\n    {WORDS}\n")), "{said}");
        let file = fs::read_dir(&kept).unwrap().next().unwrap().unwrap().path();
        assert!(said.contains(&format!("Its whole output is in {}\n", file.display())), "{said}");
        assert_eq!(fs::read_to_string(file).unwrap().trim(), WORDS);
    }
}

#[test]
fn the_demonstration_needs_no_other_program() {
    demonstration("the_demonstration_needs_no_other_program", &["--hosts", "transload"]);
}
