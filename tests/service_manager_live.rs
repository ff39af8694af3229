//! What a gateway tells the service manager that has started it, as a socket in its place hears it.

use std::fs;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use transload_lab::{Host, Namespace, PATIENCE, eventually, need};

const FILE: &str = "
version: 1
ports:
  up: { device: up1, io: af_packet }
  ce: { device: ce1, io: af_packet }
endpoints:
  fabric: { address: 192.0.2.1, ports: [up] }
peers:
  leaf: { address: 192.0.2.2, encap: nvgre }
tenants:
  blue:
    attachments:
      leaf: { peer: leaf, vsid: 5100 }
      ce: { port: ce, s_vid: 5 }
";

/// A namespace with what the file asks for, and a directory.
struct World {
    namespace: Namespace,
    directory: TempDir,
}

impl World {
    fn new() -> Self {
        let world = Self { namespace: Namespace::new().unwrap(), directory: tempfile::tempdir().unwrap() };
        for name in ["up1", "ce1"] {
            world
                .namespace
                .sh(&format!(
                    "ip link add {name} type veth peer name {name}-far; ip link set {name} up; ip link set {name}-far up"
                ))
                .unwrap();
        }
        world.namespace.sh("ip addr add 192.0.2.1/24 dev up1").unwrap();
        // Some gateways become somebody else.
        fs::set_permissions(world.directory.path(), fs::Permissions::from_mode(0o777)).unwrap();
        world.write(FILE);
        world
    }

    fn write(&self, text: &str) {
        fs::write(self.path("gateway.yaml"), text).unwrap();
    }

    fn path(&self, name: &str) -> String {
        self.directory.path().join(name).display().to_string()
    }

    /// Starts a gateway of this manager, which watches it if `watchdog` says how.
    fn start(&self, manager: &Manager, more: &[&str], watchdog: Option<Duration>) -> Service {
        let mut command = Command::new(env!("CARGO_BIN_EXE_transload"));
        command.args(["run", "--admin", &self.path("admin.sock"), &self.path("gateway.yaml")]).args(more);
        command.env("NOTIFY_SOCKET", &manager.name).stdin(Stdio::null());
        if let Some(time) = watchdog {
            command.env("WATCHDOG_USEC", time.as_micros().to_string());
        }
        Service(self.namespace.spawn(&mut command).unwrap())
    }

    fn ask(&self, verb: &str) -> bool {
        let mut command = Command::new(env!("CARGO_BIN_EXE_transload"));
        command.args([verb, "--socket", &self.path("admin.sock")]).output().unwrap().status.success()
    }

    /// Sends a frame into the tenant and waits until it has left in a tunnel.
    fn carries(&self) {
        let device = |name: &str| {
            let found = pnet_datalink::interfaces().into_iter().find(|found| found.name == name).unwrap();
            let config = pnet_datalink::Config { read_timeout: Some(PATIENCE), ..Default::default() };
            match pnet_datalink::channel(&found, config).unwrap() {
                pnet_datalink::Channel::Ethernet(sender, receiver) => (sender, receiver),
                _ => unreachable!("a veth is an Ethernet device"),
            }
        };
        let ((mut sender, _), (_, mut receiver)) =
            self.namespace.enter(|| Ok((device("ce1-far"), device("up1-far")))).unwrap();
        let frame = [&[0xff; 6][..], &[2, 0, 0, 0, 0, 1, 0x88, 0xa8, 0, 5, 0x88, 0xb5], &[0x42; 46]].concat();
        sender.send_to(&frame, None).unwrap().unwrap();
        // An outer Ethernet header, IPv4, GRE with a key.
        let is_ours = |bytes: &[u8]| bytes.get(23) == Some(&47) && bytes.ends_with(&[0x42; 46]);
        while !is_ours(receiver.next().unwrap()) {}
    }
}

/// A gateway, killed when dropped.
struct Service(Child);

