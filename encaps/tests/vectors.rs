//! Golden frames of real tunnels: what Linux, Open vSwitch and scapy put on the wire is read as they meant it, and
//! written again byte by byte.

mod golden;
mod support;

use transload_encaps::outer::{Outer, UdpRules, ip_start, verify_udp, walk};
use transload_encaps::{Carrier, Decap, DropReason, Frame};

use golden::{Vector, broken, kinds, vectors};
use support::{chunk, frame};

/// As the classifier does it: the outer headers are checked and taken off. `None` for tags on a port.
fn strip_outer(vector: &Vector, frame: &mut Frame<'_>) -> Result<Option<Outer>, DropReason> {
    if vector.spec.kind().info().carrier == Carrier::Port {
        return Ok(None);
    }
    let at = ip_start(frame.bytes(), vector.vlan).ok_or(transload_encaps::Common::NotForUs)?;
    let outer = walk(frame.bytes(), at)?;
    verify_udp(frame, &outer, UdpRules { zero6: true, unverified: false })?;
    frame.truncate(outer.end as usize);
    frame.advance(outer.at.into())?;
    Ok(Some(outer))
}

fn decap(vector: &Vector, wire: &[u8], chunk: &mut [u8]) -> Result<(Decap, Vec<u8>), DropReason> {
    let mut frame = frame(chunk, wire);
    strip_outer(vector, &mut frame)?;
    let found = vector.peer().decap(&mut frame)?;
    Ok((found, frame.bytes().to_vec()))
}

#[test]
fn every_encapsulation_has_frames_of_more_than_one_maker() {
    for kind in kinds() {
        let makers = ["linux", "ovs", "drawing"].map(|maker| {
            let by = |vector: &Vector| vector.path.file_name().unwrap().to_string_lossy().starts_with(maker);
            vectors().iter().filter(|vector| vector.spec.kind() == kind).any(by)
        });
        assert!(makers.iter().filter(|made| **made).count() >= 2, "{kind:?}: {makers:?}");
    }
}

#[test]
fn every_golden_frame_carries_its_segment_and_its_tenants_bytes() {
    for vector in vectors() {
        let path = vector.path.display();
        let (found, inner) =
            decap(&vector, &vector.wire, &mut chunk()).unwrap_or_else(|drop| panic!("{path}: {drop:?}"));
        assert_eq!(found.segment, vector.segment, "{path}");
        assert_eq!(found.tolerated, None, "{path}: nothing about it is odd");
        assert!(inner == vector.inner, "{path}: {inner:02x?}");
    }
}

#[test]
fn every_golden_frame_rides_on_what_its_peer_says() {
    for vector in vectors() {
        let mut chunk = chunk();
        let outer = strip_outer(&vector, &mut frame(&mut chunk, &vector.wire)).unwrap();
        let carrier = outer.map_or(Carrier::Port, |outer| outer.carrier);
        assert_eq!(carrier, vector.peer().carrier(), "{}", vector.path.display());
    }
}

#[test]
fn every_golden_header_is_written_again_byte_by_byte() {
    for vector in vectors() {
        let path = vector.path.display();
        let (mut theirs, mut ours) = (chunk(), chunk());
        let mut theirs = frame(&mut theirs, &vector.wire);
        strip_outer(&vector, &mut theirs).unwrap();
        let tunnel = theirs.bytes().to_vec();
        vector.peer().decap(&mut theirs).unwrap();

        let peer = vector.peer();
        let mut ours = frame(&mut ours, &vector.inner);
        for _ in 0..=vector.frames_before {
            assert!(ours.fill(transload_encaps::HEADROOM, &vector.inner));
            // What a port's tags said of priority stays with the frame.
            ours.meta.priorities = theirs.meta.priorities;
            peer.encap(&mut ours, vector.segment, vector.entropy).unwrap();
        }
        assert!(ours.bytes() == tunnel, "{path}:\n{:02x?}\n{tunnel:02x?}", ours.bytes());
    }
}

#[test]
fn a_golden_frame_cut_at_any_byte_is_dropped_by_name_or_shorter() {
    for vector in vectors() {
        for cut in 0..vector.wire.len() {
            match decap(&vector, &vector.wire[..cut], &mut chunk()) {
                Err(drop) => assert!(!drop.label().is_empty()),
                Ok((_, inner)) => assert!(inner.len() < vector.inner.len(), "{} cut to {cut}", vector.path.display()),
            }
        }
    }
}

#[test]
fn a_frame_that_its_maker_got_wrong_is_dropped_under_its_name() {
    assert!(!broken().is_empty());
    for vector in broken() {
        let verdict = decap(&vector, &vector.wire, &mut chunk()).map(|_| ()).map_err(DropReason::label);
        assert_eq!(verdict.err(), vector.drop.as_deref(), "{}", vector.path.display());
    }
}
