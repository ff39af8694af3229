//! The production RIB and a worker, and around them what the live gateway has: a clock, ports, and a source of paths
//! that answers when it is its turn. Whose turn it is, is up to the test.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use transload::compile::{self, Plan};
use transload::config;
use transload::dataplane::{Burst, Now, Stage, Tracer, Worker};
use transload::events::{self, EventReceiver};
use transload::forwarding::{Hop, PeerId, PortId};
use transload::io::arena::LONG;
use transload::io::memory::{Handle, MemoryPort};
use transload::io::{BoxedPort, Pool};
use transload::rib::facts::{DeviceFact, DeviceState, PathFact, Targets, Tunnel};
use transload::rib::{Output, Rib};
use transload_encaps::Mac;
use transload_encaps::underlay::LinkAddresses;

use crate::common::wire::mac;
use crate::frames::NextHop;
use crate::settings::{Far, Settings};
use crate::underlay::{PORTS, Underlay};

const CHUNKS: usize = 32;

/// The memory its frames live in.
pub(crate) fn arena() -> Vec<u8> {
    vec![0; LONG * CHUNKS]
}

/// The gateway.
pub(crate) struct Gateway<'mem> {
    pub(crate) rib: Rib,
    worker: Worker<'mem>,
    /// The far sides of [`PORTS`].
    handles: Vec<Handle>,
    events: EventReceiver,
    asked: Asked,
}

/// What the source of paths is to find paths for.
#[derive(Default)]
struct Asked {
    tunnels: BTreeMap<PeerId, Tunnel>,
    stated: Option<(Far, u8)>,
}

