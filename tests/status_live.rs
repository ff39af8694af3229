//! `transload status` on broken set-ups: each is a small world of namespaces in which traffic is tried, and the page has to
//! name the cause.
//!
//! ```text
//! host (10.1.0.2) ─── ce: gateway (192.0.2.1) :up ─── peer (192.0.2.9): VXLAN with VNI 100, 10.1.0.9 behind it
//! ```

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SendFlags, SocketType, ipproto, sendto, socket};
use serde_json::Value;
use transload_lab::{Gateway, Host, Namespace, PATIENCE, need, veth};

const FILE: &str = "
version: 1
ports:
  up: { device: eth1 }
  ce: { device: eth2 }
endpoints:
  fabric: { address: 192.0.2.1, ports: [up] }
peers:
  leaf: { address: 192.0.2.9, encap: vxlan }
tenants:
  blue:
    attachments:
      leaf: { peer: leaf, vni: 100 }
      host: { port: ce, untagged: true }
";

/// How the peer's tunnel is set up where nothing is wrong.
const VXLAN: &str = "ip link add tun type vxlan id 100 local 192.0.2.9 remote 192.0.2.1 dstport 4789";

struct World {
    machine: Namespace,
    host: Namespace,
    peer: Namespace,
    gateway: Gateway,
}

impl World {
    /// With this file, and the device `tun` of the peer made by this command.
    fn new(file: &str, tunnel: &str) -> Self {
        let [machine, host, peer] = [(); 3].map(|()| Namespace::new().unwrap());
        veth((&machine, "eth1"), (&peer, "eth0"), 1500).unwrap();
        veth((&machine, "eth2"), (&host, "eth0"), 1500).unwrap();
        machine.sh("ip addr add 192.0.2.1/24 dev eth1; ip route add 198.51.100.0/24 via 192.0.2.9").unwrap();
        host.sh("ip addr add 10.1.0.2/24 dev eth0").unwrap();
        peer.sh("ip addr add 192.0.2.9/24 dev eth0").unwrap();
        if !tunnel.is_empty() {
            peer.sh(&format!("{tunnel}; ip link set tun up mtu 1400; ip addr add 10.1.0.9/24 dev tun")).unwrap();
        }
        let gateway = Gateway::start(&machine, file).unwrap();
        Self { machine, host, peer, gateway }
    }

    /// A packet each way, or the attempt.
    fn traffic(&self) {
        let ping = |from: &Namespace, to: &str| from.sh(&format!("ping -n -q -c 1 -W 0.2 {to} || true")).unwrap();
        ping(&self.host, "10.1.0.9");
        ping(&self.peer, "10.1.0.2");
    }

    fn status(&self, more: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_transload"));
        command.arg("status").args(more).arg("--socket").arg(self.gateway.path("admin.sock")).output().unwrap()
    }

    /// What `probe` says, without the line breaks of a diagnostic.
    fn probe(&self, peer: &str) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_transload"));
        command.arg("probe").arg(peer).arg("--socket").arg(self.gateway.path("admin.sock"));
        let output = self.machine.enter(|| command.output()).unwrap();
        let said = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
        said.replace('|', " ").split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// Sends a broadcast of a tenant from the peer, behind this GRE header.
    fn send_gre(&self, header: &[u8]) {
        let frame = [&[0xff; 6][..], &[2, 0, 0, 0, 0, 9], &[8, 0], &[0; 46]].concat();
        let sent = self.peer.enter(|| {
            let socket = socket(AddressFamily::INET, SocketType::RAW, Some(ipproto::GRE))?;
            let to = SocketAddr::from(([192, 0, 2, 1], 0));
            Ok(sendto(socket, &[header, &frame].concat(), SendFlags::empty(), &to)?)
        });
        sent.unwrap();
    }

