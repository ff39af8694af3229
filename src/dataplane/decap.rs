//! Decap: strip the tunnel header, bring congestion marks inward, and find the tenant.

use transload_encaps::ethernet::{self, HEADER_LEN};
use transload_encaps::{Checksum, Common, Decap, DropReason, Frame, InnerTags, Payload, ecn};

use super::burst::{Burst, Decision, Note};
use super::mapping::{self, Owner};
use super::trace::Tracer;
use crate::counters::Counters;
use crate::forwarding::{Forwarding, Peer};

/// Takes every frame of a burst out of its tunnel.
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
    peer.compiled.decap_group(frames, |i, frame, found| {
        let Some(note) = notes.get_mut(i) else { return };
        match found.and_then(|found| inward(frame, note, found, peer, tables, counters, tracer)) {
            Ok(owner) => {
                if let Some(traffic) = traffic {
                    traffic.rx.count(frame.len());
                }
                match owner {
                    Owner::Tenant(claim) => {
                        note.claim = Some(claim);
                        if let Some(domain) = counters.domain(claim.domain) {
                            domain.traffic.rx.count(frame.len());
                        }
                    }
                    Owner::Mapping(crossing) => note.decision = Decision::Across(crossing),
                }
            }
            Err(reason) => note.drop(reason),
        }
    });
}

/// What is to be done to a tenant's frame once its header is off; gives back whose it is.
#[inline]
fn inward<T: Tracer>(
    frame: &mut Frame<'_>,
    note: &Note,
    found: Decap,
    peer: &Peer,
    tables: &Forwarding,
    counters: &Counters,
    tracer: &mut T,
) -> Result<Owner, DropReason> {
    if let Some(counter) = found.tolerated.and_then(|reason| counters.tolerated(reason)) {
        counter.add(1);
    }
    let Payload::Ethernet = found.payload;
    if frame.len() < HEADER_LEN {
        return Err(Common::InnerTruncated.into());
    }
    let claim = tables.segments.get(&(peer.scope, found.segment)).copied();
    tracer.segment(note.origin.peer, &found, claim);
    let owner = match claim {
        Some(claim) => Owner::Tenant(claim),
        None => Owner::Mapping(mapping::find(tables, counters, peer, found.segment, tracer)?),
    };
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
    let inner_tags = match owner {
        Owner::Tenant(claim) => {
            let attachment = tables.domain(claim.domain).and_then(|domain| domain.attachment(claim.attachment));
            attachment.map(|attachment| attachment.inner_tags)
        }
        Owner::Mapping(crossing) => mapping::origin(tables, crossing).map(|end| end.inner_tags),
    };
    apply(inner_tags.unwrap_or(InnerTags::Keep), frame)?;
    Ok(owner)
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
