//! Ctrl-C: a flag that every step looks at, so that whoever holds something can clean up.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

static ASKED: OnceLock<Arc<AtomicBool>> = OnceLock::new();
const GLANCE: Duration = Duration::from_millis(20);

/// From now on SIGINT and SIGTERM end the current step instead of the process.
///
/// # Errors
/// When the signals cannot be taken.
pub fn watch() -> io::Result<()> {
    let flag = ASKED.get_or_init(Arc::default);
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(flag))?;
    }
    Ok(())
}

/// Whether somebody asked for the end.
#[must_use]
pub fn is_asked() -> bool {
    ASKED.get().is_some_and(|flag| flag.load(Ordering::Relaxed))
}

/// # Errors
/// When somebody asked for the end.
pub fn check() -> io::Result<()> {
    if is_asked() { Err(io::Error::other("interrupted")) } else { Ok(()) }
}

/// Waits.
///
/// # Errors
/// When somebody asked for the end meanwhile.
pub fn pause(duration: Duration) -> io::Result<()> {
    let end = Instant::now() + duration;
    loop {
        check()?;
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        thread::sleep(left.min(GLANCE));
    }
}
