//! IEEE 802.1Q and 802.1ad: the grammar of tags on a port.

use transload_encaps::{Compiled, Ids, Kind, Segment, Spec, SpecError, qinq};

use crate::support::{chunk, frame};
use crate::{TENANT, decap, peer, segment, tagged};

type Claim = &'static [(&'static str, u64)];

const BOTH: Claim = &[("s_vid", 100), ("c_vid", 7)];
const OUTER: Claim = &[("s_vid", 200)];
const SINGLE: Claim = &[("vid", 300)];
const UNTAGGED: Claim = &[("untagged", 1)];

fn port(tpids: &[u16], claims: &[Claim]) -> Compiled {
    peer(&Spec::QinQ(qinq::Spec { tpids: tpids.to_vec(), emit_tpid: None }), claims)
}

/// All four grammars on one port.
fn mixed() -> Compiled {
    port(&[0x88a8, 0x9100], &[BOTH, OUTER, SINGLE, UNTAGGED])
}

fn ids(claim: Claim) -> Segment {
    Kind::QinQ.segment(&Ids::of(claim)).unwrap()
}

/// Which segment these tags are, and which of them are left as payload.
fn read(port: &Compiled, tags: &[(u16, u16)]) -> Result<(Segment, Vec<u8>), &'static str> {
    decap(port, &tagged(&TENANT, tags)).map(|(found, inner)| (found.segment, inner))
}

fn payload(tags: &[(u16, u16)]) -> Vec<u8> {
    tagged(&TENANT, tags)
}

/// The frame after these tags were taken off and those of another port put on.
fn translated(from: &Compiled, tags: &[(u16, u16)], to: &Compiled, claim: Claim) -> Vec<u8> {
    let mut chunk = chunk();
    let mut frame = frame(&mut chunk, &payload(tags));
    from.decap(&mut frame).unwrap();
    to.encap(&mut frame, segment(to, claim), 0).unwrap();
    frame.bytes().to_vec()
}

#[test]
fn two_tags_are_s_vid_and_c_vid_under_every_tpid_of_the_port() {
    for tpid in [0x88a8, 0x9100] {
        assert_eq!(read(&mixed(), &[(tpid, 100), (0x8100, 7)]), Ok((ids(BOTH), payload(&[]))));
    }
}

#[test]
fn an_s_vid_alone_leaves_further_tags_as_payload() {
    assert_eq!(read(&mixed(), &[(0x88a8, 200)]), Ok((ids(OUTER), payload(&[]))));
    for inner in [(0x8100, 7), (0x88a8, 7), (0x9100, 0)] {
        assert_eq!(read(&mixed(), &[(0x88a8, 200), inner]), Ok((ids(OUTER), payload(&[inner]))));
    }
}

#[test]
fn a_vid_is_exactly_one_8100_tag() {
    assert_eq!(read(&mixed(), &[(0x8100, 300)]), Ok((ids(SINGLE), payload(&[]))));
    assert_eq!(read(&mixed(), &[(0x8100, 300), (0x8100, 7)]), Err("qinq_tag_shape"));
    assert_eq!(read(&mixed(), &[(0x8100, 300), (0x88a8, 7)]), Err("qinq_tag_shape"));
}

#[test]
fn untagged_is_no_tag_or_one_that_only_carries_a_priority() {
    assert_eq!(read(&mixed(), &[]), Ok((ids(UNTAGGED), payload(&[]))));
    for tpid in [0x8100, 0x88a8] {
        assert_eq!(read(&mixed(), &[(tpid, 0xe000)]), Ok((ids(UNTAGGED), payload(&[]))));
    }
    for tpid in [0x8100, 0x88a8] {
        assert_eq!(read(&mixed(), &[(tpid, 0), (0x8100, 7)]), Err("qinq_tag_shape"));
    }
}

#[test]
fn a_frame_of_802_3_with_a_length_is_untagged() {
    let mut llc = TENANT.to_vec();
    llc[12..14].copy_from_slice(&[0, 6]);
    assert_eq!(decap(&mixed(), &llc).map(|(found, _)| found.segment), Ok(ids(UNTAGGED)));
}

