//! Slots: where control puts a tap for a worker, and takes it out again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Tap, TapReader};

/// The place for a worker's tap.
#[derive(Default)]
pub struct TapSlot {
    is_set: AtomicBool,
    tap: Mutex<Option<Box<Tap>>>,
}

impl std::fmt::Debug for TapSlot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TapSlot").field("is_set", &self.is_set).finish_non_exhaustive()
    }
}

impl TapSlot {
    /// Whether there may be a tap.
    #[inline]
    pub(in super::super) fn is_set(&self) -> bool {
        self.is_set.load(Ordering::Relaxed)
    }

    /// The tap for one breath; none while control has it in its hands. Nobody waits.
    pub(in super::super) fn borrow(&self) -> Option<MutexGuard<'_, Option<Box<Tap>>>> {
        self.tap.try_lock().ok()
    }

    fn put(&self, tap: Tap) {
        *self.tap.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(tap));
        self.is_set.store(true, Ordering::Relaxed);
    }

    /// Takes the tap out, once the worker's breath is over. It is freed here.
    fn clear(&self) {
        // From here on the worker does not ask for it again.
        self.is_set.store(false, Ordering::Relaxed);
        drop(self.tap.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

/// The slots of all workers.
#[derive(Debug, Default)]
pub struct Taps {
    slots: Mutex<Vec<Arc<TapSlot>>>,
    is_taken: AtomicBool,
}

impl Taps {
    /// A slot for one more worker.
    pub(in super::super) fn join(&self) -> Arc<TapSlot> {
        let slot = Arc::new(TapSlot::default());
        self.slots().push(Arc::clone(&slot));
        slot
    }

    /// Taps every worker. Returns the ends to read by; none while another capture runs.
    pub fn install(&self, mut tap: impl FnMut(usize) -> (Tap, TapReader)) -> Option<Vec<TapReader>> {
        if self.is_taken.swap(true, Ordering::AcqRel) {
            return None;
        }
        let slots = self.slots();
        let readers = slots.iter().enumerate().map(|(worker, slot)| {
            let (tap, reader) = tap(worker);
            slot.put(tap);
            reader
        });
        Some(readers.collect())
    }

    /// Ends what [`install`](Self::install) has begun. What was seen can still be read.
    pub fn remove(&self) {
        self.slots().iter().for_each(|slot| slot.clear());
        self.is_taken.store(false, Ordering::Release);
    }

    fn slots(&self) -> MutexGuard<'_, Vec<Arc<TapSlot>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
