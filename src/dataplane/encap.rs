//! Encap: put every frame into the tunnels it leaves by; copy it where it leaves by several.

use transload_encaps::ethernet::{self, C_TAG, HEADER_LEN, TAG_LEN};
use transload_encaps::underlay::Underlay;
use transload_encaps::{Checksum, Common, DropReason, Frame, HEADROOM, InnerTags, Segment, ecn, flow};

use super::burst::{Burst, Decision, Note, Verdict};
use super::decap::apply;
use super::ports::Ports;
use super::trace::Tracer;
use super::{Now, loop_guard, mapping, offload};
use crate::counters::{Counters, Flow};
use crate::forwarding::{
    Attachment, AttachmentId, Claim, Crossing, Domain, DomainId, End, Exit, Forwarding, Hop, Peer, PeerId, PortId,
    Target,
};
use crate::io::{Caps, Pool};

/// What the encap stage reads and writes besides the burst.
pub(super) struct Egress<'a, 'mem, T> {
    /// The frozen tables.
    pub tables: &'a Forwarding,
    /// Where frames leave.
    pub ports: &'a mut Ports<'mem>,
    /// Chunks for copies and segments.
    pub pool: &'a mut Pool<'mem>,
    /// Room for the segments of one super-frame; empty between frames.
    pub segments: &'a mut Vec<Frame<'mem>>,
    /// What this worker counts.
    pub counters: &'a Counters,
    /// The time of this burst.
    pub now: Now,
    /// Who looks on.
    pub tracer: &'a mut T,
}

/// One way out, looked up.
#[derive(Clone, Copy)]
struct Way<'t> {
    /// Who counts what is sent.
    sent: Option<&'t Flow>,
    peer_id: PeerId,
    peer: &'t Peer,
    segment: Segment,
    inner_tags: InnerTags,
}

/// Sends every pending frame of a burst on its way, and gives back the chunks of all others.
pub(super) fn encap<'mem, T: Tracer>(burst: &mut Burst<'mem>, with: &mut Egress<'_, 'mem, T>) {
    for (frame, note) in burst.frames.drain(..).zip(&mut burst.notes) {
        match note.claim.filter(|_| note.is_pending()) {
            Some(claim) => note.verdict = with.forward(frame, note, claim),
            None => match note.decision {
                Decision::Across(crossing) if note.is_pending() => note.verdict = with.cross(frame, crossing),
                _ => with.pool.put(frame),
            },
        }
    }
}

impl<'a, 'mem, T: Tracer> Egress<'a, 'mem, T> {
    #[inline]
    fn forward(&mut self, frame: Frame<'mem>, note: &Note, claim: Claim) -> Verdict {
        let Some(domain) = self.tables.domain(claim.domain) else {
            self.pool.put(frame);
            return Verdict::Dropped(Common::UnknownSegment.into());
        };
        match note.decision {
            Decision::Flood | Decision::FloodControl => {
                let verdict = self.flood(&frame, claim, domain, note.decision == Decision::FloodControl);
                self.pool.put(frame);
                verdict
            }
            Decision::Across(crossing) => self.cross(frame, crossing),
            Decision::To(target) => {
                self.tracer.way(target);
                match self.depart(frame, claim.domain, domain, target) {
                    Ok(()) => Verdict::Sent,
                    Err(reason) => {
                        self.tracer.lost(reason);
                        Verdict::Dropped(reason)
                    }
                }
            }
        }
    }

