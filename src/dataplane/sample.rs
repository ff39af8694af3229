//! Samples of dropped frames: what their headers said, for whoever looks for the reason.
//!
//! The workers' [`Tracer`] takes them. Nothing here costs a frame that is not dropped, and of those that are, all but one a
//! second of a reason and peer cost a look at a bit. Headers that were taken off are read where they still lie in front of
//! the frame, and believed only if they are whole and name the peer whose frame it is.

use std::net::IpAddr;

use transload_encaps::outer::{self, Outer};
use transload_encaps::{Carrier, Kind, Mac, ethernet};

use super::note::FrameKind;
use super::trace::{LostFrame, Tracer};
use crate::events::{DropSample, OuterSample, SampleSender};
use crate::forwarding::{Exit, PeerId, PortId, Sender};

/// In the place of the peer, of a frame that has none.
const NOBODY: PeerId = PeerId::new(u32::MAX);

/// The workers' observer: it takes samples of what is dropped, and sees nothing else.
impl Tracer for Option<Box<SampleSender>> {
    const WATCHES: bool = false;

    #[cold]
    fn dropped(&mut self, lost: &LostFrame<'_>) {
        if let Some(samples) = self
            && lost.is_wanted_by(samples)
        {
            samples.send(lost.sample());
        }
    }
}

impl LostFrame<'_> {
    /// Whether a sample is wanted of what this peer has sent; or, if it is none, of what came from this address.
    fn is_wanted_by(&self, samples: &mut SampleSender) -> bool {
        let (peer, second) = (self.note.origin.peer, self.now.tick());
        if peer == NOBODY {
            samples.wants_of_stranger(self.reason, ip_source(self.frame.bytes()), second)
        } else {
            samples.wants(self.reason, peer, second)
        }
    }

    #[inline(never)]
    fn sample(&self) -> DropSample {
        let Self { reason, frame, wrapped, .. } = *self;
        let (port, peer, kind) = (self.note.port, self.note.origin.peer, self.note.kind);
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
            Some(Exit::Tunnel(_)) => self.as_it_was(peer).unzip(),
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
        DropSample {
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
        }
    }

    /// The peer that sends to a port from this address.
    fn sender(&self, port: PortId, address: IpAddr, carrier: Carrier) -> Option<PeerId> {
        let endpoints = &self.tables.ports.get(port)?.endpoints;
        endpoints.iter().find_map(|&endpoint| self.peer(&Sender { endpoint, address, carrier }))
    }

    /// The outer headers of a frame of this peer, which may have been taken off, and the frame with them. Where a packet ends
    /// does not move in its chunk, so that its length says where it began.
    fn as_it_was(&self, peer: PeerId) -> Option<(OuterSample, &[u8])> {
        let Self { frame, note, .. } = self;
        let begin = (frame.headroom() + frame.len()).checked_sub(note.origin.end as usize)?;
        let whole = (begin <= frame.headroom() + self.wrapped).then(|| frame.bytes_from(begin))?;
        let outer = self.tables.ports.get(note.port)?.endpoints.iter().find_map(|&endpoint| {
            let vlan = self.tables.endpoints.get(endpoint)?.vlan;
            let outer = outer::walk(whole, outer::ip_start(whole, vlan)?).ok()?;
            let sender = Sender { endpoint, address: outer.src, carrier: outer.carrier };
            let is_theirs = outer.end as usize == whole.len() && self.peer(&sender) == Some(peer);
            is_theirs.then_some(outer)
        })?;
        Some((sample_of(&outer, whole), whole))
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
