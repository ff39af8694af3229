//! The ports of one worker, each with the frames that wait to leave by it; and transmit, which sends them.

use transload_encaps::underlay::{Summing, Underlay};
use transload_encaps::{Common, Frame};

use super::burst::Burst;
use crate::counters::Counters;
use crate::forwarding::{PortId, Slab};
use crate::io::{BoxedPort, Caps, Filtered, Pool, Port};

/// A port of this worker.
pub(super) struct WorkerPort<'mem> {
    pub(super) id: PortId,
    pub(super) io: BoxedPort<'mem>,
    /// What it can do by itself, as of the last burst.
    pub(super) caps: Caps,
    /// When it is tried again after a failure, in nanoseconds of the workers' clock.
    pub(super) retry_at: Option<u64>,
    /// The frames that wait to leave.
    waiting: Vec<Frame<'mem>>,
    /// How many frames the device had lost when it was asked last.
    lost: u64,
}

/// The ports of one worker.
pub struct WorkerPorts<'mem> {
    slots: Vec<WorkerPort<'mem>>,
    /// The slot of a port.
    index: Slab<PortId, usize>,
}

impl<'mem> WorkerPorts<'mem> {
    /// The set of these ports, with nothing to send.
    #[must_use]
    pub fn new(ports: Vec<(PortId, BoxedPort<'mem>)>) -> Self {
        let index = ports.iter().enumerate().map(|(slot, (id, _))| (*id, slot)).collect();
        let slots = ports.into_iter().map(|(id, io)| {
            let caps = io.caps();
            WorkerPort { id, io, caps, waiting: Vec::with_capacity(Burst::LEN), retry_at: None, lost: 0 }
        });
        Self { slots: slots.collect(), index }
    }

    /// How many ports there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// The back-ends, to wait for.
    pub fn iter(&self) -> impl Iterator<Item = (PortId, &dyn Port<'mem>)> {
        self.slots.iter().map(|slot| (slot.id, &*slot.io as &dyn Port<'mem>))
    }

    /// Counts what the devices have lost since the last time, and what their filters did not hand over: some system calls
    /// for every port.
    pub(super) fn count_losses(&mut self, counters: &Counters) {
        for slot in &mut self.slots {
            let now = slot.io.kernel_drops();
            // A device that came back has begun anew.
            let fresh = if now >= slot.lost { now - slot.lost } else { now };
            slot.lost = now;
            if let Some(lost) = counters.lost(slot.id) {
                lost.add(fresh);
            }
            for filtered in slot.io.filtered() {
                let Filtered { reason, frames, bytes } = *filtered;
                if let Some(port) = counters.port(slot.id) {
                    port.rx.add(frames, bytes);
                }
                counters.dropped(reason.into(), None, frames);
                counters.dropped_at(slot.id, None, reason.into(), frames);
            }
        }
    }

    /// The port in a slot.
    #[inline]
    pub(super) fn slot(&mut self, slot: usize) -> Option<&mut WorkerPort<'mem>> {
        self.slots.get_mut(slot)
    }

    /// A port of this number, if this worker has it.
    #[inline]
    pub(super) fn port(&mut self, id: PortId) -> Option<&mut WorkerPort<'mem>> {
        let slot = self.index.get(id)?;
        self.slots.get_mut(*slot)
    }

    /// What a port can do by itself.
    #[inline]
    pub(super) fn caps(&self, id: PortId) -> Caps {
        let slot = self.index.get(id);
        slot.and_then(|slot| self.slots.get(*slot)).map_or_else(Caps::default, |slot| slot.caps)
    }

    /// Where the UDP checksum of a tunnel packet comes from that leaves by a port.
    #[inline]
    pub(super) fn summing(&self, id: PortId, underlay: &Underlay) -> Summing {
        let by_device = underlay.covers_payload() && self.caps(id).outer_checksum;
        if by_device { Summing::Device } else { Summing::Here }
    }

    /// Whether this worker has a port.
    #[inline]
    pub(super) fn has(&self, id: PortId) -> bool {
        self.index.get(id).is_some()
    }

    /// Sends everything that waits.
    pub(super) fn transmit(&mut self, pool: &mut Pool<'mem>, counters: &Counters) {
        for slot in self.slots.iter_mut().filter(|slot| !slot.waiting.is_empty()) {
            slot.transmit(pool, counters);
        }
    }
}

impl<'mem> WorkerPort<'mem> {
    /// Puts a frame where it waits to leave.
    #[inline]
    pub(super) fn push(&mut self, frame: Frame<'mem>, pool: &mut Pool<'mem>, counters: &Counters) {
        self.waiting.push(frame);
        self.transmit_full(pool, counters);
    }

    /// Does the same with a whole burst, which is then empty.
    #[inline]
    pub(super) fn push_all(&mut self, frames: &mut Vec<Frame<'mem>>, pool: &mut Pool<'mem>, counters: &Counters) {
        if self.waiting.is_empty() {
            // Both have room for a burst.
            std::mem::swap(&mut self.waiting, frames);
            self.transmit_full(pool, counters);
        } else {
            frames.drain(..).for_each(|frame| self.push(frame, pool, counters));
        }
    }

    /// Sends what waits, if it is a whole burst.
    #[inline]
    fn transmit_full(&mut self, pool: &mut Pool<'mem>, counters: &Counters) {
        if self.waiting.len() == Burst::LEN {
            self.transmit(pool, counters);
        }
    }

    fn transmit(&mut self, pool: &mut Pool<'mem>, counters: &Counters) {
        let sent = self.io.tx_burst(pool, &mut self.waiting);
        if let Some(port) = counters.port(self.id) {
            port.tx.add(sent.frames.into(), sent.bytes);
        }
        let refused = [
            (sent.busy, Common::PortBusy),
            (sent.down, Common::PortDown),
            (sent.too_big, Common::TooBig),
            (sent.refused, Common::PortRefused),
        ];
        for (frames, reason) in refused {
            if frames > 0 {
                counters.dropped(reason.into(), None, frames.into());
                counters.dropped_at(self.id, None, reason.into(), frames.into());
            }
        }
    }
}