    /// The one place where a frame is copied: once for every member of every attachment behind the horizon.
    fn flood(&mut self, frame: &Frame<'mem>, claim: Claim, domain: &Domain, is_control: bool) -> Verdict {
        let horizon = domain.attachment(claim.attachment).map(|ingress| ingress.horizon);
        let loops = &domain.state.loops;
        let is_guarded = domain.loop_hold != 0 && loop_guard::is_holding(loops, self.now);
        let (mut sent, mut failed) = (false, None);
        for (place, attachment) in domain.attachments.iter().enumerate() {
            let may_feed =
                |egress: &&Attachment| Some(egress.horizon) != horizon && (egress.tunnels_l2cp || !is_control);
            let Some(attachment) = attachment.as_ref().filter(may_feed) else { continue };
            let id = AttachmentId(place as u16);
            let is_held = is_guarded && loop_guard::is_held(loops, claim.attachment, id, self.now);
            for &peer in self.tables.members(&attachment.members) {
                let target = Target { attachment: id, peer };
                self.tracer.way(target);
                let gone = if is_held {
                    Err(Common::LoopGuard.into())
                } else {
                    self.copy(frame).and_then(|copy| self.depart(copy, claim.domain, domain, target))
                };
                match gone {
                    Ok(()) => sent = true,
                    // Every copy that fails counts once: all but the last here, the last one below.
                    Err(reason) => {
                        self.tracer.lost(reason);
                        if let Some(before) = failed.replace(reason) {
                            self.counters.dropped(before, Some(claim.domain), 1);
                        }
                    }
                }
            }
        }
        match failed {
            Some(reason) if sent => {
                self.counters.dropped(reason, Some(claim.domain), 1);
                Verdict::Sent
            }
            None if sent => Verdict::Sent,
            None if is_control => Verdict::Dropped(Common::L2Control.into()),
            reason => Verdict::Dropped(reason.unwrap_or(Common::NoTargets.into())),
        }
    }

