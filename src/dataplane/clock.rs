//! The workers' clock: nanoseconds since the gateway started.

use std::time::Instant;

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
}
