//! The few commands of bpf(2) that our programs take: maps, loading, attaching by a link, and test runs.
//!
//! Each attribute structure is the beginning of the kernel's `union bpf_attr` for its command; what is not passed is
//! zero to the kernel.

use std::fs;
use std::io;
use std::marker::PhantomData;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;

use libc::{c_int, c_long};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::instruction::Instruction;
use super::kinds::{Direction, Hook, MapKind, ProgramKind};

const MAP_CREATE: c_int = 0;
const MAP_LOOKUP: c_int = 1;
const MAP_UPDATE: c_int = 2;
const PROG_LOAD: c_int = 5;
const PROG_TEST_RUN: c_int = 10;
const LINK_CREATE: c_int = 28;
const LINK_UPDATE: c_int = 29;

/// `BPF_F_TEST_XDP_LIVE_FRAMES`: what the program answers is done.
const LIVE_FRAMES: u32 = 1 << 1;
const ATTACH_XDP: u32 = 37;
/// How many bytes longer a frame may get in a test run.
const GROWTH: usize = 256;
/// Bytes of the verifier's words that are read, when it refuses a program.
const LOG: usize = 64 * 1024;

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

fn number(descriptor: &impl AsRawFd) -> u32 {
    descriptor.as_raw_fd().cast_unsigned()
}

/// A map. Most have numbers as keys.
#[derive(Debug)]
pub struct Map<V, K = u32> {
    descriptor: OwnedFd,
    /// How many values are under each key.
    copies: usize,
    rows: PhantomData<(K, V)>,
}

/// What [`MAP_CREATE`] reads.
#[repr(C)]
struct NewMap {
    kind: u32,
    key_size: u32,
    value_size: u32,
    entries: u32,
    flags: u32,
}

/// What [`MAP_LOOKUP`] and [`MAP_UPDATE`] read.
#[repr(C)]
struct Element {
    map: u32,
    pad: u32,
    key: u64,
    value: u64,
    flags: u64,
}

impl<V: FromBytes + IntoBytes + Immutable, K: IntoBytes + Immutable> Map<V, K> {
    /// A map of at most so many entries.
    ///
    /// # Errors
    /// Without the right to make one, or where the kernel has no such maps.
    pub fn new(kind: MapKind, entries: u32) -> io::Result<Self> {
        let (key_size, value_size) = (mem::size_of::<K>() as u32, mem::size_of::<V>() as u32);
        let mut attributes = NewMap { kind: kind as u32, key_size, value_size, entries, flags: kind.flags() };
        let copies = if kind == MapKind::PerCpuArray { possible_cpus()? } else { 1 };
        // SAFETY: the structure of this command, without addresses.
        let descriptor = unsafe { open(MAP_CREATE, &mut attributes) }?;
        Ok(Self { descriptor, copies, rows: PhantomData })
    }

