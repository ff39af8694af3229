//! Ways out: the room each leaves a tenant's frame, and the headers it puts in front.

use transload_encaps::ethernet::{self, C_TAG, HEADER_LEN, TAG_LEN};
use transload_encaps::underlay::Underlay;
use transload_encaps::{Checksum, Common, DropReason, Frame, ecn, flow};

use super::decap::{apply, stripped};
use super::encap::Egress;
use super::mss::Syn;
use super::offload;
use super::trace::Tracer;
use crate::forwarding::{Attachment, Domain, DomainId, Exit, Hop, MssClamp, Peer, PeerId, PortId, Target};
use crate::io::Caps;

/// Whose frame is on its way, and where it came in.
#[derive(Clone, Copy)]
pub(super) struct Tenant<'t> {
    pub(super) id: DomainId,
    pub(super) domain: &'t Domain,
    pub(super) origin: Target,
}

/// One way out of a domain, looked up.
#[derive(Clone, Copy)]
pub(super) struct Way<'t> {
    pub(super) tenant: Tenant<'t>,
    pub(super) peer_id: PeerId,
    pub(super) peer: &'t Peer,
    pub(super) attachment: &'t Attachment,
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
    #[inline]
    pub(super) fn way<'t>(&self, tenant: Tenant<'t>, target: Target) -> Option<Way<'t>>
    where
        'a: 't,
    {
        let peer = self.tables.peer(target.peer)?;
        let attachment = tenant.domain.attachment(target.attachment)?;
        Some(Way { tenant, peer_id: target.peer, peer, attachment })
    }

    /// What needs not be done in software on the way to a peer. A frame inside IP never leaves unfinished: our
    /// header's checksums, and those who look inside on the way, need it whole.
    #[inline]
    pub(super) fn caps(&self, peer: &Peer) -> Caps {
        match peer.exit {
            Exit::Tunnel(_) => Caps::default(),
            Exit::Port(port) => self.ports.caps(port),
        }
    }

    /// Puts the headers of one way in front of a frame, or leaves it as it is when it is too big; gives back the port
    /// it leaves by.
    #[inline]
    pub(super) fn wrap(&mut self, frame: &mut Frame<'mem>, way: Way<'_>) -> Result<PortId, Obstacle> {
        let stripped = stripped(way.attachment.inner_tags, frame)?;
        if let Some(clamp) = way.tenant.domain.mss_clamp {
            self.clamp(frame, way, clamp, stripped);
        }
        match &way.peer.exit {
            Exit::Tunnel(underlay) => self.wrap_in_ip(frame, way, underlay, stripped),
            Exit::Port(port) => self.wrap_in_tags(frame, way, *port, stripped),
        }
    }

    /// What the way out cannot do by itself with a frame that is going to leave by it.
    #[inline]
    fn prepare(&self, frame: &mut Frame<'mem>, way: Way<'_>) -> Result<(), DropReason> {
        apply(way.attachment.inner_tags, frame)?;
        if matches!(frame.meta.checksum, Checksum::Partial { .. }) && !self.caps(way.peer).checksum {
            offload::finish(frame)?;
        }
        Ok(())
    }

    #[inline]
    fn wrap_in_ip(
        &mut self,
        frame: &mut Frame<'mem>,
        way: Way<'_>,
        underlay: &Underlay,
        stripped: usize,
    ) -> Result<PortId, Obstacle> {
        let entropy = flow::hash(frame.bytes());
        let class = ecn::traffic_class(frame.bytes());
        let hop = self.hop(way.peer_id, entropy).ok_or(Common::NoNextHop)?;
        let most = hop.mtu.map_or(usize::MAX, |mtu| room_in_ip(mtu, way, underlay) + stripped);
        if frame.len() > most {
            return Err(Obstacle::TooBig { most });
        }
        self.prepare(frame, way)?;
        let segment = way.attachment.segment;
        way.peer.compiled.encap(frame, segment, entropy)?;
        underlay.stamp(frame, hop.link, entropy, class)?;
        Ok(hop.port)
    }

    /// RFC 2992 §1: a flow keeps its way among those of equal cost.
    #[inline]
    fn hop(&mut self, peer: PeerId, entropy: u32) -> Option<&'a Hop> {
        let hops = self.tables.hops.get(peer.0 as usize)?;
        let hop = match hops.as_slice() {
            [only] => only,
            // The upper bits: the lower ones fill the source port, which the next router balances by.
            several => several.get(((u64::from(entropy) * several.len() as u64) >> 32) as usize)?,
        };
        self.tracer.hop(hop, hops.len());
        Some(hop)
    }

    #[inline]
    fn wrap_in_tags(
        &self,
        frame: &mut Frame<'mem>,
        way: Way<'_>,
        port: PortId,
        stripped: usize,
    ) -> Result<PortId, Obstacle> {
        if let Some(mtu) = self.mtu(port) {
            let most = room_in_tags(mtu, way, frame, stripped) + stripped;
            if frame.len() > most && longest(frame) > most {
                return Err(Obstacle::TooBig { most });
            }
        }
        self.prepare(frame, way)?;
        way.peer.compiled.encap(frame, way.attachment.segment, 0)?;
        Ok(port)
    }

    #[inline]
    fn mtu(&self, port: PortId) -> Option<u32> {
        self.tables.ports.get(usize::from(port.0))?.mtu
    }

    /// Lowers the MSS of a SYN to what its tenant wants.
    #[cold]
    fn clamp(&self, frame: &mut Frame<'mem>, way: Way<'_>, clamp: MssClamp, stripped: usize) {
        let Some(syn) = Syn::of(frame.bytes()) else { return };
        let most = match clamp {
            MssClamp::Bytes(bytes) => bytes,
            MssClamp::Path => {
                let back = self.way(way.tenant, way.tenant.origin).and_then(|back| self.room(back, frame, 0));
                let out = self.room(way, frame, stripped).map(|room| room + stripped);
                syn.payload(out.into_iter().chain(back).min().unwrap_or(usize::MAX))
            }
        };
        // `None` is a SYN cut short, which its receiver will not take either.
        let _ = syn.clamp(frame, most);
    }

    /// The longest frame that a way carries whichever next hop is taken; `None` for no limit.
    fn room(&self, way: Way<'_>, frame: &Frame<'_>, stripped: usize) -> Option<usize> {
        match &way.peer.exit {
            Exit::Tunnel(underlay) => {
                let hops = self.tables.hops.get(way.peer_id.0 as usize)?;
                let mtu = hops.iter().filter_map(|hop| hop.mtu).min()?;
                Some(room_in_ip(mtu, way, underlay))
            }
            Exit::Port(port) => Some(room_in_tags(self.mtu(*port)?, way, frame, stripped)),
        }
    }
}

/// The longest frame that fits into an MTU with a tunnel's headers.
#[inline]
fn room_in_ip(mtu: u32, way: Way<'_>, underlay: &Underlay) -> usize {
    (mtu as usize).saturating_sub(way.peer.compiled.overhead(way.attachment.segment) + underlay.ip_overhead())
}

/// The longest frame that fits into a port's MTU with its attachment's tags. Not counted are the Ethernet header, nor
/// one 802.1Q tag, as on any Linux device; further tags are.
#[inline]
fn room_in_tags(mtu: u32, way: Way<'_>, frame: &Frame<'_>, stripped: usize) -> usize {
    let (peer, segment) = (&way.peer.compiled, way.attachment.segment);
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
