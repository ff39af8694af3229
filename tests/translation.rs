//! What a translation does to marks, priorities, checksums and tags: DESIGN's rules through the whole pipeline, by
//! packets written and read by hand.

mod common;

use std::net::IpAddr;

use common::Lab;
use common::wire::{self, ARP, BROADCAST, IPV4, IPV6, mac};

const UP: [u8; 6] = [2, 0xaa, 0, 0, 0, 1];
const HOP: [u8; 6] = [2, 0xbb, 0, 0, 0, 1];
const NOT_ECT: u8 = 0;
const ECT_1: u8 = 1;
const ECT_0: u8 = 2;
const CE: u8 = 3;
/// DSCP EF in a traffic class.
const EF: u8 = 46 << 2;

/// A gateway with one tenant between peer `in`, a VXLAN one, and peer `out`, which is told more.
fn gateway(family: char, out: &str, attachments: &str) -> Lab {
    let (ours, them, there) = match family {
        '4' => ("192.0.2.1", "192.0.2.9", "192.0.2.99"),
        _ => ("2001:db8::1", "2001:db8::9", "2001:db8::99"),
    };
    let yaml = format!(
        r#"
version: 1
ports:
  up: {{ device: up, mac: "02:aa:00:00:00:01", next_hops: {{ "{them}": "02:bb:00:00:00:01", "{there}": "02:bb:00:00:00:01" }} }}
  access: {{ device: access }}
endpoints:
  ours: {{ address: "{ours}", ports: [up] }}
peers:
  in: {{ address: "{them}", encap: vxlan }}
  out: {{ address: "{there}", {out} }}
tenants:
  blue:
    limits: {{ bum: unlimited }}
    attachments:
{attachments}
"#
    );
    Lab::new(&yaml)
}

const PLAIN: &str = "      in: { peer: in, vni: 100 }\n      out: { peer: out, key: 7 }";

fn ends(family: char, last: u8) -> (IpAddr, IpAddr) {
    let (from, to) = match family {
        '4' => (format!("192.0.2.{last}"), "192.0.2.1"),
        _ => (format!("2001:db8::{last}"), "2001:db8::1"),
    };
    (from.parse().unwrap(), to.parse().unwrap())
}

/// A tenant's frame inside VXLAN from `in`, with this traffic class outside and no UDP checksum.
fn from_in(family: char, class: u8, frame: &[u8]) -> Vec<u8> {
    wire::outer((UP, HOP), ends(family, 9), class, 17, &wire::udp(50_000, 4789, &wire::vxlan(100, frame)))
}

/// The same inside GRE from `out`.
fn from_out(family: char, class: u8, frame: &[u8]) -> Vec<u8> {
    wire::outer((UP, HOP), ends(family, 99), class, 47, &wire::gre(Some(7), frame))
}

/// What an outer header that we sent says.
#[derive(Debug, PartialEq, Eq)]
struct Outer {
    class: u8,
    ttl: u8,
    label: u32,
    payload: Vec<u8>,
}

fn outer(sent: &[u8]) -> Outer {
    let ip = &sent[14..];
    if ip[0] >> 4 == 4 {
        assert_eq!(wire::sum(&[&ip[..20]]), 0);
        return Outer { class: ip[1], ttl: ip[8], label: 0, payload: ip[20..].to_vec() };
    }
    let first = u32::from_be_bytes(ip[..4].try_into().unwrap());
    Outer { class: (first >> 20) as u8, ttl: ip[7], label: first & 0xf_ffff, payload: ip[40..].to_vec() }
}

/// A tenant's frame of either IP with this traffic class, TTL 64.
fn tenant(ether_type: u16, class: u8) -> Vec<u8> {
    let datagram = wire::udp(1000, 7, b"marked");
    let packet = match ether_type {
        IPV4 => wire::ipv4([10, 0, 0, 1].into(), [10, 0, 0, 2].into(), class, 17, &datagram),
        IPV6 => wire::ipv6("fd00::1".parse().unwrap(), "fd00::2".parse().unwrap(), class, 17, &datagram),
        _ => vec![class; 46],
    };
    wire::ethernet(mac(2), mac(1), ether_type, &packet)
}

fn tagged(frame: &[u8], tags: usize) -> Vec<u8> {
    (0..tags).fold(frame.to_vec(), |frame, n| wire::tag(&frame, [0x8100, 0x88a8][n], 0x6005))
}

