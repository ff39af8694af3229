//! Atomics, and memory for them: the real ones, or loom's, which try out every order of events.

#[cfg(transload_loom)]
pub(super) use loom::{
    hint::spin_loop,
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicU64, AtomicUsize, Ordering, fence},
    },
    thread::yield_now,
};
#[cfg(not(transload_loom))]
pub(super) use std::{
    hint::spin_loop,
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicU64, AtomicUsize, Ordering, fence},
    },
    thread::yield_now,
};

use super::bucket::WORDS;

/// This many cache lines of zeroes, and the word at which the first one starts.
///
/// The allocator gets memory that is zero already, page by page as it is written to, only where it need not align
/// it itself. So the slice is a line longer and the alignment is found in it.
#[cfg(not(transload_loom))]
pub(super) fn zeroed_lines(lines: usize) -> (Box<[AtomicU64]>, usize) {
    use std::alloc::{Layout, handle_alloc_error};
    use zerocopy::FromZeros;

    const LINE: usize = WORDS * size_of::<AtomicU64>();

    let words = WORDS * lines + WORDS - 1;
    let layout = Layout::array::<AtomicU64>(words).unwrap_or(Layout::new::<AtomicU64>());
    let words = <[AtomicU64]>::new_box_zeroed_with_elems(words)
        .unwrap_or_else(|zerocopy::AllocError| handle_alloc_error(layout));
    let first = words.as_ptr().align_offset(LINE);
    (words, first)
}

/// loom knows no cache lines.
#[cfg(transload_loom)]
pub(super) fn zeroed_lines(lines: usize) -> (Box<[AtomicU64]>, usize) {
    ((0..WORDS * lines).map(|_| AtomicU64::new(0)).collect(), 0)
}
