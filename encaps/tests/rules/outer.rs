//! The walk over outer headers: RFC 791, RFC 8200, RFC 768, and lengths that lie.

use proptest::prelude::*;
use transload_encaps::outer::{Outer, ip_destination, ip_start, walk};
use transload_encaps::{Carrier, DropReason};

use crate::packet::{ethernet, ipv4, ipv6, seal, udp};
use crate::tagged;

const UDP: u8 = 17;
const GRE: u8 = 47;
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const DESTINATION_OPTIONS: u8 = 60;
const TUNNEL: [u8; 9] = *b"a tunnel!";

/// Where the tunnel header begins, what carries it and how long it is.
fn found(packet: &[u8]) -> Result<(usize, Carrier, usize), &'static str> {
    outer(packet).map(|o| (usize::from(o.at) - 14, o.carrier, o.end as usize - usize::from(o.at)))
}

fn outer(packet: &[u8]) -> Result<Outer, &'static str> {
    walk(&ethernet(0, packet), 14).map_err(DropReason::label)
}

/// Extension headers of eight bytes each, in front of the tunnel.
fn extended(headers: &[u8], last: u8, payload: &[u8]) -> Vec<u8> {
    let mut nexts = headers.iter().skip(1).copied().chain([last]);
    let mut bytes = Vec::new();
    for _ in headers {
        bytes.extend([nexts.next().unwrap(), 0, 1, 0, 0, 0, 0, 0]);
    }
    bytes.extend(payload);
    ipv6(headers.first().copied().unwrap_or(last), &bytes)
}

fn changed(packet: &[u8], at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut packet = packet.to_vec();
    packet[at..at + bytes.len()].copy_from_slice(bytes);
    packet
}

#[test]
fn addresses_and_traffic_class_are_read_from_either_ip() {
    let v4 = outer(&sealed(&changed(&ipv4(GRE, &[], &TUNNEL), 1, &[0xb9]))).unwrap();
    assert_eq!(
        (v4.src.to_string(), v4.dst.to_string(), v4.traffic_class),
        ("192.0.2.1".into(), "192.0.2.2".into(), 0xb9)
    );
    let v6 = outer(&changed(&ipv6(GRE, &TUNNEL), 0, &[0x6b, 0x9f, 0xff, 0xff])).unwrap();
    assert_eq!((v6.src.to_string(), v6.dst.to_string(), v6.traffic_class), ("fd00::1".into(), "fd00::2".into(), 0xb9));
}

fn sealed(packet: &[u8]) -> Vec<u8> {
    let mut packet = packet.to_vec();
    seal(&mut packet);
    packet
}

#[test]
fn ipv4_options_are_walked_over() {
    for words in 0..=10 {
        let packet = ipv4(GRE, &vec![1; 4 * words], &TUNNEL);
        assert_eq!(found(&packet), Ok((20 + 4 * words, Carrier::Ip(GRE), TUNNEL.len())));
        let packet = ipv4(UDP, &vec![1; 4 * words], &udp(&TUNNEL));
        assert_eq!(found(&packet), Ok((28 + 4 * words, Carrier::Udp(4789), TUNNEL.len())));
    }
}

#[test]
fn ipv6_extension_headers_are_walked_over() {
    // RFC 8200 §4.1: these may stand before the tunnel, destination options twice.
    for headers in [
        &[][..],
        &[HOP_BY_HOP],
        &[DESTINATION_OPTIONS],
        &[HOP_BY_HOP, DESTINATION_OPTIONS],
        &[HOP_BY_HOP, DESTINATION_OPTIONS, ROUTING, DESTINATION_OPTIONS],
    ] {
        let at = 40 + 8 * headers.len();
        let packet = changed_segments_left(&extended(headers, UDP, &udp(&TUNNEL)), 0);
        assert_eq!(found(&packet), Ok((at + 8, Carrier::Udp(4789), TUNNEL.len())), "{headers:?}");
    }
}

/// The packet with this many segments left in its routing header, wherever that is.
fn changed_segments_left(packet: &[u8], left: u8) -> Vec<u8> {
    let (mut next, mut at) = (packet[6], 40);
    while [HOP_BY_HOP, ROUTING, DESTINATION_OPTIONS].contains(&next) {
        if next == ROUTING {
            return changed(packet, at + 3, &[left]);
        }
        (next, at) = (packet[at], at + 8);
    }
    packet.to_vec()
}

#[test]
fn a_routing_header_with_segments_left_is_dropped() {
    // RFC 8200 §4.4: its destination is another's, and no type of it is known here.
    let packet = extended(&[ROUTING], GRE, &TUNNEL);
    assert_eq!(found(&changed_segments_left(&packet, 1)), Err("extension_headers"));
}

