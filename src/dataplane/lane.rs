//! Lanes: paths on which plain frames need nothing but their headers. A run of such frames gets them in place, one
//! after the other, and what is the same for all of them is worked out once.
//!
//! What is not plain, or goes elsewhere, is left as it is for [`encap`](super::encap), which sends everything in the
//! order of the burst.

use transload_encaps::underlay::{Stamp, Summing, Underlay};
use transload_encaps::{DropReason, Encap, Frame, HEADROOM, Segment, Work, flow};

use super::burst::Burst;
use super::egress::Egress;
use super::inner_tags;
use super::note::{Decision, FrameKind, Note, Verdict};
use super::path::EgressPath;
use super::ports::WorkerPorts;
use super::trace::Tracer;
use crate::counters::TrafficTally;
use crate::forwarding::{DomainId, Exit, Hop, PortId, Target};

/// A path on which plain frames need nothing but their headers.
struct Lane<'r, 'mem, 't> {
    path: EgressPath<'t>,
    exit: LaneExit<'t>,
    ports: &'r WorkerPorts<'mem>,
}

/// How frames leave by a lane.
enum LaneExit<'t> {
    /// In tags.
    Port {
        port: PortId,
        /// Most bytes of a tenant's frame.
        most: usize,
    },
    /// Inside IP, by the only next hop.
    Hop(&'t Hop, &'t Underlay),
    /// Inside IP, by one of the path's next hops.
    Hops(&'t Underlay),
}

/// The outer headers on the way by one next hop.
struct OuterHeaders {
    port: PortId,
    /// Most bytes of a tenant's frame.
    most: usize,
    stamp: Stamp,
    summing: Summing,
}

/// Frames of which the first ones, at least one, go the way of the lane.
struct LaneRun<'r, 'mem, 't> {
    lane: &'r Lane<'r, 'mem, 't>,
    /// The tenant that the frames come from.
    from: DomainId,
    /// Where they go: the tenant, and the place in it.
    to: (DomainId, Target),
    frames: &'r mut [Frame<'mem>],
    notes: &'r mut [Note],
}

impl<'a, 'mem, T: Tracer> Egress<'a, 'mem, T> {
    /// Puts the plain frames of a burst that leave by lanes into their headers.
    pub(super) fn wrap_in_lanes(&mut self, burst: &mut Burst<'mem>) {
        let (mut frames, mut notes) = (burst.frames.as_mut_slice(), burst.notes.as_mut_slice());
        while let Some(first) = notes.first() {
            let done = match self.way_of(first) {
                Some((lane, from, to)) => {
                    lane.path.peer.compiled.with(LaneRun { lane: &lane, from, to, frames, notes })
                }
                None => 1,
            };
            frames = frames.get_mut(done..).unwrap_or_default();
            notes = notes.get_mut(done..).unwrap_or_default();
        }
    }

    /// The lane that a frame may take, the tenant that it comes from, and where it goes.
    fn way_of(&self, note: &Note) -> Option<(Lane<'_, 'mem, 'a>, DomainId, (DomainId, Target))> {
        let (FrameKind::Tenant(ingress), Decision::To { domain: id, target }) = (note.kind, note.decision) else {
            return None;
        };
        let domain = self.tables.domain(id).filter(|_| note.is_pending())?;
        let from = if ingress.domain == id { domain } else { self.tables.domain(ingress.domain)? };
        if from.mss_clamp.is_some() {
            return None;
        }
        let path = self.path_to(id, domain, target)?;
        let ports = &*self.ports;
        let exit = match &path.peer.exit {
            Exit::Port(port) => {
                let out = self.tables.ports.get(*port).filter(|out| !out.is_down && ports.has(*port))?;
                LaneExit::Port { port: *port, most: out.mtu.map_or(usize::MAX, |mtu| path.least_room_in_tags(mtu)) }
            }
            // Each of their packets has an identification of its own.
            Exit::Tunnel(_) if path.peer.ids.is_some() => return None,
            Exit::Tunnel(underlay) => match path.hops {
                [only] if ports.has(only.port) => LaneExit::Hop(only, underlay),
                several if several.iter().all(|hop| ports.has(hop.port)) => LaneExit::Hops(underlay),
                _ => return None,
            },
        };
        Some((Lane { path, exit, ports }, ingress.domain, (id, target)))
    }
}

