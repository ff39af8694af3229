//! RFC 2784 and RFC 2890: flags, key and checksum. Sequence numbers are in `sequence`.

use transload_encaps::{Checksum, Compiled, Reserved, Segment, Spec, gre};

use crate::packet::sum;
use crate::support::{chunk, frame};
use crate::{TENANT, decap, encap, peer, segment, tolerated};

const KEY: u16 = 0x2000;

fn gre(spec: gre::Spec) -> Compiled {
    peer(&Spec::Gre(spec), &[&[], &[("key", 0)], &[("key", 0xbeef)]])
}

fn plain() -> Compiled {
    gre(gre::Spec::default())
}

fn strict() -> Compiled {
    gre(gre::Spec { reserved: Reserved::Strict, ..gre::Spec::default() })
}

fn with_checksum() -> Compiled {
    gre(gre::Spec { checksum: true, ..gre::Spec::default() })
}

fn wire(flags: u16, protocol: u16, words: &[u32]) -> Vec<u8> {
    let mut bytes = flags.to_be_bytes().to_vec();
    bytes.extend(protocol.to_be_bytes());
    bytes.extend(words.iter().flat_map(|word| word.to_be_bytes()));
    bytes.extend(TENANT);
    bytes
}

/// The same with a right checksum in the first optional word.
fn sealed(flags: u16, words: &[u32], payload: &[u8]) -> Vec<u8> {
    let mut bytes = wire(flags, 0x6558, words);
    bytes.truncate(4 + 4 * words.len());
    bytes.extend(payload);
    let checksum = !sum(&bytes);
    bytes[4..6].copy_from_slice(&checksum.to_be_bytes());
    bytes
}

#[test]
fn a_bare_header_names_the_keyless_segment() {
    let (found, inner) = decap(&plain(), &wire(0, 0x6558, &[])).unwrap();
    assert_eq!((found.segment, &inner[..]), (segment(&plain(), &[]), &TENANT[..]));
}

#[test]
fn no_key_and_key_0_are_different_tunnels() {
    // RFC 2890 §2.1.
    let (keyed, _) = decap(&plain(), &wire(KEY, 0x6558, &[0])).unwrap();
    assert_eq!(keyed.segment, segment(&plain(), &[("key", 0)]));
    assert_ne!(keyed.segment, segment(&plain(), &[]));
}

#[test]
fn the_whole_32_bit_key_is_the_tenant_id() {
    for key in [1, 0xbeef, 0xffff_ffff] {
        let (found, inner) = decap(&plain(), &wire(KEY, 0x6558, &[key])).unwrap();
        assert_eq!((found.segment, &inner[..]), (Segment(key.into()), &TENANT[..]));
    }
}

#[test]
fn the_bits_of_source_routing_are_fatal() {
    // RFC 2784 §2.3: bits 1, 4 and 5 (2 and 3 are RFC 2890's key and sequence).
    for bit in [0x4000, 0x0800, 0x0400] {
        assert_eq!(decap(&plain(), &wire(KEY | bit, 0x6558, &[1])), Err("gre_routing_bits"), "{bit:#06x}");
    }
}

#[test]
fn bits_6_to_12_are_ignored_and_counted_or_dropped_when_strict() {
    // RFC 2784 §2.3.
    for bit in 3..10 {
        let bytes = wire(KEY | 1 << bit, 0x6558, &[0xbeef]);
        let (found, inner) = decap(&plain(), &bytes).unwrap();
        assert_eq!((found.segment, &inner[..]), (Segment(0xbeef), &TENANT[..]));
        assert_eq!(tolerated(&found), Some("gre_reserved_bits"));
        assert_eq!(decap(&strict(), &bytes), Err("gre_reserved_bits"));
    }
}

#[test]
fn every_version_but_0_is_dropped() {
    // RFC 2784 §2.3.1. Version 1 is PPTP (RFC 2637).
    for version in 1..=7 {
        assert_eq!(decap(&plain(), &wire(KEY | version, 0x6558, &[1])), Err("gre_version"));
    }
}

