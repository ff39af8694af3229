//! Outer UDP: RFC 768, RFC 6935, RFC 6936, and what RFC 7348 §4.1.1 and §5 ask of VXLAN's.

use std::net::IpAddr;

use transload_encaps::outer::{UdpRules, verify_udp, walk};
use transload_encaps::underlay::{SourcePorts, Summing, UdpChecksum, Underlay, UnderlaySpec};
use transload_encaps::{Carrier, Checksum, DropReason, Frame, checksum};

use crate::packet::{ethernet, ipv4, ipv6, seal_udp, udp, udp_sum};
use crate::support::{chunk, frame};
use crate::underlay::{LINK, spec_to};

const REFUSE_ZERO: UdpRules = UdpRules { zero6: false, unverified: false };
const ACCEPT_ZERO: UdpRules = UdpRules { zero6: true, unverified: false };

fn verified(packet: &[u8], rules: UdpRules, checksum: Checksum) -> Result<(), &'static str> {
    let mut chunk = chunk();
    let mut frame = frame(&mut chunk, &ethernet(0, packet));
    frame.meta.checksum = checksum;
    let outer = walk(frame.bytes(), 14).expect("the packet is whole");
    verify_udp(&frame, &outer, rules).map(|_| ()).map_err(DropReason::label)
}

fn sealed(mut packet: Vec<u8>) -> Vec<u8> {
    seal_udp(&mut packet);
    packet
}

/// A sent UDP packet without its Ethernet header.
fn sent(dst: &str, udp_checksum: UdpChecksum, payload: &[u8], entropy: u32) -> Vec<u8> {
    let mut chunk = chunk();
    let mut frame: Frame<'_> = frame(&mut chunk, payload);
    let spec = spec_to(dst.parse::<IpAddr>().unwrap(), Carrier::Udp(4789));
    Underlay::compile(&UnderlaySpec { udp_checksum, ..spec })
        .stamp(&mut frame, LINK, entropy, 0, Summing::Here)
        .unwrap();
    frame.bytes()[14..].to_vec()
}

#[test]
fn zero_is_always_accepted_over_ipv4() {
    assert_eq!(verified(&ipv4(17, &[], &udp(b"payload")), REFUSE_ZERO, Checksum::Unknown), Ok(()));
}

#[test]
fn zero_over_ipv6_is_accepted_or_refused_as_the_peer_says() {
    let packet = ipv6(17, &udp(b"payload"));
    assert_eq!(verified(&packet, ACCEPT_ZERO, Checksum::Unknown), Ok(()));
    assert_eq!(verified(&packet, REFUSE_ZERO, Checksum::Unknown), Err("udp_zero_checksum"));
}

#[test]
fn a_right_checksum_is_accepted_over_either_ip_and_at_every_length() {
    for len in 0..64 {
        let payload: Vec<u8> = (0..len).map(|n: u8| n.wrapping_mul(37)).collect();
        for packet in [ipv4(17, &[], &udp(&payload)), ipv6(17, &udp(&payload))] {
            assert_eq!(verified(&sealed(packet), REFUSE_ZERO, Checksum::Unknown), Ok(()), "{len} bytes");
        }
    }
}

#[test]
fn a_wrong_checksum_is_dropped_whichever_byte_is_damaged() {
    for packet in [sealed(ipv4(17, &[], &udp(b"payload"))), sealed(ipv6(17, &udp(b"payload")))] {
        let udp_at = packet.len() - 15;
        for at in (udp_at..packet.len()).filter(|at| !(udp_at + 4..udp_at + 6).contains(at)) {
            let mut damaged = packet.clone();
            damaged[at] ^= 0x04;
            assert_eq!(verified(&damaged, ACCEPT_ZERO, Checksum::Unknown), Err("udp_checksum"), "byte {at}");
        }
    }
}

#[test]
fn padding_behind_the_packet_is_not_summed() {
    let packet = sealed(ipv4(17, &[], &udp(b"odd")));
    assert_eq!(verified(&[&packet[..], &[0xff; 20]].concat(), REFUSE_ZERO, Checksum::Unknown), Ok(()));
}

#[test]
fn what_the_port_vouches_for_or_left_unfinished_is_not_verified() {
    let mut packet = sealed(ipv4(17, &[], &udp(b"payload")));
    packet[30] ^= 1;
    for checksum in [Checksum::Valid, Checksum::Partial { start: 40, offset: 6 }] {
        assert_eq!(verified(&packet, REFUSE_ZERO, checksum), Ok(()));
    }
}

