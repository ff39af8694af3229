//! Ways out: the room each leaves a tenant's frame, and the headers it puts in front.

use std::sync::atomic::AtomicU64;

use transload_encaps::ethernet::{self, C_TAG, HEADER_LEN, TAG_LEN};
use transload_encaps::underlay::{Summing, Underlay};
use transload_encaps::{Checksum, Common, DropReason, Frame, InnerTags, Mac, Segment, flow};

use super::decap::{apply, stripped};
use super::encap::Egress;
use super::mss::Syn;
use super::trace::Tracer;
use super::{mapping, offload};
use crate::counters::Flow;
use crate::forwarding::{
    Attachment, Crossing, Domain, DomainId, End, Exit, Forwarding, Hop, MssClamp, Peer, PeerId, PortId, Target,
};
use crate::io::Caps;

/// Whose frame is on its way, and where it came in.
#[derive(Clone, Copy)]
pub(super) enum Source<'t> {
    /// A tenant's.
    Tenant { id: DomainId, domain: &'t Domain, origin: Target },
    /// A mapping's, which goes this way.
    Mapping(Crossing),
}

impl<'t> Source<'t> {
    /// The tenant.
    pub(super) const fn domain(self) -> Option<DomainId> {
        match self {
            Self::Tenant { id, .. } => Some(id),
            Self::Mapping(_) => None,
        }
    }

    /// Where a tenant's frame came in.
    pub(super) const fn origin(self) -> Option<Target> {
        match self {
            Self::Tenant { origin, .. } => Some(origin),
            Self::Mapping(_) => None,
        }
    }

    /// From which address the gateway speaks to the sender, and when it may do so again.
    pub(super) fn voice(self, tables: &'t Forwarding) -> Option<(Mac, &'t AtomicU64)> {
        match self {
            Self::Tenant { id, domain, .. } => Some((tables.own_macs.domain(id)?, &domain.state.icmp_due)),
            Self::Mapping(Crossing { mapping, .. }) => {
                let due = &tables.mappings.get(mapping)?.icmp_due;
                Some((tables.own_macs.mapping(mapping)?, due))
            }
        }
    }

    #[inline]
    fn mss_clamp(&self) -> Option<MssClamp> {
        match self {
            Self::Tenant { domain, .. } => domain.mss_clamp,
            Self::Mapping(_) => None,
        }
    }
}

/// One way out, looked up.
#[derive(Clone, Copy)]
pub(super) struct Way<'t> {
    peer: &'t Peer,
    hops: &'t [Hop],
    segment: Segment,
    inner_tags: InnerTags,
    /// Who counts what is sent: the peer, and the tenant or the mapping.
    pub(super) sent: [Option<&'t Flow>; 2],
}

/// Why a frame does not go a way.
pub(super) enum Obstacle {
    /// Longer than this, the tenant's tags included.
    TooBig {
        most: usize,
    },
    Other(DropReason),
}

impl<R: Into<DropReason>> From<R> for Obstacle {
    fn from(reason: R) -> Self {
        Self::Other(reason.into())
    }
}

