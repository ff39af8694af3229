//! What the standards ask of an encapsulation and of the headers around it, a sentence each, with its section.

#[path = "../support/mod.rs"]
mod support;

mod ecn;
mod entropy;
mod gre;
mod inner;
mod nvgre;
mod outer;
mod overhead;
mod packet;
mod qinq;
mod sequence;
mod udp;
mod underlay;
mod vxlan;

use transload_encaps::{Compiled, Decap, DropReason, Ids, Segment, Spec};

/// A peer that knows these segments, each given by its ID fields.
fn peer(spec: &Spec, claims: &[&[(&'static str, u64)]]) -> Compiled {
    let mut peer = spec.compile().expect("the spec compiles");
    for ids in claims {
        let segment = spec.kind().segment(&Ids::of(ids)).expect("the IDs go together");
        peer.claim(segment).expect("the claims can be told apart");
    }
    peer.carry_state(None);
    peer
}

fn segment(peer: &Compiled, ids: &[(&'static str, u64)]) -> Segment {
    peer.kind().segment(&Ids::of(ids)).expect("the IDs go together")
}

/// What is left after decapsulation and what it found, or the label it was dropped under.
fn decap(peer: &Compiled, wire: &[u8]) -> Result<(Decap, Vec<u8>), &'static str> {
    let mut chunk = support::chunk();
    let mut frame = support::frame(&mut chunk, wire);
    let found = peer.decap(&mut frame).map_err(DropReason::label)?;
    Ok((found, frame.bytes().to_vec()))
}

/// The label of what was tolerated, if something was.
fn tolerated(found: &Decap) -> Option<&'static str> {
    found.tolerated.map(DropReason::label)
}

/// What the peer would be sent, behind its carrier.
fn encap(peer: &Compiled, ids: &[(&'static str, u64)], payload: &[u8], entropy: u32) -> Vec<u8> {
    let mut chunk = support::chunk();
    let mut frame = support::frame(&mut chunk, payload);
    peer.encap(&mut frame, segment(peer, ids), entropy).expect("there is headroom");
    frame.bytes().to_vec()
}

/// A tenant's frame without a tag: broadcast, of a type that nothing parses.
const TENANT: [u8; 20] = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 0x0a, 0x88, 0xb5, 1, 2, 3, 4, 5, 6];

/// The frame with tags behind its addresses.
fn tagged(frame: &[u8], tags: &[(u16, u16)]) -> Vec<u8> {
    let mut bytes = frame[..12].to_vec();
    for (tpid, tci) in tags {
        bytes.extend(tpid.to_be_bytes());
        bytes.extend(tci.to_be_bytes());
    }
    bytes.extend(&frame[12..]);
    bytes
}
