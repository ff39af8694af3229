//! The pipeline as a tenant sees it: real frames in at one port, real frames out at another.

mod common;

use std::net::IpAddr;

use common::Lab;
use common::wire::{self, BROADCAST, mac};

const UP_MAC: [u8; 6] = [2, 0xaa, 0, 0, 0, 1];
const PEER_MAC: [u8; 6] = [2, 0xbb, 0, 0, 0, 1];
const OURS: [&str; 2] = ["192.0.2.1", "2001:db8::1"];

/// One tenant with one attachment of every encapsulation twice, over IPv4 and over IPv6 where it has an underlay.
const ALL: &str = r#"
version: 1
ports:
  up:     { device: up, mac: "02:aa:00:00:00:01", next_hops: {
            192.0.2.9: "02:bb:00:00:00:01", 192.0.2.77: "02:bb:00:00:00:01", 192.0.2.99: "02:bb:00:00:00:01",
            "2001:db8::9": "02:bb:00:00:00:01", "2001:db8::77": "02:bb:00:00:00:01", "2001:db8::99": "02:bb:00:00:00:01" } }
  access: { device: access }
endpoints:
  v4: { address: 192.0.2.1, ports: [up] }
  v6: { address: "2001:db8::1", ports: [up] }
peers:
  vxlan4: { address: 192.0.2.9,  encap: vxlan }
  nvgre4: { address: 192.0.2.77, encap: nvgre }
  gre4:   { address: 192.0.2.99, encap: gre }
  vxlan6: { address: "2001:db8::9",  encap: vxlan }
  nvgre6: { address: "2001:db8::77", encap: nvgre }
  gre6:   { address: "2001:db8::99", encap: gre }
tenants:
  blue:
    attachments:
      vxlan4:  { peer: vxlan4, vni: 100 }
      vxlan4b: { peer: vxlan4, vni: 101 }
      nvgre4:  { peer: nvgre4, vsid: 5000 }
      nvgre4b: { peer: nvgre4, vsid: 5001 }
      gre4:    { peer: gre4, key: 7 }
      gre4b:   { peer: gre4 }
      vxlan6:  { peer: vxlan6, vni: 100 }
      nvgre6:  { peer: nvgre6, vsid: 5000 }
      gre6:    { peer: gre6, key: 7 }
      both:    { port: access, s_vid: 100, c_vid: 7 }
      outer:   { port: access, s_vid: 200 }
      single:  { port: access, vid: 300 }
      none:    { port: access, untagged: true }
"#;

/// The attachments of [`ALL`]: how a frame looks on the wire of each.
const PLACES: [&str; 13] = [
    "vxlan4", "vxlan4b", "nvgre4", "nvgre4b", "gre4", "gre4b", "vxlan6", "nvgre6", "gre6", "both", "outer", "single",
    "none",
];

fn peer_address(place: &str) -> IpAddr {
    let number = match &place[..3] {
        "vxl" => "9",
        "nvg" => "77",
        _ => "99",
    };
    if place.contains('6') { format!("2001:db8::{number}") } else { format!("192.0.2.{number}") }.parse().unwrap()
}

fn header_of(place: &str, frame: &[u8]) -> (u8, Vec<u8>) {
    match place {
        "vxlan4" | "vxlan6" => (17, wire::udp(55_555, 4789, &wire::vxlan(100, frame))),
        "vxlan4b" => (17, wire::udp(55_555, 4789, &wire::vxlan(101, frame))),
        "nvgre4" | "nvgre6" => (47, wire::nvgre(5000, 0x5a, frame)),
        "nvgre4b" => (47, wire::nvgre(5001, 0, frame)),
        "gre4b" => (47, wire::gre(None, frame)),
        _ => (47, wire::gre(Some(7), frame)),
    }
}

/// The frame as it arrives from a place, and the port.
fn from(place: &str, frame: &[u8]) -> (&'static str, Vec<u8>) {
    match place {
        "both" => ("access", wire::tag(&wire::tag(frame, 0x8100, 7), 0x88a8, 100)),
        "outer" => ("access", wire::tag(frame, 0x88a8, 200)),
        "single" => ("access", wire::tag(frame, 0x8100, 300)),
        "none" => ("access", frame.to_vec()),
        _ => {
            let (protocol, packet) = header_of(place, frame);
            let peer = peer_address(place);
            let ours = OURS[usize::from(peer.is_ipv6())].parse().unwrap();
            ("up", wire::outer((UP_MAC, PEER_MAC), (peer, ours), 0, protocol, &packet))
        }
    }
}