#[test]
fn an_outer_tpid_that_is_not_the_ports_is_dropped() {
    let port = port(&[0x88a8], &[BOTH, OUTER, SINGLE]);
    for tpid in [0x9100, 0x9200, 0x9300] {
        assert_eq!(read(&port, &[(tpid, 100), (0x8100, 7)]), Err("qinq_wrong_tpid"));
    }
    assert_eq!(read(&port, &[(0x8100, 100), (0x8100, 7)]), Err("qinq_tag_shape"));
}

#[test]
fn the_inner_tpid_is_8100() {
    assert_eq!(read(&mixed(), &[(0x88a8, 100), (0x88a8, 7)]), Err("qinq_tag_shape"));
    assert_eq!(read(&mixed(), &[(0x88a8, 100), (0x9100, 7)]), Err("qinq_tag_shape"));
}

#[test]
fn vlan_id_4095_is_reserved_outside_and_inside() {
    assert_eq!(read(&mixed(), &[(0x88a8, 0xfff), (0x8100, 7)]), Err("qinq_reserved_vid"));
    assert_eq!(read(&mixed(), &[(0x8100, 0xfff)]), Err("qinq_reserved_vid"));
    assert_eq!(read(&mixed(), &[(0x88a8, 100), (0x8100, 0xfff)]), Err("qinq_reserved_vid"));
}

#[test]
fn tags_that_no_attachment_claims_are_segments_that_no_attachment_claims() {
    // The classifier finds nobody for them and drops the frame as unclaimed, not as malformed.
    let unclaimed: [(&[(u16, u16)], Claim); 3] = [
        (&[(0x88a8, 101), (0x8100, 7)], &[("s_vid", 101), ("c_vid", 7)]),
        (&[(0x88a8, 101)], &[("s_vid", 101)]),
        (&[(0x8100, 301)], &[("vid", 301)]),
    ];
    for (tags, claim) in unclaimed {
        assert_eq!(read(&mixed(), tags).map(|(segment, _)| segment), Ok(ids(claim)), "{tags:x?}");
    }
}

#[test]
fn stacked_8100_tags_are_qinq_where_the_port_accepts_8100_outside() {
    let port = port(&[0x8100], &[BOTH, SINGLE]);
    assert_eq!(read(&port, &[(0x8100, 100), (0x8100, 7)]), Ok((ids(BOTH), payload(&[]))));
    assert_eq!(read(&port, &[(0x8100, 300)]), Ok((ids(SINGLE), payload(&[]))));
}

fn range(s_vid: u64, c_vids: std::ops::RangeInclusive<u64>) -> Segment {
    let mut ids = Ids::of(&[("s_vid", s_vid)]);
    ids.set_range("c_vid", c_vids);
    Kind::QinQ.segment(&ids).unwrap()
}

/// A port whose S-VID 100 is claimed as a whole, with C-VID 7, with 7-9, and with 20 and 30-40 by one attachment.
fn layered() -> Compiled {
    let mut port = port(&[0x88a8, 0x8100], &[BOTH, &[("s_vid", 100)]]);
    port.claim(range(100, 7..=9)).unwrap();
    port.claim(range(100, 20..=20)).unwrap();
    port.join(range(100, 30..=40), range(100, 20..=20)).unwrap();
    port
}

#[test]
fn the_longest_claim_of_an_s_vid_counts() {
    for tpid in [0x88a8, 0x8100] {
        let read = |inner: &[(u16, u16)]| read(&layered(), &[&[(tpid, 100)], inner].concat());
        assert_eq!(read(&[(0x8100, 7)]), Ok((ids(BOTH), payload(&[]))), "the pair");
        for (c_vid, found) in [(8, 7..=9), (9, 7..=9), (20, 20..=20), (30, 30..=40), (40, 30..=40)] {
            let expected = (range(100, found), payload(&[(0x8100, c_vid)]));
            assert_eq!(read(&[(0x8100, c_vid)]), Ok(expected), "a range, with the C-tag kept");
        }
        let rest: [&[(u16, u16)]; 7] =
            [&[], &[(0x8100, 6)], &[(0x8100, 10)], &[(0x8100, 21)], &[(0x8100, 0)], &[(0x88a8, 8)], &[(0x8100, 0xfff)]];
        for inner in rest {
            assert_eq!(read(inner), Ok((ids(&[("s_vid", 100)]), payload(inner))), "the rest");
        }
    }
}

