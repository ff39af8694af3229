//! A domain's memory: what it remembers from frame to frame, and from one set of tables to the next.

use std::sync::atomic::{AtomicU32, AtomicU64};

/// What a domain counts from frame to frame.
#[derive(Debug, Default)]
pub struct DomainState {
    /// How many MACs are learned now.
    pub macs: AtomicU32,
    /// When the next ICMP error would be on schedule, in nanoseconds of the workers' clock.
    pub icmp_due: AtomicU64,
    /// When the next report of an unknown sender would be on schedule, in nanoseconds of the workers' clock.
    pub unknown_sender_due: AtomicU64,
    /// When the next report of a MAC address without a place would be on schedule, in nanoseconds of the workers' clock.
    pub shortage_due: AtomicU64,
    /// What the loop guard remembers.
    pub loops: LoopMemory,
}

/// What the loop guard remembers of a domain: 264 bytes, whatever the tenant sends.
#[derive(Debug, Default)]
pub struct LoopMemory {
    /// The frames that are watched for a return.
    pub watched: [Watched; 8],
    /// Pairs of attachments that a loop joins, or an echo, and until when they are held.
    pub held: [AtomicU64; 8],
    /// When the last of them ends, in nanoseconds of the workers' clock.
    pub held_until: AtomicU64,
}

/// A frame that is watched for a return; the loop guard packs and reads the words.
#[derive(Debug, Default)]
pub struct Watched {
    /// Its digest, when it first came in, and by which attachments since.
    pub track: AtomicU64,
    /// Its digest, and where it first came in.
    pub home: AtomicU64,
    /// A bit for each attachment it came in by, modulo 64.
    pub sides: AtomicU64,
}
