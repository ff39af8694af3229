//! The running kernel's VXLAN on one side, and on the other stacked VLAN tags: of a Linux behind a `unix` port, and
//! of Open vSwitch on a cable.

use transload_interop_tests::traffic::{ping, settle, transfer};
use transload_interop_tests::world::{Leaf, Site};
use transload_lab::{Gateway, Host, Namespace, OpenVswitch, need, veth};

const LEAF: Leaf<'_> = Leaf { device: "eth1", gateway: "192.0.2.1", address: "192.0.2.11", mtu: 1500 };
const SITE: Site = Site { name: "access", number: 3 };

fn file(port: &str, tags: &str) -> String {
    format!(
        r"
version: 1
ports:
  up1: {{ device: eth1 }}
  {port}
endpoints:
  fabric: {{ address: 192.0.2.1, ports: [up1] }}
peers:
  left: {{ address: 192.0.2.11, encap: vxlan }}
tenants:
  blue:
    attachments:
      left: {{ peer: left, vni: 100 }}
      ce: {{ port: access, {tags} }}
"
    )
}

/// A host at the leaf and one behind the tags reach each other, and move TCP both ways.
fn meet(leaf: &dyn Host, ce: &dyn Host) {
    settle(leaf, "10.1.0.2").unwrap();
    ping(leaf, "10.1.0.2", 1400).unwrap();
    ping(ce, "10.1.0.1", 1400).unwrap();
    transfer(leaf, ce, "10.1.0.2", 4).unwrap();
    transfer(ce, leaf, "10.1.0.1", 4).unwrap();
}

/// The same, with a Linux whose tenant has this device, made by these lines.
fn vxlan_meets(tags: &str, device: &str, lines: &str) {
    let middle = Namespace::new().unwrap();
    let leaf = LEAF.with_vxlan(&middle, 100, "10.1.0.1/24").unwrap();
    let gateway = Gateway::start(&middle, &file(&SITE.tagged_port(), tags)).unwrap();
    let site = SITE.boot(&gateway).unwrap();
    site.sh(&format!("{lines} ip addr add 10.1.0.2/24 dev {device}; ip link set {device} up")).unwrap();
    meet(&leaf, &site);
    drop(site);
    gateway.stop().unwrap();
}

#[test]
fn vxlan_meets_802_1ad_with_a_c_tag() {
    need!(root, ip, ping, vxlan, uml);
    vxlan_meets(
        "s_vid: 100, c_vid: 7",
        "c7",
        "ip link add link vec0 name s100 type vlan protocol 802.1ad id 100; ip link set s100 up; \
         ip link add link s100 name c7 type vlan id 7;",
    );
}

#[test]
fn vxlan_meets_an_s_tag_alone() {
    need!(root, ip, ping, vxlan, uml);
    vxlan_meets("s_vid: 100", "s100", "ip link add link vec0 name s100 type vlan protocol 802.1ad id 100;");
}

#[test]
fn vxlan_meets_a_single_802_1q_tag() {
    need!(root, ip, ping, vxlan, uml);
    vxlan_meets("vid: 300", "v300", "ip link add link vec0 name v300 type vlan id 300;");
}

#[test]
fn vxlan_meets_no_tag_at_all() {
    need!(root, ip, ping, vxlan, uml);
    vxlan_meets("untagged: true", "vec0", "");
}

#[test]
fn vxlan_meets_tags_that_open_vswitch_puts_on_a_cable() {
    need!(root, ip, ping, vxlan, ovs, ethtool);
    let (middle, switch, host) = (Namespace::new().unwrap(), Namespace::new().unwrap(), Namespace::new().unwrap());
    let leaf = LEAF.with_vxlan(&middle, 100, "10.1.0.1/24").unwrap();
    veth((&middle, "eth2"), (&switch, "access"), 1508).unwrap();
    veth((&switch, "h0"), (&host, "eth0"), 1500).unwrap();
    // Open vSwitch's packet sockets do not finish what offloads leave undone, so nobody may leave it anything.
    middle.sh("ethtool -K eth2 tx off").unwrap();
    switch.sh("ethtool -K access tx off; ethtool -K h0 tx off").unwrap();
    host.sh("ethtool -K eth0 tx off; ip addr add 10.1.0.2/24 dev eth0").unwrap();

    let ovs = OpenVswitch::start(&switch).unwrap();
    ovs.vsctl("add-br br -- set bridge br datapath_type=netdev fail-mode=secure").unwrap();
    ovs.vsctl("add-port br access -- add-port br h0").unwrap();
    for flow in [
        "in_port=h0,actions=push_vlan:0x8100,set_field:4103->vlan_vid,push_vlan:0x88a8,set_field:4196->vlan_vid,output:access",
        "in_port=access,dl_vlan=100,actions=pop_vlan,goto_table:1",
        "table=1,dl_vlan=7,actions=pop_vlan,output:h0",
    ] {
        ovs.add_flow("br", flow).unwrap();
    }
    let gateway = Gateway::start(&middle, &file("access: { device: eth2 }", "s_vid: 100, c_vid: 7")).unwrap();
    meet(&leaf, &host);
    gateway.stop().unwrap();
}
