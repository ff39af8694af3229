//! What the kernels around a running gateway leave to its devices and join on the way to it, as `ethtool` and `ip` turn
//! that on.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Instant;

use transload::io::memory::Packet;
use transload_encaps::{Checksum, Gso, GsoKind};
use transload_lab::{Gateway, Host, Namespace, PATIENCE, eventually, need, veth};

mod common;
#[path = "io_live/wire.rs"]
mod wire;

use common::wire as packets;
use wire::Wire;

const FILE: &str = "version: 1
ports: { up: { device: eth1 }, access: { device: eth2 } }
endpoints: { e: { address: 192.0.2.1, ports: [up] } }
peers: { p: { address: 192.0.2.9, encap: vxlan } }
tenants: { t: { limits: { bum: 100000 }, attachments: { a: { peer: p, vni: 100 }, b: { port: access, untagged: true } } } }
";

/// A peer with a kernel's VXLAN device, a gateway, and a host.
struct World {
    peer: Namespace,
    middle: Namespace,
    host: Namespace,
}

impl World {
    fn new() -> Self {
        let [peer, middle, host] = [(); 3].map(|()| Namespace::new().unwrap());
        veth((&middle, "eth1"), (&peer, "eth0"), 1500).unwrap();
        veth((&middle, "eth2"), (&host, "eth0"), 1500).unwrap();
        middle.sh("ip link set eth1 address 02:00:00:00:aa:01; ip addr add 192.0.2.1/24 dev eth1").unwrap();
        peer.sh("ip link set eth0 address 02:00:00:00:bb:09; ip addr add 192.0.2.9/24 dev eth0
             ip link add vx type vxlan id 100 local 192.0.2.9 remote 192.0.2.1 dstport 4789 udpcsum
             ip link set vx mtu 1450 up; ip addr add 10.0.0.1/24 dev vx; ip addr add fd00::1/64 dev vx nodad")
            .unwrap();
        host.sh("ip link set eth0 mtu 1450; ip addr add 10.0.0.2/24 dev eth0; ip addr add fd00::2/64 dev eth0 nodad")
            .unwrap();
        Self { peer, middle, host }
    }
}

/// Sends so many bytes from one namespace to another.
fn transfer(from: &Namespace, to: &Namespace, address: &str) {
    let listener = to.enter(|| TcpListener::bind((address, 7777))).unwrap();
    let sent: Vec<u8> = (0..4_000_000_u32).map(|n| (n / 251) as u8 ^ n as u8).collect();
    thread::scope(|scope| {
        let received = scope.spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            let mut all = Vec::new();
            stream.read_to_end(&mut all).map(|_| all)
        });
        let stream = from.enter(|| {
            let mut stream = TcpStream::connect_timeout(&SocketAddr::new(address.parse().unwrap(), 7777), PATIENCE)?;
            stream.set_write_timeout(Some(PATIENCE))?;
            stream.write_all(&sent)?;
            stream.shutdown(Shutdown::Write)?;
            Ok(stream)
        });
        assert!(stream.is_ok(), "{stream:?}");
        assert!(received.join().unwrap().unwrap() == sent, "it is the same");
    });
}

#[test]
fn tcp_passes_whatever_the_receivers_join() {
    need!(root, ip, vxlan, ethtool);
    let World { peer, middle, host } = World::new();
    // What leaves here leaves cut, so that there is something to join.
    peer.sh("for d in eth0 vx; do ethtool -K $d tso off gso off tx off; done").unwrap();
    host.sh("ethtool -K eth0 tso off gso off tx off").unwrap();
    let gateway = Gateway::start(&middle, FILE).unwrap();
    for features in ["rx-gro-list on", "rx-gro-list off rx-udp-gro-forwarding on"] {
        middle.sh(&format!("for d in eth1 eth2; do ethtool -K $d gro on {features}; done")).unwrap();
        transfer(&peer, &host, "10.0.0.2");
        transfer(&host, &peer, "10.0.0.1");
    }
    let refused = ["port_down", "unsegmentable", "too_big"];
    for row in gateway.show("drops").unwrap().as_array().unwrap() {
        assert!(row["dropped"] == 0 || !refused.iter().any(|reason| row["reason"] == *reason), "{row}");
    }
    gateway.stop().unwrap();
}

/// A super-frame of UDP packets with this payload each, left to a device to be cut.
fn super_frame(link: ([u8; 6], [u8; 6]), ends: [&str; 2], port: u16, payloads: &[Vec<u8>]) -> Packet {
    let payload = payloads.concat();
    let [src, dst] = ends.map(|address| address.parse().unwrap());
    let mut udp = packets::udp(50_000, port, &payload);
    let pseudo = !packets::sum(
        &[&src, &dst]
            .map(|a: &std::net::Ipv4Addr| a.octets())
            .each_ref()
            .map(|a| &a[..])
            .into_iter()
            .chain([&[0, 17][..], &(udp.len() as u16).to_be_bytes()])
            .collect::<Vec<_>>(),
    );
    udp[6..8].copy_from_slice(&pseudo.to_be_bytes());
    let bytes = packets::ethernet(link.0, link.1, packets::IPV4, &packets::ipv4(src, dst, 0, 17, &udp));
    let gso = Some(Gso { kind: GsoKind::Udp, size: payloads[0].len() as u16 });
    Packet { bytes, checksum: Checksum::Partial { start: 34, offset: 6 }, gso, cut: false }
}

