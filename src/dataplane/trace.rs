//! What the stages report to an observer: what was looked up, and what answered.
//!
//! A [`Tracer`] is a type parameter of the stages. The workers run with one that is only told of dropped frames, of which
//! it takes samples (`sample.rs`); its other methods are empty, so that nothing of them is left in their
//! code. `explain` runs the same functions with one that writes everything down, and a capture with one that hands the
//! frames to control ([`tap`](super::tap)).

use std::net::IpAddr;

use transload_encaps::outer::Outer;
use transload_encaps::{Decap, DropReason, Frame, Mac};

use super::Now;
use super::burst::Burst;
use super::note::Note;
use crate::fdb::LearnOutcome;
use crate::forwarding::{
    Claim, Crossing, DomainId, EndpointId, Forwarding, Hop, MappingId, PeerId, PortId, Sender, Target,
};

/// A stage of the pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// The port gave frames.
    Receive,
    /// The peer of the tunnel packet, or of the tags.
    Classify,
    /// Out of the tunnel, and to the tenant or mapping of the segment.
    Decap,
    /// Learned, looked up, decided.
    Bridge,
    /// Into the tunnels they leave by.
    Encap,
}

/// A frame that is dropped, or of which a copy or a segment is.
pub struct LostFrame<'a> {
    /// Why.
    pub reason: DropReason,
    /// The frame; where it is a copy or a segment that is dropped, the one that it was made of.
    pub frame: &'a Frame<'a>,
    /// What is known about it.
    pub note: &'a Note,
    /// The length, in bytes, of the new outer headers at its front; 0 if the encap stage has written none yet.
    pub wrapped: usize,
    /// The tables of this breath.
    pub tables: &'a Forwarding,
    /// The time of this breath.
    pub now: Now,
}

/// An observer of the stages, called in the order of what they do. Every method does nothing unless it is written.
#[expect(unused_variables, reason = "the defaults are empty")]
pub trait Tracer {
    /// Whether it is told of every step, and not of drops alone. The stages then take no short cut, since what a short cut
    /// leaves out, it cannot tell; what becomes of the frames is the same.
    const WATCHES: bool = true;

    /// A stage is done with a burst. After the last one, the frames have left it and the notes are still there.
    #[inline]
    fn done(&mut self, stage: Stage, burst: &Burst<'_>) {}

    /// Classify: these frames are looked at; what is behind a train comes later.
    #[inline]
    fn taken(&mut self, burst: &Burst<'_>) {}

    /// Classify: the frame has this endpoint's tag and is to its address.
    #[inline]
    fn to_endpoint(&mut self, endpoint: EndpointId) {}

    /// Classify: the outer headers are whole, and say this.
    #[inline]
    fn outer(&mut self, outer: &Outer) {}

    /// Classify: the UDP checksum of a packet from this peer is taken as it is.
    #[inline]
    fn unverified(&mut self, peer: PeerId) {}

    /// Classify: the sender, and the peer that it is, if it may send.
    #[inline]
    fn sender(&mut self, sender: &Sender, peer: Option<PeerId>) {}

    /// Decap: the peer's header is off; the segment it names, and the attachment that the segment belongs to.
    #[inline]
    fn segment(&mut self, peer: PeerId, found: &Decap, claim: Option<Claim>) {}

    /// Decap: no tenant has the segment, but a mapping: the crossing, or the mapping that has none for it.
    #[inline]
    fn crossing(&mut self, crossing: Result<Crossing, MappingId>) {}

    /// Bridge: the source was offered to the FDB; `None` where the tenant does not learn.
    #[inline]
    fn source(&mut self, mac: Mac, to: Target, learned: Option<LearnOutcome>) {}

    /// Bridge: the source would have been learned, but the sender, at this address, has no number yet.
    #[inline]
    fn unknown_sender(&mut self, mac: Mac, address: IpAddr) {}

    /// Bridge: the destination was looked up in the FDB.
    #[inline]
    fn destination(&mut self, mac: Mac, target: Option<Target>) {}

    /// Encap: it is the turn of the frame in this place of the burst.
    #[inline]
    fn turn(&mut self, at: usize) {}

    /// Encap: the frame waits for its copies. The observer returns a number by which it knows the frame again.
    #[inline]
    fn mark(&self) -> u64 {
        0
    }

    /// It is the turn of a frame that is in no burst: one that has waited, or is dropped while it waits. Its number, 0 if it
    /// has none, and what is known about it.
    #[inline]
    fn again(&mut self, mark: u64, note: &Note, frame: &Frame<'_>) {}

    /// Encap: the frame, or a copy of it, is to go to this place of a domain.
    #[inline]
    fn egress(&mut self, domain: DomainId, target: Target) {}

    /// Encap: the next hop there, one of several of equal cost.
    #[inline]
    fn hop(&mut self, hop: &Hop, of: usize) {}

    /// Encap: a frame is whole, and waits to leave by this port.
    #[inline]
    fn leaves(&mut self, port: PortId, frame: &Frame<'_>) {}

    /// Encap: an ICMP error with this MTU goes to the sender of a frame that was too big, back where the frame came
    /// in: there, for a tenant's, and by the same mapping otherwise.
    #[inline]
    fn sent_too_big(&mut self, mtu: usize, origin: Option<Target>) {}

    /// A frame, or a copy or segment of it, is dropped under this name: told before its chunk goes back to the pool, and
    /// wherever drops are counted. Of copies that are not even made, and of fragments that are given up together, it is told
    /// once for all; of the gateway's own frames, and of what devices drop by themselves, never. Called from cold code only.
    #[inline]
    fn dropped(&mut self, lost: &LostFrame<'_>) {}
}
