//! The `ptrace` of this crate on a real process that is stopped.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use std::ffi::{c_int, c_long, c_void};
use std::io;
use std::process::{Child, Command, Stdio};
use std::ptr;

use rustix::process::{Pid, WaitOptions, waitpid};
use transload_uml_xstate::{Bytes, ptrace};

const PEEK_USER: c_long = 3;
const POKE_USER: c_long = 6;
const GET_REGS: c_long = 12;
const ATTACH: c_long = 16;
const GET_REGSET: c_long = 0x4204;
const SET_REGSET: c_long = 0x4205;
const X86_XSTATE: usize = 0x202;
const EFAULT: i32 = 14;
const ESRCH: i32 = 3;
/// The registers that every processor has (512 bytes), and the header of the rest (64).
const SHORT: usize = 576;
/// Where the first XMM register is.
const XMM0: usize = 160;
/// Where the word R15, the first of the general registers, is in the tracee's user area, and the debug register 0.
const R15: usize = 0;
const DEBUG_0: usize = 848;

unsafe extern "C" {
    fn syscall(number: c_long, ...) -> c_long;
}

/// A process that is stopped, and traced by this thread.
struct Tracee {
    process: Child,
}

impl Tracee {
    fn new() -> Self {
        let process = Command::new("sleep").arg("60").stdin(Stdio::null()).spawn().unwrap();
        let tracee = Self { process };
        assert_eq!(tracee.ours(ATTACH, 0, ptr::null_mut()), Ok(0));
        waitpid(Some(Pid::from_child(&tracee.process)), WaitOptions::UNTRACED).unwrap();
        tracee
    }

    fn pid(&self) -> c_int {
        self.process.id().cast_signed()
    }

    /// By the function under test.
    fn ours(&self, request: c_long, address: usize, data: *mut c_void) -> Result<c_long, i32> {
        // SAFETY: the tests give addresses of their own buffers.
        let answer = unsafe { ptrace(request, self.pid(), ptr::without_provenance_mut(address), data) };
        returned(answer)
    }

    /// By the kernel alone.
    fn raw(&self, request: c_long, address: usize, data: *mut c_void) -> Result<c_long, i32> {
        let pid = c_long::from(self.pid());
        // SAFETY: the tests give addresses of their own buffers.
        let answer = unsafe { syscall(101, request, pid, address, data) };
        returned(answer)
    }

    /// The whole XSAVE area.
    fn area(&self) -> Vec<u8> {
        let mut bytes = vec![0; 65536];
        let mut whole = Bytes { start: bytes.as_mut_ptr().cast(), len: bytes.len() };
        assert_eq!(self.raw(GET_REGSET, X86_XSTATE, (&raw mut whole).cast()), Ok(0));
        bytes.truncate(whole.len);
        bytes
    }
}

impl Drop for Tracee {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn returned(answer: c_long) -> Result<c_long, i32> {
    if answer == -1 { Err(io::Error::last_os_error().raw_os_error().unwrap()) } else { Ok(answer) }
}

#[test]
fn an_area_that_is_too_short_is_laid_over_the_whole_one() {
    let tracee = Tracee::new();
    let before = tracee.area();
    if before.len() <= SHORT {
        eprintln!("SKIPPED: an_area_that_is_too_short_is_laid_over_the_whole_one: a processor with AVX");
        return;
    }
    // A component beyond what is handed over: AVX's upper halves, so that they can be seen to stay.
    let mut changed = before.clone();
    changed[SHORT..SHORT + 16].fill(0xaa);
    changed[512] |= 0b111;
    let mut whole = Bytes { start: changed.as_mut_ptr().cast(), len: changed.len() };
    assert_eq!(tracee.raw(SET_REGSET, X86_XSTATE, (&raw mut whole).cast()), Ok(0));

    let mut short = tracee.area()[..SHORT].to_vec();
    short[XMM0..XMM0 + 16].fill(0x55);
    let mut bytes = Bytes { start: short.as_mut_ptr().cast(), len: SHORT };
    assert_eq!(tracee.raw(SET_REGSET, X86_XSTATE, (&raw mut bytes).cast()), Err(EFAULT));
    assert_eq!(tracee.ours(SET_REGSET, X86_XSTATE, (&raw mut bytes).cast()), Ok(0));

    let after = tracee.area();
    assert_eq!(after[XMM0..XMM0 + 16], [0x55; 16]);
    assert_eq!(after[SHORT..SHORT + 16], [0xaa; 16]);
    assert_eq!(after[SHORT..], changed[SHORT..], "what was not handed over stays");
}

#[test]
fn a_whole_area_goes_through_as_it_is() {
    let tracee = Tracee::new();
    let mut area = tracee.area();
    area[XMM0..XMM0 + 16].fill(0x77);
    area[512] |= 0b11;
    let mut whole = Bytes { start: area.as_mut_ptr().cast(), len: area.len() };
    assert_eq!(tracee.ours(SET_REGSET, X86_XSTATE, (&raw mut whole).cast()), Ok(0));
    assert_eq!(tracee.area()[XMM0..XMM0 + 16], [0x77; 16]);
}

#[test]
fn a_peek_returns_the_word_and_clears_errno() {
    let tracee = Tracee::new();
    // `struct user_regs_struct` begins with R15.
    let mut registers = [0_u64; 27];
    assert_eq!(tracee.raw(GET_REGS, 0, registers.as_mut_ptr().cast()), Ok(0));
    assert_eq!(tracee.ours(PEEK_USER, R15, ptr::null_mut()), Ok(registers[0].cast_signed()));
    // -1 is a word like any other, told from an error by errno alone.
    assert_eq!(tracee.ours(POKE_USER, R15, ptr::without_provenance_mut(usize::MAX)), Ok(0));
    assert!(tracee.ours(PEEK_USER, usize::MAX, ptr::null_mut()).is_err(), "errno is not 0 now");
    assert_eq!(tracee.ours(PEEK_USER, R15, ptr::null_mut()), Err(0));
    assert_eq!(tracee.ours(PEEK_USER, DEBUG_0, ptr::null_mut()), Ok(0));
}

#[test]
fn an_error_is_the_kernels() {
    let nobody = Tracee { process: Command::new("true").spawn().unwrap() };
    let mut bytes = Bytes { start: ptr::null_mut(), len: 0 };
    // It is not traced by us, or gone by now.
    assert_eq!(nobody.ours(SET_REGSET, X86_XSTATE, (&raw mut bytes).cast()), Err(ESRCH));
    assert_eq!(nobody.ours(PEEK_USER, R15, ptr::null_mut()), Err(ESRCH));
}
