//! Samples of dropped frames: what their headers said, for whoever looks for the reason.
//!
//! Nothing here costs a frame that is not dropped, and of those that are, all but one a second of a reason and peer cost
//! a look at a bit. Headers that were taken off are read where they still lie in front of the frame, and believed only if
//! they are whole and name the peer whose frame it is.

use std::net::IpAddr;

use transload_encaps::outer::{self, Outer};
use transload_encaps::{Carrier, DropReason, Frame, Kind, Mac, ethernet};

use super::Now;
use super::mapping;
use super::note::{FrameKind, Note, Verdict};
use super::path::IngressSide;
use crate::events::{DropSample, EventSender, OuterSample};
use crate::forwarding::{Exit, Forwarding, PeerId, PortId, Sender};

/// Most bytes of outer headers in front of a frame that has left its tunnel: Ethernet, a tag, IP with all its options or
/// some extensions, UDP and the tunnel's own.
const MOST_OUTER: usize = 160;
/// Most bytes between the beginning of the tunnel's header and the frame, once that is taken out: the header, and two tags
/// that were stripped.
const MOST_INNER: usize = OuterSample::HEADER + 8;

/// In the place of the peer, of a frame that has none.
const NOBODY: PeerId = PeerId::new(u32::MAX);

/// What a sample is taken with.
pub(super) struct Sampler<'a> {
    pub events: &'a mut EventSender,
    pub tables: &'a Forwarding,
    pub now: Now,
}

impl Sampler<'_> {
    /// Takes a sample of a frame that was dropped, if its note says so, and if one is wanted.
    #[inline]
    pub(super) fn settled(&mut self, frame: &Frame<'_>, note: &Note) {
        if let Verdict::Dropped(reason) = note.verdict {
            self.dropped(reason, frame, note);
        }
    }

    /// Takes a sample of a frame, or a copy of it, that is dropped for this reason, if one is wanted.
    #[inline]
    pub(super) fn dropped(&mut self, reason: DropReason, frame: &Frame<'_>, note: &Note) {
        if self.wants(reason, note.origin.peer, || ip_source(frame.bytes())) {
            self.take(reason, frame, (note.port, note.origin.peer), note.kind, (0, Some(note.origin.end)));
        }
    }

    /// Takes a sample of a frame that does not leave, if one is wanted. So many of its bytes in front are outer headers that
    /// it has got already.
    #[inline]
    pub(super) fn stays(
        &mut self,
        reason: DropReason,
        frame: &Frame<'_>,
        (port, side): (PortId, &IngressSide<'_>),
        wrapped: usize,
    ) {
        let peer = match *side {
            IngressSide::Tenant { origin, .. } => Some(origin.peer),
            IngressSide::Mapping(crossing) => mapping::origin(self.tables, crossing).map(|end| end.peer),
        };
        let peer = peer.unwrap_or(NOBODY);
        if self.wants(reason, peer, || None) {
            self.take(reason, frame, (port, peer), side.kind(), (wrapped, None));
        }
    }

    /// Whether a sample is wanted of what this peer has sent; or, if it is none, of what came from this address.
    #[inline]
    fn wants(&mut self, reason: DropReason, peer: PeerId, address: impl FnOnce() -> Option<IpAddr>) -> bool {
        let samples = &mut self.events.samples;
        if peer == NOBODY {
            samples.wants_of_stranger(reason, address(), self.now.tick())
        } else {
            samples.wants(reason, peer, self.now.tick())
        }
    }

    /// Takes a sample. So many bytes in front are new outer headers, and the packet was so long that it came in, if that is
    /// known.
    #[inline(never)]
    fn take(
        &mut self,
        reason: DropReason,
        frame: &Frame<'_>,
        (port, peer): (PortId, PeerId),
        kind: FrameKind,
        (wrapped, end): (usize, Option<u32>),
    ) {
        let known = self.tables.peer(peer);
        let mut from = known.is_some().then_some(peer);
        let here = frame.bytes().get(wrapped..).unwrap_or_default();
        // What was dropped before it had a sender is as it came.
        let (outer, whole) = match known.map(|peer| &peer.exit) {
            None => {
                let outer = as_it_came(here);
                from = outer.and_then(|outer| self.sender(port, outer.src, outer.carrier?));
                (outer, Some(here))
            }
            Some(Exit::Port(_)) => (None, None),
            Some(Exit::Tunnel(_)) => self.taken_off(frame, (wrapped, end), peer, port).unzip(),
        };
        let encap = match (from.and_then(|peer| self.tables.peer(peer)), outer.and_then(|outer| outer.carrier)) {
            (Some(peer), _) => Some(peer.compiled.kind()),
            (None, Some(carrier)) => Kind::on(carrier).find(|kind| kind.inner_at(&outer_header(outer)).is_some()),
            (None, None) => None,
        };
        let unopened = || {
            let (whole, encap) = (whole?, encap?);
            let at = outer_walk(whole)?.at.into();
            let inner = encap.inner_at(whole.get(at..)?)?;
            whole.get(at + inner..)
        };
        let frame = match kind {
            FrameKind::Unopened => unopened().or(whole).unwrap_or(here),
            _ => here,
        };
        let (segment, claim, mapping) = match kind {
            FrameKind::Unopened => (None, None, None),
            FrameKind::Refused(segment) => (Some(segment), None, None),
            FrameKind::Tenant(claim) => (None, Some(claim), None),
            FrameKind::Mapping(crossing) => (None, None, Some(crossing.mapping)),
        };
        let macs = ethernet::addresses(frame).map(|(to, from)| [to, from].map(Mac::from_bits));
        let is_tagged = ethernet::be16(frame, ethernet::ADDRESSES_LEN).is_some_and(ethernet::is_tag);
        let tag = ethernet::be16(frame, ethernet::HEADER_LEN).filter(|_| is_tagged);
        self.events.samples.send(DropSample {
            at: self.now.nanos,
            reason,
            port,
            peer: from,
            outer,
            segment,
            claim,
            mapping,
            macs,
            vlan: tag.map(|tag| tag & 0x0fff),
            len: whole.unwrap_or(here).len() as u32,
        });
    }

    /// Takes a sample of a datagram of which not all fragments have come.
    #[cold]
    pub(super) fn incomplete(&mut self, reason: DropReason, port: PortId, [src, dst]: [IpAddr; 2], len: usize) {
        if self.wants(reason, NOBODY, || Some(src)) {
            self.events.samples.send(DropSample {
                at: self.now.nanos,
                reason,
                port,
                peer: None,
                outer: Some(OuterSample { src, dst, carrier: None, header: [0; OuterSample::HEADER] }),
                segment: None,
                claim: None,
                mapping: None,
                macs: None,
                vlan: None,
                len: len as u32,
            });
        }
    }

    /// The peer that sends to a port from this address.
    fn sender(&self, port: PortId, address: IpAddr, carrier: Carrier) -> Option<PeerId> {
        let endpoints = &self.tables.ports.get(port)?.endpoints;
        endpoints.iter().find_map(|&endpoint| self.peer(&Sender { endpoint, address, carrier }))
    }

    /// The outer headers that lie in front of a frame of this peer, and the frame with them.
    fn taken_off<'f>(
        &self,
        frame: &'f Frame<'_>,
        (wrapped, packet): (usize, Option<u32>),
        peer: PeerId,
        port: PortId,
    ) -> Option<(OuterSample, &'f [u8])> {
        let at = frame.headroom() + wrapped;
        let ids = &self.tables.ports.get(port)?.endpoints;
        // Where a packet ends does not move in its chunk, so that its length says where it began.
        let begins = match packet {
            Some(len) => {
                let begin = (frame.headroom() + frame.len()).checked_sub(len as usize)?;
                begin..at.min(begin + 1)
            }
            None => at.saturating_sub(MOST_OUTER)..at,
        };
        begins.rev().find_map(|begin| {
            let whole = frame.bytes_from(begin);
            let outer = ids.iter().find_map(|&endpoint| {
                let vlan = self.tables.endpoints.get(endpoint)?.vlan;
                let outer = outer::walk(whole, outer::ip_start(whole, vlan)?).ok()?;
                let is_near = (at - begin).checked_sub(outer.at.into()).is_some_and(|behind| behind <= MOST_INNER);
                let sender = Sender { endpoint, address: outer.src, carrier: outer.carrier };
                let is_theirs = outer.end as usize == whole.len() && self.peer(&sender) == Some(peer);
                (is_near && is_theirs).then_some(outer)
            })?;
            Some((sample_of(&outer, whole), whole))
        })
    }

    fn peer(&self, sender: &Sender) -> Option<PeerId> {
        self.tables.senders.get(sender).copied().or_else(|| self.tables.unnamed(sender))
    }
}

