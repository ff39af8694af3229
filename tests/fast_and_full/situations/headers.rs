//! Tunnel headers and tags: what the encapsulations accept, and what they say instead.

use super::{Situation, situation};
use crate::common::wire::{self, mac};
use crate::places::{IP, ROUTER, UDP, VXLAN, Wire, at, edit, full_gre, host, packet, say, spoil};

/// A frame from the host of a place to that of `both`.
fn frame(from: &str) -> Vec<u8> {
    wire::tenant_frame(host("both"), host(from), 1)
}

/// What GRE carries from the peer at an address.
fn gre(from: &str, header: &[u8], frame: &[u8]) -> Wire {
    packet(from, if from.contains(':') { "2001:db8::1" } else { "192.0.2.1" }, 0, 47, &[header, frame].concat())
}

fn tagged(tags: &[(u16, u16)]) -> Wire {
    let frame = wire::tenant_frame(host("vxlan4"), host("both"), 1);
    ("access", tags.iter().rev().fold(frame, |frame, &(tpid, tci)| wire::tag(&frame, tpid, tci)).into())
}

pub(super) const TABLE: &[Situation] = &[
    situation("VXLAN: reserved bits are set", "3 sent", |_, n| {
        let bits = [(0, 0x80), (1, 0xff), (2, 1), (3, 3), (7, 1)][usize::from(n) % 5];
        vec![
            say("vxlan4", "both", 1),
            spoil(say("vxlan4", "both", 1), |bytes| bytes[VXLAN + bits.0] |= bits.1),
            say("vxlan4", "both", 1),
        ]
    }),
    situation(
        "VXLAN: reserved bits are set, and the peer is taken strictly",
        "2 sent, 1 vxlan_reserved_bits",
        |_, n| {
            let bits = [(0, 0x80), (1, 0xff), (2, 1), (3, 3), (7, 1)][usize::from(n) % 5];
            vec![
                say("strict4", "both", 1),
                spoil(say("strict4", "both", 1), |bytes| bytes[VXLAN + bits.0] |= bits.1),
                say("strict4", "both", 1),
            ]
        },
    ),
    situation("VXLAN: the I flag is clear", "0 sent, 1 vxlan_vni_flag_clear", |_, n| {
        vec![spoil(say("vxlan4", "both", 1), |bytes| bytes[VXLAN] = n << 4 & 0xf0)]
    }),
    situation("VXLAN: an ID that nobody has, between two that somebody has", "2 sent, 1 unknown_segment", |_, n| {
        vec![
            say("vxlan4", "both", 1),
            spoil(say("vxlan4", "both", 1), |bytes| bytes[VXLAN + 4] = 0x40 | n),
            say("vxlan4", "both", 1),
        ]
    }),
    situation("NVGRE: any FlowID", "4 sent", |_, n| {
        (0..4).map(|flow| spoil(say("nvgre4", "both", 1), |bytes| bytes[UDP + 7] = n ^ flow)).collect()
    }),
    situation("NVGRE: an ID that nobody has", "0 sent, 1 unknown_segment", |_, n| {
        vec![spoil(say("nvgre4", "both", 1), |bytes| bytes[UDP + 4] = 0x40 | n)]
    }),
    situation("NVGRE: no key", "0 sent, 1 nvgre_bad_flags", |_, _| {
        vec![gre("192.0.2.77", &[0, 0, 0x65, 0x58], &frame("nvgre4"))]
    }),
    situation("NVGRE: a sequence number", "0 sent, 1 nvgre_bad_flags", |_, _| {
        vec![gre("192.0.2.77", &[0x30, 0, 0x65, 0x58, 0, 0x13, 0x88, 0, 0, 0, 0, 1], &frame("nvgre4"))]
    }),
    situation("NVGRE: reserved bits are set", "1 sent", |_, _| {
        vec![spoil(say("nvgre4", "both", 1), |bytes| bytes[UDP + 1] |= 0x10)]
    }),
    situation("NVGRE: it carries something else", "0 sent, 1 unknown_payload", |_, _| {
        vec![spoil(say("nvgre6", "both", 1), |bytes| bytes[IP + 40 + 2] = 8)]
    }),
    situation("NVGRE: a tag inside", "2 sent, 1 nvgre_inner_tag", |_, _| {
        vec![say("nvgre4", "both", 1), at("nvgre4", &wire::tag(&frame("nvgre4"), 0x8100, 9)), say("nvgre4", "both", 1)]
    }),
    situation("GRE: with the key and without, in turn", "4 sent", |_, n| {
        ["gre4", "bare4", "gre4", "bare4"].map(|from| say(from, "both", n)).into()
    }),
    situation("GRE: a key that nobody has", "0 sent, 1 unknown_segment", |_, n| {
        vec![spoil(say("gre4", "both", 1), |bytes| bytes[UDP + 5] = 0x10 | n)]
    }),
    situation("GRE: key 0 is not no key", "0 sent, 1 unknown_segment", |_, _| {
        vec![gre("192.0.2.99", &[0x20, 0, 0x65, 0x58, 0, 0, 0, 0], &frame("gre4"))]
    }),
    situation("GRE: checksum, key and sequence number from a peer that need not send them", "3 sent", |_, n| {
        vec![
            say("gre4", "both", 1),
            gre("192.0.2.99", &full_gre(7, n.into(), &frame("gre4")), &[]),
            say("gre4", "both", 1),
        ]
    }),
    situation("GRE: a wrong checksum", "0 sent, 1 gre_checksum", |_, n| {
        vec![spoil(say("full4", "both", n), |bytes| bytes[UDP + 4] ^= 0x55)]
    }),
    situation("GRE: sequence numbers in order", "4 sent", |_, n| {
        (0..4).map(|next| gre("192.0.2.98", &full_gre(9, u32::from(n) * 4 + next, &frame("full4")), &[])).collect()
    }),
    situation("GRE: sequence numbers out of order", "3 sent, 2 gre_out_of_order", |_, n| {
        [7_u32, 8, 7, 9, 3]
            .map(|next| gre("192.0.2.98", &full_gre(9, u32::from(n) * 8 + next, &frame("full4")), &[]))
            .into()
    }),
    situation(
        "GRE: a version, routing bits, another payload, reserved bits",
        "1 sent, 1 gre_routing_bits, 1 gre_version, 1 unknown_payload",
        |_, _| {
            vec![
                spoil(say("gre4", "both", 1), |bytes| bytes[UDP + 1] = 1),
                spoil(say("gre4", "both", 1), |bytes| bytes[UDP] |= 0x40),
                spoil(say("gre4", "both", 1), |bytes| bytes[UDP + 2] = 8),
                spoil(say("gre4", "both", 1), |bytes| bytes[UDP + 1] |= 0x10),
            ]
        },
    ),
    situation("a peer of one encapsulation speaks another", "0 sent, 2 unknown_peer", |_, _| {
        vec![
            packet("192.0.2.9", "192.0.2.1", 0, 47, &wire::gre(Some(7), &frame("vxlan4"))),
            packet("192.0.2.99", "192.0.2.1", 0, 17, &wire::udp(9, 4789, &wire::vxlan(100, &frame("gre4")))),
        ]
    }),
    situation("tags of every shape in turn", "6 sent", |_, n| {
        ["both", "outer", "single", "none", "both", "outer"].map(|from| say(from, "vxlan4", n)).into()
    }),
    situation("tags of every shape on the port of an endpoint, and its tunnel packets", "6 sent", |_, n| {
        ["mixed-c", "inside4", "mixed-s", "inside4", "mixed-c", "inside4"].map(|from| say(from, "vxlan4", n)).into()
    }),
    situation("untagged on a port that has tunnels and tags", "1 sent, 1 unclaimed_tags", |_, n| {
        vec![
            ("mixed", wire::tenant_frame(host("vxlan4"), host("mixed-c"), n.into()).into()),
            say("inside4", "vxlan4", n),
        ]
    }),
    situation("tags that nobody has", "0 sent, 1 qinq_tag_shape, 3 unclaimed_tags", |_, n| {
        vec![
            tagged(&[(0x88a8, 100), (0x8100, 8 + u16::from(n))]),
            tagged(&[(0x88a8, 100)]),
            tagged(&[(0x8100, 310)]),
            tagged(&[(0x8100, 300), (0x8100, 7)]),
        ]
    }),
    situation("tags behind those of the tenant", "2 sent", |_, n| {
        vec![tagged(&[(0x88a8, 200), (0x8100, 9)]), tagged(&[(0x88a8, 100), (0x8100, 7), (0x8100, n.into())])]
    }),
    situation("the other TPID of the port, and one that is none of its", "1 sent, 1 qinq_wrong_tpid", |_, _| {
        vec![tagged(&[(0x9100, 100), (0x8100, 7)]), tagged(&[(0x9200, 100), (0x8100, 7)])]
    }),
    situation("a tag that carries a priority only", "2 sent", |_, n| {
        vec![tagged(&[(0x8100, u16::from(n) << 13)]), tagged(&[(0x88a8, u16::from(n) << 13)])]
    }),
    situation("a VLAN ID that is reserved", "0 sent, 3 qinq_reserved_vid", |_, _| {
        vec![tagged(&[(0x88a8, 4095)]), tagged(&[(0x8100, 4095)]), tagged(&[(0x88a8, 100), (0x8100, 4095)])]
    }),
    situation("priorities of tags, to tags and to a tunnel", "3 sent", |_, n| {
        let tci = |vid: u16| vid | u16::from(n) << 12;
        let to = |place: &str| wire::tenant_frame(host(place), host("both"), 1);
        let behind = |frame: &[u8]| wire::tag(&wire::tag(frame, 0x8100, tci(7) ^ 0xf000), 0x88a8, tci(100));
        vec![
            ("access", behind(&to("outer")).into()),
            ("access", behind(&to("gre4")).into()),
            ("access", behind(&to("thin")).into()),
        ]
    }),
    situation("two tags that are cut short", "0 sent, 1 truncated", |_, n| {
        vec![spoil(tagged(&[(0x88a8, 100), (0x8100, 7)]), |bytes| bytes.truncate(12 + usize::from(n) % 12))]
    }),
    situation("the tunnel carries too little for a frame", "0 sent, 4 inner_truncated", |_, n| {
        let few = vec![2; usize::from(n) % 14];
        vec![at("vxlan4", &few), at("gre4", &few), at("nvgre6", &few), at("vxlan6", &few)]
    }),
    situation("the tunnel carries a frame of addresses and type alone", "3 sent", |_, _| {
        vec![
            at("vxlan4", &frame("vxlan4")[..14]),
            at("gre4", &frame("gre4")[..14]),
            ("access", wire::tag(&frame("single")[..14], 0x8100, 300).into()),
        ]
    }),
    situation("a tunnel packet behind the tags of a tenant is the tenant's", "1 sent", |_, n| {
        let (_, forged) = say("vxlan4", "both", n);
        let ip = wire::ethernet(host("vxlan4"), host("single"), wire::IPV4, &forged.bytes[IP..]);
        vec![("access", wire::tag(&ip, 0x8100, 300).into())]
    }),
    situation(
        "ARP, LLDP and neighbour discovery of the underlay",
        "0 sent, 1 not_for_us, 3 underlay_control",
        |_, n| {
            let mut solicitation = vec![0x60, 0, 0, 0, 0, 24, 58, 255];
            solicitation.resize(64, n);
            [(0x0806, vec![n; 46]), (0x88cc, vec![n; 46]), (0x86dd, solicitation), (0x88b5, vec![n; 46])]
                .map(|(kind, payload)| ("up", wire::ethernet([0xff; 6], ROUTER, kind, &payload).into()))
                .into()
        },
    ),
    situation("from our own address", "0 sent, 1 own_packet", |_, n| {
        vec![packet("192.0.2.1", "192.0.2.1", 0, 17, &wire::udp(n.into(), 4789, &wire::vxlan(100, &frame("vxlan4"))))]
    }),
    situation("a sender that a group may learn", "3 sent", |_, n| {
        let from = format!("198.51.100.{}", n % 4);
        let frame = wire::tenant_frame(host("both"), mac(0xd0 | (n & 3)), 1);
        vec![packet(&from, "192.0.2.1", 0, 17, &wire::udp(9, 4789, &wire::vxlan(100, &frame))); 3]
    }),
    situation("senders that a group may learn, among members that it has", "6 sent", |_, n| {
        let strange = |last: u8| {
            let frame = wire::tenant_frame(host("both"), mac(0xd0 | (last & 3)), n.into());
            packet(
                &format!("198.51.100.{}", last % 4),
                "192.0.2.1",
                0,
                17,
                &wire::udp(9, 4789, &wire::vxlan(100, &frame)),
            )
        };
        vec![
            say("mesh-20", "both", n),
            strange(n),
            strange(n.wrapping_add(1)),
            say("mesh-20", "both", n),
            strange(n.wrapping_add(2)),
            say("both", "mesh-20", n),
        ]
    }),
    situation("to hosts behind learned members", "156 sent", |_, n| {
        (0..4).map(|last| at("both", &wire::tenant_frame(mac(0xd0 | last), host("both"), n.into()))).collect()
    }),
    situation("a sender that a group may learn, with an ID that nobody has", "0 sent, 1 unknown_segment", |_, n| {
        let from = format!("198.51.100.{}", n % 4);
        vec![packet(&from, "192.0.2.1", 0, 17, &wire::udp(9, 4789, &wire::vxlan(999, &frame("vxlan4"))))]
    }),
    situation(
        "to the multicast group of a group, from its members and from others",
        "13 sent, 1 other_group",
        |_, n| {
            let cast = |from: &str, vni| {
                let (port, sent) =
                    packet(from, "192.0.2.1", 0, 17, &wire::udp(9, 4789, &wire::vxlan(vni, &frame("white-30"))));
                edit((port, sent), |bytes| {
                    bytes[..6].copy_from_slice(&[1, 0, 0x5e, 1, 1, 1]);
                    bytes[IP + 16..IP + 20].copy_from_slice(&[239, 1, 1, 1]);
                })
            };
            let stranger = format!("203.0.113.{}", n % 12);
            vec![
                cast("192.0.2.30", 500),
                say("white-30", "white-ce", n),
                cast("192.0.2.9", 100),
                cast(&stranger, 500),
                cast("192.0.2.31", 500),
            ]
        },
    ),
    situation(
        "to the multicast group by our MAC address, and to us by the group's",
        "0 sent, 2 not_our_mac",
        |_, n| {
            vec![
                edit(say("white-30", "white-ce", n), |bytes| {
                    bytes[IP + 16..IP + 20].copy_from_slice(&[239, 1, 1, 1]);
                }),
                edit(say("white-30", "white-ce", n), |bytes| bytes[..6].copy_from_slice(&[1, 0, 0x5e, 1, 1, 1])),
            ]
        },
    ),
];
