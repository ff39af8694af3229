//! RFC 6040: congestion marks into and out of a tunnel.

use transload_encaps::underlay::{EcnMode, Summing, Underlay, UnderlaySpec};
use transload_encaps::{Carrier, DropReason, ecn};

use crate::packet::{ethernet, ipv4, ipv6, seal, sum};
use crate::support::{chunk, frame};
use crate::tagged;
use crate::underlay::{LINK, spec_to};

const NOT_ECT: u8 = 0;
const ECT_1: u8 = 1;
const ECT_0: u8 = 2;
const CE: u8 = 3;

/// RFC 6040 figure 4: the inner marks, and what becomes of them under Not-ECT, ECT(0), ECT(1) and CE outside.
const FIGURE_4: [(u8, [Option<u8>; 4]); 4] = [
    (NOT_ECT, [Some(NOT_ECT), Some(NOT_ECT), Some(NOT_ECT), None]),
    (ECT_0, [Some(ECT_0), Some(ECT_0), Some(ECT_1), Some(CE)]),
    (ECT_1, [Some(ECT_1), Some(ECT_1), Some(ECT_1), Some(CE)]),
    (CE, [Some(CE); 4]),
];
const OUTSIDE: [u8; 4] = [NOT_ECT, ECT_0, ECT_1, CE];

/// DSCP EF, which must survive whatever happens to the two bits beside it.
const DSCP: u8 = 0xb8;

/// Tenant frames with these marks: IPv4 and IPv6, without a tag, with one, and with two. With each, where IP begins.
fn tenants(marks: u8) -> Vec<(Vec<u8>, usize)> {
    let mut v4 = ipv4(6, &[1; 4], b"segment");
    v4[1] = DSCP | marks;
    seal(&mut v4);
    let mut v6 = ipv6(6, b"segment");
    let class = DSCP | marks;
    [v6[0], v6[1]] = [0x60 | class >> 4, class << 4 | 0x0a];
    let stacks: [&[(u16, u16)]; 3] = [&[], &[(0x8100, 7)], &[(0x88a8, 100), (0x8100, 7)]];
    let frames = [ethernet(0x0800, &v4), ethernet(0x86dd, &v6)];
    let with = |frame: &Vec<u8>| stacks.map(|tags| (tagged(frame, tags), 14 + 4 * tags.len()));
    frames.iter().flat_map(with).collect()
}

fn decapsulated(bytes: &[u8], outer: u8) -> Result<Vec<u8>, &'static str> {
    let mut chunk = chunk();
    let mut frame = frame(&mut chunk, bytes);
    ecn::decap(&mut frame, outer).map_err(DropReason::label)?;
    Ok(frame.bytes().to_vec())
}

#[test]
fn figure_4_is_written_into_the_tenants_frame_behind_any_tags() {
    for (inner, results) in FIGURE_4 {
        for (outer, result) in OUTSIDE.into_iter().zip(results) {
            for (at, (frame, _)) in tenants(inner).iter().enumerate() {
                // The outer DSCP is the tunnel's own business.
                let expected = result.map(|marks| tenants(marks)[at].0.clone()).ok_or("ecn_dropped");
                assert_eq!(decapsulated(frame, 0xfc | outer), expected, "inner {inner:02b}, outer {outer:02b}");
            }
        }
    }
}

#[test]
fn the_ipv4_header_checksum_stays_right() {
    for (inner, results) in FIGURE_4 {
        for (outer, _) in OUTSIDE.into_iter().zip(results).filter(|(_, result)| result.is_some()) {
            for (frame, ip_at) in tenants(inner).into_iter().take(3) {
                let after = decapsulated(&frame, outer).unwrap();
                assert_eq!(sum(&after[ip_at..ip_at + 24]), 0xffff);
            }
        }
    }
}

#[test]
fn congestion_outside_a_frame_that_is_not_ip_is_ignored() {
    for frame in [ethernet(0x0806, &[0; 28]), ethernet(0x88b5, &[0; 46]), ethernet(0x0800, &[]), ethernet(0x8100, &[0])]
    {
        assert_eq!(decapsulated(&frame, CE), Ok(frame));
    }
}

/// The marks outside after encapsulation.
fn marks_sent(frame_bytes: &[u8], mode: EcnMode, dst: &str) -> u8 {
    let mut chunk = chunk();
    let mut frame = frame(&mut chunk, frame_bytes);
    let class = ecn::traffic_class(frame.bytes());
    let spec = UnderlaySpec { ecn: mode, ..spec_to(dst.parse().unwrap(), Carrier::Ip(47)) };
    Underlay::compile(&spec).stamp(&mut frame, LINK, 0, class.unwrap_or(0), Summing::Here).unwrap();
    let ip = &frame.bytes()[14..];
    if ip[0] >> 4 == 4 { ip[1] & 3 } else { ip[1] >> 4 & 3 }
}

#[test]
fn normal_mode_copies_the_tenants_marks_and_compatibility_mode_none() {
    // §4.1, congestion experienced included.
    for marks in OUTSIDE {
        for (frame, _) in tenants(marks) {
            for dst in ["192.0.2.2", "fd00::2"] {
                assert_eq!(marks_sent(&frame, EcnMode::Normal, dst), marks);
                assert_eq!(marks_sent(&frame, EcnMode::Compatibility, dst), NOT_ECT);
            }
        }
    }
}

#[test]
fn a_frame_that_is_not_ip_travels_as_not_ect() {
    assert_eq!(marks_sent(&ethernet(0x0806, &[0xff; 28]), EcnMode::Normal, "192.0.2.2"), NOT_ECT);
}

#[test]
fn translation_is_decapsulation_and_then_encapsulation() {
    for (inner, results) in FIGURE_4 {
        for (outer, result) in OUTSIDE.into_iter().zip(results) {
            for (frame, _) in tenants(inner) {
                let Ok(carried) = decapsulated(&frame, outer) else { continue };
                assert_eq!(Some(marks_sent(&carried, EcnMode::Normal, "192.0.2.2")), result);
            }
        }
    }
}
