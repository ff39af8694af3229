//! RFC 7637.

use transload_encaps::nvgre::{self, FlowId};
use transload_encaps::{Carrier, Compiled, InnerTags, Kind, Reserved, Segment, Spec};

use crate::{TENANT, decap, encap, peer, tagged, tolerated};

fn nvgre(reserved: Reserved) -> Compiled {
    peer(&Spec::Nvgre(nvgre::Spec { reserved, ..nvgre::Spec::default() }), &[])
}

fn sending(flow_id: FlowId) -> Compiled {
    peer(&Spec::Nvgre(nvgre::Spec { flow_id, ..nvgre::Spec::default() }), &[])
}

fn wire(flags: u16, protocol: u16, key: u32, inner: &[u8]) -> Vec<u8> {
    let mut bytes = flags.to_be_bytes().to_vec();
    bytes.extend(protocol.to_be_bytes());
    bytes.extend(key.to_be_bytes());
    bytes.extend(inner);
    bytes
}

#[test]
fn a_vsid_is_found_whatever_the_flow_id() {
    // §3.2: the FlowID is entropy, never part of the tenant's ID.
    for flow_id in 0..=255 {
        let (found, inner) =
            decap(&nvgre(Reserved::Strict), &wire(0x2000, 0x6558, 0x1234_5600 | flow_id, &TENANT)).unwrap();
        assert_eq!((found.segment, &inner[..]), (Segment(0x12_3456), &TENANT[..]));
        assert_eq!(tolerated(&found), None);
    }
}

#[test]
fn checksum_and_sequence_bits_must_be_zero_and_the_key_bit_one() {
    // §3.2. The bits that RFC 2784 §2.3 makes fatal, and versions, are fatal here too.
    for flags in [0x0000, 0xa000, 0x3000, 0xb000, 0x6000, 0x2800, 0x2400, 0x2001, 0x2002, 0x2004, 0x2007] {
        assert_eq!(
            decap(&nvgre(Reserved::Ignore), &wire(flags, 0x6558, 0x0010_0000, &TENANT)),
            Err("nvgre_bad_flags"),
            "{flags:#06x}"
        );
    }
}

#[test]
fn reserved0_is_ignored_and_counted_or_dropped_when_strict() {
    for bit in 3..10 {
        let bytes = wire(0x2000 | 1 << bit, 0x6558, 0x0010_0000, &TENANT);
        let (found, inner) = decap(&nvgre(Reserved::Ignore), &bytes).unwrap();
        assert_eq!((found.segment, &inner[..]), (Segment(0x1000), &TENANT[..]));
        assert_eq!(tolerated(&found), Some("nvgre_reserved_bits"));
        assert_eq!(decap(&nvgre(Reserved::Strict), &bytes), Err("nvgre_reserved_bits"));
    }
}

#[test]
fn the_protocol_type_must_be_transparent_ethernet_bridging() {
    for protocol in [0x0000, 0x0800, 0x86dd, 0x6559, 0x5865, 0xffff] {
        assert_eq!(
            decap(&nvgre(Reserved::Ignore), &wire(0x2000, protocol, 0x0010_0000, &TENANT)),
            Err("unknown_payload")
        );
    }
}

#[test]
fn an_inner_vlan_tag_is_dropped() {
    // §3.2: the inner frame must not carry an 802.1Q tag; a receiver drops one that does.
    for tpid in [0x8100, 0x88a8, 0x9100, 0x9200] {
        let inner = tagged(&TENANT, &[(tpid, 7)]);
        assert_eq!(decap(&nvgre(Reserved::Ignore), &wire(0x2000, 0x6558, 0x0010_0000, &inner)), Err("nvgre_inner_tag"));
    }
}

#[test]
fn the_loader_is_told_that_inner_tags_cannot_be_kept() {
    let info = Kind::Nvgre.info();
    assert_eq!((info.inner_tags, info.can_keep_tags), (InnerTags::Drop, false));
}

#[test]
fn the_flow_id_comes_from_the_flow() {
    for entropy in [0, 0x7f, 0xff, 0x1234_5678] {
        let sent = encap(&sending(FlowId::Flow), &[("vsid", 5100)], &TENANT, entropy);
        assert_eq!(sent, wire(0x2000, 0x6558, 5100 << 8 | entropy & 0xff, &TENANT));
    }
}

#[test]
fn a_flow_id_that_is_not_made_is_zero() {
    // §3.2: "if a FlowID is not generated, it MUST be set to all zero."
    let sent = encap(&sending(FlowId::Zero), &[("vsid", 5100)], &TENANT, u32::MAX);
    assert_eq!(sent, wire(0x2000, 0x6558, 5100 << 8, &TENANT));
}

#[test]
fn the_reserved_vsids_of_section_3_3_are_declared() {
    let reserved = Kind::Nvgre.info().ids[0].reserved;
    let is_reserved = |vsid| reserved.iter().any(|(range, _)| range.contains(&vsid));
    for vsid in [0, 1, 0xfff, 0xff_ffff] {
        assert!(is_reserved(vsid), "{vsid:#x}");
    }
    for vsid in [0x1000, 5100, 0xff_fffe] {
        assert!(!is_reserved(vsid), "{vsid:#x}");
    }
}

#[test]
fn nvgre_rides_on_ip_protocol_47() {
    assert_eq!(nvgre(Reserved::Ignore).carrier(), Carrier::Ip(47));
}
