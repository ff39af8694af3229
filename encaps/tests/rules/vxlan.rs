//! RFC 7348.

use transload_encaps::{Carrier, Compiled, Reserved, Segment, Spec, vxlan};

use crate::{TENANT, decap, encap, peer, tolerated};

fn vxlan(reserved: Reserved) -> Compiled {
    peer(&Spec::Vxlan(vxlan::Spec { reserved, ..vxlan::Spec::default() }), &[])
}

fn wire(header: u64) -> Vec<u8> {
    [&header.to_be_bytes()[..], &TENANT].concat()
}

const VNI_100: u64 = 0x0800_0000_0000_6400;

/// Every bit that RFC 7348 §5 reserves: seven flags, 24 bits, and the last eight.
fn reserved_bits() -> impl Iterator<Item = u64> {
    let meaningful = 0x0800_0000_ffff_ff00_u64;
    (0..64).map(|bit| 1 << bit).filter(move |bit| bit & meaningful == 0)
}

#[test]
fn the_header_of_the_drawing_carries_its_vni() {
    for vni in [0, 1, 100, 0x12_3456, 0xff_ffff] {
        let (found, inner) = decap(&vxlan(Reserved::Strict), &wire(0x0800_0000_0000_0000 | vni << 8)).unwrap();
        assert_eq!((found.segment, inner), (Segment(vni), TENANT.to_vec()));
    }
}

#[test]
fn without_the_i_flag_there_is_no_vni() {
    for flags in (0..=255_u64).filter(|flags| flags & 0x08 == 0) {
        assert_eq!(decap(&vxlan(Reserved::Ignore), &wire(flags << 56 | 0x6400)), Err("vxlan_vni_flag_clear"));
    }
}

#[test]
fn reserved_bits_are_ignored_on_receive_and_counted() {
    let mut bits = 0;
    for bit in reserved_bits() {
        let (found, inner) = decap(&vxlan(Reserved::Ignore), &wire(VNI_100 | bit)).unwrap();
        assert_eq!((found.segment, &inner[..]), (Segment(100), &TENANT[..]), "bit {bit:#018x}");
        assert_eq!(tolerated(&found), Some("vxlan_reserved_bits"), "bit {bit:#018x}");
        bits += 1;
    }
    assert_eq!(bits, 7 + 24 + 8);
}

#[test]
fn a_strict_peer_may_not_set_reserved_bits() {
    for bit in reserved_bits() {
        assert_eq!(decap(&vxlan(Reserved::Strict), &wire(VNI_100 | bit)), Err("vxlan_reserved_bits"));
    }
}

#[test]
fn a_clean_header_is_not_counted_as_tolerated() {
    let (found, _) = decap(&vxlan(Reserved::Ignore), &wire(VNI_100)).unwrap();
    assert_eq!(tolerated(&found), None);
}

#[test]
fn reserved_bits_are_zero_on_transmit_whatever_the_flow() {
    for entropy in [0, 1, u32::MAX] {
        assert_eq!(encap(&vxlan(Reserved::Ignore), &[("vni", 100)], &TENANT, entropy), wire(VNI_100));
    }
}

#[test]
fn the_udp_port_is_4789_unless_the_peer_moves_it() {
    assert_eq!(vxlan(Reserved::Ignore).carrier(), Carrier::Udp(4789));
    let moved = Spec::Vxlan(vxlan::Spec { udp_port: 8472, ..vxlan::Spec::default() });
    assert_eq!(peer(&moved, &[]).carrier(), Carrier::Udp(8472));
}

#[test]
fn udp_port_0_is_refused_by_name() {
    let zero = Spec::Vxlan(vxlan::Spec { udp_port: 0, ..vxlan::Spec::default() });
    assert_eq!(zero.compile().unwrap_err().field, "udp_port");
}
