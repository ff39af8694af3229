//! How the gateway behaves towards the machine and towards its other tenants: it answers nobody, leaves nothing, and
//! a peer that goes away takes only its own tenant along.

use std::io;
use std::net::Ipv4Addr;

use rustix::net::{AddressFamily, Protocol, SendFlags, SocketAddrV4, SocketType, sendto, socket};
use transload_interop_tests::traffic::{ping, settle};
use transload_interop_tests::world::Leaf;
use transload_lab::{Gateway, Host, Namespace, need};

const LEAFS: [Leaf<'_>; 4] = [
    Leaf { device: "eth1", gateway: "192.0.2.1", address: "192.0.2.11", mtu: 1500 },
    Leaf { device: "eth2", gateway: "fd00:2::1", address: "fd00:2::22", mtu: 1500 },
    Leaf { device: "eth3", gateway: "198.51.100.1", address: "198.51.100.33", mtu: 1500 },
    Leaf { device: "eth4", gateway: "fd00:4::1", address: "fd00:4::44", mtu: 1500 },
];

/// Two tenants, each between a leaf over IPv4 and one over IPv6, and peers of the other kinds that stay silent.
const FILE: &str = r#"
version: 1
ports:
  up1: { device: eth1 }
  up2: { device: eth2 }
  up3: { device: eth3 }
  up4: { device: eth4 }
endpoints:
  e1: { address: 192.0.2.1, ports: [up1] }
  e2: { address: "fd00:2::1", ports: [up2] }
  e3: { address: 198.51.100.1, ports: [up3] }
  e4: { address: "fd00:4::1", ports: [up4] }
peers:
  one: { address: 192.0.2.11, endpoint: e1, encap: vxlan }
  two: { address: "fd00:2::22", endpoint: e2, encap: vxlan }
  three: { address: 198.51.100.33, endpoint: e3, encap: vxlan }
  four: { address: "fd00:4::44", endpoint: e4, encap: vxlan }
  silent: { address: 192.0.2.99, endpoint: e1, encap: gre }
tenants:
  blue:
    attachments:
      one: { peer: one, vni: 100 }
      two: { peer: two, vni: 200 }
      silent: { peer: silent, key: 7 }
  red:
    attachments:
      three: { peer: three, vni: 100 }
      four: { peer: four, vni: 200 }
"#;

struct World {
    leafs: Vec<Namespace>,
    middle: Namespace,
}

fn world() -> World {
    let middle = Namespace::new().unwrap();
    let leafs = LEAFS.iter().zip([100, 200, 100, 200]).enumerate();
    let leafs = leafs.map(|(at, (leaf, vni))| leaf.with_vxlan(&middle, vni, &format!("10.1.0.{}/24", at + 1)).unwrap());
    World { leafs: leafs.collect(), middle }
}

/// How often the namespace's kernel told somebody that something was unreachable.
fn unreachables_sent(namespace: &Namespace) -> u64 {
    let sent = namespace.sh("cat /proc/net/snmp6").unwrap();
    let v6 = sent.lines().find_map(|line| line.strip_prefix("Icmp6OutDestUnreachs")).unwrap().trim().parse::<u64>();
    let sent = namespace.sh("grep ^Icmp: /proc/net/snmp").unwrap();
    let mut lines = sent.lines().map(str::split_whitespace);
    let (names, mut values) = (lines.next().unwrap(), lines.next().unwrap());
    let at = { names }.position(|name| name == "OutDestUnreachs").unwrap();
    v6.unwrap() + values.nth(at).unwrap().parse::<u64>().unwrap()
}

/// Sends a GRE packet to the first endpoint.
fn send_gre(leaf: &Namespace, header: &[u8]) -> io::Result<()> {
    leaf.enter(|| {
        let protocol = std::num::NonZero::new(47).map(Protocol::from_raw);
        let raw = socket(AddressFamily::INET, SocketType::RAW, protocol)?;
        sendto(&raw, header, SendFlags::empty(), &SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 1), 0))?;
        Ok(())
    })
}

