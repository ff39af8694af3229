//! Nothing is lost without a counter that says so, whatever a port says of offloads: what came in, and what was made
//! of it, was sent or dropped by name.

mod common;

use common::Lab;
use common::wire::{self, mac};
use proptest::prelude::*;
use proptest::sample::select;
use transload::io::Caps;
use transload::io::memory::Packet;
use transload::report::rows::{AttachmentRow, TenantRow, Traffic};
use transload_encaps::{Checksum, Gso, GsoKind};

const FILE: &str = "version: 1
ports:
  up: { device: eth1, mac: \"02:00:00:00:00:01\", mtu: 1500 }
  access: { device: eth2, mtu: 1500 }
  wide: { device: eth3 }
endpoints: { e: { address: 192.0.2.1, ports: [up] } }
peers:
  vx: { address: 192.0.2.9, encap: vxlan }
  nv: { address: 192.0.2.10, encap: nvgre }
groups: { leafs: { encap: vxlan, members: [192.0.2.20-192.0.2.22] } }
tenants:
  red:
    limits: { bum: 1000000 }
    attachments:
      vx: { peer: vx, vni: 1 }
      nv: { peer: nv, vsid: 0x1001 }
      leafs: { group: leafs, vni: 1 }
      access: { port: access, vid: 1 }
      wide: { port: wide, untagged: true }
mappings: { m: { from: { peer: vx, vni: 100-200 }, to: { port: access, vid: \"id\" } } }
";

/// Everything that may be said of a frame, true or not.
#[derive(Debug, Clone)]
struct Said {
    gso: Option<Gso>,
    checksum: Checksum,
}

fn said() -> impl Strategy<Value = Said> {
    let kind = select(&[GsoKind::Tcp4, GsoKind::Tcp6, GsoKind::Udp][..]);
    let size = prop_oneof![Just(0), Just(1), 2..3000_u16, Just(u16::MAX)];
    let gso = prop_oneof![1 => Just(None), 4 => (kind, size).prop_map(|(kind, size)| Some(Gso { kind, size }))];
    // Where headers begin in the frames below, and anywhere.
    let start = prop_oneof![select(&[34_u32, 38, 54, 84, 104, 76, 96][..]), 0..5000_u32, Just(u32::from(u16::MAX))];
    let offset = prop_oneof![select(&[6_u16, 16][..]), any::<u16>()];
    let checksum = prop_oneof![
        Just(Checksum::Unknown),
        Just(Checksum::Valid),
        (start, offset).prop_map(|(start, offset)| Checksum::Partial { start, offset }),
    ];
    (gso, checksum).prop_map(|(gso, checksum)| Said { gso, checksum })
}

fn tcp(payload: &[u8]) -> Vec<u8> {
    [&[0, 80, 0, 81, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x10, 0xff, 0xff, 0, 0, 0, 0][..], payload].concat()
}

/// A tenant's frame.
fn inner() -> impl Strategy<Value = Vec<u8>> {
    let to = select(vec![wire::BROADCAST, mac(0x22), mac(0x33)]);
    // Now and then more than an IP header can tell, or a port takes.
    let len = prop_oneof![12 => 0..6000_usize, 1 => 60_000..70_000_usize];
    (to, any::<bool>(), 0..4_u8, len).prop_map(|(to, v6, protocol, len)| {
        let payload = vec![0x5a; len];
        let (number, l4) = match protocol {
            0 => (17, wire::udp(5, 7, &payload)),
            1 | 2 => (6, tcp(&payload)),
            _ => (99, payload),
        };
        let (ether_type, packet) = if v6 {
            (wire::IPV6, wire::ipv6("fd00::1".parse().unwrap(), "fd00::2".parse().unwrap(), 2, number, &l4))
        } else {
            (wire::IPV4, wire::ipv4([10, 0, 0, 1].into(), [10, 0, 0, 2].into(), 2, number, &l4))
        };
        wire::ethernet(to, mac(0x11), ether_type, &packet)
    })
}

/// A frame, and the port that it comes in by.
fn frames() -> impl Strategy<Value = (&'static str, Vec<u8>)> {
    let ends = |last: u8| ([192, 0, 2, last].into(), [192, 0, 2, 1].into());
    let around = move |how: u8, frame: Vec<u8>| {
        let outer = |last, protocol, payload: &[u8]| {
            let (src, dst): (std::net::Ipv4Addr, std::net::Ipv4Addr) = ends(last);
            wire::outer((mac(1), mac(9)), (src.into(), dst.into()), 0, protocol, payload)
        };
        let summed = |mut datagram: Vec<u8>| {
            datagram[6] = 1;
            datagram
        };
        match how {
            0 => ("access", wire::tag(&frame, 0x8100, 1)),
            1 => ("wide", frame),
            2 => ("up", outer(9, 17, &wire::udp(5, 4789, &wire::vxlan(1, &frame)))),
            3 => ("up", outer(9, 17, &summed(wire::udp(5, 4789, &wire::vxlan(1, &frame))))),
            4 => ("up", outer(10, 47, &wire::nvgre(0x1001, 5, &frame))),
            5 => ("up", outer(20, 17, &summed(wire::udp(5, 4789, &wire::vxlan(1, &frame))))),
            6 => ("up", outer(9, 17, &wire::udp(5, 4789, &wire::vxlan(150, &frame)))),
            7 => ("access", wire::tag(&frame, 0x8100, 150)),
            // Nobody's.
            8 => ("up", outer(9, 17, &wire::udp(5, 4789, &wire::vxlan(77, &frame)))),
            _ => ("up", frame),
        }
    };
    (0..10_u8, inner(), any::<prop::sample::Index>(), 0..8_u8).prop_map(move |(how, inner, cut, is_cut)| {
        let (port, mut bytes) = around(how, inner);
        if is_cut == 0 {
            bytes.truncate(cut.index(bytes.len()) + 1);
        }
        (port, bytes)
    })
}

/// Frames so far.
struct Sums {
    received: u64,
    /// Copies and segments, beyond one for each frame.
    copies: u64,
    /// The gateway's own ICMP errors.
    answers: u64,
    sent: u64,
    /// Or left to the machine's own stack.
    dropped: u64,
    copies_dropped: u64,
}

impl Sums {
    fn of(lab: &Lab) -> Self {
        let state = lab.gateway.state(lab.clock);
        let (ports, drops) = (state.ports(), state.drops());
        let (tenants, mappings) = (state.tenants(None).unwrap(), state.mappings());
        tenants.iter().for_each(is_the_sum_of_its_attachments);
        Self {
            received: ports.iter().map(|port| port.traffic.rx_frames).sum(),
            copies: tenants.iter().map(|it| it.copies).chain(mappings.iter().map(|it| it.copies)).sum(),
            answers: tenants
                .iter()
                .map(|it| it.too_big_answers)
                .chain(mappings.iter().map(|it| it.too_big_answers))
                .sum(),
            sent: ports.iter().map(|port| port.traffic.tx_frames).sum(),
            dropped: drops.iter().map(|row| row.dropped + row.left).sum(),
            copies_dropped: drops.iter().map(|row| row.copies).sum(),
        }
    }
}

/// No attachment is gone, and no frame of a tenant is without one.
fn is_the_sum_of_its_attachments(tenant: &TenantRow) {
    let of = |count: fn(&AttachmentRow) -> u64| tenant.attachments.iter().map(count).sum::<u64>();
    let sums = Traffic {
        rx_frames: of(|it| it.traffic.rx_frames),
        rx_bytes: of(|it| it.traffic.rx_bytes),
        tx_frames: of(|it| it.traffic.tx_frames),
        tx_bytes: of(|it| it.traffic.tx_bytes),
    };
    assert_eq!((tenant.traffic, tenant.dropped), (sums, of(|it| it.dropped)));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_came_and_what_was_made_was_sent_or_dropped_by_name(
        all in prop::collection::vec((frames(), said()), 1..12),
        caps in any::<[bool; 3]>(),
        room in prop_oneof![4 => Just(None), 1 => (0..5_usize).prop_map(Some)],
    ) {
        let mut lab = Lab::new(FILE);
        for port in ["access", "wide"] {
            let handle = lab.gateway.port(lab.port(port)).unwrap();
            handle.set_caps(Caps { checksum: caps[0], gso: caps[1], outer_checksum: caps[2] });
            handle.set_room(room);
        }
        // A host of the tenant behind each.
        for (port, frame) in [
            ("access", wire::tag(&wire::tenant_frame(wire::BROADCAST, mac(0x22), 1), 0x8100, 1)),
            ("wide", wire::tenant_frame(wire::BROADCAST, mac(0x33), 1)),
        ] {
            lab.send(port, frame);
        }
        for ((port, bytes), Said { gso, checksum }) in all {
            let packet = Packet { bytes, gso, checksum, cut: false };
            let before = Sums::of(&lab);
            lab.send(port, packet.clone());
            let after = Sums::of(&lab);
            let received = after.received - before.received;
            let dropped = after.dropped - before.dropped;
            let answers = after.answers - before.answers;
            let sent = after.sent - before.sent;
            let copies_dropped = after.copies_dropped - before.copies_dropped;
            let made = after.copies - before.copies + answers;
            prop_assert_eq!(received + made, sent + dropped + copies_dropped, "{} {:?}", port, packet);
            // Of a train each packet counts, and a port that has no room drops each copy.
            if received == 1 && room.is_none() {
                prop_assert_eq!(u64::from(sent > answers) + dropped, 1, "{} {:?}", port, packet);
            }
            prop_assert!(lab.gateway.is_whole(), "a chunk is missing: {} {:?}", port, packet);
        }
    }
}

/// A flooded super-frame of which some copies are too big for their path.
#[test]
fn copies_that_do_not_leave_are_told_apart_from_frames() {
    let mut lab = Lab::new(FILE);
    let udp = wire::udp(5, 7, &[0x5a; 4000]);
    let packet = wire::ipv4([10, 0, 0, 1].into(), [10, 0, 0, 2].into(), 0, 17, &udp);
    let bytes = wire::ethernet(wire::BROADCAST, mac(0x11), wire::IPV4, &packet);
    // 1500 bytes of IP packet fit a port, but no tunnel with its headers: three segments, the last one short.
    let gso = Some(Gso { kind: GsoKind::Udp, size: 1472 });
    lab.send("wide", Packet { bytes, gso, checksum: Checksum::Partial { start: 34, offset: 6 }, cut: false });
    let state = lab.gateway.state(lab.clock);
    let tenant = state.tenants(None).unwrap().remove(0);
    // To vx, nv, three leafs and access: 18 segments; two of three are too long for each of five tunnels.
    assert_eq!((tenant.traffic.rx_frames, tenant.traffic.tx_frames, tenant.copies, tenant.dropped), (1, 8, 17, 10));
    let by_attachment: Vec<_> = tenant
        .attachments
        .iter()
        .map(|row| (row.attachment.as_str(), row.traffic.rx_frames, row.traffic.tx_frames, row.dropped))
        .collect();
    // Dropped is what came in by it, wherever it was to go.
    let expected = [("access", 0, 3, 0), ("leafs", 0, 3, 0), ("nv", 0, 1, 0), ("vx", 0, 1, 0), ("wide", 1, 0, 10)];
    assert_eq!(by_attachment.len(), expected.len());
    assert!(expected.iter().all(|row| by_attachment.contains(row)), "{by_attachment:?}");
    let drops = state.drops().into_iter().filter(|row| row.dropped + row.copies > 0);
    let drops: Vec<_> = drops.map(|row| (row.reason, row.dropped, row.copies)).collect();
    assert_eq!(drops, [("too_big".to_owned(), 0, 10)]);
}
