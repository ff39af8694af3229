//! What control does to the FDB: pin MACs, free slots, list. It may wait for a worker to be done with a bucket.

use std::ops::Range;
use std::sync::PoisonError;

use super::bucket::{Bucket, FoundSlot, HomeClaim};
use super::entry::{Entry, EntrySource, Key, SlotState};
use super::sync::{MutexGuard, yield_now};
use super::{Fdb, LearnOutcome};
use crate::forwarding::Target;

/// The table has no room for this MAC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the MAC table is full")]
pub struct Full;

impl Fdb {
    /// Writes down that a MAC lives behind a target, and what made that known. Returns the entry that it replaces:
    /// a learned one no longer counts against its tenant's limit.
    ///
    /// # Errors
    /// When there is no room for it.
    pub fn install(&self, key: Key, target: Target, source: EntrySource) -> Result<Option<Entry>, Full> {
        let _control = self.control();
        let claim = wait_for(|| self.claim(key));
        let state = SlotState::installed(key, target, source);
        if let Some(found) = self.find_waiting(key) {
            return Ok(Some(found.change(&claim, state)));
        }
        let placed = wait_for(|| Some(self.place(&claim, key, state, || true)).filter(|&it| it != LearnOutcome::Busy));
        if placed == LearnOutcome::New { Ok(None) } else { Err(Full) }
    }

    /// Writes down that a MAC lived behind a target and was last seen at `tick`, before this process ran, if nothing else
    /// is known of it. Returns whether it did, which is when `admit` consented. It is a hint: whatever is heard of the MAC
    /// takes its place, and does not count as a move.
    pub fn restore(&self, key: Key, target: Target, tick: u16, admit: impl FnOnce() -> bool) -> bool {
        let _control = self.control();
        let claim = wait_for(|| self.claim(key));
        // Busy or full: one hint less.
        self.find_waiting(key).is_none()
            && self.place(&claim, key, SlotState::restored(key, target, tick), admit) == LearnOutcome::New
    }

    /// Has a learned MAC stay behind a target, from now on, or lets it move again. Returns the entry as it is now, if
    /// there is one.
    ///
    /// A held MAC still ages: once it has been silent for long enough it may be learned anywhere.
    pub fn hold(&self, key: Key, at: Option<Target>) -> Option<Entry> {
        let _control = self.control();
        let claim = wait_for(|| self.claim(key));
        let found = self.find_waiting(key).filter(|found| !found.state.is_static())?;
        let state = found.state.held(at);
        // What is lost if a worker refreshes it right now is a second of its age.
        found.change(&claim, state);
        Some(state.entry(key.identity()))
    }

    /// Takes out a MAC, learned or static.
    pub fn remove(&self, key: Key) -> Option<Entry> {
        let _control = self.control();
        self.free(key)
    }

    /// Shows `keep` each entry of these buckets once and takes out those that it refuses; says how many.
    ///
    /// A refusal is final: the entry is out when this returns, even if a worker has seen its MAC again meanwhile.
    /// `keep` must not call [`install`](Self::install), [`remove`](Self::remove) or `sweep`.
    pub fn sweep(&self, buckets: Range<usize>, mut keep: impl FnMut(&Entry) -> bool) -> usize {
        let _control = self.control();
        let mut removed = 0;
        // A MAC is counted before it is there. Reading on would give every page of an empty table memory.
        if self.is_empty() {
            return removed;
        }
        let first = buckets.start.min(self.buckets());
        for bucket in self.lines(first).iter().take(buckets.len()).map(Bucket::new) {
            for entry in wait_for(|| bucket.entries().ok()).iter().flatten() {
                // Only who holds `control` frees a slot, so what was in the bucket still is.
                if !keep(entry) && self.free(self.key(entry.domain, entry.mac)).is_some() {
                    removed += 1;
                }
            }
        }
        removed
    }

    /// Shows each entry to `f`. What workers do meanwhile may be seen or not.
    pub fn for_each(&self, f: impl FnMut(Entry)) {
        self.for_each_in(0..self.buckets(), f);
    }

    /// Shows each entry of these buckets to `f`. What workers do meanwhile may be seen or not.
    pub fn for_each_in(&self, buckets: Range<usize>, f: impl FnMut(Entry)) {
        self.lines(buckets.start.min(self.buckets()))
            .iter()
            .take(buckets.len())
            .map(Bucket::new)
            .flat_map(|bucket| wait_for(|| bucket.entries().ok()))
            .flatten()
            .for_each(f);
    }

    fn control(&self) -> MutexGuard<'_, ()> {
        self.control.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn free(&self, key: Key) -> Option<Entry> {
        let claim = wait_for(|| self.claim(key));
        let found = self.find_waiting(key)?;
        let bucket = found.bucket;
        let entry = found.clear(&claim, &wait_for(|| bucket.write()));
        self.unspill(&claim, key, bucket);
        self.count_one_less();
        Some(entry)
    }

    /// The buckets between a MAC's home and the bucket it was in count one less past them.
    fn unspill(&self, _: &HomeClaim<'_>, key: Key, bucket: Bucket<'_>) {
        self.chain(key).take_while(|passed| !passed.is(bucket)).for_each(Bucket::spill_one_less);
    }

    fn find_waiting(&self, key: Key) -> Option<FoundSlot<'_>> {
        wait_for(|| self.find(key).ok())
    }
}

/// Tries until it works. Workers hold a bucket for nanoseconds, unless the kernel takes the processor from them.
fn wait_for<T>(mut attempt: impl FnMut() -> Option<T>) -> T {
    loop {
        if let Some(done) = attempt() {
            return done;
        }
        yield_now();
    }
}