#[test]
fn nobody_is_ever_told_that_a_tunnel_is_unreachable() {
    need!(root, ip, ping, vxlan);
    let World { leafs, middle } = world();
    let gateway = Gateway::start(&middle, FILE).unwrap();
    // Before it came, the kernel answered for itself.
    let before = unreachables_sent(&middle);
    settle(&leafs[0], "10.1.0.2").unwrap();
    settle(&leafs[2], "10.1.0.4").unwrap();
    ping(&leafs[1], "10.1.0.1", 1400).unwrap();

    // A VNI that nobody claims, an address that no peer has, and GRE from one that speaks VXLAN.
    leafs[0]
        .sh("ip link add vx9 type vxlan id 999 local 192.0.2.11 remote 192.0.2.1 dstport 4789
             ip addr add 10.9.0.1/24 dev vx9; ip link set vx9 up
             ip addr add 192.0.2.66/24 dev eth0
             ip link add vx8 type vxlan id 998 local 192.0.2.66 remote 192.0.2.1 dstport 4789
             ip addr add 10.8.0.1/24 dev vx8; ip link set vx8 up
             ping -c 2 -i 0.2 -W 1 10.9.0.2 || true
             ping -c 2 -i 0.2 -W 1 10.8.0.2 || true")
        .unwrap();
    for header in [&[0x20, 0, 0x65, 0x58, 0, 0, 0, 7][..], &[0, 0, 0x08, 0], &[0]] {
        send_gre(&leafs[0], header).unwrap();
    }
    settle(&leafs[0], "10.1.0.2").unwrap();
    assert_eq!(unreachables_sent(&middle), before);
    gateway.stop().unwrap();
}

#[test]
fn a_kernel_without_a_gateway_would_have_said_so() {
    need!(root, ip, ping, vxlan);
    let World { leafs, middle } = world();
    send_gre(&leafs[0], &[0x20, 0, 0x65, 0x58, 0, 0, 0, 7]).unwrap();
    leafs[0].sh("ping -c 1 -W 1 10.1.0.2 || true").unwrap();
    assert!(unreachables_sent(&middle) > 0, "the test above could not fail");
}

/// Whatever a gateway that carried traffic holds of the machine is given back by the time it has ended this way.
fn leaves_nothing(end: fn(Gateway) -> io::Result<()>) {
    let World { leafs, middle } = world();
    let before = middle.inventory().unwrap();
    let gateway = Gateway::start(&middle, FILE).unwrap();
    settle(&leafs[0], "10.1.0.2").unwrap();
    assert_ne!(middle.inventory().unwrap(), before, "a gateway that holds nothing would pass this test");
    end(gateway).unwrap();
    assert_eq!(middle.inventory().unwrap(), before);
}

#[test]
fn after_sigterm_the_machine_is_as_it_was() {
    need!(root, ip, ping, vxlan, nft);
    leaves_nothing(Gateway::stop);
}

#[test]
fn after_ctrl_c_the_machine_is_as_it_was() {
    need!(root, ip, ping, vxlan, nft);
    leaves_nothing(Gateway::interrupt);
}

#[test]
fn a_peer_that_goes_away_does_not_stop_the_other_tenant() {
    need!(root, ip, ping, vxlan);
    let World { mut leafs, middle } = world();
    let mut gateway = Gateway::start(&middle, FILE).unwrap();
    settle(&leafs[0], "10.1.0.2").unwrap();
    settle(&leafs[2], "10.1.0.4").unwrap();

    // The whole machine: its end of the cable goes with it, and so does ours.
    leafs.remove(0);
    ping(&leafs[1], "10.1.0.4", 1400).unwrap();
    // A cable pulled.
    middle.sh("ip link set eth2 down").unwrap();
    ping(&leafs[1], "10.1.0.4", 1400).unwrap();
    assert!(gateway.is_running());
    gateway.stop().unwrap();
}

#[test]
fn a_cable_that_comes_back_carries_again() {
    need!(root, ip, ping, vxlan);
    let World { leafs, middle } = world();
    let gateway = Gateway::start(&middle, FILE).unwrap();
    settle(&leafs[0], "10.1.0.2").unwrap();
    middle.sh("ip link set eth1 down").unwrap();
    middle.sh("ip link set eth1 up").unwrap();
    settle(&leafs[0], "10.1.0.2").unwrap();
    ping(&leafs[1], "10.1.0.1", 1400).unwrap();
    gateway.stop().unwrap();
}
