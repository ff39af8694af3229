//! Egress: what the encap stage reads and writes besides the burst, and the paths out that it looks up there.

use transload_encaps::{DropReason, Frame, InnerTags, Segment};

use super::floods::Floods;
use super::note::Note;
use super::path::{EgressPath, IngressSide};
use super::ports::WorkerPorts;
use super::trace::{LostFrame, Tracer};
use super::{Now, mapping};
use crate::counters::{Counters, TrafficCounter};
use crate::forwarding::{Attachment, Claim, Crossing, Domain, DomainId, End, Exit, Forwarding, PeerId, Target};
use crate::io::{Caps, Pool};

/// What the encap stage reads and writes besides the burst.
pub(super) struct Egress<'a, 'mem, T> {
    /// The frozen tables.
    pub tables: &'a Forwarding,
    /// The ports that frames leave by.
    pub ports: &'a mut WorkerPorts<'mem>,
    /// Chunks for copies and segments.
    pub pool: &'a mut Pool<'mem>,
    /// The frames that wait for their copies.
    pub floods: &'a mut Floods<'mem>,
    /// Room for the segments of one super-frame; empty between frames.
    pub segments: &'a mut Vec<Frame<'mem>>,
    /// This worker's counters.
    pub counters: &'a Counters,
    /// The time of this burst.
    pub now: Now,
    /// The present frame, or a copy or segment of it, as the narrowest of its paths refused it.
    pub refused: Option<TooBigFrame<'mem>>,
    /// The observer of the stages.
    pub tracer: &'a mut T,
}

/// A frame that is too big for a path.
pub(super) struct TooBigFrame<'mem> {
    pub frame: Frame<'mem>,
    /// The longest that the path carries, in bytes, the tenant's tags included.
    pub most: usize,
}

/// What is known about a frame that is to leave.
pub(super) struct Outgoing<'f, 'a> {
    /// The side that it came in by.
    pub side: IngressSide<'a>,
    /// What the observer is told if it is dropped.
    pub told: Told<'f>,
}

/// What the observer is told of a frame that is dropped.
#[derive(Clone, Copy)]
pub(super) enum Told<'f> {
    /// The frame itself, with its note.
    Itself(&'f Note),
    /// The frame that it is a copy or segment of, with that one's note.
    Original(&'f Note, &'f Frame<'f>),
    /// Nothing: it is the gateway's own answer.
    Nothing,
}

impl<'mem, T: Tracer> Egress<'_, 'mem, T> {
    /// Drops a frame, with so many bytes of new headers in front of it. Every frame that does not leave ends here.
    #[cold]
    pub(super) fn lose(
        &mut self,
        frame: Frame<'mem>,
        told: Told<'_>,
        wrapped: usize,
        reason: impl Into<DropReason>,
    ) -> DropReason {
        let reason = self.tell(&frame, told, wrapped, reason);
        self.pool.put(frame);
        reason
    }

    /// Tells the observer that a frame is dropped, or a copy of it that is not even made.
    #[cold]
    pub(super) fn tell(
        &mut self,
        frame: &Frame<'_>,
        told: Told<'_>,
        wrapped: usize,
        reason: impl Into<DropReason>,
    ) -> DropReason {
        let reason = reason.into();
        let (note, frame, wrapped) = match told {
            Told::Itself(note) => (note, frame, wrapped),
            Told::Original(note, frame) => (note, frame, 0),
            Told::Nothing => return reason,
        };
        self.tracer.dropped(&LostFrame { reason, frame, note, wrapped, tables: self.tables, now: self.now });
        reason
    }
}

impl<'a, T> Egress<'a, '_, T> {
    /// The path to a place of a domain.
    #[inline]
    pub(super) fn path_to(&self, id: DomainId, domain: &Domain, target: Target) -> Option<EgressPath<'a>> {
        let Attachment { segment, inner_tags, .. } = *domain.attachment(target.attachment)?;
        let claim = Claim { domain: id, attachment: target.attachment };
        let sent = self.counters.attachment(claim).map(|attachment| &attachment.tx);
        self.path(target.peer, segment, inner_tags, sent)
    }

    /// The path to the other side of a mapping.
    pub(super) fn path_across(&self, crossing: Crossing) -> Option<EgressPath<'a>> {
        let &End { peer, inner_tags, .. } = mapping::destination(self.tables, crossing)?;
        let counters = self.counters.mapping(crossing.mapping);
        let sent = counters.and_then(|mapping| mapping.sent.get(usize::from(crossing.to)));
        self.path(peer, crossing.segment, inner_tags, sent)
    }

    /// The path back to where a frame came in.
    pub(super) fn path_back(&self, side: IngressSide<'a>) -> Option<EgressPath<'a>> {
        match side {
            IngressSide::Tenant { id, domain, origin } => self.path_to(id, domain, origin),
            IngressSide::Mapping(crossing) => {
                let ids = &self.tables.mappings.get(crossing.mapping)?.ids;
                let segment = ids.across(crossing.to.into(), crossing.segment)?.ok()?;
                self.path_across(Crossing { to: 1 - crossing.to.min(1), segment, ..crossing })
            }
        }
    }

    #[inline]
    fn path(
        &self,
        id: PeerId,
        segment: Segment,
        inner_tags: InnerTags,
        sent: Option<&'a TrafficCounter>,
    ) -> Option<EgressPath<'a>> {
        let peer = self.tables.peer(id)?;
        let hops = self.tables.hops(id).unwrap_or_default();
        let counted = self.counters.peer(id);
        let (sent, unsent) = ([counted.map(|peer| &peer.tx), sent], counted.map(|peer| &peer.unsent));
        Some(EgressPath { peer, hops, segment, inner_tags, sent, unsent })
    }

    /// What needs not be done in software on a path. A frame inside IP never leaves unfinished: our header's
    /// checksums, and those who look inside on the way, need it whole.
    #[inline]
    pub(super) fn caps(&self, path: &EgressPath<'_>) -> Caps {
        match path.peer.exit {
            Exit::Tunnel(_) => Caps::default(),
            Exit::Port(port) => self.ports.caps(port),
        }
    }

    /// The longest frame, in bytes, that a path carries whichever next hop is taken; none for no limit.
    pub(super) fn room(&self, path: &EgressPath<'a>, frame: &Frame<'_>, stripped: usize) -> Option<usize> {
        match &path.peer.exit {
            Exit::Tunnel(underlay) => {
                let mtu = path.hops.iter().filter_map(|hop| hop.mtu).min()?;
                Some(path.room_in_ip(mtu, underlay))
            }
            Exit::Port(port) => {
                let mtu = self.tables.ports.get(*port)?.mtu?;
                Some(path.room_in_tags(mtu, frame, stripped))
            }
        }
    }
}
