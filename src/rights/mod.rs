//! What the process may do once its ports are open: each room lists the rights that it goes on to need, and what is on no
//! list is given up.
//!
//! A room's list is a function that returns [`Rights`]: `src/run/confine.rs` adds up those of the rooms that a plan needs.
//! Threads that are started later have the rights of the thread that starts them; those that run already give up their
//! capabilities themselves ([`EarlyThread`]).

mod calls;
mod capabilities;
mod early;
mod filter;
mod user;

use rustix::thread::CapabilitySet;

pub use calls::{Call, of_a_process};
pub use capabilities::{Kept, in_words, keep, leave_none_to_programs};
pub use early::{EarlyThread, user_changes};
pub use filter::{FilterError, allow_only};
pub use user::{Account, AccountError};

/// Capabilities that something needs.
#[derive(Debug, Clone)]
pub struct Need {
    /// The capabilities.
    pub capabilities: CapabilitySet,
    /// What needs them, such as `UDP port 500`.
    pub what: String,
}

/// What somebody goes on to need.
#[derive(Debug, Clone, Default)]
pub struct Rights {
    /// Capabilities.
    pub needs: Vec<Need>,
    /// System calls, beside those of every process.
    pub calls: Vec<Call>,
}

impl Rights {
    /// System calls alone.
    #[must_use]
    pub fn calls(calls: impl IntoIterator<Item = Call>) -> Self {
        Self { needs: Vec::new(), calls: calls.into_iter().collect() }
    }

    /// With these capabilities, for what is named.
    #[must_use]
    pub fn with(mut self, capabilities: CapabilitySet, what: impl Into<String>) -> Self {
        self.needs.push(Need { capabilities, what: what.into() });
        self
    }

    /// All capabilities together.
    #[must_use]
    pub fn capabilities(&self) -> CapabilitySet {
        self.needs.iter().map(|need| need.capabilities).collect()
    }
}

impl FromIterator<Self> for Rights {
    fn from_iter<I: IntoIterator<Item = Self>>(all: I) -> Self {
        let mut sum = Self::default();
        for Self { needs, calls } in all {
            sum.needs.extend(needs);
            sum.calls.extend(calls);
        }
        sum
    }
}