impl Service {
    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }

    fn ends(&mut self) {
        assert!(self.0.wait().unwrap().success());
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Stands in a service manager's place.
struct Manager {
    name: String,
    socket: UnixDatagram,
}

impl Manager {
    fn at(path: String) -> Self {
        let socket = UnixDatagram::bind(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
        Self::listening(path, socket)
    }

    /// Abstract names are those of a network namespace.
    fn of_abstract_name(world: &World, name: &str) -> Self {
        let address = SocketAddr::from_abstract_name(name).unwrap();
        let socket = world.namespace.enter(|| UnixDatagram::bind_addr(&address)).unwrap();
        Self::listening(format!("@{name}"), socket)
    }

    fn listening(name: String, socket: UnixDatagram) -> Self {
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { name, socket }
    }

    fn next(&self) -> String {
        let mut buffer = [0; 1024];
        let len = self.socket.recv(&mut buffer).expect("the gateway says something");
        String::from_utf8(buffer[..len].to_vec()).unwrap()
    }

    /// The next message that is neither a beat nor a status alone.
    fn hears(&self) -> String {
        loop {
            let message = self.next();
            if message != "WATCHDOG=1\n" && !message.starts_with("STATUS=") {
                return message;
            }
        }
    }

    fn hears_a_reload(&self) {
        let begins = self.hears();
        let since =
            begins.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").and_then(|rest| rest.trim().parse::<u64>().ok());
        assert!(since.is_some(), "{begins:?}");
        assert_eq!(self.hears(), "READY=1\n");
    }
}

#[test]
fn a_service_manager_hears_of_the_start_of_reloads_of_health_and_of_the_end() {
    need!(root, ip);
    let world = World::new();
    for (more, manager) in [
        ("", Manager::at(world.path("notify"))),
        ("user: nobody\n", Manager::at(world.path("notify-nobody"))),
        ("user: nobody\n", Manager::of_abstract_name(&world, "whole")),
    ] {
        let good = format!("{FILE}{more}");
        world.write(&good);
        let mut service = world.start(&manager, &[], Some(Duration::from_millis(200)));
        assert_eq!(
            manager.hears(),
            "READY=1\nSTATUS=2 ports, 0 of 1 tunnel peer resolved, 1 tenant, 1 worker\n",
            "the first message"
        );
        for _ in 0..5 {
            while manager.next() != "WATCHDOG=1\n" {}
        }
        service.signal(Signal::HUP);
        manager.hears_a_reload();
        assert!(world.ask("reload"));
        manager.hears_a_reload();
        world.write("version: 1\nports: {}\nporst: {}\n");
        assert!(!world.ask("reload"));
        manager.hears_a_reload();
        service.signal(Signal::TERM);
        assert_eq!(manager.hears(), "STOPPING=1\n");
        service.ends();
    }
}

#[test]
fn ready_means_that_frames_pass_and_the_status_follows_what_is_so() {
    need!(root, ip);
    let world = World::new();
    world.namespace.sh("ip neigh add 192.0.2.2 lladdr 02:00:00:00:00:02 dev up1").unwrap();
    let manager = Manager::at(world.path("notify"));
    let service = world.start(&manager, &[], None);
    assert!(manager.hears().contains("1 of 1 tunnel peer resolved"));
    world.carries();
    world.namespace.sh("ip addr del 192.0.2.1/24 dev up1").unwrap();
    while !manager.next().contains("0 of 1 tunnel peer resolved") {}
    drop(service);
}

#[test]
fn who_takes_the_place_of_a_gateway_is_the_service_before_that_ends_and_is_watched_as_that_was() {
    need!(root, ip);
    let world = World::new();
    let manager = Manager::of_abstract_name(&world, "successor");
    let mut first = world.start(&manager, &[], Some(Duration::from_millis(200)));
    assert!(manager.hears().starts_with("READY=1\n"));
    let mut second = world.start(&manager, &["--replace"], None);
    assert_eq!(manager.hears(), format!("MAINPID={}\n", second.0.id()), "said by the first");
    assert!(manager.hears().starts_with("READY=1\n"), "of the second: the first no longer speaks");
    first.ends();
    for _ in 0..5 {
        while manager.next() != "WATCHDOG=1\n" {}
    }
    second.signal(Signal::TERM);
    assert_eq!(manager.hears(), "STOPPING=1\n");
    second.ends();
}

#[test]
fn a_service_manager_that_takes_nothing_keeps_nobody_waiting() {
    need!(root, ip);
    let world = World::new();
    let manager = Manager::at(world.path("notify"));
    let mut service = world.start(&manager, &[], Some(Duration::from_millis(2)));
    eventually("the gateway comes up", || world.ask("reload"));
    // Far more than a socket has room for.
    for _ in 0..20 {
        assert!(world.ask("reload"));
    }
    assert!(manager.hears().starts_with("READY=1\nSTATUS="), "what came first is there");
    service.signal(Signal::TERM);
    service.ends();
}

#[test]
fn a_gateway_that_cannot_be_replaced_reads_its_file_all_the_same() {
    need!(root, ip);
    let world = World::new();
    let socket = world.path("port");
    world
        .write(&FILE.replace("endpoints:", &format!("  aux: {{ io: {{ unix: {{ local: {socket} }} }} }}\nendpoints:")));
    let manager = Manager::at(world.path("notify"));
    let mut service = world.start(&manager, &[], None);
    assert!(manager.hears().starts_with("READY=1\n"));
    let next = world.path("next");
    fs::copy(env!("CARGO_BIN_EXE_transload"), &next).unwrap();
    let mut upgrade = Command::new(&next);
    upgrade.args(["reload", "--upgrade", "--socket", &world.path("admin.sock")]).stdin(Stdio::null());
    let output = world
        .namespace
        .spawn(upgrade.stdout(Stdio::piped()).stderr(Stdio::piped()))
        .unwrap()
        .wait_with_output()
        .unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(
        output.status.success() && said.contains("note: the running gateway is not upgraded, and reads its file"),
        "{said}"
    );
    assert!(said.contains("port aux is not on packet sockets"), "{said}");
    manager.hears_a_reload();
    service.signal(Signal::TERM);
    assert_eq!(manager.hears(), "STOPPING=1\n", "it is the service still");
    service.ends();
}
