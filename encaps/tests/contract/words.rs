//! What an encapsulation says to people: every one of the registry names its fields and explains its drops.

use std::collections::HashSet;

use proptest::prelude::*;
use transload_encaps::{Common, Compiled, DropReason, Kind, Spec};

use super::samples::{Sample, ranges, samples, segments, tenant_frame};
use super::support::{chunk, frame};
use super::{SAMPLES, any_sample, encapsulated};

/// A tenant's frame with this tag in it.
fn tagged_frame(tpid: u16, vid: u16) -> Vec<u8> {
    let plain = tenant_frame(64);
    [&plain[..12], &tpid.to_be_bytes(), &vid.to_be_bytes(), &plain[12..]].concat()
}

/// The samples of tunnels: the tags of ports are Ethernet's own headers.
fn tunnels() -> impl Iterator<Item = &'static Sample> {
    SAMPLES.iter().filter(|sample| sample.spec.kind().has_peers())
}

#[test]
fn the_fields_of_a_header_are_all_of_it_without_a_gap_and_the_frame_is_behind_them() {
    for sample in tunnels() {
        let (kind, payload) = (sample.spec.kind(), tenant_frame(64));
        let wire = encapsulated(&sample.peer, sample.segment, &payload);
        let fields = kind.fields(&wire);
        let mut end = 0;
        for field in &fields {
            assert_eq!(field.at.start, end, "{sample}: {field:?}");
            assert!(field.at.end > end && !field.name.is_empty() && !field.value.is_empty(), "{sample}: {field:?}");
            end = field.at.end;
        }
        assert_eq!(end, sample.peer.overhead(sample.segment), "{sample}: {fields:?}");
        assert_eq!(kind.inner_at(&wire), Some(end), "{sample}");
        assert!(wire[end..] == payload, "{sample}");
    }
}

#[test]
fn the_tenant_id_is_among_the_fields_in_its_own_name() {
    for sample in tunnels() {
        let fields = sample.spec.kind().fields(&encapsulated(&sample.peer, sample.segment, &tenant_frame(64)));
        let ids = sample.spec.kind().ids(sample.segment);
        for (name, _) in ids.iter() {
            let field = fields.iter().find(|field| field.name == name);
            let text = &field.unwrap_or_else(|| panic!("{sample}: no field {name} in {fields:?}")).value;
            let number = match text.strip_prefix("0x") {
                Some(hex) => u64::from_str_radix(hex, 16),
                None => text.parse(),
            };
            assert_eq!(number.ok(), ids.get(name), "{sample}: {name} {text}");
        }
    }
}

#[test]
fn a_header_that_is_cut_short_has_no_fields_and_no_frame() {
    for sample in tunnels() {
        let wire = encapsulated(&sample.peer, sample.segment, &tenant_frame(64));
        for cut in 0..sample.peer.overhead(sample.segment) {
            let kind = sample.spec.kind();
            assert_eq!((kind.fields(&wire[..cut]).len(), kind.inner_at(&wire[..cut])), (0, None), "{sample} at {cut}");
        }
    }
}

#[test]
fn a_carrier_leads_to_those_that_usually_ride_on_it() {
    for &kind in Kind::ALL.iter().filter(|kind| kind.has_peers()) {
        let info = kind.info();
        for carrier in info.also_on.iter().map(|(also, _)| *also).chain([info.carrier]) {
            assert!(Kind::on(carrier).any(|on| on == kind), "{kind:?} on {carrier}");
        }
        assert!(info.carrier.in_words().contains(info.title), "{}", info.carrier.in_words());
    }
}

#[test]
fn every_tunnel_knows_another_reading_of_an_id() {
    let mut silent: HashSet<_> = Kind::ALL.iter().filter(|kind| kind.has_peers()).collect();
    for sample in tunnels() {
        let wire = encapsulated(&sample.peer, sample.segment, &tenant_frame(64));
        let readings = sample.peer.readings(&wire, &[sample.segment]);
        assert!(readings.found.is_some_and(|found| !found.is_empty()), "{sample}");
        for other in &readings.others {
            assert!(!other.words.is_empty() && !other.why.is_empty(), "{sample}: {other:?}");
        }
        if readings.others.iter().any(|other| other.segment != sample.segment) {
            silent.remove(&sample.spec.kind());
        }
    }
    assert!(silent.is_empty(), "{silent:?} would never say what else was meant");
}

