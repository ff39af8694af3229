//! The routing information base: everything that is known, from whom, and the tables that come of it.
//!
//! Facts come in by source: the file ([`Rib::take_in`], at the start and at every reload alike), the workers
//! ([`Rib::hear`]), whoever resolves tunnels ([`Rib::resolved`]) and looks at devices ([`Rib::devices`]), the underlay
//! itself ([`Rib::reported`]), and the gateway that ran before ([`Rib::restore`]). Each says what it knows and nothing
//! about tables; where two know the same, the file takes precedence. Out of all of them `assemble` makes a
//! [`Forwarding`], and [`Rib::poll`] gives it to the workers, once for all that has changed.
//!
//! No I/O, no clock, no thread: the live gateway and the one in memory drive the same RIB, and so do tests. A source
//! knows the RIB, the RIB knows no source.

pub mod activity;
pub mod ageing;
mod assemble;
pub mod drop_samples;
pub mod facts;
pub mod history;
mod identity;
pub mod learned;
pub mod loops;
mod move_window;
mod news;
pub mod path_reports;
mod read;
pub mod remembered;
mod settle;
mod shortages;
mod versions;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::compile::{Plan, TunnelPlan};
use crate::counters::Counters;
use crate::dataplane::{Now, Shared, held_for};
use crate::events::{DropSample, Event};
use crate::fdb::Fdb;
use crate::forwarding::{DomainId, Forwarding, Hop, Map, OwnMacs, PeerId, PortId, Slab};
use activity::Activity;
use ageing::Ageing;
use assemble::{Facts, assemble, ports, stated_hops};
use drop_samples::DropSamples;
use facts::{DeviceFact, DeviceState, PathFact, PortLink, Targets, Tunnel};
use history::History;
pub use identity::own_macs;
use learned::LearnedPeers;
use loops::Loops;
pub use news::{News, Output};
pub use path_reports::PathReports;
pub use read::TunnelEnd;
use shortages::Shortages;
use versions::{Serial, Versions};

/// When one part in so many of the remembered MAC addresses has left the FDB, it is time to forget them.
const FORGETFUL: usize = 4;
/// Names of forgotten peers that are told at a time.
const NAMED: usize = 100;

/// Everything that is known, and from whom.
pub struct Rib {
    /// What the workers share; only the RIB writes the tables, and pins MAC addresses in the FDB.
    shared: Arc<Shared>,
    /// One block per worker.
    counters: Vec<Arc<Counters>>,
    /// What the file says; its names and numbers include learned peers.
    plan: Plan,
    /// What the devices of ports say.
    devices: Slab<PortId, DeviceState>,
    /// The gateway's own MAC addresses, as of the last time that the file was taken in.
    own_macs: Arc<OwnMacs>,
    /// The peers that the file does not name.
    learned: LearnedPeers,
    /// The paths to all peers.
    hops: Slab<PeerId, Arc<[Hop]>>,
    /// What stands in the way of peers, in words.
    complaints: Map<PeerId, Vec<String>>,
    /// What the underlay said of them.
    reports: PathReports,
    /// Where MAC addresses have been.
    history: History,
    /// The loops that workers found.
    loops: Loops,
    /// Frames that workers dropped.
    drop_samples: DropSamples,
    /// Tenants with more MAC addresses than are learned.
    shortages: Shortages,
    /// What was counted in the last seconds.
    activity: Activity,
    /// Ports that do not carry frames, and why.
    failures: BTreeMap<PortId, String>,
    /// How far the search for silent MAC addresses has come.
    ageing: Ageing,
    /// How often numbers have become free.
    reclaims: u64,
    /// How many of the addresses that are remembered may have left the FDB.
    left: usize,
    /// Until when the gateway counts as starting, in nanoseconds of the workers' clock.
    starting: Option<u64>,
    versions: Versions,
    /// Tables that workers have to pass before the FDB is swept and numbers are freed, and the generation of numbers
    /// that is free then.
    unsettled: VecDeque<(Serial, u64)>,
    /// Whether a plan is being compiled by the numbers of now, so that they must stay as they are.
    are_numbers_held: bool,
    /// Whether something has changed that workers do not have yet.
    is_changed: bool,
    outputs: VecDeque<Output>,
}

