//! Every encapsulation of the registry takes any bytes apart, or drops them by name; what it took apart it can put
//! together again.
#![no_main]

#[path = "../../encaps/tests/samples/mod.rs"]
#[expect(dead_code, reason = "the samples belong to the contract tests; this uses some of them")]
mod samples;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use samples::Sample;
use transload_encaps::{Compiled, Frame, HEADROOM, Segment};

/// All options of every encapsulation, all boundaries of its IDs.
static SAMPLES: LazyLock<Vec<Sample>> = LazyLock::new(samples::samples);

// Two bytes choose the sample, so that a new encapsulation is fuzzed without a new target; the rest is the frame, from
// the tunnel's own header on.
fuzz_target!(|input: &[u8]| {
    let Some((choice, wire)) = input.split_first_chunk() else { return };
    let sample = &SAMPLES[usize::from(u16::from_le_bytes(*choice)) % SAMPLES.len()];
    // What a peer counts must not carry over from one input to the next.
    let peer = samples::peer(&sample.spec, sample.segment);
    let Some((segment, inner)) = decap(&peer, wire) else { return };
    assert!(inner.len() <= wire.len(), "{sample}: the frame grew");

    let mut chunk = vec![0xa5; HEADROOM + inner.len()];
    let mut frame = Frame::new(&mut chunk);
    assert!(frame.fill(HEADROOM, &inner));
    match peer.encap(&mut frame, segment, 0) {
        Ok(()) => {
            let again = decap(&peer, frame.bytes());
            assert!(again.as_ref() == Some(&(segment, inner)), "{sample}: {:02x?} became {again:02x?}", frame.bytes());
        }
        Err(reason) => assert!(frame.bytes() == inner, "{sample}: dropped as {reason:?}, but changed"),
    }
});

/// The segment and the tenant's frame, unless the bytes are none of this peer's.
fn decap(peer: &Compiled, wire: &[u8]) -> Option<(Segment, Vec<u8>)> {
    let mut chunk = vec![0xa5; HEADROOM + wire.len()];
    let mut frame = Frame::new(&mut chunk);
    assert!(frame.fill(HEADROOM, wire));
    let found = peer.decap(&mut frame);
    if let Err(reason) = &found {
        assert!(!reason.label().is_empty());
    }
    Some((found.ok()?.segment, frame.bytes().to_vec()))
}
