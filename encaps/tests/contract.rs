//! The contract of an encapsulation, held by every one in the registry.
//!
//! Nothing here names an encapsulation. The options come from the registry's schema and the tenant IDs from its ID
//! fields, so a new line in the registry is tested without a new line here.

mod samples;
mod support;
#[path = "contract/words.rs"]
mod words;

use std::collections::HashSet;
use std::sync::LazyLock;

use proptest::prelude::*;
use transload_encaps::{
    Carrier, Common, Compiled, DropReason, HEADROOM, IdForm, Kind, MAX_OVERHEAD, Payload, Segment, Spec,
};

use samples::{Sample, peer, ranges, samples, segments, specs, tenant_frame};
use support::{chunk, frame, frame_at};

static SAMPLES: LazyLock<Vec<Sample>> = LazyLock::new(samples);

/// What a compiled peer puts on the wire behind the carrier.
fn encapsulated(peer: &Compiled, segment: Segment, payload: &[u8]) -> Vec<u8> {
    let mut chunk = chunk();
    let mut frame = frame(&mut chunk, payload);
    peer.encap(&mut frame, segment, 0x1234_5678).expect("there is headroom");
    frame.bytes().to_vec()
}

/// The tenant's bytes in an encapsulated frame: behind the header, or around the tags.
fn payload_of(carrier: Carrier, overhead: usize, wire: &[u8]) -> Vec<u8> {
    match carrier {
        // Untagged, even a frame shorter than its addresses passes as it is.
        Carrier::Port if overhead == 0 => wire.to_vec(),
        Carrier::Port => [&wire[..12], &wire[12 + overhead..]].concat(),
        _ => wire[overhead..].to_vec(),
    }
}

fn assert_round_trip(sample: &Sample, payload: &[u8]) {
    let mut chunk = chunk();
    let mut frame = frame(&mut chunk, payload);
    sample.peer.encap(&mut frame, sample.segment, 0xdead_beef).expect("there is headroom");
    let found = sample.peer.decap(&mut frame).unwrap_or_else(|drop| panic!("{sample}: {drop:?}"));
    assert_eq!(found.segment, sample.segment, "{sample}");
    assert_eq!(found.payload, Payload::Ethernet, "{sample}");
    assert_eq!(found.tolerated, None, "{sample}: we forgive our own header");
    assert!(frame.bytes() == payload, "{sample}: {} bytes came back changed", payload.len());
}

#[test]
fn the_schema_yields_options_to_try() {
    assert!(specs().len() >= 2 * Kind::ALL.len(), "{:?}", specs());
}

#[test]
fn encap_then_decap_is_the_identity_for_every_payload_length() {
    for spec in specs() {
        let segment = segments(spec.kind())[0];
        let sample = Sample { peer: peer(&spec, segment), spec, segment };
        for len in 14..=9000 {
            assert_round_trip(&sample, &tenant_frame(len));
        }
    }
}

#[test]
fn encap_then_decap_is_the_identity_for_every_boundary_id() {
    for sample in &*SAMPLES {
        for len in [14, 60, 61, 1500, 9000] {
            assert_round_trip(sample, &tenant_frame(len));
        }
    }
}

#[test]
fn encap_adds_exactly_its_overhead_and_never_touches_the_payload() {
    for sample in &*SAMPLES {
        let overhead = sample.peer.overhead(sample.segment);
        assert!(overhead <= sample.spec.kind().info().overhead, "{sample}");
        for len in [14, 15, 64, 1500] {
            let payload = tenant_frame(len);
            let wire = encapsulated(&sample.peer, sample.segment, &payload);
            assert_eq!(wire.len(), len + overhead, "{sample}");
            assert!(payload_of(sample.peer.carrier(), overhead, &wire) == payload, "{sample}");
        }
    }
}

#[test]
fn some_segment_needs_all_of_the_declared_overhead() {
    for &kind in Kind::ALL {
        let most = SAMPLES.iter().filter(|s| s.spec.kind() == kind).map(|s| s.peer.overhead(s.segment)).max();
        assert_eq!(most, Some(kind.info().overhead), "{kind:?} reserves headroom it never uses, or too little");
        assert!(kind.info().overhead <= MAX_OVERHEAD && MAX_OVERHEAD < HEADROOM);
    }
}

#[test]
fn without_headroom_encap_says_so_and_leaves_the_frame_alone() {
    let payload = tenant_frame(64);
    for sample in &*SAMPLES {
        for headroom in 0..sample.peer.overhead(sample.segment) {
            let mut chunk = chunk();
            let mut frame = frame_at(&mut chunk, headroom, &payload);
            let verdict = sample.peer.encap(&mut frame, sample.segment, 7);
            assert_eq!(verdict, Err(Common::NoHeadroom.into()), "{sample} with {headroom} bytes of room");
            assert_eq!((frame.bytes(), frame.headroom()), (&payload[..], headroom), "{sample}");
        }
    }
}

