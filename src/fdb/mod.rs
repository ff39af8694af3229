//! The FDB: where each tenant's MAC addresses live. One table, shared by all workers and by control.
//!
//! Its size is fixed and it is made of 64-byte buckets, a cache line each:
//!
//! ```text
//!   word 0   version: odd while a writer changes the slots (a seqlock)
//!   word 1   bit 63: a writer has claimed the MACs whose home is here; below: how many MACs have spilled past here
//!   2 and 3  slot: | MAC 48 | domain, low 16 |  | domain, high 8 | target 32 | tick 16 | flags 8 |
//!   4 and 5  slot
//!   6 and 7  slot
//! ```
//!
//! A MAC is in the first of the `REACH` buckets from its home on that had a free slot when it was learned, and
//! never changes its slot. A search stops at the first bucket that nothing has spilled past, so nearly every miss
//! costs one cache line. There is no wrap-around: behind the last home bucket are spare ones.
//!
//! Readers and writers:
//!
//! * **Readers** take no lock. They read a bucket between two looks at its version, a bounded number of times; then
//!   they report a miss, since flooding is always safe and waiting never is.
//! * **A glance** ([`View::glance`]) is what the data path tries first: one look, that most frames need no more than.
//!   It says what is plain, and leaves the rest to those.
//! * **The home bucket** of a MAC is claimed first by whoever adds, moves or frees the MAC, so a
//!   MAC cannot be learned twice, and the slot of a claimed MAC stays its own. Workers never wait for a claim: they
//!   say [`Busy`](LearnOutcome::Busy), and the next frame learns.
//! * **The version** is that of the slot's own bucket: MACs of different homes meet in one bucket by spilling, so a
//!   slot is filled or emptied with the bucket's version odd. A writer holds one bucket at a time, for a few stores.
//! * **The state word** of an occupied slot changes on its own: a move stores it under the claim, and a refresh
//!   swaps in a newer tick if nothing else has changed. Should the slot have been emptied and filled with the very
//!   same state by then, another MAC that was seen in the same second looks a little younger, and that is all.
//! * **Holding** a MAC somewhere is control's, under the claim: a refresh keeps the flag, a move finds it.
//! * **Freeing** is control's, one call at a time, and control may wait for workers.
//!
//! Ticks are whole seconds and wrap after 18 hours. An entry silent for that long would look young again; control's
//! [`sweep`](Fdb::sweep) is what takes it out before, and it has to pass at least once a minute.

mod bucket;
mod control;
mod entry;
#[cfg_attr(transload_loom, path = "tests/sync.rs")]
mod sync;
mod view;

#[cfg(test)]
mod tests;

pub use control::Full;
pub use entry::{Entry, EntrySource, Key, MAX_AGEING, MacLocation};
pub use view::{Glance, View};

use std::fmt;

use transload_encaps::Mac;

use crate::forwarding::{DomainId, Target};
use bucket::{Bucket, Disturbed, FoundSlot, HomeClaim};
use entry::SlotState;
use sync::{AtomicU64, AtomicUsize, Mutex, Ordering};

/// How many MACs the table holds unless the configuration says otherwise: 48 MiB of address space, and of memory
/// only what is used.
pub const DEFAULT_CAPACITY: usize = 1_048_576;

/// Most MACs a table can be made for.
pub const MAX_CAPACITY: usize = 1 << 32;

/// A MAC is at most this many buckets from its home, its home counted.
///
/// A table filled to its capacity has four MACs for nine slots. Of random MACs, then, one in 20 is not in its home, one
/// in 1,800 goes further than 4 buckets, one in 150,000 would not fit into 8, one in seven million into 12, and one in
/// some hundred million into 16. The rest is for MACs that are less evenly spread.
const REACH: usize = if cfg!(transload_loom) { 2 } else { 48 };

/// The seed of tables that must be alike from run to run.
const FIXED_SEED: u64 = 0x7472_616e_736c_6f61;

/// The table of MAC addresses of all domains.
pub struct Fdb {
    words: Box<[AtomicU64]>,
    /// Where the first cache line starts in `words`.
    first: usize,
    /// Buckets that are home to some MACs; the rest are for the last ones to spill into.
    homes: usize,
    capacity: usize,
    seed: u64,
    count: Count,
    /// Held by whoever frees a slot or pins a MAC. Workers never take it.
    control: Mutex<()>,
}

/// Occupied slots; on a line of its own, since what surrounds it is read for each frame.
#[repr(align(64))]
struct Count(AtomicUsize);

