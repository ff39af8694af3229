//! The data plane: one worker, one loop, one function a stage.
//!
//! [`Worker::breathe`] is the life of a frame. Nothing in it allocates, locks, logs, waits or reads a clock. A stage is
//! one function in the file of its name. It takes the burst, and all else that it reads or writes as one value.

mod bridge;
mod bum;
mod burst;
mod classify;
pub mod clock;
mod copies;
mod decap;
mod digest;
mod egress;
mod encap;
mod flood;
mod floods;
pub mod host_traffic;
pub mod inner_tags;
mod known_senders;
mod lane;
mod loop_guard;
mod mapping;
mod memo;
mod mss;
mod note;
pub mod offload;
mod path;
mod ports;
mod rate;
mod reassembly;
mod receive;
mod sample;
pub mod tap;
pub mod thread;
mod too_big;
pub mod trace;
mod trains;
mod wrap;

use std::sync::Arc;

use arc_swap::{ArcSwap, Cache};
use transload_encaps::Frame;

use bridge::{Bridge, bridge};
use classify::{Classifier, classify};
use decap::{Decapsulator, decap};
use egress::Egress;
use encap::encap;
use flood::flood;
use floods::Floods;
use known_senders::KnownSenders;
use reassembly::{Datagrams, Reassembler, reassemble};
use receive::{Receiver, receive};
use tap::{TapSlot, Taps};
use trains::{Aside, Shunter};

pub use burst::Burst;
pub use loop_guard::held_for;
pub use note::{Decision, FrameKind, Note, PacketOrigin, Verdict};
pub use path::inner_mtu;
pub use ports::WorkerPorts;
pub use trace::{LostFrame, Stage, Tracer};

use crate::counters::Counters;
use crate::events::EventSender;
use crate::fdb::Fdb;
use crate::forwarding::{Forwarding, PortId};
use crate::io::{BoxedPort, Pool};

/// A moment of the workers' clock: monotonic, from any origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Now {
    /// Nanoseconds since the clock's origin.
    pub nanos: u64,
}

impl Now {
    /// Whole seconds, wrapping: how the FDB dates its entries.
    #[must_use]
    #[inline]
    pub const fn tick(self) -> u16 {
        (self.nanos / 1_000_000_000) as u16
    }
}

/// State that all workers of a gateway share with its control plane.
#[derive(Debug)]
pub struct Shared {
    /// The frozen tables; control swaps them, workers read them once a burst.
    pub forwarding: Arc<ArcSwap<Forwarding>>,
    /// The FDB: the place of every MAC address.
    pub fdb: Fdb,
    /// Where captures look on.
    pub taps: Taps,
}

impl Shared {
    /// Of these tables and this FDB.
    #[must_use]
    pub fn new(forwarding: Forwarding, fdb: Fdb) -> Self {
        Self { forwarding: Arc::new(ArcSwap::from_pointee(forwarding)), fdb, taps: Taps::default() }
    }
}

/// One thread's gateway: its ports, its chunks, its counters.
pub struct Worker<'mem> {
    shared: Arc<Shared>,
    view: Cache<Arc<ArcSwap<Forwarding>>, Arc<Forwarding>>,
    pool: Pool<'mem>,
    ports: WorkerPorts<'mem>,
    known: KnownSenders,
    burst: Burst<'mem>,
    aside: Aside<'mem>,
    datagrams: Datagrams<'mem>,
    floods: Floods<'mem>,
    segments: Vec<Frame<'mem>>,
    counters: Arc<Counters>,
    events: EventSender,
    tap: Arc<TapSlot>,
}

