//! A gateway without devices: every port in memory, one worker, one frame a burst, on a clock that the caller turns.
//!
//! Replay, tests and benches run the production pipeline in it; the same frames at the same times give the same
//! bytes, every time.

pub mod captured;
pub mod placeholders;
pub mod replay;

use std::sync::Arc;

use transload_encaps::DropReason;

use crate::compile::{Names, Plan};
use crate::counters::Counters;
use crate::dataplane::{Now, Shared, Tracer, Worker};
use crate::events;
use crate::fdb::Entry;
use crate::forwarding::{PortId, Slab};
use crate::io::arena::LONG;
use crate::io::memory::{Handle, MemoryPort, Packet};
use crate::io::{BoxedPort, Pool};
use crate::report::GatewayState;
use crate::rib::history::History;
use crate::rib::learned::LearnedPeers;
use crate::rib::loops::Loops;
use crate::rib::{Output, Rib};
use placeholders::Placeholders;

const CHUNKS: usize = 256;
const EVENTS: usize = 4096;

/// A gateway without devices.
pub struct Offline<'mem> {
    rib: Rib,
    placeholders: Placeholders,
    worker: Worker<'mem>,
    /// The ports' far ends.
    handles: Slab<PortId, Handle>,
    events: events::EventReceiver,
}

/// The memory a gateway's frames live in.
#[must_use]
pub fn arena() -> Vec<u8> {
    vec![0; LONG * CHUNKS]
}

/// The RIB of a gateway without devices, with this many workers, and who resolves its tunnels: every one of them has
/// paths.
#[must_use]
pub fn rib(plan: Plan, workers: usize) -> (Rib, Placeholders) {
    let (mut rib, mut placeholders) = (Rib::new(plan, Vec::new(), workers, None), Placeholders::default());
    follow(&mut rib, &mut placeholders);
    (rib, placeholders)
}

/// Gives the workers what has changed, and the RIB the paths that it asks for.
pub fn follow(rib: &mut Rib, placeholders: &mut Placeholders) {
    while let Some(output) = rib.poll() {
        if let Output::Resolve(targets) = output {
            let paths = placeholders.resolve(targets, &rib.shared().forwarding.load().ports);
            rib.resolved(paths);
        }
    }
}

impl<'mem> Offline<'mem> {
    /// The gateway that a plan describes, its frames in this [`arena`].
    #[must_use]
    pub fn new(plan: Plan, arena: &'mem mut [u8]) -> Self {
        Self::with_pool(plan, Pool::new(arena, LONG))
    }