/// What became of a source address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LearnOutcome {
    /// It was there, behind this target; it is young again.
    Known,
    /// It was not there and is now, and `admit` has consented; or it was there as it was before a restart, counted
    /// already, and has been heard now.
    New,
    /// It was there, behind another target.
    Moved {
        /// The target until now.
        from: Target,
    },
    /// A static entry says it is elsewhere; nothing has changed.
    Static,
    /// It was there, behind another target, where control holds it; nothing has changed.
    Held,
    /// There is no room left for it.
    Full,
    /// Another writer was there first; the next frame will do.
    Busy,
    /// `admit` did not want it.
    Refused,
}

impl Fdb {
    /// A table for this many MACs, never growing, in which each MAC has the same place from run to run.
    ///
    /// Takes 48 bytes a MAC, and up to 3 KiB more when small; a page of it takes memory when first written to.
    ///
    /// # Panics
    /// Aborts when there is no such amount of address space.
    #[must_use]
    pub fn with_capacity(macs: usize) -> Self {
        Self::with_capacity_and_seed(macs, FIXED_SEED)
    }

    /// The same, but where a MAC has its place depends on the seed: random, it keeps a tenant from choosing MACs
    /// that crowd into one place.
    ///
    /// # Panics
    /// Aborts when there is no such amount of address space.
    #[must_use]
    pub fn with_capacity_and_seed(macs: usize, seed: u64) -> Self {
        let capacity = macs.min(MAX_CAPACITY);
        // Three buckets for four MACs. The tail behind the homes comes out of that, except where it is most of it.
        let homes = capacity * 3 / 4 - (capacity / 16).min(REACH - 1);
        Self::with_homes(homes.max(1), capacity, seed)
    }

    /// A table for this many MACs, all of which have their homes in so many buckets.
    fn with_homes(homes: usize, capacity: usize, seed: u64) -> Self {
        let (words, first) = sync::zeroed_lines(homes + REACH - 1);
        let count = Count(AtomicUsize::new(0));
        Self { words, first, homes, capacity, seed, count, control: Mutex::new(()) }
    }

    /// The key of a MAC (at most 24 bits of domain) in this table, hashed.
    #[must_use]
    #[inline]
    pub fn key(&self, domain: DomainId, mac: Mac) -> Key {
        self.key_of_bits(domain, mac.to_bits())
    }

    /// The same of a MAC as a number.
    #[must_use]
    #[inline]
    pub fn key_of_bits(&self, domain: DomainId, mac: u64) -> Key {
        Key::new(domain, mac, self.homes, self.seed)
    }

