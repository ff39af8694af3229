//! Paths out of the gateway, and how long a tenant's frame may be on them; and the side that a frame came in by, which
//! is the path back to its sender.

use std::sync::atomic::AtomicU64;

use transload_encaps::ethernet::{self, C_TAG, HEADER_LEN, TAG_LEN};
use transload_encaps::underlay::Underlay;
use transload_encaps::{DropReason, Frame, InnerTags, Mac, Segment};

use super::offload;
use crate::counters::{Counter, Counters, TrafficCounter};
use crate::forwarding::{
    AttachmentId, Claim, Crossing, Domain, DomainId, Exit, Forwarding, Hop, MssClamp, Peer, Target,
};

/// The side that a frame which leaves came in by.
#[derive(Clone, Copy)]
pub(super) enum IngressSide<'t> {
    /// An attachment of a tenant, and the peer behind it.
    Tenant { id: DomainId, domain: &'t Domain, origin: Target },
    /// The other side of a mapping that the frame crosses like this.
    Mapping(Crossing),
}

impl<'t> IngressSide<'t> {
    /// Counts copies or segments of its frames, beyond one for each frame.
    pub(super) fn count_copies(self, copies: u64, counters: &Counters) {
        let counter = match self {
            Self::Tenant { id, .. } => counters.domain(id).map(|domain| &domain.copies),
            Self::Mapping(crossing) => counters.mapping(crossing.mapping).map(|mapping| &mapping.copies),
        };
        if let Some(counter) = counter {
            counter.add(copies);
        }
    }

    /// Counts an ICMP error that was sent to the sender of a frame that is too big.
    pub(super) fn count_answer(self, counters: &Counters) {
        let counter = match self {
            Self::Tenant { id, .. } => counters.domain(id).map(|domain| &domain.too_big_answers),
            Self::Mapping(crossing) => counters.mapping(crossing.mapping).map(|mapping| &mapping.too_big_answers),
        };
        if let Some(counter) = counter {
            counter.add(1);
        }
    }

    /// The attachment of a tenant, and the peer behind it.
    pub(super) const fn origin(self) -> Option<Target> {
        match self {
            Self::Tenant { origin, .. } => Some(origin),
            Self::Mapping(_) => None,
        }
    }

    /// The attachment of a tenant that the frame came in by.
    pub(super) const fn ingress(self) -> Option<Claim> {
        match self {
            Self::Tenant { id, origin, .. } => Some(Claim { domain: id, attachment: origin.attachment }),
            Self::Mapping(_) => None,
        }
    }

    /// The attachment, if it is one of this domain.
    pub(super) fn attachment_of(self, domain: DomainId) -> Option<AttachmentId> {
        self.ingress().filter(|ingress| ingress.domain == domain).map(|ingress| ingress.attachment)
    }

    /// The address that the gateway's ICMP errors to the sender come from, and when the next one is on schedule, in
    /// nanoseconds of the workers' clock.
    pub(super) fn icmp_source(self, tables: &'t Forwarding) -> Option<(Mac, &'t AtomicU64)> {
        match self {
            Self::Tenant { id, domain, .. } => Some((tables.own_macs.domain(id)?, &domain.state.icmp_due)),
            Self::Mapping(Crossing { mapping, .. }) => {
                let due = &tables.mappings.get(mapping)?.icmp_due;
                Some((tables.own_macs.mapping(mapping)?, due))
            }
        }
    }

    /// What the tenant wants of its hosts' TCP segments.
    #[inline]
    pub(super) fn mss_clamp(&self) -> Option<MssClamp> {
        match self {
            Self::Tenant { domain, .. } => domain.mss_clamp,
            Self::Mapping(_) => None,
        }
    }
}

