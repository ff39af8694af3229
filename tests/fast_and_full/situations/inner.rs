//! What the tenants' frames hold, and what happens to it on the way.

use transload::io::memory::Packet;
use transload_encaps::{Checksum, Gso, GsoKind};

use super::{Situation, situation};
use crate::common::wire::{self, BROADCAST, IPV4, IPV6, mac};
use crate::places::{UDP, Wire, at, edit, host, known, marked, say, spoil};

/// A frame from the host of a place to that of another.
fn frame(from: &str, to: &str, ether_type: u16, payload: &[u8]) -> Vec<u8> {
    wire::ethernet(host(to), host(from), ether_type, payload)
}

fn v4(class: u8, protocol: u8, payload: &[u8]) -> Vec<u8> {
    wire::ipv4([10, 0, 0, 1].into(), [10, 0, 0, 2].into(), class, protocol, payload)
}

fn v6(class: u8, next: u8, payload: &[u8]) -> Vec<u8> {
    wire::ipv6("fd00::1".parse().unwrap(), "fd00::2".parse().unwrap(), class, next, payload)
}

/// A TCP segment without options, its checksum left out.
fn tcp(flow: u8, flags: u8, payload: usize) -> Vec<u8> {
    let mut segment = vec![0x90, flow, 0, 80, 1, 2, 3, 4, 5, 6, 7, 8, 0x50, flags, 0x20, 0, 0, 0, 0, 0];
    segment.resize(20 + payload, flow);
    segment
}

/// Payloads whose flows are told apart in different ways, or not at all.
fn kind(n: u8) -> (u16, Vec<u8>) {
    let with_options = || {
        let mut packet = v4(0, 6, &[&[1, 1, 1, 0][..], &tcp(n, 2, 10)].concat());
        packet[0] = 0x46;
        packet
    };
    let label = |last: u8| ((100 + u32::from(n)) << 12 | 0x40 | u32::from(last) << 8).to_be_bytes();
    match n % 14 {
        0 => (IPV4, with_options()),
        1 => (IPV4, fragment(&v4(0, 6, &tcp(n, 2, 10)), [0x20, 0])),
        2 => (IPV4, fragment(&v4(0, 6, &tcp(n, 2, 10)), [0, 9])),
        3 => (IPV6, v6(0, 6, &tcp(n, 2, 10))),
        4 => (IPV6, v6(0, 60, &[&[6, 0, 1, 4, 0, 0, 0, 0][..], &tcp(n, 2, 10)].concat())),
        5 => (IPV6, v6(0, 0, &[&[43, 0, 5, 2, 0, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0, 0][..], &tcp(n, 2, 10)].concat())),
        6 => (IPV6, v6(0, 44, &[&[6, 0, 0, 1, 0, 0, 0, n][..], &tcp(n, 2, 10)].concat())),
        7 => (0x8847, [&label(1)[..], &v4(0, 6, &tcp(n, 2, 10))].concat()),
        8 => (0x8847, [&label(0)[..], &label(1), &[0x55; 46]].concat()),
        9 => (0x8864, [&[0x11, 0, 0, 7, 0, 42, 0, 0x21][..], &v4(0, 6, &tcp(n, 2, 10))].concat()),
        10 => (46, vec![0x42; 46]),
        11 => (0x88b5, vec![n; 46]),
        12 => (IPV4, v4(0, 50, &[n; 30])),
        _ => (IPV4, v4(0, 17, &[n; 3])),
    }
}

fn fragment(packet: &[u8], field: [u8; 2]) -> Vec<u8> {
    let mut packet = packet.to_vec();
    packet[6..8].copy_from_slice(&field);
    packet
}

/// So much TCP in one frame, as a host leaves it to its device, from a place to another.
fn super_frame(from: &str, to: &str, size: u16, len: usize) -> Wire {
    unfinished(
        at(from, &frame(from, to, IPV4, &v4(0, 6, &tcp(1, 0x18, len)))),
        20 + len,
        16,
        Some(Gso { kind: GsoKind::Tcp4, size }),
    )
}

