//! Lanes: paths on which plain frames need nothing but their headers. A run of such frames gets them in place, one
//! after the other, and what is the same for all of them is worked out once.
//!
//! What is not plain, or goes elsewhere, is left as it is for [`encap`](super::encap), which sends everything in the
//! order of the burst.

use transload_encaps::underlay::{Summing, Underlay};
use transload_encaps::{DropReason, Encap, Frame, HEADROOM, Work, flow};

use super::burst::Burst;
use super::egress::Egress;
use super::inner_tags;
use super::note::{Decision, FrameKind, Note, Verdict};
use super::path::EgressPath;
use super::ports::WorkerPorts;
use super::trace::Tracer;
use crate::counters::TrafficTally;
use crate::forwarding::{DomainId, Exit, Hop, PortId};

/// A path on which plain frames need nothing but their headers.
struct Lane<'t> {
    path: EgressPath<'t>,
    exit: LaneExit<'t>,
}

/// How frames leave by a lane.
enum LaneExit<'t> {
    /// Inside IP, by one of the path's next hops.
    Tunnel(&'t Underlay),
    /// In nothing but tags.
    Tags {
        port: PortId,
        /// Most bytes of a frame with its tags.
        most: usize,
    },
}

/// Frames of which the first ones, at least one, go the way of the lane.
struct LaneRun<'r, 'mem, 't> {
    lane: &'r Lane<'t>,
    /// The tenant that the frames come from.
    domain: DomainId,
    decision: Decision,
    frames: &'r mut [Frame<'mem>],
    notes: &'r mut [Note],
    ports: &'r WorkerPorts<'mem>,
}

impl<'a, 'mem, T: Tracer> Egress<'a, 'mem, T> {
    /// Puts the plain frames of a burst that leave by lanes into their headers.
    pub(super) fn wrap_in_lanes(&mut self, burst: &mut Burst<'mem>) {
        let (mut frames, mut notes) = (burst.frames.as_mut_slice(), burst.notes.as_mut_slice());
        while let Some(first) = notes.first() {
            let done = match self.lane_of(first) {
                Some((lane, domain)) => {
                    let (decision, ports) = (first.decision, &*self.ports);
                    let run = LaneRun { lane: &lane, domain, decision, frames, notes, ports };
                    lane.path.peer.compiled.with(run).max(1)
                }
                None => 1,
            };
            frames = frames.get_mut(done..).unwrap_or_default();
            notes = notes.get_mut(done..).unwrap_or_default();
        }
    }

    /// The lane that a frame may take, and the tenant that it comes from.
    fn lane_of(&self, note: &Note) -> Option<(Lane<'a>, DomainId)> {
        let (FrameKind::Tenant(ingress), Decision::To { domain: id, target }) = (note.kind, note.decision) else {
            return None;
        };
        if !note.is_pending() || self.tables.domain(ingress.domain)?.mss_clamp.is_some() {
            return None;
        }
        let path = self.path_to(id, self.tables.domain(id)?, target)?;
        let exit = match &path.peer.exit {
            Exit::Tunnel(underlay) => {
                let has_ports = path.hops.iter().all(|hop| self.ports.has(hop.port));
                has_ports.then_some(LaneExit::Tunnel(underlay))?
            }
            Exit::Port(port) => {
                let out = self.tables.ports.get(*port).filter(|out| !out.is_down && self.ports.has(*port))?;
                LaneExit::Tags { port: *port, most: out.mtu.map_or(usize::MAX, |mtu| path.room_with_tags(mtu)) }
            }
        };
        Some((Lane { path, exit }, ingress.domain))
    }
}

impl Work for LaneRun<'_, '_, '_> {
    type Outcome = usize;

    /// Puts the frames that go the way of the lane into their headers, but for those that need more than that; says
    /// how many went there.
    #[inline(never)]
    fn run<E: Encap>(self, encap: &E, state: &E::State) -> usize {
        let Self { lane, domain, decision, frames, notes, ports } = self;
        let path = &lane.path;
        if encap.is_numbered(path.segment) {
            return 0;
        }
        let headers = RunHeaders { encap, state, path, overhead: encap.overhead(path.segment), ports };
        let [mut to_peer, mut of_tenant] = path.sent.map(TrafficTally::new);
        let mut done = 0;
        for (frame, note) in frames.iter_mut().zip(notes) {
            if note.decision != decision || !note.is_pending() || !is_of(note, domain) {
                break;
            }
            done += 1;
            let len = frame.len();
            match headers.put(&lane.exit, frame) {
                Ok(Some(port)) => {
                    (note.exit, note.verdict) = (Some(port), Verdict::Sent);
                    to_peer.count(len);
                    of_tenant.count(len);
                }
                Ok(None) => {}
                Err(reason) => note.drop(reason),
            }
        }
        done
    }
}

#[inline]
fn is_of(note: &Note, domain: DomainId) -> bool {
    note.ingress().is_some_and(|ingress| ingress.domain == domain)
}

/// What goes in front of the frames of one run.
struct RunHeaders<'r, 'mem, 't, E: Encap> {
    encap: &'r E,
    state: &'r E::State,
    path: &'r EgressPath<'t>,
    /// Bytes of the encapsulation's header.
    overhead: usize,
    ports: &'r WorkerPorts<'mem>,
}

impl<E: Encap> RunHeaders<'_, '_, '_, E> {
    /// Puts a plain frame into its headers; returns the port it leaves by. None, and the frame as it was, if it needs
    /// more than that.
    ///
    /// # Errors
    /// Why the frame must be dropped, once it has got some of its headers.
    #[inline]
    fn put(&self, exit: &LaneExit<'_>, frame: &mut Frame<'_>) -> Result<Option<PortId>, DropReason> {
        let is_plain = frame.meta.is_plain() && frame.headroom() >= HEADROOM;
        if !is_plain || inner_tags::applies(self.path.inner_tags, frame) {
            return Ok(None);
        }
        match exit {
            LaneExit::Tags { port, most } => {
                if frame.len() + self.overhead > *most {
                    return Ok(None);
                }
                Ok(self.encap.encap(self.state, frame, self.path.segment, 0).ok().map(|()| *port))
            }
            LaneExit::Tunnel(underlay) => {
                let (entropy, class) = flow::inner(frame.bytes());
                let Some(hop) = self.path.hop(entropy).filter(|hop| self.fits(hop, underlay, frame)) else {
                    return Ok(None);
                };
                if self.encap.encap(self.state, frame, self.path.segment, entropy).is_err() {
                    return Ok(None);
                }
                underlay.stamp(frame, hop.link, entropy, class, self.summing(hop, underlay))?;
                Ok(Some(hop.port))
            }
        }
    }

    /// Whether the packet is neither longer than the path carries nor than IP can say.
    #[inline]
    fn fits(&self, hop: &Hop, underlay: &Underlay, frame: &Frame<'_>) -> bool {
        let most = hop.mtu.map_or(usize::MAX, |mtu| mtu as usize).min(underlay.longest_packet());
        frame.len() + self.overhead + underlay.ip_overhead() <= most
    }

    #[inline]
    fn summing(&self, hop: &Hop, underlay: &Underlay) -> Summing {
        let by_device = underlay.covers_payload() && self.ports.caps(hop.port).outer_checksum;
        if by_device { Summing::Device } else { Summing::Here }
    }
}