/// The source of the test's frames.
const OURS: [u8; 6] = [2, 0, 0, 0, 0, 0xaa];

/// What the test's frames carry: a number, and bytes that depend on it.
fn numbered(number: u16) -> Vec<u8> {
    (0..500).map(|at| if at < 2 { number.to_be_bytes()[at] } else { (at as u16 * 7 + number) as u8 }).collect()
}

#[test]
fn udp_passes_whatever_the_receivers_join() {
    need!(root, ip, vxlan, ethtool);
    let World { peer, middle, host } = World::new();
    let gateway = Gateway::start(&middle, FILE).unwrap();
    let mut sender = peer.enter(|| Ok(Wire::open("eth0"))).unwrap();
    let mut listener = host.enter(|| Ok(Wire::open("eth0"))).unwrap();
    let link = ([2, 0, 0, 0, 0xaa, 1], [2, 0, 0, 0, 0xbb, 9]);
    let is_cut = |device: &str, off: &str| {
        format!("ethtool -K {device} {}", if off == "off" { "tso off gso off tx off" } else { "tx on gso on tso on" })
    };
    for (sending, receiving) in [
        // UDP_SEGMENT: nobody cuts it before the gateway.
        ("on", "rx-gro-list off"),
        ("off", "rx-gro-list on"),
        ("off", "rx-gro-list off rx-udp-gro-forwarding on"),
    ] {
        peer.sh(&is_cut("eth0", sending)).unwrap();
        middle.sh(&format!("ethtool -K eth1 gro on {receiving}")).unwrap();
        for from in (0..200).step_by(20) {
            let payloads: Vec<_> = (from..from + 20)
                .map(|number| {
                    let frame = packets::udp(5, 9000, &numbered(number));
                    let frame = packets::ipv4([10, 0, 0, 1].into(), [10, 0, 0, 2].into(), 0, 17, &frame);
                    packets::vxlan(100, &packets::ethernet(packets::BROADCAST, OURS, packets::IPV4, &frame))
                })
                .collect();
            assert_eq!(sender.send(&[super_frame(link, ["192.0.2.9", "192.0.2.1"], 4789, &payloads)]).frames, 1);
        }
        let came = listener.wait(200, wire::ours);
        for (number, packet) in (0..).zip(came) {
            assert_eq!(packet.bytes[42..], numbered(number), "{sending} {receiving}");
        }
    }
    gateway.stop().unwrap();
}

/// A host's datagrams that the receiver of a tenants' port has joined leave by another one, which cuts them or not.
#[test]
fn a_tenants_own_datagrams_leave_as_they_came() {
    need!(root, ip, ethtool);
    let World { peer, middle, host } = World::new();
    let file = "version: 1
ports: { left: { device: eth1 }, right: { device: eth2 } }
tenants: { t: { limits: { bum: 100000 }, attachments: { a: { port: left, untagged: true }, b: { port: right, vid: 7 } } } }
";
    let gateway = Gateway::start(&middle, file).unwrap();
    let mut sender = peer.enter(|| Ok(Wire::open("eth0"))).unwrap();
    let mut listener = host.enter(|| Ok(Wire::open("eth0"))).unwrap();
    peer.sh("ethtool -K eth0 tso off gso off tx off").unwrap();
    for (receiving, sending) in [("on", "off"), ("on", "on"), ("off", "off"), ("off", "on")] {
        middle.sh(&format!("ethtool -K eth1 gro on rx-gro-list {receiving}; ethtool -K eth2 tx {sending} gso {sending} tso {sending}")).unwrap();
        let payloads: Vec<_> = (0..30).map(numbered).collect();
        let link = (packets::BROADCAST, OURS);
        assert_eq!(sender.send(&[super_frame(link, ["10.0.0.1", "10.0.0.2"], 9000, &payloads)]).frames, 1);
        let (mut came, deadline) = (Vec::new(), Instant::now() + PATIENCE);
        while came.len() < 30 * 500 && Instant::now() < deadline {
            let frames = listener.receive().into_iter().filter(wire::ours);
            came.extend(frames.flat_map(|frame| frame.bytes[46..].to_vec()));
        }
        assert!(came == payloads.concat(), "{receiving} {sending}");
    }
    gateway.stop().unwrap();
}

/// How many frames were dropped for this reason.
fn dropped(gateway: &Gateway, reason: &str) -> u64 {
    let drops = gateway.show("drops").unwrap();
    drops.as_array().unwrap().iter().find(|row| row["reason"] == reason).unwrap()["dropped"].as_u64().unwrap()
}

