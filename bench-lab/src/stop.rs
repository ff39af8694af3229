//! Ctrl-C and SIGTERM: measuring stops at the next check, and everything cleans up on its way out.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};

use signal_hook::consts::{SIGINT, SIGTERM};

static ASKED: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// From now on the two signals are only noted.
///
/// # Errors
/// When the system does not take the handlers.
pub fn listen() -> io::Result<()> {
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, ASKED.clone())?;
    }
    Ok(())
}

/// Goes on unless someone asked to stop.
///
/// # Errors
/// When someone did.
pub fn check() -> io::Result<()> {
    if ASKED.load(Ordering::Relaxed) { Err(io::Error::other("stopped; everything is cleaned up")) } else { Ok(()) }
}
