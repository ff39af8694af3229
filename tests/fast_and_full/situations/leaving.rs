//! What keeps frames from leaving, or makes them leave otherwise: room, links, next hops, mappings.

use transload_encaps::Checksum;

use super::{Situation, situation};
use crate::common::wire::{self, BROADCAST, IPV4, IPV6};
use crate::places::{Wire, at, host, known, packet, say, shout};

/// A frame with an IPv4 packet of so many bytes, with these flags.
fn big4(from: &str, to: &str, len: usize, flags: u8) -> Wire {
    let mut packet = wire::ipv4([10, 0, 0, 1].into(), [10, 0, 0, 2].into(), 0, 17, &vec![7; len - 20]);
    (packet[6], packet[10], packet[11]) = (flags, 0, 0);
    let sum = wire::sum(&[&packet[..20]]).to_be_bytes();
    packet[10..12].copy_from_slice(&sum);
    at(from, &wire::ethernet(host(to), host(from), IPV4, &packet))
}

fn big6(from: &str, to: &str, len: usize) -> Wire {
    let packet = wire::ipv6("fd00::1".parse().unwrap(), "fd00::2".parse().unwrap(), 0, 17, &vec![7; len - 40]);
    at(from, &wire::ethernet(host(to), host(from), IPV6, &packet))
}

/// A frame to a mapping, by the VNI of its `from` side.
fn leased(vni: u32, frame: &[u8]) -> Wire {
    packet("192.0.2.9", "192.0.2.1", 0, 17, &wire::udp(9, 4789, &wire::vxlan(vni, frame)))
}

fn handed_over(s_vid: u16, c_vid: u16, frame: &[u8]) -> Wire {
    ("trunk", wire::tag(&wire::tag(frame, 0x8100, c_vid), 0x88a8, s_vid).into())
}

/// A frame to the other mapping, by the key of its `from` side.
fn narrowed(key: u32, frame: &[u8]) -> Wire {
    packet("192.0.2.99", "192.0.2.1", 0, 47, &wire::gre(Some(key), frame))
}

fn frame(n: u8) -> Vec<u8> {
    wire::tenant_frame(host("gre4"), host("vxlan4"), n.into())
}

