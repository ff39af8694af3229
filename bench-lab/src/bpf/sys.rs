//! The bpf(2) system call.

use std::ffi::c_long;
use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use super::asm::Instruction;

const MAP_CREATE: c_long = 0;
const MAP_LOOKUP_ELEM: c_long = 1;
const MAP_UPDATE_ELEM: c_long = 2;
const PROG_LOAD: c_long = 5;
const PROG_TEST_RUN: c_long = 10;
const LINK_CREATE: c_long = 28;

const MAP_TYPE_ARRAY: u32 = 2;
const PROG_TYPE_XDP: u32 = 6;
const ATTACH_XDP: u32 = 37;
// `XDP_FLAGS_*`.
pub(super) const XDP_FLAGS_SKB_MODE: u32 = 1 << 1;
pub(super) const XDP_FLAGS_DRV_MODE: u32 = 1 << 2;
const TEST_XDP_LIVE_FRAMES: u32 = 1 << 1;
const LICENSE: &[u8; 4] = b"GPL\0";

/// The parts of `union bpf_attr` that are used here, each as the kernel lays it out.
#[derive(Default)]
#[repr(C)]
struct MapCreate {
    map_type: u32,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
}

#[derive(Default)]
#[repr(C)]
struct MapElem {
    map_fd: u32,
    _pad: u32,
    key: u64,
    value: u64,
    flags: u64,
}

#[derive(Default)]
#[repr(C)]
struct ProgLoad {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buf: u64,
}

#[derive(Default)]
#[repr(C)]
struct TestRun {
    prog_fd: u32,
    retval: u32,
    data_size_in: u32,
    data_size_out: u32,
    data_in: u64,
    data_out: u64,
    repeat: u32,
    duration: u32,
    ctx_size_in: u32,
    ctx_size_out: u32,
    ctx_in: u64,
    ctx_out: u64,
    flags: u32,
    cpu: u32,
    batch_size: u32,
    _pad: u32,
}

#[derive(Default)]
#[repr(C)]
struct LinkCreate {
    prog_fd: u32,
    target_ifindex: u32,
    attach_type: u32,
    flags: u32,
}

/// `struct xdp_md`: what a test run says about the frame.
#[derive(Default)]
#[repr(C)]
struct XdpContext {
    data: u32,
    data_end: u32,
    data_meta: u32,
    ingress_ifindex: u32,
    rx_queue_index: u32,
    egress_ifindex: u32,
}

/// A part of `union bpf_attr`: plain numbers, some of them addresses of memory.
///
/// # Safety
/// Whoever calls [`call`] with one answers for the addresses in it.
unsafe trait Attribute {}
// SAFETY: these are made of integers only and are `repr(C)`.
unsafe impl Attribute for MapCreate {}
// SAFETY: as above.
unsafe impl Attribute for MapElem {}
// SAFETY: as above.
unsafe impl Attribute for ProgLoad {}
// SAFETY: as above.
unsafe impl Attribute for TestRun {}
// SAFETY: as above.
unsafe impl Attribute for LinkCreate {}

/// # Safety
/// Every address in `attribute` must be valid for what the command does with it, for its stated length.
unsafe fn call<A: Attribute>(command: c_long, attribute: &mut A) -> io::Result<i32> {
    // SAFETY: the attribute is alive and as long as stated; its addresses are the caller's promise.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(attribute), size_of::<A>()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result as i32) }
}

/// The same for commands that give a new descriptor.
///
/// # Safety
/// As for [`call`].
unsafe fn open<A: Attribute>(command: c_long, attribute: &mut A) -> io::Result<OwnedFd> {
    // SAFETY: the caller's promise; what the kernel gives back is a new descriptor that nobody else owns.
    unsafe { Ok(OwnedFd::from_raw_fd(call(command, attribute)?)) }
}

fn raw(descriptor: BorrowedFd<'_>) -> u32 {
    descriptor.as_raw_fd().cast_unsigned()
}

