//! Floods: frames that go to everyone, in turns, so that nobody else's frames wait long behind them.
//!
//! In one breath a worker makes at most [`SHARE`] copies beyond the first of each frame, which costs no more than a unicast
//! frame does, and of those that have waited at most [`LATER`]: a busy worker gives floods no more than a third of its
//! time, an idle one as much as there is, and no other frame waits longer than these copies take. A frame that does not
//! get all its copies at once waits for the next breath; and while any waits, so do those that come after it.
//!
//! Those that wait stand in queues, one for each attachment that they came in by. The queues take turns of [`TURN`] copies,
//! so that a frame with three copies does not wait for one with five thousand; within a queue the order is kept. A queue
//! may be as long as there are places left: one attachment can take half of them, the next one half of the rest, and
//! there is always one for somebody new. What finds no place is dropped.
//!
//! The memory is fixed. Frames outlive the tables they were received under, but not their attachment and its sender,
//! whose numbers may come to mean others.

use std::collections::VecDeque;

use transload_encaps::l2cp::ControlGroups;
use transload_encaps::{Common, DropReason, Frame};

use super::Now;
use super::burst::Burst;
use super::copies::Copies;
use super::egress::TooBigFrame;
use super::note::{Note, Verdict};
use super::trace::{LostFrame, Tracer};
use crate::counters::Counters;
use crate::forwarding::{AttachmentId, Claim, DomainId, Forwarding};
use crate::io::Pool;

/// Most copies that a worker makes in one breath, beyond the first of each frame.
const SHARE: usize = Burst::LEN;
/// Most of them for frames that have waited.
pub(super) const LATER: usize = SHARE / 2;
/// Most copies that a queue makes in one turn, but for those of its last frame.
pub(super) const TURN: usize = LATER / 4;
/// Most frames that wait.
const PLACES: usize = 256;

/// A frame that goes to everyone, and how far it has got.
pub(super) struct Flood<'mem> {
    pub frame: Frame<'mem>,
    pub note: Note,
    /// The domain that it goes to.
    pub domain: DomainId,
    /// The group that it is to, if it is one of bridges' control frames.
    pub control: ControlGroups,
    /// The number by which the observer of the stages knows it.
    pub mark: u64,
    /// The next place that gets a copy: the attachment, and how many peers behind it have theirs.
    pub next: (AttachmentId, usize),
    /// How many copies were made, or failed.
    pub made: u64,
    /// What has become of these.
    pub copies: Copies,
    /// The frame as the narrowest path refused it so far.
    pub refused: Option<TooBigFrame<'mem>>,
}

impl<'mem> Flood<'mem> {
    /// A frame of which no copies are made yet.
    pub(super) const fn new(
        frame: Frame<'mem>,
        note: Note,
        domain: DomainId,
        control: ControlGroups,
        mark: u64,
    ) -> Self {
        let next = (AttachmentId::new(0), 0);
        Self { frame, note, domain, control, mark, next, made: 0, copies: Copies::NONE, refused: None }
    }
}

/// A place for a frame that waits.
#[derive(Default)]
struct FloodPlace<'mem> {
    flood: Option<Flood<'mem>>,
    /// The next frame's of the same queue; of a free place, the next free one.
    next: Option<usize>,
}

/// The frames of one attachment that wait; at least one.
struct FloodQueue {
    ingress: Claim,
    first: usize,
    last: usize,
    len: usize,
}

/// The frames that wait for their copies.
pub(super) struct Floods<'mem> {
    /// How many copies may still be made in this breath.
    pub left: usize,
    places: Box<[FloodPlace<'mem>]>,
    free: Option<usize>,
    free_places: usize,
    /// In the order of their turns.
    queues: VecDeque<FloodQueue>,
    /// Where the tables of the breath before are. A worker holds them until it has others, which therefore are elsewhere.
    tables: usize,
}

impl<'mem> Floods<'mem> {
    pub(super) fn new() -> Self {
        let place = |at| FloodPlace { flood: None, next: (at + 1 < PLACES).then_some(at + 1) };
        Self {
            left: 0,
            places: (0..PLACES).map(place).collect(),
            free: Some(0),
            free_places: PLACES,
            queues: VecDeque::with_capacity(PLACES),
            tables: 0,
        }
    }

