//! Ends a system call of the calling thread once a time has passed.

use std::io;
use std::time::Duration;

use rustix::thread::gettid;
use signal_hook::consts::SIGALRM;

/// Signals its thread when the time has passed, and again each millisecond: a signal between two system calls
/// interrupts neither.
#[derive(Debug)]
pub(crate) struct Alarm(libc::timer_t);

const AGAIN: Duration = Duration::from_millis(1);

impl Alarm {
    /// For the calling thread.
    ///
    /// # Errors
    /// When the system has no timer left.
    pub(crate) fn after(time: Duration) -> io::Result<Self> {
        // SAFETY: the handler does nothing, so it may run at any point of any thread.
        unsafe { signal_hook::low_level::register(SIGALRM, || ()) }?;
        // SAFETY: all its fields are numbers and addresses, which may be zero.
        let mut event: libc::sigevent = unsafe { std::mem::zeroed() };
        event.sigev_notify = libc::SIGEV_THREAD_ID;
        event.sigev_signo = SIGALRM;
        event.sigev_notify_thread_id = gettid().as_raw_nonzero().get();
        let mut timer = std::ptr::null_mut();
        // SAFETY: both live on this stack; the kernel reads the event and writes the timer.
        done(unsafe { libc::timer_create(libc::CLOCK_MONOTONIC, &raw mut event, &raw mut timer) })?;
        let alarm = Self(timer);
        let spec = libc::itimerspec { it_interval: spec(AGAIN), it_value: spec(time.max(AGAIN)) };
        // SAFETY: the timer is ours; the kernel reads the specification, and the old one is not asked for.
        done(unsafe { libc::timer_settime(timer, 0, &raw const spec, std::ptr::null_mut()) })?;
        Ok(alarm)
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        // SAFETY: the timer is ours and is not used again.
        unsafe { libc::timer_delete(self.0) };
    }
}

fn spec(time: Duration) -> libc::timespec {
    libc::timespec { tv_sec: time.as_secs().cast_signed(), tv_nsec: time.subsec_nanos().into() }
}

fn done(result: i32) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn it_interrupts_a_call_that_would_wait_longer() {
        let begin = Instant::now();
        let _alarm = Alarm::after(Duration::from_millis(30)).unwrap();
        let second = libc::timespec { tv_sec: 1, tv_nsec: 0 };
        // SAFETY: the kernel reads the time, and what is left is not asked for.
        let outcome = done(unsafe { libc::nanosleep(&raw const second, std::ptr::null_mut()) });
        assert_eq!(outcome.unwrap_err().kind(), io::ErrorKind::Interrupted);
        assert!(begin.elapsed() >= Duration::from_millis(30));
    }
}
