//! What processes cost, read from /proc: processor time to the nanosecond, and memory.

use std::fs;

use crate::cpus;

/// Nanoseconds of processor time that these processes used so far, with the kernel's work in their context.
#[must_use]
pub fn used(processes: &[u32]) -> u64 {
    let threads = processes.iter().filter_map(|process| fs::read_dir(format!("/proc/{process}/task")).ok());
    let files = threads.flatten().filter_map(|task| Some(task.ok()?.path().join("schedstat")));
    files.filter_map(|file| runtime(&fs::read_to_string(file).ok()?)).sum()
}

/// The first number of `schedstat` is the time on a processor , as the kernel's page on scheduler statistics says.
fn runtime(schedstat: &str) -> Option<u64> {
    schedstat.split_whitespace().next()?.parse().ok()
}

/// The kernel's thread that does the generator's processor's softirqs when there are too many; none if hidden.
#[must_use]
pub(super) fn ksoftirqd() -> Option<u32> {
    let name = format!("ksoftirqd/{}\n", cpus::GENERATOR);
    let processes = fs::read_dir("/proc").ok()?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    processes
        .filter(|process: &u32| fs::read_to_string(format!("/proc/{process}/comm")).is_ok_and(|comm| comm == name))
        .min()
}

/// Bytes of memory that these processes hold.
#[must_use]
pub fn resident(processes: &[u32]) -> u64 {
    let of = |process: &u32| {
        let text = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    processes.iter().filter_map(of).sum::<u64>() * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_used_time_and_memory() {
        let us = [std::process::id()];
        assert!(used(&us) > 1000);
        assert!(resident(&us) > 100_000);
        assert_eq!((used(&[]), resident(&[])), (0, 0));
    }

    #[test]
    fn the_time_on_a_processor_is_the_first_number() {
        assert_eq!(runtime("2354183 77 1\n"), Some(2_354_183));
        assert_eq!(runtime(""), None);
    }
}
