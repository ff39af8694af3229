//! Decap: strip the tunnel header, bring congestion marks inward, and find the tenant.

use transload_encaps::ethernet::HEADER_LEN;
use transload_encaps::{Checksum, Common, Decap, DropReason, Encap, Frame, InnerTags, Payload, Segment, Work, ecn};

use super::burst::Burst;
use super::memo::Memo;
use super::note::{FrameKind, Note, PacketOrigin};
use super::trace::Tracer;
use super::{inner_tags, mapping};
use crate::counters::{Counters, TrafficTally};
use crate::forwarding::{Claim, Forwarding, Peer, PeerId, Scope};

/// What the decap stage reads and writes besides the burst.
pub(super) struct Decapsulator<'a, T> {
    /// The frozen tables.
    pub tables: &'a Forwarding,
    /// This worker's counters.
    pub counters: &'a Counters,
    /// The observer of the stages.
    pub tracer: &'a mut T,
}

/// Takes every frame of a burst out of its tunnel.
#[inline(never)]
pub(super) fn decap<T: Tracer>(burst: &mut Burst<'_>, with: &mut Decapsulator<'_, T>) {
    let (mut frames, mut notes) = (burst.frames.as_mut_slice(), burst.notes.as_mut_slice());
    let memo = &mut Memo::new();
    while let Some(first) = notes.first_mut() {
        let id = first.origin.peer;
        let done = match with.tables.peer(id) {
            _ if !first.is_pending() => 1,
            Some(peer) => peer.compiled.with(PeerRun { id, peer, memo, frames, notes, with }),
            None => {
                first.drop(Common::UnknownPeer.into());
                1
            }
        };
        frames = frames.get_mut(done..).unwrap_or_default();
        notes = notes.get_mut(done..).unwrap_or_default();
    }
}

/// Frames of which the first ones, at least one, are one peer's.
struct PeerRun<'r, 'a, 'mem, T> {
    id: PeerId,
    peer: &'a Peer,
    memo: &'r mut Memo<SegmentOwner<'a>>,
    frames: &'r mut [Frame<'mem>],
    notes: &'r mut [Note],
    with: &'r mut Decapsulator<'a, T>,
}

impl<T: Tracer> Work for PeerRun<'_, '_, '_, T> {
    type Outcome = usize;

    /// Takes the peer's frames out of its tunnel; says how many there were.
    #[inline(never)]
    fn run<E: Encap>(self, encap: &E, state: &E::State) -> usize {
        let Self { id, peer, memo, frames, notes, with } = self;
        let mut received = TrafficTally::new(with.counters.peer(id).map(|peer| &peer.rx));
        let mut done = 0;
        for (frame, note) in frames.iter_mut().zip(notes) {
            let PacketOrigin { peer: from, at, end, .. } = note.origin;
            if from != id || !note.is_pending() {
                break;
            }
            done += 1;
            let found = frame.narrow(at.into(), end as usize).and_then(|()| encap.decap(state, frame));
            match found.and_then(|found| with.deliver(peer, memo, frame, note, found)) {
                Ok(()) => received.count(frame.len()),
                Err(reason) => note.drop(reason),
            }
        }
        done
    }
}

/// The tenant that a segment belongs to, and what that means for every frame of it.
struct SegmentOwner<'t> {
    scope: Scope,
    segment: Segment,
    claim: Claim,
    inner_tags: InnerTags,
    /// What comes in by the attachment, counted by this worker.
    received: TrafficTally<'t>,
}

impl<'a, T: Tracer> Decapsulator<'a, T> {
    /// Hands a frame whose header is off to the tenant, or the mapping, that its segment belongs to.
    #[expect(clippy::inline_always, reason = "asked for each frame, in one loop for every encapsulation")]
    #[inline(always)]
    fn deliver(
        &mut self,
        peer: &Peer,
        memo: &mut Memo<SegmentOwner<'a>>,
        frame: &mut Frame<'_>,
        note: &mut Note,
        found: Decap,
    ) -> Result<(), DropReason> {
        if let Some(counter) = found.tolerated.and_then(|reason| self.counters.tolerated(reason)) {
            counter.add(1);
        }
        let Payload::Ethernet = found.payload;
        if frame.len() < HEADER_LEN {
            return Err(Common::InnerTruncated.into());
        }
        let owner =
            match memo.alike(|before| !T::WATCHES && (before.scope, before.segment) == (peer.scope, found.segment)) {
                Some(before) => before,
                None => match self.look_up(found.segment, peer) {
                    Some(owner) => memo.set(owner),
                    None => return self.cross(frame, note, found, peer),
                },
            };
        self.tracer.segment(note.origin.peer, &found, Some(owner.claim));
        if let Err(reason) = settle_inner(frame, note, owner.inner_tags) {
            note.kind = FrameKind::Refused(found.segment);
            return Err(reason);
        }
        note.kind = FrameKind::Tenant(owner.claim);
        owner.received.count(frame.len());
        Ok(())
    }

    /// The tenant that a segment of this peer belongs to, if one has it.
    #[inline(never)]
    fn look_up(&self, segment: Segment, peer: &Peer) -> Option<SegmentOwner<'a>> {
        let claim = *self.tables.segments.get(&(peer.scope, segment))?;
        let attachment = self.tables.domain(claim.domain).and_then(|domain| domain.attachment(claim.attachment));
        let inner_tags = attachment.map_or(InnerTags::Keep, |attachment| attachment.inner_tags);
        let received = TrafficTally::new(self.counters.attachment(claim).map(|attachment| &attachment.rx));
        Some(SegmentOwner { scope: peer.scope, segment, claim, inner_tags, received })
    }

    /// Hands a frame whose segment is no tenant's to the mapping that has it.
    #[cold]
    fn cross(&mut self, frame: &mut Frame<'_>, note: &mut Note, found: Decap, peer: &Peer) -> Result<(), DropReason> {
        self.tracer.segment(note.origin.peer, &found, None);
        note.kind = FrameKind::Refused(found.segment);
        let crossing = mapping::find(self.tables, self.counters, peer, found.segment, self.tracer)?;
        let inner_tags = mapping::origin(self.tables, crossing).map_or(InnerTags::Keep, |end| end.inner_tags);
        settle_inner(frame, note, inner_tags)?;
        note.kind = FrameKind::Mapping(crossing);
        Ok(())
    }
}

/// Settles what the headers that are gone have left behind: unfinished checksums, congestion marks, tags.
#[inline]
fn settle_inner(frame: &mut Frame<'_>, note: &Note, inner_tags: InnerTags) -> Result<(), DropReason> {
    let marks = note.origin.outer_class.unwrap_or(0) & ecn::MASK;
    if frame.meta.is_plain() && marks == ecn::NOT_ECT && !inner_tags::applies(inner_tags, frame) {
        return Ok(());
    }
    settle_in_full(frame, note, inner_tags)
}

/// The same, where there is something to settle.
#[inline(never)]
fn settle_in_full(frame: &mut Frame<'_>, note: &Note, inner_tags: InnerTags) -> Result<(), DropReason> {
    // A checksum left unfinished in a header that is gone now concerns nobody any more; but a super-frame of which it
    // was has lost its boundaries. Trains were cut before.
    if let Checksum::Partial { start, .. } = frame.meta.checksum
        && frame.frame_offset(start).is_none()
    {
        if frame.meta.gso.is_some() {
            return Err(Common::Unsegmentable.into());
        }
        frame.meta.checksum = Checksum::Unknown;
    }
    if let Some(class) = note.origin.outer_class {
        ecn::decap(frame, class)?;
    }
    inner_tags::apply(inner_tags, frame)
}
