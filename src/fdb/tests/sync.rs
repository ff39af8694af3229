//! Atomics of loom's, which try out every order of events.

pub(super) use loom::{
    hint::spin_loop,
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering, fence},
    },
    thread::yield_now,
};

use super::bucket::WORDS;

/// A word, and another one that is written whenever this one is used in whatever way.
///
/// loom only knows who used a word last. When a thread reads a word and then writes to it, loom forgets that another
/// thread has read it before, and never tries what happens if that comes later; a writer here always reads first. Of
/// those who write it forgets none. Since nobody reads the other word, it brings no order into memory.
pub(super) struct AtomicU64 {
    used: loom::sync::atomic::AtomicU64,
    value: loom::sync::atomic::AtomicU64,
}

macro_rules! through {
    ($($method:ident($($argument:ident: $Type:ty),*) -> $Result:ty;)+) => {
        impl AtomicU64 {
            $(pub(super) fn $method(&self, $($argument: $Type),*) -> $Result {
                self.used.store(0, Ordering::Relaxed);
                self.value.$method($($argument),*)
            })+
        }
    };
}

through! {
    load(order: Ordering) -> u64;
    store(value: u64, order: Ordering) -> ();
    swap(value: u64, order: Ordering) -> u64;
    fetch_add(value: u64, order: Ordering) -> u64;
    fetch_sub(value: u64, order: Ordering) -> u64;
    fetch_or(value: u64, order: Ordering) -> u64;
    fetch_and(value: u64, order: Ordering) -> u64;
    compare_exchange(current: u64, new: u64, success: Ordering, failure: Ordering) -> Result<u64, u64>;
}

/// This many cache lines of zeroes, and the word at which the first one starts: loom knows nothing of alignment.
pub(super) fn zeroed_lines(lines: usize) -> (Box<[AtomicU64]>, usize) {
    let word = || loom::sync::atomic::AtomicU64::new(0);
    let words = std::iter::repeat_with(|| AtomicU64 { used: word(), value: word() });
    (words.take(WORDS * lines).collect(), 0)
}
