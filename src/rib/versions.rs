//! Tables that were published: which of them workers may still use, and what waits until they do not.
//!
//! The FDB outlives the tables and speaks in their numbers. So the order counts: publish; wait until no worker works
//! by the old tables any more, since it could still learn by them; take out what the new ones do not mean; and only
//! then may a number be given to another name.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::dataplane::Shared;
use crate::forwarding::Forwarding;

/// Which tables: counts up from the first that were published.
pub(super) type Serial = u64;

/// The tables that workers may still use, of all that were ever published.
#[derive(Debug, Default)]
pub(super) struct Versions {
    /// The serial of the tables that are in force.
    newest: Serial,
    /// Older ones, the oldest first, until only this list holds them: so that they are freed here and not by a worker.
    older: VecDeque<(Serial, Arc<Forwarding>)>,
}

impl Versions {
    /// Gives the workers these tables, of which no number has another meaning than before.
    pub(super) fn publish(&mut self, shared: &Shared, tables: Forwarding) {
        let before = shared.forwarding.swap(Arc::new(tables));
        self.drop_unused();
        self.older.push_back((self.newest, before));
        self.newest += 1;
    }

    /// The serial of the tables that are in force.
    pub(super) const fn newest(&self) -> Serial {
        self.newest
    }

    /// Whether every worker has begun a burst by these tables, or younger ones. Nobody can take up older ones any
    /// more, so this stays true.
    pub(super) fn is_passed(&mut self, serial: Serial) -> bool {
        self.drop_unused();
        self.older.front().is_none_or(|(oldest, _)| *oldest >= serial)
    }

    fn drop_unused(&mut self) {
        self.older.retain(|(_, tables)| Arc::strong_count(tables) > 1);
    }
}
