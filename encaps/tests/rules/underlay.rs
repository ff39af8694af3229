//! The outer headers we send: RFC 791, RFC 6864, RFC 8200, RFC 6438, RFC 2983.

use std::net::IpAddr;

use transload_encaps::outer::walk;
use transload_encaps::underlay::{
    Dscp, EcnMode, LinkAddresses, SourcePorts, Summing, UdpChecksum, Underlay, UnderlaySpec,
};
use transload_encaps::{Carrier, DropReason, Mac};

use crate::packet::sum;
use crate::support::{chunk, frame, frame_at};

/// The next hop of every test.
pub(crate) const LINK: LinkAddresses = LinkAddresses { dst: Mac([2, 0, 0, 0, 0, 0xd]), src: Mac([2, 0, 0, 0, 0, 0x5]) };

/// A tunnel to this address, from 192.0.2.1 or `fd00::1`, with nothing special about it.
pub(crate) fn spec_to(dst: IpAddr, carrier: Carrier) -> UnderlaySpec {
    let src = if dst.is_ipv4() { "192.0.2.1" } else { "fd00::1" };
    UnderlaySpec {
        src: src.parse().unwrap(),
        dst,
        vlan: None,
        carrier,
        ttl: 64,
        df: true,
        dscp: Dscp::Pipe(0),
        ecn: EcnMode::Normal,
        udp_checksum: UdpChecksum::Zero,
        source_ports: SourcePorts::DYNAMIC,
    }
}

fn gre_to(dst: &str) -> UnderlaySpec {
    spec_to(dst.parse().unwrap(), Carrier::Ip(47))
}

pub(crate) fn stamped(spec: &UnderlaySpec, payload: &[u8], entropy: u32, class: u8) -> Vec<u8> {
    let mut chunk = chunk();
    let mut frame = frame(&mut chunk, payload);
    Underlay::compile(spec).stamp(&mut frame, LINK, entropy, class, Summing::Here).unwrap();
    frame.bytes().to_vec()
}

#[test]
fn the_ipv4_header_is_whole_and_may_not_be_fragmented() {
    let packet = stamped(&gre_to("192.0.2.2"), b"tunnel", 0xffff_ffff, 0);
    assert_eq!(packet[..14], [2, 0, 0, 0, 0, 0xd, 2, 0, 0, 0, 0, 0x5, 0x08, 0]);
    // Version and length, total length 26, identification 0 (RFC 6864 §4.1), DF, TTL 64, GRE.
    assert_eq!(packet[14..24], [0x45, 0, 0, 26, 0, 0, 0x40, 0, 64, 47]);
    assert_eq!(packet[26..34], [192, 0, 2, 1, 192, 0, 2, 2]);
    assert_eq!(sum(&packet[14..34]), 0xffff);
    assert_eq!(&packet[34..], b"tunnel");
}

#[test]
fn the_ipv4_checksum_is_right_at_every_length_and_class() {
    for len in (0..9000).step_by(97) {
        for class in 0..=255 {
            let spec = UnderlaySpec { dscp: Dscp::Uniform, ..gre_to("192.0.2.2") };
            let packet = stamped(&spec, &vec![0; len], 0, class);
            assert_eq!(sum(&packet[14..34]), 0xffff, "{len} bytes, class {class:#04x}");
        }
    }
}

#[test]
fn the_ipv6_flow_label_carries_the_entropy() {
    // RFC 6438 §3.
    let packet = stamped(&gre_to("fd00::2"), b"tunnel", 0xabcd_ef12, 0);
    assert_eq!(packet[12..22], [0x86, 0xdd, 0x60, 0x0d, 0xef, 0x12, 0, 6, 47, 64]);
    assert_eq!(&packet[54..], b"tunnel");
}

