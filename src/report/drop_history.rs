//! What was dropped in the last minute: samples of the counters, five seconds apart.

use std::collections::VecDeque;
use std::sync::Arc;

use transload_encaps::DropReason;

use super::state::{SECOND, sum};
use crate::compile::Names;
use crate::counters::Counters;
use crate::dataplane::Now;
use crate::forwarding::{PortId, RowId};

/// How far apart samples are, in nanoseconds.
const STEP: u64 = 5 * SECOND;
/// Samples of a minute.
const STEPS: usize = 12;

/// What was dropped for each reason, altogether and by port, as it was every few seconds of the last minute.
#[derive(Debug, Default)]
pub struct DropHistory {
    /// The oldest first; the first of them begins the minute.
    samples: VecDeque<CountedAt>,
}

#[derive(Debug)]
struct CountedAt {
    /// When, in nanoseconds of the workers' clock.
    at: u64,
    /// [`counts`] at that time.
    counts: Box<[u64]>,
}

/// What was dropped in the last minute.
#[derive(Debug, Clone, Default)]
pub struct LastMinute {
    dropped: Vec<RecentDrops>,
}

/// What was dropped for a reason, or lost by a port, in the last minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RecentDrops {
    /// Frames.
    pub frames: u64,
    /// How many of the minute's steps had some of them.
    pub steps: usize,
}

impl RecentDrops {
    /// Whether it goes on, and was no single event.
    #[must_use]
    pub const fn rises(self) -> bool {
        self.steps > 1
    }
}

impl DropHistory {
    /// Takes a sample if one is due. To be called more often than every five seconds.
    pub fn note(&mut self, now: Now, counters: &[Arc<Counters>], names: &Names) {
        if self.samples.back().is_some_and(|last| now.nanos.saturating_sub(last.at) < STEP) {
            return;
        }
        if self.samples.len() > STEPS {
            self.samples.pop_front();
        }
        self.samples.push_back(CountedAt { at: now.nanos, counts: counts(counters, names) });
    }

    /// What was dropped from the first sample of the minute until now.
    #[must_use]
    pub fn last_minute(&self, counters: &[Arc<Counters>], names: &Names) -> LastMinute {
        let now = counts(counters, names);
        let moments: Vec<&[u64]> =
            self.samples.iter().map(|sample| &*sample.counts).chain(std::iter::once(&*now)).collect();
        let rise = |at: usize, pair: &[&[u64]]| match pair {
            [before, after] => {
                let count = |of: &[u64]| of.get(at).copied().unwrap_or(0);
                count(after).saturating_sub(count(before))
            }
            _ => 0,
        };
        let dropped = |at: usize| {
            let rises = moments.windows(2).map(|pair| rise(at, pair)).filter(|rise| *rise > 0);
            rises.fold(RecentDrops::default(), |sum, rise| RecentDrops {
                frames: sum.frames + rise,
                steps: sum.steps + 1,
            })
        };
        LastMinute { dropped: (0..now.len()).map(dropped).collect() }
    }
}

impl LastMinute {
    /// The frames and copies dropped for this reason.
    #[must_use]
    pub fn of(&self, reason: DropReason) -> RecentDrops {
        self.at(reason.index())
    }

    /// Those of them that a port received, or was to send.
    #[must_use]
    pub fn of_port(&self, port: PortId, reason: DropReason) -> RecentDrops {
        self.at(row_of(port) + reason.index())
    }

    /// Frames that arrived at a port and were lost.
    #[must_use]
    pub fn lost(&self, port: PortId) -> RecentDrops {
        self.at(row_of(port) + DropReason::COUNT)
    }

    fn at(&self, at: usize) -> RecentDrops {
        self.dropped.get(at).copied().unwrap_or_default()
    }
}

/// Where the counts of a port begin: behind those of all, and each port's lost frames are the last of its counts.
fn row_of(port: PortId) -> usize {
    DropReason::COUNT + port.index() * (DropReason::COUNT + 1)
}

fn counts(counters: &[Arc<Counters>], names: &Names) -> Box<[u64]> {
    let ports = names.ports().map(|(id, _)| id.index() + 1).max().unwrap_or(0);
    let mut all: Vec<_> = DropReason::all()
        .map(|reason| sum(counters, |of| of.drops(reason)) + sum(counters, |of| of.copy_drops(reason)))
        .collect();
    for port in (0..ports).filter_map(|at| u16::try_from(at).ok()).map(PortId::new) {
        all.extend(DropReason::all().map(|reason| sum(counters, |of| of.drops_at(port, reason))));
        all.push(sum(counters, |of| of.lost(port)));
    }
    all.into()
}