#[test]
fn a_long_extension_header_is_walked_by_its_own_length() {
    let mut extension = vec![GRE, 2];
    extension.resize(24, 0);
    extension.extend(TUNNEL);
    assert_eq!(found(&ipv6(HOP_BY_HOP, &extension)), Ok((64, Carrier::Ip(GRE), TUNNEL.len())));
}

#[test]
fn more_extension_headers_than_any_peer_needs_are_dropped() {
    assert_eq!(found(&extended(&[DESTINATION_OPTIONS; 5], GRE, &TUNNEL)), Err("extension_headers"));
}

#[test]
fn an_extension_header_that_outruns_its_packet_is_dropped() {
    let packet = extended(&[HOP_BY_HOP], GRE, &TUNNEL);
    assert_eq!(found(&changed(&packet, 41, &[200])), Err("bad_length"));
    assert_eq!(found(&ipv6(HOP_BY_HOP, &[])), Err("truncated"));
}

#[test]
fn fragments_of_ipv4_are_dropped_by_name() {
    // RFC 7348 §4.3 and RFC 7637 §3.2: MF, or any offset.
    for flags in [0x2000_u16, 0x0001, 0x1fff, 0x2001, 0x6000] {
        let packet = sealed(&changed(&ipv4(GRE, &[], &TUNNEL), 6, &flags.to_be_bytes()));
        assert_eq!(found(&packet), Err("outer_fragment"), "{flags:#06x}");
    }
    let whole = sealed(&changed(&ipv4(GRE, &[], &TUNNEL), 6, &[0x40, 0]));
    assert_eq!(found(&whole), Ok((20, Carrier::Ip(GRE), TUNNEL.len())));
}

#[test]
fn fragments_of_ipv6_are_dropped_by_name_also_behind_options() {
    for headers in [&[FRAGMENT][..], &[HOP_BY_HOP, FRAGMENT]] {
        assert_eq!(found(&extended(headers, GRE, &TUNNEL)), Err("outer_fragment"));
    }
}

#[test]
fn a_packet_with_a_fragment_header_that_is_whole_is_taken() {
    // RFC 6946: offset 0 and no more to come; the reserved bits may be anything.
    for (headers, at) in [(&[FRAGMENT][..], 42), (&[HOP_BY_HOP, FRAGMENT, DESTINATION_OPTIONS], 50)] {
        for word in [[0, 0], [0, 6]] {
            let packet = changed(&extended(headers, GRE, &TUNNEL), at, &word);
            let len = 40 + headers.len() * 8;
            assert_eq!(found(&packet), Ok((len, Carrier::Ip(GRE), TUNNEL.len())), "{headers:?}");
        }
    }
}

#[test]
fn an_ipv4_header_that_cannot_be_is_dropped() {
    let packet = ipv4(GRE, &[], &TUNNEL);
    for version in [0, 1, 5, 7, 15] {
        assert_eq!(found(&changed(&packet, 0, &[version << 4 | 5])), Err("bad_ip_header"), "version {version}");
    }
    for words in 0..5 {
        assert_eq!(found(&changed(&packet, 0, &[0x40 | words])), Err("bad_ip_header"), "{words} words");
    }
    for at in 0..20 {
        let damaged = changed(&packet, at, &[packet[at] ^ 0x40]);
        assert!(found(&damaged).is_err(), "byte {at} damaged");
    }
    assert_eq!(found(&changed(&packet, 8, &[63])), Err("bad_ip_checksum"));
}

#[test]
fn lengths_that_lie_are_dropped() {
    let v4 = ipv4(GRE, &[], &TUNNEL);
    for len in [0_u16, 19, 20 + 10, u16::MAX] {
        assert_eq!(found(&sealed(&changed(&v4, 2, &len.to_be_bytes()))), Err("bad_length"), "IPv4 length {len}");
    }
    let v6 = ipv6(GRE, &TUNNEL);
    for len in [10_u16, u16::MAX] {
        assert_eq!(found(&changed(&v6, 4, &len.to_be_bytes())), Err("bad_length"), "IPv6 length {len}");
    }
    let datagram = ipv4(UDP, &[], &udp(&TUNNEL));
    for len in [0_u16, 7, 8 + 10, u16::MAX] {
        assert_eq!(found(&changed(&datagram, 24, &len.to_be_bytes())), Err("bad_length"), "UDP length {len}");
    }
}

#[test]
fn a_udp_length_shorter_than_the_packet_ends_the_tunnel_there() {
    let packet = changed(&ipv4(UDP, &[], &udp(&TUNNEL)), 24, &[0, 8 + 4]);
    assert_eq!(found(&packet), Ok((28, Carrier::Udp(4789), 4)));
}

