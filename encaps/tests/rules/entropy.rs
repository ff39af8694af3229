//! The hash of a tenant's flow: what is read for it, and that its values are for ever.

use std::collections::BTreeSet;

use transload_encaps::flow;

use crate::inner::{behind, extension, in_session, label, labelled};
use crate::packet::{ethernet, ipv4, ipv6, seal};
use crate::tagged;

const TCP: u8 = 6;
const FLOWS: u16 = 256;

/// The frame of a flow.
type Flow<'f> = &'f dyn Fn(u16) -> Vec<u8>;

/// The ports of a flow, and sixteen bytes more.
fn segment(flow: u16) -> Vec<u8> {
    let [p1, p2] = (1000 + flow).to_be_bytes();
    [&[p1, p2, 0, 80][..], &[0; 16]].concat()
}

fn v4(flow: u16) -> Vec<u8> {
    ipv4(TCP, &[], &segment(flow))
}

fn v6(flow: u16) -> Vec<u8> {
    ipv6(TCP, &segment(flow))
}

/// How many of 64 buckets these flows fill, by the bits that become the UDP source port.
fn buckets(frame: Flow<'_>) -> usize {
    (0..FLOWS).map(|flow| flow::hash(&frame(flow)) & 63).collect::<BTreeSet<_>>().len()
}