    /// What stands under this key. Of a map with a value for each CPU, that of the first.
    ///
    /// # Errors
    /// When there is no such key, or the kernel does not tell.
    pub fn get(&self, key: &K) -> io::Result<V> {
        let mut values = self.room();
        self.get_all(key, &mut values)?;
        values.into_iter().next().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Room for what stands under a key: a value, or one for each CPU.
    #[must_use]
    pub fn room(&self) -> Vec<V> {
        (0..self.copies).map(|_| V::new_zeroed()).collect()
    }

    /// Reads what stands under this key, for each CPU where the map is of that kind, into [`room`](Self::room) for it.
    ///
    /// # Errors
    /// When there is no such key, the kernel does not tell, or the room is too small.
    pub fn get_all(&self, key: &K, values: &mut [V]) -> io::Result<()> {
        // The kernel rounds the values of each CPU up to eight bytes.
        if values.len() < self.copies || (self.copies > 1 && !mem::size_of::<V>().is_multiple_of(8)) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let mut attributes = self.element(key, values.as_mut_ptr() as u64);
        // SAFETY: the structure of this command; key and values live until after it. The key is of the length that the
        // map was made with, and there is room for as many values of that length as the kernel writes. Whatever is
        // written there is a value.
        unsafe { call(MAP_LOOKUP, &mut attributes) }.map(drop)
    }

    /// Has this value stand under this key.
    ///
    /// # Errors
    /// When there can be no such key, the kernel does not take the value, or the map has one for each CPU.
    pub fn set(&self, key: &K, value: &V) -> io::Result<()> {
        if self.copies > 1 {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let mut attributes = self.element(key, ptr::from_ref(value) as u64);
        // SAFETY: the structure of this command; key and value live until after it, and are of the lengths that the
        // map was made with. They are only read.
        unsafe { call(MAP_UPDATE, &mut attributes) }.map(drop)
    }

    fn element(&self, key: &K, value: u64) -> Element {
        Element { map: number(&self.descriptor), pad: 0, key: ptr::from_ref(key) as u64, value, flags: 0 }
    }
}

/// How many CPUs the machine may have: the kernel keeps a value for each of them.
fn possible_cpus() -> io::Result<usize> {
    let written = fs::read_to_string("/sys/devices/system/cpu/possible")?;
    let last = written.trim().rsplit([',', '-']).next().and_then(|last| last.parse::<usize>().ok());
    last.map(|last| last + 1)
        .ok_or_else(|| io::Error::other(format!("which CPUs there may be is not known: {written:?}")))
}

impl<V, K> AsFd for Map<V, K> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

/// A loaded program. It holds the maps that it looks into.
#[derive(Debug)]
pub struct Program(OwnedFd);

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

/// What [`PROG_TEST_RUN`] reads and writes.
#[derive(Default)]
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
    context_in_len: u32,
    context_out_len: u32,
    context_in: u64,
    context_out: u64,
    flags: u32,
    cpu: u32,
    batch: u32,
    pad: u32,
}

impl Program {
    /// Loads it.
    ///
    /// # Errors
    /// What the kernel says; where the verifier refuses the program, with the end of its explanation.
    pub fn load(code: &[Instruction], kind: ProgramKind) -> io::Result<Self> {
        let (kind, flags) = kind.code();
        let mut attributes = NewProgram {
            kind,
            count: code.len() as u32,
            instructions: code.as_ptr() as u64,
            license: c"Dual MIT/GPL".as_ptr() as u64,
            log_level: 0,
            log_size: 0,
            log: 0,
            kernel_version: 0,
            flags,
            name: *b"transload\0\0\0\0\0\0\0",
        };
        // SAFETY: the structure of this command; instructions and licence live until after it, and their lengths are
        // true.
        let error = match unsafe { open(PROG_LOAD, &mut attributes) } {
            Ok(program) => return Ok(Self(program)),
            // We may not load any: there is nothing to explain. What the verifier does not permit is EACCES.
            Err(error) if error.raw_os_error() == Some(libc::EPERM) => return Err(error),
            Err(error) => error,
        };
        let mut log = vec![0_u8; LOG];
        (attributes.log_level, attributes.log_size, attributes.log) = (1, LOG as u32, log.as_mut_ptr() as u64);
        // SAFETY: the same, and the log lives until after it, of the length that is passed.
        match unsafe { open(PROG_LOAD, &mut attributes) } {
            Ok(program) => Ok(Self(program)),
            Err(_) => Err(explained(error, &log)),
        }
    }

    /// Attaches an XDP program to a device of the calling thread's namespace.
    ///
    /// # Errors
    /// When the device has one already, or takes none there.
    pub fn attach(&self, ifindex: u32, hook: Hook) -> io::Result<AttachedProgram> {
        self.link(ifindex, ATTACH_XDP, hook as u32)
    }

    /// Attaches a classifier behind those that the device has (TCX). Since Linux 6.6.
    ///
    /// # Errors
    /// When the kernel says so.
    pub fn classify(&self, ifindex: u32, direction: Direction) -> io::Result<AttachedProgram> {
        self.link(ifindex, direction as u32, 0)
    }

