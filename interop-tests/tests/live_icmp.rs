//! What routers and hosts of the underlay say by ICMP about the gateway's packets, with kernels that say it: a narrow link
//! behind a router, a peer that does not listen, and somebody who forges.
//!
//! ```text
//!         1500            1500             1400
//! host ─────────── gateway ────── router ─────── peer: VXLAN over IPv4 and over IPv6
//! ```

use std::net::SocketAddr;

use rustix::net::{AddressFamily, SendFlags, SocketType, ipproto, sendto, socket};
use serde_json::Value;
use transload_encaps::checksum;
use transload_interop_tests::traffic::{ping, settle};
use transload_lab::{Gateway, Host, Namespace, eventually, need, veth};

const FILE: &str = r#"
version: 1
ports:
  up: { device: eth1 }
  access: { device: eth2 }
endpoints:
  v4: { address: 192.0.2.1, ports: [up] }
  v6: { address: "2001:db8:1::1", ports: [up] }
peers:
  four: { address: 198.51.100.9, encap: vxlan }
  six: { address: "2001:db8:2::9", encap: vxlan }
  gone: { address: 198.51.100.9, encap: gre }
  lost: { address: 203.0.113.9, encap: vxlan }
tenants:
  blue:
    attachments:
      four: { peer: four, vni: 4 }
      six: { peer: six, vni: 6 }
      gone: { peer: gone, key: 7 }
      lost: { peer: lost, vni: 7 }
      host: { port: access, untagged: true }
"#;

/// What is left of 1400 bytes behind VXLAN's headers over IPv4, and over IPv6.
const ROOM: [u16; 2] = [1400 - 50, 1400 - 70];

struct World {
    host: Namespace,
    router: Namespace,
    peer: Namespace,
    gateway: Gateway,
    _inside: Namespace,
}

fn world() -> World {
    world_of(FILE)
}

