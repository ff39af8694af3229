//! A gateway in its lab, with traffic prepared for it.

use std::io;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::cpu;
use crate::lab::Lab;
use crate::path::Path;
use crate::systems::Running;
use crate::traffic::frame::{self, Packet};
use crate::traffic::{Arrived, Generator, Order, Sink, Variety};

/// What kind of traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    /// Bytes of the tenant's frame, without FCS.
    pub len: usize,
    /// Number of flows.
    pub flows: u32,
    /// Addresses, on both sides together.
    pub macs: u32,
}

impl Case {
    /// Half of the addresses are on each side; number n speaks to number n.
    #[must_use]
    pub fn variety(&self) -> Variety {
        Variety { flows: self.flows, pairs: (self.macs / 2).max(1) }
    }

    /// `64 B, 1000 flows, 1 MAC` and the like.
    #[must_use]
    pub fn name(&self) -> String {
        let count = |number: u32, what: &str| match number {
            1 => format!("1 {what}"),
            thousands if thousands.is_multiple_of(1000) => format!("{}k {what}s", thousands / 1000),
            number => format!("{number} {what}s"),
        };
        format!("{} B, {}, {}", self.len, count(self.flows, "flow"), count(self.macs, "MAC"))
    }
}

/// Everything that a measurement needs.
pub struct Setting<'lab> {
    pub(super) lab: &'lab Lab,
    pub(super) gateway: &'lab Running,
    pub(super) sink: &'lab Sink,
    pub(super) generator: Generator,
    /// Nanoseconds of the generator's own work each time that its program runs.
    pub(super) turn: f64,
    pub(super) ksoftirqd: Option<u32>,
}

impl<'lab> Setting<'lab> {
    /// Prepares the traffic of a case, and has the gateway learn every address of it.
    ///
    /// # Errors
    /// When interrupted, or when the gateway does not forward.
    pub fn new(
        lab: &'lab Lab,
        gateway: &'lab Running,
        sink: &'lab Sink,
        path: &Path,
        case: &Case,
        turn: f64,
    ) -> io::Result<Self> {
        let there = frame::encapsulate(&path.from, &frame::tenant(&path.from, &path.to, case.len));
        let back = frame::encapsulate(&path.to, &frame::tenant(&path.to, &path.from, frame::MIN));
        let variety = case.variety();
        let send = |device: &str, packet: &Packet, order: Order, count: u32| {
            let generator = Generator::new(&lab.outside, device, packet, variety, order)?;
            // Slowly: a burst of a whole table would be lost in the first queue, and its addresses not learned.
            generator.send_slowly(&lab.outside, count, LEARN_RATE)
        };
        // First one frame from this side, so that what the other side then sends need not be flooded.
        send(path.from.outside, &there, Order::Sources, 1)?;
        send(path.to.outside, &back, Order::Sources, variety.pairs + SPARE)?;
        send(path.from.outside, &there, Order::InTurn, variety.pairs + SPARE)?;
        let generator = Generator::new(&lab.outside, path.from.outside, &there, variety, Order::Random)?;
        let setting = Self { lab, gateway, sink, generator, turn, ksoftirqd: cpu::ksoftirqd() };
        setting.prove_it_forwards()?;
        Ok(setting)
    }

    fn prove_it_forwards(&self) -> io::Result<()> {
        for _ in 0..10 {
            self.sink.clear()?;
            self.generator.run(&self.lab.outside, Duration::from_millis(20), Some(10_000.0))?;
            std::thread::sleep(Duration::from_millis(30));
            let Arrived { frames, .. } = self.sink.arrived()?;
            if frames > 50 {
                return Ok(());
            }
        }
        let Arrived { frames, others, .. } = self.sink.arrived()?;
        Err(io::Error::other(format!("it does not forward: {frames} frames came through, and {others} others")))
    }
}

/// Addresses learned per second.
const LEARN_RATE: f64 = 100_000.0;
/// A table is walked through a little further than once.
const SPARE: u32 = 64;
