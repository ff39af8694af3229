//! Encap: put every frame into the tunnel it leaves by.

use transload_encaps::l2cp::ControlGroups;
use transload_encaps::{Checksum, Common, DropReason, Frame, HEADROOM};

use super::burst::Burst;
use super::copies::Copies;
use super::egress::{Egress, Outgoing, Told, TooBigFrame};
use super::floods::Flood;
use super::memo::Memo;
use super::note::{Decision, FrameKind, Note, Verdict};
use super::path::{EgressPath, IngressSide};
use super::trace::Tracer;
use super::wrap::Obstacle;
use super::{offload, rate, too_big};
use crate::forwarding::{Claim, Crossing, DomainId, Target};

/// Nanoseconds between ICMP errors of one tenant at the full allowed rate (RFC 1812 §4.3.2.8, RFC 4443 §2.4 (f)).
const ICMP_INTERVAL: u64 = 10_000_000;

/// Sends every pending frame of a burst, and puts the chunks of all others back into the pool.
#[inline(never)]
pub(super) fn encap<'mem, T: Tracer>(burst: &mut Burst<'mem>, with: &mut Egress<'_, 'mem, T>) {
    if !T::WATCHES {
        with.wrap_in_lanes(burst);
    }
    let Burst { frames, notes, .. } = burst;
    let exit = notes.first().and_then(|note| note.exit);
    if let Some(out) =
        exit.filter(|_| notes.iter().all(|note| note.exit == exit)).and_then(|port| with.ports.port(port))
    {
        // Most bursts leave by one port.
        out.push_all(frames, with.pool, with.counters);
        return;
    }
    let mut memo = Memo::new();
    for (at, (frame, note)) in frames.drain(..).zip(notes).enumerate() {
        match note.exit.map(|port| with.ports.port(port)) {
            Some(Some(out)) => out.push(frame, with.pool, with.counters),
            Some(None) => note.verdict = with.discard(frame, note, Common::PortDown),
            None => {
                with.tracer.turn(at);
                with.send(frame, note, &mut memo);
            }
        }
    }
}

/// The path to one place of a domain.
struct KnownPath<'t> {
    domain: DomainId,
    target: Target,
    path: EgressPath<'t>,
}

impl<'a, 'mem, T: Tracer> Egress<'a, 'mem, T> {
    /// Sends a frame that is still pending.
    #[inline(never)]
    fn send(&mut self, frame: Frame<'mem>, note: &mut Note, memo: &mut Memo<KnownPath<'a>>) {
        match note.kind {
            _ if !note.is_pending() => match note.verdict {
                Verdict::Dropped(reason) => {
                    self.lose(frame, Told::Itself(note), 0, reason);
                }
                _ => self.pool.put(frame),
            },
            FrameKind::Tenant(ingress) => note.verdict = self.forward(frame, note, ingress, memo),
            FrameKind::Mapping(crossing) => note.verdict = self.cross(frame, note, crossing),
            FrameKind::Unopened | FrameKind::Refused(_) => {
                note.verdict = self.discard(frame, note, Common::UnknownSegment);
            }
        }
    }

    /// Sends a tenant's frame where the bridge has decided.
    fn forward(&mut self, frame: Frame<'mem>, note: &Note, ingress: Claim, memo: &mut Memo<KnownPath<'a>>) -> Verdict {
        let Some(domain) = self.tables.domain(ingress.domain) else {
            return self.discard(frame, note, Common::UnknownSegment);
        };
        let origin = Target { attachment: ingress.attachment, peer: note.origin.peer };
        let side = IngressSide::Tenant { id: ingress.domain, domain, origin };
        let of = Outgoing { side, told: Told::Itself(note) };
        let verdict = match note.decision {
            Decision::To { domain, target } => {
                self.tracer.egress(domain, target);
                let path = match memo.alike(|before| !T::WATCHES && (before.domain, before.target) == (domain, target))
                {
                    Some(before) => Some(&before.path),
                    None => self.look_up(domain, target, memo),
                };
                Verdict::of(self.depart(frame, &of, path))
            }
            Decision::Flood { domain } => {
                let mark = self.tracer.mark();
                self.flood(Flood::new(frame, *note, domain, ControlGroups::NONE, mark))
            }
            Decision::FloodControl { domain, group } => {
                let mark = self.tracer.mark();
                self.flood(Flood::new(frame, *note, domain, group, mark))
            }
            Decision::Undecided => self.discard(frame, note, Common::NoTargets),
        };
        self.answer_refused(side);
        verdict
    }