#[test]
fn ethernet_padding_is_not_part_of_the_tunnel() {
    for packet in [ipv4(UDP, &[], &udp(&TUNNEL)), ipv6(UDP, &udp(&TUNNEL))] {
        let end = packet.len();
        let padded = [&packet[..], &[0; 30]].concat();
        assert_eq!(outer(&padded).unwrap().end as usize, 14 + end);
    }
}

#[test]
fn a_packet_cut_at_any_byte_is_dropped_by_name() {
    for packet in [
        ipv4(UDP, &[1; 12], &udp(&TUNNEL)),
        ipv4(GRE, &[], &TUNNEL),
        extended(&[HOP_BY_HOP, DESTINATION_OPTIONS], UDP, &udp(&TUNNEL)),
    ] {
        for cut in 0..packet.len() {
            let drop = found(&packet[..cut]).unwrap_err();
            assert!(["truncated", "bad_length"].contains(&drop), "cut to {cut}: {drop}");
        }
    }
}

#[test]
fn an_endpoint_without_a_vlan_takes_untagged_ip_only() {
    for (ether_type, at) in [(0x0800, Some(14)), (0x86dd, Some(14)), (0x0806, None), (0x8100, None), (0x88a8, None)] {
        assert_eq!(ip_start(&ethernet(ether_type, &[0; 40]), None), at, "{ether_type:#06x}");
    }
}

#[test]
fn an_endpoint_without_a_vlan_takes_a_tag_that_only_carries_a_priority() {
    let ip = ethernet(0x86dd, &[0; 40]);
    let starts = |tags: &[(u16, u16)]| ip_start(&tagged(&ip, tags), None);
    for tpid in [0x8100, 0x88a8] {
        for priority in [0, 0x6000, 0xf000] {
            assert_eq!(starts(&[(tpid, priority)]), Some(18));
        }
        assert_eq!(starts(&[(tpid, 1)]), None);
        assert_eq!(starts(&[(tpid, 0x6fff)]), None);
    }
    for stack in [&[(0x8100, 0), (0x8100, 0)][..], &[(0x88a8, 0), (0x8100, 5)], &[(0x9100, 0)]] {
        assert_eq!(starts(stack), None, "{stack:x?}");
    }
    assert_eq!(ip_start(&tagged(&ethernet(0x0806, &[0; 40]), &[(0x8100, 0)]), None), None);
    assert_eq!(ip_start(&tagged(&ip, &[(0x8100, 0)])[..17], None), None);
}

#[test]
fn an_endpoint_in_a_vlan_takes_exactly_its_own_tag() {
    let ip = ethernet(0x0800, &[0; 40]);
    let starts = |tags: &[(u16, u16)]| ip_start(&tagged(&ip, tags), Some(5));
    assert_eq!(starts(&[(0x8100, 5)]), Some(18));
    // The priority may be anything.
    assert_eq!(starts(&[(0x8100, 0xf005)]), Some(18));
    for stack in [&[][..], &[(0x8100, 6)], &[(0x8100, 0)], &[(0x88a8, 5)], &[(0x8100, 5), (0x8100, 5)]] {
        assert_eq!(starts(stack), None, "{stack:x?}");
    }
}

#[test]
fn the_destination_is_found_before_anything_is_checked() {
    let v4 = ethernet(0x0800, &changed(&ipv4(GRE, &[], &TUNNEL), 10, &[0, 0]));
    assert_eq!(ip_destination(&v4, 14).map(|ip| ip.to_string()), Some("192.0.2.2".into()));
    let v6 = ethernet(0x86dd, &ipv6(FRAGMENT, &TUNNEL));
    assert_eq!(ip_destination(&v6, 14).map(|ip| ip.to_string()), Some("fd00::2".into()));
    assert_eq!(ip_destination(&v4[..33], 14), None);
}

proptest! {
    #[test]
    fn no_bytes_make_the_walk_panic(bytes in prop::collection::vec(any::<u8>(), 0..120), at in 0_usize..40) {
        if let Ok(outer) = walk(&bytes, at) {
            prop_assert!(usize::from(outer.at) <= outer.end as usize && outer.end as usize <= bytes.len());
        }
    }

    #[test]
    fn no_damaged_packet_makes_the_walk_panic(at in 0_usize..60, bits in 1_u8.., six in any::<bool>()) {
        let packet = if six { extended(&[HOP_BY_HOP], UDP, &udp(&TUNNEL)) } else { ipv4(UDP, &[1; 8], &udp(&TUNNEL)) };
        let damaged = changed(&packet, at.min(packet.len() - 1), &[bits]);
        if let Ok(outer) = walk(&damaged, 0) {
            prop_assert!(usize::from(outer.at) <= outer.end as usize && outer.end as usize <= damaged.len());
        }
    }
}
