//! Receive: what has arrived at one port.

use super::Now;
use super::burst::Burst;
use super::ports::WorkerPorts;
use crate::counters::Counters;
use crate::events::{Event, EventSender};
use crate::forwarding::PortId;
use crate::io::Pool;

/// How long a port that failed is left alone, in nanoseconds.
const PAUSE: u64 = 1_000_000_000;

/// What the receive stage reads and writes besides the burst.
pub(super) struct Receiver<'a, 'mem> {
    /// The worker's ports.
    pub ports: &'a mut WorkerPorts<'mem>,
    /// Which of them it is this time.
    pub slot: usize,
    /// Chunks to receive into.
    pub pool: &'a mut Pool<'mem>,
    /// This worker's counters.
    pub counters: &'a Counters,
    /// The ring to the control plane, for ports that fail and come back.
    pub events: &'a mut EventSender,
    /// The time of this burst.
    pub now: Now,
}

/// Fills an empty burst with what has arrived at a port; returns which one it is. A port that fails is left alone for
/// a second, and the others go on.
pub(super) fn receive<'mem>(burst: &mut Burst<'mem>, with: &mut Receiver<'_, 'mem>) -> Option<PortId> {
    let slot = with.ports.slot(with.slot)?;
    if slot.retry_at.is_some_and(|at| with.now.nanos < at) {
        return None;
    }
    let received = slot.io.rx_burst(with.pool, &mut burst.frames, Burst::LEN);
    // A device that came back may do less by itself than the one before.
    slot.caps = slot.io.caps();
    match received {
        Ok(()) if slot.retry_at.take().is_some() => with.events.send(Event::PortBack { port: slot.id }),
        Ok(()) => {}
        Err(error) => {
            if slot.retry_at.replace(with.now.nanos + PAUSE).is_none() {
                with.events.send(Event::PortFailed { port: slot.id, errno: error.raw_os_error() });
            }
        }
    }
    burst.received(slot.id);
    if let Some(port) = with.counters.port(slot.id) {
        port.rx.add(burst.frames.len() as u64, burst.frames.iter().map(|frame| frame.len() as u64).sum());
    }
    Some(slot.id)
}