    fn copy(&mut self, frame: &Frame<'mem>) -> Result<Frame<'mem>, DropReason> {
        if self.pool.free() == 0 {
            self.ports.transmit(self.pool, self.counters);
        }
        let mut copy = self.pool.take(HEADROOM).ok_or(Common::NoBuffer)?;
        if copy.copy_from(frame) {
            Ok(copy)
        } else {
            self.pool.put(copy);
            Err(Common::NoBuffer.into())
        }
    }

    /// Sends one frame one way.
    #[inline]
    fn depart(&mut self, frame: Frame<'mem>, id: DomainId, domain: &Domain, target: Target) -> Result<(), DropReason> {
        let way = self.tables.peer(target.peer).zip(domain.attachment(target.attachment));
        let Some((peer, attachment)) = way else {
            self.pool.put(frame);
            return Err(Common::NoTargets.into());
        };
        let Attachment { segment, inner_tags, .. } = *attachment;
        let sent = self.counters.domain(id).map(|domain| &domain.traffic.tx);
        self.depart_by(frame, Way { sent, peer_id: target.peer, peer, segment, inner_tags })
    }

    /// Sends a frame of a mapping to the other side.
    #[cold]
    fn cross(&mut self, frame: Frame<'mem>, crossing: Crossing) -> Verdict {
        let (counters, tables) = (self.counters, self.tables);
        let way = mapping::destination(tables, crossing).and_then(|end| Some((end, tables.peer(end.peer)?)));
        let Some((&End { peer: peer_id, inner_tags, .. }, peer)) = way else {
            self.pool.put(frame);
            return Verdict::Dropped(Common::NoTargets.into());
        };
        let sent = counters.mapping(crossing.mapping).and_then(|mapping| mapping.sent.get(usize::from(crossing.to)));
        let way = Way { sent, peer_id, peer, segment: crossing.segment, inner_tags };
        match self.depart_by(frame, way) {
            Ok(()) => Verdict::Sent,
            Err(reason) => {
                self.tracer.lost(reason);
                Verdict::Dropped(reason)
            }
        }
    }

    #[inline]
    fn depart_by(&mut self, frame: Frame<'mem>, way: Way<'a>) -> Result<(), DropReason> {
        if frame.meta.gso.is_some() && !self.caps(way.peer).gso {
            self.depart_in_segments(frame, way)
        } else {
            self.depart_whole(frame, way)
        }
    }

    /// What needs not be done in software on the way to a peer. A frame inside IP never leaves unfinished: our
    /// header's checksums, and those who look inside on the way, need it whole.
    #[inline]
    fn caps(&self, peer: &Peer) -> Caps {
        match peer.exit {
            Exit::Tunnel(_) => Caps::default(),
            Exit::Port(port) => self.ports.caps(port),
        }
    }

    #[cold]
    fn depart_in_segments(&mut self, frame: Frame<'mem>, way: Way<'_>) -> Result<(), DropReason> {
        let mut segments = std::mem::take(self.segments);
        let cut = offload::segments(&frame, self.pool, HEADROOM, |segment| segments.push(segment));
        self.pool.put(frame);
        let mut outcome = cut;
        for segment in segments.drain(..) {
            if let Err(reason) = self.depart_whole(segment, way) {
                outcome = Err(reason);
            }
        }
        *self.segments = segments;
        outcome
    }

    #[inline]
    fn depart_whole(&mut self, mut frame: Frame<'mem>, way: Way<'_>) -> Result<(), DropReason> {
        let len = frame.len();
        match self.wrap(&mut frame, way) {
            Ok(port) => {
                self.tracer.leaves(port, &frame);
                self.ports.push(port, frame, self.pool, self.counters)?;
                if let Some(peer) = self.counters.peer(way.peer_id) {
                    peer.tx.count(len);
                }
                if let Some(sent) = way.sent {
                    sent.count(len);
                }
                Ok(())
            }
            Err(reason) => {
                self.pool.put(frame);
                Err(reason)
            }
        }
    }

    /// Puts the headers of one way in front of a frame; gives back the port it leaves by.
    #[inline]
    fn wrap(&mut self, frame: &mut Frame<'mem>, way: Way<'_>) -> Result<PortId, DropReason> {
        apply(way.inner_tags, frame)?;
        if matches!(frame.meta.checksum, Checksum::Partial { .. }) && !self.caps(way.peer).checksum {
            offload::finish(frame)?;
        }
        match &way.peer.exit {
            Exit::Tunnel(underlay) => self.wrap_in_ip(frame, way, underlay),
            Exit::Port(port) => self.wrap_in_tags(frame, way, *port),
        }
    }

    #[inline]
    fn wrap_in_ip(&mut self, frame: &mut Frame<'mem>, way: Way<'_>, underlay: &Underlay) -> Result<PortId, DropReason> {
        let entropy = flow::hash(frame.bytes());
        let class = ecn::traffic_class(frame.bytes());
        let hop = self.hop(way.peer_id, entropy).ok_or(Common::NoNextHop)?;
        let segment = way.segment;
        let packet = frame.len() + way.peer.compiled.overhead(segment) + underlay.ip_overhead();
        if hop.mtu.is_some_and(|mtu| packet > mtu as usize) {
            return Err(Common::TooBig.into());
        }
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
    fn wrap_in_tags(&self, frame: &mut Frame<'mem>, way: Way<'_>, port: PortId) -> Result<PortId, DropReason> {
        way.peer.compiled.encap(frame, way.segment, 0)?;
        let mtu = self.tables.ports.get(usize::from(port.0)).and_then(|port| port.mtu);
        if frame.meta.gso.is_none() && mtu.is_some_and(|mtu| tagged_len(frame.bytes()) > mtu as usize) {
            return Err(Common::TooBig.into());
        }
        Ok(port)
    }
}

/// What of a frame counts against the MTU of a port: not its Ethernet header, nor one 802.1Q tag, as on any Linux
/// device; further tags do.
fn tagged_len(frame: &[u8]) -> usize {
    let free = if ethernet::be16(frame, ethernet::ADDRESSES_LEN) == Some(C_TAG) { TAG_LEN } else { 0 };
    frame.len().saturating_sub(HEADER_LEN + free)
}
