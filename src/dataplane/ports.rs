//! Transmit, and the worker's side of receive: its ports, each with the frames that wait to leave by it.

use transload_encaps::{Common, DropReason, Frame};

use super::Now;
use super::burst::Burst;
use crate::counters::Counters;
use crate::events::{Event, Sender};
use crate::forwarding::PortId;
use crate::io::{BoxedPort, Caps, Pool, Port};

/// How long a port that failed is left alone, in nanoseconds.
const PAUSE: u64 = 1_000_000_000;

struct Slot<'mem> {
    id: PortId,
    io: BoxedPort<'mem>,
    caps: Caps,
    waiting: Vec<Frame<'mem>>,
    /// When a failed port is tried again, in nanoseconds.
    retry_at: Option<u64>,
    /// What the device had lost when it was asked last.
    lost: u64,
}

/// The ports of one worker.
pub struct Ports<'mem> {
    slots: Vec<Slot<'mem>>,
    /// By [`PortId`]: the slot.
    index: Vec<Option<usize>>,
}

impl<'mem> Ports<'mem> {
    /// These ports.
    #[must_use]
    pub fn new(ports: Vec<(PortId, BoxedPort<'mem>)>) -> Self {
        let mut index = vec![None; ports.iter().map(|(id, _)| usize::from(id.0) + 1).max().unwrap_or(0)];
        for (slot, (id, _)) in ports.iter().enumerate() {
            index[usize::from(id.0)] = Some(slot);
        }
        let slots = ports.into_iter().map(|(id, io)| {
            let caps = io.caps();
            Slot { id, io, caps, waiting: Vec::with_capacity(Burst::LEN), retry_at: None, lost: 0 }
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

    /// Counts what the devices have lost since the last time: a system call for every port.
    pub(super) fn count_losses(&mut self, counters: &Counters) {
        for slot in &mut self.slots {
            let now = slot.io.kernel_drops();
            // A device that came back has begun anew.
            let fresh = if now >= slot.lost { now - slot.lost } else { now };
            slot.lost = now;
            if let Some(lost) = counters.lost(slot.id) {
                lost.add(fresh);
            }
        }
    }

    #[inline]
    fn slot(&mut self, id: PortId) -> Option<&mut Slot<'mem>> {
        let slot = (*self.index.get(usize::from(id.0))?)?;
        self.slots.get_mut(slot)
    }

    /// What a port can do by itself.
    #[inline]
    pub(super) fn caps(&self, id: PortId) -> Caps {
        let slot = self.index.get(usize::from(id.0)).copied().flatten();
        slot.and_then(|slot| self.slots.get(slot)).map_or_else(Caps::default, |slot| slot.caps)
    }

    /// Receives from the port in this slot; gives back which one it is. A port that fails is left alone for a
    /// second, and the others go on.
    pub(super) fn receive(
        &mut self,
        slot: usize,
        pool: &mut Pool<'mem>,
        burst: &mut Burst<'mem>,
        now: Now,
        events: &mut Sender,
        counters: &Counters,
    ) -> Option<PortId> {
        let slot = self.slots.get_mut(slot)?;
        if slot.retry_at.is_some_and(|at| now.nanos < at) {
            return None;
        }
        let received = slot.io.rx_burst(pool, &mut burst.frames, Burst::LEN);
        // A device that came back may do less by itself than the one before.
        slot.caps = slot.io.caps();
        match received {
            Ok(()) if slot.retry_at.take().is_some() => events.send(Event::PortBack { port: slot.id }),
            Ok(()) => {}
            Err(error) => {
                if slot.retry_at.replace(now.nanos + PAUSE).is_none() {
                    events.send(Event::PortFailed { port: slot.id, errno: error.raw_os_error() });
                }
            }
        }
        burst.received(slot.id);
        if let Some(port) = counters.port(slot.id) {
            port.rx.add(burst.notes.len() as u64, burst.notes.iter().map(|note| u64::from(note.len)).sum());
        }
        Some(slot.id)
    }

    /// Puts a frame where it waits to leave by a port.
    ///
    /// # Errors
    /// `PortDown` when this worker has no such port; the chunk is back in the pool.
    #[inline]
    pub(super) fn push(
        &mut self,
        id: PortId,
        frame: Frame<'mem>,
        pool: &mut Pool<'mem>,
        counters: &Counters,
    ) -> Result<(), DropReason> {
        let Some(slot) = self.slot(id) else {
            pool.put(frame);
            return Err(Common::PortDown.into());
        };
        slot.waiting.push(frame);
        if slot.waiting.len() == Burst::LEN {
            slot.transmit(pool, counters);
        }
        Ok(())
    }

    /// Sends everything that waits.
    pub(super) fn transmit(&mut self, pool: &mut Pool<'mem>, counters: &Counters) {
        for slot in self.slots.iter_mut().filter(|slot| !slot.waiting.is_empty()) {
            slot.transmit(pool, counters);
        }
    }
}

impl<'mem> Slot<'mem> {
    fn transmit(&mut self, pool: &mut Pool<'mem>, counters: &Counters) {
        let sent = self.io.tx_burst(pool, &mut self.waiting);
        if let Some(port) = counters.port(self.id) {
            port.tx.add(sent.frames.into(), sent.bytes);
        }
        let refused = [(sent.busy, Common::PortBusy), (sent.down, Common::PortDown), (sent.too_big, Common::TooBig)];
        for (frames, reason) in refused {
            if frames > 0 {
                counters.dropped(reason.into(), None, frames.into());
                counters.dropped_at(self.id, None, reason.into(), frames.into());
            }
        }
    }
}
