//! Which processor does what (one makes the traffic, the other forwards it), and what their clock says.

use std::io;

use rustix::io::Errno;
use rustix::process::setpriority_process;
use rustix::thread::{CpuSet, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};

/// The generator, and the receive work that the kernel does in its context.
pub const GENERATOR: usize = 0;
/// The gateway's process.
pub const GATEWAY: usize = 1;

/// Keeps the calling thread, and what it starts, on one processor; on a machine without it, on those it was on.
///
/// # Errors
/// When the system does not permit it.
pub fn pin(cpu: usize) -> io::Result<()> {
    let mut set = CpuSet::new();
    set.set(cpu);
    match sched_setaffinity(None, &set) {
        Err(Errno::INVAL) => Ok(()),
        outcome => Ok(outcome?),
    }
}

/// Gives the calling thread's processor to whoever else wants it: the kernel's thread that receives what was sent must
/// not wait for its turn beside the sender, as it would not beside a sender that is another machine.
///
/// # Errors
/// When the system does not permit it.
pub fn yield_to_others() -> io::Result<()> {
    Ok(setpriority_process(None, 19)?)
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

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::thread::sched_getaffinity;

    #[test]
    fn what_is_kept_on_one_processor_can_be_moved_to_another() {
        let here = |cpu: usize| sched_getaffinity(None).is_ok_and(|set| set.is_set(cpu) && set.count() == 1);
        let all = sched_getaffinity(None).unwrap();
        for cpu in (0..CpuSet::MAX_CPU).filter(|cpu| all.is_set(*cpu)).take(2) {
            pin(cpu).unwrap();
            assert!(here(cpu), "not on {cpu}");
        }
    }
}