/// Packets of a sample that are not as they should be: with a bit or two bytes changed, with a tag in the tenant's frame,
/// and two in the wrong order.
fn damaged(sample: &Sample) -> Vec<Vec<u8>> {
    let (peer, segment) = (&sample.peer, sample.segment);
    let first = encapsulated(peer, segment, &tenant_frame(64));
    let tagged = encapsulated(peer, segment, &tagged_frame(0x8100, 7));
    let header = (peer.overhead(segment) + 16).min(first.len());
    let words = [0, 0x0fff, 0x8100, 0x88a8, 0x9100, 0xffff_u16];
    let damage = first.iter().enumerate().take(header).flat_map(|(at, byte)| {
        let bits = (0..8).map(move |bit| (at, vec![byte ^ 1 << bit]));
        bits.chain(words.map(|word| (at, word.to_be_bytes().to_vec())))
    });
    let changed: Vec<_> = damage
        .map(|(at, bytes)| {
            let mut packet = first.clone();
            packet[at..at + bytes.len()].copy_from_slice(&bytes);
            packet
        })
        .collect();
    // After a later one, an earlier one.
    let (earlier, later) =
        (encapsulated(peer, segment, &tenant_frame(64)), encapsulated(peer, segment, &tenant_frame(64)));
    [changed, vec![tagged, later, earlier]].concat()
}

/// What is dropped or tolerated of them, and for which reason.
fn refused_on_receive(sample: &Sample) -> impl Iterator<Item = (DropReason, Vec<u8>)> {
    damaged(sample).into_iter().filter_map(|packet| {
        let mut chunk = chunk();
        let mut frame = frame(&mut chunk, &packet);
        let found = sample.peer.decap(&mut frame);
        let reason = found.map_or_else(Some, |found| found.tolerated)?;
        Some((reason, packet))
    })
}

/// What a peer with many segments will not send: a tenant's tag may make a frame another segment's.
fn refused_on_transmit(kind: Kind) -> (Compiled, Vec<(DropReason, Vec<u8>)>) {
    let mut peer = Spec::default_of(kind).compile().expect("it did before");
    let all = segments(kind).into_iter().chain(ranges(kind));
    let claimed: Vec<_> = all.filter(|segment| peer.claim(*segment).is_ok()).collect();
    peer.carry_state(None);
    let vids = [1, 7, 0x7ff, 0xffe];
    let payloads = vids.into_iter().flat_map(|vid| [0x8100, 0x88a8].map(|tpid| tagged_frame(tpid, vid)));
    let mut dropped = Vec::new();
    for payload in payloads {
        for &segment in &claimed {
            let mut chunk = chunk();
            let verdict = peer.encap(&mut frame(&mut chunk, &payload), segment, 7);
            dropped.extend(verdict.err().map(|reason| (reason, payload.clone())));
        }
    }
    (peer, dropped)
}

#[test]
fn each_of_its_own_drops_is_explained_and_names_who_sent_the_packet() {
    for &kind in Kind::ALL {
        let is_own = |reason: &DropReason| kind.info().drops.iter().any(|row| row.label == reason.label());
        let mut unexplained: HashSet<_> = kind.info().drops.iter().map(|row| row.label).collect();
        let mut explained = |peer: &Compiled, reason: DropReason, packet: &[u8]| {
            let text = peer.why(reason, packet, "whoever-it-was");
            let text = text.unwrap_or_else(|| panic!("{kind:?}: {} of {packet:02x?} is not explained", reason.label()));
            assert!(text.contains("whoever-it-was"), "{kind:?}: {text}");
            unexplained.remove(reason.label());
        };
        // Peers of their own, since they remember what they have seen.
        for sample in samples().iter().filter(|sample| sample.spec.kind() == kind) {
            let own = refused_on_receive(sample).filter(|(reason, _)| is_own(reason));
            own.for_each(|(reason, packet)| explained(&sample.peer, reason, &packet));
        }
        let (peer, dropped) = refused_on_transmit(kind);
        let own = dropped.iter().filter(|(reason, _)| is_own(reason));
        own.for_each(|(reason, packet)| explained(&peer, *reason, packet));
        assert!(unexplained.is_empty(), "{kind:?}: nothing here was dropped for {unexplained:?}");
    }
}

#[test]
fn nothing_is_explained_by_an_encapsulation_that_did_not_say_it() {
    for sample in &*SAMPLES {
        let wire = encapsulated(&sample.peer, sample.segment, &tenant_frame(64));
        let own = sample.spec.kind().info().drops;
        let others = DropReason::all().filter(|reason| own.iter().all(|row| row.label != reason.label()));
        for reason in others.filter(|reason| *reason != Common::UnknownPayload.into()) {
            assert_eq!(sample.peer.why(reason, &wire, "it"), None, "{sample}: {}", reason.label());
        }
    }
}

proptest! {
    #[test]
    fn no_bytes_make_the_words_panic(at in any_sample(), bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let sample = &SAMPLES[at];
        let kind = sample.spec.kind();
        let fields = kind.fields(&bytes);
        prop_assert!(fields.iter().all(|field| field.at.end <= bytes.len()), "{fields:?}");
        prop_assert!(kind.inner_at(&bytes).is_none_or(|inner| inner <= bytes.len()));
        let _ = sample.peer.readings(&bytes, &[sample.segment]);
        for reason in DropReason::all() {
            let _ = sample.peer.why(reason, &bytes, "it");
        }
    }
}
