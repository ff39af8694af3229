//! The threads that move frames: each pinned to a core, each with its own ports, busy while there is traffic and
//! asleep while there is none.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use super::clock::Clock;
use super::{Now, Worker, WorkerPorts};
use crate::forwarding::PortId;

/// After so long, in nanoseconds, in which nothing arrived, a worker sleeps until something does: about as long as it
/// takes to fall asleep and be woken.
const PATIENCE: u64 = 20_000;
/// How often the devices are asked what they have lost or left, in nanoseconds.
const COUNTING: u64 = 250_000_000;
/// It wakes up this often all the same, to see whether it should stop.
const NAP: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
/// While a device has frames that it could not send, it is asked again so often.
const SHORT_NAP: Timespec = Timespec { tv_sec: 0, tv_nsec: 1_000_000 };
/// A port that can only report an error is not waited for, for this long.
const MUTE: Duration = Duration::from_secs(1);

/// When a worker was last seen to move, by the workers' clock. It moves at least twice a second, with or without frames.
#[derive(Debug, Clone)]
pub struct Pulse(Arc<AtomicU64>);

impl Pulse {
    /// The pulse of a worker that begins at this time.
    #[must_use]
    pub fn at(now: Now) -> Self {
        let pulse = Self(Arc::default());
        pulse.beats(now);
        pulse
    }

    /// It moves at this time.
    pub fn beats(&self, now: Now) {
        self.0.store(now.nanos, Ordering::Relaxed);
    }

    /// When it was last seen to move.
    #[must_use]
    pub fn last(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }
}

/// Moves frames until `stop`, and shows by `pulse` that it does. While nothing arrives the thread sleeps if `sleeps`; else it
/// polls without rest.
pub fn work(worker: &mut Worker<'_>, clock: Clock, sleeps: bool, pulse: &Pulse, stop: &AtomicBool) {
    let mut waiting = Waiting::default();
    let mut counted = clock.now().nanos;
    // When something arrived last, if the last breath had any, and how much of the time since `counted` went into such breaths.
    let (mut busy, mut is_busy, mut busy_time) = (counted, false, 0);
    while !stop.load(Ordering::Relaxed) {
        let now = clock.now();
        if is_busy {
            busy_time += now.nanos.saturating_sub(busy);
        }
        is_busy = worker.breathe(now) > 0;
        if is_busy {
            busy = now.nanos;
        } else if sleeps && now.nanos.saturating_sub(busy) >= PATIENCE {
            // What woke us is fetched by the next breath; if that was all, back to sleep without a detour.
            waiting.wait(worker.ports());
        }
        if now.nanos.saturating_sub(counted) >= COUNTING {
            worker.count_losses();
            pulse.beats(now);
            worker.counters().work.add(now.nanos.saturating_sub(counted), busy_time);
            (counted, busy_time) = (now.nanos, 0);
        }
    }
}

/// Waiting for frames.
#[derive(Debug, Default)]
struct Waiting {
    /// Ports that only report errors, and until when they are left out.
    muted: Vec<(PortId, Instant)>,
}

impl Waiting {
    fn wait(&mut self, ports: &WorkerPorts<'_>) {
        let now = Instant::now();
        self.muted.retain(|(_, until)| *until > now);
        let heard = |id: &PortId| !self.muted.iter().any(|(muted, _)| muted == id);
        let chosen = ports.iter().filter(|(id, _)| heard(id));
        let (ids, mut fds): (Vec<_>, Vec<_>) = chosen
            .filter_map(|(id, port)| Some((id, PollFd::from_borrowed_fd(port.readable()?, PollFlags::IN))))
            .unzip();
        // Interrupted or not: the next breath looks at every port anyway.
        let nap = if ports.iter().any(|(_, port)| port.is_stuck()) { SHORT_NAP } else { NAP };
        let _ = poll(&mut fds, Some(&nap));
        let broken = |fd: &PollFd<'_>| !fd.revents().is_empty() && !fd.revents().contains(PollFlags::IN);
        let silent = ids.iter().zip(&fds).filter(|(_, fd)| broken(fd));
        self.muted.extend(silent.map(|(id, _)| (*id, now + MUTE)));
    }
}

/// Keeps the calling thread, the worker of this number, on one of the processors that we may use.
///
/// # Errors
/// Where that is not allowed; the thread then wanders.
pub fn pin(worker: usize) -> io::Result<()> {
    let pinned = sched_getaffinity(None).and_then(|allowed| {
        let cores: Vec<_> = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core)).collect();
        let mut only = CpuSet::new();
        if let Some(core) = worker.checked_rem(cores.len()).and_then(|place| cores.get(place)) {
            only.set(*core);
        }
        sched_setaffinity(None, &only)
    });
    Ok(pinned?)
}
