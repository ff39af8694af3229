//! A `ptrace` for User-Mode Linux (UML) on processors whose register area is larger than UML knows.
//!
//! UML gives its processes their floating-point registers with `PTRACE_SETREGSET` of `NT_X86_XSTATE`, and hands over as
//! many bytes as it knows of: 2,696. The kernel takes the whole XSAVE area or nothing, and on a processor with AMX the
//! area has 11,008 bytes: `EFAULT`, and UML ends at its first process. This object, in `LD_PRELOAD`, stands in front of
//! libc's `ptrace`: what fails that way is laid over the whole area, as the kernel has it, and written back. All else
//! goes to the kernel as it came.
//!
//! One file without dependencies: `lab/build.rs` compiles it by itself.

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![cfg_attr(uml_object, no_std)]

use core::cell::UnsafeCell;
use core::ffi::{c_int, c_long, c_void};
use core::ops::RangeInclusive;
use core::ptr;
use core::sync::atomic::{AtomicBool, Ordering};

/// `PTRACE_PEEKTEXT`, `PTRACE_PEEKDATA` and `PTRACE_PEEKUSER`, whose answer libc returns. Of ptrace(2), as all below.
const PEEK: RangeInclusive<c_long> = 1..=3;
const GET_REGSET: c_long = 0x4204;
const SET_REGSET: c_long = 0x4205;
/// The XSAVE area as a register set.
const X86_XSTATE: usize = 0x202;
/// The number of the system call.
const SYS_PTRACE: c_long = 101;
const EFAULT: c_int = 14;
/// Bytes of the largest area that is handled here. AMX's has 11,008.
const ROOM: usize = 16384;

/// `struct iovec`: where the bytes of a register set are.
#[repr(C)]
#[derive(Debug)]
pub struct Bytes {
    /// The first.
    pub start: *mut c_void,
    /// How many.
    pub len: usize,
}

/// Room for a whole area. Not on the stack: UML calls from stacks of 16 KiB that have other work to do.
struct Area {
    /// Whether somebody has it.
    taken: AtomicBool,
    bytes: UnsafeCell<[u8; ROOM]>,
}

// SAFETY: `taken` lets one at a time to the bytes.
unsafe impl Sync for Area {}

static AREA: Area = Area { taken: AtomicBool::new(false), bytes: UnsafeCell::new([0; ROOM]) };

#[link(name = "c")]
unsafe extern "C" {
    fn syscall(number: c_long, ...) -> c_long;
    fn __errno_location() -> *mut c_int;
}

#[cfg(uml_object)]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // Nothing here panics.
    loop {}
}

/// libc's `ptrace`, which takes as many arguments as the request needs. Four are read here whatever was given: on
/// x86-64 they come in registers, and the kernel looks at those that the request has.
///
/// # Safety
/// As ptrace(2): addresses must be good for what the request reads or writes there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ptrace(request: c_long, pid: c_int, address: *mut c_void, data: *mut c_void) -> c_long {
    if PEEK.contains(&request) {
        // SAFETY: as the caller's.
        return unsafe { peek(request, pid, address) };
    }
    // SAFETY: the caller answers for the addresses.
    let answer = unsafe { kernel(request, pid, address, data) };
    let is_short = answer < 0 && request == SET_REGSET && address.addr() == X86_XSTATE && is_efault();
    if is_short {
        // SAFETY: for this request, `data` is an iovec that the kernel has just read.
        return unsafe { lay_over(pid, data.cast::<Bytes>()) };
    }
    answer
}

fn is_efault() -> bool {
    // SAFETY: libc gives every thread a place for its errno.
    unsafe { *__errno_location() == EFAULT }
}

/// The system call.
///
/// # Safety
/// As ptrace(2).
unsafe fn kernel(request: c_long, pid: c_int, address: *mut c_void, data: *mut c_void) -> c_long {
    // SAFETY: the caller answers for the addresses.
    unsafe { syscall(SYS_PTRACE, request, c_long::from(pid), address, data) }
}

/// The word that was asked for. The kernel writes it where `data` points; libc returns it, and clears `errno`, since -1
/// may be what was read.
///
/// # Safety
/// As ptrace(2).
unsafe fn peek(request: c_long, pid: c_int, address: *mut c_void) -> c_long {
    let mut word: c_long = 0;
    // SAFETY: the word outlives the call; the caller answers for the address, which is the tracee's.
    let answer = unsafe { kernel(request, pid, address, (&raw mut word).cast()) };
    if answer < 0 {
        return answer;
    }
    // SAFETY: libc gives every thread a place for its errno.
    unsafe { *__errno_location() = 0 };
    word
}

/// Writes the tracee's whole area with these bytes at its front. Returns 0, or -1 with `errno`.
///
/// # Safety
/// `new` must be null or point to an iovec whose bytes can be read.
unsafe fn lay_over(pid: c_int, new: *const Bytes) -> c_long {
    // SAFETY: the caller says so.
    let Some(new) = (unsafe { new.as_ref() }) else { return -1 };
    // Taken by what a signal has interrupted, or by another thread: the kernel's answer stands.
    if new.start.is_null() || AREA.taken.swap(true, Ordering::Acquire) {
        return -1;
    }
    // SAFETY: the area is ours; the caller says that the bytes can be read.
    let answer = unsafe { write_whole(pid, AREA.bytes.get().cast(), new) };
    AREA.taken.store(false, Ordering::Release);
    answer
}

/// The same in a buffer of [`ROOM`] bytes.
///
/// # Safety
/// The buffer must be the caller's alone, and the bytes must be readable.
unsafe fn write_whole(pid: c_int, buffer: *mut u8, new: &Bytes) -> c_long {
    let mut whole = Bytes { start: buffer.cast(), len: ROOM };
    let set = ptr::without_provenance_mut(X86_XSTATE);
    // SAFETY: the iovec is the buffer, which the kernel fills.
    let read = unsafe { kernel(GET_REGSET, pid, set, (&raw mut whole).cast()) };
    // What fills the buffer may be longer than the buffer.
    if read < 0 || whole.len >= ROOM || new.len >= whole.len {
        return -1;
    }
    // SAFETY: there are fewer bytes than the buffer has, which is nobody else's.
    unsafe { ptr::copy_nonoverlapping(new.start.cast(), buffer, new.len) };
    // SAFETY: the same iovec; the kernel has said how many of its bytes are the area.
    unsafe { kernel(SET_REGSET, pid, set, (&raw mut whole).cast()) }
}
