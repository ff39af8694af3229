//! Tunnels over every kind of device that Linux has for it, and the kinds that a port cannot be on: `WireGuard` in the
//! running kernel's namespaces, everything else in a User-Mode Linux with the gateway, its peer and a host in namespaces
//! of its own.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};
use tempfile::TempDir;
use transload_interop_tests::peers::Uml;
use transload_interop_tests::traffic::{ping, settle, transfer};
use transload_lab::{Gateway, Host, Namespace, eventually, gateway, need, veth};

/// The gateway's file: a tunnel over `up0`, and a host behind `eth2`.
fn file(local: &str, remote: &str, encap: &str, id: &str) -> String {
    format!(
        "version: 1
ports:
  up: {{ device: up0 }}
  access: {{ device: eth2 }}
endpoints:
  e: {{ address: \"{local}\", ports: [up] }}
peers:
  p: {{ address: \"{remote}\", encap: {encap} }}
tenants:
  blue:
    attachments:
      p: {{ peer: p, {id} }}
      h: {{ port: access, untagged: true }}
"
    )
}

/// `WireGuard` from a gateway to a peer, by its implementation as a process, which needs nothing of the kernel but tun.
struct WireGuard {
    gateway: Namespace,
    peer: Namespace,
    host: Namespace,
    _sockets: ControlSockets,
}

/// The sockets in the file system that `wg` finds the processes by, which outlive them.
struct ControlSockets(Vec<String>);

impl Drop for ControlSockets {
    fn drop(&mut self) {
        for name in &self.0 {
            let _ = fs::remove_file(format!("/run/wireguard/{name}.sock"));
        }
    }
}

impl WireGuard {
    fn new() -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let [gateway, peer, host] = [(); 3].map(|()| Namespace::new().unwrap());
        veth((&gateway, "eth1"), (&peer, "eth1"), 1500).unwrap();
        veth((&gateway, "eth2"), (&host, "eth0"), 1500).unwrap();
        host.sh("ip addr add 10.1.0.2/24 dev eth0").unwrap();
        let keys = tempfile::tempdir().unwrap();
        let at = keys.path().display();
        // Each has a name of its own on the machine, for its socket, until it is set up.
        let world = MADE.fetch_add(1, Ordering::Relaxed);
        let name = |own: u32| format!("t{}-{world}-{own}", std::process::id());
        let names = [(&gateway, 1), (&peer, 2)].map(|(place, own)| (place, own, name(own)));
        for (place, own, name) in &names {
            place.sh(&format!("ip addr add 192.0.2.{own}/24 dev eth1; wg genkey > {at}/{own}")).unwrap();
            place.background(&format!("wireguard-go -f {name}")).unwrap();
            place
                .sh(&format!("until ip link show {name}; do sleep 0.05; done; wg pubkey < {at}/{own} > {at}/pub{own}"))
                .unwrap();
        }
        for (place, own, name) in &names {
            let far = 3 - own;
            place
                .sh(&format!(
                    "wg set {name} private-key {at}/{own} listen-port 51820 peer $(cat {at}/pub{far}) \
                     endpoint 192.0.2.{far}:51820 allowed-ips 10.9.0.0/24,fd09::/64,fe80::/64,239.1.1.1/32
                     ip link set {name} name up0
                     ip addr add 10.9.0.{own}/24 dev up0
                     ip addr add fd09::{own}/64 dev up0 nodad
                     ip addr add fe80::{own}/64 dev up0 nodad
                     ip link set up0 up"
                ))
                .unwrap();
        }
        let sockets = names.map(|(.., name)| name).into();
        Self { gateway, peer, host, _sockets: ControlSockets(sockets) }
    }
}

#[test]
fn vxlan_over_wireguard_joins_two_sites_over_ipv4_ipv6_and_link_local_addresses() {
    need!(root, ip, ping, vxlan, wireguard);
    for (local, remote) in [("10.9.0.1", "10.9.0.2"), ("fd09::1", "fd09::2"), ("fe80::1", "fe80::2")] {
        let WireGuard { gateway, peer, host, _sockets } = WireGuard::new();
        peer.sh(&format!(
            "ip link add vx0 type vxlan id 100 local {remote} remote {local} dev up0 dstport 4789
             ip addr add 10.1.0.1/24 dev vx0
             ip link set vx0 mtu 1300 up"
        ))
        .unwrap();
        let workers = if local == "fd09::1" { 2 } else { 1 };
        let file = format!("{}workers: {workers}\n", file(local, remote, "vxlan", "vni: 100"));
        let gateway = Gateway::start(&gateway, &file).unwrap();
        settle(&host, "10.1.0.1").unwrap();
        ping(&host, "10.1.0.1", 1300).unwrap();
        transfer(&host, &peer, "10.1.0.1", 5).unwrap();
        transfer(&peer, &host, "10.1.0.2", 5).unwrap();
        let ports = gateway.show("ports").unwrap();
        let up = ports.as_array().unwrap().iter().find(|row| row["port"] == "up").unwrap();
        assert_eq!(up["io"], "af_packet (IP only) up0");
        gateway.write(&file.replace("device: up0", "device: up0, mac: \"02:00:00:00:00:01\"")).unwrap();
        let refused = gateway.reload().unwrap_err().to_string();
        assert!(refused.contains("port `up` has a `mac`, but `up0` carries IP packets without Ethernet"), "{refused}");
        gateway.stop().unwrap();
    }
}

/// Waits until a gateway has learned a peer and knows the way to it.
fn wait_for_learned(gateway: &Gateway, address: &str) {
    let is_reached = |row: &Value| row["address"] == address && row["next_hops"] != json!([]);
    eventually("the peer is learned and reached", || {
        gateway.show("peers").unwrap().as_array().unwrap().iter().any(is_reached)
    });
}

#[test]
fn flooded_frames_go_to_a_multicast_group_by_wireguard_and_members_are_learned() {
    need!(root, ip, ping, vxlan, wireguard);
    let WireGuard { gateway, peer, host, _sockets } = WireGuard::new();
    peer.sh("ip link add vx0 type vxlan id 100 local 10.9.0.2 group 239.1.1.1 dev up0 dstport 4789
         ip addr add 10.1.0.1/24 dev vx0
         ip link set vx0 mtu 1300 up")
        .unwrap();
    let members = "groups:\n  p: { learn_from: 10.9.0.0/24, bum: 239.1.1.1, encap: vxlan }\n";
    let file = file("10.9.0.1", "10.9.0.2", "vxlan", "vni: 100");
    let file = file.replace("peers:\n  p: { address: \"10.9.0.2\", encap: vxlan }\n", members);
    let gateway = Gateway::start(&gateway, &file.replace("peer: p", "group: p")).unwrap();
    settle(&host, "10.1.0.1").unwrap();
    wait_for_learned(&gateway, "10.9.0.2");
    ping(&host, "10.1.0.1", 1300).unwrap();
    peer.sh("ip neigh flush dev vx0").unwrap();
    ping(&peer, "10.1.0.2", 1300).unwrap();
    gateway.stop().unwrap();
}

#[test]
fn an_endpoint_has_a_link_local_address_and_so_has_another_on_another_link() {
    need!(root, ip, ping, vxlan);
    let [middle, left, right] = [(); 3].map(|()| Namespace::new().unwrap());
    for (place, device) in [(&left, "eth1"), (&right, "eth2")] {
        veth((&middle, device), (place, "eth0"), 1500).unwrap();
        middle.sh(&format!("ip addr add fe80::1/64 dev {device} nodad")).unwrap();
    }
    for (place, own) in [(&left, 1), (&right, 2)] {
        place
            .sh(&format!(
                "ip addr add fe80::9/64 dev eth0 nodad
                 ip link add vx0 type vxlan id 10{own} local fe80::9 remote fe80::1 dev eth0 dstport 4789
                 ip addr add 10.1.0.{own}/24 dev vx0
                 ip link set vx0 mtu 1400 up"
            ))
            .unwrap();
    }
    let file = "version: 1
ports:
  one: { device: eth1 }
  two: { device: eth2 }
endpoints:
  left: { address: \"fe80::1\", ports: [one] }
  right: { address: \"fe80::1\", ports: [two] }
peers:
  left: { address: \"fe80::9\", endpoint: left, encap: vxlan }
groups:
  right: { learn_from: \"fe80::/64\", endpoint: right, encap: vxlan }
tenants:
  blue:
    attachments:
      left: { peer: left, vni: 101 }
      right: { group: right, vni: 102 }
";
    let gateway = Gateway::start(&middle, file).unwrap();
    settle(&right, "10.1.0.1").unwrap();
    // Nobody listened before, and both were told so.
    let before = unreachable(&left, &right);
    ping(&left, "10.1.0.2", 1400).unwrap();
    ping(&right, "10.1.0.1", 1400).unwrap();
    transfer(&left, &right, "10.1.0.2", 5).unwrap();
    assert_eq!(unreachable(&left, &right), before, "nobody is told that the port is closed");
    // A device that comes back is another, of which the kernel must be kept from answering too.
    veth_again(&middle, &right);
    settle(&right, "10.1.0.1").unwrap();
    ping(&right, "10.1.0.1", 1400).unwrap();
    assert_eq!(unreachable(&left, &right), before);
    gateway.stop().unwrap();
}

/// `ICMPv6` "destination unreachable" messages that each of the two kernels has received since it has this namespace.
fn unreachable(left: &Namespace, right: &Namespace) -> [String; 2] {
    [left, right].map(|place| place.sh("awk '/^Icmp6InDestUnreachs/ { print $2 }' /proc/net/snmp6").unwrap())
}

/// Exchanges the cable between the gateway and the right site for another of the same names.
fn veth_again(middle: &Namespace, right: &Namespace) {
    middle.sh("ip link del eth2").unwrap();
    right.sh("ip link del vx0 2> /dev/null || true").unwrap();
    veth((middle, "eth2"), (right, "eth0"), 1500).unwrap();
    middle.sh("ip addr add fe80::1/64 dev eth2 nodad").unwrap();
    // Both must be kept from hearing that nobody listens, from the first packet on.
    middle.sh("until ss -Hlun sport = :4789 | grep -q %eth2; do sleep 0.05; done").unwrap();
    right
        .sh("ip addr add fe80::9/64 dev eth0 nodad
             ip link add vx0 type vxlan id 102 local fe80::9 remote fe80::1 dev eth0 dstport 4789
             ip addr add 10.1.0.2/24 dev vx0
             ip link set vx0 mtu 1400 up")
        .unwrap();
}

/// A User-Mode Linux: the gateway's devices are in its root namespace; a peer, wired to `eth1`, is in the namespace
/// `peer`, and a host, wired to `eth2`, in `host`.
struct Machine {
    uml: Uml,
    directory: TempDir,
}

impl Machine {
    fn boot() -> Self {
        let (card, _far) = UnixDatagram::pair().unwrap();
        let uml = Uml::boot(card).unwrap();
        uml.sh("for module in veth vxlan macvlan ipvlan bonding ip_gre ip6_gre ipip sit ip6_tunnel vrf; do modprobe $module; done")
            .unwrap();
        uml.sh("echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad").unwrap();
        Self { uml, directory: tempfile::tempdir().unwrap() }
    }

    /// Lays the cables.
    fn wire(&self) {
        self.run(
            "ip netns add peer; ip netns add host
             ip link add eth1 type veth peer name eth1 netns peer
             ip link add eth2 type veth peer name eth0 netns host
             ip link set eth1 up; ip link set eth2 up
             ip -n peer link set eth1 up; ip -n host link set eth0 up
             ip -n host addr add 10.1.0.2/24 dev eth0",
        );
    }

    /// Removes everything that the gateway was not there for.
    fn clear(&self) {
        self.run(
            "for d in $(ls /sys/class/net | grep -v -e lo -e 0$ -e vec); do ip link del $d 2> /dev/null; done; true",
        );
        self.run(
            "ip link del up0 2> /dev/null; ip netns del peer; ip netns del host; ip route flush type unreachable; true",
        );
    }

    fn run(&self, lines: &str) -> String {
        self.uml.sh(lines).unwrap()
    }

    fn gateway(&self, verb: &str, file: &str) -> String {
        let path = self.directory.path().join("gateway.yaml");
        fs::write(&path, file).unwrap();
        format!("{} {verb} {}", gateway::binary().unwrap().display(), path.display())
    }

    /// What `check --host` says of a file.
    fn check(&self, file: &str) -> String {
        self.run(&format!("{} 2>&1 || true", self.gateway("check --host", file)))
    }

    /// Runs a gateway, pings the peer's tenant address from the host, and stops it.
    fn carries(&self, what: &str, file: &str) {
        let said = self.check(file);
        assert!(said.contains(": ok"), "{what}: {said}");
        let run = self.gateway("run --admin /run/gw.sock", file);
        self.run(&format!("{run} > /run/log 2>&1 < /dev/null & echo $! > /run/pid"));
        self.run("for n in $(seq 300); do grep -q ready: /run/log && break; sleep 0.1; done");
        let ping = "for n in $(seq 20); do ip netns exec host ping -n -q -c 1 -W 1 10.1.0.1 > /dev/null && break; done";
        let probe = "ip netns exec host ping -n -q -c 3 -W 5 -M do -s 1272 10.1.0.1";
        self.run(&format!("{ping}; true"));
        // Nobody listened before, and the peer was told so.
        let unreachable = || self.run("ip netns exec peer awk '/^Icmp: [0-9]/ { print $5 }' /proc/net/snmp");
        let before = unreachable();
        let told = self.uml.sh(probe);
        let after = unreachable();
        let show = |what| format!("{} show {what} --json --socket /run/gw.sock", gateway::binary().unwrap().display());
        let log = self.run(&format!("cat /run/log; {}; {}; ip -s addr", show("drops"), show("ports")));
        // The next one finds its place free once this one has ended; until it is waited for, it has no files any more.
        self.run("kill $(cat /run/pid); while [ -e /proc/$(cat /run/pid)/fd/0 ]; do sleep 0.1; done");
        if let Err(error) = told {
            panic!("{what}: {error}\n{log}");
        }
        assert_eq!(before, after, "{what}: the machine answers what is the gateway's");
    }
}

/// The peer's end: a VXLAN device of the kernel, and the tenant's address.
fn vxlan(local: &str, remote: &str) -> String {
    format!(
        "ip -n peer link add vx0 type vxlan id 100 local {remote} remote {local} dstport 4789
         ip -n peer addr add 10.1.0.1/24 dev vx0
         ip -n peer link set vx0 mtu 1300 up"
    )
}

/// A device over `eth1` that the tunnel is to go by.
struct Kind {
    name: &'static str,
    devices: &'static str,
    local: &'static str,
    remote: &'static str,
}

const ADDRESSES: &str = "ip addr add 192.0.2.1/24 dev eth1; ip -n peer addr add 192.0.2.2/24 dev eth1
                         ip addr add fd00::1/64 dev eth1; ip -n peer addr add fd00::2/64 dev eth1";
const UP: &str = "ip link set up0 up; ip -n peer link set up0 up";
const UP_V4: &str = "ip addr add 10.9.0.1/24 dev up0; ip -n peer addr add 10.9.0.2/24 dev up0";
const UP_V6: &str = "ip addr add fd09::1/64 dev up0; ip -n peer addr add fd09::2/64 dev up0";

const KINDS: &[Kind] = &[
    Kind {
        name: "ipip",
        devices: "ip link add up0 type ipip local 192.0.2.1 remote 192.0.2.2
                  ip -n peer link add up0 type ipip local 192.0.2.2 remote 192.0.2.1",
        local: "10.9.0.1",
        remote: "10.9.0.2",
    },
    Kind {
        name: "gre",
        devices: "ip link add up0 type gre local 192.0.2.1 remote 192.0.2.2 key 5
                  ip -n peer link add up0 type gre local 192.0.2.2 remote 192.0.2.1 key 5",
        local: "10.9.0.1",
        remote: "10.9.0.2",
    },
    Kind {
        name: "gre, IPv6 inside",
        devices: "ip link add up0 type gre local 192.0.2.1 remote 192.0.2.2
                  ip -n peer link add up0 type gre local 192.0.2.2 remote 192.0.2.1",
        local: "fd09::1",
        remote: "fd09::2",
    },
    Kind {
        name: "sit",
        devices: "ip link add up0 type sit local 192.0.2.1 remote 192.0.2.2
                  ip -n peer link add up0 type sit local 192.0.2.2 remote 192.0.2.1",
        local: "fd09::1",
        remote: "fd09::2",
    },
    Kind {
        name: "ip6tnl",
        devices: "ip link add up0 type ip6tnl local fd00::1 remote fd00::2 mode any
                  ip -n peer link add up0 type ip6tnl local fd00::2 remote fd00::1 mode any",
        local: "10.9.0.1",
        remote: "10.9.0.2",
    },
    Kind {
        name: "ip6gre",
        devices: "ip link add up0 type ip6gre local fd00::1 remote fd00::2
                  ip -n peer link add up0 type ip6gre local fd00::2 remote fd00::1",
        local: "fd09::1",
        remote: "fd09::2",
    },
    Kind {
        name: "macvlan",
        devices: "ip link add up0 link eth1 type macvlan mode private; ip -n peer link set eth1 down; ip -n peer link set eth1 name up0",
        local: "10.9.0.1",
        remote: "10.9.0.2",
    },
    Kind {
        name: "ipvlan",
        devices: "ip link add up0 link eth1 type ipvlan mode l2; ip -n peer link set eth1 down; ip -n peer link set eth1 name up0",
        local: "10.9.0.1",
        remote: "10.9.0.2",
    },
    Kind {
        name: "a device in a VRF",
        devices: "ip link add red type vrf table 10; ip link set red up
                  ip -n peer link set eth1 down; ip -n peer link set eth1 name up0
                  ip link set eth1 down; ip addr flush dev eth1; ip link set eth1 name up0; ip link set up0 master red
                  ip route add unreachable 10.9.0.0/24",
        local: "10.9.0.1",
        remote: "10.9.0.2",
    },
    Kind {
        name: "bond, active-backup",
        devices: "ip link add up0 type bond mode active-backup miimon 100
                  ip link set eth1 down; ip link set eth1 master up0; ip -n peer link set eth1 down; ip -n peer link set eth1 name up0",
        local: "10.9.0.1",
        remote: "10.9.0.2",
    },
    Kind {
        name: "bond with LACP",
        devices: "ip link add up0 type bond mode 802.3ad miimon 100 lacp_rate fast
                  ip link set eth1 down; ip link set eth1 master up0
                  ip -n peer link add up0 type bond mode 802.3ad miimon 100 lacp_rate fast
                  ip -n peer link set eth1 down; ip -n peer link set eth1 master up0",
        local: "10.9.0.1",
        remote: "10.9.0.2",
    },
];

#[test]
fn tunnels_go_by_every_kind_of_device() {
    need!(uml, ip, ping);
    let machine = Machine::boot();
    for Kind { name, devices, local, remote } in KINDS {
        machine.wire();
        machine.run(&[ADDRESSES, devices, UP, UP_V4, UP_V6, &vxlan(local, remote)].join("; "));
        machine.carries(name, &file(local, remote, "vxlan", "vni: 100"));
        machine.clear();
    }
}

#[test]
fn what_a_kind_of_device_cannot_do_is_refused_by_name() {
    need!(uml, ip);
    let machine = Machine::boot();
    machine.wire();
    let tunnel = file("10.9.0.1", "10.9.0.2", "vxlan", "vni: 100");
    let tenant = "version: 1
ports:
  up: { device: up0 }
  access: { device: eth2 }
tenants:
  blue:
    attachments:
      u: { port: up, s_vid: 5 }
      h: { port: access, untagged: true }
";
    let refused = [
        ("gre local 192.0.2.1", tunnel.as_str(), "`up0` is a tunnel without a `remote`"),
        (
            "ipip local 192.0.2.1 remote 192.0.2.2",
            tenant,
            "tenants are attached to `up0`, which carries IP packets without",
        ),
        (
            "macvlan mode bridge",
            tenant,
            "tenants are attached to `up0`, a macvlan, which receives nothing for their MAC",
        ),
        ("ipvlan mode l2", tenant, "tenants are attached to `up0`, an ipvlan, which receives nothing for their MAC"),
        ("ipvlan mode l3", tunnel.as_str(), "`up0` is an ipvlan in a mode in which the kernel routes"),
        ("vrf table 9", tunnel.as_str(), "`up0` is a VRF, by which no packet arrives or leaves"),
    ];
    for (kind, file, words) in refused {
        let link = if kind.contains("vlan") { "link eth1" } else { "" };
        machine
            .run(&format!("ip link add up0 {link} type {kind}; ip addr add 10.9.0.1/24 dev up0; ip link set up0 up"));
        let said = machine.check(file);
        assert!(said.contains(words), "{kind}: {said}");
        let run = machine.gateway("run --admin /run/gw.sock", file);
        let said = machine.run(&format!("{run} 2>&1 || true"));
        assert!(said.contains(words), "{kind}: {said}");
        machine.run("ip link del up0");
    }
    machine.run(
        "ip link add up0 link eth1 type macvlan mode passthru; ip addr add 10.9.0.1/24 dev up0; ip link set up0 up",
    );
    let said = machine.check(tenant);
    assert!(said.contains(": ok"), "{said}");
}