/// RFC 6040 figure 4: what becomes of the inner marks under Not-ECT, ECT(0), ECT(1) and CE outside.
const FIGURE_4: [(u8, [Option<u8>; 4]); 4] = [
    (NOT_ECT, [Some(NOT_ECT), Some(NOT_ECT), Some(NOT_ECT), None]),
    (ECT_0, [Some(ECT_0), Some(ECT_0), Some(ECT_1), Some(CE)]),
    (ECT_1, [Some(ECT_1), Some(ECT_1), Some(ECT_1), Some(CE)]),
    (CE, [Some(CE); 4]),
];
const OUTSIDE: [u8; 4] = [NOT_ECT, ECT_0, ECT_1, CE];

/// Every case of figure 4 with an inner packet of either version behind no, one and two tags.
fn marked() -> impl Iterator<Item = (Vec<u8>, u8, Option<Vec<u8>>)> {
    let inner = FIGURE_4.into_iter().flat_map(|(inner, results)| {
        OUTSIDE.into_iter().zip(results).map(move |(outer, result)| (inner, outer, result))
    });
    inner.flat_map(|(inner, outer, result)| {
        [IPV4, IPV6].into_iter().flat_map(move |ether_type| {
            (0..3).map(move |tags| {
                let frame = |marks: u8| tagged(&tenant(ether_type, EF | marks), tags);
                (frame(inner), outer, result.map(frame))
            })
        })
    })
}

#[test]
fn congestion_marks_go_in_by_figure_4_and_out_again_by_the_peers_mode() {
    // RFC 6040 §4.2, then §4.1 with what §4.2 made; the two together are what a translation does.
    for family in ['4', '6'] {
        for (mode, copies) in [("normal", true), ("compatibility", false)] {
            let mut lab = gateway(family, &format!("encap: gre, ecn: {mode}"), PLAIN);
            lab.send("up", from_out(family, 0, &wire::tenant_frame(BROADCAST, mac(2), 0)));
            for (before, outside, after) in marked() {
                // The outer DSCP is the underlay's business and stays there.
                let packet = from_in(family, 0x14 | outside, &before);
                let Some(after) = after else {
                    assert_eq!(lab.dropped_for("up", packet), "ecn_dropped");
                    continue;
                };
                let sent = outer(&lab.send("up", packet)[0].1);
                assert_eq!(sent.payload[8..], after, "{mode}: {outside:02b} outside");
                let inner_marks = common_marks(&after);
                assert_eq!(sent.class, if copies { inner_marks } else { NOT_ECT }, "{mode}");
            }
        }
    }
}

/// The two bits of a tenant's frame, wherever its IP header is.
fn common_marks(frame: &[u8]) -> u8 {
    let ip = frame[12..].chunks(4).position(|tag| tag[..2] == [8, 0] || tag[..2] == [0x86, 0xdd]).unwrap() * 4 + 14;
    if frame[ip] >> 4 == 4 { frame[ip + 1] & 3 } else { frame[ip + 1] >> 4 & 3 }
}

#[test]
fn marks_brought_inward_reach_ports_without_an_outer_header_and_every_copy_of_a_flood() {
    let attachments = format!("{PLAIN}\n      tags: {{ port: access, s_vid: 5, c_vid: 6 }}");
    let mut lab = gateway('4', "encap: gre", &attachments);
    for (before, outside, after) in marked() {
        let Some(after) = after else { continue };
        let sent = lab.send("up", from_in('4', outside, &before));
        let (port, frame) = sent.iter().find(|(port, _)| port == "access").unwrap();
        assert_eq!([&frame[..12], &frame[20..]].concat(), after, "{port}");
        let (_, packet) = sent.iter().find(|(port, _)| port == "up").unwrap();
        assert_eq!(outer(packet).class, common_marks(&after));
    }
}

#[test]
fn marks_from_a_port_without_an_outer_header_go_out_as_they_are() {
    let attachments = format!("{PLAIN}\n      tags: {{ port: access, s_vid: 5 }}");
    let mut lab = gateway('6', "encap: gre", &attachments);
    for marks in OUTSIDE {
        for ether_type in [IPV4, IPV6] {
            let sent = lab.send("access", wire::tag(&tenant(ether_type, EF | marks), 0x88a8, 5));
            assert!(!sent.is_empty());
            assert!(sent.iter().all(|(_, packet)| outer(packet).class == marks));
        }
    }
}

#[test]
fn what_is_not_ip_is_carried_whatever_the_underlay_marked_and_leaves_not_ect() {
    let mut lab = gateway('4', "encap: gre, dscp: uniform", PLAIN);
    for outside in OUTSIDE {
        for ether_type in [ARP, 0x88b5] {
            for tags in 0..3 {
                let frame = tagged(&tenant(ether_type, 0xff), tags);
                let sent = outer(&lab.send("up", from_in('4', EF | outside, &frame))[0].1);
                assert_eq!((sent.class, &sent.payload[8..]), (0, &frame[..]));
            }
        }
    }
}