/// Leaves the checksum of the last `len` bytes, `offset` bytes into them, to the device.
fn unfinished(wire: Wire, len: usize, offset: u16, gso: Option<Gso>) -> Wire {
    known(wire, |packet| {
        packet.checksum = Checksum::Partial { start: (packet.bytes.len() - len) as u32, offset };
        packet.gso = gso;
    })
}

/// A TCP SYN with an MSS option, its checksum right.
fn syn(from: &str, to: &str, v6_inside: bool, mss: u16) -> Vec<u8> {
    let [high, low] = mss.to_be_bytes();
    let mut segment = tcp(1, 2, 0);
    segment[12] = 0x60;
    segment.extend([2, 4, high, low]);
    let mut packet = if v6_inside { v6(0, 6, &segment) } else { v4(0, 6, &segment) };
    let (at, addresses) = if v6_inside { (40, 8..40) } else { (20, 12..20) };
    let pseudo = [&packet[addresses], &[0, 6, 0, 24]].concat();
    let sum = wire::sum(&[&pseudo, &packet[at..]]).to_be_bytes();
    packet[at + 16..at + 18].copy_from_slice(&sum);
    frame(from, to, if v6_inside { IPV6 } else { IPV4 }, &packet)
}

/// A VLAN ID of this number, none of them 0.
fn vid(n: u8) -> u16 {
    0x100 | u16::from(n)
}

