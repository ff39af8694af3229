//! Encap: put every frame into the tunnels it leaves by; copy it where it leaves by several.

use transload_encaps::{Checksum, Common, DropReason, Frame, HEADROOM};

use super::burst::{Burst, Decision, Note, Verdict};
use super::ports::Ports;
use super::trace::Tracer;
use super::way::{Obstacle, Source, Way};
use super::{Now, loop_guard, offload, rate, too_big};
use crate::counters::Counters;
use crate::forwarding::{Attachment, AttachmentId, Claim, Crossing, Domain, DomainId, Forwarding, Target};
use crate::io::Pool;

/// Nanoseconds between ICMP errors of one tenant at the full allowed rate (RFC 1812 §4.3.2.8, RFC 4443 §2.4 (f)).
const ICMP_INTERVAL: u64 = 10_000_000;

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
    /// The present frame, or a copy or segment of it, as the narrowest of its ways refused it.
    pub refused: Option<Refused<'mem>>,
    /// Who looks on.
    pub tracer: &'a mut T,
}

/// A frame that is too big for a way.
pub(super) struct Refused<'mem> {
    frame: Frame<'mem>,
    /// How long it might have been.
    most: usize,
}

/// Sends every pending frame of a burst on its way, and gives back the chunks of all others.
#[inline(never)]
pub(super) fn encap<'mem, T: Tracer>(burst: &mut Burst<'mem>, with: &mut Egress<'_, 'mem, T>) {
    let mut last = None;
    for (frame, note) in burst.frames.drain(..).zip(&mut burst.notes) {
        match note.claim.filter(|_| note.is_pending()) {
            Some(claim) => note.verdict = with.forward(frame, note, claim, &mut last),
            None => match note.decision {
                Decision::Across(crossing) if note.is_pending() => note.verdict = with.cross(frame, crossing),
                _ => with.pool.put(frame),
            },
        }
    }
}

/// The way that the frame before went: most frames of a burst go to few places.
type Last<'a> = Option<(DomainId, Target, Way<'a>)>;

impl<'a, 'mem, T: Tracer> Egress<'a, 'mem, T> {
    #[inline]
    fn forward(&mut self, frame: Frame<'mem>, note: &Note, claim: Claim, last: &mut Last<'a>) -> Verdict {
        let Some(domain) = self.tables.domain(claim.domain) else {
            self.pool.put(frame);
            return Verdict::Dropped(Common::UnknownSegment.into());
        };
        let origin = Target { attachment: claim.attachment, peer: note.origin.peer };
        let source = Source::Tenant { id: claim.domain, domain, origin };
        let verdict = match note.decision {
            Decision::Flood | Decision::FloodControl => {
                let is_control = note.decision == Decision::FloodControl;
                let verdict = self.flood(&frame, claim, domain, source, is_control);
                self.pool.put(frame);
                verdict
            }
            Decision::Across(crossing) => self.cross(frame, crossing),
            Decision::To(target) => {
                self.tracer.way(target);
                match last {
                    Some((domain, place, _)) if (*domain, *place) == (claim.domain, target) => {}
                    _ => *last = self.way(claim.domain, domain, target).map(|way| (claim.domain, target, way)),
                }
                match self.depart(frame, &source, last.as_ref().map(|(_, _, way)| way)) {
                    Ok(()) => Verdict::Sent,
                    Err(reason) => {
                        self.tracer.lost(reason);
                        Verdict::Dropped(reason)
                    }
                }
            }
        };
        if let Some(refused) = self.refused.take() {
            self.tell(refused, source);
        }
        verdict
    }

