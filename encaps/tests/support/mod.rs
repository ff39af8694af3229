//! Frames for tests: a chunk with room in front, full of rubbish so that nothing passes by being zero already.

use transload_encaps::Frame;

/// A chunk that a 9,000-byte frame and every header fit into.
pub(crate) fn chunk() -> Vec<u8> {
    vec![0xa5; 16 * 1024]
}

/// A frame of these bytes, with exactly this much room in front.
pub(crate) fn frame_at<'mem>(chunk: &'mem mut [u8], headroom: usize, bytes: &[u8]) -> Frame<'mem> {
    let mut frame = Frame::new(chunk);
    assert!(frame.fill(headroom, bytes), "{} bytes do not fit the test's chunk", bytes.len());
    frame
}

/// A frame of these bytes behind the headroom that ports reserve.
pub(crate) fn frame<'mem>(chunk: &'mem mut [u8], bytes: &[u8]) -> Frame<'mem> {
    frame_at(chunk, transload_encaps::HEADROOM, bytes)
}
