//! Taps: a capture on the running gateway looks over the stages' shoulders, by the [`Tracer`] that
//! `explain` uses too.
//!
//! Control puts a [`Tap`] into each worker's slot, and reads what it saw by a [`TapReader`]. While there is none, a worker
//! looks at one flag a breath. While there is one, the breath runs with it, by the full path; it writes into memory that
//! control has allocated, and what does not fit there is counted and never waited for.

mod filter;
mod record;
mod slot;
mod watched;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use rtrb::{Producer, RingBuffer};
use transload_encaps::{DropReason, Frame};

pub use filter::{TapFilter, TapPoints};
pub use record::{TapPoint, TapReader, TapRecord, TapTotals};
pub use slot::{TapSlot, Taps};

use super::note::{Decision, FrameKind, Note, Verdict};
use super::trace::{LostFrame, Stage, Tracer};
use super::{Burst, Now};
use crate::events::SampleSender;
use crate::forwarding::{DomainId, PortId, Target};
use watched::{StagedRecord, TapSpan, WaitingFloods, WatchedFrame};

/// Bytes and records that a worker may be ahead of control.
const RING_BYTES: usize = 4 << 20;
const RING_RECORDS: usize = 1 << 15;
/// Bytes and records of the frames of one burst, until it is known what became of them.
const STAGE_BYTES: usize = 4 << 20;
const STAGE_RECORDS: usize = 4096;
/// Frames of one breath that are told apart: those of a burst, and those that had waited for their copies. Of more of these
/// the copies are missed.
const FRAMES: usize = 4 * Burst::LEN;

/// What watches the frames of one worker.
pub struct Tap {
    filter: TapFilter,
    records: Producer<TapRecord>,
    bytes: Producer<u8>,
    totals: Arc<TapTotals>,
    now: Now,
    /// The number of the next frame; the worker's number is in the upper bits.
    next: u64,
    /// How many frames were of those that are asked for.
    matched: u64,
    frames: Vec<WatchedFrame>,
    /// The frame whose turn it is to leave.
    current: usize,
    /// Where a copy of it is about to go.
    to: Option<(DomainId, Target)>,
    /// What leaves next is the gateway's own answer to its sender.
    is_answer: bool,
    staged: Vec<StagedRecord>,
    stage: Vec<u8>,
    waiting: WaitingFloods,
    /// What takes the worker's samples, during a breath.
    samples: Option<Box<SampleSender>>,
}

impl Tap {
    /// A tap of the worker with this number, and the end of it that control reads.
    #[must_use]
    pub fn new(filter: TapFilter, totals: Arc<TapTotals>, worker: usize) -> (Self, TapReader) {
        let ((records, hear_records), (bytes, hear_bytes)) =
            (RingBuffer::new(RING_RECORDS), RingBuffer::new(RING_BYTES));
        let tap = Self {
            filter,
            records,
            bytes,
            totals,
            now: Now::default(),
            next: (worker as u64) << 48 | 1,
            matched: 0,
            frames: Vec::with_capacity(FRAMES),
            current: 0,
            to: None,
            is_answer: false,
            staged: Vec::with_capacity(STAGE_RECORDS),
            stage: Vec::with_capacity(STAGE_BYTES),
            waiting: WaitingFloods::default(),
            samples: None,
        };
        (tap, TapReader::new(hear_records, hear_bytes))
    }

    /// A breath begins, with what takes samples of what is dropped in it.
    pub(super) fn begin(&mut self, now: Now, samples: Option<Box<SampleSender>>) {
        (self.now, self.samples) = (now, samples);
    }

    /// A breath is over: what is known now of copies that had waited is handed on.
    pub(super) fn end(&mut self) -> Option<Box<SampleSender>> {
        self.hand_on();
        self.samples.take()
    }

    /// Keeps bytes until it is known what becomes of their frame.
    fn keep(&mut self, bytes: &[u8]) -> Option<TapSpan> {
        let kept = bytes.get(..self.filter.snaplen.min(bytes.len()))?;
        if self.stage.len() + kept.len() > STAGE_BYTES {
            return None;
        }
        let from = self.stage.len() as u32;
        self.stage.extend_from_slice(kept);
        Some(TapSpan { from, kept: kept.len() as u32, len: bytes.len() as u32 })
    }

