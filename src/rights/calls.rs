//! System calls that stay allowed: those of every process are listed here, others by the rooms that make them.

use libc::{c_int, c_long};

/// A system call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// With whatever arguments. The kernel remembers that these pass, so that the filter costs them next to nothing.
    Any(c_long),
    /// If one of its arguments has these bits.
    If {
        /// The call's number.
        call: c_long,
        /// Which argument, from 0 on.
        argument: u8,
        /// The bits of it that count.
        mask: u64,
        /// What they are.
        value: u64,
    },
}

/// The bits of an argument that is an `int`.
const INT: u64 = u32::MAX as u64;

impl Call {
    /// `socket` of a family, such as `AF_PACKET`.
    #[must_use]
    pub const fn socket(family: c_int) -> Self {
        Self::If { call: libc::SYS_socket, argument: 0, mask: INT, value: family.cast_unsigned() as u64 }
    }

    /// `ioctl` with this request.
    #[must_use]
    pub const fn ioctl(request: u32) -> Self {
        Self::If { call: libc::SYS_ioctl, argument: 1, mask: INT, value: request as u64 }
    }

    /// The call's number.
    #[must_use]
    pub const fn number(self) -> c_long {
        match self {
            Self::Any(call) | Self::If { call, .. } => call,
        }
    }

    const fn unless(call: c_long, argument: u8, bits: c_int) -> Self {
        Self::If { call, argument, mask: bits.cast_unsigned() as u64, value: 0 }
    }
}

const MEMORY: [Call; 7] = [
    Call::Any(libc::SYS_brk),
    Call::Any(libc::SYS_madvise),
    Call::Any(libc::SYS_mremap),
    Call::Any(libc::SYS_munmap),
    // Memory is written or run, not both. Libc maps the modules that look up names from files, to be run.
    Call::unless(libc::SYS_mmap, 2, libc::PROT_WRITE),
    Call::unless(libc::SYS_mmap, 2, libc::PROT_EXEC),
    Call::unless(libc::SYS_mprotect, 2, libc::PROT_EXEC),
];

const THREADS: [Call; 19] = [
    // To start a thread, not a process. In `clone3` the filter would not see which; libc does without that.
    Call::If { call: libc::SYS_clone, argument: 0, mask: libc::CLONE_THREAD as u64, value: libc::CLONE_THREAD as u64 },
    Call::If { call: libc::SYS_prctl, argument: 0, mask: INT, value: libc::PR_SET_NAME as u64 },
    Call::Any(libc::SYS_exit),
    Call::Any(libc::SYS_exit_group),
    Call::Any(libc::SYS_futex),
    Call::Any(libc::SYS_getpid),
    Call::Any(libc::SYS_gettid),
    Call::Any(libc::SYS_membarrier),
    Call::Any(libc::SYS_restart_syscall),
    Call::Any(libc::SYS_rseq),
    Call::Any(libc::SYS_rt_sigaction),
    Call::Any(libc::SYS_rt_sigprocmask),
    Call::Any(libc::SYS_rt_sigreturn),
    Call::Any(libc::SYS_sched_getaffinity),
    Call::Any(libc::SYS_sched_setaffinity),
    Call::Any(libc::SYS_sched_yield),
    Call::Any(libc::SYS_set_robust_list),
    Call::Any(libc::SYS_set_tid_address),
    Call::Any(libc::SYS_sigaltstack),
];

const TIME: [Call; 11] = [
    Call::Any(libc::SYS_clock_getres),
    Call::Any(libc::SYS_clock_gettime),
    Call::Any(libc::SYS_clock_nanosleep),
    Call::Any(libc::SYS_epoll_create1),
    Call::Any(libc::SYS_epoll_ctl),
    Call::Any(libc::SYS_epoll_pwait),
    Call::Any(libc::SYS_eventfd2),
    Call::Any(libc::SYS_gettimeofday),
    Call::Any(libc::SYS_nanosleep),
    Call::Any(libc::SYS_pipe2),
    Call::Any(libc::SYS_ppoll),
];