#[test]
fn dscp_is_the_tunnels_own_in_pipe_mode_and_the_tenants_in_uniform_mode() {
    // RFC 2983 §3.
    for family in ['4', '6'] {
        for (rule, expected) in
            [("", 0), (", dscp: { pipe: 10 }", 10 << 2), (", dscp: pipe", 0), (", dscp: uniform", EF)]
        {
            let mut lab = gateway(family, &format!("encap: gre{rule}"), PLAIN);
            for ether_type in [IPV4, IPV6] {
                for tags in 0..2 {
                    let frame = tagged(&tenant(ether_type, EF), tags);
                    // An outer DSCP on the way in changes nothing of the tenant's.
                    let sent = outer(&lab.send("up", from_in(family, 0x28, &frame))[0].1);
                    assert_eq!((sent.class, &sent.payload[8..]), (expected, &frame[..]), "{rule}");
                }
            }
        }
    }
}

#[test]
fn the_outer_ttl_is_64_or_the_peers_and_the_tenants_is_not_touched() {
    for family in ['4', '6'] {
        for (rule, expected) in [("", 64), (", ttl: 3", 3), (", ttl: 255", 255)] {
            let mut lab = gateway(family, &format!("encap: gre{rule}"), PLAIN);
            let mut frame = tenant(IPV6, 0);
            frame[14 + 7] = 1;
            let sent = outer(&lab.send("up", from_in(family, 0, &frame))[0].1);
            assert_eq!((sent.ttl, &sent.payload[8..]), (expected, &frame[..]), "a bridge is no hop");
        }
    }
}

#[test]
fn the_ipv6_flow_label_is_the_flows_and_never_zero_for_all() {
    // RFC 6438 §3, RFC 6437 §3: one label for a flow, spread over flows.
    let mut lab = gateway('6', "encap: gre", PLAIN);
    let mut label = |number: u16, class: u8| {
        let mut frame = wire::tenant_frame(BROADCAST, mac(1), number);
        frame[15] = class;
        outer(&lab.send("up", from_in('6', 0, &frame))[0].1).label
    };
    let labels: std::collections::HashSet<u32> = (0..200).map(|number| label(number, 0)).collect();
    assert!(labels.len() > 190, "{} labels for 200 flows", labels.len());
    assert_eq!(label(7, 0), label(7, EF), "the DSCP makes no flow");
}

/// The checksum field of the UDP header behind an outer IP header, and whether it is right.
fn udp_checksum(sent: &[u8]) -> (u16, bool) {
    let ip = &sent[14..];
    let (addresses, at) = if ip[0] >> 4 == 4 { (&ip[12..20], 20) } else { (&ip[8..40], 40) };
    let udp = &ip[at..];
    let pseudo = [addresses, &[0, 17], &(udp.len() as u16).to_be_bytes()].concat();
    (u16::from_be_bytes([udp[6], udp[7]]), wire::sum(&[&pseudo, udp]) == 0)
}

#[test]
fn udp_checksums_are_sent_as_the_peer_is_told() {
    // RFC 768, RFC 7348 §4.1.1; RFC 6935 §5: over IPv6 zero only where it is asked for.
    let attachments = "      in: { peer: in, vni: 100 }\n      out: { peer: out, vni: 7 }";
    for (family, rule, is_sent) in [
        ('4', "", false),
        ('4', ", udp_checksum: { tx: auto }", false),
        ('4', ", udp_checksum: { tx: zero }", false),
        ('4', ", udp_checksum: { tx: compute }", true),
        ('6', "", true),
        ('6', ", udp_checksum: { tx: auto }", true),
        ('6', ", udp_checksum: { tx: zero }", false),
        ('6', ", udp_checksum: { tx: compute }", true),
    ] {
        let mut lab = gateway(family, &format!("encap: vxlan{rule}"), attachments);
        for number in 0..20 {
            let frame = [wire::tenant_frame(BROADCAST, mac(1), number), vec![7; usize::from(number)]].concat();
            let sent = lab.send("up", from_in(family, 0, &frame));
            let (field, is_right) = udp_checksum(&sent[0].1);
            assert_eq!((field != 0, is_right), (is_sent, is_sent), "IPv{family}{rule}");
        }
    }
}