#[test]
fn a_range_alone_takes_nothing_but_its_c_vids() {
    let mut port = port(&[0x88a8], &[SINGLE]);
    port.claim(range(100, 7..=9)).unwrap();
    let segment = |tags: &[(u16, u16)]| read(&port, tags).map(|(segment, _)| segment);
    assert_eq!(segment(&[(0x88a8, 100), (0x8100, 8)]), Ok(range(100, 7..=9)));
    assert_eq!(segment(&[(0x88a8, 100), (0x8100, 10)]), Ok(ids(&[("s_vid", 100), ("c_vid", 10)])), "unclaimed");
    assert_eq!(segment(&[(0x88a8, 100)]), Ok(ids(&[("s_vid", 100)])), "unclaimed");
    assert_eq!(segment(&[(0x88a8, 100), (0x88a8, 8)]), Err("qinq_tag_shape"));
    assert_eq!(segment(&[(0x8100, 300)]), Ok(ids(SINGLE)));
}

#[test]
fn every_cut_of_a_frame_behind_a_layered_s_vid_is_read_or_dropped() {
    let whole = payload(&[(0x88a8, 100), (0x8100, 8)]);
    for len in 14..whole.len() {
        let _ = decap(&layered(), &whole[..len]);
    }
    assert_eq!(decap(&layered(), &whole[..20]).map(|_| ()), Err("truncated"));
}

#[test]
fn a_range_keeps_the_c_tag_of_a_frame_that_leaves_and_takes_no_other() {
    let port = layered();
    let sent = |segment: Segment, tags: &[(u16, u16)]| {
        let mut chunk = chunk();
        let mut frame = frame(&mut chunk, &payload(tags));
        port.encap(&mut frame, segment, 0).map(|()| frame.bytes().to_vec()).map_err(transload_encaps::DropReason::label)
    };
    assert_eq!(sent(range(100, 7..=9), &[(0x8100, 0x6008)]), Ok(payload(&[(0x88a8, 0x6064), (0x8100, 0x6008)])));
    for c_vid in [20, 30, 40] {
        assert_eq!(sent(range(100, 20..=20), &[(0x8100, c_vid)]), Ok(payload(&[(0x88a8, 100), (0x8100, c_vid)])));
    }
    // A C-VID of nobody, of a list of another attachment, of a pair, none, and a tag that is no C-tag.
    let others: [&[(u16, u16)]; 6] =
        [&[(0x8100, 10)], &[(0x8100, 20)], &[(0x8100, 7)], &[], &[(0x88a8, 8)], &[(0x8100, 0)]];
    for tags in others {
        assert_eq!(sent(range(100, 7..=9), tags), Err("qinq_outside_range"), "{tags:x?}");
    }
    for tags in [&[(0x8100, 7)][..], &[(0x8100, 8)], &[(0x8100, 35)]] {
        assert_eq!(sent(ids(&[("s_vid", 100)]), tags), Err("qinq_foreign_tag"), "{tags:x?}");
    }
    for tags in [&[(0x8100, 6)][..], &[], &[(0x88a8, 8)]] {
        assert!(sent(ids(&[("s_vid", 100)]), tags).is_ok(), "{tags:x?}");
    }
}