/// BIG TCP: the sender's device is allowed super-frames that no chunk takes. Over IPv6, which `ip` has known for longer.
#[test]
fn a_super_frame_that_is_too_long_is_dropped_under_a_name_that_says_what_to_type() {
    need!(root, ip);
    let World { peer, middle, host } = World::new();
    host.sh("ip link set eth0 gso_max_size 185000").unwrap();
    let gateway = Gateway::start(&middle, FILE).unwrap();
    let listener = peer.enter(|| TcpListener::bind(("fd00::1", 7777))).unwrap();
    let mut stream = host.enter(|| TcpStream::connect(("fd00::1", 7777))).unwrap();
    stream.set_nonblocking(true).unwrap();
    let (payload, deadline) = (vec![0x55; 100_000], Instant::now() + PATIENCE);
    thread::scope(|scope| {
        let reader = scope.spawn(|| std::io::copy(&mut listener.accept().unwrap().0, &mut std::io::sink()));
        while dropped(&gateway, "super_frame_too_long") == 0 {
            assert!(Instant::now() < deadline, "{:?}", gateway.show("ports"));
            while stream.write(&payload).is_ok() {}
        }
        // As the meaning of the drop says.
        host.sh("ip link set eth0 gso_max_size 65536").unwrap();
        stream.shutdown(Shutdown::Both).unwrap();
        drop(reader.join());
    });
    drop(listener);
    transfer(&host, &peer, "fd00::1");
    gateway.stop().unwrap();
}

#[test]
fn a_frame_that_the_kernel_refuses_costs_no_other_and_not_the_port() {
    need!(root, ip);
    let World { peer: _, middle, host } = World::new();
    let mut sender = middle.enter(|| Ok(Wire::open("eth2"))).unwrap();
    let mut listener = host.enter(|| Ok(Wire::open("eth0"))).unwrap();
    let good = wire::frame(&[0x88, 0xb5, 1]);
    // UDP that is said to be TCP, which the kernel tells by the place of the checksum.
    let lie = super_frame((packets::BROADCAST, OURS), ["10.0.0.1", "10.0.0.2"], 9, &[numbered(1), numbered(2)]);
    let lie = Packet { gso: Some(Gso { kind: GsoKind::Tcp4, size: 500 }), ..lie };
    let long = wire::frame(&[0x55; 4000]);
    let sent = sender.send(&[good.clone(), lie.clone(), good.clone(), long, lie, good]);
    assert_eq!((sent.frames, sent.refused, sent.too_big, sent.down, sent.busy), (3, 2, 1, 0, 0));
    listener.wait(3, wire::ours);
}

/// Frames of a port that were dropped, and that were left to the machine.
fn of_port(gateway: &Gateway, port: &str) -> (u64, u64) {
    let ports = gateway.show("ports").unwrap();
    let row = ports.as_array().unwrap().iter().find(|row| row["port"] == port).unwrap().clone();
    (row["dropped"].as_u64().unwrap(), row["left"].as_u64().unwrap())
}

#[test]
fn what_the_machine_itself_takes_is_no_drop() {
    need!(root, ip, ping);
    let World { peer, middle, host: _host } = World::new();
    let gateway = Gateway::start(&middle, FILE).unwrap();
    peer.sh("ping -c 5 -i 0.05 -W 5 192.0.2.1; ping -c 1 -W 5 -s 4000 192.0.2.1").unwrap();
    transfer(&peer, &middle, "192.0.2.1");
    eventually("what was left to the machine is counted", || of_port(&gateway, "up").1 > 8);
    assert_eq!(of_port(&gateway, "up").0, 0, "{:?}", gateway.show("drops"));
    gateway.stop().unwrap();
}

#[test]
fn fragments_over_ipv6_are_told_of_on_xdp_sockets_too() {
    need!(root, ip, ethtool);
    let World { peer, middle, host: _host } = World::new();
    middle.sh("ip addr add 2001:db8:1::1/64 dev eth1 nodad").unwrap();
    let file = FILE.replace("eth1", "eth1, io: af_xdp").replace("192.0.2.1,", "\"2001:db8:1::1\",");
    let gateway = Gateway::start(&middle, &file.replace("192.0.2.9", "\"2001:db8:1::9\"")).unwrap();
    let mut sender = peer.enter(|| Ok(Wire::open("eth0"))).unwrap();
    let mut datagram = vec![17, 0, 0, 1, 0, 0, 0, 9];
    datagram.extend(packets::udp(50_000, 4789, &[0x66; 112]));
    let ends = ("2001:db8:1::9".parse().unwrap(), "2001:db8:1::1".parse().unwrap());
    let fragment = packets::ipv6(ends.0, ends.1, 0, 44, &datagram);
    let frame = packets::ethernet([2, 0, 0, 0, 0xaa, 1], OURS, packets::IPV6, &fragment);
    assert_eq!(sender.send(&[frame.clone().into(), frame.into()]).frames, 2);
    eventually("both are counted", || dropped(&gateway, "outer_fragment") >= 2);
    gateway.stop().unwrap();
}
