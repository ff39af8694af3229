//! The few commands of bpf(2) that a redirect program takes: maps, loading, attaching by a link, and test runs.
//!
//! Each attribute structure is the beginning of the kernel's `union bpf_attr` for its command; what is not passed is
//! zero to the kernel.

use std::io;
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;

use libc::{c_int, c_long};

const MAP_CREATE: c_int = 0;
const MAP_UPDATE: c_int = 2;
const PROG_LOAD: c_int = 5;
#[cfg(test)]
const PROG_TEST_RUN: c_int = 10;
const LINK_CREATE: c_int = 28;
const LINK_UPDATE: c_int = 29;

const PROG_TYPE_XDP: u32 = 6;
const ATTACH_XDP: u32 = 37;
/// `BPF_F_XDP_HAS_FRAGS`: the program understands frames in several pieces.
const HAS_FRAGS: u32 = 1 << 5;
/// Bytes of the verifier's words that are read, when it refuses a program.
const LOG: usize = 64 * 1024;

/// Kinds of maps.
#[derive(Debug, Clone, Copy)]
#[repr(u32)]
pub(super) enum MapKind {
    Array = 2,
    Sockets = 17,
}

/// One instruction, as the kernel reads it (RFC 9669 §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub(super) struct Instruction {
    pub(super) code: u8,
    /// Destination register in the lower four bits, source register in the upper ones.
    pub(super) registers: u8,
    pub(super) offset: i16,
    pub(super) immediate: i32,
}

/// Runs a command whose answer is a number.
///
/// # Safety
/// `attributes` must be the structure of this command, and every address in it that of live memory of the length that
/// the command reads or writes.
unsafe fn call<T>(command: c_int, attributes: &mut T) -> io::Result<c_int> {
    let size = mem::size_of::<T>();
    // SAFETY: the structure is live and of the length that is passed; the caller answers for its contents.
    let result: c_long = unsafe { libc::syscall(libc::SYS_bpf, command, ptr::from_mut(attributes), size) };
    c_int::try_from(result).ok().filter(|&result| result >= 0).ok_or_else(io::Error::last_os_error)
}

/// Runs a command whose answer is a descriptor.
///
/// # Safety
/// As [`call`].
unsafe fn open<T>(command: c_int, attributes: &mut T) -> io::Result<OwnedFd> {
    // SAFETY: the caller's promise is `call`'s.
    let fd = unsafe { call(command, attributes) }?;
    // SAFETY: the kernel has just given us this descriptor.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn address<T>(of: &[T]) -> u64 {
    of.as_ptr() as u64
}

/// What [`MAP_CREATE`] reads.
#[repr(C)]
struct NewMap {
    kind: u32,
    key_size: u32,
    value_size: u32,
    entries: u32,
}

/// A map of four-byte keys and values.
pub(super) fn new_map(kind: MapKind, entries: u32) -> io::Result<OwnedFd> {
    let mut attributes = NewMap { kind: kind as u32, key_size: 4, value_size: 4, entries };
    // SAFETY: the structure of this command, without addresses.
    unsafe { open(MAP_CREATE, &mut attributes) }
}

/// What [`MAP_UPDATE`] reads.
#[repr(C)]
struct Element {
    map: u32,
    pad: u32,
    key: u64,
    value: u64,
    flags: u64,
}

/// Writes one element of a map of four-byte keys and values.
pub(super) fn set(map: BorrowedFd<'_>, key: u32, value: u32) -> io::Result<()> {
    let (key, value) = ([key], [value]);
    let map = map.as_raw_fd().cast_unsigned();
    let mut attributes = Element { map, pad: 0, key: address(&key), value: address(&value), flags: 0 };
    // SAFETY: the structure of this command; key and value live until after it, four bytes each as in every map here.
    unsafe { call(MAP_UPDATE, &mut attributes) }.map(drop)
}

/// What [`PROG_LOAD`] reads.
#[repr(C)]
struct NewProgram {
    kind: u32,
    count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
    name: [u8; 16],
}