/// The tenant's frame out of what left towards a place; `None` when it left towards another.
fn inner_of(place: &str, sent: &[u8]) -> Option<Vec<u8>> {
    if !place.contains(['4', '6']) {
        let with_tags = match place {
            "both" => Some((8, [0x88, 0xa8, 0, 100, 0x81, 0, 0, 7].to_vec())),
            "outer" => Some((4, [0x88, 0xa8, 0, 200].to_vec())),
            "single" => Some((4, [0x81, 0, 300_u16.to_be_bytes()[0], 300_u16.to_be_bytes()[1]].to_vec())),
            _ => None,
        };
        return match with_tags {
            Some((len, tags)) => {
                (sent.len() > 12 + len && sent[12..12 + len] == tags).then(|| [&sent[..12], &sent[12 + len..]].concat())
            }
            None => (sent[12..14] == [8, 0]).then(|| sent.to_vec()),
        };
    }
    let peer = peer_address(place);
    let ip_len = match peer {
        IpAddr::V4(peer) => (sent[12..14] == [8, 0] && sent[30..34] == peer.octets()).then_some(20)?,
        IpAddr::V6(peer) => (sent[12..14] == [0x86, 0xdd] && sent[38..54] == peer.octets()).then_some(40)?,
    };
    assert_eq!(sent[..12], [PEER_MAC, UP_MAC].concat());
    let carried = &sent[14 + ip_len..];
    let (header, inner): (&[u8], usize) = match place {
        "vxlan4" | "vxlan6" => (&[8, 0, 0, 0, 0, 0, 100, 0], 8),
        "vxlan4b" => (&[8, 0, 0, 0, 0, 0, 101, 0], 8),
        "nvgre4" | "nvgre6" => (&[0x20, 0, 0x65, 0x58, 0, 0x13, 0x88], 8),
        "nvgre4b" => (&[0x20, 0, 0x65, 0x58, 0, 0x13, 0x89], 8),
        "gre4b" => (&[0, 0, 0x65, 0x58], 4),
        _ => (&[0x20, 0, 0x65, 0x58, 0, 0, 0, 7], 8),
    };
    let tunnel = if place.starts_with("vxlan") { &carried[8..] } else { carried };
    tunnel.starts_with(header).then(|| tunnel[inner..].to_vec())
}

/// A frame that makes the gateway learn `host` at a place.
fn learn(lab: &mut Lab, place: &str, host: u8) {
    let (port, packet) = from(place, &wire::tenant_frame(BROADCAST, mac(host), 0));
    lab.send(port, packet);
}

#[test]
fn every_encapsulation_reaches_every_other_and_itself_under_another_id() {
    let mut lab = Lab::new(ALL);
    for (number, place) in PLACES.iter().enumerate() {
        learn(&mut lab, place, number as u8);
    }
    for (i, a) in PLACES.iter().enumerate() {
        for (j, b) in PLACES.iter().enumerate().filter(|(j, _)| *j != i) {
            let frame = wire::tenant_frame(mac(j as u8), mac(i as u8), 42);
            let (port, packet) = from(a, &frame);
            let sent = lab.send(port, packet);
            assert_eq!(sent.len(), 1, "{a} to {b}: {sent:02x?}");
            assert_eq!(inner_of(b, &sent[0].1).as_deref(), Some(&frame[..]), "{a} to {b}: {:02x?}", sent[0].1);
        }
    }
}

#[test]
fn a_broadcast_reaches_every_place_but_its_own_exactly_once() {
    let mut lab = Lab::new(ALL);
    for a in PLACES {
        let frame = wire::tenant_frame(BROADCAST, mac(1), 9);
        let (port, packet) = from(a, &frame);
        let sent = lab.send(port, packet);
        for b in PLACES {
            let copies = sent.iter().filter(|(_, bytes)| inner_of(b, bytes).as_deref() == Some(&frame[..])).count();
            assert_eq!(copies, usize::from(a != b), "{a} to {b}");
        }
        assert_eq!(sent.len(), PLACES.len() - 1);
    }
}

#[test]
fn a_vsid_is_found_whatever_the_flow_id() {
    let mut lab = Lab::new(ALL);
    learn(&mut lab, "vxlan4", 1);
    for flow_id in 0..=255 {
        let frame = wire::tenant_frame(mac(1), mac(2), 1);
        let ends = ("192.0.2.77".parse().unwrap(), "192.0.2.1".parse().unwrap());
        let packet = wire::outer((UP_MAC, PEER_MAC), ends, 0, 47, &wire::nvgre(5000, flow_id, &frame));
        let sent = lab.send("up", packet);
        assert_eq!(inner_of("vxlan4", &sent[0].1), Some(frame));
    }
}

#[test]
fn a_mac_that_moves_is_followed_and_one_that_falls_silent_forgotten() {
    let mut lab = Lab::new(ALL);
    learn(&mut lab, "gre4", 1);
    learn(&mut lab, "both", 1);
    let rows = lab.fdb();
    assert_eq!((rows.len(), rows[0].attachment.as_str()), (1, "both"));

    let frame = wire::tenant_frame(mac(1), mac(2), 0);
    let (port, packet) = from("vxlan4", &frame);
    lab.sleep(299);
    assert_eq!(lab.send(port, packet.clone()).len(), 1, "299 s are within the ageing of 5 m");
    lab.sleep(2);
    assert_eq!(lab.send(port, packet).len(), PLACES.len() - 1, "after 301 s it is unknown again");
}

