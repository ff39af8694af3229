//! The peers by themselves, without a gateway between them: what fails here is not ours.

use std::os::unix::net::UnixDatagram;

use transload_interop_tests::peers::Uml;
use transload_interop_tests::traffic::{is_silent, ping, settle, transfer};
use transload_lab::{Host, Namespace, OpenVswitch, need, veth};

#[test]
fn two_kernel_vxlan_devices_reach_each_other_with_offloads_on() {
    need!(root, ip, ping, vxlan);
    let (left, right) = (Namespace::new().unwrap(), Namespace::new().unwrap());
    veth((&left, "eth0"), (&right, "eth0"), 1600).unwrap();
    for (host, own, far) in [(&left, 1, 2), (&right, 2, 1)] {
        host.sh(&format!(
            "ip addr add 192.0.2.{own}/24 dev eth0
             ip link add vx0 type vxlan id 100 local 192.0.2.{own} remote 192.0.2.{far} dstport 4789
             ip addr add 10.1.0.{own}/24 dev vx0
             ip link set vx0 up"
        ))
        .unwrap();
    }
    settle(&left, "10.1.0.2").unwrap();
    ping(&left, "10.1.0.2", 1400).unwrap();
    transfer(&left, &right, "10.1.0.2", 20).unwrap();
    transfer(&right, &left, "10.1.0.1", 20).unwrap();
    assert!(is_silent(&left, "10.1.0.3"));
}

#[test]
fn two_user_mode_linuxes_reach_each_other_by_gretap_and_by_802_1ad() {
    need!(uml, ip, ping);
    let (left, right) = UnixDatagram::pair().unwrap();
    let (left, right) = (Uml::boot(left).unwrap(), Uml::boot(right).unwrap());
    for (host, own, far) in [(&left, 1, 2), (&right, 2, 1)] {
        host.sh(&format!(
            "ip link set vec0 up
             ip addr add 192.0.2.{own}/24 dev vec0
             ip link add gt0 type gretap local 192.0.2.{own} remote 192.0.2.{far} key 7 csum seq
             ip addr add 10.1.0.{own}/24 dev gt0
             ip link set gt0 up
             ip link add link vec0 name s100 type vlan protocol 802.1ad id 100
             ip link add link s100 name c7 type vlan id 7
             ip addr add 10.2.0.{own}/24 dev c7
             ip link set s100 up
             ip link set c7 up"
        ))
        .unwrap();
    }
    for address in ["10.1.0.2", "10.2.0.2"] {
        settle(&left, address).unwrap();
        ping(&left, address, 1400).unwrap();
        transfer(&left, &right, address, 1).unwrap();
    }
}

#[test]
fn open_vswitch_and_the_kernel_reach_each_other_by_vxlan() {
    need!(root, ip, ping, vxlan, ovs, ethtool);
    let (switch, host, kernel) = (Namespace::new().unwrap(), Namespace::new().unwrap(), Namespace::new().unwrap());
    veth((&switch, "under"), (&kernel, "eth0"), 1600).unwrap();
    veth((&switch, "h0"), (&host, "eth0"), 1500).unwrap();
    // Its packet sockets do not finish what offloads leave undone.
    switch.sh("ethtool -K under tx off; ethtool -K h0 tx off").unwrap();
    kernel
        .sh("ethtool -K eth0 tx off
             ip addr add 192.0.2.1/24 dev eth0
             ip link add vx0 type vxlan id 100 local 192.0.2.1 remote 192.0.2.2 dstport 4789
             ip addr add 10.1.0.1/24 dev vx0
             ip link set vx0 up")
        .unwrap();
    host.sh("ethtool -K eth0 tx off; ip addr add 10.1.0.2/24 dev eth0").unwrap();

    let ovs = OpenVswitch::start(&switch).unwrap();
    ovs.vsctl("add-br brp -- set bridge brp datapath_type=netdev -- add-port brp under").unwrap();
    ovs.vsctl("add-br brt -- set bridge brt datapath_type=netdev -- add-port brt h0").unwrap();
    switch.sh("ip addr add 192.0.2.2/24 dev brp; ip link set brp up").unwrap();
    let tunnel = "add-port brt t0 -- set interface t0 type=vxlan options:remote_ip=192.0.2.1 options:key=100";
    ovs.vsctl(tunnel).unwrap();
    settle(&host, "10.1.0.1").unwrap();
    ping(&host, "10.1.0.1", 1400).unwrap();
}