/// One path out of the gateway, looked up.
#[derive(Clone, Copy)]
pub(super) struct EgressPath<'t> {
    pub(super) peer: &'t Peer,
    /// The next hops, all of equal cost; empty for the tags of a port.
    pub(super) hops: &'t [Hop],
    pub(super) segment: Segment,
    pub(super) inner_tags: InnerTags,
    /// What this worker counts of the frames sent: for the peer, and for the tenant or the mapping.
    pub(super) sent: [Option<&'t TrafficCounter>; 2],
    /// What it counts of those that were to be sent to the peer and were dropped.
    pub(super) unsent: Option<&'t Counter>,
}

impl<'t> EgressPath<'t> {
    /// Counts a frame that was to leave by this path, and is dropped for this reason.
    #[cold]
    pub(super) fn fails(&self, reason: DropReason) -> DropReason {
        if let Some(unsent) = self.unsent {
            unsent.add(1);
        }
        reason
    }

    /// RFC 2992 §1: a flow keeps its next hop among those of equal cost.
    #[inline]
    pub(super) fn hop(&self, entropy: u32) -> Option<&'t Hop> {
        match self.hops {
            [only] => Some(only),
            // The upper bits: the lower ones fill the source port, which the next router balances by.
            several => several.get(((u64::from(entropy) * several.len() as u64) >> 32) as usize),
        }
    }

    /// The longest frame, in bytes, that fits into an MTU with a tunnel's headers.
    #[inline]
    pub(super) fn room_in_ip(&self, mtu: u32, underlay: &Underlay) -> usize {
        (mtu as usize).saturating_sub(self.peer.compiled.overhead(self.segment) + underlay.ip_overhead())
    }

    /// The longest frame, in bytes, that fits into a port's MTU with its attachment's tags. Not counted are the
    /// Ethernet header, nor one 802.1Q tag, as on any Linux device; further tags are.
    #[inline]
    pub(super) fn room_in_tags(&self, mtu: u32, frame: &Frame<'_>, stripped: usize) -> usize {
        let own = || ethernet::be16(frame.bytes(), ethernet::ADDRESSES_LEN).filter(|_| stripped == 0);
        self.room_behind(self.outer_tag().or_else(own), mtu)
    }

    /// The same for any frame, whatever its own tags are.
    #[inline]
    pub(super) fn least_room_in_tags(&self, mtu: u32) -> usize {
        self.room_behind(self.outer_tag(), mtu)
    }

    #[inline]
    fn room_behind(&self, first: Option<u16>, mtu: u32) -> usize {
        let free = if first == Some(C_TAG) { TAG_LEN } else { 0 };
        (mtu as usize + HEADER_LEN + free).saturating_sub(self.peer.compiled.overhead(self.segment))
    }

    #[inline]
    fn outer_tag(&self) -> Option<u16> {
        self.peer.compiled.outer_tag(self.segment)
    }
}

/// The longest IP packet of a tenant, in bytes and without tags of its own, that fits every next hop to a place of its domain;
/// none if there is no limit, or no path.
#[must_use]
pub fn inner_mtu(tables: &Forwarding, to: Target, domain: &Domain) -> Option<u32> {
    let (peer, attachment) = (tables.peer(to.peer)?, domain.attachment(to.attachment)?);
    let hops = tables.hops(to.peer).unwrap_or_default();
    let (segment, inner_tags) = (attachment.segment, attachment.inner_tags);
    let path = EgressPath { peer, hops, segment, inner_tags, sent: [None; 2], unsent: None };
    let room = match &peer.exit {
        Exit::Tunnel(underlay) => path.room_in_ip(hops.iter().filter_map(|hop| hop.mtu).min()?, underlay),
        Exit::Port(port) => path.least_room_in_tags(tables.ports.get(*port)?.mtu?),
    };
    u32::try_from(room.saturating_sub(HEADER_LEN)).ok()
}

/// How many bytes of a frame are on the wire at once, which of a super-frame are those of a segment.
pub(super) fn longest(frame: &Frame<'_>) -> usize {
    match frame.meta.gso {
        None => frame.len(),
        // What cannot be cut is the device's to judge.
        Some(_) => offload::longest_segment(frame).unwrap_or(0),
    }
}