/// Loads an XDP program. With `frags` it also takes frames that do not fit one page.
///
/// # Errors
/// What the kernel says; where the verifier refuses the program, with the end of its explanation.
pub(super) fn load(program: &[Instruction], frags: bool) -> io::Result<OwnedFd> {
    let mut attributes = NewProgram {
        kind: PROG_TYPE_XDP,
        count: program.len() as u32,
        instructions: address(program),
        license: c"Dual MIT/GPL".as_ptr() as u64,
        log_level: 0,
        log_size: 0,
        log: 0,
        kernel_version: 0,
        flags: if frags { HAS_FRAGS } else { 0 },
        name: *b"transload\0\0\0\0\0\0\0",
    };
    // SAFETY: the structure of this command; instructions and licence live until after it, and their lengths are true.
    let error = match unsafe { open(PROG_LOAD, &mut attributes) } {
        Ok(program) => return Ok(program),
        // We may not load any: there is nothing to explain. What the verifier does not permit is EACCES.
        Err(error) if error.raw_os_error() == Some(libc::EPERM) => return Err(error),
        Err(error) => error,
    };
    let mut log = vec![0_u8; LOG];
    (attributes.log_level, attributes.log_size, attributes.log) = (1, LOG as u32, log.as_mut_ptr() as u64);
    // SAFETY: the same, and the log lives until after it, of the length that is passed.
    if let Ok(program) = unsafe { open(PROG_LOAD, &mut attributes) } {
        return Ok(program);
    }
    let end = log.iter().position(|&byte| byte == 0).unwrap_or(log.len());
    let said = String::from_utf8_lossy(log.get(..end).unwrap_or_default());
    let said: Vec<_> = said.lines().rev().take(3).collect();
    Err(if said.is_empty() { error } else { io::Error::other(format!("{error}: {said:?}")) })
}

/// What [`LINK_CREATE`] reads.
#[repr(C)]
struct NewLink {
    program: u32,
    ifindex: u32,
    kind: u32,
    flags: u32,
}

/// Attaches a program to a device, by XDP's own flags. It is detached when the last descriptor of the link is gone.
pub(super) fn link(program: BorrowedFd<'_>, ifindex: u32, flags: u32) -> io::Result<OwnedFd> {
    let program = program.as_raw_fd().cast_unsigned();
    let mut attributes = NewLink { program, ifindex, kind: ATTACH_XDP, flags };
    // SAFETY: the structure of this command, without addresses.
    unsafe { open(LINK_CREATE, &mut attributes) }
}

/// What [`LINK_UPDATE`] reads.
#[repr(C)]
struct Exchange {
    link: u32,
    program: u32,
    flags: u32,
    old: u32,
}

/// Exchanges the program of a link; no frame goes by without one.
pub(super) fn exchange(link: BorrowedFd<'_>, program: BorrowedFd<'_>) -> io::Result<()> {
    let [link, program] = [link, program].map(|fd| fd.as_raw_fd().cast_unsigned());
    let mut attributes = Exchange { link, program, flags: 0, old: 0 };
    // SAFETY: the structure of this command, without addresses.
    unsafe { call(LINK_UPDATE, &mut attributes) }.map(drop)
}

/// What [`PROG_TEST_RUN`] reads and writes.
#[cfg(test)]
#[repr(C)]
struct TestRun {
    program: u32,
    verdict: u32,
    frame_len: u32,
    out_len: u32,
    frame: u64,
    out: u64,
    repeat: u32,
    duration: u32,
}

/// What an XDP program returns for a frame.
#[cfg(test)]
pub(super) fn test_run(program: BorrowedFd<'_>, frame: &[u8]) -> io::Result<u32> {
    let mut attributes = TestRun {
        program: program.as_raw_fd().cast_unsigned(),
        verdict: 0,
        frame_len: frame.len() as u32,
        out_len: 0,
        frame: address(frame),
        out: 0,
        repeat: 1,
        duration: 0,
    };
    // SAFETY: the structure of this command; the frame lives until after it, of the length that is passed.
    unsafe { call(PROG_TEST_RUN, &mut attributes) }?;
    Ok(attributes.verdict)
}
