//! Path MTU discovery by real Linux hosts through two gateways: VXLAN of the running kernel, then GRE, then stacked
//! VLAN tags, each cable narrower than the one before.
//!
//! ```text
//! left ==VXLAN== A ==GRE== B ==QinQ== B ---- right
//!   10.1.0.1  1500   1400     1300     1500   10.1.0.2
//! ```
//!
//! The tags are on a cable between two ports of B, whose second tenant takes them off again.

use transload_interop_tests::traffic::{ping, settle, transfer};
use transload_interop_tests::world::Leaf;
use transload_lab::{Gateway, Host, Namespace, need, veth};

const LEAF: Leaf<'_> = Leaf { device: "eth1", gateway: "192.0.2.1", address: "192.0.2.11", mtu: 1500 };

const A: &str = r"
version: 1
ports:
  up1: { device: eth1 }
  up2: { device: eth2 }
endpoints:
  fabric: { address: 192.0.2.1, ports: [up1] }
  wan: { address: 198.51.100.1, ports: [up2] }
peers:
  left: { address: 192.0.2.11, endpoint: fabric, encap: vxlan }
  b: { address: 198.51.100.2, endpoint: wan, encap: gre }
tenants:
  blue:
    attachments:
      left: { peer: left, vni: 100 }
      b: { peer: b, key: 7 }
";

const B: &str = r"
version: 1
ports:
  up: { device: eth1 }
  access: { device: acc0 }
  back: { device: acc1 }
  host: { device: host0 }
endpoints:
  wan: { address: 198.51.100.2, ports: [up] }
peers:
  a: { address: 198.51.100.1, encap: gre }
tenants:
  blue:
    attachments:
      a: { peer: a, key: 7 }
      ce: { port: access, s_vid: 100, c_vid: 7 }
  behind:
    attachments:
      ce: { port: back, s_vid: 100, c_vid: 7 }
      host: { port: host, untagged: true }
";

/// What is left of 1400 bytes behind IPv4, GRE with a key, and Ethernet.
const GRE_MTU: u16 = 1400 - 20 - 8 - 14;
/// What is left of 1300 bytes behind two tags, of which the outer one is no 802.1Q tag.
const QINQ_MTU: u16 = 1300 - 8;

struct World {
    left: Namespace,
    right: Namespace,
    a: Gateway,
    b: Gateway,
}

fn world(clamp: &str) -> World {
    let [in_a, in_b, right] = [(); 3].map(|()| Namespace::new().unwrap());
    let left = LEAF.with_vxlan(&in_a, 100, "10.1.0.1/24").unwrap();
    veth((&in_a, "eth2"), (&in_b, "eth1"), 1400).unwrap();
    veth((&in_b, "acc0"), (&in_b, "acc1"), 1300).unwrap();
    veth((&in_b, "host0"), (&right, "eth0"), 1500).unwrap();
    in_a.sh("ip addr add 198.51.100.1/24 dev eth2").unwrap();
    in_b.sh("ip addr add 198.51.100.2/24 dev eth1").unwrap();
    left.sh("ip addr add fd10::1/64 dev vx0 nodad").unwrap();
    right.sh("ip addr add 10.1.0.2/24 dev eth0; ip addr add fd10::2/64 dev eth0 nodad").unwrap();
    let clamped = |file: &str| file.replace("  blue:\n", &format!("  blue:\n    mss_clamp: {clamp}\n"));
    let a = Gateway::start(&in_a, &clamped(A)).unwrap();
    let b = Gateway::start(&in_b, &clamped(B)).unwrap();
    World { left, right, a, b }
}

/// The path MTU that a host has learned, as its kernel says.
fn path_mtu(host: &dyn Host, to: &str) -> Option<u16> {
    let printed = host.sh(&format!("ip route get {to}")).unwrap();
    printed.split_whitespace().skip_while(|word| *word != "mtu").nth(1)?.parse().ok()
}

/// A ping that is too big; the host's kernel hears of it.
fn ping_in_vain(from: &dyn Host, to: &str, ip_len: u16) {
    assert!(ping(from, to, ip_len).is_err(), "{ip_len} bytes got through to {to}");
}

#[test]
fn pings_find_each_narrower_cable_in_turn() {
    need!(root, ip, ping, vxlan);
    let World { left, right, a, b } = world("false");
    for to in ["10.1.0.2", "fd10::2"] {
        settle(&left, to).unwrap();
        assert_eq!(path_mtu(&left, to), None);
        ping_in_vain(&left, to, 1450);
        assert_eq!(path_mtu(&left, to), Some(GRE_MTU));
        ping_in_vain(&left, to, GRE_MTU);
        assert_eq!(path_mtu(&left, to), Some(QINQ_MTU));
        ping(&left, to, QINQ_MTU).unwrap();
    }
    for to in ["10.1.0.1", "fd10::1"] {
        ping_in_vain(&right, to, 1500);
        assert_eq!(path_mtu(&right, to), Some(QINQ_MTU));
        ping(&right, to, QINQ_MTU).unwrap();
    }
    let tenants = a.show("tenants").unwrap().to_string();
    assert!(tenants.contains("too_big_answers"), "{tenants}");
    a.stop().unwrap();
    b.stop().unwrap();
}

#[test]
fn tcp_finds_the_path_mtu_by_itself_and_moves_everything() {
    need!(root, ip, ping, vxlan);
    let World { left, right, a, b } = world("false");
    settle(&left, "10.1.0.2").unwrap();
    // Each once: who knows the path MTU tells the other by the MSS.
    for (from, to, address) in [(&left, &right, "10.1.0.2"), (&right, &left, "fd10::1")] {
        transfer(from, to, address, 4).unwrap();
        assert_eq!(path_mtu(from, address), Some(QINQ_MTU), "to {address}");
    }
    a.stop().unwrap();
    b.stop().unwrap();
}

#[test]
fn with_the_mss_clamped_nobody_needs_to_be_told() {
    need!(root, ip, ping, vxlan);
    let World { left, right, a, b } = world("true");
    settle(&left, "10.1.0.2").unwrap();
    for (from, to, address) in [(&left, &right, "10.1.0.2"), (&left, &right, "fd10::2")] {
        transfer(from, to, address, 4).unwrap();
        transfer(to, from, if address.contains(':') { "fd10::1" } else { "10.1.0.1" }, 4).unwrap();
        assert_eq!(path_mtu(from, address), None, "to {address}");
    }
    a.stop().unwrap();
    b.stop().unwrap();
}
