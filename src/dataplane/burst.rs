//! The frames of one burst, and beside each a note of what the stages have found out.

use std::net::IpAddr;

use transload_encaps::{DropReason, Frame};

use crate::counters::Counters;
use crate::forwarding::{AttachmentId, Claim, Crossing, DomainId, PeerId, PortId, Target};

/// How a frame's way through the gateway ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Not decided yet.
    Pending,
    /// Sent to at least one tunnel or port.
    Sent,
    /// Dropped by name.
    Dropped(DropReason),
}

/// Where the bridge wants a frame to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// To one place.
    To(Target),
    /// To every attachment that the ingress one may feed.
    Flood,
    /// To those of them that tunnel bridges' control frames.
    FloodControl,
    /// To the other side of a mapping; the bridge has no part in it.
    Across(Crossing),
}

/// Where a tunnel packet came from, and where in the frame its tunnel header is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// The peer, or the tags of the port.
    pub peer: PeerId,
    /// Where the encapsulation's own header begins.
    pub at: u16,
    /// Where the tunnel packet ends; Ethernet padding follows.
    pub end: u32,
    /// DSCP and ECN of the outer IP header, if there is one.
    pub outer_class: Option<u8>,
}

/// What is known about a frame beside its bytes. Each stage fills in its line.
#[derive(Debug, Clone, Copy)]
pub struct Note {
    /// Receive: the port it came in by.
    pub port: PortId,
    /// Receive: its length on the wire.
    pub len: u32,
    /// Classify: who it is from.
    pub origin: Origin,
    /// Decap: whose it is.
    pub claim: Option<Claim>,
    /// Bridge: where it goes.
    pub decision: Decision,
    /// Every stage: whether it goes on.
    pub verdict: Verdict,
}

impl Note {
    fn new(port: PortId, len: usize) -> Self {
        Self {
            port,
            len: len as u32,
            origin: Origin { peer: PeerId(u32::MAX), at: 0, end: 0, outer_class: None },
            claim: None,
            decision: Decision::Flood,
            verdict: Verdict::Pending,
        }
    }

    /// The frame goes no further.
    #[inline]
    pub fn drop(&mut self, reason: DropReason) {
        self.verdict = Verdict::Dropped(reason);
    }

    /// Whether no stage has decided about the frame yet.
    #[must_use]
    #[inline]
    pub fn is_pending(&self) -> bool {
        self.verdict == Verdict::Pending
    }

    /// The tenant, once it is known.
    #[must_use]
    pub fn domain(&self) -> Option<DomainId> {
        self.claim.map(|claim| claim.domain)
    }

    /// The attachment of its tenant that the frame came in by, once it is known.
    #[must_use]
    pub fn attachment(&self) -> Option<AttachmentId> {
        self.claim.map(|claim| claim.attachment)
    }
}

/// The sender of a frame that has no number yet, but may get one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stranger {
    /// Which frame of the burst.
    pub frame: usize,
    /// The outer source address.
    pub address: IpAddr,
}

/// The frames of one burst with their notes, index by index.
#[derive(Debug)]
pub struct Burst<'mem> {
    /// The frames; the encap stage takes them.
    pub frames: Vec<Frame<'mem>>,
    /// What is known about each.
    pub notes: Vec<Note>,
    /// Whose senders are unknown, in order.
    pub strangers: Vec<Stranger>,
}

impl<'mem> Burst<'mem> {
    /// Most frames of one burst.
    pub const LEN: usize = 64;

    /// An empty burst that will never allocate.
    #[must_use]
    pub fn new() -> Self {
        Self {
            frames: Vec::with_capacity(Self::LEN),
            notes: Vec::with_capacity(Self::LEN),
            strangers: Vec::with_capacity(Self::LEN),
        }
    }

    /// Writes a first note for every frame that has none: they came in by this port.
    pub fn received(&mut self, port: PortId) {
        let fresh = self.frames.get(self.notes.len()..).unwrap_or_default();
        self.notes.extend(fresh.iter().map(|frame| Note::new(port, frame.len())));
    }

    /// The frames that are still on their way.
    pub fn pending(&mut self) -> impl Iterator<Item = (&mut Frame<'mem>, &mut Note)> {
        self.frames.iter_mut().zip(&mut self.notes).filter(|(_, note)| note.is_pending())
    }

    /// The burst is over: counts every verdict and forgets the notes.
    pub fn settle(&mut self, counters: &Counters) {
        self.strangers.clear();
        for note in self.notes.drain(..) {
            if let Verdict::Dropped(reason) = note.verdict {
                counters.dropped(reason, note.domain(), 1);
                counters.dropped_at(note.port, Some(note.origin.peer), reason, 1);
                if let Decision::Across(crossing) = note.decision
                    && let Some(mapping) = counters.mapping(crossing.mapping)
                {
                    mapping.dropped.add(1);
                }
            }
        }
    }
}

impl Default for Burst<'_> {
    fn default() -> Self {
        Self::new()
    }
}
