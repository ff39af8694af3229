//! XDP sockets on cables of the running kernel: VXLAN at both ends, and everything else on the cable undisturbed.
//!
//! Where frames come to XDP sockets nobody tells what their sender left to its device, so here the senders leave
//! nothing: their offloads are off.

use serde_json::Value;
use transload_interop_tests::traffic::{ping, settle, transfer};
use transload_interop_tests::two_leafs::{FILE, LEFT, World};
use transload_lab::{Gateway, Host, Namespace, OpenVswitch, eventually, need, veth};

/// The file of two leafs, with XDP sockets at both.
fn file() -> String {
    FILE.replace("eth1", "eth1, io: af_xdp").replace("eth2", "eth2, io: af_xdp")
}

fn world(mtu: u16) -> World {
    world_of(mtu, 1)
}

/// The same, where the gateway's devices have so many queues.
fn world_of(mtu: u16, queues: u16) -> World {
    let World { left, right, middle } = World::new(mtu).unwrap();
    for leaf in [&left, &right] {
        leaf.sh("ethtool -K eth0 tx off tso off gso off txvlan off").unwrap();
    }
    if queues > 1 {
        middle.sh(&format!("for d in eth1 eth2; do ethtool -L $d rx {queues} tx {queues}; done")).unwrap();
        // What a leaf sends by one of its queues arrives by the one of that number; flows are dealt to them.
        for leaf in [&left, &right] {
            leaf.sh(&format!("ethtool -L eth0 tx {queues}")).unwrap();
        }
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
    let gateway = Gateway::start(&middle, &file()).unwrap();
    meet(&left, &right);
    assert!(gateway.log().contains("af_xdp: native, with copies"), "{}", gateway.log());
    gateway.stop().unwrap();
}

#[test]
fn xdp_sockets_and_packet_sockets_meet_in_one_gateway() {
    need!(root, ip, ping, vxlan, ethtool);
    let World { left, right, middle } = world(1500);
    let gateway = Gateway::start(&middle, &file().replace("eth2, io: af_xdp", "eth2, io: af_packet")).unwrap();
    // Its packet sockets may be given super-frames with unfinished checksums.
    right.sh("ethtool -K eth0 tx on tso on gso on").unwrap();
    meet(&left, &right);
    let ports = gateway.show("ports").unwrap();
    assert_eq!((&ports[0]["io"], &ports[1]["io"]), (&"af_xdp eth1".into(), &"af_packet eth2".into()));
    gateway.stop().unwrap();
}

#[test]
fn the_hosts_own_traffic_on_the_cable_is_undisturbed() {
    need!(root, ip, ping, vxlan, ethtool);
    let World { left, right, middle } = world(1500);
    let gateway = Gateway::start(&middle, &file()).unwrap();
    meet(&left, &right);
    left.sh("ip neigh flush dev eth0").unwrap();
    ping(&left, "192.0.2.1", 1500).unwrap();
    ping(&middle, "192.0.2.11", 1500).unwrap();
    ping(&right, "fd00:2::1", 1500).unwrap();
    transfer(&left, &middle, "192.0.2.1", 4).unwrap();
    transfer(&middle, &right, "fd00:2::22", 4).unwrap();
    // Of all that, nothing came to the gateway, which would have dropped it.
    let drops = gateway.show("drops").unwrap();
    assert!(drops.as_array().unwrap().iter().all(|row| row["reason"] != "not_for_us" || row["dropped"] == 0));
    gateway.stop().unwrap();
}

/// Frames that `show drops` has under a reason: dropped by the gateway, or left to the machine's own stack.
fn counted(gateway: &Gateway, reason: &str) -> u64 {
    let drops = gateway.show("drops").unwrap();
    let row = drops.as_array().unwrap().iter().find(|row| row["reason"] == reason);
    let frames = |column| row.and_then(|row| row[column].as_u64()).unwrap_or_default();
    frames("dropped") + frames("left")
}

/// Does something, and waits until that is counted under a reason; fails when it never is.
fn is_counted(gateway: &Gateway, from: &Namespace, doing: &str, reason: &str) {
    let before = counted(gateway, reason);
    from.sh(doing).unwrap();
    eventually(&format!("it is counted as {reason}: {doing}"), || counted(gateway, reason) > before);
}

#[test]
fn what_came_to_an_endpoint_and_is_no_peers_tunnel_packet_is_counted_by_the_names_that_packet_sockets_give_it() {
    need!(root, ip, ping, vxlan, ethtool);
    for file in [file(), file().replace("af_xdp", "af_packet")] {
        let World { left, right, middle } = world(1500);
        left.sh("ip addr add 192.0.2.99/24 dev eth0").unwrap();
        let gateway = Gateway::start(&middle, &file).unwrap();
        settle(&left, "10.1.0.2").unwrap();
        is_counted(&gateway, &left, "ping -c 1 192.0.2.1", "host_traffic");
        is_counted(&gateway, &right, "ping -c 1 fd00:2::1", "host_traffic");
        let udp = |port, to: &str| format!("echo overlay > /dev/udp/{to}/{port}");
        let bash = |command: String| format!("bash -c '{command}'");
        is_counted(&gateway, &left, &bash(udp(5789, "192.0.2.1")), "not_for_us");
        is_counted(&gateway, &right, &bash(udp(5789, "fd00:2::1")), "not_for_us");
        is_counted(&gateway, &left, &bash(udp(53, "192.0.2.1")), "host_traffic");
        // A datagram that does not fit is sent by the leafs' kernels in two pieces, of which the second has no port.
        let long = |to: &str| format!("head -c 2000 /dev/zero > /dev/udp/{to}/4789");
        let before = counted(&gateway, "outer_fragment");
        is_counted(&gateway, &left, &bash(long("192.0.2.1")), "outer_fragment");
        is_counted(&gateway, &right, &bash(long("fd00:2::1")), "outer_fragment");
        eventually("both pieces of both are counted", || counted(&gateway, "outer_fragment") >= before + 4);
        assert_eq!(counted(&gateway, "outer_fragment"), before + 4);
        left.sh("ip route replace 192.0.2.1 dev eth0 src 192.0.2.99").unwrap();
        is_counted(&gateway, &left, &bash(udp(4789, "192.0.2.1")), "unknown_peer");
        gateway.stop().unwrap();
    }
}

#[test]
fn a_flood_from_strangers_takes_no_room_from_the_frames_of_a_peer() {
    need!(root, ip, ping, vxlan, ethtool);
    let World { left, right: _right, middle } = world(1500);
    left.sh("ip addr add 192.0.2.99/24 dev eth0 && ip route replace 192.0.2.1 dev eth0 src 192.0.2.99").unwrap();
    let gateway = Gateway::start(&middle, &file()).unwrap();
    settle(&left, "10.1.0.2").unwrap();
    let received = || {
        let peers = gateway.show("peers").unwrap();
        let left = peers.as_array().unwrap().iter().find(|row| row["peer"] == "left").unwrap();
        left["rx_frames"].as_u64().unwrap()
    };
    let before = received();
    // While the gateway stands still, what is for it lies in the ring.
    let signal = |which| middle.sh(&format!("kill -{which} {}", gateway.process())).unwrap();
    signal("STOP");
    let many = |count, to| format!("bash -c 'for n in $(seq {count}); do echo overlay > /dev/udp/{to}; done'");
    left.sh(&many(4000, "192.0.2.1/4789")).unwrap();
    left.sh(&many(300, "10.1.0.2/9")).unwrap();
    signal("CONT");
    eventually("300 frames of the peer are received", || received() >= before + 300);
    is_counted(&gateway, &left, &many(1, "192.0.2.1/4789"), "unknown_peer");
    assert!(counted(&gateway, "unknown_peer") > 4000);
    gateway.stop().unwrap();
}

/// Whether an XDP program is attached to a device.
fn has_program(host: &dyn Host, device: &str) -> bool {
    host.sh(&format!("ip link show dev {device}")).unwrap().contains("xdp")
}

#[test]
fn a_killed_gateway_leaves_no_program_and_the_next_one_binds_at_once() {
    need!(root, ip, ping, vxlan, ethtool);
    let World { left, right, middle } = world(1500);
    let gateway = Gateway::start(&middle, &file()).unwrap();
    settle(&left, "10.1.0.2").unwrap();
    assert!(has_program(&middle, "eth1") && has_program(&middle, "eth2"));
    gateway.kill().unwrap();
    assert!(!has_program(&middle, "eth1") && !has_program(&middle, "eth2"));

    let next = Gateway::start(&middle, &file()).unwrap();
    meet(&left, &right);
    next.stop().unwrap();
    assert!(!has_program(&middle, "eth1"));
}

#[test]
fn a_device_that_goes_away_and_comes_back_is_served_again() {
    need!(root, ip, ping, vxlan, ethtool);
    let World { left, right, middle } = world(1500);
    let gateway = Gateway::start(&middle, &file()).unwrap();
    settle(&left, "10.1.0.2").unwrap();
    // The first port's socket had registered the memory that the second one shares.
    middle.sh("ip link del eth1").unwrap();
    drop(left);
    let left = LEFT.with_vxlan(&middle, 100, "10.1.0.1/24").unwrap();
    left.sh("ethtool -K eth0 tx off tso off gso off txvlan off").unwrap();
    meet(&left, &right);
    gateway.stop().unwrap();
}

#[test]
fn two_workers_have_a_queue_each_of_every_port() {
    need!(root, ip, ping, vxlan, ethtool);
    let World { left, right, middle } = world_of(1500, 2);
    let gateway = Gateway::start(&middle, &(file() + "workers: 2\n")).unwrap();
    meet(&left, &right);
    let log = gateway.log();
    assert!(log.contains("2 queues") && log.contains("2 workers"), "{log}");
    gateway.stop().unwrap();
}

/// Many UDP flows at once, each with numbers that must come in order, cross queues that all carry some of them:
/// the kernel's hash has a random key, and would send a few flows all to one queue now and then.
fn flows_stay_in_order(World { left, right, middle }: &World) {
    settle(left, "10.1.0.2").unwrap();
    right.background("iperf3 -s -1 -p 5202").unwrap();
    right.sh("until ss -Hltn sport = 5202 | grep -q .; do sleep 0.05; done").unwrap();
    let told = left.sh("iperf3 -c 10.1.0.2 -p 5202 -u -P 32 -b 1M -l 200 -t 2 -J").unwrap();
    let told: Value = serde_json::from_str(&told).unwrap();
    let streams = told["end"]["streams"].as_array().unwrap_or_else(|| panic!("{told}"));
    assert_eq!(streams.len(), 32);
    for stream in streams {
        let udp = &stream["udp"];
        assert!(udp["packets"].as_u64().unwrap() > udp["lost_packets"].as_u64().unwrap(), "{udp}");
        assert_eq!(udp["out_of_order"], 0, "{udp}");
    }
    let counters = middle.sh("ethtool -S eth1").unwrap();
    for queue in 0..2 {
        let counter = format!("rx_queue_{queue}_xdp_redirect: ");
        let redirected = counters.split_once(&counter).and_then(|(_, rest)| rest.lines().next()?.parse::<u64>().ok());
        assert!(redirected > Some(100), "queue {queue} carries flows too:\n{counters}");
    }
}

#[test]
fn a_flow_stays_in_order_over_two_workers() {
    need!(root, ip, ping, vxlan, ethtool, iperf3);
    let world = world_of(1500, 2);
    let gateway = Gateway::start(&world.middle, &(file() + "workers: 2\n")).unwrap();
    flows_stay_in_order(&world);
    gateway.stop().unwrap();
}

#[test]
fn a_flow_stays_in_order_over_two_queues_of_one_worker() {
    need!(root, ip, ping, vxlan, ethtool, iperf3);
    let world = world_of(1500, 2);
    let gateway = Gateway::start(&world.middle, &file()).unwrap();
    flows_stay_in_order(&world);
    gateway.stop().unwrap();
}

#[test]
fn a_busy_worker_never_sleeps_and_carries_the_same() {
    need!(root, ip, ping, vxlan, ethtool);
    let World { left, right, middle } = world(1500);
    let gateway = Gateway::start(&middle, &(file() + "polling: busy\n")).unwrap();
    meet(&left, &right);
    gateway.stop().unwrap();
}

#[test]
fn what_arrives_before_the_gateway_is_ready_is_not_lost() {
    need!(root, ip, ping, vxlan, ethtool);
    let World { left, right, middle } = world(1500);
    // The way is known to the senders, so that the first packets are tunnel packets, and they do not stop.
    right.sh("ip link set vx0 address 02:00:00:00:00:02").unwrap();
    left.sh("ip neigh replace 10.1.0.2 lladdr 02:00:00:00:00:02 dev vx0").unwrap();
    left.background("ping -n -q -i 0.002 10.1.0.2").unwrap();
    // Nobody answers for this one, and the gateway waits a moment for it.
    let file = file().replace("peers:", "peers:\n  nobody: { address: 192.0.2.99, encap: vxlan }");
    let gateway = Gateway::start(&middle, &file).unwrap();
    settle(&right, "10.1.0.1").unwrap();
    // Devices are asked once a second what they have lost.
    std::thread::sleep(std::time::Duration::from_millis(2500));
    let ports = gateway.show("ports").unwrap();
    assert_eq!((&ports[0]["lost"], &ports[1]["lost"]), (&0.into(), &0.into()), "{ports}");
    gateway.stop().unwrap();
}

#[test]
fn one_worker_hears_every_queue() {
    need!(root, ip, ping, vxlan, ethtool);
    let World { left, right, middle } = world_of(1500, 2);
    let gateway = Gateway::start(&middle, &file()).unwrap();
    meet(&left, &right);
    assert!(gateway.log().contains("2 queues"), "{}", gateway.log());
    gateway.stop().unwrap();
}

#[test]
fn no_more_workers_run_than_the_narrowest_port_has_queues() {
    need!(root, ip, ping, vxlan, ethtool);
    let World { left, right, middle } = world(1500);
    let gateway = Gateway::start(&middle, &(file() + "workers: 2\n")).unwrap();
    meet(&left, &right);
    assert!(gateway.log().contains("1 of 2 workers run: port up1 has only so many queues"), "{}", gateway.log());
    gateway.stop().unwrap();
}

#[test]
fn nine_thousand_bytes_cross_in_pieces() {
    need!(root, ip, ping, vxlan, ethtool);
    let World { left, right, middle } = world(9216);
    let gateway = Gateway::start(&middle, &file()).unwrap();
    settle(&left, "10.1.0.2").unwrap();
    for len in [64, 1400, 3000, 4000, 9000] {
        ping(&left, "10.1.0.2", len).unwrap();
        ping(&right, "10.1.0.1", len).unwrap();
    }
    transfer(&left, &right, "10.1.0.2", 20).unwrap();
    gateway.stop().unwrap();
}

#[test]
fn stacked_tags_share_a_cable_with_an_endpoint_and_the_host() {
    need!(root, ip, ping, vxlan, ethtool, ovs);
    let World { left, middle, right: _right } = world(1500);
    let (switch, host) = (Namespace::new().unwrap(), Namespace::new().unwrap());
    veth((&middle, "eth3"), (&switch, "access"), 1508).unwrap();
    veth((&switch, "h0"), (&host, "eth0"), 1500).unwrap();
    switch.sh("ethtool -K access tx off tso off gso off txvlan off; ethtool -K h0 tx off").unwrap();
    host.sh("ethtool -K eth0 tx off tso off gso off; ip addr add 10.1.0.2/24 dev eth0; ip link set eth0 mtu 1450")
        .unwrap();
    middle.sh("ip addr add 203.0.113.1/24 dev eth3").unwrap();
    switch.sh("ip link add own type veth peer name own-br; ip link set own up; ip link set own-br up").unwrap();
    switch.sh("ethtool -K own tx off tso off gso off; ip addr add 203.0.113.2/24 dev own").unwrap();

    let ovs = OpenVswitch::start(&switch).unwrap();
    ovs.vsctl("add-br br -- set bridge br datapath_type=netdev fail-mode=secure").unwrap();
    ovs.vsctl("add-port br access -- add-port br h0 -- add-port br own-br").unwrap();
    for flow in [
        "in_port=h0,actions=push_vlan:0x8100,set_field:4103->vlan_vid,push_vlan:0x88a8,set_field:4196->vlan_vid,output:access",
        "in_port=access,dl_vlan=100,actions=pop_vlan,goto_table:1",
        "table=1,dl_vlan=7,actions=pop_vlan,output:h0",
        "priority=1,in_port=access,actions=output:own-br",
        "in_port=own-br,actions=output:access",
    ] {
        ovs.add_flow("br", flow).unwrap();
    }
    let file = file()
        .replace("  up2: {", "  up3: { device: eth3, io: af_xdp }\n  up2: {")
        .replace("endpoints:", "endpoints:\n  own: { address: 203.0.113.1, ports: [up3] }")
        .replace(
            "encap: vxlan }\n  right",
            "endpoint: v4, encap: vxlan }\n  far: { address: 203.0.113.2, endpoint: own, encap: gre }\n  right",
        )
        .replace(
            "right: { peer: right, vni: 200 }",
            "far: { peer: far, key: 1 }\n      ce: { port: up3, s_vid: 100, c_vid: 7 }",
        );
    let gateway = Gateway::start(&middle, &file).unwrap();
    meet(&left, &host);
    ping(&switch, "203.0.113.1", 1400).unwrap();
    ping(&middle, "203.0.113.2", 1400).unwrap();
    gateway.stop().unwrap();
}

#[test]
fn auto_leaves_a_veth_to_packet_sockets_and_says_why() {
    need!(root, ip, vxlan, ethtool);
    let World { middle, left: _left, right: _right } = world(1500);
    let gateway = Gateway::start(&middle, FILE).unwrap();
    let log = gateway.log();
    assert!(log.contains("io: auto chooses af_packet: the far end of a veth"), "{log}");
    assert!(!has_program(&middle, "eth1"));
    gateway.stop().unwrap();
}

#[test]
fn without_root_four_capabilities_do_and_a_missing_one_is_named() {
    need!(root, ip, ping, vxlan, ethtool);
    let World { left, right, middle } = world(1500);
    let all = ["net_admin", "net_raw", "bpf", "ipc_lock"];
    let gateway = Gateway::start_with(&middle, &file(), &all).unwrap();
    meet(&left, &right);
    gateway.stop().unwrap();

    for lacking in ["net_admin", "bpf"] {
        let rest: Vec<_> = all.into_iter().filter(|capability| *capability != lacking).collect();
        let error = Gateway::start_with(&middle, &file(), &rest).unwrap_err().to_string();
        assert!(error.contains(&format!("CAP_{} missing", lacking.to_uppercase())), "without {lacking}: {error}");
    }
    let error = Gateway::start_with(&middle, &file(), &all[..3]).unwrap_err().to_string();
    assert!(error.contains("CAP_IPC_LOCK missing"), "{error}");
}

#[test]
fn another_ones_xdp_program_is_left_alone() {
    need!(root, ip, ping, vxlan, ethtool);
    let World { middle, left: _left, right: _right } = world(1500);
    let first = Gateway::start(&middle, &file()).unwrap();
    let other = file().replace("192.0.2.1,", "192.0.2.3,").replace("fd00:2::1", "fd00:2::3");
    middle.sh("ip addr add 192.0.2.3/24 dev eth1; ip addr add fd00:2::3/64 dev eth2 nodad").unwrap();
    let error = Gateway::start(&middle, &other).unwrap_err().to_string();
    assert!(error.contains("another XDP program is attached"), "{error}");
    assert!(has_program(&middle, "eth1"));
    first.stop().unwrap();
}
