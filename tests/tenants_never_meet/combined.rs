//! Tenants do not meet where fragments, trains, IDs that differ by direction and ranges of C-VIDs come together.

use proptest::prelude::*;
use proptest::sample::select;
use transload::io::memory::Packet;
use transload_encaps::{Checksum, Gso, GsoKind};

use crate::common::Lab;
use crate::common::three::{LINK, inner, is_marked, marker};
use crate::common::wire::{self, BROADCAST, mac};
use crate::host;

const FILE: &str = r#"
version: 1
ports:
  up:     { device: up, mac: "02:aa:00:00:00:01" }
  access: { device: access, tpids: [0x88a8] }
endpoints:
  fabric: { address: 192.0.2.1, ports: [up], reassemble: on }
peers:
  alike: { address: 192.0.2.9,  encap: vxlan }
  apart: { address: 192.0.2.10, encap: vxlan }
tenants:
  a: { limits: { bum: unlimited }, loop_guard: off, attachments: {
        v: { peer: alike, vni: 5000 }, x: { peer: apart, vni: { receive: 10, send: 20 } },
        p: { port: access, s_vid: 1, c_vid: [1-3, 7] }, u: { port: access, untagged: true } } }
  b: { limits: { bum: unlimited }, loop_guard: off, attachments: {
        v: { peer: alike, vni: 5001 }, x: { peer: apart, vni: { receive: 20, send: 10 } },
        p: { port: access, s_vid: 1, c_vid: 4-6 } } }
  c: { limits: { bum: unlimited }, loop_guard: off, attachments: {
        v: { peer: alike, vni: 5002 }, x: { peer: apart, vni: { receive: 30, send: 31 } },
        p: { port: access, s_vid: 1 }, q: { port: access, s_vid: 1, c_vid: 2 } } }
"#;

/// How a tenant's frame comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Whole,
    /// In two fragments.
    InParts,
    /// In one super-frame with a frame of every tenant.
    Together,
    /// From the far end that sends other IDs than it receives.
    Apart,
    Access,
    /// Without a VLAN: of tenant `a`.
    Untagged,
}

const WAYS: [Way; 6] = [Way::Whole, Way::InParts, Way::Together, Way::Apart, Way::Access, Way::Untagged];

#[derive(Debug, Clone, Copy)]
struct Arrival {
    way: Way,
    tenant: u8,
    ends: ([u8; 6], [u8; 6]),
    /// A VLAN ID in the tenant's frame, or the C-VID of the port; 0 for none.
    vid: u16,
    /// Whether a tag that carries a priority alone is in front of it.
    priority: bool,
    /// How many arrivals later its second part comes.
    delay: usize,
}

fn arrivals() -> impl Strategy<Value = Vec<Arrival>> {
    let one = (select(&WAYS[..]), 0..3_u8, (0..4_u8, 1..4_u8), 0..9_u16, any::<bool>(), 0..4_usize);
    let one = one.prop_map(|(way, tenant, (to, from), vid, priority, delay)| Arrival {
        way,
        tenant,
        ends: (host(to), host(from)),
        vid,
        priority,
        delay,
    });
    prop::collection::vec(one, 1..40)
}

/// Whose a C-VID of the port is.
const fn owner(c_vid: u16) -> u8 {
    match c_vid {
        1 | 3 | 7 => 0,
        4..=6 => 1,
        _ => 2,
    }
}

fn tagged(frame: Vec<u8>, vid: u16) -> Vec<u8> {
    if vid == 0 { frame } else { wire::tag(&frame, 0x8100, vid) }
}

