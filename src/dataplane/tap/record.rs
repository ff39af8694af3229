//! What a tap hands to control: a record of a frame at a point, and the frame's bytes beside it.

use std::sync::atomic::{AtomicU64, Ordering};

use rtrb::Consumer;
use transload_encaps::DropReason;

use super::super::note::{Decision, FrameKind, Verdict};
use crate::forwarding::{DomainId, PeerId, PortId, Target};

/// A place between two stages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum TapPoint {
    /// At the port that a frame came in by.
    Receive,
    /// Out of the tunnel, and whose it is.
    Decap,
    /// It is decided where it goes.
    Bridge,
    /// At the port that it, or a copy of it, leaves by.
    Transmit,
    /// It, or a copy of it, is dropped.
    Drop,
}

impl TapPoint {
    /// All of them, in a frame's order.
    pub const ALL: [Self; 5] = [Self::Receive, Self::Decap, Self::Bridge, Self::Transmit, Self::Drop];

    /// Its word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Receive => "receive",
            Self::Decap => "decap",
            Self::Bridge => "bridge",
            Self::Transmit => "transmit",
            Self::Drop => "drop",
        }
    }
}

/// A frame at a point.
#[derive(Debug, Clone, Copy)]
pub struct TapRecord {
    /// The time, in nanoseconds of the workers' clock.
    pub at: u64,
    /// The frame's number: the same at every point, and for every copy.
    pub frame: u64,
    /// Where it is.
    pub point: TapPoint,
    /// The port that it came in by.
    pub port: PortId,
    /// The port that it leaves by: at [`TapPoint::Transmit`].
    pub exit: Option<PortId>,
    /// The peer, or the tags of the port, that it came from; a number that nobody has if its sender is unknown.
    pub peer: PeerId,
    /// Whose it is.
    pub kind: FrameKind,
    /// Where it goes, once that is decided.
    pub decision: Decision,
    /// The place that this copy goes to.
    pub to: Option<(DomainId, Target)>,
    /// Why it is dropped: at [`TapPoint::Drop`].
    pub reason: Option<DropReason>,
    /// What became of the frame in the end.
    pub verdict: Verdict,
    /// It is the gateway's own ICMP error, about the frame of this number.
    pub is_answer: bool,
    /// How many bytes it has.
    pub len: u32,
    /// How many of them are recorded.
    pub kept: u32,
}

/// What all taps of a capture count together.
#[derive(Debug)]
pub struct TapTotals {
    /// Records that were missed, since control was too slow or a burst too large.
    pub(super) missed: AtomicU64,
    /// Frames that are still wanted.
    pub(super) left: AtomicU64,
}

impl TapTotals {
    /// Of a capture that wants so many frames.
    #[must_use]
    pub const fn new(frames: u64) -> Self {
        Self { missed: AtomicU64::new(0), left: AtomicU64::new(frames) }
    }

    /// How many records were missed so far.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }

    /// Whether there are as many frames as are wanted.
    #[must_use]
    pub fn has_all(&self) -> bool {
        self.left.load(Ordering::Relaxed) == 0
    }
}

/// Control's end of a tap.
#[derive(Debug)]
pub struct TapReader {
    records: Consumer<TapRecord>,
    bytes: Consumer<u8>,
}

impl TapReader {
    pub(super) const fn new(records: Consumer<TapRecord>, bytes: Consumer<u8>) -> Self {
        Self { records, bytes }
    }

    /// Reads the next record and its bytes, if there is one.
    pub fn read<R>(&mut self, read: impl FnOnce(&TapRecord, &[u8]) -> R) -> Option<R> {
        let record = self.records.pop().ok()?;
        let chunk = self.bytes.read_chunk(record.kept as usize).ok()?;
        let (first, second) = chunk.as_slices();
        let done = if second.is_empty() { read(&record, first) } else { read(&record, &[first, second].concat()) };
        chunk.commit_all();
        Some(done)
    }

    /// When the next record is from, in nanoseconds of the workers' clock.
    #[must_use]
    pub fn next_at(&self) -> Option<u64> {
        self.records.peek().ok().map(|record| record.at)
    }
}