    /// Whether no frame waits.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.queues.is_empty()
    }

    /// A breath begins, under these tables.
    #[inline]
    pub(super) fn begin<T: Tracer>(
        &mut self,
        pool: &mut Pool<'mem>,
        counters: &Counters,
        (tables, now): (&Forwarding, Now),
        tracer: &mut T,
    ) {
        self.left = SHARE;
        let before = std::mem::replace(&mut self.tables, std::ptr::from_ref(tables).addr());
        if self.tables != before && !self.is_empty() {
            self.drop_orphans(pool, counters, (tables, now), tracer);
        }
    }

    /// Drops the frames whose attachment or sender these tables do not have.
    #[cold]
    fn drop_orphans<T: Tracer>(
        &mut self,
        pool: &mut Pool<'mem>,
        counters: &Counters,
        (tables, now): (&Forwarding, Now),
        tracer: &mut T,
    ) {
        for _ in 0..self.queues.len() {
            let Some(mut queue) = self.queues.pop_front() else { return };
            let (mut at, mut kept) = (Some(queue.first), None);
            queue.len = 0;
            while let Some(here) = at {
                let Some(place) = self.places.get_mut(here) else { break };
                at = place.next.take();
                if place.flood.as_ref().is_some_and(|flood| is_at_home(flood, queue.ingress, tables)) {
                    match kept.replace(here).and_then(|before: usize| self.places.get_mut(before)) {
                        Some(before) => before.next = Some(here),
                        None => queue.first = here,
                    }
                    queue.last = here;
                    queue.len += 1;
                } else if let Some(flood) = self.vacate(here) {
                    let mark = flood.mark;
                    let (frame, note, reason) = orphan(flood, pool, counters);
                    if let Some(reason) = reason {
                        tracer.again(mark, &note, &frame);
                        tracer.dropped(&LostFrame { reason, frame: &frame, note: &note, wrapped: 0, tables, now });
                    }
                    pool.put(frame);
                }
            }
            if queue.len > 0 {
                self.queues.push_back(queue);
            }
        }
    }

    /// Has a frame wait behind those of its attachment. Returns it when there is no place for it.
    pub(super) fn wait(&mut self, flood: Flood<'mem>) -> Option<Flood<'mem>> {
        let Some(ingress) = flood.note.ingress() else { return Some(flood) };
        let queue = self.queues.iter().position(|queue| queue.ingress == ingress);
        let len = queue.and_then(|at| self.queues.get(at)).map_or(0, |queue| queue.len);
        let Some(at) = self.free.filter(|_| len < self.free_places) else { return Some(flood) };
        let Some(place) = self.places.get_mut(at) else { return Some(flood) };
        self.free = place.next.take();
        self.free_places -= 1;
        place.flood = Some(flood);
        match queue.and_then(|queue| self.queues.get_mut(queue)) {
            Some(queue) => {
                if let Some(last) = self.places.get_mut(std::mem::replace(&mut queue.last, at)) {
                    last.next = Some(at);
                }
                queue.len += 1;
            }
            None => self.queues.push_back(FloodQueue { ingress, first: at, last: at, len: 1 }),
        }
        None
    }

    /// The frame whose turn it is.
    pub(super) fn first(&mut self) -> Option<&mut Option<Flood<'mem>>> {
        let first = self.queues.front()?.first;
        self.places.get_mut(first).map(|place| &mut place.flood)
    }

    /// The first frame of the first queue is gone. Returns whether another one of the queue waits.
    pub(super) fn next(&mut self) -> bool {
        let Some(queue) = self.queues.front_mut() else { return false };
        let (first, is_last) = (queue.first, queue.len <= 1);
        queue.len -= 1;
        if let Some(next) = self.places.get(first).and_then(|place| place.next) {
            queue.first = next;
        }
        self.vacate(first);
        if is_last {
            self.queues.pop_front();
        }
        !is_last
    }

    /// The turn of the first queue is over.
    pub(super) fn rotate(&mut self) {
        if let Some(queue) = self.queues.pop_front() {
            self.queues.push_back(queue);
        }
    }

    /// Makes a place free. Returns the frame that was there.
    fn vacate(&mut self, at: usize) -> Option<Flood<'mem>> {
        let place = self.places.get_mut(at)?;
        place.next = self.free.replace(at);
        self.free_places += 1;
        place.flood.take()
    }
}

/// Whether a frame's attachment and its sender are still what they were.
fn is_at_home(flood: &Flood<'_>, ingress: Claim, tables: &Forwarding) -> bool {
    let attachment = tables.domain(ingress.domain).and_then(|domain| domain.attachment(ingress.attachment));
    let is_behind = attachment.is_some_and(|attachment| tables.is_behind(&attachment.members, flood.note.origin.peer));
    is_behind && tables.domain(flood.domain).is_some()
}

/// Counts what has become of a frame of which no more copies are made. Returns it, and why it is dropped if it had no copy
/// so far; of copies that were dropped, the observer has been told.
fn orphan<'mem>(
    flood: Flood<'mem>,
    pool: &mut Pool<'mem>,
    counters: &Counters,
) -> (Frame<'mem>, Note, Option<DropReason>) {
    let Flood { frame, mut note, refused, copies, .. } = flood;
    if let Some(refused) = refused {
        pool.put(refused.frame);
    }
    let gone = note.ingress().and_then(|ingress| copies.together_of(ingress, counters));
    let reason = gone.is_none().then(|| Common::UnknownSegment.into());
    note.verdict = Verdict::of(gone.unwrap_or(Err(Common::UnknownSegment.into())));
    note.settle(counters);
    (frame, note, reason)
}
