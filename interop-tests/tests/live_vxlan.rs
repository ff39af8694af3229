//! The running kernel's VXLAN at both ends: two VNIs, one over IPv4 and one over IPv6, become one network.
//!
//! The cables' offloads stay on, so TCP arrives as super-frames with unfinished checksums, as it does between
//! containers.

use transload_interop_tests::traffic::{is_silent, ping, settle, transfer};
use transload_interop_tests::two_leafs::{self, FILE};
use transload_lab::{Gateway, Host, Namespace, need};

/// Both leafs and the gateway between them.
struct World {
    left: Namespace,
    right: Namespace,
    middle: Namespace,
    gateway: Gateway,
}

fn world(mtu: u16, file: &str) -> World {
    let two_leafs::World { left, right, middle } = two_leafs::World::new(mtu).unwrap();
    left.sh("ip addr add fd10::1/64 dev vx0 nodad").unwrap();
    right.sh("ip addr add fd10::2/64 dev vx0 nodad").unwrap();
    let gateway = Gateway::start(&middle, file).unwrap();
    World { left, right, middle, gateway }
}

#[test]
fn hosts_of_two_vnis_ping_each_other_over_ipv4_and_ipv6() {
    need!(root, ip, ping, vxlan);
    let World { left, right, gateway, .. } = world(1500, FILE);
    settle(&left, "10.1.0.2").unwrap();
    settle(&right, "fd10::1").unwrap();
    for len in [64, 1400] {
        ping(&left, "10.1.0.2", len).unwrap();
        ping(&right, "10.1.0.1", len).unwrap();
        ping(&left, "fd10::2", len).unwrap();
        ping(&right, "fd10::1", len).unwrap();
    }
    assert!(is_silent(&left, "10.1.0.3"));
    gateway.stop().unwrap();
}

#[test]
fn arp_finds_the_other_hosts_own_mac_address() {
    need!(root, ip, ping, vxlan);
    let World { left, right, gateway, .. } = world(1500, FILE);
    right.sh("ip link set vx0 address 02:00:00:00:00:77").unwrap();
    settle(&left, "10.1.0.2").unwrap();
    let neighbours = left.sh("ip neigh show dev vx0 10.1.0.2").unwrap();
    assert!(neighbours.contains("02:00:00:00:00:77"), "{neighbours}");
    gateway.stop().unwrap();
}

#[test]
fn twenty_megabytes_of_tcp_cross_each_way_unchanged_with_offloads_on() {
    need!(root, ip, ping, vxlan);
    let World { left, right, gateway, .. } = world(1500, FILE);
    settle(&left, "10.1.0.2").unwrap();
    transfer(&left, &right, "10.1.0.2", 20).unwrap();
    transfer(&right, &left, "10.1.0.1", 20).unwrap();
    transfer(&left, &right, "fd10::2", 20).unwrap();
    transfer(&right, &left, "fd10::1", 20).unwrap();
    gateway.stop().unwrap();
}

#[test]
fn nine_thousand_bytes_cross_where_the_underlay_carries_them() {
    need!(root, ip, ping, vxlan);
    let World { left, right, gateway, .. } = world(9216, FILE);
    settle(&left, "10.1.0.2").unwrap();
    ping(&left, "10.1.0.2", 9000).unwrap();
    ping(&right, "fd10::1", 9000).unwrap();
    transfer(&left, &right, "10.1.0.2", 20).unwrap();
    gateway.stop().unwrap();
}

#[test]
fn two_workers_carry_tcp_as_one_does() {
    need!(root, ip, ping, vxlan);
    let World { left, right, gateway, .. } = world(1500, &format!("{FILE}workers: 2\n"));
    settle(&left, "10.1.0.2").unwrap();
    transfer(&left, &right, "10.1.0.2", 20).unwrap();
    transfer(&right, &left, "10.1.0.1", 20).unwrap();
    gateway.stop().unwrap();
}

#[test]
fn outer_checksums_are_made_and_taken_as_the_kernel_is_told() {
    need!(root, ip, ping, vxlan);
    let World { left, right, gateway, .. } = world(1500, FILE);
    left.sh("ip link set vx0 down; ip link del vx0").unwrap();
    right.sh("ip link set vx0 down; ip link del vx0").unwrap();
    left.sh("ip link add vx0 type vxlan id 100 local 192.0.2.11 remote 192.0.2.1 dev eth0 dstport 4789 udpcsum
             ip addr add 10.1.0.1/24 dev vx0; ip link set vx0 up")
        .unwrap();
    right
        .sh("ip link add vx0 type vxlan id 200 local fd00:2::22 remote fd00:2::1 dev eth0 dstport 4789 udp6zerocsumtx
             ip addr add 10.1.0.2/24 dev vx0; ip link set vx0 up")
        .unwrap();
    settle(&left, "10.1.0.2").unwrap();
    ping(&right, "10.1.0.1", 1400).unwrap();
    transfer(&left, &right, "10.1.0.2", 4).unwrap();
    transfer(&right, &left, "10.1.0.1", 4).unwrap();
    gateway.stop().unwrap();
}

#[test]
fn a_next_hop_that_changes_its_mac_address_is_found_again() {
    need!(root, ip, ping, vxlan);
    let World { left, right, middle, gateway } = world(1500, FILE);
    settle(&left, "10.1.0.2").unwrap();
    right.sh("ip link set eth0 address 02:00:00:00:00:99").unwrap();
    // As after a router's failover: the entry goes stale at once, not after a minute.
    middle.sh("ip neigh flush dev eth2").unwrap();
    settle(&left, "10.1.0.2").unwrap();
    ping(&left, "10.1.0.2", 1400).unwrap();
    gateway.stop().unwrap();
}