fn world_of(file: &str) -> World {
    let [inside, host, router, peer] = [(); 4].map(|()| Namespace::new().unwrap());
    veth((&inside, "eth1"), (&router, "eth1"), 1500).unwrap();
    veth((&inside, "eth2"), (&host, "eth0"), 1500).unwrap();
    veth((&router, "eth2"), (&peer, "eth0"), 1400).unwrap();
    inside
        .sh("ip addr add 192.0.2.1/24 dev eth1; ip addr add 2001:db8:1::1/64 dev eth1 nodad
            ip route add default via 192.0.2.254; ip route add default via 2001:db8:1::fe")
        .unwrap();
    router
        .sh("ip addr add 192.0.2.254/24 dev eth1; ip addr add 2001:db8:1::fe/64 dev eth1 nodad
            ip addr add 198.51.100.1/24 dev eth2; ip addr add 2001:db8:2::fe/64 dev eth2 nodad
            echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding")
        .unwrap();
    peer.sh("ip addr add 198.51.100.9/24 dev eth0; ip addr add 2001:db8:2::9/64 dev eth0 nodad
            ip route add default via 198.51.100.1; ip route add default via 2001:db8:2::fe
            ip link add vx4 mtu 1350 type vxlan id 4 local 198.51.100.9 remote 192.0.2.1 dstport 4789
            ip link add vx6 mtu 1330 type vxlan id 6 local 2001:db8:2::9 remote 2001:db8:1::1 dstport 4789
            ip addr add 10.1.0.4/24 dev vx4; ip addr add 10.6.0.6/24 dev vx6; ip link set vx4 up; ip link set vx6 up")
        .unwrap();
    host.sh("ip addr add 10.1.0.2/24 dev eth0; ip addr add 10.6.0.2/24 dev eth0").unwrap();
    let gateway = Gateway::start(&inside, file).unwrap();
    World { host, router, peer, gateway, _inside: inside }
}

impl World {
    /// What the gateway shows of a peer.
    fn shown(&self, peer: &str) -> Value {
        let rows = self.gateway.show("peers").unwrap();
        rows.as_array().unwrap().iter().find(|row| row["peer"] == peer).unwrap().clone()
    }

    /// Sends from a host of the underlay, by ICMP, that a packet of 1500 bytes is too big.
    fn say_too_big(&self, quoted: [[u8; 4]; 2], port: u16, mtu: u16) {
        let [local, remote] = quoted;
        let ip = [0x45, 0, 0x05, 0xdc, 0, 0, 0x40, 0, 60, 17, 0, 0];
        let (port, mtu) = (port.to_be_bytes(), mtu.to_be_bytes());
        let udp = [0xd0, 0x01, port[0], port[1], 0x05, 0xc8, 0, 0];
        let mut message = [&[3, 4, 0, 0, 0, 0, mtu[0], mtu[1]], &ip[..], &local, &remote, &udp].concat();
        let sum = checksum::of(&message).to_be_bytes();
        message[2..4].copy_from_slice(&sum);
        let sent = self.router.enter(|| {
            let socket = socket(AddressFamily::INET, SocketType::RAW, Some(ipproto::ICMP))?;
            sendto(socket, &message, SendFlags::empty(), &SocketAddr::from(([192, 0, 2, 1], 0)))?;
            Ok(())
        });
        sent.unwrap();
    }
}

/// The path MTU that a host has learned, as its kernel says.
fn path_mtu(host: &dyn Host, to: &str) -> Option<u16> {
    let printed = host.sh(&format!("ip route get {to}")).unwrap();
    printed.split_whitespace().skip_while(|word| *word != "mtu").nth(1)?.parse().ok()
}

#[test]
fn a_narrow_link_behind_a_router_is_found_and_tenants_are_told() {
    need!(root, ip, ping, vxlan);
    let world = world();
    for (peer, to, router, room) in
        [("four", "10.1.0.4", "192.0.2.254", ROOM[0]), ("six", "10.6.0.6", "2001:db8:1::fe", ROOM[1])]
    {
        settle(&world.host, to).unwrap();
        ping(&world.host, to, room).unwrap();
        assert_eq!(world.shown(peer)["path_mtu"], 1500);
        eventually("the host knows the path MTU", || {
            world.host.sh(&format!("ping -n -q -M do -c 1 -W 1 -s {} {to} || true", room + 1 - 28)).unwrap();
            path_mtu(&world.host, to) == Some(room)
        });
        let row = world.shown(peer);
        assert_eq!((&row["path_mtu"], &row["path_mtu_report"]["from"]), (&1400.into(), &router.into()));
        ping(&world.host, to, room).unwrap();
    }
    world.gateway.stop().unwrap();
}

#[test]
fn with_df_clear_routers_fragment_and_the_peer_puts_together() {
    need!(root, ip, ping, vxlan);
    let world = world_of(&FILE.replace("four: { address: 198.51.100.9,", "four: { address: 198.51.100.9, df: clear,"));
    settle(&world.host, "10.1.0.4").unwrap();
    ping(&world.host, "10.1.0.4", 1450).unwrap();
    assert!(ping(&world.host, "10.1.0.4", 1451).is_err(), "the first link must carry it");
    assert_eq!(path_mtu(&world.host, "10.1.0.4"), Some(1450));
    let row = world.shown("four");
    assert_eq!((&row["path_mtu"], &row["path_mtu_report"]), (&1500.into(), &Value::Null));
    world.gateway.stop().unwrap();
}

#[test]
fn who_says_that_packets_do_not_arrive_is_shown() {
    need!(root, ip, ping, vxlan);
    let world = world();
    world.peer.sh("ip link del vx4; ip link del vx6").unwrap();
    world.router.sh("ip route add prohibit 203.0.113.0/24").unwrap();
    let said = |peer: &str| world.shown(peer)["unreachable"]["what"].as_str().unwrap_or_default().to_owned();
    // Nobody answers ARP, so what is asked goes to every peer.
    for (peer, what) in [
        ("four", "UDP port 4789 unreachable"),
        ("six", "UDP port 4789 unreachable"),
        ("gone", "IP protocol 47 unreachable"),
        ("lost", "administratively prohibited"),
    ] {
        eventually(what, || {
            world.host.sh("ping -n -q -c 1 -W 0.2 10.1.0.7 || true").unwrap();
            said(peer) == what
        });
    }
    assert_eq!(world.shown("six")["unreachable"]["from"], "2001:db8:2::9");
    assert_eq!(world.shown("lost")["unreachable"]["from"], "192.0.2.254");
    assert_eq!(world.shown("four")["path_mtu"], 1500);
    world.gateway.stop().unwrap();
}

#[test]
fn forged_errors_change_nothing() {
    need!(root, ip, vxlan);
    let world = world();
    // Of a peer without a path nothing is believed, since nothing was sent to it.
    eventually("the paths are known", || ["four", "lost"].iter().all(|peer| world.shown(peer)["path_mtu"] == 1500));
    let (ours, theirs) = ([192, 0, 2, 1], [198, 51, 100, 9]);
    for (quoted, port, mtu) in [
        ([ours, theirs], 4789, 68),
        ([ours, theirs], 4789, 575),
        ([ours, theirs], 4789, 1500),
        ([ours, theirs], 4790, 1300),
        ([[192, 0, 2, 254], theirs], 4789, 1300),
        ([theirs, ours], 4789, 1300),
        ([ours, [198, 51, 100, 8]], 4789, 1300),
    ] {
        world.say_too_big(quoted, port, mtu);
    }
    // What is good comes last, so that all the others have been heard when it is.
    world.say_too_big([ours, [203, 0, 113, 9]], 4789, 1300);
    eventually("the good one is heard", || world.shown("lost")["path_mtu"] == 1300);
    let row = world.shown("four");
    assert_eq!(
        (&row["path_mtu"], &row["path_mtu_report"], &row["unreachable"]),
        (&1500.into(), &Value::Null, &Value::Null)
    );
    world.gateway.stop().unwrap();
}

#[test]
fn a_flood_of_errors_leaves_control_at_work_and_is_told() {
    need!(root, ip, vxlan);
    let world = world();
    eventually("the log says that some were lost", || {
        for _ in 0..500 {
            world.say_too_big([[192, 0, 2, 1], [198, 51, 100, 8]], 4789, 1300);
        }
        world.gateway.log().contains("ICMP errors to 192.0.2.1 were lost")
    });
    eventually("others are heard again", || {
        world.say_too_big([[192, 0, 2, 1], [198, 51, 100, 9]], 4789, 1300);
        world.shown("four")["path_mtu"] == 1300
    });
    world.gateway.stop().unwrap();
}
