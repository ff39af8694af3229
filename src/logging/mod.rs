//! The log: lines on standard error, so many of a kind, written by a thread that nobody waits for.
//!
//! Whoever reads the log may be slow, gone, or a full disk. None of that reaches the gateway: a line that cannot be
//! handed over at once is lost, and counted in [`Unlogged`].

mod rates;
mod writer;

use std::io::IsTerminal;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use tracing_subscriber::filter::{FilterExt, LevelFilter, Targets};
use tracing_subscriber::fmt;
use tracing_subscriber::prelude::*;

use rates::Rates;
use writer::Writer;

/// What became of lines that are not in the log.
static UNLOGGED: Unlogged = Unlogged { held_back: AtomicU64::new(0), lost: AtomicU64::new(0) };

/// Counts of lines that are not in the log.
#[derive(Debug)]
pub struct Unlogged {
    held_back: AtomicU64,
    lost: AtomicU64,
}

impl Unlogged {
    /// Lines of a kind that had already said much; the log sums them up.
    #[must_use]
    pub fn held_back(&self) -> u64 {
        self.held_back.load(Ordering::Relaxed)
    }

    /// Lines that could not be written: nobody read, the disk was full, or the reader is gone.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

/// What became of this process's lines that are not in the log.
#[must_use]
pub fn unlogged() -> &'static Unlogged {
    &UNLOGGED
}

/// The log of this process. Dropped, it gives the last lines a second to be written.
#[derive(Debug)]
pub struct Logging {
    rates: Rates,
    writer: Writer,
}

impl Logging {
    /// Starts it, on standard error; `RUST_LOG` says how much is said (`info` unless it does).
    ///
    /// # Errors
    /// When the system has no thread for it.
    pub fn start() -> std::io::Result<Self> {
        let stated = std::env::var("RUST_LOG").ok().filter(|text| !text.is_empty());
        let wanted = stated.and_then(|text| text.parse::<Targets>().ok());
        let wanted = wanted.unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO));
        let ansi = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        let rates = Rates::new(Instant::now());
        let (writer, lines) = Writer::start(rates.clone())?;
        let layer = fmt::layer().with_writer(lines).with_ansi(ansi).with_target(false).log_internal_errors(false);
        tracing_subscriber::registry().with(layer.with_filter(wanted.and(rates.clone()))).init();
        Ok(Self { rates, writer })
    }
}

impl Drop for Logging {
    fn drop(&mut self) {
        self.rates.sum_up();
        self.writer.end();
    }
}
