//! The frames that a tap watches, until it is known whether they are asked for.

use std::ops::Range;

use super::super::note::Note;
use super::record::TapRecord;

/// A frame, and what is known about it so far.
#[derive(Debug, Clone, Copy)]
pub(super) struct WatchedFrame {
    /// Its number.
    pub id: u64,
    /// As the last stage left it.
    pub note: Note,
    /// Which of the things that are asked for it has.
    pub has: u8,
    /// As it came in.
    pub outer: Option<TapSpan>,
    /// Out of its tunnel.
    pub inner: Option<TapSpan>,
    /// How many sightings of it there was no room for.
    pub missed: u64,
    /// Whether it is captured, once that is decided.
    pub chosen: Option<bool>,
}

impl WatchedFrame {
    /// Whether it is known that it is none of those that are asked for.
    pub(super) fn is_unwanted(&self) -> bool {
        self.chosen == Some(false)
    }

    pub(super) const fn new(id: u64, note: Note) -> Self {
        Self { id, note, has: 0, outer: None, inner: None, missed: 0, chosen: None }
    }
}

/// Bytes in the memory of a burst.
#[derive(Debug, Clone, Copy)]
pub(super) struct TapSpan {
    pub from: u32,
    pub kept: u32,
    /// How many the frame has.
    pub len: u32,
}

impl TapSpan {
    pub(super) const fn range(self) -> Range<usize> {
        self.from as usize..(self.from + self.kept) as usize
    }
}

/// A record that waits until it is known what becomes of its frame.
#[derive(Debug, Clone, Copy)]
pub(super) struct StagedRecord {
    pub frame: usize,
    pub span: TapSpan,
    pub record: TapRecord,
}

/// The frames that wait for their copies; of more than there is room for, the first ones are forgotten, and their late
/// copies get a number of their own.
#[derive(Debug)]
pub(super) struct WaitingFloods {
    frames: Box<[Option<WatchedFrame>]>,
    next: usize,
}

impl Default for WaitingFloods {
    fn default() -> Self {
        Self { frames: vec![None; Self::MOST].into_boxed_slice(), next: 0 }
    }
}

impl WaitingFloods {
    const MOST: usize = 256;

    pub(super) fn put(&mut self, frame: WatchedFrame) {
        let known = self.frames.iter().position(|known| known.is_some_and(|known| known.id == frame.id));
        let at = known.unwrap_or(self.next);
        if known.is_none() {
            self.next = (self.next + 1) % Self::MOST;
        }
        if let Some(place) = self.frames.get_mut(at) {
            *place = Some(WatchedFrame { outer: None, inner: None, missed: 0, ..frame });
        }
    }

    pub(super) fn find(&self, id: u64) -> Option<WatchedFrame> {
        self.frames.iter().flatten().find(|frame| frame.id == id).copied()
    }
}