    /// The same with chunks of another length.
    #[must_use]
    pub fn with_pool(plan: Plan, pool: Pool<'mem>) -> Self {
        let mut handles = Slab::new();
        let mut ports = Vec::with_capacity(plan.ports.len());
        for plan in &plan.ports {
            let (port, handle) = MemoryPort::new();
            ports.push((plan.id, Box::new(port) as BoxedPort<'mem>));
            handles.insert(plan.id, handle);
        }
        let (rib, placeholders) = rib(plan, 1);
        let (sender, events) = events::ring(EVENTS);
        let counters = Arc::clone(&rib.counters()[0]);
        let worker = Worker::new(Arc::clone(rib.shared()), pool, ports, counters, sender);
        Self { rib, placeholders, worker, handles, events }
    }

    /// One frame arrives at a port, at this time in nanoseconds; everything that follows from it has happened when
    /// this returns.
    pub fn receive(&mut self, port: PortId, packet: impl Into<Packet>, nanos: u64) {
        self.tick(nanos);
        if let Some(handle) = self.port(port) {
            handle.inject(packet);
        }
        self.step(nanos);
    }

    /// Time passes, and whatever waits at the ports is handled.
    pub fn step(&mut self, nanos: u64) {
        self.tick(nanos);
        while self.breathe(nanos) > 0 {
            self.hear();
        }
    }

    /// Does what control does every now and then.
    fn tick(&mut self, nanos: u64) {
        self.rib.tick(Now { nanos });
        self.follow();
        if self.rib.settle() {
            return;
        }
        // Numbers are free only once the worker has passed to the newest tables.
        if self.breathe(nanos) > 0 {
            self.hear();
        }
        self.rib.settle();
        self.follow();
    }

    fn follow(&mut self) {
        follow(&mut self.rib, &mut self.placeholders);
    }

    /// Does what the control plane does with the workers' events.
    fn hear(&mut self) {
        while let Some(event) = self.events.hear() {
            self.rib.hear(&event);
        }
        while let Some(sample) = self.events.hear_sample() {
            self.rib.dropped(sample, sample.at);
        }
        self.follow();
    }

    /// One frame arrives, while `tracer` looks over the stages' shoulders.
    pub fn receive_before<T: Tracer>(&mut self, tracer: &mut T, port: PortId, packet: impl Into<Packet>, nanos: u64) {
        self.tick(nanos);
        if let Some(handle) = self.port(port) {
            handle.inject(packet);
        }
        while self.worker.breathe_before(tracer, Now { nanos }) > 0 {
            self.hear();
        }
    }

    /// One breath of the worker. Returns how many frames arrived.
    pub fn breathe(&mut self, nanos: u64) -> usize {
        self.worker.breathe(Now { nanos })
    }

    /// Goes on by another plan, which was compiled beside the [`plan`](Rib::plan) of now and whose ports are the same.
    /// Returns whether that is done; not while somebody else holds on to the tables before.
    pub fn reload(&mut self, plan: Plan, nanos: u64) -> bool {
        self.rib.take_in(plan);
        self.step(nanos);
        self.rib.settle()
    }

    /// Everything that is known.
    #[must_use]
    pub const fn rib(&self) -> &Rib {
        &self.rib
    }

    /// Brings facts to the RIB that only a device or a neighbour could tell.
    pub fn change(&mut self, change: impl FnOnce(&mut Rib)) {
        change(&mut self.rib);
        self.follow();
    }

    /// What is known at this time, in nanoseconds, for rows of it. Of tunnel peers it has none, and ports are called by
    /// their names alone.
    #[must_use]
    pub fn state(&self, nanos: u64) -> GatewayState<'_> {
        GatewayState {
            shared: self.rib.shared(),
            counters: self.rib.counters(),
            names: self.rib.names(),
            history: self.rib.history(),
            loops: self.rib.loops(),
            activity: None,
            crews: &[],
            drop_samples: self.rib.drop_samples(),
            ports: Slab::new(),
            tunnels: Vec::new(),
            now: Now { nanos },
        }
    }

    /// Whether every chunk is back in the pool, as it must be between frames.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.worker.free_chunks() == CHUNKS
    }

    /// The far side of a port.
    #[must_use]
    pub fn port(&self, id: PortId) -> Option<&Handle> {
        self.handles.get(id)
    }

    /// What has been counted.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        self.worker.counters()
    }

    /// Where MACs have been.
    #[must_use]
    pub fn history(&self) -> &History {
        self.rib.history()
    }

    /// The loops that were found.
    #[must_use]
    pub fn loops(&self) -> &Loops {
        self.rib.loops()
    }

    /// The tables and the FDB.
    #[must_use]
    pub fn shared(&self) -> &Arc<Shared> {
        self.rib.shared()
    }

    /// The peers that were learned.
    #[must_use]
    pub fn learned(&self) -> &LearnedPeers {
        self.rib.learned()
    }

    /// What the numbers of the tables are called.
    #[must_use]
    pub fn names(&self) -> &Names {
        self.rib.names()
    }

    /// How often a frame, or a copy of one, was dropped for each reason that occurred.
    pub fn drops(&self) -> impl Iterator<Item = (DropReason, u64)> {
        let counters = self.counters();
        let count = |reason| Some(counters.drops(reason)?.get() + counters.copy_drops(reason)?.get());
        DropReason::all().filter_map(move |reason| Some((reason, count(reason)?)).filter(|d| d.1 > 0))
    }

    /// Every MAC known, in the order of tenant and address.
    #[must_use]
    pub fn fdb(&self) -> Vec<Entry> {
        let mut entries = Vec::with_capacity(self.shared().fdb.len());
        self.shared().fdb.for_each(|entry| entries.push(entry));
        entries.sort_by_key(|entry| (entry.domain, entry.mac));
        entries
    }
}
