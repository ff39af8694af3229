//! The pipeline as a tenant sees it: real frames in at one port, real frames out at another.

mod common;

use std::collections::BTreeSet;

use common::Lab;
use common::places::{ALL, PEER_MAC, PLACES, UP_MAC, from, inner_of, learn};
use common::wire::{self, BROADCAST, mac};
use transload_encaps::DropReason;

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
fn what_leaves_by_a_port_without_carrier_is_dropped_by_name() {
    let mut lab = Lab::new(ALL);
    learn(&mut lab, "both", 1);
    let mut tables = lab.tables().as_ref().clone();
    tables.ports.values_mut().for_each(|port| port.is_down = true);
    lab.gateway.shared().forwarding.store(tables.into());
    let (port, packet) = from("vxlan4", &wire::tenant_frame(mac(1), mac(2), 1));
    assert_eq!(lab.dropped_for(port, packet), "port_down");
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
fn flows_behind_labels_sessions_and_options_leave_by_many_source_ports_and_flow_ids() {
    let mut lab = Lab::new(ALL);
    learn(&mut lab, "vxlan4", 1);
    learn(&mut lab, "nvgre6", 2);
    // Two routers, or a subscriber and its server, with a TCP flow for each source port.
    let tcp = |flow: u16| [&(1001 + flow).to_be_bytes()[..], &[0, 80], &[0; 8], &[0x50, 2, 0x20, 0], &[0; 4]].concat();
    let v4 = |flow| wire::ipv4([10, 0, 0, 1].into(), [10, 0, 0, 2].into(), 0, 6, &tcp(flow));
    let v6 =
        |next, payload: &[u8]| wire::ipv6("fd00::1".parse().unwrap(), "fd00::2".parse().unwrap(), 0, next, payload);
    let label = |flow: u16| ((100 + u32::from(flow)) << 12 | 0x140).to_be_bytes();
    let frame = |kind: &str, flow: u16| match kind {
        "labels" => (0x8847, [&label(flow)[..], &[0; 46]].concat()),
        "a label" => (0x8847, [&label(0)[..], &v4(flow)].concat()),
        "a session" => (0x8864, [&[0x11, 0, 0, 7, 0, 42, 0, 0x21][..], &v4(flow)].concat()),
        _ => (wire::IPV6, v6(60, &[&[6, 0, 1, 4, 0, 0, 0, 0][..], &tcp(flow)].concat())),
    };
    for kind in ["labels", "a label", "a session", "destination options"] {
        for (host, place, at) in [(1, "vxlan4", 34..36), (2, "nvgre6", 61..62)] {
            let mut seen = BTreeSet::new();
            for flow in 0..64 {
                let (ether_type, payload) = frame(kind, flow);
                let bytes = wire::ethernet(mac(host), mac(3), ether_type, &payload);
                let (port, packet) = from("outer", &bytes);
                let sent = lab.send(port, packet);
                assert_eq!(inner_of(place, &sent[0].1), Some(bytes));
                seen.insert(sent[0].1[at.clone()].to_vec());
            }
            // Of 256 FlowIDs 64 flows take some 56.
            assert!(seen.len() > 45, "{kind}: {} ways to {place}", seen.len());
        }
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
    let sent = lab.send("access", wire::tag(&wire::tag(&frame, 0x8100, 0xa007), 0x88a8, 0xb064));
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
fn a_priority_tag_is_no_tag_towards_nvgre_and_its_priority_is_kept_where_there_are_tags() {
    let mut lab = Lab::new(ALL);
    let frame = wire::tenant_frame(BROADCAST, mac(2), 0);
    for tpid in [0x8100, 0x88a8] {
        let (port, packet) = from("vxlan4", &wire::tag(&frame, tpid, 0x6000));
        let sent = lab.send(port, packet);
        let at = |place: &str| sent.iter().filter_map(|(_, bytes)| inner_of(place, bytes)).collect::<Vec<_>>();
        assert_eq!(at("nvgre4"), std::slice::from_ref(&frame));
        assert_eq!(at("nvgre6"), std::slice::from_ref(&frame));
        assert_eq!(at("gre4"), [wire::tag(&frame, tpid, 0x6000)], "GRE has tags as payload");
        let outer = sent.iter().find(|(_, bytes)| bytes[12..14] == [0x88, 0xa8] && bytes[15] == 200);
        assert_eq!(outer.unwrap().1[14] & 0xf0, 0x60, "PCP 3 is kept in the tag");
    }
    let (port, packet) = from("nvgre4", &wire::tag(&frame, 0x8100, 0x6000));
    assert_eq!(lab.dropped_for(port, packet), "nvgre_inner_tag", "RFC 7637 §3.2 has it dropped on receive");
}

#[test]
fn an_endpoint_without_a_vlan_takes_packets_in_a_priority_tag() {
    let mut lab = Lab::new(ALL);
    learn(&mut lab, "both", 1);
    for (place, tpid) in [("vxlan4", 0x8100), ("nvgre6", 0x88a8)] {
        let (port, packet) = from(place, &wire::tenant_frame(mac(1), mac(2), 0));
        assert_eq!(lab.send(port, wire::tag(&packet, tpid, 0x6000)).len(), 1, "{place}");
        assert_eq!(lab.dropped_for(port, wire::tag(&packet, tpid, 0x6001)), "not_for_us");
    }
}

#[test]
fn a_udp_checksum_that_the_peer_has_ignored_is_counted_and_not_verified() {
    let ignoring = ALL
        .replace("192.0.2.9,  encap: vxlan }", "192.0.2.9, encap: vxlan, udp_checksum: { rx: ignore } }")
        .replace("\"2001:db8::9\",  encap: vxlan }", "\"2001:db8::9\", encap: vxlan, udp_checksum: { rx: ignore } }");
    let mut lab = Lab::new(&ignoring);
    learn(&mut lab, "both", 1);
    for (place, at) in [("vxlan4", 40), ("vxlan6", 60)] {
        let (port, mut packet) = from(place, &wire::tenant_frame(mac(1), mac(2), 0));
        packet[at..at + 2].copy_from_slice(&[0xab, 0xcd]);
        assert_eq!(lab.send(port, packet.clone()).len(), 1, "{place}");
        let tunnel = transload_encaps::Common::UdpChecksum.into();
        assert_eq!(lab.gateway.counters().tolerated(tunnel).unwrap().get(), if place == "vxlan4" { 1 } else { 2 });
        packet[at..at + 2].fill(0);
        assert_eq!(lab.send("up", packet).len(), 1, "{place}: none, which VXLAN takes over IPv6 too");
        assert_eq!(lab.gateway.counters().tolerated(tunnel).unwrap().get(), if place == "vxlan4" { 1 } else { 2 });
    }
    let mut lab = Lab::new(ALL);
    let (port, mut packet) = from("vxlan4", &wire::tenant_frame(mac(1), mac(2), 0));
    packet[40..42].copy_from_slice(&[0xab, 0xcd]);
    assert_eq!(lab.dropped_for(port, packet), "udp_checksum");
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

#[test]
fn a_drop_is_counted_where_the_frame_came_in_and_from_whom() {
    let mut lab = Lab::new(ALL);
    for host in 1..=3 {
        let (port, mut packet) = from("vxlan4", &wire::tenant_frame(BROADCAST, mac(host), 0));
        // The VNI, which nobody has.
        packet[14 + 20 + 8 + 4] = 0x77;
        assert_eq!(lab.dropped_for(port, packet), "unknown_segment");
    }
    let reason = DropReason::all().find(|reason| reason.label() == "unknown_segment").unwrap();
    let counters = lab.gateway.counters();
    let at = |port: &str| counters.drops_at(lab.port(port), reason).unwrap().get();
    assert_eq!([at("up"), at("access")], [3, 0]);
    let (peer, _) = lab.gateway.names().peers().find(|(_, name)| *name == "vxlan4").unwrap();
    assert_eq!(counters.peer(peer).unwrap().dropped.get(), 3);
    assert_eq!(counters.port(lab.port("up")).unwrap().dropped.get(), 3);
}

#[test]
fn what_the_machines_own_stack_handles_is_no_mistake() {
    let mut lab = Lab::new(ALL);
    let mut solicitation = vec![0x60, 0, 0, 0, 0, 24, 58, 255];
    solicitation.resize(64, 0);
    for (kind, payload) in [(0x0806, vec![0; 46]), (0x88cc, vec![0; 46]), (0x86dd, solicitation)] {
        let frame = wire::ethernet(BROADCAST, PEER_MAC, kind, &payload);
        assert_eq!(lab.dropped_for("up", frame.clone()), "underlay_control", "{kind:#06x}");
        assert_eq!(lab.dropped_for("up", wire::tag(&frame, 0x8100, 30)), "underlay_control", "{kind:#06x} in a VLAN");
    }
    let neither = wire::ethernet(BROADCAST, PEER_MAC, 0x88b5, &[0; 46]);
    assert_eq!(lab.dropped_for("up", neither), "not_for_us");
}

/// What the machine's own stack takes is told apart from tunnel packets that the configuration does not know.
#[test]
fn what_is_the_machines_own_is_no_drop() {
    let mut lab = Lab::new(ALL);
    let link = (UP_MAC, PEER_MAC);
    let from = |src: &str, protocol: u8, payload: &[u8]| {
        let ends = (src.parse().unwrap(), "192.0.2.1".parse().unwrap());
        wire::outer(link, ends, 0, protocol, payload)
    };
    let udp = |port| wire::udp(50_000, port, &[8; 40]);
    let fragment = |mut frame: Vec<u8>| {
        frame[20] = 0x20;
        frame[24..26].fill(0);
        let checksum = wire::sum(&[&frame[14..34]]);
        frame[24..26].copy_from_slice(&checksum.to_be_bytes());
        frame
    };
    let beyond = ("192.0.2.9".parse().unwrap(), "198.51.100.77".parse().unwrap());
    let elsewhere = wire::outer(link, beyond, 0, 6, &[0; 40]);
    for (what, frame, label) in [
        ("ping", from("192.0.2.9", 1, &[8; 40]), "host_traffic"),
        ("a long ping", fragment(from("192.0.2.9", 1, &[8; 40])), "host_traffic"),
        ("SSH", from("192.0.2.77", 6, &[0; 40]), "host_traffic"),
        ("SSH in a VLAN", wire::tag(&from("192.0.2.77", 6, &[0; 40]), 0x8100, 5), "host_traffic"),
        ("OSPF", from("192.0.2.9", 89, &[0; 40]), "host_traffic"),
        ("DNS", from("192.0.2.77", 17, &udp(53)), "host_traffic"),
        ("BFD of a peer", from("192.0.2.9", 17, &udp(3784)), "host_traffic"),
        ("an answer of a peer", from("192.0.2.9", 17, &udp(40_000)), "host_traffic"),
        ("what is routed on", elsewhere, "host_traffic"),
        ("Geneve", from("192.0.2.77", 17, &udp(6081)), "not_for_us"),
        ("Geneve in a VLAN", wire::tag(&from("192.0.2.77", 17, &udp(6081)), 0x8100, 5), "not_for_us"),
        ("a peer's tunnel to any port", from("192.0.2.9", 17, &udp(5789)), "not_for_us"),
        ("IP in IP", from("192.0.2.77", 4, &[0x45; 40]), "not_for_us"),
        ("a tunnel from a stranger", from("192.0.2.66", 17, &udp(4789)), "unknown_peer"),
        ("a piece of a tunnel packet", fragment(from("192.0.2.9", 17, &udp(4789))), "outer_fragment"),
        ("a piece of a GRE packet", fragment(from("192.0.2.9", 47, &[0; 40])), "outer_fragment"),
    ] {
        assert_eq!(lab.dropped_for("up", frame), label, "{what}");
    }
    let state = lab.gateway.state(lab.clock);
    let row = state.ports().into_iter().find(|row| row.port == "up").unwrap();
    assert_eq!((row.left, row.dropped), (9, 7), "what is left to the machine is not dropped");
    let own = state.drops().into_iter().find(|row| row.reason == "host_traffic").unwrap();
    assert_eq!((own.left, own.dropped, own.responsible.as_str()), (9, 0, "nobody"));
}