impl<'mem> Gateway<'mem> {
    pub(crate) fn new(settings: &Settings, arena: &'mem mut [u8]) -> Self {
        let rib = Rib::new(plan(settings, &Plan::default()), Vec::new(), 1, None);
        let (ports, handles) = PORTS
            .iter()
            .map(|name| {
                let (port, handle) = MemoryPort::new();
                ((port_id(&rib, name), Box::new(port) as BoxedPort<'mem>), handle)
            })
            .unzip();
        let (sender, events) = events::ring(64);
        let (shared, counters) = (Arc::clone(rib.shared()), Arc::clone(&rib.counters()[0]));
        let worker = Worker::new(shared, Pool::new(arena, LONG), ports, counters, sender);
        let mut gateway = Self { rib, worker, handles, events, asked: Asked::default() };
        gateway.poll();
        gateway
    }

    /// Asks the RIB for what is to be done, and does it.
    fn poll(&mut self) {
        while let Some(output) = self.rib.poll() {
            if let Output::Resolve(targets) = output {
                self.asked.hear(targets);
            }
        }
    }

    /// A frame arrives and is handled. Returns what leaves.
    pub(crate) fn receive(&mut self, port: &str, packet: Vec<u8>, nanos: u64) -> Vec<(&'static str, Vec<u8>)> {
        self.inject(port, packet);
        self.worker.breathe(Now { nanos });
        self.hear();
        self.sent()
    }

    /// The same, and in the middle of the burst another file is taken in.
    pub(crate) fn receive_overtaken(
        &mut self,
        port: &str,
        packet: Vec<u8>,
        by: &Settings,
        nanos: u64,
    ) -> Vec<(&'static str, Vec<u8>)> {
        self.inject(port, packet);
        let plan = Some(plan(by, self.rib.plan()));
        self.worker.breathe_before(&mut Overtaking { rib: &mut self.rib, plan }, Now { nanos });
        self.hear();
        self.sent()
    }

    fn inject(&self, port: &str, packet: Vec<u8>) {
        let handle = PORTS.iter().zip(&self.handles).find(|(name, _)| **name == port).map(|(_, handle)| handle);
        handle.expect("a port").inject(packet);
    }

    fn sent(&self) -> Vec<(&'static str, Vec<u8>)> {
        let sent = PORTS.into_iter().zip(&self.handles);
        sent.flat_map(|(port, handle)| handle.collect().into_iter().map(move |packet| (port, packet.bytes))).collect()
    }

    fn hear(&mut self) {
        while let Some(event) = self.events.hear() {
            self.rib.hear(&event);
        }
        self.poll();
    }

    /// The worker looks for frames, and there are none.
    pub(crate) fn breathe(&mut self, nanos: u64) {
        assert_eq!(self.worker.breathe(Now { nanos }), 0);
    }

    /// Control does what is due.
    pub(crate) fn tick(&mut self, nanos: u64) {
        self.rib.tick(Now { nanos });
        self.poll();
    }

    /// Another file is taken in. Neither the worker nor the source of paths looks at it yet.
    pub(crate) fn take_in(&mut self, settings: &Settings) {
        let plan = plan(settings, self.rib.plan());
        self.rib.take_in(plan);
        self.poll();
    }

    /// The source of paths tells what it finds by now.
    pub(crate) fn answer(&mut self, underlay: &Underlay) {
        let facts: Vec<_> = self.asked.tunnels.values().map(|tunnel| self.fact(tunnel, underlay)).collect();
        self.rib.resolved(facts);
        self.poll();
    }

    fn fact(&self, tunnel: &Tunnel, underlay: &Underlay) -> PathFact {
        let IpAddr::V4(to) = tunnel.remote else { panic!("{tunnel:?}") };
        let hops = underlay.hops(to.octets()[3], self.asked.stated);
        let hops = hops.into_iter().map(|NextHop { port, mac: last }| {
            let id = port_id(&self.rib, port);
            let tables = self.rib.shared().forwarding.load();
            let src = tables.ports.get(id).and_then(|port| port.mac).expect("the file states it");
            Hop { port: id, link: LinkAddresses { dst: Mac(mac(last)), src }, mtu: None }
        });
        PathFact { peer: tunnel.peer, hops: hops.collect(), complaints: Vec::new() }
    }

    /// A device is looked at.
    pub(crate) fn link(&mut self, port: &str, is_down: bool) {
        let state = Some(DeviceState { mac: None, mtu: None, is_down });
        let failure = is_down.then(|| "no carrier".to_owned());
        self.rib.devices([DeviceFact { port: port_id(&self.rib, port), state, failure }]);
        self.poll();
    }

    /// Whether every chunk is back in the pool, as it must be between frames.
    pub(crate) fn is_whole(&self) -> bool {
        self.worker.free_chunks() == CHUNKS
    }

    /// How often a frame, or a copy of one, was dropped so far, by reason.
    pub(crate) fn drops(&self) -> BTreeMap<&'static str, u64> {
        let counted = transload_encaps::DropReason::all()
            .filter_map(|reason| Some((reason.label(), self.worker.counters().drops(reason)?.get())));
        counted.filter(|(_, count)| *count > 0).collect()
    }
}

impl Asked {
    fn hear(&mut self, targets: Targets) {
        let by_peer = |tunnels: Vec<Tunnel>| tunnels.into_iter().map(|tunnel| (tunnel.peer, tunnel));
        match targets {
            Targets::All { tunnels, ports } => {
                self.tunnels = by_peer(tunnels).collect();
                self.stated = ports.values().flat_map(|port| &port.next_hops).next().map(|(to, mac)| match to {
                    IpAddr::V4(to) => (to.octets()[3], mac.0[5]),
                    IpAddr::V6(_) => panic!("{to}"),
                });
            }
            Targets::Add(tunnels) => self.tunnels.extend(by_peer(tunnels)),
            Targets::Remove(peers) => self.tunnels.retain(|peer, _| !peers.contains(peer)),
        }
    }
}

/// Takes a file in when the worker has found out whose frames it has, and has done nothing about them yet.
struct Overtaking<'a> {
    rib: &'a mut Rib,
    plan: Option<Plan>,
}

impl Tracer for Overtaking<'_> {
    fn done(&mut self, stage: Stage, _: &Burst<'_>) {
        if stage == Stage::Decap
            && let Some(plan) = self.plan.take()
        {
            self.rib.take_in(plan);
        }
    }
}

fn port_id(rib: &Rib, name: &str) -> PortId {
    rib.plan().ports.iter().find(|port| port.name == name).expect("a port").id
}

fn plan(settings: &Settings, before: &Plan) -> Plan {
    let text = settings.yaml();
    let config = config::parse("model.yaml", &text).unwrap_or_else(|problems| panic!("{problems}\n{text}"));
    let plan = compile::compile(&config, &before.numbers, Some(&before.tables));
    plan.unwrap_or_else(|problems| panic!("{problems}\n{text}"))
}
