//! The thread that writes the log, and the queue of lines in front of it.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use tracing_subscriber::fmt::MakeWriter;

use super::UNLOGGED;
use super::rates::Rates;
use crate::rights::EarlyThread;

/// Lines that wait to be written, at most.
const QUEUE: usize = 1_024;
/// From one sum of what was not written to the next.
const SUMS: Duration = Duration::from_secs(10);
/// How long the last lines have to be written.
const FAREWELL: Duration = Duration::from_secs(1);

/// Where lines go in: to the queue, or nowhere if it is full.
#[derive(Debug, Clone)]
pub(super) struct Lines(SyncSender<Option<Vec<u8>>>);

impl Write for Lines {
    /// Takes one whole line.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.0.try_send(Some(line.to_vec())).is_err() {
            UNLOGGED.lost.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// The thread that writes.
#[derive(Debug)]
pub(super) struct Writer {
    lines: Lines,
    ended: Receiver<()>,
}

impl Writer {
    pub(super) fn start(rates: Rates) -> io::Result<(Self, Lines)> {
        // A handle of its own: that of the library is locked while a line is written, which may be for ever.
        let log = File::from(io::stderr().as_fd().try_clone_to_owned()?);
        let (sender, lines) = sync_channel(QUEUE);
        let (end, ended) = sync_channel(1);
        thread::Builder::new().name("log".to_owned()).spawn(move || {
            write(log, &lines, &rates, EarlyThread::begin());
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

/// Writes lines until the end is among them.
fn write(mut log: File, lines: &Receiver<Option<Vec<u8>>>, rates: &Rates, mut thread: EarlyThread) {
    let (mut next_sums, mut told) = (Instant::now() + SUMS, 0);
    loop {
        let received = lines.recv_timeout(next_sums.saturating_duration_since(Instant::now()));
        thread.follow();
        match received {
            Ok(Some(line)) => {
                if log.write_all(&line).is_err() {
                    UNLOGGED.lost.fetch_add(1, Ordering::Relaxed);
                }
            }
            Ok(None) | Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => {}
        }
        if Instant::now() >= next_sums {
            rates.sum_up();
            let lost = UNLOGGED.lost.load(Ordering::Relaxed);
            if lost > told {
                tracing::warn!("{} lines of the log were lost, since they could not be written", lost - told);
                told = lost;
            }
            next_sums = Instant::now() + SUMS;
        }
    }
}
