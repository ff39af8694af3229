//! Atomics, and memory for them. Under loom, `tests/sync.rs` takes the place of this file.

pub(super) use std::{
    hint::spin_loop,
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicU64, AtomicUsize, Ordering, fence},
    },
    thread::yield_now,
};

use std::alloc::{Layout, handle_alloc_error};

use zerocopy::{AllocError, FromZeros};

use super::bucket::WORDS;

/// This many cache lines of zeroes, and the word at which the first one starts.
///
/// The allocator gets memory that is zero already, page by page as it is written to, only where it need not align
/// it itself. So the slice is a line longer and the alignment is found in it.
pub(super) fn zeroed_lines(lines: usize) -> (Box<[AtomicU64]>, usize) {
    const LINE: usize = WORDS * size_of::<AtomicU64>();

    let words = WORDS * lines + WORDS - 1;
    let layout = Layout::array::<AtomicU64>(words).unwrap_or(Layout::new::<AtomicU64>());
    let words = <[AtomicU64]>::new_box_zeroed_with_elems(words).unwrap_or_else(|AllocError| handle_alloc_error(layout));
    let first = words.as_ptr().align_offset(LINE);
    (words, first)
}