impl Rib {
    /// The RIB of a gateway that starts with this plan and so many workers. A random `seed` keeps tenants from
    /// choosing MAC addresses that crowd into one place of the FDB; `None` is the same from run to run.
    #[must_use]
    pub fn new(plan: Plan, devices: Vec<DeviceFact>, workers: usize, seed: Option<u64>) -> Self {
        let capacity = plan.settings.fdb_capacity;
        let fdb = match seed {
            Some(seed) => Fdb::with_capacity_and_seed(capacity, seed),
            None => Fdb::with_capacity(capacity),
        };
        let mut rib = Self {
            shared: Arc::new(Shared::new(Forwarding::default(), fdb)),
            counters: (0..workers).map(|_| Arc::new(Counters::new(&plan.tables))).collect(),
            plan: Plan::default(),
            devices: Slab::new(),
            own_macs: Arc::default(),
            learned: LearnedPeers::default(),
            hops: Slab::new(),
            complaints: Map::default(),
            reports: PathReports::default(),
            history: History::default(),
            loops: Loops::default(),
            drop_samples: DropSamples::default(),
            shortages: Shortages::default(),
            activity: Activity::default(),
            failures: BTreeMap::new(),
            ageing: Ageing::default(),
            reclaims: 0,
            left: 0,
            starting: None,
            versions: Versions::default(),
            unsettled: VecDeque::new(),
            are_numbers_held: false,
            is_changed: false,
            outputs: VecDeque::new(),
        };
        rib.devices(devices);
        rib.take_in(plan);
        rib
    }

    /// Goes by another plan, compiled with [`numbers`](Self::plan) and [`tables`](Self::plan) of the one before. What
    /// both have stays: paths of tunnels that lead where they did, learned peers that may still be learned, counters,
    /// MAC addresses. Workers get it by the next [`poll`](Self::poll); it is in force once [`settle`](Self::settle) is
    /// true, and only then may the next one be taken in: a tenant that is gone in one plan and back in the next would
    /// keep MAC addresses that its new state has not counted.
    pub fn take_in(&mut self, plan: Plan) {
        let before = std::mem::replace(&mut self.plan, plan);
        self.learned.adopt(&mut self.plan);
        let ports = ports(&self.plan, &self.devices);
        self.own_macs = Arc::new(own_macs(&self.plan.tables, &ports, &self.plan.names));
        self.keep_paths(&before);
        self.keep_reports();
        self.counters.iter().for_each(|counters| counters.grow(&self.plan.tables));
        let mut tunnels = Tunnel::all_of(&self.plan);
        tunnels.extend(self.learned.tunnels(&self.plan));
        self.outputs.push_back(Output::Resolve(Targets::All { tunnels, ports: PortLink::all_of(&self.plan) }));
        self.publish();
        self.unsettled.push_back((self.versions.newest(), self.plan.numbers.generation()));
        self.settle();
    }

    /// Holds the numbers as they are, or no longer: while a plan is compiled beside the one in force, no peer gets a number
    /// that the new plan may give to another. Frames of senders without one are carried meanwhile, and workers report
    /// such senders again.
    pub fn hold_numbers(&mut self, yes: bool) {
        self.are_numbers_held = yes;
    }

    /// Tunnels that lead where they did keep their paths; the others have what the file states, until a source says
    /// more.
    fn keep_paths(&mut self, before: &Plan) {
        let old: Map<_, _> = before.tunnels.iter().map(|tunnel| (tunnel.peer, tunnel)).collect();
        let ports = ports(&self.plan, &self.devices);
        let known = std::mem::take(&mut self.hops);
        let known = |peer: PeerId| known.get(peer).filter(|hops| !hops.is_empty()).map(Arc::clone);
        let hops = |tunnel: &TunnelPlan| {
            let is_alike = old.get(&tunnel.peer).is_some_and(|old| old.is_alike(tunnel));
            let kept = known(tunnel.peer).filter(|_| is_alike);
            kept.unwrap_or_else(|| stated_hops(&self.plan.ports, &ports, tunnel))
        };
        let stated: Vec<_> = self.plan.tunnels.iter().map(|tunnel| (tunnel.peer, hops(tunnel))).collect();
        let learned: Vec<_> = self.learned.rows().filter_map(|row| Some((row.id, known(row.id)?))).collect();
        self.hops = stated.into_iter().chain(learned).collect();
        let complaints = std::mem::take(&mut self.complaints);
        self.complaints = complaints.into_iter().filter(|(peer, _)| self.is_tunnel(*peer)).collect();
    }