#[test]
fn claims_that_nothing_tells_apart_are_refused() {
    let refusal = |first: Segment, second: Segment| {
        let mut port = port(&[0x88a8], &[]);
        port.claim(first).unwrap();
        port.claim(second).map_err(|SpecError { field, .. }| field)
    };
    let both = |one: Segment, other: Segment| [refusal(one, other), refusal(other, one)];
    let whole = ids(&[("s_vid", 100)]);
    assert_eq!(both(range(100, 7..=9), range(100, 9..=12)), [Err("c_vid"); 2]);
    assert_eq!(both(range(100, 1..=4094), range(100, 5..=6)), [Err("c_vid"); 2]);
    assert_eq!(both(range(100, 7..=7), ids(BOTH)), [Err("c_vid"); 2]);
    assert_eq!(both(range(100, 7..=9), range(101, 9..=12)), [Ok(()); 2]);
    assert_eq!(both(range(100, 7..=9), range(100, 10..=12)), [Ok(()); 2]);
    assert_eq!(both(range(100, 7..=9), ids(BOTH)), [Ok(()); 2]);
    assert_eq!(both(whole, ids(BOTH)), [Ok(()); 2]);
    assert_eq!(both(whole, range(100, 7..=9)), [Ok(()); 2]);
}

#[test]
fn a_mapping_of_c_vids_shares_no_s_vid_with_a_whole_or_a_range() {
    let refusal = |first: Segment, mapped: Segment| {
        let mut port = port(&[0x88a8], &[]);
        port.claim(first).unwrap();
        port.claim_mapped(mapped).map_err(|SpecError { field, .. }| field)
    };
    let whole = ids(&[("s_vid", 100)]);
    assert_eq!(refusal(whole, ids(BOTH)), Err("s_vid"));
    assert_eq!(refusal(range(100, 7..=9), ids(BOTH)), Err("s_vid"));
    assert_eq!(refusal(range(100, 7..=9), whole), Err("s_vid"));
    assert_eq!(refusal(ids(BOTH), whole), Err("s_vid"));
    assert_eq!(refusal(ids(BOTH), ids(&[("s_vid", 100), ("c_vid", 8)])), Ok(()));
}

#[test]
fn a_range_in_words_is_the_whole_list() {
    assert_eq!(layered().ids_in_words(range(100, 20..=20)), "s_vid 100, c_vid 20-20 and s_vid 100, c_vid 30-40");
    assert_eq!(layered().ids_in_words(range(100, 7..=9)), "s_vid 100, c_vid 7-9");
}

#[test]
fn a_vid_beside_an_equal_s_vid_is_refused_only_where_8100_may_be_outside() {
    for (tpids, expected) in [(&[0x8100][..], Err("vid")), (&[0x88a8], Ok(()))] {
        let mut port = port(tpids, &[&[("s_vid", 300)]]);
        assert_eq!(port.claim(ids(SINGLE)).map_err(|SpecError { field, .. }| field), expected);
    }
    let mut port = port(&[0x88a8, 0x8100], &[SINGLE]);
    assert_eq!(port.claim(ids(&[("s_vid", 300)])).map_err(|SpecError { field, .. }| field), Err("s_vid"));
}

#[test]
fn fields_that_do_not_go_together_are_refused_by_name() {
    let refusal = |claim: Claim| Kind::QinQ.segment(&Ids::of(claim)).unwrap_err().field;
    assert_eq!(refusal(&[("c_vid", 7)]), "c_vid");
    assert_eq!(refusal(&[("s_vid", 7), ("vid", 7)]), "vid");
    assert_eq!(refusal(&[("c_vid", 7), ("vid", 7)]), "vid");
    assert_eq!(refusal(&[("vid", 7), ("untagged", 1)]), "untagged");
    assert_eq!(refusal(&[]), "s_vid");
}

#[test]
fn a_tpid_that_is_no_tag_is_refused() {
    for (tpids, emit_tpid, field) in [
        (vec![], None, "tpids"),
        (vec![0x05dc], None, "tpids"),
        (vec![0x0800], None, "tpids"),
        (vec![0x88a8; 9], None, "tpids"),
        (vec![0x88a8], Some(0x86dd), "emit_tpid"),
    ] {
        assert_eq!(Spec::QinQ(qinq::Spec { tpids, emit_tpid }).compile().unwrap_err().field, field);
    }
}

