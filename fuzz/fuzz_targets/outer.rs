//! The walk over outer headers, and what else reads a frame that nobody has checked: it stays inside the frame.
#![no_main]

use libfuzzer_sys::fuzz_target;
use transload_encaps::inner::Inner;
use transload_encaps::outer::{UdpRules, ip_destination, ip_start, verify_udp, walk};
use transload_encaps::{Frame, HEADROOM, ecn, flow};

// One byte says whether the endpoint expects a tag, one which ECN mark the outer header had; the rest is the frame.
fuzz_target!(|input: &[u8]| {
    let Some((&[tagged, class], wire)) = input.split_first_chunk() else { return };
    let mut chunk = vec![0xa5; HEADROOM + wire.len()];
    let mut frame = Frame::new(&mut chunk);
    assert!(frame.fill(HEADROOM, wire));

    if let Some(at) = ip_start(wire, (tagged & 1 == 1).then_some(7)) {
        let destination = ip_destination(wire, at);
        if let Ok(outer) = walk(wire, at) {
            assert_eq!(destination, Some(outer.dst));
            assert!(at <= outer.ip_at.into() && outer.ip_at < outer.at, "{outer:?}");
            assert!(u32::from(outer.at) <= outer.end && outer.end as usize <= wire.len(), "{outer:?}");
            let verdict = verify_udp(&frame, &outer, UdpRules { zero6: tagged & 2 == 2, unverified: tagged & 4 == 4 });
            assert!(verdict.is_ok() || outer.udp_checksum.is_some(), "{outer:?}");
            frame.truncate(outer.end as usize);
            assert_eq!(frame.advance(outer.at.into()), Ok(()));
        }
    }

    let before = frame.bytes().to_vec();
    if let Some(inner) = Inner::of(&before) {
        assert!(inner.at <= before.len());
        let labelled = inner.label_stack().and_then(|stack| stack.packet());
        let in_session = inner.session().and_then(|session| session.packet);
        for packet in [inner.packet(), labelled, in_session].into_iter().flatten() {
            assert!(packet.at <= packet.end && packet.end <= before.len(), "{packet:?}");
            assert!(packet.l4.is_none_or(|l4| packet.at < l4 && l4 <= before.len()), "{packet:?}");
        }
    }
    assert_eq!(flow::hash(&before), flow::hash(&before));
    let marked = ecn::traffic_class(&before);
    if ecn::decap(&mut frame, class).is_err() {
        assert!(frame.bytes() == before, "dropped, but changed");
    }
    assert_eq!(frame.len(), before.len());
    // RFC 6040 §4.2: the mark may change, the DSCP beside it may not.
    assert_eq!(ecn::traffic_class(frame.bytes()).map(|class| class >> 2), marked.map(|class| class >> 2));
});