    /// Counts as starting until then: unknown unicast is let through that its limit would hold back.
    pub fn starts_until(&mut self, until: Now) {
        self.starting = Some(until.nanos);
        self.is_changed = true;
    }

    /// Takes in what a worker says.
    pub fn hear(&mut self, event: &Event) {
        match *event {
            Event::Heard { .. } => self.history.note(event, &self.shared),
            Event::Loop { .. } => self.loops.note(event),
            Event::UnknownSender { .. } if self.are_numbers_held => {}
            Event::Shortage { domain, of, .. } => {
                if self.shortages.note(event) {
                    self.outputs.push_back(Output::News(News::Shortage { domain, of }));
                }
            }
            Event::UnknownSender { anonymous, address, domain, at } => {
                self.unknown_sender(anonymous, address, (domain, at));
            }
            // Of a device that fails, its source knows more than the worker, and first.
            Event::PortFailed { port, .. } | Event::PortBack { port } if self.has_device(port) => {}
            Event::PortFailed { port, errno } => {
                let cause = errno.map_or_else(|| "it is gone".into(), cause);
                self.failures.insert(port, cause.clone());
                self.outputs.push_back(Output::News(News::PortFailed { port, cause }));
            }
            Event::PortBack { port } => {
                self.failures.remove(&port);
                self.outputs.push_back(Output::News(News::PortWorks { port }));
            }
        }
    }

    /// Takes in a frame that a worker has dropped, at this time in nanoseconds since 1970.
    pub fn dropped(&mut self, sample: DropSample, wall: u64) {
        self.drop_samples.note((sample, wall), &self.shared.forwarding.load(), &self.plan.names);
    }

    fn unknown_sender(&mut self, anonymous: PeerId, address: std::net::IpAddr, heard: (DomainId, u64)) {
        if let Some(tunnel) = self.learned.learn(&mut self.plan, anonymous, address, heard) {
            self.outputs.push_back(Output::News(News::PeerLearned { name: tunnel.name.clone() }));
            match self.outputs.iter_mut().rev().find(|output| matches!(output, Output::Resolve(_))) {
                Some(Output::Resolve(Targets::Add(more))) => more.push(tunnel),
                _ => self.outputs.push_back(Output::Resolve(Targets::Add(vec![tunnel]))),
            }
            self.is_changed = true;
        }
        let full = self.learned.newly_full(&self.plan);
        self.outputs.extend(full.into_iter().map(|(group, refused)| Output::News(News::GroupFull { group, refused })));
    }

    fn has_device(&self, port: PortId) -> bool {
        self.plan.ports.iter().any(|plan| plan.id == port && plan.backend.network_device().is_some())
    }

    /// Takes in the paths to tunnel peers, as far as they have changed.
    pub fn resolved(&mut self, paths: impl IntoIterator<Item = PathFact>) {
        for PathFact { peer, hops, complaints } in paths {
            // A source may still speak of a peer that is gone.
            if !self.is_tunnel(peer) {
                continue;
            }
            if self.hops(peer) != &*hops {
                self.hops.insert(peer, hops);
                self.is_changed = true;
            }
            if complaints.is_empty() {
                self.complaints.remove(&peer);
            } else {
                self.complaints.insert(peer, complaints);
            }
        }
    }

    fn is_tunnel(&self, peer: PeerId) -> bool {
        self.learned.tables().peers.contains_key(&peer) || self.plan.tables.peer(peer).is_some()
    }

    /// Takes in what is known of devices, as far as it has changed.
    pub fn devices(&mut self, devices: impl IntoIterator<Item = DeviceFact>) {
        for device in devices {
            let (port, now) = (device.port, device.failure.clone());
            if self.failures.get(&port) != now.as_ref() {
                let news = if let Some(cause) = now {
                    self.failures.insert(port, cause.clone());
                    News::PortFailed { port, cause }
                } else {
                    self.failures.remove(&port);
                    News::PortWorks { port }
                };
                self.outputs.push_back(Output::News(news));
            }
            if let Some(state) = device.state {
                self.set_device(port, state);
            }
        }
    }

