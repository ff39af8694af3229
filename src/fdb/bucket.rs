//! One cache line of the FDB: three slots, and who may write to them.

use super::entry::{Entry, Key, SlotState};
use super::sync::{AtomicU64, Ordering, fence, spin_loop};

/// Words of a bucket.
pub(super) const WORDS: usize = 8;
const SLOTS: usize = 3;

/// How often a bucket is looked at while a writer is at it.
const ATTEMPTS: usize = if cfg!(transload_loom) { 2 } else { 16 };

/// Bit 0 of the version.
const WRITING: u64 = 1;
/// Top bit of word 1; the rest counts spilled MACs.
const CLAIMED: u64 = 1 << 63;

/// A writer did not leave the bucket alone for long enough to read it.
#[derive(Debug)]
pub(super) struct Disturbed;

/// A bucket.
#[derive(Clone, Copy)]
pub(super) struct Bucket<'a>(&'a [AtomicU64; WORDS]);

/// Room for a MAC.
#[derive(Clone, Copy)]
pub(super) struct Slot<'a> {
    identity: &'a AtomicU64,
    state: &'a AtomicU64,
}

/// The slot of a MAC, and what was in it.
pub(super) struct FoundSlot<'a> {
    pub(super) bucket: Bucket<'a>,
    slot: Slot<'a>,
    pub(super) state: SlotState,
}

/// The right to add, move or free the MACs whose home this bucket is.
pub(super) struct HomeClaim<'a>(Bucket<'a>);

/// The right to fill and empty the slots of this bucket.
pub(super) struct BucketWriter<'a> {
    bucket: Bucket<'a>,
    version: u64,
}

impl<'a> Bucket<'a> {
    #[inline]
    pub(super) fn new(words: &'a [AtomicU64; WORDS]) -> Self {
        Self(words)
    }

    #[inline]
    fn version(self) -> &'a AtomicU64 {
        let [version, ..] = self.0;
        version
    }

    /// The claim on this home and the count of MACs that spilled past it.
    #[inline]
    fn home(self) -> &'a AtomicU64 {
        let [_, home, ..] = self.0;
        home
    }

    #[inline]
    fn slots(self) -> [Slot<'a>; SLOTS] {
        let [_, _, mac_0, state_0, mac_1, state_1, mac_2, state_2] = self.0;
        [(mac_0, state_0), (mac_1, state_1), (mac_2, state_2)].map(|(identity, state)| Slot { identity, state })
    }

    /// Whether both are the same bucket.
    pub(super) fn is(self, other: Bucket<'_>) -> bool {
        std::ptr::eq(self.0, other.0)
    }

    /// The slot of a MAC, if it is in this bucket.
    #[expect(clippy::inline_always, reason = "small, and asked twice for each frame")]
    #[inline(always)]
    pub(super) fn find(self, key: Key) -> Result<Option<FoundSlot<'a>>, Disturbed> {
        self.read(|[first, second, third]| {
            let found = |slot: Slot<'a>| slot.state_of(key).map(|state| FoundSlot { bucket: self, slot, state });
            found(first).or_else(|| found(second)).or_else(|| found(third))
        })
    }

    /// The state of a MAC, if it is in this bucket and a single look finds it with no writer at work.
    ///
    /// No branch depends on which of the slots it is: that could not be predicted. Only the first words are compared,
    /// so of MACs alike in domains alike in their low 16 bits it may be another one's state.
    #[inline]
    pub(super) fn glance(self, key: &Key) -> Option<SlotState> {
        // As in `read`: it must be even, and the same afterwards.
        let undisturbed = self.version().load(Ordering::Acquire) & !WRITING;
        let [_, second, third] = self.slots();
        let is_in = |slot: Slot<'_>| usize::from(slot.identity.load(Ordering::Relaxed) == key.identity());
        // The slots are the pairs of words behind the first pair. Of two that match, the third.
        let chosen = (1 + is_in(second)) | (3 * is_in(third));
        let [identity, state] = self.0.as_chunks::<2>().0.get(chosen)?;
        let (identity, state) = (identity.load(Ordering::Relaxed), SlotState(state.load(Ordering::Relaxed)));
        fence(Ordering::Acquire);
        let disturbance = self.version().load(Ordering::Relaxed) ^ undisturbed;
        (identity ^ key.identity() | disturbance == 0).then_some(state)
    }

    /// What is in this bucket.
    pub(super) fn entries(self) -> Result<[Option<Entry>; SLOTS], Disturbed> {
        self.read(|slots| slots.map(Slot::entry))
    }

    /// Reads the slots with nobody writing to them, or rather, again if somebody did.
    #[inline]
    fn read<T>(self, look: impl Fn([Slot<'a>; SLOTS]) -> T) -> Result<T, Disturbed> {
        for _ in 0..ATTEMPTS {
            let before = self.version().load(Ordering::Acquire);
            if before & WRITING == 0 {
                let seen = look(self.slots());
                // If anything of that was a later writer's, so is the version now.
                fence(Ordering::Acquire);
                if self.version().load(Ordering::Relaxed) == before {
                    return Ok(seen);
                }
            }
            spin_loop();
        }
        Err(Disturbed)
    }

    /// Whether any MAC is in a later bucket because this one was full.
    #[inline]
    pub(super) fn has_spilled(self) -> bool {
        self.home().load(Ordering::Relaxed) & !CLAIMED != 0
    }

    pub(super) fn spill_one_more(self) {
        self.home().fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn spill_one_less(self) {
        self.home().fetch_sub(1, Ordering::Relaxed);
    }

    /// A guess, true only for the moment.
    pub(super) fn is_full(self) -> bool {
        self.slots().iter().all(|slot| slot.load_state().is_occupied())
    }

    /// Claims the MACs whose home this is; `None` if another writer has.
    pub(super) fn claim(self) -> Option<HomeClaim<'a>> {
        let before = self.home().fetch_or(CLAIMED, Ordering::Acquire);
        (before & CLAIMED == 0).then(|| HomeClaim(self))
    }

    /// Makes the version odd; `None` if another writer does not get done.
    pub(super) fn write(self) -> Option<BucketWriter<'a>> {
        for _ in 0..ATTEMPTS {
            let version = self.version().load(Ordering::Relaxed) & !WRITING;
            let odd = version | WRITING;
            if self.version().compare_exchange(version, odd, Ordering::Acquire, Ordering::Relaxed).is_ok() {
                // Whoever sees one of our stores, sees the odd version too.
                fence(Ordering::Release);
                return Some(BucketWriter { bucket: self, version });
            }
            spin_loop();
        }
        None
    }
}

