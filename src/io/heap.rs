//! The heap: what is free in it goes back to the machine.

use super::sys;

/// Gives back the memory of the heap that nobody uses any more. The allocator keeps it otherwise, and after a large file
/// was compiled it is much. Takes a moment where it is; no thread for which a moment counts should wait for it.
pub fn give_back() {
    sys::trim_heap();
}
