//! The outer headers of tunnel packets, whole and broken.

use transload_encaps::Checksum;

use super::{Situation, situation};
use crate::common::wire;
use crate::places::{IP, UDP, UDP6, VXLAN, Wire, at, edit, host, known, marked, packet, say, spoil, with_udp_sum};

/// A packet between two of its own kind.
fn between(from: &str, packet: Wire, n: u8) -> Vec<Wire> {
    vec![say(from, "gre6", n), packet, say(from, "gre6", n)]
}

/// The same for a packet from `vxlan4`, changed, its header checksum right.
fn edited(n: u8, change: impl FnOnce(&mut Vec<u8>)) -> Vec<Wire> {
    between("vxlan4", edit(say("vxlan4", "gre4", n), change), n)
}

/// The same from `vxlan6`.
fn edited6(n: u8, change: impl FnOnce(&mut Vec<u8>)) -> Vec<Wire> {
    between("vxlan6", spoil(say("vxlan6", "gre4", n), change), n)
}

/// Puts IPv6 extension headers, of which the first has this type, before what the packet carries.
fn extended(first: u8, headers: &[u8]) -> impl FnOnce(&mut Vec<u8>) {
    move |bytes| {
        bytes.splice(UDP6..UDP6, headers.iter().copied());
        bytes[IP + 6] = first;
        let len = (bytes.len() - UDP6) as u16;
        bytes[IP + 4..IP + 6].copy_from_slice(&len.to_be_bytes());
    }
}

fn set16(bytes: &mut [u8], at: usize, value: u16) {
    bytes[at..at + 2].copy_from_slice(&value.to_be_bytes());
}