pub(super) const TABLE: &[Situation] = &[
    situation("one tag inside, from tunnel to tunnel", "1 sent", |_, n| {
        vec![at("vxlan4", &wire::tag(&wire::tenant_frame(host("gre4"), host("vxlan4"), 1), 0x8100, n.into()))]
    }),
    situation("tags inside, where they are stripped on the way in", "3 sent", |_, n| {
        (0..3)
            .map(|tags| {
                let frame = wire::tenant_frame(host("gre4"), host("strips4"), 1);
                at("strips4", &(0..tags).fold(frame, |frame, _| wire::tag(&frame, 0x8100, n.into())))
            })
            .collect()
    }),
    situation("tags inside, where they are stripped on the way out", "3 sent", |_, n| {
        (0..3)
            .map(|tags| {
                let frame = wire::tenant_frame(host("strips4"), host("gre4"), 1);
                at("gre4", &(0..tags).fold(frame, |frame, _| wire::tag(&frame, 0x8100, n.into())))
            })
            .collect()
    }),
    situation("tags inside, where they are refused on the way in", "1 sent, 1 inner_tags", |_, n| {
        (0..2)
            .map(|tags| {
                let frame = wire::tenant_frame(host("gre4"), host("drops4"), 1);
                at("drops4", &(0..tags).fold(frame, |frame, _| wire::tag(&frame, 0x88a8, vid(n))))
            })
            .collect()
    }),
    situation("tags inside, where they are refused on the way out", "2 sent, 3 inner_tags", |_, n| {
        [(0, "drops"), (1, "drops"), (0, "nvgre4"), (1, "nvgre4"), (1, "nvgre6")]
            .map(|(tags, to)| {
                let frame = wire::tenant_frame(host(to), host("vxlan4"), 1);
                at("vxlan4", &(0..tags).fold(frame, |frame, _| wire::tag(&frame, 0x8100, vid(n))))
            })
            .into()
    }),
    situation("a priority tag inside, where tags are refused on the way out", "5 sent", |_, n| {
        ["drops", "nvgre4", "nvgre6", "both", "vxlan6"]
            .map(|to| {
                let frame = wire::tenant_frame(host(to), host("gre4"), 1);
                at("gre4", &wire::tag(&frame, if n & 1 == 0 { 0x8100 } else { 0x88a8 }, u16::from(n) << 13))
            })
            .into()
    }),
    situation("two tags inside, the first a priority, where tags are refused", "0 sent, 2 inner_tags", |_, n| {
        ["nvgre4", "drops"]
            .map(|to| {
                let frame = wire::tag(&wire::tenant_frame(host(to), host("vxlan4"), 1), 0x8100, vid(n));
                at("vxlan4", &wire::tag(&frame, 0x8100, 0))
            })
            .into()
    }),
    situation("a tag inside in the middle of a run", "3 sent", |_, n| {
        vec![
            say("vxlan4", "strips", n),
            at("vxlan4", &wire::tag(&wire::tenant_frame(host("strips"), host("vxlan4"), 1), 0x8100, 4)),
            say("vxlan4", "strips", n),
        ]
    }),
    situation("a tagged frame to everybody", "33 sent, 6 inner_tags", |_, n| {
        vec![at("gre4", &wire::tag(&wire::tenant_frame(BROADCAST, host("gre4"), 1), 0x8100, vid(n)))]
    }),
    situation("nothing behind the tag inside", "1 sent, 1 inner_truncated", |_, _| {
        ["strips4", "vxlan4"]
            .map(|from| at(from, &wire::tag(&frame(from, "gre4", 0x8100, &[]), 0x8100, 1)[..16]))
            .into()
    }),
    situation("every kind of payload, over IPv4", "14 sent", |_, n| {
        (0..14)
            .map(|m| {
                let (kind, payload) = kind(n.wrapping_mul(14).wrapping_add(m));
                at("vxlan4", &frame("vxlan4", "sum4", kind, &payload))
            })
            .collect()
    }),
    situation("every kind of payload, over IPv6", "14 sent", |_, n| {
        (0..14)
            .map(|m| {
                let (kind, payload) = kind(n.wrapping_mul(14).wrapping_add(m));
                at("vxlan6", &frame("vxlan6", "zero6", kind, &payload))
            })
            .collect()
    }),
    situation("every kind of payload, to next hops of equal cost", "14 sent", |_, n| {
        (0..14)
            .map(|m| {
                let (kind, payload) = kind(n.wrapping_mul(14).wrapping_add(m));
                at("gre4", &frame("gre4", "wide4", kind, &payload))
            })
            .collect()
    }),
    situation("every kind of payload, to next hops of equal cost over IPv6", "14 sent", |_, n| {
        (0..14)
            .map(|m| {
                let (kind, payload) = kind(n.wrapping_mul(14).wrapping_add(m));
                at("gre6", &frame("gre6", "wide6", kind, &payload))
            })
            .collect()
    }),
    situation("payloads cut short anywhere", "14 sent", |_, n| {
        (0..14)
            .map(|m| {
                let (kind, payload) = kind(m);
                let frame = frame("vxlan4", "wide4", kind, &payload);
                at("vxlan4", &frame[..(14 + usize::from(n) % 60).min(frame.len())])
            })
            .collect()
    }),
    situation("congestion marks of every kind, outside and inside", "15 sent, 1 ecn_dropped", |_, _| {
        (0..4)
            .flat_map(|outer| {
                (0..4).map(move |inner| {
                    marked("vxlan4", outer, 1, &frame("vxlan4", "gre4", IPV4, &v4(inner, 17, &[5; 20])))
                })
            })
            .collect()
    }),
    situation("congestion marks over IPv6, and inside it", "15 sent, 1 ecn_dropped", |_, _| {
        (0..4)
            .flat_map(|outer| {
                (0..4).map(move |inner| {
                    marked("gre6", outer, 1, &frame("gre6", "vxlan6", IPV6, &v6(inner, 17, &[5; 20])))
                })
            })
            .collect()
    }),
    situation("congestion on what has no marks", "2 sent", |_, n| {
        vec![marked("vxlan4", 3, 1, &frame("vxlan4", "gre4", 0x88b5, &[n; 46])), say("vxlan4", "gre4", n)]
    }),
    situation("congestion marks behind tags inside", "1 sent", |_, n| {
        vec![marked("vxlan4", 3, 1, &wire::tag(&frame("vxlan4", "gre4", IPV4, &v4(2, 17, &[n; 20])), 0x8100, 5))]
    }),
    situation("DSCP outside", "3 sent", |_, n| {
        vec![
            say("vxlan4", "gre4", 1),
            marked("vxlan4", n << 2, 1, &wire::tenant_frame(host("gre4"), host("vxlan4"), 1)),
            say("vxlan4", "gre4", 1),
        ]
    }),
    situation("DSCP and marks inside, to a peer that copies the one and not the other", "4 sent", |_, n| {
        (0..4).map(|mark| at("vxlan4", &frame("vxlan4", "marks4", IPV4, &v4(n << 2 | mark, 17, &[5; 20])))).collect()
    }),
    situation("DSCP and marks inside IPv6, over IPv6", "4 sent", |_, n| {
        (0..4).map(|mark| at("vxlan4", &frame("vxlan4", "vxlan6", IPV6, &v6(n << 2 | mark, 17, &[5; 20])))).collect()
    }),
    situation("a checksum that a host has left to its device, to every kind of place", "10 sent", |_, n| {
        ["vxlan4", "sum4", "vxlan6", "zero6", "gre4", "full4", "nvgre6", "outer", "strips", "thin"]
            .map(|to| {
                unfinished(
                    at("both", &frame("both", to, IPV4, &v4(0, 17, &wire::udp(n.into(), 7, &[n; 40])))),
                    48,
                    6,
                    None,
                )
            })
            .into()
    }),
    situation("a checksum that is left to the device, in a frame to everybody", "39 sent", |_, n| {
        let frame = wire::ethernet(BROADCAST, host("both"), IPV4, &v4(0, 17, &wire::udp(n.into(), 7, &[n; 40])));
        vec![unfinished(at("both", &frame), 48, 6, None)]
    }),
    situation("a checksum that is left to the device, in a tunnel", "2 sent", |_, n| {
        vec![
            unfinished(
                at("vxlan4", &frame("vxlan4", "both", IPV4, &v4(0, 17, &wire::udp(n.into(), 7, &[n; 40])))),
                48,
                6,
                None,
            ),
            say("vxlan4", "both", n),
        ]
    }),
    situation("the outer checksum is what is left to the device", "2 sent", |_, n| {
        ["vxlan4", "vxlan6"]
            .map(|from| {
                known(say(from, "gre4", n), |packet| {
                    packet.checksum = Checksum::Partial { start: if from == "vxlan4" { 34 } else { 54 }, offset: 6 };
                })
            })
            .into()
    }),
    situation("a checksum beyond the end of the frame is left to the device", "1 sent", |_, n| {
        vec![known(say("both", "gre4", n), |packet| packet.checksum = Checksum::Partial { start: 5000, offset: 6 })]
    }),
    situation("super-frames to every kind of place", "60 sent", |_, n| {
        ["vxlan4", "sum4", "gre6", "slim4", "outer", "thin"]
            .map(|to| super_frame("both", to, 500 + u16::from(n), 5_000))
            .into()
    }),
    situation("a super-frame between frames to the same place", "6 sent", |_, n| {
        vec![say("both", "gre4", n), super_frame("both", "gre4", 1000, 3_500), say("both", "gre4", n)]
    }),
    situation("a super-frame whose segments are too big", "5 sent, 6 too_big", |_, n| {
        vec![
            super_frame("both", "slim4", 1460, 5_000),
            say("both", "slim4", n),
            super_frame("outer", "thin", 1380, 5_000),
        ]
    }),
    situation("a super-frame in a tunnel", "8 sent", |_, _| {
        vec![super_frame("vxlan4", "both", 1000, 4_000), super_frame("vxlan6", "gre4", 1000, 4_000)]
    }),
    situation("a super-frame of tunnel packets", "0 sent, 1 unsegmentable", |_, n| {
        vec![known(say("vxlan4", "both", n), |packet| {
            (packet.checksum, packet.gso) =
                (Checksum::Partial { start: UDP as u32, offset: 6 }, Some(Gso { kind: GsoKind::Udp, size: 40 }));
        })]
    }),
    situation("a super-frame of something else", "0 sent, 1 unsegmentable", |_, n| {
        vec![known(at("both", &frame("both", "gre4", 0x88b5, &[n; 3_000])), |packet| {
            packet.gso = Some(Gso { kind: GsoKind::Tcp4, size: 1000 });
        })]
    }),
    situation("a super-frame to everybody", "117 sent", |_, n| {
        vec![unfinished(
            at("gre4", &wire::ethernet(BROADCAST, host("gre4"), IPV4, &v4(0, 6, &tcp(n, 0x18, 2_000)))),
            2_020,
            16,
            Some(Gso { kind: GsoKind::Tcp4, size: 900 }),
        )]
    }),
    situation("a super-frame of more segments than there are chunks", "2 sent, 1 no_buffer", |_, n| {
        vec![say("both", "gre4", n), super_frame("both", "gre4", 30, 18_000), say("both", "gre4", n)]
    }),
    situation("frames that are cut", "6 sent, 3 truncated", |_, n| {
        ["vxlan4", "both", "gre6"]
            .into_iter()
            .flat_map(|from| {
                let cut: Packet = Packet { cut: true, ..say(from, "sum4", n).1 };
                [say(from, "sum4", n), (say(from, "sum4", n).0, cut), say(from, "sum4", n)]
            })
            .collect()
    }),
    situation("SYNs in a tenant that clamps to its paths", "8 sent", |_, n| {
        ["red-slim", "red-ce", "red-thin", "red-n"]
            .into_iter()
            .flat_map(|to| [false, true].map(|v6| at("red-v", &syn("red-v", to, v6, 1460 + u16::from(n)))))
            .collect()
    }),
    situation("SYNs in a tenant that clamps to a number", "2 sent", |_, n| {
        [false, true]
            .map(|v6| {
                let mut frame = syn("green-g", "green-ce", v6, 1190 + u16::from(n) % 20);
                frame[..6].copy_from_slice(&mac(0xe3));
                at("green-g", &frame)
            })
            .into()
    }),
    situation("a SYN among other segments", "4 sent", |_, n| {
        vec![
            say("red-v", "red-ce", n),
            at("red-v", &syn("red-v", "red-ce", false, 9000)),
            say("red-v", "red-ce", n),
            at("red-ce", &syn("red-ce", "red-v", true, 9000)),
        ]
    }),
    situation("a SYN that is cut short", "1 sent", |_, n| {
        let syn = syn("red-v", "red-slim", false, 9000);
        vec![at("red-v", &syn[..syn.len() - usize::from(n) % 28])]
    }),
    situation("a SYN whose checksum is left to the device", "1 sent", |_, _| {
        vec![unfinished(at("red-ce", &syn("red-ce", "red-slim", false, 9000)), 24, 16, None)]
    }),
    situation("frames of which the port knows that their checksums are right", "2 sent", |_, n| {
        ["vxlan4", "both"].map(|from| known(say(from, "gre4", n), |packet| packet.checksum = Checksum::Valid)).into()
    }),
    situation("padding behind the tenant's packet", "2 sent", |_, n| {
        vec![
            spoil(say("vxlan4", "gre4", n), |_| ()),
            at("vxlan4", &[wire::tenant_frame(host("gre4"), host("vxlan4"), 1), vec![0; usize::from(n) % 40]].concat()),
        ]
    }),
    situation("a length of the tenant's packet that is wrong", "1 sent", |_, n| {
        vec![edit(
            at("vxlan4", &{
                let mut frame = wire::tenant_frame(host("wide4"), host("vxlan4"), 1);
                frame[16] = n;
                frame
            }),
            |_| (),
        )]
    }),
];
