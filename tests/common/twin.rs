//! One of two gateways in memory that must not differ: its worker takes the fast paths, or the full one for every frame.

use std::sync::Arc;

use transload::compile::Plan;
use transload::dataplane::{Burst, Now, Stage, Tracer, Worker};
use transload::events::{self, Event, EventReceiver};
use transload::forwarding::PortId;
use transload::io::memory::{Handle, MemoryPort, Packet};
use transload::io::{BoxedPort, Pool};
use transload::rib::facts::Targets;
use transload::rib::{Output, Rib};

const EVENTS: usize = 4096;

/// The way a worker handles its frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// As in production: nobody watches.
    Fast,
    /// Watched by somebody who does nothing.
    Full,
}

/// An observer that only looks on.
struct Onlooker;

impl Tracer for Onlooker {}

/// The production RIB and a worker.
pub struct Twin<'mem> {
    pub rib: Rib,
    pub worker: Worker<'mem>,
    pace: Pace,
    /// The far sides of the ports.
    handles: Vec<(PortId, Handle)>,
    receiver: EventReceiver,
    /// What was heard since the last question.
    events: Vec<Event>,
    news: Vec<String>,
}

impl<'mem> Twin<'mem> {
    /// The gateway of this plan, its frames in chunks of `chunk_len` bytes. Nobody has been asked for paths yet.
    pub fn new(plan: Plan, pace: Pace, arena: &'mem mut [u8], chunk_len: usize) -> Self {
        let rib = Rib::new(plan, Vec::new(), 1, None);
        let mut handles = Vec::new();
        let mut ports = Vec::new();
        for plan in &rib.plan().ports {
            let (port, handle) = MemoryPort::new();
            ports.push((plan.id, Box::new(port) as BoxedPort<'mem>));
            handles.push((plan.id, handle));
        }
        let (sender, receiver) = events::ring(EVENTS);
        let (shared, counters) = (Arc::clone(rib.shared()), Arc::clone(&rib.counters()[0]));
        let worker = Worker::new(shared, Pool::new(arena, chunk_len), ports, counters, sender);
        Self { rib, worker, pace, handles, receiver, events: Vec::new(), news: Vec::new() }
    }

    /// Lets the RIB do what is to be done. Returns what a source of paths is asked.
    pub fn poll(&mut self) -> Vec<Targets> {
        let mut asked = Vec::new();
        while let Some(output) = self.rib.poll() {
            match output {
                Output::Resolve(targets) => asked.push(targets),
                Output::News(news) => self.news.push(format!("{news:?}")),
            }
        }
        asked
    }

    /// One breath of the worker. Returns how many frames arrived.
    pub fn breathe(&mut self, nanos: u64) -> usize {
        match self.pace {
            Pace::Fast => self.worker.breathe(Now { nanos }),
            Pace::Full => self.worker.breathe_before(&mut Onlooker, Now { nanos }),
        }
    }

    /// The same, and in the middle of the burst another plan is taken in.
    pub fn breathe_overtaken(&mut self, by: Plan, nanos: u64) -> usize {
        let (rib, plan, now) = (&mut self.rib, Some(by), Now { nanos });
        match self.pace {
            Pace::Fast => self.worker.breathe_before(&mut Overtaking::<false> { rib, plan }, now),
            Pace::Full => self.worker.breathe_before(&mut Overtaking::<true> { rib, plan }, now),
        }
    }

    /// Tells the RIB what the worker has told.
    pub fn hear(&mut self) {
        while let Some(event) = self.receiver.hear() {
            self.rib.hear(&event);
            self.events.push(event);
        }
    }

    /// What the worker told, and what the RIB told people, since the last question.
    pub fn heard(&mut self) -> (Vec<Event>, Vec<String>) {
        (std::mem::take(&mut self.events), std::mem::take(&mut self.news))
    }

    pub fn events_lost(&self) -> u64 {
        self.receiver.lost()
    }

    /// The far sides of the ports.
    pub fn ports(&self) -> impl Iterator<Item = (PortId, &Handle)> {
        self.handles.iter().map(|(id, handle)| (*id, handle))
    }

    pub fn port(&self, id: PortId) -> &Handle {
        let port = self.ports().find(|(known, _)| *known == id);
        port.unwrap_or_else(|| panic!("no port {id:?}")).1
    }

    /// What has left since the last question, port by port.
    pub fn sent(&self) -> Vec<(PortId, Packet)> {
        self.ports().flat_map(|(id, handle)| handle.collect().into_iter().map(move |packet| (id, packet))).collect()
    }
}

/// Takes a plan in when the worker has found out whose frames it has, and has done nothing about them yet. The ends of
/// stages are told to everybody, so that it need not watch.
struct Overtaking<'a, const WATCHES: bool> {
    rib: &'a mut Rib,
    plan: Option<Plan>,
}

impl<const WATCHES: bool> Tracer for Overtaking<'_, WATCHES> {
    const WATCHES: bool = WATCHES;

    fn done(&mut self, stage: Stage, _: &Burst<'_>) {
        if stage == Stage::Decap
            && let Some(plan) = self.plan.take()
        {
            self.rib.take_in(plan);
        }
    }
}