    /// Keeps a record of a frame at a point.
    fn stage(&mut self, frame: usize, span: Option<TapSpan>, record: TapRecord) {
        let Some(watched) = self.frames.get_mut(frame) else { return };
        if watched.is_unwanted() || !self.filter.points.holds(record.point) {
            return;
        }
        match span {
            Some(span) if self.staged.len() < STAGE_RECORDS => self.staged.push(StagedRecord { frame, span, record }),
            _ => watched.missed += 1,
        }
    }

    fn record(&self, frame: &WatchedFrame, point: TapPoint) -> TapRecord {
        TapRecord {
            at: self.now.nanos,
            frame: frame.id,
            point,
            port: frame.note.port,
            exit: None,
            peer: frame.note.origin.peer,
            kind: frame.note.kind,
            decision: frame.note.decision,
            to: None,
            reason: None,
            verdict: frame.note.verdict,
            is_answer: false,
            len: 0,
            kept: 0,
        }
    }

    /// The frame, or a copy of it, is dropped.
    fn drop(&mut self, at: usize, reason: DropReason, to: Option<(DomainId, Target)>) {
        let Some(frame) = self.frames.get_mut(at) else { return };
        frame.has |= self.filter.of_drop(reason);
        let frame = *frame;
        // What a decapsulation has left behind when it failed is unspecified.
        let is_open = matches!(frame.note.kind, FrameKind::Tenant(_) | FrameKind::Mapping(_));
        let span = if is_open { frame.inner.or(frame.outer) } else { frame.outer.or(frame.inner) };
        let record = TapRecord { reason: Some(reason), to, ..self.record(&frame, TapPoint::Drop) };
        self.stage(at, span, record);
    }

    /// Hands the records of those frames on that are asked for, and forgets all.
    fn hand_on(&mut self) {
        for at in 0..self.staged.len() {
            let Some(&StagedRecord { frame, span, mut record }) = self.staged.get(at) else { break };
            if !self.is_chosen(frame) {
                continue;
            }
            if let Some(frame) = self.frames.get(frame) {
                record.verdict = frame.note.verdict;
                record.kind = frame.note.kind;
            }
            (record.len, record.kept) = (span.len, span.kept);
            let bytes = self.stage.get(span.range()).unwrap_or_default();
            if self.records.is_full() || self.bytes.slots() < bytes.len() {
                self.totals.miss(1);
                continue;
            }
            if let Ok(mut chunk) = self.bytes.write_chunk(bytes.len()) {
                let (first, second) = chunk.as_mut_slices();
                let (head, tail) = bytes.split_at(first.len());
                first.copy_from_slice(head);
                second.copy_from_slice(tail);
                chunk.commit_all();
                let _ = self.records.push(record);
            }
        }
        for at in 0..self.frames.len() {
            let missed = self.frames.get(at).map_or(0, |frame| frame.missed);
            if missed > 0 && self.is_chosen(at) {
                self.totals.miss(missed);
            }
            // And not a fragment that waits for others.
            let is_waiting = |frame: &WatchedFrame| {
                frame.note.verdict == Verdict::Waiting && matches!(frame.note.kind, FrameKind::Tenant(_))
            };
            if self.frames.get(at).is_some_and(is_waiting) {
                self.is_chosen(at);
                if let Some(frame) = self.frames.get(at) {
                    self.waiting.put(*frame);
                }
            }
        }
        self.staged.clear();
        self.stage.clear();
        self.frames.clear();
    }

    /// Whether a frame is of those that are asked for, and it is its turn among them. It stays as it is once decided.
    fn is_chosen(&mut self, at: usize) -> bool {
        let Some(frame) = self.frames.get_mut(at) else { return false };
        if let Some(chosen) = frame.chosen {
            return chosen;
        }
        if !self.filter.is_met_by(frame.has) {
            return false;
        }
        let is_its_turn = self.matched.is_multiple_of(self.filter.sample);
        self.matched += 1;
        let chosen = is_its_turn && self.totals.take_place();
        frame.chosen = Some(chosen);
        chosen
    }
}

impl Tracer for Tap {
    fn taken(&mut self, burst: &Burst<'_>) {
        self.hand_on();
        for (at, (frame, note)) in burst.frames.iter().zip(&burst.notes).enumerate() {
            let outer = self.keep(frame.bytes());
            let has = self.filter.of_port(note.port) | self.filter.of_arrival(frame.bytes());
            let watched = WatchedFrame { has, outer, ..WatchedFrame::new(self.next, *note) };
            self.next += 1;
            self.frames.push(watched);
            let record = self.record(&watched, TapPoint::Receive);
            self.stage(at, outer, record);
        }
    }

