//! Flood: the only place that copies a frame: once for every peer of every attachment behind the horizon.

use transload_encaps::{Common, DropReason, Frame};

use super::egress::{Egress, Outgoing, Told};
use super::floods::{Flood, LATER, TURN};
use super::loop_guard;
use super::note::Verdict;
use super::path::IngressSide;
use super::trace::Tracer;
use crate::counters::Both;
use crate::forwarding::Target;

/// Goes on with the frames that wait for their copies, as far as this breath has time for it. Returns how many copies
/// were made.
#[cold]
pub(super) fn flood<T: Tracer>(with: &mut Egress<'_, '_, T>) -> usize {
    with.floods.left = with.floods.left.min(LATER);
    let before = with.floods.left;
    while with.floods.left > 0 && !with.floods.is_empty() {
        let end = with.floods.left.saturating_sub(TURN);
        loop {
            let has_all = with.go_on();
            if has_all && !with.floods.next() {
                break;
            }
            if !has_all || with.floods.left <= end {
                with.floods.rotate();
                break;
            }
        }
    }
    // While any wait, there is something to do.
    (before - with.floods.left).max(1)
}

impl<'a, 'mem, T: Tracer> Egress<'a, 'mem, T> {
    /// Sends a frame to everyone, or has it wait for that.
    #[inline(never)]
    pub(super) fn flood(&mut self, mut flood: Flood<'mem>) -> Verdict {
        if self.floods.is_empty() {
            self.floods.left += 1;
            if self.copies(&mut flood, usize::MAX) {
                return self.finish(flood);
            }
        }
        // Those that wait must not keep ports from receiving.
        flood.frame = self.pool.slim(flood.frame);
        let refused = if self.pool.free_for(flood.frame.headroom(), flood.frame.len()) > super::Burst::LEN {
            self.floods.wait(flood)
        } else {
            Some(flood)
        };
        let Some(mut flood) = refused else { return Verdict::Waiting };
        self.count_unmade(&flood);
        if let Some(side) = self.side_of(&flood) {
            let reason = self.tell(&flood.frame, Told::Itself(&flood.note), 0, Common::FloodBacklog);
            flood.copies.add(Err(reason), &side, self.counters);
        }
        self.finish(flood)
    }

    /// Goes on with the frame whose turn it is. Returns whether that has all its copies.
    fn go_on(&mut self) -> bool {
        let Some(mut flood) = self.floods.first().and_then(Option::take) else { return true };
        self.tracer.again(flood.mark, &flood.note, &flood.frame);
        if !self.copies(&mut flood, TURN) {
            if let Some(first) = self.floods.first() {
                *first = Some(flood);
            }
            return false;
        }
        let mut note = flood.note;
        note.verdict = self.finish(flood);
        note.settle(self.counters);
        true
    }

    /// Sends the next copies of a frame, at most so many. Returns whether it has got all.
    fn copies(&mut self, flood: &mut Flood<'mem>, most: usize) -> bool {
        let (Some(side), Some(domain)) = (self.side_of(flood), self.tables.domain(flood.domain)) else { return true };
        let most = most.min(self.floods.left);
        let from = side.attachment_of(flood.domain);
        let horizon = from.and_then(|from| domain.attachment(from)).map(|ingress| ingress.horizon);
        let loops = &domain.state.loops;
        let guarded = from.filter(|_| domain.loop_hold != 0 && loop_guard::is_holding(loops, self.now));
        let (start, done) = flood.next;
        let fed = domain.attachments.iter_from(start);
        let fed = fed.filter(|(_, egress)| egress.is_fed(horizon, flood.control));
        let mut made = 0;
        for (attachment, egress) in fed {
            let is_held = guarded.is_some_and(|from| loop_guard::is_held(loops, [from, attachment], self.now));
            let done = if attachment == start { done } else { 0 };
            for (n, peer) in self.tables.flooded(&egress.members).enumerate().skip(done) {
                if made == most {
                    flood.next = (attachment, n);
                    self.made(flood, made);
                    return false;
                }
                made += 1;
                self.tracer.egress(flood.domain, Target { attachment, peer });
                let of = Outgoing { side, told: Told::Original(&flood.note, &flood.frame) };
                let counted = self.counters.peer(peer);
                let before = counted.map_or(0, Both::begin_copy);
                let copy = if is_held { Err(Common::LoopGuard.into()) } else { self.copy(&flood.frame) };
                let gone = match copy {
                    Ok(copy) => {
                        let path = self.path_to(flood.domain, domain, Target { attachment, peer });
                        self.depart(copy, &of, path.as_ref())
                    }
                    Err(reason) => Err(self.tell(&flood.frame, of.told, 0, reason)),
                };
                if let Some(peer) = counted {
                    peer.end_copy(before);
                }
                flood.copies.add(gone, &side, self.counters);
            }
        }
        self.made(flood, made);
        true
    }

    /// So many copies of a frame are made, and maybe one of them was too big for its path.
    fn made(&mut self, flood: &mut Flood<'mem>, copies: usize) {
        flood.made += copies as u64;
        self.floods.left -= copies;
        let Some(refused) = self.refused.take() else { return };
        let wider = match &flood.refused {
            Some(before) if before.most <= refused.most => Some(refused),
            _ => flood.refused.replace(refused),
        };
        if let Some(wider) = wider {
            self.pool.put(wider.frame);
        }
    }

    /// No more copies are made of a frame: what has become of it, and its sender is answered if it was too big.
    fn finish(&mut self, mut flood: Flood<'mem>) -> Verdict {
        self.refused = flood.refused.take();
        let Some(side) = self.side_of(&flood).filter(|_| !flood.copies.is_empty()) else {
            let reason = if flood.control.is_none() { Common::NoTargets } else { Common::L2Control };
            return Verdict::Dropped(self.lose(flood.frame, Told::Itself(&flood.note), 0, reason));
        };
        self.pool.put(flood.frame);
        self.answer_refused(side);
        Verdict::of(flood.copies.together(&side, self.counters).unwrap_or(Ok(())))
    }

    /// Counts the copies that are not made of a frame for which there is no place.
    #[cold]
    fn count_unmade(&self, flood: &Flood<'mem>) {
        let Some(ingress) = flood.note.ingress() else { return };
        let domain = self.tables.domain(flood.domain);
        let all = domain.and_then(|domain| {
            Some(self.tables.fan_out(domain, domain.attachment(ingress.attachment)?, flood.control))
        });
        if let Some(counters) = self.counters.domain(ingress.domain) {
            counters.copies_dropped.add(all.unwrap_or(0).saturating_sub(flood.made));
        }
    }

    /// The side that a frame which goes to everyone came in by.
    fn side_of(&self, flood: &Flood<'mem>) -> Option<IngressSide<'a>> {
        let ingress = flood.note.ingress()?;
        let domain = self.tables.domain(ingress.domain)?;
        let origin = Target { attachment: ingress.attachment, peer: flood.note.origin.peer };
        Some(IngressSide::Tenant { id: ingress.domain, domain, origin })
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
}
