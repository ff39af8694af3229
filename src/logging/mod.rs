//! The log and the events in it: so many of a kind, written by a thread that nobody waits for, and kept for those who
//! follow them.
//!
//! Whoever reads the log may be slow, gone, or a full disk. None of that reaches the gateway: a line that cannot be
//! handed over at once is lost, and counted in [`Unlogged`].
//!
//! Whatever happens is a [`LogEvent`], which has a name that never changes; its line, its JSON and its fields in the journal
//! are made of one [`EventRow`].

mod events;
mod fields;
mod journal;
mod libraries;
mod rates;
pub mod rights;
mod ring;
mod row;
mod table;
mod wall;
mod writer;

use std::io::{self, IsTerminal};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use clap::ValueEnum;
use tracing_subscriber::filter::{LevelFilter, Targets};

pub use events::{KINDS, LogEvent};
pub use fields::FIELDS;
use journal::Journal;
use rates::{LineRate, Rates, Sharing};
use ring::RECENT;
pub use ring::{EventFilter, Follower, cut_to_keep, follow};
pub use row::{EventKind, EventLevel, EventRow};
pub use wall::utc;
use writer::{Lines, LogSink, Writer};

/// Lines of a kind at once: more than a start or a reload says of anything that comes in ones.
const OF_KIND: LineRate = LineRate { burst: 50, period: Duration::from_millis(500) };

/// What became of lines that are not in the log.
static UNLOGGED: Unlogged = Unlogged { held_back: AtomicU64::new(0), lost: AtomicU64::new(0) };

/// The log of this process, once it has one.
static LOG: OnceLock<EventLog> = OnceLock::new();

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

/// What the log is written as, and where to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum LogFormat {
    /// As `journald` where standard error goes to the journal, as in a unit of systemd; else as `text`
    #[default]
    Auto,
    /// Lines of text on standard error, under systemd too
    Text,
    /// A JSON object a line on standard error: time, level, event, message, and the event's fields
    Json,
    /// The systemd journal, with the event as `TRANSLOAD_EVENT` and its fields as `TRANSLOAD_TENANT` and so on
    Journald,
}

/// What is told is written by this.
#[derive(Debug)]
struct EventLog {
    wanted: Targets,
    rates: Rates,
    lines: Lines,
}

/// The log of this process. Dropped, it gives the last lines a second to be written.
#[derive(Debug)]
pub struct Logging(Writer);

impl Logging {
    /// Starts it; `RUST_LOG` says how much is said (`info` unless it does).
    ///
    /// # Errors
    /// When the system has no thread for it, or there is no journal, in words.
    pub fn start(format: LogFormat) -> io::Result<Self> {
        let stated = std::env::var("RUST_LOG").ok().filter(|text| !text.is_empty());
        let wanted = stated.and_then(|text| text.parse::<Targets>().ok());
        let wanted = wanted.unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO));
        let sink = match format {
            LogFormat::Auto => match journal() {
                Ok(journal) if journal::takes(io::stderr()) => LogSink::Journal(journal),
                _ => text()?,
            },
            LogFormat::Text => text()?,
            LogFormat::Json => LogSink::Json(writer::standard_error()?),
            LogFormat::Journald => LogSink::Journal(journal()?),
        };
        let (writer, lines) = Writer::start(sink)?;
        // A process has one log, and the first one stays.
        let _ = LOG.set(EventLog { wanted: wanted.clone(), rates: Rates::new(OF_KIND), lines });
        libraries::listen(wanted);
        Ok(Self(writer))
    }
}

fn text() -> io::Result<LogSink> {
    let in_colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    Ok(LogSink::Text { file: writer::standard_error()?, in_colour })
}

fn journal() -> io::Result<Journal> {
    Journal::find(Path::new(journal::SOCKET)).map_err(|error| {
        let words = format!("no systemd journal listens on {} ({error})", journal::SOCKET);
        io::Error::new(error.kind(), words)
    })
}

impl Drop for Logging {
    fn drop(&mut self) {
        sum_up();
        self.0.end();
    }
}

impl LogEvent<'_> {
    /// The name of the event after which there are no more.
    pub const STOPPING: &'static str = "stopping";

    /// Tells it: to the log, if it is wanted there, and to whoever follows events.
    pub fn tell(&self) {
        let kind = self.kind();
        let is_logged = LOG.get().is_some_and(|log| log.wants(kind.target, kind.level));
        let row = || EventRow::of(self);
        let row = if is_logged { log(Sharing::of(kind), self, row) } else { None };
        if RECENT.admit(kind, self) {
            RECENT.push(row.unwrap_or_else(|| Arc::new(EventRow::of(self))));
        }
    }
}

impl EventLog {
    fn wants(&self, target: &str, level: EventLevel) -> bool {
        self.wanted.would_enable(target, &level.into())
    }
}

/// Writes an event to the log, unless its kind has said much already. Returns it as it was written.
fn log(kind: Sharing<'_>, event: &LogEvent<'_>, row: impl FnOnce() -> EventRow) -> Option<Arc<EventRow>> {
    let log = LOG.get()?;
    if !log.rates.admit(kind, || event.to_string()) {
        UNLOGGED.held_back.fetch_add(1, Ordering::Relaxed);
        return None;
    }
    let row = Arc::new(row());
    log.lines.put(row.clone());
    Some(row)
}

/// Tells how much was held back lately.
fn sum_up() {
    if let Some(log) = LOG.get() {
        log.rates.sums().into_iter().for_each(|sum| log.lines.put(Arc::new(sum)));
    }
    RECENT.sum_up();
}