    fn done(&mut self, stage: Stage, burst: &Burst<'_>) {
        if stage == Stage::Receive {
            return;
        }
        for (at, note) in burst.notes.iter().enumerate() {
            let Some(frame) = self.frames.get_mut(at) else { break };
            frame.note = *note;
            if frame.is_unwanted() {
                continue;
            }
            frame.has |= self.filter.of_note(note);
            let is_open = matches!(note.kind, FrameKind::Tenant(_) | FrameKind::Mapping(_)) && note.is_pending();
            let bytes = burst.frames.get(at).map_or(&[][..], Frame::bytes);
            if stage == Stage::Decap {
                frame.has |= if is_open { self.filter.of_frame(bytes) } else { 0 };
                if !self.filter.may_be_met_by(frame.has) {
                    frame.chosen = Some(false);
                    continue;
                }
            }
            match stage {
                Stage::Decap if is_open => {
                    let inner = self.keep(bytes);
                    let Some(frame) = self.frames.get_mut(at) else { break };
                    frame.inner = inner;
                    let frame = *frame;
                    let record = self.record(&frame, TapPoint::Decap);
                    self.stage(at, inner, record);
                }
                Stage::Bridge if is_open && note.decision != Decision::Undecided => {
                    let frame = *frame;
                    let record = self.record(&frame, TapPoint::Bridge);
                    self.stage(at, frame.inner, record);
                }
                _ => {}
            }
        }
        if stage == Stage::Encap {
            self.hand_on();
        }
    }

    fn turn(&mut self, at: usize) {
        (self.current, self.to, self.is_answer) = (at, None, false);
    }

    fn mark(&self) -> u64 {
        self.frames.get(self.current).map_or(0, |frame| frame.id)
    }

    fn again(&mut self, mark: u64, note: &Note, frame: &Frame<'_>) {
        let known = self.waiting.find(mark);
        let inner = if known.is_some_and(|known| known.is_unwanted()) { None } else { self.keep(frame.bytes()) };
        let seen = self.filter.of_note(note) | self.filter.of_frame(frame.bytes()) | self.filter.of_port(note.port);
        let fresh = WatchedFrame::new(self.next, *note);
        if known.is_none() {
            self.next += 1;
        }
        let watched = known.unwrap_or(fresh);
        self.turn(self.frames.len());
        if self.frames.len() < FRAMES {
            self.frames.push(WatchedFrame { note: *note, outer: None, inner, has: watched.has | seen, ..watched });
        } else if !watched.is_unwanted() {
            self.totals.miss(1);
        }
    }

    fn egress(&mut self, domain: DomainId, target: Target) {
        self.to = Some((domain, target));
        if let Some(frame) = self.frames.get_mut(self.current) {
            frame.has |= self.filter.of_target(target);
        }
    }

    fn leaves(&mut self, port: PortId, frame: &Frame<'_>) {
        if self.frames.get(self.current).is_none_or(WatchedFrame::is_unwanted) {
            self.is_answer = false;
            return;
        }
        let span = self.keep(frame.bytes());
        let Some(watched) = self.frames.get_mut(self.current) else { return };
        watched.has |= self.filter.of_port(port);
        let watched = *watched;
        let to = if self.is_answer { None } else { self.to };
        let is_answer = std::mem::take(&mut self.is_answer);
        let record = TapRecord { exit: Some(port), to, is_answer, ..self.record(&watched, TapPoint::Transmit) };
        self.stage(self.current, span, record);
    }

    fn sent_too_big(&mut self, _mtu: usize, _origin: Option<Target>) {
        self.is_answer = true;
    }

    fn dropped(&mut self, lost: &LostFrame<'_>) {
        self.samples.dropped(lost);
        self.drop(self.current, lost.reason, self.to);
    }
}

impl TapTotals {
    fn miss(&self, sightings: u64) {
        self.missed.fetch_add(sightings, Ordering::Relaxed);
    }

    /// Whether one more frame is wanted; if so, it has its place.
    fn take_place(&self) -> bool {
        let one_less = |left: u64| left.checked_sub(1);
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_ok()
    }
}