#[test]
fn flows_of_every_kind_spread() {
    let with_label = |flow: u16| 100 + u32::from(flow);
    let rows: [(&str, Flow<'_>); 16] = [
        ("IPv4", &|flow| ethernet(0x0800, &v4(flow))),
        ("IPv4 with options", &|flow| ethernet(0x0800, &ipv4(TCP, &[1; 8], &segment(flow)))),
        ("IPv6", &|flow| ethernet(0x86dd, &v6(flow))),
        ("hop-by-hop options", &|flow| behind(&[(0, 8)], &segment(flow))),
        ("destination options behind tags", &|flow| {
            tagged(&behind(&[(60, 16)], &segment(flow)), &[(0x88a8, 5), (0x8100, 6)])
        }),
        ("a routing and an authentication header", &|flow| behind(&[(43, 24), (51, 24)], &segment(flow))),
        ("labels", &|flow| labelled(&[with_label(flow)], &[])),
        ("the upper of two labels", &|flow| labelled(&[with_label(flow), 100], &[])),
        ("IPv4 behind a label", &|flow| labelled(&[100], &v4(flow))),
        ("IPv6 behind two labels", &|flow| labelled(&[100, 200], &v6(flow))),
        ("a pseudowire's flow label", &|flow| labelled(&[100, 200, with_label(flow)], &[0; 60])),
        ("an entropy label", &|flow| labelled(&[100, 7, with_label(flow), 200], &[0; 60])),
        ("sessions", &|flow| in_session(flow, &[0xc0, 0x21], &[9, 1, 0, 8])),
        ("IPv4 in a session", &|flow| in_session(7, &[0, 0x21], &v4(flow))),
        ("IPv6 in a session", &|flow| in_session(7, &[0, 0x57], &v6(flow))),
        ("MAC addresses", &|flow| {
            let mut bytes = ethernet(0x88b5, &[0; 46]);
            bytes[10..12].copy_from_slice(&flow.to_be_bytes());
            bytes
        }),
    ];
    for (kind, frame) in rows {
        // Thrown at random, 256 flows leave one of 64 buckets empty, and hardly ever six.
        assert!(buckets(frame) > 58, "{kind}: {} buckets", buckets(frame));
    }
}

#[test]
fn an_entropy_label_is_enough() {
    // RFC 6790 §4.3: the router that pushed it knew the flow.
    let hash = |labels: &[u32], flow| flow::hash(&labelled(labels, &v4(flow)));
    assert_eq!(hash(&[100, 7, 4711, 200], 1), hash(&[100, 7, 4711, 200], 2));
    assert_ne!(hash(&[100, 7, 4711, 200], 1), hash(&[100, 7, 4712, 200], 1));
}

#[test]
fn what_routers_change_on_the_way_does_not_count() {
    let plain = labelled(&[100, 200], &v4(1));
    let mut changed = plain.clone();
    // The top label's TTL and traffic class, and the packet's TTL.
    (changed[16], changed[17], changed[22 + 8]) = (changed[16] | 0x0e, 63, 63);
    seal(&mut changed[22..42]);
    assert_eq!(flow::hash(&changed), flow::hash(&plain));
}

#[test]
fn special_labels_do_not_count() {
    // RFC 6790 §4.3: explicit null, router alert; RFC 7274 §3.1: what follows label 15.
    let plain = flow::hash(&labelled(&[100], &v4(1)));
    for labels in [&[100, 0][..], &[1, 100], &[2, 100], &[15, 4711, 100]] {
        assert_eq!(flow::hash(&labelled(labels, &v4(1))), plain, "{labels:?}");
    }
    assert_ne!(flow::hash(&labelled(&[101], &v4(1))), plain);
}

#[test]
fn a_flow_inside_a_pseudowire_stays_together() {
    // Without a control word, to a MAC address that begins like an IP packet; the identification differs from frame to
    // frame, where an address would be.
    for first in [0x45, 0x60] {
        let frame = |id: u8| {
            let mut inside = ethernet(0x0800, &ipv4(TCP, &[], &[0; 60]));
            (inside[0], inside[14 + 5]) = (first, id);
            seal(&mut inside[14..34]);
            labelled(&[100, 200], &inside)
        };
        let hashes: BTreeSet<_> = (0..=255).map(|id| flow::hash(&frame(id))).collect();
        assert_eq!(hashes.len(), 1, "{first:#x}");
    }
}

/// An IPv6 fragment header before what is of type `next`.
fn fragment(next: u8, offset: u16) -> Vec<u8> {
    let [o1, o2] = (offset << 3 | u16::from(offset == 0)).to_be_bytes();
    vec![next, 0, o1, o2, 0, 0, 0, 1]
}

#[test]
fn all_fragments_of_a_datagram_hash_alike() {
    let v4 = |offset: u16, flow| {
        let mut packet = v4(flow);
        let flags = if offset == 0 { 0x2000 } else { offset };
        packet[6..8].copy_from_slice(&flags.to_be_bytes());
        seal(&mut packet);
        packet
    };
    let v6 = |offset, flow| ipv6(44, &[fragment(TCP, offset), segment(flow)].concat());
    // Destination options for the last receiver are part of what is fragmented: only the first shows what is behind.
    let first = ipv6(44, &[fragment(60, 0), extension(60, TCP, 8), segment(1)].concat());
    let pairs = [
        [ethernet(0x0800, &v4(0, 1)), ethernet(0x0800, &v4(9, 2))],
        [ethernet(0x86dd, &v6(0, 1)), ethernet(0x86dd, &v6(9, 2))],
        [ethernet(0x86dd, &first), ethernet(0x86dd, &ipv6(44, &[fragment(60, 9), segment(2)].concat()))],
        [labelled(&[100], &v4(0, 1)), labelled(&[100], &v4(9, 2))],
        [in_session(7, &[0, 0x57], &v6(0, 1)), in_session(7, &[0, 0x57], &v6(9, 2))],
    ];
    for [first, later] in pairs {
        assert_eq!(flow::hash(&first), flow::hash(&later));
    }
}

#[test]
fn a_frame_cut_anywhere_has_a_hash() {
    let frames = [
        behind(&[(0, 8), (43, 24), (51, 24)], &segment(1)),
        labelled(&[100, 7, 4711], &v4(1)),
        ethernet(0x8847, &[label(100, false), label(100, true)].concat()),
        in_session(7, &[0, 0x21], &v4(1)),
    ];
    for whole in frames {
        for len in 0..whole.len() {
            assert_eq!(flow::hash(&whole[..len]) == 0, len < 14, "{len} bytes");
        }
    }
}

#[test]
fn the_hash_of_every_kind_is_the_same_in_every_release() {
    let pinned = [
        ("IPv4", ethernet(0x0800, &v4(1)), 15_840_487),
        (
            "UDP over IPv4, tagged",
            tagged(&ethernet(0x0800, &ipv4(17, &[], &segment(1))), &[(0x8100, 7)]),
            1_295_705_602,
        ),
        ("IPv4 with options", ethernet(0x0800, &ipv4(TCP, &[1; 8], &segment(1))), 15_840_487),
        ("ICMP", ethernet(0x0800, &ipv4(1, &[], &segment(1))), 1_463_445_019),
        ("SCTP", ethernet(0x86dd, &ipv6(132, &segment(1))), 1_681_607_558),
        ("IPv6", ethernet(0x86dd, &v6(1)), 2_363_471_173),
        ("ICMPv6", ethernet(0x86dd, &ipv6(58, &segment(1))), 573_403_512),
        ("an IPv6 fragment", ethernet(0x86dd, &ipv6(44, &[fragment(TCP, 9), segment(1)].concat())), 4_088_840_091),
        ("ARP", ethernet(0x0806, &[0; 28]), 4_000_677_683),
        ("destination options", behind(&[(60, 8)], &segment(1)), 2_363_471_173),
        ("IPv4 behind labels", labelled(&[100, 200], &v4(1)), 1_470_846_135),
        ("an entropy label", labelled(&[100, 7, 4711], &v4(1)), 2_021_919_305),
        ("IPv6 in a session", in_session(7, &[0, 0x57], &v6(1)), 3_949_117_366),
    ];
    for (kind, bytes, hash) in pinned {
        assert_eq!(flow::hash(&bytes), hash, "{kind}");
    }
}
