//! Which processor does what (one makes the traffic, the other forwards it), and what their clock says.

use std::io;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};

/// The generator, and the receive work that the kernel does in its context.
pub const GENERATOR: usize = 0;
/// The gateway's process.
pub const GATEWAY: usize = 1;

/// Keeps the calling thread, and what it starts, on one processor; on a machine with only one, on that.
///
/// # Errors
/// When the system does not permit it.
pub fn pin(cpu: usize) -> io::Result<()> {
    let allowed = sched_getaffinity(None)?;
    let mut set = CpuSet::new();
    set.set(if allowed.is_set(cpu) { cpu } else { (0..CpuSet::MAX_CPU).find(|&any| allowed.is_set(any)).unwrap_or(0) });
    Ok(sched_setaffinity(None, &set)?)
}

/// Nanoseconds of the monotonic clock, the one that BPF programs read.
#[must_use]
pub fn now() -> u64 {
    nanos(ClockId::Monotonic)
}

/// Nanoseconds of processor time of the calling thread since it began, with the kernel's work in its context.
#[must_use]
pub fn used_by_this_thread() -> u64 {
    nanos(ClockId::ThreadCPUTime)
}

fn nanos(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
}