    fn set_device(&mut self, port: PortId, state: DeviceState) {
        self.is_changed |= self.devices.insert(port, state) != Some(state);
    }

    /// Does what is due by now: forgets silent MAC addresses and peers and old reports, releases what was held, and
    /// finishes what waited for the workers.
    pub fn tick(&mut self, now: Now) {
        if self.settle() && !self.are_numbers_held {
            self.forget_peers(now);
        }
        let released = self.history.release(&self.shared, now);
        self.outputs.extend(released.into_iter().map(|(domain, mac)| Output::News(News::Released { domain, mac })));
        self.end_loops(now);
        self.left += self.ageing.advance(&self.shared, now);
        if self.left > self.history.len() / FORGETFUL {
            let fdb = &self.shared.fdb;
            self.history.retain(|domain, mac| fdb.lookup(fdb.key(domain, mac), now.tick(), u16::MAX).is_some());
            self.left = 0;
        }
        self.is_changed |= self.reports.age(now);
        self.is_changed |= self.starting.take_if(|until| *until <= now.nanos).is_some();
    }

    /// Looks at a part of what workers have counted: to be done as often as [`activity::PARTS`] says, where somebody wants to
    /// know of rates and of who is silent.
    pub fn watch(&mut self, now: Now) {
        let turned = self.activity.look(&self.counters, now);
        let of_tunnels = turned.into_iter().filter(|(peer, _)| self.hops.get(*peer).is_some());
        let news = of_tunnels.map(|(peer, is_silent)| Output::News(News::Silence { peer, is_silent }));
        self.outputs.extend(news);
    }

    /// Tells of attachments that are no longer kept apart.
    fn end_loops(&mut self, now: Now) {
        let tables = self.shared.forwarding.load();
        let is_apart = |(id, between)| {
            tables.domain(id).is_some_and(|domain| held_for(&domain.state.loops, between, now).is_some())
        };
        let ended = self.loops.ended(is_apart).into_iter();
        self.outputs.extend(ended.map(|(domain, between)| Output::News(News::LoopEnded { domain, between })));
    }

    /// Forgets learned peers that are not needed any more.
    fn forget_peers(&mut self, now: Now) {
        let counters = &self.counters;
        let received = |id| {
            let peers = counters.iter().filter_map(|counters| counters.peer(id));
            peers.map(|peer| peer.rx.frames.get()).sum()
        };
        let gone = self.learned.age(&self.shared, &mut self.plan, received, now);
        if gone.is_empty() {
            return;
        }
        let names = gone.iter().take(NAMED).map(|peer| self.plan.names.peer(*peer).into()).collect();
        for &peer in &gone {
            self.hops.remove(peer);
            self.complaints.remove(&peer);
            self.reports.forget(peer);
        }
        self.outputs.push_back(Output::News(News::PeersForgotten { count: gone.len(), names }));
        self.outputs.push_back(Output::Resolve(Targets::Remove(gone)));
        self.publish();
        self.unsettled.push_back((self.versions.newest(), self.plan.numbers.generation()));
    }

    /// Judges what has been heard, gives the workers what has changed, and returns what somebody else has to do or may
    /// want to know; `None` when that is all.
    pub fn poll(&mut self) -> Option<Output> {
        let duplicates = self.history.judge(&self.shared).into_iter();
        self.outputs.extend(duplicates.map(|duplicate| Output::News(News::Duplicate(duplicate))));
        if self.is_changed {
            self.publish();
        }
        self.outputs.pop_front()
    }

    /// Gives the workers the tables of all that is known now.
    fn publish(&mut self) {
        let tables = assemble(&Facts {
            plan: &self.plan,
            devices: &self.devices,
            own_macs: &self.own_macs,
            learned: self.learned.tables(),
            hops: &self.hops,
            reports: &self.reports,
            is_starting: self.starting.is_some(),
        });
        self.counters.iter().for_each(|counters| counters.grow_learned(&tables));
        self.versions.publish(&self.shared, tables);
        self.is_changed = false;
    }
}

/// What the system calls this error, without Rust's "(os error 100)".
fn cause(errno: i32) -> String {
    let text = std::io::Error::from_raw_os_error(errno).to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}