/// A packet from `out` as a VXLAN peer, with this UDP checksum; `None` for a right one.
fn vxlan_from_out(family: char, checksum: Option<u16>) -> Vec<u8> {
    let frame = wire::tenant_frame(BROADCAST, mac(1), 0);
    let mut packet = wire::outer((UP, HOP), ends(family, 99), 0, 17, &wire::udp(50_000, 4789, &wire::vxlan(7, &frame)));
    let at = if family == '4' { 34 } else { 54 };
    let addresses = if family == '4' { packet[26..34].to_vec() } else { packet[22..54].to_vec() };
    let len = ((packet.len() - at) as u16).to_be_bytes();
    let right = wire::sum(&[&[&addresses[..], &[0, 17], &len].concat(), &packet[at..]]);
    packet[at + 6..at + 8].copy_from_slice(&checksum.unwrap_or(right).to_be_bytes());
    packet
}

#[test]
fn udp_checksums_are_taken_as_the_peer_is_told() {
    // RFC 6936 §5: zero over IPv6 is the peer's choice; what is there is verified everywhere.
    let attachments = "      in: { peer: in, vni: 100 }\n      out: { peer: out, vni: 7 }";
    for (family, rule, zero) in [
        ('4', "", None),
        ('6', "", None),
        ('6', ", udp_checksum: { rx_zero: accept }", None),
        ('6', ", udp_checksum: { rx_zero: drop }", Some("udp_zero_checksum")),
    ] {
        let mut lab = gateway(family, &format!("encap: vxlan{rule}"), attachments);
        match zero {
            None => assert_eq!(lab.send("up", vxlan_from_out(family, Some(0))).len(), 1, "IPv{family}{rule}"),
            Some(label) => assert_eq!(lab.dropped_for("up", vxlan_from_out(family, Some(0))), label),
        }
        assert_eq!(lab.send("up", vxlan_from_out(family, None)).len(), 1);
        for wrong in [1, 0x1234, 0xfffe] {
            assert_eq!(lab.dropped_for("up", vxlan_from_out(family, Some(wrong))), "udp_checksum");
        }
    }
}

#[test]
fn gre_checksums_are_sent_where_asked_for_and_verified_wherever_they_are() {
    // RFC 2784 §2.1.
    for (encap, is_sent) in [("gre", false), ("{ gre: { checksum: true } }", true)] {
        let mut lab = gateway('4', &format!("encap: {encap}"), PLAIN);
        let sent = outer(&lab.send("up", from_in('4', 0, &tenant(IPV4, 0)))[0].1).payload;
        assert_eq!(sent[0] & 0x80 != 0, is_sent);
        assert!(!is_sent || wire::sum(&[&sent]) == 0);
        let mut header = vec![0xa0, 0, 0x65, 0x58, 0, 0, 0, 0, 0, 0, 0, 7];
        header.extend(wire::tenant_frame(BROADCAST, mac(3), 0));
        let sum = wire::sum(&[&header]);
        for (sum, label) in [(sum, None), (sum ^ 0x100, Some("gre_checksum"))] {
            header[4..6].copy_from_slice(&sum.to_be_bytes());
            let packet = wire::outer((UP, HOP), ends('4', 99), 0, 47, &header);
            match label {
                None => assert_eq!(lab.send("up", packet).len(), 1),
                Some(label) => assert_eq!(lab.dropped_for("up", packet), label),
            }
        }
    }
}

#[test]
fn gre_sequence_numbers_count_per_tenant_and_older_ones_are_dropped() {
    // RFC 2890 §2.2.
    let attachments = format!(
        "{PLAIN}\n  red:\n    attachments:\n      in: {{ peer: in, vni: 101 }}\n      out: {{ peer: out, key: 8 }}"
    );
    let mut lab = gateway('4', "encap: { gre: { sequence: true } }", &attachments);
    let mut sent = |vni| {
        let frame = wire::tenant_frame(BROADCAST, mac(1), 0);
        let packet = wire::udp(50_000, 4789, &wire::vxlan(vni, &frame));
        let sent = lab.send("up", wire::outer((UP, HOP), ends('4', 9), 0, 17, &packet));
        let header = outer(&sent[0].1).payload;
        assert_eq!(header[0], 0x30);
        u32::from_be_bytes(header[8..12].try_into().unwrap())
    };
    assert_eq!([sent(100), sent(100), sent(101), sent(100)], [0, 1, 0, 2]);
    let arriving = |number: u8| {
        let header =
            [&[0x30, 0, 0x65, 0x58, 0, 0, 0, 7, 0, 0, 0, number], &wire::tenant_frame(BROADCAST, mac(3), 0)[..]];
        wire::outer((UP, HOP), ends('4', 99), 0, 47, &header.concat())
    };
    assert_eq!(lab.send("up", arriving(5)).len(), 1);
    assert_eq!(lab.dropped_for("up", arriving(5)), "gre_out_of_order");
    assert_eq!(lab.dropped_for("up", arriving(4)), "gre_out_of_order");
    assert_eq!(lab.send("up", arriving(6)).len(), 1);
}