impl Work for LaneRun<'_, '_, '_> {
    /// Number of frames.
    type Outcome = usize;

    /// Puts the frames that go the way of the lane into their headers, but for those that need more than that; says
    /// how many went there.
    #[inline(never)]
    fn run<E: Encap>(self, encap: &E, state: &E::State) -> usize {
        let (lane, segment) = (self.lane, self.lane.path.segment);
        if encap.is_numbered(segment) {
            // Numbers must rise in the order in which frames leave, which the lane does not keep.
            return self.put(|_| Ok(None));
        }
        let overhead = encap.overhead(segment);
        match &lane.exit {
            LaneExit::Port { port, most } => self.put(|frame| {
                let is_tagged = frame.len() <= *most && encap.encap(state, frame, segment, 0).is_ok();
                Ok(is_tagged.then_some(*port))
            }),
            LaneExit::Hop(hop, underlay) => {
                let outer = OuterHeaders::new(lane, hop, underlay, overhead);
                self.put(|frame| {
                    let (entropy, class) = flow::inner(frame.bytes());
                    outer.put(segment, entropy, class, encap, state, frame)
                })
            }
            LaneExit::Hops(underlay) => self.put(|frame| {
                let (entropy, class) = flow::inner(frame.bytes());
                let Some(hop) = lane.path.hop(entropy) else { return Ok(None) };
                let outer = OuterHeaders::new(lane, hop, underlay, overhead);
                outer.put(segment, entropy, class, encap, state, frame)
            }),
        }
    }
}

impl LaneRun<'_, '_, '_> {
    /// Has the headers put in front of every plain frame that goes the way of the lane. That returns the port which the
    /// frame leaves by; none, and the frame as it was, if it needs more than its headers; or why the frame must be
    /// dropped, once it has got some of them.
    #[inline]
    fn put(self, headers: impl Fn(&mut Frame<'_>) -> Result<Option<PortId>, DropReason>) -> usize {
        let Self { lane, from, to: (domain, target), frames, notes } = self;
        let (rule, decision) = (lane.path.inner_tags, Decision::To { domain, target });
        let [mut to_peer, mut of_tenant] = lane.path.sent.map(TrafficTally::new);
        let mut done = 0;
        for (frame, note) in frames.iter_mut().zip(notes) {
            // What has been dropped goes nowhere.
            if note.decision != decision || !is_of(note, from) {
                break;
            }
            done += 1;
            let len = frame.len();
            let is_plain = frame.meta.is_plain() && frame.headroom() >= HEADROOM;
            if !is_plain || inner_tags::applies(rule, frame) {
                continue;
            }
            match headers(frame) {
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

impl OuterHeaders {
    /// Those of the way by this next hop, for frames with so many bytes of the encapsulation's header.
    #[inline]
    fn new(lane: &Lane<'_, '_, '_>, hop: &Hop, underlay: &Underlay, overhead: usize) -> Self {
        // No more than the path carries, nor than an IP packet can hold.
        let room = hop.mtu.map_or(usize::MAX, |mtu| (mtu as usize).saturating_sub(underlay.ip_overhead()));
        let most = room.min(underlay.most_payload()).saturating_sub(overhead);
        let summing = lane.ports.summing(hop.port, underlay);
        Self { port: hop.port, most, stamp: underlay.on(hop.link), summing }
    }

    /// Puts an encapsulation's header and these in front of a frame, as [`LaneRun::put`] has it.
    #[expect(clippy::inline_always, reason = "what is the same for a run then stays in registers")]
    #[inline(always)]
    fn put<E: Encap>(
        &self,
        segment: Segment,
        entropy: u32,
        class: u8,
        encap: &E,
        state: &E::State,
        frame: &mut Frame<'_>,
    ) -> Result<Option<PortId>, DropReason> {
        // Too long is to be found out before the first header is on.
        if frame.len() > self.most || encap.encap(state, frame, segment, entropy).is_err() {
            return Ok(None);
        }
        self.stamp.put(frame, entropy, class, self.summing)?;
        Ok(Some(self.port))
    }
}