    /// The table for a worker to look at during one burst.
    #[must_use]
    #[inline]
    pub fn view(&self) -> View<'_> {
        View::new(self)
    }

    /// Where this MAC lives, unless it has been silent for more than `ageing` seconds (at most [`MAX_AGEING`]) by
    /// now, `tick`. The target is always one that was learned or pinned for this very domain.
    #[must_use]
    #[inline]
    pub fn lookup(&self, key: Key, tick: u16, ageing: u16) -> Option<Target> {
        let state = self.find(key).ok()??.state;
        (!state.is_expired(tick, ageing)).then(|| state.target())
    }

    /// Notes that this MAC was seen behind `target` now, `tick`.
    ///
    /// `admit` is asked when the MAC is not in the table and there is room for it, and its consent is final: then the
    /// answer is [`New`](LearnOutcome::New). It must be short, since it holds up others. An expired
    /// MAC that nobody has swept out yet is still in the table.
    #[inline]
    pub fn learn(&self, key: Key, target: Target, tick: u16, admit: impl FnOnce() -> bool) -> LearnOutcome {
        match self.find(key) {
            Ok(Some(found)) if found.state.is_known_behind(target) => {
                found.refresh(tick);
                LearnOutcome::Known
            }
            Ok(Some(found)) if found.state.is_static() => LearnOutcome::Static,
            Ok(Some(found)) if found.state.is_held() => LearnOutcome::Held,
            Ok(_) => self.learn_news(key, target, tick, admit),
            Err(Disturbed) => LearnOutcome::Busy,
        }
    }

    /// How many MACs are in the table, expired ones included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count.0.load(Ordering::Relaxed)
    }

    /// Whether there is no MAC in the table.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many MACs the table holds at most.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// How many buckets of 64 bytes there are, for [`sweep`](Self::sweep) to go through.
    #[must_use]
    pub fn buckets(&self) -> usize {
        self.homes + REACH - 1
    }

    /// The table's memory.
    #[must_use]
    pub fn memory(&self) -> &[impl Sized] {
        &self.words
    }

    /// Whether nearly all of that memory is in use: MACs are everywhere in it, and at two for each small page (4 KiB)
    /// six pages of seven have one.
    #[must_use]
    pub fn is_spread(&self) -> bool {
        self.len() >= (self.memory().len() * size_of::<u64>() / 4096 * 2).max(1)
    }

    /// The MAC is new or elsewhere: this takes the claim.
    #[cold]
    fn learn_news(&self, key: Key, target: Target, tick: u16, admit: impl FnOnce() -> bool) -> LearnOutcome {
        let Some(claim) = self.claim(key) else { return LearnOutcome::Busy };
        // Another worker may have been quicker. From here on it cannot be.
        match self.find(key) {
            Ok(Some(found)) if found.state.is_known_behind(target) => LearnOutcome::Known,
            Ok(Some(found)) if found.state.is_static() => LearnOutcome::Static,
            Ok(Some(found)) if found.state.is_held() => LearnOutcome::Held,
            Ok(Some(found)) if found.state.is_restored() => {
                found.change(&claim, SlotState::learned(key, target, tick));
                LearnOutcome::New
            }
            Ok(Some(found)) => {
                found.change(&claim, SlotState::learned(key, target, tick));
                LearnOutcome::Moved { from: found.state.target() }
            }
            Ok(None) => self.place(&claim, key, SlotState::learned(key, target, tick), admit),
            Err(Disturbed) => LearnOutcome::Busy,
        }
    }

    /// Puts a MAC that is not in the table into the first free slot from its home on.
    fn place(&self, _: &HomeClaim<'_>, key: Key, state: SlotState, admit: impl FnOnce() -> bool) -> LearnOutcome {
        if !self.count_one_more() {
            return LearnOutcome::Full;
        }
        let learned = self.fill_free_slot(key, state, admit);
        if learned != LearnOutcome::New {
            self.count_one_less();
        }
        learned
    }

    fn fill_free_slot(&self, key: Key, state: SlotState, admit: impl FnOnce() -> bool) -> LearnOutcome {
        for (distance, bucket) in self.chain(key).enumerate() {
            if bucket.is_full() {
                continue;
            }
            let Some(writing) = bucket.write() else { return LearnOutcome::Busy };
            let Some(slot) = writing.free_slot() else { continue };
            if !admit() {
                return LearnOutcome::Refused;
            }
            self.chain(key).take(distance).for_each(Bucket::spill_one_more);
            slot.fill(&writing, key, state);
            return LearnOutcome::New;
        }
        LearnOutcome::Full
    }

    /// The buckets that a MAC can be in, home first.
    #[inline]
    fn chain(&self, key: Key) -> impl Iterator<Item = Bucket<'_>> {
        self.lines(key.home()).iter().take(REACH).map(Bucket::new)
    }

    /// The buckets from this one on.
    #[inline]
    fn lines(&self, from: usize) -> &[[AtomicU64; bucket::WORDS]] {
        let words = self.words.get(self.first + from * bucket::WORDS..);
        words.unwrap_or_default().as_chunks().0
    }

    /// The first of them.
    #[inline]
    fn home(&self, key: Key) -> Option<Bucket<'_>> {
        let words = self.words.get(self.first + key.home() * bucket::WORDS..)?;
        words.first_chunk().map(Bucket::new)
    }

    /// The slot of a MAC, if it has one.
    #[expect(clippy::inline_always, reason = "small, and asked twice for each frame")]
    #[inline(always)]
    fn find(&self, key: Key) -> Result<Option<FoundSlot<'_>>, Disturbed> {
        let Some(home) = self.home(key) else { return Ok(None) };
        match home.find(key)? {
            None if home.has_spilled() => self.find_spilled(key),
            found => Ok(found),
        }
    }

    /// The slot of a MAC that is not in its home.
    #[inline(never)]
    fn find_spilled(&self, key: Key) -> Result<Option<FoundSlot<'_>>, Disturbed> {
        for bucket in self.chain(key).skip(1) {
            if let Some(found) = bucket.find(key)? {
                return Ok(Some(found));
            }
            if !bucket.has_spilled() {
                break;
            }
        }
        Ok(None)
    }

    /// The right to add, move or free the MACs whose home is this key's.
    fn claim(&self, key: Key) -> Option<HomeClaim<'_>> {
        self.home(key)?.claim()
    }

    /// Counts a MAC in, unless the table holds all it should: beyond that, searches would get long for everyone.
    fn count_one_more(&self) -> bool {
        let room = |count| (count < self.capacity).then_some(count + 1);
        self.count.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, room).is_ok()
    }

    fn count_one_less(&self) {
        self.count.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for Fdb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fdb").field("len", &self.len()).field("capacity", &self.capacity).finish_non_exhaustive()
    }
}