impl Arrival {
    /// The packets of it: the port, what arrives there, and how much later. `number` is another one each time.
    fn packets(self, number: u16) -> Vec<(&'static str, Packet, usize)> {
        let Self { way, tenant, ends: (to, from), vid, priority, delay } = self;
        let frame = |tenant| tagged(inner(tenant, to, from), vid);
        let before = |frame: Vec<u8>| if priority { wire::tag(&frame, 0x8100, 3 << 13) } else { frame };
        let datagram = |vni| wire::udp(9, 4789, &wire::vxlan(vni, &frame(tenant)));
        let outer =
            |peer: u8, part: &[u8]| wire::outer(LINK, ([192, 0, 2, peer].into(), [192, 0, 2, 1].into()), 0, 17, part);
        let now = |port, frame: Vec<u8>| vec![(port, before(frame).into(), 0)];
        match way {
            Way::Whole => now("up", outer(9, &datagram(5000 + u32::from(tenant)))),
            Way::Apart => now("up", outer(10, &datagram(10 * (u32::from(tenant) + 1)))),
            Way::Untagged => now("access", inner(0, to, from)),
            Way::Access => vec![("access", wire::tag(&tagged(inner(owner(vid), to, from), vid), 0x88a8, 1).into(), 0)],
            Way::InParts => {
                let datagram = datagram(5000 + u32::from(tenant));
                let (first, second) = datagram.split_at(40);
                let part = |part: &[u8], offset: u16| {
                    let mut frame = outer(9, part);
                    frame[18..20].copy_from_slice(&number.to_be_bytes());
                    frame[20..22].copy_from_slice(&offset.to_be_bytes());
                    frame[24..26].fill(0);
                    let sum = wire::sum(&[&frame[14..34]]);
                    frame[24..26].copy_from_slice(&sum.to_be_bytes());
                    before(frame).into()
                };
                vec![("up", part(first, 1 << 13), 0), ("up", part(second, 5), delay)]
            }
            Way::Together => {
                let payloads: Vec<_> =
                    (0..3).map(|tenant| wire::vxlan(5000 + u32::from(tenant), &frame(tenant))).collect();
                let mut udp = wire::udp(9, 4789, &payloads.concat());
                udp[6] = 1;
                let start = 34 + if priority { 4 } else { 0 };
                let gso = Some(Gso { kind: GsoKind::Udp, size: payloads[0].len() as u16 });
                let checksum = Checksum::Partial { start, offset: 6 };
                vec![("up", Packet { bytes: before(outer(9, &udp)), gso, checksum, cut: false }, 0)]
            }
        }
    }
}

/// The tenant to whom a frame is addressed on the wire, if to any.
fn addressee(port: &str, sent: &[u8]) -> Option<u8> {
    let be16 = |at: usize| u16::from_be_bytes([sent[at], sent[at + 1]]);
    if port == "up" {
        let vni = u32::from_be_bytes([0, sent[46], sent[47], sent[48]]);
        return match (sent[33], vni) {
            (9, 5000..=5002) => Some((vni - 5000) as u8),
            (10, 20) => Some(0),
            (10, 10) => Some(1),
            (10, 31) => Some(2),
            other => panic!("to nobody: {other:?}"),
        };
    }
    match (be16(12), be16(14) & 0xfff) {
        (0x88a8, 1) if be16(16) == 0x8100 => Some(owner(be16(18) & 0xfff)),
        (0x88a8, 1) => Some(2),
        (0x88a8, other) => panic!("S-VID {other}"),
        // The port has no claims of single tags.
        (0x8100, 1..) => None,
        _ => Some(0),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn nor_does_one_that_comes_in_parts_or_with_others_or_under_ids_and_tags_that_overlap(arrivals in arrivals()) {
        let mut lab = Lab::new(FILE);
        let packets = arrivals.iter().enumerate().flat_map(|(at, arrival)| {
            arrival.packets(at as u16 + 1).into_iter().map(move |(port, packet, delay)| (at + delay, port, packet))
        });
        let mut packets: Vec<_> = packets.collect();
        packets.sort_by_key(|(at, ..)| *at);
        for (_, port, packet) in packets {
            for (port, bytes) in lab.send(port, packet) {
                let to = addressee(&port, &bytes);
                let other = (0..3).find(|tenant| is_marked(&bytes, *tenant) && to.is_some_and(|to| to != *tenant));
                prop_assert_eq!(other, None, "on {}: {:02x?}", port, bytes);
            }
        }
        prop_assert!(lab.gateway.is_whole());
    }
}

#[test]
fn each_of_these_ways_is_open() {
    for way in WAYS {
        for priority in [false, true] {
            let mut lab = Lab::new(FILE);
            let arrival = Arrival { way, tenant: 1, ends: (BROADCAST, mac(1)), vid: 5, priority, delay: 0 };
            let sent = arrival.packets(7).into_iter().flat_map(|(port, packet, _)| lab.send(port, packet));
            let sent: Vec<_> = sent.collect();
            let tenant = u8::from(way != Way::Untagged);
            let reached = |port: &str, peer: u8| {
                sent.iter().any(|(by, bytes)| {
                    by == port
                        && (port == "access" || bytes[33] == peer)
                        && bytes.windows(16).any(|w| w == marker(tenant))
                })
            };
            let (alike, apart) = (reached("up", 9), reached("up", 10));
            let access = reached("access", 0);
            let expected = match way {
                Way::Whole | Way::InParts | Way::Together => (false, true, true),
                Way::Apart => (true, false, true),
                Way::Access | Way::Untagged => (true, true, false),
            };
            assert_eq!((alike, apart, access), expected, "{way:?} {priority}");
        }
    }
}