impl Slot<'_> {
    #[inline]
    fn load_state(self) -> SlotState {
        SlotState(self.state.load(Ordering::Relaxed))
    }

    /// The state, if this is the key's slot.
    #[inline]
    fn state_of(self, key: Key) -> Option<SlotState> {
        if self.identity.load(Ordering::Relaxed) != key.identity() {
            return None;
        }
        Some(self.load_state()).filter(|state| state.is_of(key))
    }

    /// Puts a MAC into this slot.
    pub(super) fn fill(self, _: &BucketWriter<'_>, key: Key, state: SlotState) {
        self.identity.store(key.identity(), Ordering::Relaxed);
        self.state.store(state.0, Ordering::Relaxed);
    }

    fn entry(self) -> Option<Entry> {
        let state = self.load_state();
        state.is_occupied().then(|| state.entry(self.identity.load(Ordering::Relaxed)))
    }
}

impl FoundSlot<'_> {
    /// Notes that the MAC was seen now, unless that is no news, or the slot has changed since.
    #[inline]
    pub(super) fn refresh(&self, tick: u16) {
        if let Some(SlotState(fresh)) = self.state.refreshed(tick) {
            let _ = self.slot.state.compare_exchange(self.state.0, fresh, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    /// Gives the MAC another state and says what it was last. The claim keeps the slot the MAC's own; readers see
    /// the one or the other state.
    pub(super) fn change(&self, _: &HomeClaim<'_>, state: SlotState) -> Entry {
        let before = SlotState(self.slot.state.swap(state.0, Ordering::Relaxed));
        before.entry(self.slot.identity.load(Ordering::Relaxed))
    }

    /// Frees the slot and says what was in it last.
    pub(super) fn clear(self, _: &HomeClaim<'_>, _: &BucketWriter<'_>) -> Entry {
        // A swap, since a worker may be refreshing it.
        let state = SlotState(self.slot.state.swap(SlotState::EMPTY.0, Ordering::Relaxed));
        state.entry(self.slot.identity.swap(0, Ordering::Relaxed))
    }
}

impl<'a> BucketWriter<'a> {
    /// The first free slot.
    pub(super) fn free_slot(&self) -> Option<Slot<'a>> {
        self.bucket.slots().into_iter().find(|slot| !slot.load_state().is_occupied())
    }
}

impl Drop for BucketWriter<'_> {
    fn drop(&mut self) {
        self.bucket.version().store(self.version.wrapping_add(2), Ordering::Release);
    }
}

impl Drop for HomeClaim<'_> {
    fn drop(&mut self) {
        self.0.home().fetch_and(!CLAIMED, Ordering::Release);
    }
}