#[test]
fn a_checksum_that_is_not_asked_for_is_sent_as_zero() {
    assert_eq!(sent("192.0.2.2", UdpChecksum::Zero, b"payload", 1)[26..28], [0, 0]);
    assert_eq!(sent("fd00::2", UdpChecksum::Zero, b"payload", 1)[46..48], [0, 0]);
}

#[test]
fn a_computed_checksum_is_right_over_either_ip_and_at_every_length() {
    for len in 0..64 {
        let payload: Vec<u8> = (0..len).map(|n: u8| n.wrapping_mul(41) ^ 3).collect();
        for dst in ["192.0.2.2", "fd00::2"] {
            assert_eq!(udp_sum(&sent(dst, UdpChecksum::Compute, &payload, 99)), 0xffff, "{dst}, {len} bytes");
        }
    }
}

#[test]
fn what_is_left_to_the_device_is_the_sum_of_what_it_does_not_see() {
    for dst in ["192.0.2.2", "fd00::2"] {
        let mut chunk = chunk();
        let mut frame: Frame<'_> = frame(&mut chunk, b"payload");
        let spec = spec_to(dst.parse::<IpAddr>().unwrap(), Carrier::Udp(4789));
        let underlay = Underlay::compile(&UnderlaySpec { udp_checksum: UdpChecksum::Compute, ..spec });
        underlay.stamp(&mut frame, LINK, 7, 0, Summing::Device).unwrap();

        let Checksum::Partial { start, offset } = frame.meta.checksum else { panic!("{:?}", frame.meta) };
        let at = frame.frame_offset(start).unwrap();
        assert_eq!((at, offset), (underlay.overhead() - 8, 6));
        let device = !checksum::fold(checksum::add(0, &frame.bytes()[at..]));
        frame.bytes_mut()[at + 6..at + 8].copy_from_slice(&device.to_be_bytes());
        assert_eq!(frame.bytes()[14..], sent(dst, UdpChecksum::Compute, b"payload", 7), "{dst}");
    }
}

#[test]
fn a_computed_zero_is_sent_as_all_ones() {
    // RFC 768: zero means no checksum. One of all two-byte payloads sums to it.
    let all_ones = (0..=u16::MAX)
        .map(|word| sent("192.0.2.2", UdpChecksum::Compute, &word.to_be_bytes(), 0))
        .inspect(|packet| assert_ne!(packet[26..28], [0, 0]))
        .filter(|packet| packet[26..28] == [0xff, 0xff])
        .count();
    assert!(all_ones >= 1, "no payload summed to zero, so nothing was tested");
}

#[test]
fn source_ports_are_dynamic_ones_spread_by_the_flow_and_stable_for_it() {
    // RFC 7348 §5, RFC 6335 §6.
    let port = |entropy| {
        let packet = sent("192.0.2.2", UdpChecksum::Zero, b"", entropy);
        u16::from_be_bytes([packet[20], packet[21]])
    };
    let ports: std::collections::HashSet<u16> = (0..0x4000).map(port).collect();
    assert_eq!(ports.len(), 0x4000);
    assert_eq!(ports.iter().min(), Some(&49152));
    assert_eq!(port(u32::MAX), 65535);
    assert_eq!(port(0x1234_5678), port(0x1234_5678));
}

#[test]
fn source_ports_are_a_peers_own_where_it_has_some() {
    for (first, last) in [(50_048, 50_175), (1, 1), (0x8000, 0xffff)] {
        for dst in ["192.0.2.2", "2001:db8::2"] {
            let spec = spec_to(dst.parse().unwrap(), Carrier::Udp(4789));
            let spec = UnderlaySpec { source_ports: SourcePorts::new(first, last).unwrap(), ..spec };
            let udp = if spec.dst.is_ipv6() { 40 } else { 20 };
            let ports: std::collections::BTreeSet<u16> = (0..0x1_0000)
                .map(|entropy| {
                    let packet = super::underlay::stamped(&spec, b"", entropy, 0);
                    u16::from_be_bytes([packet[14 + udp], packet[15 + udp]])
                })
                .collect();
            assert!(ports.into_iter().eq(first..=last), "{first}-{last}");
        }
    }
    for (first, last) in [(50_000, 50_127), (50_048, 50_174), (0, 127), (7, 6)] {
        assert_eq!(SourcePorts::new(first, last), None, "{first}-{last}");
    }
}
