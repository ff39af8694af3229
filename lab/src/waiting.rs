//! Waiting until something is so, however busy the machine is: who looks once, or for a second, is wrong now and then.

use std::thread;
use std::time::{Duration, Instant};

/// The longest time that a test waits for something before it fails.
pub const PATIENCE: Duration = Duration::from_mins(2);
const GLANCE: Duration = Duration::from_millis(20);

/// Waits until something is so.
///
/// # Panics
/// When it is not within [`PATIENCE`].
pub fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    obtained(what, || is_so().then_some(()));
}

/// Waits until something can be had.
///
/// # Panics
/// When it cannot within [`PATIENCE`].
pub fn obtained<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(Instant::now() < end, "not within {PATIENCE:?}: {what}");
        thread::sleep(GLANCE);
    }
}
