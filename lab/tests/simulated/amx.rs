//! Lets a program believe that its processor has AMX, as far as ptrace(2) goes: the XSAVE area has 11,008 bytes, and is
//! taken whole or not at all. For `LD_PRELOAD`; it stands before libc's `ptrace` and `syscall`.

#![no_std]

use core::arch::asm;
use core::ffi::{c_int, c_long, c_void};

const PEEK: core::ops::RangeInclusive<c_long> = 1..=3;
const GET_REGSET: c_long = 0x4204;
const SET_REGSET: c_long = 0x4205;
const X86_XSTATE: c_long = 0x202;
const SYS_PTRACE: c_long = 101;
const EFAULT: c_long = 14;
/// Bytes of the area with AMX's tiles.
const WHOLE: usize = 11_008;

#[repr(C)]
struct Bytes {
    start: *mut u8,
    len: usize,
}

#[link(name = "c")]
unsafe extern "C" {
    fn __errno_location() -> *mut c_int;
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// libc's, for the one system call that the object under test makes.
///
/// # Safety
/// As ptrace(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn syscall(
    number: c_long,
    request: c_long,
    pid: c_long,
    address: c_long,
    data: c_long,
) -> c_long {
    if number == SYS_PTRACE {
        // SAFETY: as the caller's.
        return returned(unsafe { answer(request, pid, address, data) });
    }
    // SAFETY: as the caller's.
    returned(unsafe { raw(number, request, pid, address, data) })
}

/// libc's.
///
/// # Safety
/// As ptrace(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ptrace(request: c_long, pid: c_int, address: *mut c_void, data: *mut c_void) -> c_long {
    let (pid, address) = (c_long::from(pid), address as c_long);
    if !PEEK.contains(&request) {
        // SAFETY: as the caller's.
        return returned(unsafe { answer(request, pid, address, data as c_long) });
    }
    let mut word: c_long = 0;
    // SAFETY: the word outlives the call.
    let answer = unsafe { answer(request, pid, address, (&raw mut word) as c_long) };
    if answer < 0 { returned(answer) } else { word }
}

/// What a kernel on such a processor answers, an error as a negative number.
///
/// # Safety
/// As ptrace(2).
unsafe fn answer(request: c_long, pid: c_long, address: c_long, data: c_long) -> c_long {
    if address != X86_XSTATE || !(request == SET_REGSET || request == GET_REGSET) {
        // SAFETY: as the caller's.
        return unsafe { raw(SYS_PTRACE, request, pid, address, data) };
    }
    // SAFETY: for these requests, `data` points to an iovec.
    let bytes = unsafe { &mut *(data as *mut Bytes) };
    let asked = bytes.len;
    if request == SET_REGSET && asked < WHOLE {
        return -EFAULT;
    }
    // A kernel whose area is smaller reads and writes no more than it has, and says how much that was.
    // SAFETY: as the caller's.
    let answer = unsafe { raw(SYS_PTRACE, request, pid, address, data) };
    if answer == 0 {
        let end = asked.min(WHOLE);
        if request == GET_REGSET && bytes.len < end {
            // SAFETY: the caller has room for as many bytes as it asked for.
            unsafe { bytes.start.add(bytes.len).write_bytes(0, end - bytes.len) };
        }
        bytes.len = end;
    }
    answer
}

fn returned(answer: c_long) -> c_long {
    if answer >= 0 {
        return answer;
    }
    // SAFETY: libc gives every thread a place for its errno.
    unsafe { *__errno_location() = -answer as c_int };
    -1
}

/// # Safety
/// As the system call's.
unsafe fn raw(number: c_long, one: c_long, two: c_long, three: c_long, four: c_long) -> c_long {
    let answer;
    // SAFETY: what Linux takes and leaves on x86-64; the caller answers for the addresses.
    unsafe {
        asm!("syscall", inlateout("rax") number => answer, in("rdi") one, in("rsi") two, in("rdx") three,
             in("r10") four, lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    answer
}