pub(super) const TABLE: &[Situation] = &[
    situation("IPv4: what may differ from packet to packet does", "6 sent", |_, n| {
        (0..6)
            .map(|m: u8| {
                edit(marked("vxlan4", 0, m ^ n, &wire::tenant_frame(host("gre4"), host("vxlan4"), m.into())), |bytes| {
                    (bytes[IP + 4], bytes[IP + 5], bytes[IP + 8]) = (m, n, 1 + m);
                })
            })
            .collect()
    }),
    situation("IPv6: what may differ from packet to packet does", "6 sent", |_, n| {
        (0..6)
            .map(|m: u8| {
                spoil(
                    marked("vxlan6", 0, m ^ n, &wire::tenant_frame(host("gre4"), host("vxlan6"), m.into())),
                    |bytes| {
                        (bytes[IP + 2], bytes[IP + 3], bytes[IP + 7]) = (m, n, 1 + m);
                    },
                )
            })
            .collect()
    }),
    situation("a tag around the packet that only carries a priority", "12 sent", |_, n| {
        let tagged = |from: &str, tpid| {
            let (port, packet) = say(from, "gre6", n);
            between(from, (port, wire::tag(&packet.bytes, tpid, u16::from(n) << 13).into()), n)
        };
        [("vxlan4", 0x8100), ("vxlan4", 0x88a8), ("vxlan6", 0x8100), ("nvgre4", 0x88a8)]
            .into_iter()
            .flat_map(|(from, tpid)| tagged(from, tpid))
            .collect()
    }),
    situation("IPv4: options", "3 sent", |_, n| {
        edited(n, |bytes| {
            bytes.splice(UDP..UDP, [1, 1, 1, 0]);
            bytes[IP] = 0x46;
            let len = (bytes.len() - IP) as u16;
            set16(bytes, IP + 2, len);
        })
    }),
    situation("IPv4: a wrong header checksum", "2 sent, 1 bad_ip_checksum", |_, n| {
        between("vxlan4", spoil(say("vxlan4", "gre4", n), |bytes| bytes[IP + 10] ^= 1 | n), n)
    }),
    situation("IPv4: a header checksum of zero, and of all ones", "4 sent, 2 bad_ip_checksum", |_, n| {
        [0, 0xff]
            .into_iter()
            .flat_map(|byte| {
                between("vxlan4", spoil(say("vxlan4", "gre4", n), |bytes| bytes[IP + 10..IP + 12].fill(byte)), n)
            })
            .collect()
    }),
    situation(
        "IPv4: an impossible header length, and another version",
        "6 sent, 1 bad_ip_header, 2 not_for_us",
        |_, n| [0x44, 0x55, 0x05].into_iter().flat_map(|first| edited(n, |bytes| bytes[IP] = first)).collect(),
    ),
    situation("IPv4: longer than the frame", "2 sent, 1 bad_length", |_, n| {
        edited(n, |bytes| {
            let len = (bytes.len() - IP) as u16;
            set16(bytes, IP + 2, len + 1 + u16::from(n));
        })
    }),
    situation("IPv4: shorter than UDP says", "2 sent, 1 bad_length", |_, n| {
        edited(n, |bytes| {
            let len = (bytes.len() - IP) as u16;
            set16(bytes, IP + 2, len - 1);
        })
    }),
    situation("IPv4: shorter than its headers", "2 sent, 1 truncated", |_, n| {
        edited(n, |bytes| set16(bytes, IP + 2, 20 + u16::from(n) % 8))
    }),
    situation("IPv4: shorter than a header", "2 sent, 1 bad_length", |_, n| {
        edited(n, |bytes| set16(bytes, IP + 2, u16::from(n) % 20))
    }),
    situation("IPv4: a first fragment, and a later one", "10 sent, 2 outer_fragment", |_, n| {
        [[0x20, 0], [0, 7], [0x40, 0], [0x80, 0]]
            .into_iter()
            .flat_map(|field| edited(n, |bytes| bytes[IP + 6..IP + 8].copy_from_slice(&field)))
            .collect()
    }),
    situation("IPv4: padding behind the packet", "3 sent", |_, n| {
        edited(n, |bytes| bytes.resize(bytes.len() + 1 + usize::from(n), 0xee))
    }),
    situation("GRE: padding behind the packet", "3 sent", |_, n| {
        between("gre4", spoil(say("gre4", "both", n), |bytes| bytes.resize(bytes.len() + 9, 0xee)), n)
    }),
    situation("UDP: padding behind the datagram, inside the packet", "3 sent", |_, n| {
        edited(n, |bytes| {
            bytes.extend([0xee; 9]);
            let len = (bytes.len() - IP) as u16;
            set16(bytes, IP + 2, len);
        })
    }),
    situation("UDP: longer than the packet", "2 sent, 1 bad_length", |_, n| {
        edited(n, |bytes| set16(bytes, UDP + 4, 0x100 | u16::from(n)))
    }),
    situation("UDP: shorter than a header", "2 sent, 1 bad_length", |_, n| {
        edited(n, |bytes| set16(bytes, UDP + 4, u16::from(n) % 8))
    }),
    situation("UDP: shorter than the tunnel's header", "2 sent, 1 truncated", |_, n| {
        edited(n, |bytes| set16(bytes, UDP + 4, 8 + u16::from(n) % 8))
    }),
    situation("UDP: shorter than what it carries", "2 sent, 1 inner_truncated", |_, n| {
        edited(n, |bytes| set16(bytes, UDP + 4, 16 + u16::from(n) % 40))
    }),
    situation("UDP over IPv4: a right checksum", "3 sent", |_, n| {
        between("vxlan4", with_udp_sum(say("vxlan4", "gre4", n)), n)
    }),
    situation("UDP over IPv4: a wrong checksum", "2 sent, 1 udp_checksum", |_, n| {
        between("vxlan4", spoil(with_udp_sum(say("vxlan4", "gre4", n)), |bytes| bytes[VXLAN + 20] ^= 1), n)
    }),
    situation("UDP over IPv4: a right checksum, and padding behind it", "3 sent", |_, n| {
        between("vxlan4", spoil(with_udp_sum(say("vxlan4", "gre4", n)), |bytes| bytes.extend([0xee; 7])), n)
    }),
    situation("UDP over IPv4: a wrong checksum that the port calls right", "3 sent", |_, n| {
        between(
            "vxlan4",
            known(spoil(with_udp_sum(say("vxlan4", "gre4", n)), |bytes| bytes[VXLAN + 20] ^= 1), |packet| {
                packet.checksum = Checksum::Valid;
            }),
            n,
        )
    }),
    situation("UDP over IPv4: checksums of all kinds in a run", "4 sent, 1 udp_checksum", |_, n| {
        vec![
            with_udp_sum(say("vxlan4", "gre4", n)),
            say("vxlan4", "gre4", n),
            with_udp_sum(say("vxlan4", "gre4", n)),
            spoil(with_udp_sum(say("vxlan4", "gre4", n)), |bytes| bytes[UDP + 6] ^= 1),
            with_udp_sum(say("vxlan4", "gre4", n)),
        ]
    }),
    situation("UDP over IPv6: no checksum", "2 sent", |_, n| vec![say("vxlan6", "gre4", n); 2]),
    situation("UDP over IPv6: no checksum, from a peer that must send one", "2 sent, 1 udp_zero_checksum", |_, n| {
        vec![
            with_udp_sum(say("strict6", "gre4", n)),
            say("strict6", "gre4", n),
            with_udp_sum(say("strict6", "gre4", n)),
        ]
    }),
    situation("UDP over IPv6: a right checksum", "3 sent", |_, n| {
        between("vxlan6", with_udp_sum(say("vxlan6", "gre4", n)), n)
    }),
    situation("UDP over IPv6: a wrong checksum", "2 sent, 1 udp_checksum", |_, n| {
        between("vxlan6", spoil(with_udp_sum(say("vxlan6", "gre4", n)), |bytes| bytes[UDP6 + 30] ^= 1), n)
    }),
    situation("IPv6: longer than the frame", "2 sent, 1 bad_length", |_, n| {
        edited6(n, |bytes| set16(bytes, IP + 4, 0x100 | u16::from(n)))
    }),
    situation("IPv6: shorter than UDP says", "2 sent, 1 bad_length", |_, n| {
        edited6(n, |bytes| {
            let len = (bytes.len() - UDP6) as u16;
            set16(bytes, IP + 4, len - 1 - u16::from(n) % 8);
        })
    }),
    situation("IPv6: padding behind the packet", "3 sent", |_, n| edited6(n, |bytes| bytes.extend([0xee; 9]))),
    situation("IPv6: traffic class and flow label", "3 sent", |_, n| {
        edited6(n, |bytes| (bytes[IP], bytes[IP + 1], bytes[IP + 2]) = (0x60 | n & 15, n & 0xcf, n))
    }),
    situation("IPv6: options before the tunnel", "3 sent", |_, n| edited6(n, extended(60, &[17, 0, 1, 4, 0, 0, 0, 0]))),
    situation("IPv6: a routing header that is done, and one that is not", "5 sent, 1 extension_headers", |_, n| {
        [0, 1].into_iter().flat_map(|left| edited6(n, extended(43, &[17, 0, 5, left, 0, 0, 0, 0]))).collect()
    }),
    situation("IPv6: more extension headers than anybody needs", "2 sent, 1 extension_headers", |_, n| {
        edited6(
            n,
            extended(
                0,
                &[
                    60, 0, 1, 4, 0, 0, 0, 0, 60, 0, 1, 4, 0, 0, 0, 0, 60, 0, 1, 4, 0, 0, 0, 0, 60, 0, 1, 4, 0, 0, 0, 0,
                    17, 0, 1, 4, 0, 0, 0, 0,
                ],
            ),
        )
    }),
    situation("IPv6: a fragment", "2 sent, 1 outer_fragment", |_, n| {
        edited6(n, extended(44, &[17, 0, 0, 1, 0, 0, 0, n]))
    }),
    situation("to another MAC address", "2 sent, 1 not_our_mac", |_, n| edited(n, |bytes| bytes[5] ^= 0x80 | n)),
    situation("to another MAC address, over IPv6", "2 sent, 1 not_our_mac", |_, n| {
        edited6(n, |bytes| bytes[5] ^= 0x80 | n)
    }),
    situation("from another router", "3 sent", |_, n| edited(n, |bytes| bytes[11] ^= 0x80 | n)),
    situation("by a port that the endpoint is not reached by", "39 sent, 1 not_for_us, 1 unclaimed_tags", |_, n| {
        ["narrow", "mixed", "access"].map(|port| (port, say("vxlan4", "gre4", n).1)).into()
    }),
    situation("by either port of an endpoint, in turn", "4 sent", |_, n| {
        let mut by_north = say("wide4", "gre4", n);
        (by_north.0, by_north.1.bytes[5]) = ("north", 2);
        vec![say("wide4", "gre4", n), by_north.clone(), say("wide4", "gre4", n), by_north]
    }),
    situation("from a peer that nobody knows", "2 sent, 1 unknown_peer", |_, n| {
        edited(n, |bytes| bytes[IP + 15] = 0x80 | n)
    }),
    situation("from a peer that nobody knows, over IPv6", "2 sent, 1 unknown_peer", |_, n| {
        edited6(n, |bytes| bytes[IP + 23] = 0x80 | n)
    }),
    situation("from a peer of another endpoint", "2 sent, 1 unknown_peer", |_, n| {
        edited(n, |bytes| bytes[IP + 19] = 5)
    }),
    situation("to an address that is not ours", "2 sent, 1 not_for_us", |_, n| {
        edited(n, |bytes| bytes[IP + 19] = 0x80 | n)
    }),
    situation(
        "to another UDP port, and by another protocol",
        "6 sent, 1 host_traffic, 1 not_for_us, 1 unknown_peer",
        |_, n| {
            let to_port = edited(n, |bytes| set16(bytes, UDP + 2, 4790));
            to_port
                .into_iter()
                .chain(edited(n, |bytes| bytes[IP + 9] = 47))
                .chain(edited(n, |bytes| bytes[IP + 9] = 1))
                .collect()
        },
    ),
    situation("a tagged underlay, with and without its tag, and with another", "4 sent, 3 not_for_us", |_, n| {
        let tagged = say("tagged4", "gre4", n);
        let untagged = spoil(tagged.clone(), |bytes| drop(bytes.drain(12..16)));
        let other = spoil(tagged.clone(), |bytes| bytes[15] = 6);
        let prior = spoil(tagged.clone(), |bytes| bytes[14] = 0xe0);
        let of_service = spoil(tagged.clone(), |bytes| bytes[12..14].copy_from_slice(&[0x88, 0xa8]));
        vec![tagged.clone(), untagged, tagged.clone(), other, prior, of_service, tagged]
    }),
    situation("a tag before a packet of the untagged underlay", "2 sent, 1 not_for_us", |_, n| {
        between("vxlan4", spoil(say("vxlan4", "gre4", n), |bytes| *bytes = wire::tag(bytes, 0x8100, 5)), n)
    }),
    situation("tagged and untagged endpoints of one port, in turn", "5 sent", |_, n| {
        ["vxlan4", "tagged4", "vxlan6", "vxlan4", "tagged4"].map(|from| say(from, "gre4", n)).into()
    }),
    situation("cut to any length, over IPv4", "2 sent, 1 truncated", |_, n| {
        between("vxlan4", spoil(say("vxlan4", "gre4", 1), |bytes| bytes.truncate(1 + usize::from(n) % 130)), n)
    }),
    situation("cut to any length, over IPv6", "2 sent, 1 truncated", |_, n| {
        between("vxlan6", spoil(say("vxlan6", "gre4", 1), |bytes| bytes.truncate(1 + usize::from(n) % 150)), n)
    }),
    situation("cut to any length, in GRE", "2 sent, 1 truncated", |_, n| {
        between("full4", spoil(say("full4", "gre4", n), |bytes| bytes.truncate(1 + usize::from(n) % 130)), n)
    }),
    situation("cut to any length, behind tags", "2 sent, 1 truncated", |_, n| {
        between("both", spoil(say("both", "gre4", 1), |bytes| bytes.truncate(1 + usize::from(n) % 90)), n)
    }),
    situation("nothing but a few bytes", "0 sent, 3 truncated", |_, n| {
        ["up", "access", "mixed"].map(|port| (port, vec![n; 1 + usize::from(n) % 20].into())).into()
    }),
    situation("an IP packet that is no tunnel's to an address of ours", "0 sent, 2 host_traffic", |_, n| {
        vec![packet("192.0.2.9", "192.0.2.1", 0, 6, &[n; 40]), packet("2001:db8::9", "2001:db8::1", 0, 58, &[n; 40])]
    }),
    situation("from a place, to everybody behind it and elsewhere", "37 sent", |_, n| {
        vec![at("mesh-20", &wire::tenant_frame([0xff; 6], host("mesh-20"), n.into()))]
    }),
];