impl<'mem> Worker<'mem> {
    /// A worker with these ports, which takes every chunk it needs from `pool`.
    #[must_use]
    pub fn new(
        shared: Arc<Shared>,
        pool: Pool<'mem>,
        ports: Vec<(PortId, BoxedPort<'mem>)>,
        counters: Arc<Counters>,
        events: EventSender,
    ) -> Self {
        let (aside, segments) = (Aside::new(pool.free()), Vec::with_capacity(pool.free()));
        let (view, tap) = (Cache::new(shared.forwarding.clone()), shared.taps.join());
        Self {
            shared,
            view,
            pool,
            ports: WorkerPorts::new(ports),
            known: KnownSenders::new(),
            burst: Burst::new(),
            aside,
            datagrams: Datagrams::new(),
            floods: Floods::new(),
            segments,
            counters,
            events,
            tap,
        }
    }

    /// One breath, a round over all ports: every frame that has arrived leaves, or is dropped and counted, but for those
    /// that go to more places than one breath has time for. Returns how much was done: frames that arrived, and copies of
    /// those that had waited.
    pub fn breathe(&mut self, now: Now) -> usize {
        if self.tap.is_set() {
            return self.breathe_tapped(now);
        }
        self.breathe_untapped(now)
    }

    /// The same while nobody looks on: the observer is what takes samples.
    #[inline]
    fn breathe_untapped(&mut self, now: Now) -> usize {
        let mut samples = self.events.samples.take();
        let handled = self.breathe_before(&mut samples, now);
        self.events.samples = samples;
        handled
    }

    /// The same while a capture looks on.
    #[cold]
    fn breathe_tapped(&mut self, now: Now) -> usize {
        let slot = Arc::clone(&self.tap);
        match slot.borrow().as_deref_mut() {
            Some(Some(tap)) => {
                tap.begin(now, self.events.samples.take());
                let handled = self.breathe_before(&mut **tap, now);
                self.events.samples = tap.end();
                handled
            }
            _ => self.breathe_untapped(now),
        }
    }

    /// The same, before an observer, which is the only one to hear of what is dropped.
    pub fn breathe_before<T: Tracer>(&mut self, tracer: &mut T, now: Now) -> usize {
        let Self {
            shared, view, pool, ports, known, burst, aside, datagrams, floods, segments, counters, events, ..
        } = self;
        // The control plane's decisions are read once. They cannot change under a burst, and between bursts we hold
        // no stale ones.
        let tables: &Forwarding = view.load();
        let fdb = &shared.fdb;
        floods.begin(pool, counters, (tables, now), tracer);
        datagrams.expire(pool, counters, (tables, now), tracer);
        let mut handled = 0;
        for slot in 0..ports.len() {
            let Some(port) = receive(burst, &mut Receiver { ports, slot, pool, counters, events, now }) else {
                continue;
            };
            handled += burst.notes.len();
            tracer.done(Stage::Receive, burst);
            loop {
                classify(burst, &mut Classifier { port, tables, counters, known, aside, tracer });
                tracer.taken(burst);
                if burst.has_fragments {
                    let classifier = Classifier { port, tables, counters, known, aside, tracer };
                    reassemble(burst, &mut Reassembler { classifier, datagrams, pool, counters, now });
                }
                tracer.done(Stage::Classify, burst);
                decap(burst, &mut Decapsulator { tables, counters, tracer });
                tracer.done(Stage::Decap, burst);
                bridge(burst, &mut Bridge { tables, fdb, counters, events, now, tracer });
                tracer.done(Stage::Bridge, burst);
                let refused = None;
                encap(burst, &mut Egress { tables, ports, pool, floods, segments, counters, now, refused, tracer });
                tracer.done(Stage::Encap, burst);
                burst.settle(counters);
                if !aside.resume(burst, &mut Shunter { port, ports, pool, counters, tables, now, tracer }) {
                    break;
                }
            }
        }
        if !floods.is_empty() {
            let refused = None;
            handled += flood(&mut Egress { tables, ports, pool, floods, segments, counters, now, refused, tracer });
        }
        ports.transmit(pool, counters);
        handled
    }

    /// Counts what the ports' devices have lost since the last time: to be done now and then, between breaths.
    pub fn count_losses(&mut self) {
        self.ports.count_losses(&self.counters);
    }

    /// The ports, to wait for.
    #[must_use]
    pub const fn ports(&self) -> &WorkerPorts<'mem> {
        &self.ports
    }

    /// The number of free chunks; between breaths all of them, but for those a device still sends from, and those of frames
    /// that wait for their copies.
    #[must_use]
    pub fn free_chunks(&self) -> usize {
        self.pool.free()
    }

    /// The counters that this worker writes.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }
}