#[test]
fn exactly_enough_headroom_is_enough() {
    for sample in &*SAMPLES {
        let mut chunk = chunk();
        let mut frame = frame_at(&mut chunk, sample.peer.overhead(sample.segment), &tenant_frame(64));
        assert_eq!(sample.peer.encap(&mut frame, sample.segment, 7), Ok(()), "{sample}");
        assert_eq!(frame.headroom(), 0, "{sample}");
    }
}

#[test]
fn a_frame_cut_at_any_byte_is_dropped_by_name_or_shorter() {
    for sample in &*SAMPLES {
        let wire = encapsulated(&sample.peer, sample.segment, &tenant_frame(64));
        let overhead = sample.peer.overhead(sample.segment);
        for cut in 0..wire.len() {
            let mut chunk = chunk();
            let mut frame = frame(&mut chunk, &wire[..cut]);
            match sample.peer.decap(&mut frame) {
                Err(drop) => assert!(!drop.label().is_empty()),
                Ok(_) => assert!(cut >= overhead && frame.len() <= cut - overhead, "{sample} cut to {cut} bytes"),
            }
        }
    }
}

#[test]
fn a_header_that_is_not_there_is_never_read() {
    for sample in &*SAMPLES {
        let wire = encapsulated(&sample.peer, sample.segment, &tenant_frame(64));
        for cut in 0..sample.peer.overhead(sample.segment) {
            let mut chunk = chunk();
            let mut frame = frame(&mut chunk, &wire[..cut]);
            assert!(sample.peer.decap(&mut frame).is_err(), "{sample} cut to {cut} bytes");
        }
    }
}

#[test]
fn the_ids_of_a_segment_name_that_segment() {
    for &kind in Kind::ALL {
        for segment in segments(kind).into_iter().chain(ranges(kind)) {
            assert_eq!(kind.segment(&kind.ids(segment)), Ok(segment), "{kind:?} {}", kind.ids(segment));
        }
    }
}

#[test]
fn different_ids_are_different_segments() {
    for &kind in Kind::ALL {
        let all = segments(kind);
        assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len(), "{kind:?}");
    }
}

#[test]
fn reserved_ids_lie_within_their_field() {
    for &kind in Kind::ALL {
        for field in kind.info().ids {
            let max = match field.form {
                IdForm::Number { max } => max,
                IdForm::Flag => 1,
            };
            for (range, reason) in field.reserved {
                assert!(range.start() <= range.end() && *range.end() <= max, "{kind:?} {}: {range:?}", field.name);
                assert!(!reason.is_empty());
            }
        }
    }
}

#[test]
fn tags_id_fields_and_carriers_can_be_told_apart() {
    let tags: HashSet<_> = Kind::ALL.iter().map(|kind| kind.info().tag).collect();
    assert_eq!(tags.len(), Kind::ALL.len());
    let names: Vec<_> = Kind::ALL.iter().flat_map(|kind| kind.info().ids).map(|field| field.name).collect();
    assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len(), "{names:?}");
    for &kind in Kind::ALL {
        assert_eq!(Kind::from_tag(kind.info().tag), Some(kind));
        assert_eq!(kind.has_peers(), kind.info().carrier != Carrier::Port);
    }
}