#[test]
fn payload_that_is_not_ethernet_is_dropped() {
    for protocol in [0x0000, 0x0800, 0x86dd, 0x8847, 0x6559] {
        assert_eq!(decap(&plain(), &wire(KEY, protocol, &[1])), Err("unknown_payload"));
    }
}

#[test]
fn a_checksum_is_accepted_without_being_asked_for() {
    // RFC 2784 §2.1: "a compliant implementation MUST accept and process this field."
    for payload in [&TENANT[..], &TENANT[..19], &TENANT[..14]] {
        let (found, inner) = decap(&plain(), &sealed(0x8000 | KEY, &[0, 0xbeef], payload)).unwrap();
        assert_eq!((found.segment, &inner[..]), (Segment(0xbeef), payload));
    }
}

#[test]
fn a_wrong_checksum_is_dropped_whichever_byte_is_damaged() {
    let good = sealed(0x8000 | KEY, &[0, 0xbeef], &TENANT);
    for at in 4..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        assert_eq!(decap(&plain(), &bad), Err("gre_checksum"), "byte {at}");
    }
}

#[test]
fn a_checksum_over_bytes_that_an_offloading_sender_left_unfinished_is_not_judged() {
    let mut bytes = sealed(0x8000 | KEY, &[0, 0xbeef], &TENANT);
    bytes[30] ^= 1;
    let mut chunk = chunk();
    let mut frame = frame(&mut chunk, &bytes);
    frame.meta.checksum = Checksum::Partial { start: frame.chunk_offset(26), offset: 2 };
    assert!(plain().decap(&mut frame).is_ok());
}

#[test]
fn the_checksum_we_make_covers_header_and_payload() {
    for payload in [&TENANT[..], &TENANT[..19]] {
        let sent = encap(&with_checksum(), &[("key", 0xbeef)], payload, 0);
        assert_eq!(sent[..4], [0xa0, 0x00, 0x65, 0x58]);
        // RFC 2784 §2.4: Reserved1 is zero.
        assert_eq!(sent[6..8], [0, 0]);
        assert_eq!(sum(&sent), 0xffff);
        assert_eq!(sent[8..12], 0xbeef_u32.to_be_bytes());
        assert_eq!(&sent[12..], payload);
    }
}

#[test]
fn a_bare_header_is_four_bytes_and_says_nothing_else() {
    assert_eq!(encap(&plain(), &[], &TENANT, u32::MAX)[..4], [0, 0, 0x65, 0x58]);
    assert_eq!(encap(&plain(), &[("key", 0)], &TENANT, u32::MAX)[..8], [0x20, 0, 0x65, 0x58, 0, 0, 0, 0]);
}

#[test]
fn options_stand_in_the_order_checksum_key_sequence() {
    // RFC 2890 §2.
    let all = gre(gre::Spec { checksum: true, sequence: true, ..gre::Spec::default() });
    let sent = encap(&all, &[("key", 0xbeef)], &TENANT, 0);
    assert_eq!(sent[..4], [0xb0, 0, 0x65, 0x58]);
    assert_eq!((&sent[8..12], &sent[12..16]), (&[0, 0, 0xbe, 0xef][..], &[0; 4][..]));
    assert_eq!(sum(&sent), 0xffff);

    let (found, inner) = decap(&plain(), &sealed(0xb000, &[0, 0xbeef, 77], &TENANT)).unwrap();
    assert_eq!((found.segment, &inner[..]), (Segment(0xbeef), &TENANT[..]));
}

#[test]
fn a_header_that_ends_inside_its_options_is_truncated() {
    for flags in [0x8000, KEY, 0x1000, 0xb000] {
        let whole = wire(flags, 0x6558, &[0; 3]);
        let options = 4 * (flags >> 12).count_ones() as usize;
        for cut in 0..4 + options {
            assert_eq!(decap(&plain(), &whole[..cut]), Err("truncated"), "{flags:#06x} cut to {cut}");
        }
    }
}
