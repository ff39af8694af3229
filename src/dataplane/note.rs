//! Notes: what the stages have found out about a frame, beside its bytes.

use transload_encaps::l2cp::ControlGroups;
use transload_encaps::{DropReason, Segment};

use crate::counters::Counters;
use crate::forwarding::{Claim, Crossing, DomainId, PeerId, PortId, Target};

/// What becomes of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Not decided yet.
    Pending,
    /// Sent to at least one tunnel or port.
    Sent,
    /// It goes to everyone, and copies are still to be made; or it is a part of a packet, and others are still to come. It
    /// counts once that is over.
    Waiting,
    /// Dropped, under a named reason.
    Dropped(DropReason),
}

/// Where a tunnel packet came from, and where in it the tunnel's header is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PacketOrigin {
    /// The peer, or the tags of the port; of a sender without a number, the peer that stands for all such.
    pub peer: PeerId,
    /// Offset of the encapsulation's own header, in bytes.
    pub at: u16,
    /// Offset of the tunnel packet's end, in bytes; Ethernet padding follows.
    pub end: u32,
    /// DSCP and ECN of the outer IP header; none of a packet without one.
    pub outer_class: Option<u8>,
    /// The sender's place in [`Burst::unknown_senders`](super::Burst::unknown_senders); none of a sender that has a
    /// number.
    pub unknown_sender: Option<u8>,
}

/// What kind of frame came out of a tunnel packet: which later stages have a part in it, and on whose behalf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameKind {
    /// A tunnel packet that is not opened yet, or out of which no frame came.
    Unopened,
    /// A frame of this segment that is dropped, since nobody claims the segment, or since of what its headers say.
    Refused(Segment),
    /// A tenant's frame, by the attachment that it came in by; the bridge decides where it goes.
    Tenant(Claim),
    /// A mapping's frame, on its way to the other side; the bridge has no part in it.
    Mapping(Crossing),
}

/// Where a tenant's frame goes. The domain is the egress one: that of the ingress attachment, unless it was routed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// None yet, or none to be made.
    Undecided,
    /// To one place of the domain.
    To {
        /// The egress domain.
        domain: DomainId,
        /// The place in it.
        target: Target,
    },
    /// To every attachment of the domain that the ingress one may feed.
    Flood {
        /// The egress domain.
        domain: DomainId,
    },
    /// To those of them where bridges' control frames to this group pass.
    FloodControl {
        /// The egress domain.
        domain: DomainId,
        /// The group.
        group: ControlGroups,
    },
}

/// What is known about a frame beside its bytes. Each stage fills in its line.
#[derive(Debug, Clone, Copy)]
pub struct Note {
    /// Receive: the port it came in by.
    pub port: PortId,
    /// Classify: where it is from.
    pub origin: PacketOrigin,
    /// Decap: what it is, and for a tenant's frame, the ingress attachment.
    pub kind: FrameKind,
    /// Bridge: where it goes.
    pub decision: Decision,
    /// Encap: the port that it leaves by, where it has its headers before its turn to leave comes.
    pub exit: Option<PortId>,
    /// Every stage: whether it goes on.
    pub verdict: Verdict,
}

impl Verdict {
    /// That on a frame which was sent by one path.
    #[inline]
    pub(super) const fn of(gone: Result<(), DropReason>) -> Self {
        match gone {
            Ok(()) => Self::Sent,
            Err(reason) => Self::Dropped(reason),
        }
    }
}

impl Note {
    /// That of a frame that has just been received by this port.
    #[inline]
    pub(super) const fn new(port: PortId) -> Self {
        let peer = PeerId::new(u32::MAX);
        Self {
            port,
            origin: PacketOrigin { peer, at: 0, end: 0, outer_class: None, unknown_sender: None },
            kind: FrameKind::Unopened,
            decision: Decision::Undecided,
            exit: None,
            verdict: Verdict::Pending,
        }
    }

    /// The frame goes no further: no later stage finds a decision that it could act on.
    #[inline]
    pub fn drop(&mut self, reason: DropReason) {
        self.decision = Decision::Undecided;
        self.verdict = Verdict::Dropped(reason);
    }

    /// Counts the verdict.
    #[inline]
    pub(super) fn settle(&self, counters: &Counters) {
        if let Verdict::Dropped(reason) = self.verdict {
            counters.dropped(reason, self.ingress(), 1);
            counters.dropped_at(self.port, Some(self.origin.peer), reason, 1);
            if let FrameKind::Mapping(crossing) = self.kind
                && let Some(mapping) = counters.mapping(crossing.mapping)
            {
                mapping.dropped.add(1);
            }
        }
    }

    /// Whether no stage has decided about the frame yet.
    #[must_use]
    #[inline]
    pub fn is_pending(&self) -> bool {
        self.verdict == Verdict::Pending
    }

    /// The attachment that a tenant's frame came in by, once it is known.
    #[must_use]
    #[inline]
    pub const fn ingress(&self) -> Option<Claim> {
        match self.kind {
            FrameKind::Tenant(ingress) => Some(ingress),
            FrameKind::Unopened | FrameKind::Refused(_) | FrameKind::Mapping(_) => None,
        }
    }
}