/// The outer headers of a frame that has them still.
fn as_it_came(frame: &[u8]) -> Option<OuterSample> {
    if let Some(outer) = outer_walk(frame) {
        return Some(sample_of(&outer, frame));
    }
    let (ether_type, at) = ethernet::payload(frame)?;
    if !matches!(ether_type, ethernet::IPV4 | ethernet::IPV6) {
        return None;
    }
    let (src, dst) = (outer::ip_source(frame, at)?, outer::ip_destination(frame, at)?);
    Some(OuterSample { src, dst, carrier: None, header: [0; OuterSample::HEADER] })
}

/// The outer source address of a frame that has its headers still.
fn ip_source(frame: &[u8]) -> Option<IpAddr> {
    let (ether_type, at) = ethernet::payload(frame)?;
    matches!(ether_type, ethernet::IPV4 | ethernet::IPV6).then(|| outer::ip_source(frame, at))?
}

fn outer_walk(frame: &[u8]) -> Option<Outer> {
    let (ether_type, at) = ethernet::payload(frame)?;
    matches!(ether_type, ethernet::IPV4 | ethernet::IPV6).then(|| outer::walk(frame, at).ok())?
}

fn outer_header(outer: Option<OuterSample>) -> [u8; OuterSample::HEADER] {
    outer.map_or([0; OuterSample::HEADER], |outer| outer.header)
}

fn sample_of(outer: &Outer, frame: &[u8]) -> OuterSample {
    let mut header = [0; OuterSample::HEADER];
    let tunnel = frame.get(outer.at.into()..outer.end as usize).unwrap_or_default();
    header.iter_mut().zip(tunnel).for_each(|(to, from)| *to = *from);
    OuterSample { src: outer.src, dst: outer.dst, carrier: Some(outer.carrier), header }
}
