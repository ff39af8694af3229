//! Reload: other tables under a gateway that runs, so that no address ever comes to mean another tenant's tunnel.
//!
//! The FDB outlives the tables and speaks in their numbers. So the order counts: publish; wait until no worker works
//! by the old tables any more, since it could still learn by them; take out what the new ones do not mean; and only
//! then may a number be given to another name.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::compile::{Freed, Numbers, Static};
use crate::dataplane::Shared;
use crate::fdb::Entry;
use crate::forwarding::{Forwarding, Map};
use crate::rib::ageing;

/// The tables that workers may still use, of all that were ever published.
#[derive(Debug, Default)]
pub struct Versions(Mutex<Vec<Weak<Forwarding>>>);

impl Versions {
    /// Gives the workers these tables, of which no number has another meaning than before.
    pub fn publish(&self, shared: &Shared, tables: Forwarding) {
        let before = Arc::downgrade(&shared.forwarding.swap(Arc::new(tables)));
        let mut older = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        older.retain(|tables| tables.strong_count() > 0);
        older.push(before);
    }

    fn older(&self) -> Vec<Weak<Forwarding>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Tables that are published, while workers may still use those before them.
#[must_use = "numbers can be used again only after `settle`"]
pub struct Swap {
    before: Vec<Weak<Forwarding>>,
    generation: u64,
    statics: Vec<Static>,
}

/// What is settled.
#[derive(Debug, Default)]
pub struct Settled {
    /// The static addresses that the FDB has no room for.
    pub unplaced: Vec<Static>,
    /// The numbers that are free now.
    pub freed: Freed,
}

/// Gives the workers these tables. What the plan before had pinned and this one has not is unpinned by
/// [`Swap::settle`]; `generation` is the plan's.
pub fn publish(
    shared: &Shared,
    versions: &Versions,
    tables: Forwarding,
    statics: Vec<Static>,
    generation: u64,
) -> Swap {
    versions.publish(shared, tables);
    Swap { before: versions.older(), generation, statics }
}

impl Swap {
    /// Whether every worker has begun a burst by the new tables, or younger ones. Nobody can take up the old ones any
    /// more, so this stays true.
    #[must_use]
    pub fn is_passed(&self) -> bool {
        self.before.iter().all(|tables| tables.strong_count() == 0)
    }

    /// Makes the FDB mean what the new tables say, and frees the numbers of names that are gone. Gives back
    /// what came of it, or itself if it is too early.
    ///
    /// # Errors
    /// When [`is_passed`](Self::is_passed) is false; call again later.
    pub fn settle(self, shared: &Shared, numbers: &mut Numbers) -> Result<Settled, Self> {
        if !self.is_passed() {
            return Err(self);
        }
        let tables = shared.forwarding.load();
        let pins: Map<_, _> = self.statics.iter().map(|entry| ((entry.domain, entry.mac), entry.target)).collect();
        let is_pinned = |entry: &Entry| pins.get(&(entry.domain, entry.mac)) == Some(&entry.target);
        ageing::sweep(shared, &tables, 0..shared.fdb.buckets(), |entry| !entry.is_static || is_pinned(entry));
        let unplaced = self.statics.iter().filter(|entry| !pin(shared, &tables, entry)).copied().collect();
        Ok(Settled { unplaced, freed: numbers.reclaim(self.generation) })
    }
}

/// Pins an address; false when there is no room. One that was learned no longer counts against its tenant's limit.
fn pin(shared: &Shared, tables: &Forwarding, entry: &Static) -> bool {
    let key = shared.fdb.key(entry.domain, entry.mac);
    let Ok(replaced) = shared.fdb.insert_static(key, entry.target) else { return false };
    if replaced.is_some_and(|replaced| !replaced.is_static)
        && let Some(domain) = tables.domain(entry.domain)
    {
        domain.state.macs.fetch_sub(1, Ordering::Relaxed);
    }
    true
}
