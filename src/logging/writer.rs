//! The thread that writes the log, and the queue of events in front of it.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use super::journal::Journal;
use super::row::EventRow;
use super::{LogEvent, UNLOGGED, sum_up};
use crate::rights::EarlyThread;

/// Events that wait to be written, at most.
const QUEUE: usize = 1_024;
/// From one sum of what was not written to the next.
const SUMS: Duration = Duration::from_secs(10);
/// How long the last lines have to be written.
const FAREWELL: Duration = Duration::from_secs(1);

/// Where events are written to, and as what.
#[derive(Debug)]
pub(super) enum LogSink {
    /// Lines of text.
    Text { file: File, in_colour: bool },
    /// Lines of JSON.
    Json(File),
    /// The systemd journal.
    Journal(Journal),
}

/// Standard error by a handle of its own: that of the library is locked while a line is written, which may be for ever.
pub(super) fn standard_error() -> io::Result<File> {
    Ok(File::from(io::stderr().as_fd().try_clone_to_owned()?))
}

impl LogSink {
    fn write(&mut self, row: &EventRow) -> io::Result<()> {
        match self {
            Self::Text { file, in_colour } => file.write_all((row.line(*in_colour) + "\n").as_bytes()),
            Self::Json(file) => file.write_all((row.json() + "\n").as_bytes()),
            Self::Journal(journal) => journal.write(row),
        }
    }
}

/// Where events go in: to the queue, or nowhere if it is full.
#[derive(Debug, Clone)]
pub(super) struct Lines(SyncSender<Option<Arc<EventRow>>>);

impl Lines {
    pub(super) fn put(&self, row: Arc<EventRow>) {
        if self.0.try_send(Some(row)).is_err() {
            UNLOGGED.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The thread that writes.
#[derive(Debug)]
pub(super) struct Writer {
    lines: Lines,
    ended: Receiver<()>,
}

impl Writer {
    pub(super) fn start(log: LogSink) -> io::Result<(Self, Lines)> {
        let (sender, lines) = sync_channel(QUEUE);
        let (end, ended) = sync_channel(1);
        thread::Builder::new().name("log".to_owned()).spawn(move || {
            write(log, &lines, EarlyThread::begin());
            let _ = end.send(());
        })?;
        let lines = Lines(sender);
        Ok((Self { lines: lines.clone(), ended }, lines))
    }

    /// Has the thread end once it has written what it has, and waits for it; not for long.
    pub(super) fn end(&self) {
        let deadline = Instant::now() + FAREWELL;
        while let Err(TrySendError::Full(_)) = self.lines.0.try_send(None) {
            if Instant::now() > deadline {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
        let _ = self.ended.recv_timeout(deadline.saturating_duration_since(Instant::now()));
    }
}

/// Writes events until the end is among them.
fn write(mut log: LogSink, lines: &Receiver<Option<Arc<EventRow>>>, mut thread: EarlyThread) {
    let (mut next_sums, mut told) = (Instant::now() + SUMS, 0);
    loop {
        let received = lines.recv_timeout(next_sums.saturating_duration_since(Instant::now()));
        thread.follow();
        match received {
            Ok(Some(row)) => {
                if log.write(&row).is_err() {
                    UNLOGGED.lost.fetch_add(1, Ordering::Relaxed);
                }
            }
            Ok(None) | Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => {}
        }
        if Instant::now() >= next_sums {
            sum_up();
            let lost = UNLOGGED.lost.load(Ordering::Relaxed);
            if lost > told {
                LogEvent::LogLost { count: lost - told }.tell();
                told = lost;
            }
            next_sums = Instant::now() + SUMS;
        }
    }
}