    /// The path to a place of a domain, unless a reload has taken it away.
    #[inline(never)]
    fn look_up<'m>(
        &self,
        id: DomainId,
        target: Target,
        memo: &'m mut Memo<KnownPath<'a>>,
    ) -> Option<&'m EgressPath<'a>> {
        let path = self.path_to(id, self.tables.domain(id)?, target)?;
        Some(&memo.set(KnownPath { domain: id, target, path }).path)
    }

    #[cold]
    fn discard(&mut self, frame: Frame<'mem>, note: &Note, reason: Common) -> Verdict {
        Verdict::Dropped(self.lose(frame, Told::Itself(note), 0, reason))
    }

    /// Sends a frame of a mapping to the other side.
    #[cold]
    fn cross(&mut self, frame: Frame<'mem>, note: &Note, crossing: Crossing) -> Verdict {
        let side = IngressSide::Mapping(crossing);
        let path = self.path_across(crossing);
        let gone = self.depart(frame, &Outgoing { side, told: Told::Itself(note) }, path.as_ref());
        self.answer_refused(side);
        Verdict::of(gone)
    }

    /// Sends one frame by a path, if there is one.
    #[inline]
    pub(super) fn depart(
        &mut self,
        frame: Frame<'mem>,
        of: &Outgoing<'_, 'a>,
        path: Option<&EgressPath<'a>>,
    ) -> Result<(), DropReason> {
        let Some(path) = path else {
            return Err(self.lose(frame, of.told, 0, Common::NoTargets));
        };
        match frame.meta.gso {
            Some(_) => self.depart_as_super_frame(frame, of, path),
            None => self.depart_whole(frame, of, path),
        }
    }

    /// Sends a super-frame: whole where the port takes it so, else in segments.
    #[cold]
    fn depart_as_super_frame(
        &mut self,
        mut frame: Frame<'mem>,
        of: &Outgoing<'_, 'a>,
        path: &EgressPath<'a>,
    ) -> Result<(), DropReason> {
        if self.caps(path).gso && offload::leave_to_device(&mut frame).is_some() {
            self.depart_whole(frame, of, path)
        } else {
            self.depart_in_segments(frame, of, path)
        }
    }

    fn depart_in_segments(
        &mut self,
        frame: Frame<'mem>,
        of: &Outgoing<'_, 'a>,
        path: &EgressPath<'a>,
    ) -> Result<(), DropReason> {
        let mut segments = std::mem::take(self.segments);
        let cut = offload::segments(&frame, self.pool, HEADROOM, |segment| segments.push(segment));
        let told = match of.told {
            Told::Itself(note) => Told::Original(note, &frame),
            told => told,
        };
        let (part, mut copies) = (Outgoing { side: of.side, told }, Copies::NONE);
        for segment in segments.drain(..) {
            let gone = self.depart_whole(segment, &part, path);
            copies.add(gone, &of.side, self.counters);
        }
        *self.segments = segments;
        let gone = copies.together(&of.side, self.counters).unwrap_or(Ok(()));
        match cut {
            Ok(()) => self.pool.put(frame),
            Err(reason) => return Err(path.fails(self.lose(frame, of.told, 0, reason))),
        }
        gone
    }

    #[inline]
    fn depart_whole(
        &mut self,
        mut frame: Frame<'mem>,
        of: &Outgoing<'_, 'a>,
        path: &EgressPath<'a>,
    ) -> Result<(), DropReason> {
        let len = frame.len();
        match self.wrap(&mut frame, &of.side, path) {
            Ok(port) => {
                let Some(out) = self.ports.port(port) else {
                    let wrapped = frame.len().saturating_sub(len);
                    return Err(path.fails(self.lose(frame, of.told, wrapped, Common::PortDown)));
                };
                self.tracer.leaves(port, &frame);
                out.push(frame, self.pool, self.counters);
                path.sent.iter().flatten().for_each(|sent| sent.count(len));
                Ok(())
            }
            Err(Obstacle::TooBig { most }) => Err(path.fails(self.refuse(frame, of.told, most))),
            Err(Obstacle::Other(reason)) => {
                let wrapped = frame.len().saturating_sub(len);
                Err(path.fails(self.lose(frame, of.told, wrapped, reason)))
            }
        }
    }

    /// Keeps a frame that is too big until its sender is answered, once for all paths; the narrowest counts.
    #[cold]
    fn refuse(&mut self, frame: Frame<'mem>, told: Told<'_>, most: usize) -> DropReason {
        let reason = self.tell(&frame, told, 0, too_big::reason(frame.bytes()));
        let wider = match &self.refused {
            Some(before) if before.most <= most => Some(frame),
            _ => self.refused.replace(TooBigFrame { frame, most }).map(|before| before.frame),
        };
        if let Some(frame) = wider {
            self.pool.put(frame);
        }
        reason
    }

    /// Answers the sender of a frame that was too big, if the one just sent was.
    #[inline]
    pub(super) fn answer_refused(&mut self, side: IngressSide<'a>) {
        if let Some(refused) = self.refused.take() {
            self.answer(refused, side);
        }
    }

    /// Sends the sender of a frame that is too big an ICMP error, back where the frame came in.
    #[cold]
    fn answer(&mut self, mut refused: TooBigFrame<'mem>, side: IngressSide<'a>) {
        let answer = self.icmp_error(&mut refused, side);
        self.pool.put(refused.frame);
        let Some((answer, back)) = answer else { return };
        match self.depart(answer, &Outgoing { side, told: Told::Nothing }, Some(&back)) {
            Ok(()) => side.count_answer(self.counters),
            Err(reason) => {
                side.count_copies(1, self.counters);
                self.counters.dropped_copy(reason, side.ingress());
            }
        }
        // An answer that is too big itself is not answered.
        if let Some(answer) = self.refused.take() {
            self.pool.put(answer.frame);
        }
    }

    /// The ICMP error and the path that it takes, if one may be sent now.
    fn icmp_error(
        &mut self,
        refused: &mut TooBigFrame<'mem>,
        side: IngressSide<'a>,
    ) -> Option<(Frame<'mem>, EgressPath<'a>)> {
        offload::finish(&mut refused.frame).ok()?;
        let original = too_big::TooBigPacket::of(refused.frame.bytes(), refused.most)?;
        let (mac, due) = side.icmp_source(self.tables)?;
        let back = self.path_back(side)?;
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
        self.tracer.sent_too_big(original.mtu(), side.origin());
        Some((answer, back))
    }
}
