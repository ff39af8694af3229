//! The workers' clock: nanoseconds since the gateway started.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use super::Now;

/// A monotonic clock with its own origin. Every copy tells the same time.
#[derive(Debug, Clone, Copy)]
pub struct Clock(Instant);

impl Clock {
    /// A clock that starts now.
    #[must_use]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// The time now.
    #[must_use]
    #[inline]
    pub fn now(self) -> Now {
        // 64 bits of nanoseconds last 584 years.
        Now { nanos: self.0.elapsed().as_nanos() as u64 }
    }

    /// Nanoseconds between 1970 and the origin, as the system's clock has it now: that may be set, and then says otherwise.
    #[must_use]
    pub fn origin(self) -> u64 {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |wall| wall.as_nanos() as u64);
        wall.saturating_sub(self.now().nanos)
    }
}