const FILES: [Call; 32] = [
    Call::ioctl(libc::FIONBIO as u32),
    Call::Any(libc::SYS_close),
    Call::Any(libc::SYS_dup),
    Call::Any(libc::SYS_dup3),
    Call::Any(libc::SYS_faccessat),
    Call::Any(libc::SYS_faccessat2),
    Call::Any(libc::SYS_fchmod),
    Call::Any(libc::SYS_fcntl),
    Call::Any(libc::SYS_fdatasync),
    Call::Any(libc::SYS_flock),
    Call::Any(libc::SYS_fstat),
    Call::Any(libc::SYS_fsync),
    Call::Any(libc::SYS_ftruncate),
    Call::Any(libc::SYS_getcwd),
    Call::Any(libc::SYS_getdents64),
    Call::Any(libc::SYS_lseek),
    Call::Any(libc::SYS_mkdirat),
    Call::Any(libc::SYS_newfstatat),
    Call::Any(libc::SYS_openat),
    Call::Any(libc::SYS_pread64),
    Call::Any(libc::SYS_pwrite64),
    Call::Any(libc::SYS_read),
    Call::Any(libc::SYS_readlinkat),
    Call::Any(libc::SYS_readv),
    Call::Any(libc::SYS_renameat2),
    Call::Any(libc::SYS_statfs),
    Call::Any(libc::SYS_fstatfs),
    Call::Any(libc::SYS_statx),
    Call::Any(libc::SYS_umask),
    Call::Any(libc::SYS_unlinkat),
    Call::Any(libc::SYS_write),
    Call::Any(libc::SYS_writev),
];

const ITSELF: [Call; 11] = [
    Call::Any(libc::SYS_capget),
    // Only to give up more.
    Call::Any(libc::SYS_capset),
    Call::Any(libc::SYS_getegid),
    Call::Any(libc::SYS_geteuid),
    Call::Any(libc::SYS_getgid),
    Call::Any(libc::SYS_getrandom),
    Call::Any(libc::SYS_getuid),
    // Limits are asked for, and not set.
    Call::If { call: libc::SYS_prlimit64, argument: 2, mask: u64::MAX, value: 0 },
    Call::Any(libc::SYS_sysinfo),
    Call::Any(libc::SYS_uname),
    Call::Any(libc::SYS_getcpu),
];

/// Older calls, which libc makes in place of newer ones on processors for which Linux has both.
#[cfg(target_arch = "x86_64")]
const OF_OLD: [Call; 13] = [
    Call::Any(libc::SYS_access),
    Call::Any(libc::SYS_epoll_wait),
    Call::Any(libc::SYS_lstat),
    Call::Any(libc::SYS_mkdir),
    Call::Any(libc::SYS_open),
    Call::Any(libc::SYS_poll),
    Call::Any(libc::SYS_readlink),
    Call::Any(libc::SYS_rename),
    Call::Any(libc::SYS_renameat),
    Call::Any(libc::SYS_rmdir),
    Call::Any(libc::SYS_stat),
    Call::Any(libc::SYS_time),
    Call::Any(libc::SYS_unlink),
];
/// `renameat`, for which the libc crate has no name on this processor.
#[cfg(target_arch = "aarch64")]
const OF_OLD: [Call; 1] = [Call::Any(38)];
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const OF_OLD: [Call; 0] = [];

/// What every process does that has threads, memory and files, waits and reads clocks.
pub fn of_a_process() -> impl Iterator<Item = Call> {
    // It may end itself, as it does after a panic, and no other.
    let own = u64::from(std::process::id());
    let end = Call::If { call: libc::SYS_tgkill, argument: 0, mask: INT, value: own };
    MEMORY.into_iter().chain(THREADS).chain(TIME).chain(FILES).chain(ITSELF).chain(OF_OLD).chain([end])
}
