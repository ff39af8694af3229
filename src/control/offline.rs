//! A gateway without devices: every port in memory, one worker, one frame a burst, on a clock that the caller turns.
//!
//! Replay, tests and benches run the production pipeline in it; the same frames at the same times give the same
//! bytes, every time.

use std::sync::Arc;

use transload_encaps::DropReason;

use super::ageing::Ageing;
use super::compile::{Names, Numbers, Plan, Static};
use super::history::History;
use super::loops::Loops;
use super::reload;
use crate::counters::Counters;
use crate::dataplane::{BoxedPort, Now, Shared, Tracer, Worker};
use crate::events;
use crate::fdb::{Entry, Fdb};
use crate::forwarding::PortId;
use crate::io::Pool;
use crate::io::arena::LONG;
use crate::io::memory::{Handle, MemoryPort, Packet};

const CHUNKS: usize = 256;
const EVENTS: usize = 4096;

/// A gateway without devices.
pub struct Offline<'mem> {
    worker: Worker<'mem>,
    shared: Arc<Shared>,
    counters: Arc<Counters>,
    /// By port number.
    handles: Vec<Option<Handle>>,
    events: events::Receiver,
    ageing: Ageing,
    history: History,
    loops: Loops,
    names: Names,
}

/// The memory a gateway's frames live in.
#[must_use]
pub fn arena() -> Vec<u8> {
    vec![0; LONG * CHUNKS]
}

impl<'mem> Offline<'mem> {
    /// The gateway that a plan describes, its frames in this [`arena`].
    #[must_use]
    pub fn new(plan: Plan, arena: &'mem mut [u8]) -> Self {
        let counters = Arc::new(Counters::new(&plan.forwarding));
        let mut handles = vec![None; plan.forwarding.ports.len()];
        let shared = Arc::new(Shared::new(plan.forwarding, Fdb::with_capacity(plan.settings.fdb_capacity)));
        for entry in &plan.statics {
            // The loader has checked that they fit.
            let _ = shared.fdb.insert_static(shared.fdb.key(entry.domain, entry.mac), entry.target);
        }
        let mut ports = Vec::with_capacity(plan.ports.len());
        for plan in &plan.ports {
            let (port, handle) = MemoryPort::new();
            ports.push((plan.id, Box::new(port) as BoxedPort<'mem>));
            if let Some(slot) = handles.get_mut(usize::from(plan.id.0)) {
                *slot = Some(handle);
            }
        }
        let (sender, events) = events::ring(EVENTS);
        let pool = Pool::new(arena, LONG);
        let worker = Worker::new(shared.clone(), pool, ports, counters.clone(), sender);
        let (ageing, history, loops) = (Ageing::default(), History::default(), Loops::default());
        Self { worker, shared, counters, handles, events, ageing, history, loops, names: plan.names }
    }

    /// One frame arrives at a port, at this time in nanoseconds; everything that follows from it has happened when
    /// this returns.
    pub fn receive(&mut self, port: PortId, packet: impl Into<Packet>, nanos: u64) {
        if let Some(handle) = self.port(port) {
            handle.inject(packet);
        }
        self.step(nanos);
    }

    /// Time passes, and whatever waits at the ports is handled.
    pub fn step(&mut self, nanos: u64) {
        self.ageing.advance(&self.shared, Now { nanos });
        self.history.release(&self.shared, Now { nanos });
        while self.breathe(nanos) > 0 {
            self.hear();
        }
    }

    /// Does what control does when the workers have told something.
    fn hear(&mut self) {
        while let Some(event) = self.events.hear() {
            self.history.note(&event, &self.shared);
            self.loops.note(&event);
        }
    }

    /// One frame arrives, while `tracer` looks over the stages' shoulders.
    pub fn receive_before<T: Tracer>(&mut self, tracer: &mut T, port: PortId, packet: impl Into<Packet>, nanos: u64) {
        if let Some(handle) = self.port(port) {
            handle.inject(packet);
        }
        self.ageing.advance(&self.shared, Now { nanos });
        self.history.release(&self.shared, Now { nanos });
        while self.worker.breathe_before(tracer, Now { nanos }) > 0 {
            self.hear();
        }
    }

    /// One breath of the worker; gives back how many frames arrived.
    pub fn breathe(&mut self, nanos: u64) -> usize {
        self.worker.breathe(Now { nanos })
    }

    /// Goes on by another plan, whose numbers are these and whose ports are the same. Gives back the static addresses
    /// that the FDB has no room for; `None` while somebody else holds on to the tables before.
    pub fn reload(&mut self, plan: Plan, numbers: &mut Numbers, nanos: u64) -> Option<Vec<Static>> {
        self.names = plan.names;
        let swap = reload::publish(&self.shared, plan.forwarding, plan.statics, plan.generation);
        self.step(nanos);
        swap.settle(&self.shared, numbers).ok()
    }

    /// Whether every chunk is back in the pool, as it must be between frames.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.worker.free_chunks() == CHUNKS
    }

    /// The far side of a port.
    #[must_use]
    pub fn port(&self, id: PortId) -> Option<&Handle> {
        self.handles.get(usize::from(id.0))?.as_ref()
    }

    /// What has been counted.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Where MACs have been.
    #[must_use]
    pub fn history(&self) -> &History {
        &self.history
    }

    /// The loops that were found.
    #[must_use]
    pub fn loops(&self) -> &Loops {
        &self.loops
    }

    /// The tables and the FDB.
    #[must_use]
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// What the numbers of the tables are called.
    #[must_use]
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// How often a frame, or a copy of one, was dropped for each reason that occurred.
    pub fn drops(&self) -> impl Iterator<Item = (DropReason, u64)> {
        DropReason::all().filter_map(|reason| Some((reason, self.counters.drops(reason)?.get())).filter(|d| d.1 > 0))
    }

    /// Every MAC known, in the order of tenant and address.
    #[must_use]
    pub fn fdb(&self) -> Vec<Entry> {
        let mut entries = Vec::with_capacity(self.shared.fdb.len());
        self.shared.fdb.for_each(|entry| entries.push(entry));
        entries.sort_by_key(|entry| (entry.domain, entry.mac));
        entries
    }
}