#[test]
fn every_drop_reason_has_one_label_and_a_hint() {
    let labels: HashSet<_> = DropReason::all().map(DropReason::label).collect();
    assert_eq!(labels.len(), DropReason::COUNT);
    for reason in DropReason::all() {
        let (label, meaning) = (reason.label(), reason.info().meaning);
        assert!(label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'), "{label}");
        assert!(meaning.ends_with('.'), "{label}: {meaning}");
        assert_eq!(DropReason::from_index(reason.index()), Some(reason));
    }
    assert_eq!(DropReason::from_index(DropReason::COUNT), None);
}

#[test]
fn the_reasons_of_an_encapsulation_are_rows_of_the_whole_table() {
    for &kind in Kind::ALL {
        for row in kind.info().drops {
            let at = DropReason::all().find(|reason| reason.label() == row.label);
            assert_eq!(at.map(|reason| reason.info().meaning), Some(row.meaning), "{kind:?} {}", row.label);
        }
    }
}

#[test]
fn a_word_is_the_encapsulation_with_the_options_nobody_gave() {
    for &kind in Kind::ALL {
        let tag = kind.info().tag;
        let default = Spec::default_of(kind);
        assert_eq!(serde_json::from_str::<Spec>(&format!("{tag:?}")).unwrap(), default);
        assert_eq!(serde_json::from_str::<Spec>(&format!("{{{tag:?}: {{}}}}")).unwrap(), default);
    }
}

#[test]
fn every_spec_survives_writing_and_reading() {
    for spec in specs() {
        let text = serde_json::to_string(&spec).unwrap();
        assert_eq!(serde_json::from_str::<Spec>(&text).unwrap(), spec, "{text}");
    }
}

#[test]
fn unknown_words_options_and_second_choices_are_refused() {
    let refusal = |text: &str| serde_json::from_str::<Spec>(text).unwrap_err().to_string();
    let unknown = refusal("\"carrier_pigeon\"");
    for &kind in Kind::ALL {
        let tag = kind.info().tag;
        assert_eq!(unknown.contains(tag), kind.has_peers(), "{unknown}");
        assert!(refusal(&format!("{{{tag:?}: {{\"colour\": 1}}}}")).contains("colour"));
        assert!(refusal(&format!("{{{tag:?}: {{}}, \"vxlan\": {{}}}}")).contains("one encapsulation"));
    }
    assert!(refusal("{}").contains("no encapsulation"));
}

#[test]
fn the_schema_offers_every_encapsulation_a_peer_can_speak() {
    let schema = schemars::schema_for!(Spec).to_value();
    let words = schema.pointer("/anyOf/0/enum").and_then(|words| words.as_array()).unwrap();
    let expected: Vec<_> = Kind::ALL.iter().filter(|kind| kind.has_peers()).map(|kind| kind.info().tag).collect();
    assert_eq!(words, &expected);
    for tag in expected {
        let branches = schema["anyOf"].as_array().unwrap();
        assert!(branches.iter().any(|branch| branch["properties"].get(tag).is_some()), "{tag}");
    }
}

/// One of the samples, whatever the registry holds.
fn any_sample() -> impl Strategy<Value = usize> {
    0..SAMPLES.len()
}

proptest! {
    #[test]
    fn no_bytes_make_decap_panic(at in any_sample(), bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let sample = &SAMPLES[at];
        let mut chunk = chunk();
        let mut frame = frame(&mut chunk, &bytes);
        if sample.peer.decap(&mut frame).is_ok() {
            prop_assert!(frame.len() <= bytes.len());
        }
    }

    #[test]
    fn no_damaged_header_makes_decap_panic(
        at in any_sample(),
        damage in prop::collection::vec((0_usize..32, any::<u8>()), 1..4),
        len in 14_usize..100,
    ) {
        let sample = &SAMPLES[at];
        let mut wire = encapsulated(&sample.peer, sample.segment, &tenant_frame(len));
        for (place, bits) in damage {
            if let Some(byte) = wire.get_mut(place) {
                *byte ^= bits;
            }
        }
        let mut chunk = chunk();
        let mut frame = frame(&mut chunk, &wire);
        if sample.peer.decap(&mut frame).is_ok() {
            prop_assert!(frame.len() <= wire.len());
        }
    }

    #[test]
    fn any_tenant_bytes_are_carried_or_refused_unchanged(
        at in any_sample(),
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        entropy in any::<u32>(),
    ) {
        let sample = &SAMPLES[at];
        let mut chunk = chunk();
        let mut frame = frame(&mut chunk, &bytes);
        match sample.peer.encap(&mut frame, sample.segment, entropy) {
            Ok(()) => {
                let carried = payload_of(sample.peer.carrier(), sample.peer.overhead(sample.segment), frame.bytes());
                prop_assert!(carried == bytes);
            }
            Err(_) => prop_assert!(frame.bytes() == bytes),
        }
    }
}

#[test]
fn what_is_written_for_a_segment_is_taken_for_it_and_for_no_other() {
    for (n, sample) in SAMPLES.iter().enumerate() {
        let (peer, segment) = (&sample.peer, sample.segment);
        assert!(peer.tx_ids(segment).iter().all(|range| peer.rx_ids(segment).contains(*range.start())), "{sample}");
        for other in SAMPLES[..n].iter().filter(|other| other.spec == sample.spec && other.segment != segment) {
            let mut both = sample.spec.compile().expect("it did before");
            let can_both_be_claimed = both.claim(segment).is_ok() && both.claim(other.segment).is_ok();
            let is_longer = |one, other| both.longer(other).contains(&one);
            let is_told_apart = is_longer(segment, other.segment) || is_longer(other.segment, segment);
            let do_meet = !is_told_apart && peer.rx_ids(segment).meets(&peer.rx_ids(other.segment));
            assert!(!(can_both_be_claimed && do_meet), "{sample} and {other} are the same on the wire");
        }
    }
}