#[test]
fn what_is_stamped_is_what_the_walk_finds() {
    for dst in ["192.0.2.2", "fd00::2"] {
        for carrier in [Carrier::Ip(47), Carrier::Udp(4789), Carrier::Udp(8472)] {
            for vlan in [None, Some(5)] {
                let spec = UnderlaySpec { vlan, ..spec_to(dst.parse().unwrap(), carrier) };
                let packet = stamped(&spec, b"tunnel", 1, 0);
                let at = transload_encaps::outer::ip_start(&packet, vlan).unwrap();
                let outer = walk(&packet, at).unwrap();
                assert_eq!((outer.src, outer.dst, outer.carrier), (spec.src, spec.dst, carrier));
                assert_eq!(&packet[outer.at.into()..outer.end as usize], b"tunnel");
            }
        }
    }
}

#[test]
fn the_outer_tag_is_8100_with_the_endpoints_vlan() {
    let packet = stamped(&UnderlaySpec { vlan: Some(5), ..gre_to("192.0.2.2") }, b"", 0, 0);
    assert_eq!(packet[12..18], [0x81, 0, 0, 5, 8, 0]);
}

#[test]
fn dscp_is_the_tunnels_own_or_the_tenants() {
    // RFC 2983 §3: pipe and uniform.
    let class_of = |dscp, inner| stamped(&UnderlaySpec { dscp, ..gre_to("192.0.2.2") }, b"", 0, inner)[15];
    assert_eq!(class_of(Dscp::Pipe(0), 0xb8), 0);
    assert_eq!(class_of(Dscp::Pipe(46), 0), 0xb8);
    assert_eq!(class_of(Dscp::Uniform, 0xb8), 0xb8);
    assert_eq!(class_of(Dscp::Uniform, 0), 0);
}

#[test]
fn without_headroom_the_frame_is_left_alone() {
    let underlay = Underlay::compile(&gre_to("fd00::2"));
    for headroom in 0..underlay.overhead() {
        let mut chunk = chunk();
        let mut frame = frame_at(&mut chunk, headroom, b"tunnel");
        assert_eq!(
            underlay.stamp(&mut frame, LINK, 0, 0, Summing::Here).map_err(DropReason::label),
            Err("no_headroom")
        );
        assert_eq!((frame.bytes(), frame.headroom()), (&b"tunnel"[..], headroom));
    }
}

#[test]
fn what_no_ip_packet_can_hold_is_too_big_and_left_alone() {
    // Total Length counts the header, Payload Length does not.
    for (dst, most) in [("192.0.2.2", 65535 - 20), ("fd00::2", 65535)] {
        for (len, verdict) in [(most, Ok(())), (most + 1, Err("too_big"))] {
            let mut chunk = vec![0; 70_000];
            let mut frame = frame(&mut chunk, &vec![7; len]);
            let stamp = Underlay::compile(&gre_to(dst)).stamp(&mut frame, LINK, 0, 0, Summing::Here);
            assert_eq!(stamp.map_err(DropReason::label), verdict, "{dst}, {len} bytes");
            assert_eq!(frame.len() == len, verdict.is_err());
        }
    }
}

#[test]
fn a_packet_that_routers_may_fragment_has_no_df_and_an_identification_of_its_own() {
    for (vlan, at) in [(None, 14), (Some(5), 18)] {
        let underlay = Underlay::compile(&UnderlaySpec { df: false, vlan, ..gre_to("192.0.2.2") });
        for id in [0, 1, 0x1234, 0xffff] {
            let mut chunk = chunk();
            let mut frame = frame(&mut chunk, b"tunnel");
            underlay.stamp(&mut frame, LINK, 7, 0, Summing::Here).unwrap();
            underlay.identify(&mut frame, id);
            let ip = &frame.bytes()[at..at + 20];
            assert_eq!((&ip[4..6], &ip[6..8], sum(ip)), (&id.to_be_bytes()[..], &[0, 0][..], 0xffff), "RFC 6864 §4.2");
        }
    }
}
