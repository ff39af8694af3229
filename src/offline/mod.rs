//! A gateway without devices: every port in memory, one worker, one frame a burst, on a clock that the caller turns.
//!
//! Replay, tests and benches run the production pipeline in it; the same frames at the same times give the same
//! bytes, every time.

pub mod captured;
pub mod replay;

use std::sync::Arc;

use transload_encaps::DropReason;

use crate::compile::{LearningGroup, Names, Numbers, Plan, PortPlan, Static, placeholders};
use crate::counters::Counters;
use crate::dataplane::{Now, Shared, Tracer, Worker};
use crate::events;
use crate::fdb::{Entry, Fdb};
use crate::forwarding::{Forwarding, PortId};
use crate::io::arena::LONG;
use crate::io::memory::{Handle, MemoryPort, Packet};
use crate::io::{BoxedPort, Pool};
use crate::rib::ageing::{self, Ageing};
use crate::rib::history::History;
use crate::rib::learned::LearnedPeers;
use crate::rib::loops::Loops;
use crate::rib::reload::{self, Versions};

const CHUNKS: usize = 256;
const EVENTS: usize = 4096;

/// A gateway without devices.
pub struct Offline<'mem> {
    worker: Worker<'mem>,
    shared: Arc<Shared>,
    counters: Arc<Counters>,
    /// By port number.
    handles: Vec<Option<Handle>>,
    events: events::EventReceiver,
    ageing: Ageing,
    history: History,
    loops: Loops,
    names: Names,
    versions: Versions,
    ports: Vec<PortPlan>,
    learning: Learning,
}

/// What it takes to learn peers.
struct Learning {
    groups: Vec<LearningGroup>,
    peers: LearnedPeers,
    numbers: Numbers,
    statics: Vec<Static>,
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
        let numbers = Numbers::beside(&plan.forwarding);
        let learning =
            Learning { groups: plan.learning, peers: LearnedPeers::default(), numbers, statics: plan.statics };
        let mut handles = vec![None; plan.forwarding.ports.len()];
        let shared = Arc::new(Shared::new(plan.forwarding, Fdb::with_capacity(plan.settings.fdb_capacity)));
        for entry in &learning.statics {
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
        let (names, ports, versions) = (plan.names, plan.ports, Versions::default());
        Self { worker, shared, counters, handles, events, ageing, history, loops, names, versions, ports, learning }
    }

    /// One frame arrives at a port, at this time in nanoseconds; everything that follows from it has happened when
    /// this returns.
    pub fn receive(&mut self, port: PortId, packet: impl Into<Packet>, nanos: u64) {
        self.keep_house(nanos);
        if let Some(handle) = self.port(port) {
            handle.inject(packet);
        }
        self.step(nanos);
    }

    /// Time passes, and whatever waits at the ports is handled.
    pub fn step(&mut self, nanos: u64) {
        self.keep_house(nanos);
        while self.breathe(nanos) > 0 {
            self.hear();
        }
    }

    /// Does what control does every second.
    fn keep_house(&mut self, nanos: u64) {
        self.ageing.advance(&self.shared, Now { nanos });
        self.history.release(&self.shared, Now { nanos });
        let Learning { groups, peers, numbers, .. } = &mut self.learning;
        let received = |id| self.counters.peer(id).map_or(0, |peer| peer.rx.frames.get());
        if peers.age(&self.shared, groups, numbers, received, Now { nanos }).is_empty() {
            return;
        }
        let tables = self.with_learned();
        let (statics, numbers) = (self.learning.statics.clone(), &mut self.learning.numbers);
        let swap = reload::publish(&self.shared, &self.versions, tables, statics, numbers.generation());
        self.worker.breathe(Now { nanos });
        // While somebody else looks at the tables before, the numbers stay taken.
        let _ = swap.settle(&self.shared, numbers);
    }

    /// The tables of now, with the peers that are learned by now.
    fn with_learned(&self) -> Forwarding {
        let Learning { groups, peers, .. } = &self.learning;
        let tables = self.shared.forwarding.load_full();
        let hops = |tunnel: &_| placeholders(&self.ports, &tables.ports, tunnel);
        let learned = Arc::new(peers.tables(groups, &tables, &tables.learned, hops));
        let tables = Forwarding { learned, ..Forwarding::clone(&tables) };
        self.counters.grow(&tables);
        tables
    }

    /// Does what control does when the workers have told something.
    fn hear(&mut self) {
        let mut has_learned = false;
        while let Some(event) = self.events.hear() {
            self.history.note(&event, &self.shared);
            self.loops.note(&event);
            let Learning { groups, peers, numbers, .. } = &mut self.learning;
            if let Some(newcomer) = peers.meet(&event, groups, &self.shared.forwarding.load(), numbers) {
                self.names.set_peer(newcomer.id, newcomer.name);
                has_learned = true;
            }
        }
        if has_learned {
            self.versions.publish(&self.shared, self.with_learned());
        }
    }

    /// One frame arrives, while `tracer` looks over the stages' shoulders.
    pub fn receive_before<T: Tracer>(&mut self, tracer: &mut T, port: PortId, packet: impl Into<Packet>, nanos: u64) {
        self.keep_house(nanos);
        if let Some(handle) = self.port(port) {
            handle.inject(packet);
        }
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
        self.forget_learned(nanos);
        self.names = plan.names;
        self.learning.groups = plan.learning;
        self.learning.numbers = Numbers::beside(&plan.forwarding);
        self.learning.statics.clone_from(&plan.statics);
        let swap = reload::publish(&self.shared, &self.versions, plan.forwarding, plan.statics, plan.generation);
        self.step(nanos);
        Some(swap.settle(&self.shared, numbers).ok()?.unplaced)
    }

    /// Learned peers have numbers that the next plan knows nothing of: they are learned anew.
    fn forget_learned(&mut self, nanos: u64) {
        self.learning.peers = LearnedPeers::default();
        if self.shared.forwarding.load().learned.peers.is_empty() {
            return;
        }
        self.versions.publish(&self.shared, self.with_learned());
        self.worker.breathe(Now { nanos });
        let tables = self.shared.forwarding.load();
        ageing::sweep(&self.shared, &tables, 0..self.shared.fdb.buckets(), |_| true);
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

    /// The peers that were learned.
    #[must_use]
    pub fn learned(&self) -> &LearnedPeers {
        &self.learning.peers
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
