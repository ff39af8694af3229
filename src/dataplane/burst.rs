//! The frames of one burst, and beside each a note of what the stages have found out.

use std::net::IpAddr;

use transload_encaps::Frame;

use super::note::{Note, PacketOrigin};
use crate::counters::Counters;
use crate::fdb::Key;
use crate::forwarding::PortId;

/// The frames of one burst with their notes, index by index.
#[derive(Debug)]
pub struct Burst<'mem> {
    /// The frames; the encap stage takes them.
    pub frames: Vec<Frame<'mem>>,
    /// What is known about each.
    pub notes: Vec<Note>,
    /// Bridge: the FDB keys of each.
    pub(super) keys: Vec<Keys>,
    /// Outer source addresses of senders that have no number, but may get one; notes name their place here.
    pub unknown_senders: Vec<IpAddr>,
    /// Classify: whether a frame was dropped since it is a fragment.
    pub(super) has_fragments: bool,
}

/// The FDB keys of a frame's source and destination.
pub(super) type Keys = (Key, Key);

impl<'mem> Burst<'mem> {
    /// Most frames of one burst.
    pub const LEN: usize = 64;

    /// An empty burst that will never allocate.
    #[must_use]
    pub fn new() -> Self {
        Self {
            frames: Vec::with_capacity(Self::LEN),
            notes: Vec::with_capacity(Self::LEN),
            keys: Vec::with_capacity(Self::LEN),
            unknown_senders: Vec::with_capacity(Self::LEN),
            has_fragments: false,
        }
    }

    /// Writes a first note for every frame that has none: they came in by this port.
    pub fn received(&mut self, port: PortId) {
        self.notes.resize(self.frames.len(), Note::new(port));
    }

    /// The frames that are still on their way.
    pub fn pending(&mut self) -> impl Iterator<Item = (&mut Frame<'mem>, &mut Note)> {
        self.frames.iter_mut().zip(&mut self.notes).filter(|(_, note)| note.is_pending())
    }

    /// The burst is over: counts every verdict and forgets the notes.
    pub fn settle(&mut self, counters: &Counters) {
        self.unknown_senders.clear();
        for note in self.notes.drain(..) {
            note.settle(counters);
        }
    }
}

impl Default for Burst<'_> {
    fn default() -> Self {
        Self::new()
    }
}

/// The address of a sender that has no number; none if it has one.
#[inline]
pub(super) fn unknown_sender(origin: &PacketOrigin, unknown_senders: &[IpAddr]) -> Option<IpAddr> {
    unknown_senders.get(usize::from(origin.unknown_sender?)).copied()
}