    fn link(&self, ifindex: u32, kind: u32, flags: u32) -> io::Result<AttachedProgram> {
        let mut attributes = NewLink { program: number(&self.0), ifindex, kind, flags };
        // SAFETY: the structure of this command, without addresses.
        unsafe { open(LINK_CREATE, &mut attributes) }.map(AttachedProgram)
    }

    /// What it answers for a frame. Nothing is done with the frame.
    ///
    /// # Errors
    /// When the kernel runs no such frame.
    pub fn answer(&self, frame: &[u8]) -> io::Result<u32> {
        let run = TestRun { repeat: 1, ..TestRun::default() };
        Ok(self.test_run(frame, &mut [], run)?.verdict)
    }

    /// The same, and what it made of the frame, if that has not grown by more than 256 bytes.
    ///
    /// # Errors
    /// When it has, or the kernel runs no such frame.
    pub fn rewritten(&self, frame: &[u8]) -> io::Result<(u32, Vec<u8>)> {
        let mut made = vec![0; frame.len() + GROWTH];
        let run = self.test_run(frame, &mut made, TestRun { repeat: 1, ..TestRun::default() })?;
        made.truncate(run.out_len as usize);
        Ok((run.verdict, made))
    }

    /// Runs it on `repeat` copies of a frame, `batch` at a time, and does with them what it answers. Since Linux 5.18.
    ///
    /// # Errors
    /// `Interrupted` when a signal arrived, and when the kernel runs no such frame.
    pub fn run(&self, frame: &[u8], repeat: u32, batch: u32) -> io::Result<()> {
        self.test_run(frame, &mut [], TestRun { repeat, flags: LIVE_FRAMES, batch, ..TestRun::default() }).map(drop)
    }

    fn test_run(&self, frame: &[u8], out: &mut [u8], mut attributes: TestRun) -> io::Result<TestRun> {
        attributes.program = number(&self.0);
        (attributes.frame, attributes.frame_len) = (frame.as_ptr() as u64, frame.len() as u32);
        // No room is no address: the kernel takes a length of zero for as much as it likes.
        if !out.is_empty() {
            (attributes.out, attributes.out_len) = (out.as_mut_ptr() as u64, out.len() as u32);
        }
        // SAFETY: the structure of this command; the frame lives until after it, of the length that is passed, and is
        // only read; so does the room for what is made of it, which is written, unless there is none. Callers put no
        // other address in it.
        unsafe { call(PROG_TEST_RUN, &mut attributes) }?;
        Ok(attributes)
    }
}

/// An error of the verifier, with the last lines that it wrote.
fn explained(error: io::Error, log: &[u8]) -> io::Error {
    let said = String::from_utf8_lossy(log.split(|&byte| byte == 0).next().unwrap_or_default());
    let said: Vec<_> = said.lines().rev().take(3).collect();
    if said.is_empty() { error } else { io::Error::other(format!("{error}: {said:?}")) }
}

/// A program on a device. It is detached when this is dropped, and when the process ends, however it does.
#[derive(Debug)]
pub struct AttachedProgram(OwnedFd);

/// What [`LINK_CREATE`] reads.
#[repr(C)]
struct NewLink {
    program: u32,
    ifindex: u32,
    kind: u32,
    flags: u32,
}

/// What [`LINK_UPDATE`] reads.
#[repr(C)]
struct LinkUpdate {
    link: u32,
    program: u32,
    flags: u32,
    old: u32,
}

impl AttachedProgram {
    /// Puts another program in the place of the one that is there; no frame goes by without one.
    ///
    /// # Errors
    /// What the kernel says; the old program stays.
    pub fn exchange(&self, program: &Program) -> io::Result<()> {
        let mut attributes = LinkUpdate { link: number(&self.0), program: number(&program.0), flags: 0, old: 0 };
        // SAFETY: the structure of this command, without addresses.
        unsafe { call(LINK_UPDATE, &mut attributes) }.map(drop)
    }
}
