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

#[test]
fn one_s_vid_cannot_be_used_with_and_without_a_c_vid() {
    let refusal = |first: Claim, second: Claim| {
        let mut port = port(&[0x88a8], &[first]);
        port.claim(ids(second)).map_err(|SpecError { field, .. }| field)
    };
    assert_eq!(refusal(BOTH, &[("s_vid", 100)]), Err("s_vid"));
    assert_eq!(refusal(&[("s_vid", 100)], BOTH), Err("s_vid"));
    assert_eq!(refusal(BOTH, &[("s_vid", 100), ("c_vid", 8)]), Ok(()));
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
fn an_s_vid_that_is_written_as_8100_is_not_another_single_tag() {
    let spec = Spec::QinQ(qinq::Spec { tpids: vec![0x88a8], emit_tpid: Some(0x8100) });
    let mut port = spec.compile().unwrap();
    port.claim(ids(OUTER)).unwrap();
    let error = port.claim(ids(&[("vid", 200)])).unwrap_err();
    assert!(error.message.contains("since 0x8100 is the port's emit_tpid"), "{error}");
    port.claim(ids(&[("vid", 201)])).unwrap();
}
