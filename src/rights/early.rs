//! Threads that run before rights are given up: that of the log, and those that ask for names.
//!
//! They need no capability of their own. But when a process becomes another user, libc has each of its threads do so
//! (nptl(7)), and each needs the right to; the kernel then takes that away itself.

use std::sync::atomic::{AtomicU8, Ordering};

use rustix::thread::CapabilitySet;

use super::capabilities::{keep, renounce};

/// What is known of the user that the process will be.
static USER: AtomicU8 = AtomicU8::new(UNKNOWN);
const UNKNOWN: u8 = 0;
const STAYS: u8 = 1;
const CHANGES: u8 = 2;

/// Says whether the process will become another user, once that is known.
pub fn user_changes(changes: bool) {
    USER.store(if changes { CHANGES } else { STAYS }, Ordering::Relaxed);
}

/// A thread that runs before rights are given up.
#[derive(Debug)]
pub struct EarlyThread {
    /// Whether it has the right to become another user.
    may_change: bool,
}

impl EarlyThread {
    /// Gives up what the calling thread will not need, whoever the process will be.
    #[must_use]
    pub fn begin() -> Self {
        let may_change = USER.load(Ordering::Relaxed) != STAYS;
        if may_change {
            // Where that is refused, it has none.
            let _ = keep(CapabilitySet::SETUID | CapabilitySet::SETGID);
        } else {
            renounce();
        }
        Self { may_change }
    }

    /// Gives up the rest, once it is known that the user stays.
    pub fn follow(&mut self) {
        if self.may_change && USER.load(Ordering::Relaxed) == STAYS {
            renounce();
            self.may_change = false;
        }
    }
}