#[test]
fn the_first_tpid_is_sent_unless_another_is_asked_for() {
    let tpid_sent = |emit_tpid| {
        let port = peer(&Spec::QinQ(qinq::Spec { tpids: vec![0x9100, 0x88a8], emit_tpid }), &[BOTH]);
        crate::encap(&port, BOTH, &TENANT, 0)
    };
    assert_eq!(tpid_sent(None), payload(&[(0x9100, 100), (0x8100, 7)]));
    assert_eq!(tpid_sent(Some(0x88a8)), payload(&[(0x88a8, 100), (0x8100, 7)]));
}

#[test]
fn priorities_are_kept_tag_by_tag() {
    // PCP 5 with DEI outside, PCP 3 inside.
    let sent = translated(&mixed(), &[(0x88a8, 0xb064), (0x8100, 0x6007)], &mixed(), &[("s_vid", 9), ("c_vid", 8)]);
    assert_eq!(sent, payload(&[(0x88a8, 0xb009), (0x8100, 0x6008)]));
}

#[test]
fn one_tags_priority_goes_into_both_new_tags() {
    let sent = translated(&mixed(), &[(0x8100, 0x712c)], &mixed(), BOTH);
    assert_eq!(sent, payload(&[(0x88a8, 0x7064), (0x8100, 0x7007)]));
}

#[test]
fn two_tags_leave_the_outer_priority_on_a_single_one() {
    let sent = translated(&mixed(), &[(0x88a8, 0xb064), (0x8100, 0x6007)], &mixed(), SINGLE);
    assert_eq!(sent, payload(&[(0x8100, 0xb12c)]));
}

#[test]
fn a_priority_tag_gives_its_priority_to_the_tag_that_replaces_it() {
    assert_eq!(translated(&mixed(), &[(0x8100, 0xa000)], &mixed(), SINGLE), payload(&[(0x8100, 0xa12c)]));
}

#[test]
fn a_tag_that_is_payload_lends_its_priority_to_the_tags_around_it() {
    let inner = payload(&[(0x8100, 0x4009)]);
    let sent = crate::encap(&mixed(), OUTER, &inner, 0);
    assert_eq!(sent, payload(&[(0x88a8, 0x40c8), (0x8100, 0x4009)]));
}

#[test]
fn without_a_tag_to_keep_it_from_the_priority_is_0() {
    assert_eq!(crate::encap(&mixed(), BOTH, &TENANT, 0), payload(&[(0x88a8, 100), (0x8100, 7)]));
}

/// What leaves when a tenant's frame with these tags of its own is sent to a claim.
fn leaves(to: &Compiled, claim: Claim, own: &[(u16, u16)]) -> Result<Vec<u8>, &'static str> {
    let mut chunk = chunk();
    let mut frame = frame(&mut chunk, &payload(own));
    to.encap(&mut frame, segment(to, claim), 0).map_err(transload_encaps::DropReason::label)?;
    Ok(frame.bytes().to_vec())
}

#[test]
fn a_tag_of_the_tenants_own_that_would_name_another_attachment_does_not_leave() {
    let port = mixed();
    for own in [[(0x8100, 300), (0x8100, 1)], [(0x88a8, 200), (0x8100, 1)], [(0x9100, 100), (0x8100, 7)]] {
        assert_eq!(leaves(&port, UNTAGGED, &own[..1]), Err("qinq_foreign_tag"), "{own:x?}");
        assert_eq!(leaves(&port, UNTAGGED, &own), Err("qinq_foreign_tag"), "{own:x?}");
    }
    // What nobody claims is the tenant's own business, and what stands behind an S-VID is as well.
    for own in [(0x8100, 301), (0x8100, 200), (0x88a8, 300), (0x9200, 200), (0x8100, 0)] {
        assert_eq!(leaves(&port, UNTAGGED, &[own]), Ok(payload(&[own])), "{own:x?}");
    }
    assert_eq!(leaves(&port, OUTER, &[(0x8100, 300)]), Ok(payload(&[(0x88a8, 200), (0x8100, 300)])));
}

