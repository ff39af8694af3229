//! Trains of tunnel packets, as GRO and `UDP_SEGMENT` make them: what comes of one is what comes of its packets.

mod common;

use std::net::IpAddr;

use common::Lab;
use common::wire::{self, mac};
use transload::io::memory::Packet;
use transload_encaps::{Checksum, Gso, GsoKind};

const FILE: &str = "version: 1
ports:
  up: { device: eth1, mac: \"02:00:00:00:00:01\" }
  access: { device: eth2 }
endpoints:
  four: { address: 192.0.2.1, ports: [up] }
  six: { address: \"2001:db8::1\", vlan: 30, ports: [up] }
peers:
  p4: { address: 192.0.2.9, encap: vxlan }
  p6: { address: \"2001:db8::9\", encap: vxlan }
tenants:
  red: { attachments: { a: { peer: p4, vni: 1 }, b: { peer: p6, vni: 1 }, c: { port: access, vid: 1 } } }
  blue: { attachments: { a: { peer: p4, vni: 2 }, b: { peer: p6, vni: 2 }, c: { port: access, vid: 2 } } }
";

/// One tunnel packet, whole, its UDP checksum computed.
fn tunnel_packet(v6: bool, payload: &[u8]) -> Vec<u8> {
    let ends: (IpAddr, IpAddr) = if v6 {
        ("2001:db8::9".parse().unwrap(), "2001:db8::1".parse().unwrap())
    } else {
        ("192.0.2.9".parse().unwrap(), "192.0.2.1".parse().unwrap())
    };
    let mut udp = wire::udp(50_000, 4789, payload);
    let (src, dst) = match ends {
        (IpAddr::V4(src), IpAddr::V4(dst)) => (src.octets().to_vec(), dst.octets().to_vec()),
        (IpAddr::V6(src), IpAddr::V6(dst)) => (src.octets().to_vec(), dst.octets().to_vec()),
        _ => unreachable!("both are of one family"),
    };
    let checksum = wire::sum(&[&src, &dst, &[0, 17], &(udp.len() as u16).to_be_bytes(), &udp]);
    udp[6..8].copy_from_slice(&checksum.to_be_bytes());
    let frame = wire::outer((mac(1), mac(9)), ends, 0, 17, &udp);
    if v6 { wire::tag(&frame, 0x8100, 30) } else { frame }
}

const fn headers(v6: bool) -> usize {
    if v6 { 14 + 4 + 40 + 8 } else { 14 + 20 + 8 }
}

/// How a kernel says that several packets are in a frame.
#[derive(Debug, Clone, Copy)]
enum Joined {
    /// The UDP checksum is left unfinished.
    Unfinished,
    /// It is the first packet's, and all have been verified.
    Verified,
}

/// The train of packets with these payloads, each of one length but the last.
fn train(v6: bool, payloads: &[Vec<u8>], joined: Joined) -> Packet {
    let mut bytes = tunnel_packet(v6, &payloads.concat());
    let first = tunnel_packet(v6, &payloads[0]);
    let udp = headers(v6) - 8;
    let checksum = match joined {
        Joined::Unfinished => Checksum::Partial { start: udp as u32, offset: 6 },
        Joined::Verified => Checksum::Valid,
    };
    bytes[udp + 6..udp + 8].copy_from_slice(&first[udp + 6..udp + 8]);
    Packet { bytes, checksum, gso: Some(Gso { kind: GsoKind::Udp, size: payloads[0].len() as u16 }), cut: false }
}

/// A VXLAN header and a broadcast in it.
fn broadcast(vni: u32, number: u16) -> Vec<u8> {
    wire::vxlan(vni, &wire::tenant_frame(wire::BROADCAST, mac(0x11), number))
}

fn inject(lab: &Lab, packet: impl Into<Packet>) {
    lab.gateway.port(lab.port("up")).unwrap().inject(packet);
}

/// The numbers of the broadcasts that have left by the access port, with their tags.
fn left(lab: &mut Lab) -> Vec<(u16, u16)> {
    lab.clock += 1;
    lab.gateway.step(lab.clock);
    let sent = lab.sent().into_iter().filter(|(port, _)| port == "access");
    sent.map(|(_, frame)| (be16(&frame, 14) & 0xfff, be16(&frame, 18 + 20) - 1000)).collect()
}

fn be16(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

#[test]
fn every_packet_of_a_train_goes_where_it_would_have_gone_alone() {
    for (v6, joined) in
        [(false, Joined::Unfinished), (false, Joined::Verified), (true, Joined::Unfinished), (true, Joined::Verified)]
    {
        let mut lab = Lab::new(FILE);
        // Two tenants, one that nobody knows, and no VXLAN at all.
        let mut payloads: Vec<_> = [1, 2, 1, 3, 2].iter().zip(0..).map(|(vni, n)| broadcast(*vni, n)).collect();
        payloads.push(vec![0; payloads[0].len()]);
        payloads.push(broadcast(1, 6));
        inject(&lab, train(v6, &payloads, joined));
        assert_eq!(left(&mut lab), [(1, 0), (2, 1), (1, 2), (2, 4), (1, 6)], "{v6} {joined:?}");
        let drops: Vec<_> = lab.drops().into_iter().collect();
        assert_eq!(drops, [("unknown_segment", 1), ("vxlan_vni_flag_clear", 1)], "{v6} {joined:?}");

        // They count as on the wire.
        let whole: usize = payloads.iter().map(|payload| headers(v6) + payload.len()).sum();
        let row = lab.gateway.state(lab.clock).ports().into_iter().find(|row| row.port == "up").unwrap();
        assert_eq!((row.traffic.rx_frames, row.traffic.rx_bytes, row.dropped), (7, whole as u64, 2));
    }
}

#[test]
fn broadcasts_to_one_place_never_wait_however_many_a_breath_brings() {
    let file = FILE.replace(", b: { peer: p6, vni: 1 }", "").replace(", b: { peer: p6, vni: 2 }", "");
    let mut lab = Lab::new(&file);
    for first in (0..400).step_by(40) {
        let payloads: Vec<_> = (first..first + 40).map(|number| broadcast(1, number)).collect();
        inject(&lab, train(false, &payloads, Joined::Verified));
    }
    assert_eq!(left(&mut lab), (0..400).map(|number| (1, number)).collect::<Vec<_>>());
    assert!(lab.drops().is_empty(), "{:?}", lab.drops());
}

#[test]
fn nothing_overtakes_a_train() {
    let mut lab = Lab::new(FILE);
    let payloads = |numbers: std::ops::Range<u16>| numbers.map(|n| broadcast(1, n)).collect::<Vec<_>>();
    inject(&lab, tunnel_packet(false, &broadcast(1, 0)));
    inject(&lab, train(false, &payloads(1..40), Joined::Verified));
    inject(&lab, train(false, &payloads(40..120), Joined::Unfinished));
    inject(&lab, tunnel_packet(true, &broadcast(1, 120)));
    inject(&lab, train(true, &payloads(121..130), Joined::Verified));
    inject(&lab, tunnel_packet(false, &broadcast(1, 130)));
    let numbers: Vec<_> = left(&mut lab).into_iter().map(|(_, number)| number).collect();
    // Floods of the two attachments take turns; within each the order holds.
    let (of_v6, of_v4): (Vec<_>, Vec<_>) = numbers.into_iter().partition(|number| (120..130).contains(number));
    assert_eq!(of_v4, (0..120).chain([130]).collect::<Vec<_>>());
    assert_eq!(of_v6, (120..130).collect::<Vec<_>>());
    assert!(lab.drops().is_empty(), "{:?}", lab.drops());
}

#[test]
fn a_last_packet_may_be_shorter() {
    let mut lab = Lab::new(FILE);
    let long = |n| [broadcast(1, n), vec![0; 100]].concat();
    inject(&lab, train(false, &[long(0), long(1), broadcast(2, 2)], Joined::Verified));
    assert_eq!(left(&mut lab), [(1, 0), (1, 1), (2, 2)]);
}

/// As a kernel's VXLAN device sends a tenant's UDP super-frame over a veth, and as its GRO hands one over.
#[test]
fn a_tunnel_packet_with_a_super_frame_inside_is_no_train() {
    for checksum in [Checksum::Partial { start: 42 + 8 + 34, offset: 6 }, Checksum::Valid] {
        let mut lab = Lab::new(FILE);
        let ends = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
        let mut inner = wire::udp(5, 7, &[0x55; 3000]);
        inner[6..8].copy_from_slice(&[1, 2]);
        let inner = wire::ethernet(wire::BROADCAST, mac(0x11), wire::IPV4, &wire::ipv4(ends.0, ends.1, 0, 17, &inner));
        let gso = Some(Gso { kind: GsoKind::Udp, size: 1000 });
        let bytes = tunnel_packet(false, &wire::vxlan(1, &inner));
        inject(&lab, Packet { bytes, checksum, gso, cut: false });
        lab.gateway.step(lab.clock);
        let sent = lab.sent().into_iter().filter(|(port, _)| port == "access");
        let lens: Vec<_> = sent.map(|(_, frame)| frame.len()).collect();
        assert_eq!(lens, [14 + 4 + 20 + 8 + 1000; 3], "{checksum:?}");
    }
}

#[test]
fn a_train_that_cannot_be_cut_is_dropped_by_name_once() {
    let mut lab = Lab::new(FILE);
    let mut endless = train(false, &[broadcast(1, 0), broadcast(1, 1)], Joined::Unfinished);
    endless.gso = Some(Gso { kind: GsoKind::Udp, size: 0 });
    assert_eq!(lab.dropped_for("up", endless.clone()), "unsegmentable");
    // More packets than there are chunks.
    let many = train(false, &(0..600).map(|n| broadcast(1, n)).collect::<Vec<_>>(), Joined::Unfinished);
    assert_eq!(lab.dropped_for("up", Packet { gso: Some(Gso { kind: GsoKind::Udp, size: 1 }), ..many }), "no_buffer");
    assert_eq!(lab.drops().values().sum::<u64>(), 2);
    let row = lab.gateway.state(lab.clock).ports().into_iter().find(|row| row.port == "up").unwrap();
    assert_eq!((row.traffic.rx_frames, row.dropped), (2, 2));
    assert!(lab.send("up", train(false, &[broadcast(1, 0), broadcast(1, 1)], Joined::Unfinished)).len() == 4);
}