#[test]
fn outer_fragments_are_dropped_by_a_name_that_points_at_the_mtu() {
    // RFC 7348 §4.3, RFC 7637 §3.2.
    let mut lab = gateway('4', "encap: gre", PLAIN);
    for bits in [0x2000_u16, 0x0001, 0x1fff, 0x2010] {
        let mut packet = from_in('4', 0, &tenant(IPV4, 0));
        packet[20..22].copy_from_slice(&bits.to_be_bytes());
        packet[24..26].fill(0);
        let sum = wire::sum(&[&packet[14..34]]).to_be_bytes();
        packet[24..26].copy_from_slice(&sum);
        assert_eq!(lab.dropped_for("up", packet), "outer_fragment", "{bits:#06x}");
    }
    let mut lab = gateway('6', "encap: gre", PLAIN);
    for (offset, more) in [(0, 1), (1, 0), (100, 1)] {
        let udp = wire::udp(50_000, 4789, &wire::vxlan(100, &tenant(IPV4, 0)));
        let fragment =
            [&[17, 0], &(offset << 3 | u16::try_from(more).unwrap()).to_be_bytes()[..], &[0, 0, 0, 9], &udp].concat();
        assert_eq!(lab.dropped_for("up", wire::outer((UP, HOP), ends('6', 9), 0, 44, &fragment)), "outer_fragment");
    }
    let (reason, _) = lab.gateway.drops().next().unwrap();
    assert!(reason.info().meaning.contains("MTU"), "{}", reason.info().meaning);
}

/// A gateway whose `out` attachment, an untagged-by-default GRE one, has this rule.
fn with_rule(rule: &str) -> Lab {
    let rule = if rule.is_empty() { String::new() } else { format!(", inner_tags: {rule}") };
    gateway('4', "encap: gre", &format!("      in: {{ peer: in, vni: 100 }}\n      out: {{ peer: out, key: 7{rule} }}"))
}

#[test]
fn tags_inside_are_kept_stripped_or_refused_on_the_way_out_as_the_attachment_says() {
    // RFC 7348 §6.1 leaves it to configuration; GRE and VXLAN keep unless told.
    for tags in 0..3 {
        let plain = tenant(IPV4, EF);
        let frame = tagged(&plain, tags);
        for (rule, expected) in [
            ("", Some(&frame)),
            ("keep", Some(&frame)),
            ("strip", Some(&plain)),
            ("drop", (tags == 0).then_some(&frame)),
        ] {
            let mut lab = with_rule(rule);
            let packet = from_in('4', 0, &frame);
            match expected {
                Some(expected) => {
                    assert_eq!(outer(&lab.send("up", packet)[0].1).payload[8..], expected[..], "{rule}, {tags} tags");
                }
                None => assert_eq!(lab.dropped_for("up", packet), "inner_tags"),
            }
        }
    }
}

#[test]
fn tags_inside_are_kept_stripped_or_refused_on_the_way_in_as_the_attachment_says() {
    for tags in 0..3 {
        let plain = tenant(IPV6, EF);
        let frame = tagged(&plain, tags);
        for (rule, expected) in [
            ("", Some(&frame)),
            ("keep", Some(&frame)),
            ("strip", Some(&plain)),
            ("drop", (tags == 0).then_some(&frame)),
        ] {
            let mut lab = with_rule(rule);
            let packet = from_out('4', 0, &frame);
            if let Some(expected) = expected {
                // Behind outer Ethernet, IPv4, UDP and VXLAN.
                assert_eq!(lab.send("up", packet)[0].1[50..], expected[..], "{rule}, {tags} tags");
            } else {
                assert_eq!(lab.dropped_for("up", packet), "inner_tags");
                assert!(lab.fdb().is_empty(), "what is refused teaches nothing");
            }
        }
    }
}

#[test]
fn marks_are_brought_inward_behind_tags_that_are_then_stripped() {
    let mut lab = with_rule("strip");
    let sent = lab.send("up", from_out('4', CE, &tagged(&tenant(IPV4, EF | ECT_0), 2)));
    assert_eq!(sent[0].1[50..], tenant(IPV4, EF | CE));
    assert_eq!(outer(&sent[0].1).class, CE);
}
