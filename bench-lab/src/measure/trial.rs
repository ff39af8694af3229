//! One trial: so many frames a second for so long, and what came of it.

use std::io;
use std::time::Duration;

use super::cpu;
use super::setting::Setting;
use crate::traffic::{Histogram, Sent};

/// What is still in queues after the generator's last frame arrives within this time.
const SETTLE: Duration = Duration::from_millis(30);

/// What came of it.
#[derive(Debug, Clone)]
pub struct Trial {
    /// What the generator sent.
    pub sent: Sent,
    /// Frames that arrived.
    pub arrived: u64,
    /// Nanoseconds of the gateway's processes.
    pub processes: u64,
    /// Nanoseconds of the kernel's receive work for the gateway, on the generator's processor.
    pub softirq: u64,
    /// How long frames were under way.
    pub latency: Histogram,
}

impl Trial {
    /// Sends for so long, as fast as can be or at so many frames a second.
    ///
    /// # Errors
    /// When interrupted.
    pub fn run(setting: &Setting<'_>, time: Duration, pace: Option<f64>) -> io::Result<Self> {
        let gateway = &setting.gateway.processes;
        let kernel = setting.ksoftirqd.as_slice();
        setting.sink.clear()?;
        let before = (cpu::used(gateway), cpu::used(kernel));
        let sent = setting.generator.run(&setting.lab.outside, time, pace)?;
        std::thread::sleep(SETTLE);
        let processes = cpu::used(gateway).saturating_sub(before.0);
        // The generator's own share was measured before, sending into nothing.
        let own = (sent.turns as f64 * setting.turn) as u64;
        let softirq = (sent.used + cpu::used(kernel).saturating_sub(before.1)).saturating_sub(own);
        let arrived = setting.sink.arrived()?;
        Ok(Self { sent, arrived: arrived.frames, processes, softirq, latency: arrived.latency })
    }

    /// Frames a second that arrived.
    #[must_use]
    pub fn forwarded(&self) -> f64 {
        self.arrived as f64 / self.sent.took.as_secs_f64()
    }

    /// Frames a second that were sent.
    #[must_use]
    pub fn offered(&self) -> f64 {
        self.sent.frames as f64 / self.sent.took.as_secs_f64()
    }

    /// The share that did not arrive.
    #[must_use]
    pub fn loss(&self) -> f64 {
        if self.sent.frames == 0 { 1.0 } else { 1.0 - (self.arrived as f64 / self.sent.frames as f64).min(1.0) }
    }

    /// A time, in nanoseconds, for each frame that arrived.
    #[must_use]
    pub fn per_frame(&self, time: u64) -> f64 {
        time as f64 / self.arrived.max(1) as f64
    }
}