pub(super) const TABLE: &[Situation] = &[
    situation("too big for the underlay, with DF: the host is told", "1 sent, 1 too_big", |_, _| {
        vec![big4("both", "slim4", 1490, 0x40)]
    }),
    situation("too big for the underlay, without DF", "0 sent, 1 too_big_no_df", |_, _| {
        vec![big4("both", "slim4", 1490, 0)]
    }),
    situation("too big for the underlay, IPv6 over IPv6", "1 sent, 1 too_big", |_, _| {
        vec![big6("both", "slim6", 1490)]
    }),
    situation("too big for the underlay, and no IP", "0 sent, 1 too_big_not_ip", |_, n| {
        vec![at("both", &wire::ethernet(host("slim4"), host("both"), 0x88b5, &[n; 1490]))]
    }),
    situation("too big for the tags of a port", "2 sent, 2 too_big", |_, _| {
        vec![big4("vxlan4", "thin", 1397, 0x40), big4("vxlan4", "thin-c", 1401, 0x40)]
    }),
    situation("as big as it may be, and a byte more", "12 sent, 4 too_big", |_, _| {
        [("slim4", 1450), ("slim6", 1438), ("thin", 1396), ("thin-c", 1400)]
            .into_iter()
            .flat_map(|(to, most)| {
                [big4("vxlan4", to, most, 0x40), big4("vxlan4", to, most + 1, 0x40), big4("vxlan4", to, most, 0x40)]
            })
            .collect()
    }),
    situation("an answer between frames to the place that is answered", "5 sent, 2 too_big", |_, n| {
        vec![
            say("single", "both", n),
            big4("both", "slim4", 1490, 0x40),
            say("single", "both", n),
            big6("both", "slim4", 1490),
            say("single", "both", n),
        ]
    }),
    situation("an answer into a tunnel, between frames into it", "4 sent, 2 too_big", |_, n| {
        vec![
            say("gre4", "vxlan4", n),
            big4("vxlan4", "slim4", 1490, 0x40),
            say("gre4", "vxlan4", n),
            big6("vxlan4", "thin", 1490),
        ]
    }),
    situation("too big with a tag inside", "0 sent, 1 too_big_not_ip", |_, n| {
        vec![at("vxlan4", &wire::tag(&wire::ethernet(host("slim4"), host("vxlan4"), 0x88b5, &[n; 1447]), 0x8100, 4))]
    }),
    situation("too big for some of everybody", "35 sent, 4 too_big_not_ip", |_, n| {
        vec![at("gre4", &wire::ethernet(BROADCAST, host("gre4"), 0x88b5, &[n; 1490]))]
    }),
    situation("a jumbo frame on ports without an MTU", "4 sent", |_, n| {
        vec![
            say("vxlan4", "gre4", n),
            big4("vxlan4", "gre4", 9_000, 0x40),
            big6("vxlan4", "vxlan6", 9_000),
            say("vxlan4", "gre4", n),
        ]
    }),
    situation("more answers than may be given", "100 sent, 104 too_big", |_, _| {
        vec![big4("red-v", "red-slim", 1490, 0x40); 104]
    }),
    situation("to a port that may be down", "3 sent", |_, n| {
        vec![say("vxlan4", "gre4", n), say("vxlan4", "dead", n), say("vxlan4", "gre4", n)]
    }),
    situation("from a port that may be down", "1 sent", |_, n| vec![say("dead", "vxlan4", n)]),
    situation("to a peer that may have no next hop", "4 sent", |_, n| {
        vec![
            say("vxlan4", "gre4", n),
            say("vxlan4", "nobody4", n),
            say("vxlan4", "nobody4", n),
            say("vxlan4", "gre4", n),
        ]
    }),
    situation("next hops of equal cost", "8 sent", |_, n| {
        (0..8).map(|flow| say("vxlan4", "wide4", n.wrapping_mul(8) | flow)).collect()
    }),
    situation("next hops of equal cost over IPv6", "8 sent", |_, n| {
        (0..8).map(|flow| say("vxlan4", "wide6", n.wrapping_mul(8) | flow)).collect()
    }),
    situation("next hops of equal cost, among other places on the same port", "6 sent", |_, n| {
        ["wide4", "gre4", "wide4", "wide6", "nvgre4", "wide4"].map(|to| say("vxlan4", to, n)).into()
    }),
    situation("a UDP checksum to be sent, over either family", "5 sent", |_, n| {
        ["sum4", "vxlan6", "sum4", "zero6", "vxlan6"].map(|to| say("gre4", to, n)).into()
    }),
    situation("sequence numbers to be sent", "42 sent", |_, n| {
        vec![say("vxlan4", "full4", n), say("vxlan4", "full4", n), shout("vxlan4", n), say("vxlan4", "full4", n)]
    }),
    situation("to a tagged underlay", "3 sent", |_, n| {
        vec![say("vxlan4", "tagged4", n), say("vxlan4", "gre4", n), say("vxlan4", "tagged4", n)]
    }),
    situation("a mapping, there and back", "3 sent", |_, n| {
        vec![
            leased(0x10_0001 + u32::from(n), &frame(n)),
            handed_over(0x100, 1 + u16::from(n), &frame(n)),
            leased(0x10_1001, &frame(n)),
        ]
    }),
    situation("frames of a mapping among those of tenants", "4 sent", |_, n| {
        vec![
            say("vxlan4", "gre4", n),
            leased(0x10_0001, &frame(n)),
            leased(0x10_0001, &frame(n)),
            say("vxlan4", "gre4", n),
        ]
    }),
    situation("a hole of a mapping", "0 sent, 2 mapping_hole, 1 unclaimed_tags", |_, n| {
        vec![
            leased(0x10_0000 + 0x1000 * u32::from(n & 1), &frame(n)),
            leased(0x10_0fff, &frame(n)),
            handed_over(0x300, 7, &frame(n)),
        ]
    }),
    situation("a mapping, its frames tagged", "2 sent", |_, n| {
        vec![
            leased(0x10_0002, &wire::tag(&frame(n), 0x8100, 9)),
            handed_over(0x100, 2, &wire::tag(&frame(n), 0x8100, 9)),
        ]
    }),
    situation(
        "a mapping from GRE to a narrower path, and what is too big for it",
        "3 sent, 1 too_big, 1 too_big_no_df",
        |_, n| {
            let big = |len, flags| {
                let (_, sent) = big4("none", "gre4", len, flags);
                narrowed(0x5001, &sent.bytes)
            };
            vec![narrowed(0x5001, &frame(n)), big(1490, 0x40), big(1490, 0), narrowed(0x5002, &frame(n))]
        },
    ),
    situation("a mapping, and a checksum that is left to the device", "1 sent", |_, n| {
        vec![known(handed_over(0x100, 2, &frame(n)), |packet| {
            packet.checksum = Checksum::Partial { start: 42, offset: 6 };
        })]
    }),
    situation("to everybody by a multicast group", "7 sent", |_, n| {
        vec![shout("white-ce", n), say("white-ce", "white-30", n), shout("white-20", n)]
    }),
];