    /// Waits until there was this event about the peer.
    fn tells(&self, event: &str) {
        let started = Instant::now();
        let is_told = || {
            let mut command = Command::new(env!("CARGO_BIN_EXE_transload"));
            command.args(["events", "--no-follow", "--peer", "leaf", "--name", event, "--socket"]);
            let output = command.arg(self.gateway.path("admin.sock")).output().unwrap();
            String::from_utf8(output.stdout).unwrap().contains(&format!(r#""event":"{event}""#))
        };
        while !is_told() {
            assert!(started.elapsed() < PATIENCE, "{event} is not told");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Tries traffic until the page says all of this. Returns the exit code.
    fn says(&self, words: &[&str]) -> i32 {
        self.says_while(words, || ())
    }

    /// The same with more traffic.
    fn says_while(&self, words: &[&str], more: impl Fn()) -> i32 {
        let started = Instant::now();
        loop {
            self.traffic();
            more();
            let output = self.status(&[]);
            let page = String::from_utf8(output.stdout).unwrap();
            if words.iter().all(|words| page.contains(words)) {
                return output.status.code().unwrap();
            }
            let missing: Vec<_> = words.iter().filter(|words| !page.contains(**words)).collect();
            assert!(started.elapsed() < PATIENCE, "not within {PATIENCE:?}: {missing:?}\n{page}");
        }
    }
}

#[test]
fn all_is_well_until_the_file_is_changed() {
    need!(root, ip, ping, vxlan);
    let world = World::new(FILE, VXLAN);
    assert_eq!(world.says(&["All is well.", "1 fine", "gateway.yaml (sha256 "]), 0);
    let mut command = Command::new(env!("CARGO_BIN_EXE_transload"));
    command.args(["status", "--json", "--watch", "0.1", "--socket"]).arg(world.gateway.path("admin.sock"));
    let mut watching = command.stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(watching.stdout.take().unwrap()).lines().take(3);
    let health = |line: String| serde_json::from_str::<Value>(&line).unwrap()["health"].clone();
    assert_eq!(lines.map(|line| health(line.unwrap())).collect::<Vec<_>>(), ["fine"; 3]);
    // It ends by itself when nobody reads.
    watching.wait().unwrap();
    world.gateway.write(&FILE.replace("vni: 100", "vni: 101")).unwrap();
    assert_eq!(world.says(&["not what is on disk now", "changed", "`transload reload`"]), 0);
    world.gateway.reload().unwrap();
    // The peer sends the VNI of before.
    assert_eq!(world.says(&["unknown_segment", "peer leaf sends vni 100", "responsible: config"]), 1);
    let status: Value = serde_json::from_slice(&world.status(&["--json"]).stdout).unwrap();
    assert_eq!((&status["health"], &status["gateway"]["role"]), (&"trouble".into(), &"active".into()));
    assert_eq!(status["changed_files"], serde_json::json!({}));
    assert!(status["troubles"].as_array().unwrap().iter().any(|row| row["name"] == "unknown_segment"), "{status:#}");
    world.gateway.stop().unwrap();
}

#[test]
fn no_gateway_is_told_from_a_sick_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_transload"));
    let output = command.arg("status").arg("--socket").arg(folder.path().join("admin.sock")).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8(output.stderr).unwrap().contains("no gateway answers on"));
}

#[test]
fn a_dead_listener() {
    need!(root, ip, ping, vxlan);
    let world = World::new(FILE, "");
    let words =
        ["1 unreachable", "peer leaf: 192.0.2.9 answers: UDP port 4789 unreachable", "nobody listens on UDP port 4789"];
    assert_eq!(world.says(&words), 2, "it is the only peer");
}

#[test]
fn a_listener_on_another_port() {
    need!(root, ip, ping, vxlan);
    let world = World::new(FILE, &VXLAN.replace("4789", "8472"));
    assert_eq!(world.says(&["UDP port 4789 unreachable", "`udp_port`", "8472"]), 2);
}

#[test]
fn a_far_firewall() {
    need!(root, ip, ping, vxlan, nft);
    let world = World::new(FILE, VXLAN);
    let rules = "nft add table inet f; nft add chain inet f in '{ type filter hook input priority 0; }'; \
                 nft add chain inet f out '{ type filter hook output priority 0; }'; \
                 nft add rule inet f in udp dport 4789 drop; nft add rule inet f out udp dport 4789 drop";
    world.peer.sh(rules).unwrap();
    let words = [
        "1 silent",
        "come from it",
        "frames have been sent to it",
        "is UDP port 4789 let through between 192.0.2.1 and 192.0.2.9",
    ];
    assert_eq!(world.says(&words), 1);
    world.tells("peer_silent");
    world.peer.sh("nft delete table inet f").unwrap();
    world.says(&["1 fine"]);
    world.tells("peer_heard");
}

#[test]
fn a_firewall_that_rejects() {
    need!(root, ip, ping, vxlan, nft);
    let world = World::new(FILE, VXLAN);
    let rules = "nft add table ip f; nft add chain ip f in '{ type filter hook input priority 0; }'; \
                 nft add rule ip f in udp dport 4789 reject with icmp type admin-prohibited";
    world.peer.sh(rules).unwrap();
    assert!(world.says(&["administratively prohibited", "a firewall on 192.0.2.9 rejects"]) > 0);
}

#[test]
fn another_vni_at_the_peer() {
    need!(root, ip, ping, vxlan);
    let world = World::new(FILE, &VXLAN.replace("id 100", "id 200"));
    let words = ["drops unknown_segment", "at port up", "peer leaf sends vni 200", "add an attachment with it"];
    assert!(world.says(&words) > 0);
}

#[test]
fn a_peer_that_sends_from_another_address() {
    need!(root, ip, ping, vxlan);
    let tunnel = VXLAN.replace("local 192.0.2.9", "local 192.0.2.10");
    let world = World::new(FILE, &format!("ip addr add 192.0.2.10/24 dev eth0; {tunnel}"));
    assert!(world.says(&["drops unknown_peer", "come from 192.0.2.10, which no peer has", "`accept_from`"]) > 0);
}

#[test]
fn another_key_of_gre() {
    need!(root, ip, ping);
    let world = World::new(&FILE.replace("encap: vxlan", "encap: gre").replace("vni: 100", "key: 100"), "");
    let words = [
        "drops unknown_segment",
        "sends key 0x000000c8",
        "IP protocol 47 unreachable",
        "with the same ID (a key is one)",
    ];
    assert!(world.says_while(&words, || world.send_gre(&[0x20, 0, 0x65, 0x58, 0, 0, 0, 200])) > 0);
}

#[test]
fn gre_where_nvgre_is_expected() {
    need!(root, ip, ping);
    let world = World::new(&FILE.replace("encap: vxlan", "encap: nvgre").replace("vni: 100", "vsid: 5000"), "");
    let words = ["drops nvgre_bad_flags", "the peer may speak plain GRE", "responsible: peer"];
    assert!(world.says_while(&words, || world.send_gre(&[0, 0, 0x65, 0x58])) > 0);
}

#[test]
fn a_host_that_is_down_and_one_without_a_route() {
    need!(root, ip, ping);
    let peers = "leaf: { address: 192.0.2.9, encap: vxlan }\n  far: { address: 203.0.113.9, encap: vxlan }";
    let file = FILE.replace("leaf: { address: 192.0.2.9, encap: vxlan }", peers);
    let world =
        World::new(&file, "ip link set eth0 arp off; ip addr flush dev eth0; ip link add tun type veth peer name far");
    let words =
        ["2 unresolved", "192.0.2.9 on eth1 has not answered yet", "no route to 203.0.113.9", "is its host up?"];
    assert_eq!(world.says(&words), 2);
}

/// With the peer behind a router, by a link of 1300 bytes; what was the peer is the router.
fn behind_a_router() -> (World, Namespace) {
    let world = World::new(&FILE.replace("address: 192.0.2.9", "address: 198.51.100.9"), "");
    let far = Namespace::new().unwrap();
    veth((&world.peer, "eth1"), (&far, "eth0"), 1300).unwrap();
    world.peer.sh("ip addr add 198.51.100.1/24 dev eth1; echo 1 > /proc/sys/net/ipv4/ip_forward").unwrap();
    let tunnel = VXLAN.replace("192.0.2.9", "198.51.100.9");
    far.sh(&format!(
        "ip addr add 198.51.100.9/24 dev eth0; ip route add default via 198.51.100.1; {tunnel}; \
         ip link set tun up mtu 1250; ip addr add 10.1.0.9/24 dev tun"
    ))
    .unwrap();
    (world, far)
}

#[test]
fn a_narrow_link_that_a_router_tells_of() {
    need!(root, ip, ping, vxlan);
    let (world, _far) = behind_a_router();
    world.says(&["1 fine"]);
    world.host.background("ping -n -q -i 0.2 -s 1400 -M do 10.1.0.9").unwrap();
    world.says(&["carries IP packets of at most 1300 bytes, as 192.0.2.9 said"]);
}

#[test]
fn a_narrow_link_that_nobody_tells_of_is_found_by_a_probe() {
    need!(root, ip, ping, vxlan, nft);
    let (world, _far) = behind_a_router();
    world.says(&["1 fine"]);
    let whole = world.probe("leaf");
    assert!(whole.contains("answers pings") && whole.contains("packets of 1300 bytes get there and back"), "{whole}");
    assert!(whole.contains("a router says so by ICMP"), "{whole}");
    let rules = "nft add table ip f; nft add chain ip f out '{ type filter hook output priority 0; }'; \
                 nft add rule ip f out icmp type destination-unreachable drop";
    world.peer.sh(rules).unwrap();
    let hole = world.probe("leaf");
    assert!(hole.contains("packets of 1300 bytes get there and back") && hole.contains("black hole"), "{hole}");
    assert!(hole.contains("`mtu: 1300` at port up"), "{hole}");
    assert!(world.probe("lea").contains("did you mean `leaf`?"));
}

#[test]
fn a_probe_tells_a_path_that_is_fine_from_a_host_that_says_nothing() {
    need!(root, ip, ping, vxlan);
    let world = World::new(FILE, VXLAN);
    let fine = world.probe("leaf");
    assert!(
        fine.contains("packets of 1500 bytes get there and back") && fine.contains("for pings the path is fine"),
        "{fine}"
    );
    world.peer.sh("echo 1 > /proc/sys/net/ipv4/icmp_echo_ignore_all").unwrap();
    assert!(world.probe("leaf").contains("192.0.2.9 does not answer pings"));
}

#[test]
fn two_attachments_joined_outside() {
    need!(root, ip, ping, vxlan);
    let file = FILE.replace("  ce: { device: eth2 }", "  ce: { device: eth2 }\n  ce2: { device: eth3 }");
    let file = format!("{file}      other: {{ port: ce2, untagged: true }}\n");
    let [machine, host, peer] = [(); 3].map(|()| Namespace::new().unwrap());
    veth((&machine, "eth1"), (&peer, "eth0"), 1500).unwrap();
    veth((&machine, "eth2"), (&host, "eth2"), 1500).unwrap();
    veth((&machine, "eth3"), (&host, "eth3"), 1500).unwrap();
    machine.sh("ip addr add 192.0.2.1/24 dev eth1").unwrap();
    peer.sh(&format!(
        "ip addr add 192.0.2.9/24 dev eth0; {VXLAN}; ip link set tun up; ip addr add 10.1.0.9/24 dev tun"
    ))
    .unwrap();
    host.sh(
        "ip link add br0 type bridge; ip link set eth2 master br0; ip link set eth3 master br0; ip link set br0 up; \
         ip addr add 10.1.0.2/24 dev br0",
    )
    .unwrap();
    let gateway = Gateway::start(&machine, &file).unwrap();
    let world = World { machine, host, peer, gateway };
    let words = ["tenant blue: broadcasts come back between its attachments host and other", "find what joins the two"];
    assert_eq!(world.says(&words), 1);
}

#[test]
fn the_same_mac_address_on_two_sides() {
    need!(root, ip, ping, vxlan);
    let world = World::new(FILE, VXLAN);
    world.host.sh("ip link set eth0 address 02:00:00:00:00:aa").unwrap();
    world.peer.sh("ip link set tun address 02:00:00:00:00:aa").unwrap();
    let words = ["tenant blue: MAC address 02:00:00:00:00:aa moved too often", "two hosts have the same MAC address"];
    assert_eq!(world.says(&words), 1);
}

#[test]
fn other_tags_than_a_port_expects() {
    need!(root, ip, ping, vxlan);
    let world = World::new(&FILE.replace("untagged: true", "vid: 7"), VXLAN);
    assert!(
        world.says(&["drops unclaimed_tags", "at port ce", "no attachment of ce has these VLAN tags", "add one"]) > 0
    );
}

#[test]
fn a_port_without_a_cable() {
    need!(root, ip, ping, vxlan);
    let world = World::new(FILE, VXLAN);
    world.host.sh("ip link set eth0 down").unwrap();
    assert_eq!(world.says(&["critical: port ce", "`ip link show`"]), 2);
}

#[test]
fn the_page_of_a_gateway_that_went_away_is_not_kept() {
    need!(root, ip);
    let world = World::new(FILE, "");
    let socket = world.gateway.path("admin.sock");
    assert!(fs::exists(&socket).unwrap());
    world.gateway.kill().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_transload"));
    assert_eq!(command.arg("status").arg("--socket").arg(socket).status().unwrap().code(), Some(3));
}
