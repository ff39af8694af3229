//! XDP sockets on cables of the running kernel: VXLAN at both ends, and everything else on the cable undisturbed.
//!
//! Where frames come to XDP sockets nobody tells what their sender left to its device, so here the senders leave
//! nothing: their offloads are off.

use transload_interop_tests::peers::Namespace;
use transload_interop_tests::traffic::{ping, settle, transfer};
use transload_interop_tests::world::Leaf;
use transload_interop_tests::{Gateway, Host, need};

const FILE: &str = r#"
version: 1
ports:
  up1: { device: eth1, io: af_xdp }
  up2: { device: eth2, io: af_xdp }
endpoints:
  v4: { address: 192.0.2.1, ports: [up1] }
  v6: { address: "fd00:2::1", ports: [up2] }
peers:
  left: { address: 192.0.2.11, encap: vxlan }
  right: { address: "fd00:2::22", encap: vxlan }
tenants:
  blue:
    attachments:
      left: { peer: left, vni: 100 }
      right: { peer: right, vni: 200 }
"#;

/// Two leafs, and the namespace between them, before a gateway runs there.
struct World {
    left: Namespace,
    right: Namespace,
    middle: Namespace,
}

fn world(mtu: u16) -> World {
    let middle = Namespace::new().unwrap();
    let left = Leaf { device: "eth1", gateway: "192.0.2.1", address: "192.0.2.11", mtu };
    let right = Leaf { device: "eth2", gateway: "fd00:2::1", address: "fd00:2::22", mtu };
    let left = left.with_vxlan(&middle, 100, "10.1.0.1/24").unwrap();
    let right = right.with_vxlan(&middle, 200, "10.1.0.2/24").unwrap();
    for leaf in [&left, &right] {
        leaf.sh("ethtool -K eth0 tx off tso off gso off txvlan off").unwrap();
    }
    World { left, right, middle }
}

/// Hosts behind both leafs reach each other, with long and short packets and by TCP.
fn meet(left: &Namespace, right: &Namespace) {
    settle(left, "10.1.0.2").unwrap();
    for len in [64, 1400] {
        ping(left, "10.1.0.2", len).unwrap();
        ping(right, "10.1.0.1", len).unwrap();
    }
    transfer(left, right, "10.1.0.2", 20).unwrap();
    transfer(right, left, "10.1.0.1", 20).unwrap();
}

#[test]
fn hosts_of_two_vnis_meet_over_xdp_sockets() {
    need!(root, ip, ping, vxlan, ethtool);
    let World { left, right, middle } = world(1500);
    let gateway = Gateway::start(&middle, FILE).unwrap();
    meet(&left, &right);
    assert!(gateway.log().contains("af_xdp: native, with copies"), "{}", gateway.log());
    gateway.stop().unwrap();
}