#[test]
fn a_second_8100_tag_does_not_make_a_single_one_a_pair_that_is_claimed() {
    let single: Claim = &[("vid", 100)];
    let port = port(&[0x8100], &[BOTH, single, SINGLE]);
    assert_eq!(leaves(&port, single, &[(0x8100, 7)]), Err("qinq_foreign_tag"));
    assert_eq!(leaves(&port, SINGLE, &[(0x8100, 7)]), Ok(payload(&[(0x8100, 300), (0x8100, 7)])));
    assert_eq!(leaves(&port, single, &[(0x88a8, 7)]), Ok(payload(&[(0x8100, 100), (0x88a8, 7)])));
}

#[test]
fn a_tag_of_no_vlan_before_a_tag_does_not_hide_it() {
    let port = mixed();
    for hidden in [&[(0x8100, 300)][..], &[(0x88a8, 200)], &[(0x9100, 100), (0x8100, 7)]] {
        for none in [0x8100, 0x88a8, 0x9100, 0x9200] {
            for other in [0x8100, 0x88a8, 0x9100] {
                // Whatever its priority, VLAN ID 0 names no VLAN.
                let own = [&[(none, 0xe000), (other, 0)], hidden].concat();
                assert_eq!(leaves(&port, UNTAGGED, &own[1..]), Err("qinq_foreign_tag"), "{:x?}", &own[1..]);
                assert_eq!(leaves(&port, UNTAGGED, &own), Err("qinq_foreign_tag"), "{own:x?}");
            }
        }
        let many = [&[(0x8100, 0); 9][..], hidden].concat();
        assert_eq!(leaves(&port, UNTAGGED, &many), Err("qinq_foreign_tag"), "{many:x?}");
    }
    for own in [[(0x8100, 0), (0x8100, 301)], [(0x88a8, 0), (0x8100, 0)], [(0x8100, 301), (0x8100, 300)]] {
        assert_eq!(leaves(&port, UNTAGGED, &own), Ok(payload(&own)), "{own:x?}");
    }
}

#[test]
fn a_tag_of_no_vlan_does_not_hide_a_c_tag_behind_a_tag_of_ours() {
    let single: Claim = &[("vid", 100)];
    let pairs = port(&[0x8100], &[BOTH, single]);
    assert_eq!(leaves(&pairs, single, &[(0x88a8, 0), (0x8100, 7)]), Err("qinq_foreign_tag"));
    let port = port(&[0x88a8], &[BOTH, &[("s_vid", 100)]]);
    for none in [0x8100, 0x88a8] {
        assert_eq!(leaves(&port, &[("s_vid", 100)], &[(none, 0), (0x8100, 7)]), Err("qinq_foreign_tag"));
        assert!(leaves(&port, &[("s_vid", 100)], &[(none, 0), (0x8100, 8)]).is_ok());
    }
}

#[test]
fn a_tag_as_the_port_writes_it_does_not_leave_where_the_port_writes_none() {
    let spec = Spec::QinQ(qinq::Spec { tpids: vec![0x88a8], emit_tpid: Some(0x1234) });
    let mut port = spec.compile().unwrap();
    port.claim(ids(OUTER)).unwrap();
    for own in [&[(0x1234, 200)][..], &[(0x1234, 0), (0x1234, 200)], &[(0x88a8, 200)]] {
        assert_eq!(leaves(&port, UNTAGGED, own), Err("qinq_foreign_tag"), "{own:x?}");
    }
    assert_eq!(leaves(&port, UNTAGGED, &[(0x1234, 201)]), Ok(payload(&[(0x1234, 201)])));
}

#[test]
fn an_s_vid_that_is_written_as_8100_is_not_another_single_tag() {
    let spec = Spec::QinQ(qinq::Spec { tpids: vec![0x88a8], emit_tpid: Some(0x8100) });
    let mut port = spec.compile().unwrap();
    port.claim(ids(OUTER)).unwrap();
    let error = port.claim(ids(&[("vid", 200)])).unwrap_err();
    assert!(error.message.contains("since 0x8100 is the port's emit_tpid"), "{error}");
    port.claim(ids(&[("vid", 201)])).unwrap();
}