#[test]
fn what_lives_where_it_comes_from_is_not_sent_back() {
    let mut lab = Lab::new(ALL);
    learn(&mut lab, "vxlan4", 1);
    let (port, packet) = from("vxlan4", &wire::tenant_frame(mac(1), mac(2), 0));
    assert_eq!(lab.dropped_for(port, packet), "same_attachment");
}

#[test]
fn priorities_of_tags_survive_where_there_are_tags_to_carry_them() {
    let mut lab = Lab::new(ALL);
    learn(&mut lab, "outer", 1);
    let frame = wire::tenant_frame(mac(1), mac(2), 0);
    let sent = lab.send("access", wire::tag(&wire::tag(&frame, 0x8100, 0xa007), 0x88a8, 0xb << 12 | 100));
    assert_eq!(sent[0].1[12..16], [0x88, 0xa8, 0xb0, 200], "PCP 5 and DEI go with the frame");
}

#[test]
fn a_tag_may_not_ride_inside_nvgre() {
    let mut lab = Lab::new(ALL);
    learn(&mut lab, "nvgre4", 1);
    let tagged = wire::tag(&wire::tenant_frame(mac(1), mac(2), 0), 0x8100, 5);
    let (port, packet) = from("vxlan4", &tagged);
    assert_eq!(lab.dropped_for(port, packet), "inner_tags");
    let (port, packet) = from("nvgre4", &tagged);
    assert_eq!(lab.dropped_for(port, packet), "nvgre_inner_tag");
}

#[test]
fn drops_have_names() {
    let mut lab = Lab::new(ALL);
    let frame = wire::tenant_frame(BROADCAST, mac(1), 0);
    let ends = |peer: &str| (peer.parse().unwrap(), "192.0.2.1".parse().unwrap());
    let link = (UP_MAC, PEER_MAC);
    let vxlan = |vni| wire::udp(5, 4789, &wire::vxlan(vni, &frame));
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("up", wire::outer(link, ends("192.0.2.66"), 0, 17, &vxlan(100)), "unknown_peer"),
        ("up", wire::outer(link, ends("192.0.2.9"), 0, 17, &vxlan(99)), "unknown_segment"),
        ("up", wire::outer((mac(9), PEER_MAC), ends("192.0.2.9"), 0, 17, &vxlan(100)), "not_our_mac"),
        ("up", wire::outer(link, ends("192.0.2.9"), 0, 17, &wire::udp(5, 4790, &vxlan(100))), "not_for_us"),
        ("up", wire::tag(&wire::outer(link, ends("192.0.2.9"), 0, 17, &vxlan(100)), 0x8100, 5), "not_for_us"),
        ("up", wire::outer(link, ends("192.0.2.9"), 0, 17, &wire::udp(5, 4789, &[0; 30])), "vxlan_vni_flag_clear"),
        (
            "up",
            wire::outer(link, ends("192.0.2.9"), 0, 17, &wire::udp(5, 4789, &wire::vxlan(100, &[0; 13]))),
            "inner_truncated",
        ),
        ("access", wire::tag(&frame, 0x8100, 5), "unclaimed_tags"),
        ("access", wire::tag(&frame, 0x88a8, 5), "unclaimed_tags"),
        ("access", wire::tag(&frame, 0x9100, 200), "qinq_wrong_tpid"),
        ("access", wire::tag(&frame, 0x88a8, 4095), "qinq_reserved_vid"),
        ("access", wire::tenant_frame(mac(2), [3, 0, 0, 0, 0, 0], 0), "bad_source"),
        ("access", wire::tenant_frame([1, 0x80, 0xc2, 0, 0, 0xe], mac(1), 0), "l2_control"),
    ];
    for (port, packet, reason) in cases {
        assert_eq!(lab.dropped_for(port, packet), reason);
    }
}

#[test]
fn congestion_marked_on_an_indifferent_sender_is_dropped_and_teaches_nothing() {
    let mut lab = Lab::new(ALL);
    let ends = ("192.0.2.9".parse().unwrap(), "192.0.2.1".parse().unwrap());
    let packet = wire::udp(5, 4789, &wire::vxlan(100, &wire::tenant_frame(BROADCAST, mac(1), 0)));
    assert_eq!(lab.dropped_for("up", wire::outer((UP_MAC, PEER_MAC), ends, 3, 17, &packet)), "ecn_dropped");
    assert!(lab.fdb().is_empty());
}

#[test]
fn a_frame_cut_at_any_byte_is_dropped_by_name_or_carried_shorter() {
    let mut lab = Lab::new(ALL);
    for place in PLACES {
        let (port, packet) = from(place, &wire::tenant_frame(mac(1), mac(2), 0));
        for len in 0..packet.len() {
            let before: u64 = lab.drops().values().sum();
            let sent = lab.send(port, packet[..len].to_vec());
            let dropped = lab.drops().values().sum::<u64>() - before;
            assert!(dropped > 0 || !sent.is_empty() || len == 0, "{place} cut to {len} vanished");
            lab.clock += 10_000_000;
        }
    }
}
