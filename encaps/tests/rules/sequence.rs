//! GRE sequence numbers: RFC 2890 §2.2.

use transload_encaps::{Compiled, Kind, Reserved, Spec, gre};

use crate::{TENANT, decap, encap, peer};

const KEY_1: &[(&str, u64)] = &[("key", 1)];
const KEY_2: &[(&str, u64)] = &[("key", 2)];
const DROPPED: Option<&str> = Some("gre_out_of_order");

fn spec(reserved: Reserved) -> Spec {
    Spec::Gre(gre::Spec { sequence: true, reserved, ..gre::Spec::default() })
}

fn ordered() -> Compiled {
    peer(&spec(Reserved::Ignore), &[KEY_1, KEY_2])
}

fn numbered(flags: u16, key: u32, number: u32) -> Vec<u8> {
    let mut bytes = (0x3000 | flags).to_be_bytes().to_vec();
    bytes.extend([0x65, 0x58]);
    bytes.extend(key.to_be_bytes());
    bytes.extend(number.to_be_bytes());
    bytes.extend(TENANT);
    bytes
}

/// What became of a frame with this number: dropped under a label, or `None` for carried.
fn verdict(peer: &Compiled, key: u32, number: u32) -> Option<&'static str> {
    decap(peer, &numbered(0, key, number)).err()
}

fn sent_number(peer: &Compiled, ids: &[(&'static str, u64)]) -> u32 {
    let sent = encap(peer, ids, &TENANT, 0);
    u32::from_be_bytes(sent[8..12].try_into().unwrap())
}

#[test]
fn the_first_packet_sent_carries_0_and_each_next_one_more() {
    let peer = ordered();
    assert_eq!([0; 3].map(|_: u8| sent_number(&peer, KEY_1)), [0, 1, 2]);
}

#[test]
fn every_tenant_of_a_peer_counts_for_itself() {
    let peer = ordered();
    assert_eq!([sent_number(&peer, KEY_1), sent_number(&peer, KEY_1), sent_number(&peer, KEY_2)], [0, 1, 0]);
    assert_eq!([verdict(&peer, 1, 100), verdict(&peer, 2, 5), verdict(&peer, 1, 5)], [None, None, DROPPED]);
}

#[test]
fn tenants_count_for_themselves_in_whatever_order_they_are_attached() {
    let keys = [7, 3, 9, 3, 1].map(|key| [("key", key)]);
    let peer = peer(&spec(Reserved::Ignore), &keys.each_ref().map(|key| &key[..]));
    assert_eq!(keys.map(|key| sent_number(&peer, &key)), [0, 0, 0, 1, 0]);
}

#[test]
fn packets_not_newer_than_the_last_are_dropped() {
    let peer = ordered();
    assert_eq!([10, 11, 11, 10, 9, 12].map(|n| verdict(&peer, 1, n)), [None, None, DROPPED, DROPPED, DROPPED, None]);
}

#[test]
fn a_gap_is_loss_and_not_disorder() {
    let peer = ordered();
    assert_eq!([1, 2, 1000, 1001].map(|n| verdict(&peer, 1, n)), [None; 4]);
}

#[test]
fn numbers_wrap() {
    let peer = ordered();
    let numbers = [u32::MAX - 1, u32::MAX, 0, 1, u32::MAX];
    assert_eq!(numbers.map(|n| verdict(&peer, 1, n)), [None, None, None, None, DROPPED]);
}

#[test]
fn a_sender_that_restarts_at_0_is_heard() {
    let peer = ordered();
    assert_eq!([5000, 0, 1, 2].map(|n| verdict(&peer, 1, n)), [None; 4]);
}

#[test]
fn numbers_are_skipped_where_the_peer_is_not_configured_for_them() {
    let peer = peer(&Spec::default_of(Kind::Gre), &[KEY_1]);
    assert_eq!([7, 3, 7].map(|n| verdict(&peer, 1, n)), [None; 3]);
    assert_eq!(encap(&peer, KEY_1, &TENANT, 0)[..2], [0x20, 0]);
}

#[test]
fn a_packet_without_a_number_is_carried() {
    let bytes = [&[0x20, 0, 0x65, 0x58, 0, 0, 0, 1][..], &TENANT].concat();
    assert_eq!(decap(&ordered(), &bytes).err(), None);
}

#[test]
fn counting_goes_on_across_a_reload() {
    let before = ordered();
    assert_eq!([sent_number(&before, KEY_1), sent_number(&before, KEY_1)], [0, 1]);
    assert_eq!(verdict(&before, 1, 50), None);
    let mut after = ordered();
    after.carry_state(Some(&before));
    assert_eq!(sent_number(&after, KEY_1), 2);
    assert_eq!([verdict(&after, 1, 50), verdict(&after, 1, 51)], [DROPPED, None]);
    assert_eq!(sent_number(&after, KEY_2), 0);
}

#[test]
fn a_packet_that_is_dropped_for_another_reason_does_not_count() {
    let peer = peer(&spec(Reserved::Strict), &[KEY_1]);
    assert_eq!(decap(&peer, &numbered(0x0008, 1, 900)), Err("gre_reserved_bits"));
    assert_eq!(verdict(&peer, 1, 10), None);
}

#[test]
fn no_number_is_used_up_by_a_frame_without_headroom() {
    let peer = ordered();
    let mut chunk = crate::support::chunk();
    let mut frame = crate::support::frame_at(&mut chunk, 4, &TENANT);
    assert!(peer.encap(&mut frame, crate::segment(&peer, KEY_1), 0).is_err());
    assert_eq!(sent_number(&peer, KEY_1), 0);
}