impl<'a, 'mem, T: Tracer> Egress<'a, 'mem, T> {
    /// The way to a place of the tenant.
    #[inline]
    pub(super) fn way(&self, id: DomainId, domain: &Domain, target: Target) -> Option<Way<'a>> {
        let Attachment { segment, inner_tags, .. } = *domain.attachment(target.attachment)?;
        let sent = self.counters.domain(id).map(|domain| &domain.traffic.tx);
        self.way_to(target.peer, segment, inner_tags, sent)
    }

    /// The way to the other side of a mapping.
    pub(super) fn way_across(&self, crossing: Crossing) -> Option<Way<'a>> {
        let &End { peer, inner_tags, .. } = mapping::destination(self.tables, crossing)?;
        let counters = self.counters.mapping(crossing.mapping);
        let sent = counters.and_then(|mapping| mapping.sent.get(usize::from(crossing.to)));
        self.way_to(peer, crossing.segment, inner_tags, sent)
    }

    #[inline]
    fn way_to(&self, id: PeerId, segment: Segment, inner_tags: InnerTags, sent: Option<&'a Flow>) -> Option<Way<'a>> {
        let peer = self.tables.peer(id)?;
        let hops = self.tables.hops(id).unwrap_or_default();
        let sent = [self.counters.peer(id).map(|peer| &peer.tx), sent];
        Some(Way { peer, hops, segment, inner_tags, sent })
    }

    /// The way back to where a frame came in.
    pub(super) fn back(&self, source: Source<'a>) -> Option<Way<'a>> {
        match source {
            Source::Tenant { id, domain, origin } => self.way(id, domain, origin),
            Source::Mapping(crossing) => {
                let ids = &self.tables.mappings.get(crossing.mapping)?.ids;
                let segment = ids.across(crossing.to.into(), crossing.segment)?.ok()?;
                self.way_across(Crossing { to: 1 - crossing.to.min(1), segment, ..crossing })
            }
        }
    }

    /// What needs not be done in software on the way to a peer. A frame inside IP never leaves unfinished: our
    /// header's checksums, and those who look inside on the way, need it whole.
    #[inline]
    pub(super) fn caps(&self, way: &Way<'_>) -> Caps {
        match way.peer.exit {
            Exit::Tunnel(_) => Caps::default(),
            Exit::Port(port) => self.ports.caps(port),
        }
    }

    /// Puts the headers of one way in front of a frame, or leaves it as it is when it is too big; gives back the port
    /// it leaves by.
    #[inline]
    pub(super) fn wrap(
        &mut self,
        frame: &mut Frame<'mem>,
        source: &Source<'a>,
        way: &Way<'a>,
    ) -> Result<PortId, Obstacle> {
        let stripped = stripped(way.inner_tags, frame)?;
        if let Some(clamp) = source.mss_clamp() {
            self.clamp(frame, source, way, clamp, stripped);
        }
        match &way.peer.exit {
            Exit::Tunnel(underlay) => self.wrap_in_ip(frame, way, underlay, stripped),
            Exit::Port(port) => self.wrap_in_tags(frame, way, *port, stripped),
        }
    }

    /// What the way out cannot do by itself with a frame that is going to leave by it. Whether it may have tags has been
    /// looked at before.
    #[inline]
    fn prepare(&self, frame: &mut Frame<'mem>, way: &Way<'a>) -> Result<(), DropReason> {
        if way.inner_tags == InnerTags::Strip {
            apply(way.inner_tags, frame)?;
        }
        if matches!(frame.meta.checksum, Checksum::Partial { .. }) && !self.caps(way).checksum {
            offload::finish(frame)?;
        }
        Ok(())
    }

    #[inline]
    fn wrap_in_ip(
        &mut self,
        frame: &mut Frame<'mem>,
        way: &Way<'a>,
        underlay: &Underlay,
        stripped: usize,
    ) -> Result<PortId, Obstacle> {
        let (entropy, class) = flow::inner(frame.bytes());
        let hop = hop(way.hops, entropy).ok_or(Common::NoNextHop)?;
        self.tracer.hop(hop, way.hops.len());
        if let Some(mtu) = hop.mtu {
            let most = room_in_ip(mtu, way, underlay) + stripped;
            if frame.len() > most {
                return Err(Obstacle::TooBig { most });
            }
        }
        self.prepare(frame, way)?;
        way.peer.compiled.encap(frame, way.segment, entropy)?;
        let by_device = underlay.covers_payload() && self.ports.caps(hop.port).outer_checksum;
        let summing = if by_device { Summing::Device } else { Summing::Here };
        underlay.stamp(frame, hop.link, entropy, class, summing)?;
        Ok(hop.port)
    }

    #[inline]
    fn wrap_in_tags(
        &self,
        frame: &mut Frame<'mem>,
        way: &Way<'a>,
        port: PortId,
        stripped: usize,
    ) -> Result<PortId, Obstacle> {
        let out = self.tables.ports.get(usize::from(port.0));
        if out.is_some_and(|out| out.is_down) {
            return Err(Common::PortDown.into());
        }
        if let Some(mtu) = out.and_then(|out| out.mtu) {
            let most = room_in_tags(mtu, way, frame, stripped) + stripped;
            if frame.len() > most && longest(frame) > most {
                return Err(Obstacle::TooBig { most });
            }
        }
        self.prepare(frame, way)?;
        way.peer.compiled.encap(frame, way.segment, 0)?;
        Ok(port)
    }

    #[inline]
    fn mtu(&self, port: PortId) -> Option<u32> {
        self.tables.ports.get(usize::from(port.0))?.mtu
    }

    /// Lowers the MSS of a SYN to what its tenant wants.
    #[cold]
    fn clamp(&self, frame: &mut Frame<'mem>, source: &Source<'a>, way: &Way<'a>, clamp: MssClamp, stripped: usize) {
        let Some(syn) = Syn::of(frame.bytes()) else { return };
        let most = match clamp {
            MssClamp::Bytes(bytes) => bytes,
            MssClamp::Path => {
                let back = self.back(*source).and_then(|back| self.room(&back, frame, 0));
                let out = self.room(way, frame, stripped).map(|room| room + stripped);
                syn.payload(out.into_iter().chain(back).min().unwrap_or(usize::MAX))
            }
        };
        // `None` is a SYN cut short, which its receiver will not take either.
        let _ = syn.clamp(frame, most);
    }

    /// The longest frame that a way carries whichever next hop is taken; `None` for no limit.
    fn room(&self, way: &Way<'a>, frame: &Frame<'_>, stripped: usize) -> Option<usize> {
        match &way.peer.exit {
            Exit::Tunnel(underlay) => {
                let mtu = way.hops.iter().filter_map(|hop| hop.mtu).min()?;
                Some(room_in_ip(mtu, way, underlay))
            }
            Exit::Port(port) => Some(room_in_tags(self.mtu(*port)?, way, frame, stripped)),
        }
    }
}

/// RFC 2992 §1: a flow keeps its way among those of equal cost.
#[inline]
fn hop(hops: &[Hop], entropy: u32) -> Option<&Hop> {
    match hops {
        [only] => Some(only),
        // The upper bits: the lower ones fill the source port, which the next router balances by.
        several => several.get(((u64::from(entropy) * several.len() as u64) >> 32) as usize),
    }
}

/// The longest frame that fits into an MTU with a tunnel's headers.
#[inline]
fn room_in_ip(mtu: u32, way: &Way<'_>, underlay: &Underlay) -> usize {
    (mtu as usize).saturating_sub(way.peer.compiled.overhead(way.segment) + underlay.ip_overhead())
}

/// The longest frame that fits into a port's MTU with its attachment's tags. Not counted are the Ethernet header, nor
/// one 802.1Q tag, as on any Linux device; further tags are.
#[inline]
fn room_in_tags(mtu: u32, way: &Way<'_>, frame: &Frame<'_>, stripped: usize) -> usize {
    let (peer, segment) = (&way.peer.compiled, way.segment);
    let own = || ethernet::be16(frame.bytes(), ethernet::ADDRESSES_LEN).filter(|_| stripped == 0);
    let free = if peer.outer_tag(segment).or_else(own) == Some(C_TAG) { TAG_LEN } else { 0 };
    (mtu as usize + HEADER_LEN + free).saturating_sub(peer.overhead(segment))
}

/// How long a frame is on the wire, which of a super-frame are its segments.
fn longest(frame: &Frame<'_>) -> usize {
    match frame.meta.gso {
        None => frame.len(),
        // What cannot be cut is the device's to judge.
        Some(_) => offload::longest_segment(frame).unwrap_or(0),
    }
}
