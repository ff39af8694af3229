//! BUM: the classes of frames that go to everyone, how many copies of each a tenant may have made, and what is left.
//!
//! What is counted is *copies*: a broadcast costs the gateway one for every peer that it goes to, so that one frame to a
//! group of 5,000 costs as much as 5,000 frames to one peer. Each attachment that frames come in by has a budget of
//! its own for each class, which all workers share: a storm from one attachment takes nothing from the others, and
//! one of a class nothing from the other classes. A budget saves up one second's worth. A frame passes while anything is
//! left of it, whatever it then costs, so that the limit may be lower than the number of copies of one frame.
//!
//! Whatever the limits are, a worker that has other frames to send gives copies a third of its time at most, in turns
//! (`src/dataplane/floods.rs`): one tenant's storm costs others no frame.
//!
//! ARP and ND are the last to go: as many copies again as `broadcast` allows are kept for them, and what goes beyond
//! that is judged as any frame of its class.

use std::sync::atomic::AtomicU64;

use transload_encaps::Mac;

/// A class of frames that go to everyone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BumClass {
    /// To all hosts.
    Broadcast,
    /// To a group.
    Multicast,
    /// To a host that has not been heard yet.
    UnknownUnicast,
}

impl BumClass {
    /// That of a frame to this address, whose place is not known.
    #[must_use]
    pub fn of(destination: Mac) -> Self {
        match destination {
            Mac::BROADCAST => Self::Broadcast,
            group if group.is_group() => Self::Multicast,
            _ => Self::UnknownUnicast,
        }
    }

    /// Its key in the configuration.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Broadcast => "broadcast",
            Self::Multicast => "multicast",
            Self::UnknownUnicast => "unknown_unicast",
        }
    }
}

/// Nanoseconds between copies at the full allowed rate, for each class; 0 for no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BumLimits {
    /// Of broadcasts.
    pub broadcast: u64,
    /// Of multicasts.
    pub multicast: u64,
    /// Of frames to hosts that have not been heard yet.
    pub unknown_unicast: u64,
}

impl BumLimits {
    /// That of a class.
    #[must_use]
    pub const fn of(&self, class: BumClass) -> u64 {
        match class {
            BumClass::Broadcast => self.broadcast,
            BumClass::Multicast => self.multicast,
            BumClass::UnknownUnicast => self.unknown_unicast,
        }
    }
}

/// When the next copy of frames that come in by an attachment would be on schedule, in nanoseconds of the workers'
/// clock.
#[derive(Debug, Default)]
pub struct BumDue {
    /// Of broadcasts.
    pub broadcast: AtomicU64,
    /// Of multicasts.
    pub multicast: AtomicU64,
    /// Of frames to hosts that have not been heard yet.
    pub unknown_unicast: AtomicU64,
    /// Of ARP and ND, from what is kept for them.
    pub neighbours: AtomicU64,
}

impl BumDue {
    /// That of a class.
    #[must_use]
    pub const fn of(&self, class: BumClass) -> &AtomicU64 {
        match class {
            BumClass::Broadcast => &self.broadcast,
            BumClass::Multicast => &self.multicast,
            BumClass::UnknownUnicast => &self.unknown_unicast,
        }
    }
}