/// A map with one value of so many words.
pub(super) fn create_map(words: usize) -> io::Result<OwnedFd> {
    let value_size = (words * size_of::<u64>()) as u32;
    let mut attribute = MapCreate { map_type: MAP_TYPE_ARRAY, key_size: 4, value_size, max_entries: 1 };
    // SAFETY: there is no address in it.
    unsafe { open(MAP_CREATE, &mut attribute) }
}

/// Reads the map's value, which is as long as `words`.
pub(super) fn read_map(map: BorrowedFd<'_>, words: &mut [u64]) -> io::Result<()> {
    let key = 0_u32;
    let (key, value) = (&raw const key as u64, words.as_mut_ptr() as u64);
    let mut attribute = MapElem { map_fd: raw(map), key, value, ..MapElem::default() };
    // SAFETY: the key is four bytes on this stack, and the map was made by `create_map` with as many words as the
    // caller, `Map`, keeps account of.
    unsafe { call(MAP_LOOKUP_ELEM, &mut attribute) }.map(drop)
}

/// Writes the map's value, which is as long as `words`.
pub(super) fn write_map(map: BorrowedFd<'_>, words: &[u64]) -> io::Result<()> {
    let key = 0_u32;
    let (key, value) = (&raw const key as u64, words.as_ptr() as u64);
    let mut attribute = MapElem { map_fd: raw(map), key, value, ..MapElem::default() };
    // SAFETY: as in `read_map`; the kernel only reads.
    unsafe { call(MAP_UPDATE_ELEM, &mut attribute) }.map(drop)
}

/// Loads an XDP program. If the kernel refuses, the error holds its reasons.
pub(super) fn load(code: &[Instruction]) -> io::Result<OwnedFd> {
    let mut log = vec![0_u8; 1 << 16];
    let mut attribute = ProgLoad {
        prog_type: PROG_TYPE_XDP,
        insn_cnt: code.len() as u32,
        insns: code.as_ptr() as u64,
        license: LICENSE.as_ptr() as u64,
        ..ProgLoad::default()
    };
    // SAFETY: instructions and licence are alive and as long as stated; no log is asked for.
    let refused = match unsafe { open(PROG_LOAD, &mut attribute) } {
        Ok(program) => return Ok(program),
        Err(error) => error,
    };
    if refused.kind() == io::ErrorKind::PermissionDenied && refused.raw_os_error() == Some(libc::EPERM) {
        return Err(refused);
    }
    (attribute.log_level, attribute.log_size, attribute.log_buf) = (1, log.len() as u32, log.as_mut_ptr() as u64);
    // SAFETY: as above, and the log is alive and as long as stated.
    let again = unsafe { open(PROG_LOAD, &mut attribute) };
    again.map_err(|error| {
        let text = String::from_utf8_lossy(&log);
        io::Error::other(format!("the kernel refuses the program: {error}\n{}", text.trim_end_matches('\0')))
    })
}

/// Attaches an XDP program to a device of the calling thread's namespace. It stays until the descriptor is closed.
pub(super) fn attach(program: BorrowedFd<'_>, device: u32, flags: u32) -> io::Result<OwnedFd> {
    let mut attribute = LinkCreate { prog_fd: raw(program), target_ifindex: device, attach_type: ATTACH_XDP, flags };
    // SAFETY: there is no address in it.
    unsafe { open(LINK_CREATE, &mut attribute) }
}

/// Runs a program on `repeat` copies of a frame that go where it sends them, `batch` at a time.
pub(super) fn run(program: BorrowedFd<'_>, frame: &[u8], repeat: u32, batch: u32) -> io::Result<()> {
    let context = XdpContext { data_end: frame.len() as u32, ..XdpContext::default() };
    let mut attribute = TestRun {
        prog_fd: raw(program),
        data_size_in: frame.len() as u32,
        data_in: frame.as_ptr() as u64,
        repeat,
        ctx_size_in: size_of::<XdpContext>() as u32,
        ctx_in: &raw const context as u64,
        flags: TEST_XDP_LIVE_FRAMES,
        batch_size: batch,
        ..TestRun::default()
    };
    // SAFETY: frame and context are alive and as long as stated, and the kernel only reads them.
    unsafe { call(PROG_TEST_RUN, &mut attribute) }.map(drop)
}
