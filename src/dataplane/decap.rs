//! Decap: strip the tunnel header, bring congestion marks inward, and find the tenant.

use transload_encaps::ethernet::HEADER_LEN;
use transload_encaps::{Checksum, Common, Decap, DropReason, Frame, InnerTags, Payload, Segment, ecn};

use super::burst::Burst;
use super::memo::Memo;
use super::note::{FrameKind, Note};
use super::trace::Tracer;
use super::{inner_tags, mapping};
use crate::counters::{Counters, TrafficCounter};
use crate::forwarding::{Claim, Forwarding, Peer};

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
    for (frame, note) in burst.pending() {
        frame.truncate(note.origin.end as usize);
        if let Err(reason) = frame.advance(note.origin.at.into()) {
            note.drop(reason);
        }
    }
    let mut frames = burst.frames.as_mut_slice();
    for notes in burst.notes.chunk_by_mut(|a, b| a.is_pending() && b.is_pending() && a.origin.peer == b.origin.peer) {
        let (run, rest) = frames.split_at_mut(notes.len().min(frames.len()));
        frames = rest;
        with.decap_run(run, notes);
    }
}

/// A run of frames of one peer.
struct PeerRun<'t> {
    peer: &'t Peer,
    memo: Memo<SegmentOwner<'t>>,
}

/// The tenant that a segment of the run's peer belongs to, and what that means for every frame of it.
#[derive(Clone, Copy)]
struct SegmentOwner<'t> {
    segment: Segment,
    claim: Claim,
    inner_tags: InnerTags,
    /// What the tenant sends, counted by this worker.
    traffic: Option<&'t TrafficCounter>,
}

impl<'a, T: Tracer> Decapsulator<'a, T> {
    /// Takes a run of frames of one peer out of its tunnel.
    fn decap_run(&mut self, frames: &mut [Frame<'_>], notes: &mut [Note]) {
        let Some(id) = notes.first().filter(|note| note.is_pending()).map(|note| note.origin.peer) else { return };
        let Some(peer) = self.tables.peer(id) else {
            return notes.iter_mut().for_each(|note| note.drop(Common::UnknownPeer.into()));
        };
        let traffic = self.counters.peer(id);
        let mut run = PeerRun { peer, memo: Memo::new() };
        peer.compiled.decap_group(frames, |i, frame, found| {
            let Some(note) = notes.get_mut(i) else { return };
            match found.and_then(|found| self.deliver(&mut run, frame, note, found)) {
                Ok(()) => {
                    if let Some(traffic) = traffic {
                        traffic.rx.count(frame.len());
                    }
                }
                Err(reason) => note.drop(reason),
            }
        });
    }

    /// Hands a frame whose header is off to the tenant, or the mapping, that its segment belongs to.
    #[inline]
    fn deliver(
        &mut self,
        run: &mut PeerRun<'a>,
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
        let owner = match run.memo.alike(|before| before.segment == found.segment) {
            Some(before) => before,
            None => match self.look_up(found.segment, run) {
                Some(owner) => owner,
                None => return self.cross(frame, note, found, run.peer),
            },
        };
        self.tracer.segment(note.origin.peer, &found, Some(owner.claim));
        settle_inner(frame, note, owner.inner_tags)?;
        note.kind = FrameKind::Tenant(owner.claim);
        if let Some(traffic) = owner.traffic {
            traffic.count(frame.len());
        }
        Ok(())
    }

    /// The tenant that a segment of this peer belongs to, if one has it.
    #[inline(never)]
    fn look_up<'m>(&self, segment: Segment, run: &'m mut PeerRun<'a>) -> Option<&'m SegmentOwner<'a>> {
        let claim = *self.tables.segments.get(&(run.peer.scope, segment))?;
        let attachment = self.tables.domain(claim.domain).and_then(|domain| domain.attachment(claim.attachment));
        let inner_tags = attachment.map_or(InnerTags::Keep, |attachment| attachment.inner_tags);
        let traffic = self.counters.domain(claim.domain).map(|domain| &domain.traffic.rx);
        Some(run.memo.set(SegmentOwner { segment, claim, inner_tags, traffic }))
    }

    /// Hands a frame whose segment is no tenant's to the mapping that has it.
    #[cold]
    fn cross(&mut self, frame: &mut Frame<'_>, note: &mut Note, found: Decap, peer: &Peer) -> Result<(), DropReason> {
        self.tracer.segment(note.origin.peer, &found, None);
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
    // A checksum left unfinished in a header that is gone now concerns nobody any more; but then a super-frame was
    // one of tunnel packets, and its boundaries are lost.
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