    /// The one place where a frame is copied: once for every member of every attachment behind the horizon.
    fn flood(
        &mut self,
        frame: &Frame<'mem>,
        claim: Claim,
        domain: &'a Domain,
        source: Source<'a>,
        is_control: bool,
    ) -> Verdict {
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
            for peer in self.tables.flooded(&attachment.members) {
                let target = Target { attachment: id, peer };
                self.tracer.way(target);
                let gone = if is_held {
                    Err(Common::LoopGuard.into())
                } else {
                    let way = self.way(claim.domain, domain, target);
                    self.copy(frame).and_then(|copy| self.depart(copy, &source, way.as_ref()))
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
        let (headroom, len) = (frame.headroom(), frame.len());
        if self.pool.free_for(headroom, len) == 0 {
            self.ports.transmit(self.pool, self.counters);
        }
        let mut copy = self.pool.take_for(headroom, len).ok_or(Common::NoBuffer)?;
        if copy.copy_from(frame) {
            Ok(copy)
        } else {
            self.pool.put(copy);
            Err(Common::NoBuffer.into())
        }
    }

    /// Sends one frame one way, if there is one.
    #[inline]
    fn depart(&mut self, frame: Frame<'mem>, source: &Source<'a>, way: Option<&Way<'a>>) -> Result<(), DropReason> {
        let Some(way) = way else {
            self.pool.put(frame);
            return Err(Common::NoTargets.into());
        };
        if frame.meta.gso.is_some() && !self.caps(way).gso {
            self.depart_in_segments(frame, source, way)
        } else {
            self.depart_whole(frame, source, way)
        }
    }

    /// Sends a frame of a mapping to the other side.
    #[cold]
    fn cross(&mut self, frame: Frame<'mem>, crossing: Crossing) -> Verdict {
        let source = Source::Mapping(crossing);
        let way = self.way_across(crossing);
        let gone = self.depart(frame, &source, way.as_ref());
        if let Err(reason) = gone {
            self.tracer.lost(reason);
        }
        if let Some(refused) = self.refused.take() {
            self.tell(refused, source);
        }
        gone.map_or_else(Verdict::Dropped, |()| Verdict::Sent)
    }

    #[cold]
    fn depart_in_segments(&mut self, frame: Frame<'mem>, source: &Source<'a>, way: &Way<'a>) -> Result<(), DropReason> {
        let mut segments = std::mem::take(self.segments);
        let cut = offload::segments(&frame, self.pool, HEADROOM, |segment| segments.push(segment));
        self.pool.put(frame);
        let mut outcome = cut;
        for segment in segments.drain(..) {
            if let Err(reason) = self.depart_whole(segment, source, way) {
                outcome = Err(reason);
            }
        }
        *self.segments = segments;
        outcome
    }

    #[inline]
    fn depart_whole(&mut self, mut frame: Frame<'mem>, source: &Source<'a>, way: &Way<'a>) -> Result<(), DropReason> {
        let len = frame.len();
        match self.wrap(&mut frame, source, way) {
            Ok(port) => {
                self.tracer.leaves(port, &frame);
                self.ports.push(port, frame, self.pool, self.counters)?;
                way.sent.iter().flatten().for_each(|sent| sent.count(len));
                Ok(())
            }
            Err(Obstacle::TooBig { most }) => Err(self.refuse(frame, most)),
            Err(Obstacle::Other(reason)) => {
                self.pool.put(frame);
                Err(reason)
            }
        }
    }

    /// Keeps a frame that is too big until its sender is told, once for all ways; the narrowest counts.
    #[cold]
    fn refuse(&mut self, frame: Frame<'mem>, most: usize) -> DropReason {
        let reason = too_big::reason(frame.bytes());
        let wider = match &self.refused {
            Some(before) if before.most <= most => Some(frame),
            _ => self.refused.replace(Refused { frame, most }).map(|before| before.frame),
        };
        if let Some(frame) = wider {
            self.pool.put(frame);
        }
        reason
    }

    /// Tells the sender of a frame that it is too big: by ICMP, back where the frame came in.
    #[cold]
    fn tell(&mut self, mut refused: Refused<'mem>, source: Source<'a>) {
        let answer = self.answer(&mut refused, source);
        self.pool.put(refused.frame);
        let Some((answer, back)) = answer else { return };
        match self.depart(answer, &source, Some(&back)) {
            Ok(()) => {
                if let Some(counters) = source.domain().and_then(|id| self.counters.domain(id)) {
                    counters.too_big_answers.add(1);
                }
            }
            Err(reason) => self.counters.dropped(reason, source.domain(), 1),
        }
        // An answer that is too big itself is not answered.
        if let Some(answer) = self.refused.take() {
            self.pool.put(answer.frame);
        }
    }

    fn answer(&mut self, refused: &mut Refused<'mem>, source: Source<'a>) -> Option<(Frame<'mem>, Way<'a>)> {
        offload::finish(&mut refused.frame).ok()?;
        let original = too_big::Refused::of(refused.frame.bytes(), refused.most)?;
        let (mac, due) = source.voice(self.tables)?;
        let back = self.back(source)?;
        if !rate::within(due, ICMP_INTERVAL, self.now) {
            return None;
        }
        let mut answer = self.pool.take(HEADROOM)?;
        if original.answer(mac, &mut answer).is_none() {
            self.pool.put(answer);
            return None;
        }
        // It goes back behind the tags the frame came in with, in their priority.
        answer.meta.priorities = refused.frame.meta.priorities;
        answer.meta.checksum = Checksum::Valid;
        self.tracer.told(original.mtu(), source.origin());
        Some((answer, back))
    }
}
