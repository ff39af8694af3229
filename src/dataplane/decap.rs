//! Decap: strip the tunnel header, bring congestion marks inward, and find the tenant.

use transload_encaps::ethernet::{self, HEADER_LEN};
use transload_encaps::{Checksum, Common, Decap, DropReason, Frame, InnerTags, Payload, Segment, ecn};

use super::burst::{Burst, Decision, Note};
use super::mapping;
use super::trace::Tracer;
use crate::counters::{Counters, Flow};
use crate::forwarding::{Claim, Forwarding, Peer};

/// Takes every frame of a burst out of its tunnel.
#[inline(never)]
pub(super) fn decap<T: Tracer>(burst: &mut Burst<'_>, tables: &Forwarding, counters: &Counters, tracer: &mut T) {
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
        decap_run(run, notes, tables, counters, tracer);
    }
}

/// Takes a run of frames of one peer out of its tunnel.
fn decap_run<T: Tracer>(
    frames: &mut [Frame<'_>],
    notes: &mut [Note],
    tables: &Forwarding,
    counters: &Counters,
    tracer: &mut T,
) {
    let Some(first) = notes.first().filter(|note| note.is_pending()) else { return };
    let Some(peer) = tables.peer(first.origin.peer) else {
        return notes.iter_mut().for_each(|note| note.drop(Common::UnknownPeer.into()));
    };
    let traffic = counters.peer(first.origin.peer);
    let mut last = None;
    peer.compiled.decap_group(frames, |i, frame, found| {
        let Some(note) = notes.get_mut(i) else { return };
        match found.and_then(|found| inward(frame, note, found, &mut last, peer, tables, counters, tracer)) {
            Ok(()) => {
                if let Some(traffic) = traffic {
                    traffic.rx.count(frame.len());
                }
            }
            Err(reason) => note.drop(reason),
        }
    });
}

/// A segment of the run's peer that a tenant has, and what that means for every frame of it.
#[derive(Clone, Copy)]
struct Home<'t> {
    segment: Segment,
    claim: Claim,
    inner_tags: InnerTags,
    traffic: Option<&'t Flow>,
}

/// What is to be done to a tenant's frame once its header is off. Notes whose it is.
#[inline]
#[expect(clippy::too_many_arguments, reason = "what one frame is about, and what the run has in common")]
fn inward<'t, T: Tracer>(
    frame: &mut Frame<'_>,
    note: &mut Note,
    found: Decap,
    last: &mut Option<Home<'t>>,
    peer: &Peer,
    tables: &Forwarding,
    counters: &'t Counters,
    tracer: &mut T,
) -> Result<(), DropReason> {
    if let Some(counter) = found.tolerated.and_then(|reason| counters.tolerated(reason)) {
        counter.add(1);
    }
    let Payload::Ethernet = found.payload;
    if frame.len() < HEADER_LEN {
        return Err(Common::InnerTruncated.into());
    }
    if last.is_none_or(|home| home.segment != found.segment) {
        *last = home(found.segment, peer, tables, counters);
    }
    tracer.segment(note.origin.peer, &found, last.map(|home| home.claim));
    let Some(home) = last else {
        let crossing = mapping::find(tables, counters, peer, found.segment, tracer)?;
        let inner_tags = mapping::origin(tables, crossing).map_or(InnerTags::Keep, |end| end.inner_tags);
        bare(frame, note, inner_tags)?;
        note.decision = Decision::Across(crossing);
        return Ok(());
    };
    bare(frame, note, home.inner_tags)?;
    note.claim = Some(home.claim);
    if let Some(traffic) = home.traffic {
        traffic.count(frame.len());
    }
    Ok(())
}

#[inline(never)]
fn home<'t>(segment: Segment, peer: &Peer, tables: &Forwarding, counters: &'t Counters) -> Option<Home<'t>> {
    let claim = *tables.segments.get(&(peer.scope, segment))?;
    let attachment = tables.domain(claim.domain).and_then(|domain| domain.attachment(claim.attachment));
    let inner_tags = attachment.map_or(InnerTags::Keep, |attachment| attachment.inner_tags);
    let traffic = counters.domain(claim.domain).map(|domain| &domain.traffic.rx);
    Some(Home { segment, claim, inner_tags, traffic })
}

/// Settles what the headers that are gone have left behind: unfinished checksums, congestion marks, tags.
#[inline]
fn bare(frame: &mut Frame<'_>, note: &Note, inner_tags: InnerTags) -> Result<(), DropReason> {
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
    apply(inner_tags, frame)
}

/// Does to the tenant's VLAN tags what an attachment says, in either direction.
///
/// # Errors
/// `InnerTags` when the frame has a tag and may not; `InnerTruncated` when nothing is left behind the tags.
#[inline]
pub(super) fn apply(rule: InnerTags, frame: &mut Frame<'_>) -> Result<(), DropReason> {
    match rule {
        InnerTags::Drop if is_tagged(frame) => Err(Common::InnerTags.into()),
        InnerTags::Keep | InnerTags::Drop => Ok(()),
        InnerTags::Strip => {
            while is_tagged(frame) {
                frame.pop_tag()?;
            }
            if frame.len() < HEADER_LEN { Err(Common::InnerTruncated.into()) } else { Ok(()) }
        }
    }
}

/// How many bytes [`apply`] would take off.
///
/// # Errors
/// `InnerTags` as there.
#[inline]
pub(super) fn stripped(rule: InnerTags, frame: &Frame<'_>) -> Result<usize, DropReason> {
    match rule {
        InnerTags::Drop if is_tagged(frame) => Err(Common::InnerTags.into()),
        InnerTags::Strip if is_tagged(frame) => {
            Ok(ethernet::payload(frame.bytes()).map_or(0, |(_, at)| at - HEADER_LEN))
        }
        InnerTags::Keep | InnerTags::Drop | InnerTags::Strip => Ok(0),
    }
}

#[inline]
fn is_tagged(frame: &Frame<'_>) -> bool {
    ethernet::be16(frame.bytes(), ethernet::ADDRESSES_LEN).is_some_and(ethernet::is_tag)
}
