//! The table during one burst, and what a glance at a MAC tells of it: only what is plain, at once.

use super::Fdb;
use super::bucket::{Bucket, WORDS};
use super::entry::{Key, MacLocation, SlotState};
use super::sync::AtomicU64;
use crate::forwarding::{DomainId, Target};

/// The table as a worker sees it during one burst: where its lines are is worked out once.
#[derive(Clone, Copy)]
pub struct View<'a> {
    fdb: &'a Fdb,
    lines: &'a [[AtomicU64; WORDS]],
}

impl<'a> View<'a> {
    #[inline]
    pub(super) fn new(fdb: &'a Fdb) -> Self {
        Self { fdb, lines: fdb.lines(0) }
    }

    /// As [`Fdb::key_of_bits`].
    #[must_use]
    #[inline]
    pub fn key_of_bits(&self, domain: DomainId, mac: u64) -> Key {
        self.fdb.key_of_bits(domain, mac)
    }

    /// The cache line that all looks at this MAC begin with, to be fetched in advance.
    #[must_use]
    #[inline]
    pub fn line(&self, key: &Key) -> Option<&'a (impl Sized + use<>)> {
        self.lines.get(key.home())
    }

    /// A look at this MAC that neither waits nor tries again. `None` says nothing: the MAC is not in the table, or not
    /// to be told at a glance from another one, or a writer is at work. [`Fdb::lookup`] and [`Fdb::learn`] know.
    #[must_use]
    #[inline]
    pub fn glance(&self, key: &Key) -> Option<Glance> {
        let home = Bucket::new(self.lines.get(key.home())?);
        let state = match home.glance(key) {
            None if home.has_spilled() => self.glance_beyond(key),
            seen => seen,
        };
        state.map(|state| Glance { key: *key, state })
    }

    /// Those that are not in their home are few, but too many for the full path.
    #[inline(never)]
    fn glance_beyond(&self, key: &Key) -> Option<SlotState> {
        self.fdb.find_spilled(*key).ok()?.map(|found| found.state)
    }
}

/// What a glance saw of a MAC. What it affirms is so; `None` and `false` say nothing.
#[derive(Debug, Clone, Copy)]
pub struct Glance {
    key: Key,
    /// The MAC's, or that of the same MAC in a domain alike in its low 16 bits.
    state: SlotState,
}

impl Glance {
    /// Where the MAC lives, what [`Fdb::lookup`] would say, with an `ageing` of at most [`MAX_AGEING`](super::MAX_AGEING).
    #[must_use]
    #[inline]
    pub fn target(&self, tick: u16, ageing: u16) -> Option<Target> {
        (self.state.is_of(self.key) && self.state.is_valid(tick, ageing)).then(|| self.state.target())
    }

    /// Whether [`Fdb::lookup`] would say that the MAC lives at this location, which is one of its own domain; with an
    /// `ageing` as for [`target`](Self::target).
    #[must_use]
    #[inline]
    pub fn is_at(&self, location: MacLocation, tick: u16, ageing: u16) -> bool {
        self.state.is_at(location) && self.state.is_valid(tick, ageing)
    }

    /// Whether there is nothing to learn of the MAC, seen at this location of its own domain now, `tick`: `Fdb::learn`
    /// would say [`Known`](super::LearnOutcome::Known) and change nothing.
    #[must_use]
    #[inline]
    pub fn is_known_at(&self, location: MacLocation, tick: u16) -> bool {
        self.state.is_at(location) && self.state.is_fresh(tick)
    }
}
