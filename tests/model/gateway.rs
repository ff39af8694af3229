//! The production RIB and a worker, and around them what the live gateway has: a clock, ports, and a source of paths
//! that answers when it is its turn. Whose turn it is, is up to the test.

use std::collections::BTreeMap;
use std::net::IpAddr;

use transload::compile::{self, Plan};
use transload::config::Config;
use transload::dataplane::Now;
use transload::forwarding::{Hop, PeerId, PortId};
use transload::rib::Rib;
use transload::rib::facts::{DeviceFact, DeviceState, PathFact, Targets, Tunnel};
use transload_encaps::Mac;
use transload_encaps::underlay::LinkAddresses;

use crate::common::outcome::Outcome;
use crate::common::twin::{Pace, Twin};
use crate::common::wire::mac;
use crate::frames::{NextHop, Wire};
use crate::settings::Far;
use crate::underlay::{PORTS, Underlay};

/// So many that a burst, and every copy of it, has room.
const CHUNKS: usize = 256;
const CHUNK_LEN: usize = 2048;

/// The memory its frames live in.
pub(crate) fn arena() -> Vec<u8> {
    vec![0; CHUNK_LEN * CHUNKS]
}

/// The gateway.
pub(crate) struct Gateway<'mem> {
    twin: Twin<'mem>,
    asked: Asked,
}

/// What the source of paths is to find paths for.
#[derive(Default)]
struct Asked {
    tunnels: BTreeMap<PeerId, Tunnel>,
    stated: Option<(Far, u8)>,
}

impl<'mem> Gateway<'mem> {
    pub(crate) fn new(config: &Config, pace: Pace, arena: &'mem mut [u8]) -> Self {
        let twin = Twin::new(plan(config, &Plan::default()), pace, arena, CHUNK_LEN);
        let mut gateway = Self { twin, asked: Asked::default() };
        gateway.poll();
        gateway
    }

    pub(crate) const fn rib(&self) -> &Rib {
        &self.twin.rib
    }

    /// Asks the RIB for what is to be done, and does it.
    fn poll(&mut self) {
        self.twin.poll().into_iter().for_each(|targets| self.asked.hear(targets));
    }

    /// Frames arrive at once and are handled; maybe another file is taken in, in the middle of the burst. Returns what
    /// leaves.
    pub(crate) fn receive(&mut self, frames: &[Wire], overtaken_by: Option<&Config>, nanos: u64) -> Vec<Wire> {
        for (port, packet) in frames {
            self.twin.port(port_id(&self.twin.rib, port)).inject(packet.clone());
        }
        match overtaken_by {
            // Copies of a flood may take several breaths.
            None => while self.twin.breathe(nanos) > 0 {},
            Some(by) => _ = self.twin.breathe_overtaken(plan(by, self.twin.rib.plan()), nanos),
        }
        self.twin.hear();
        self.poll();
        let name = |id: PortId| PORTS[usize::from(id.number())];
        self.twin.sent().into_iter().map(|(id, packet)| (name(id), packet.bytes)).collect()
    }

    /// The worker looks for frames, and there are none.
    pub(crate) fn breathe(&mut self, nanos: u64) {
        assert_eq!(self.twin.breathe(nanos), 0);
    }

    /// Control does what is due.
    pub(crate) fn tick(&mut self, nanos: u64) {
        self.twin.rib.tick(Now { nanos });
        self.poll();
    }

    /// Another file is taken in. Neither the worker nor the source of paths looks at it yet.
    pub(crate) fn take_in(&mut self, config: &Config) {
        let plan = plan(config, self.twin.rib.plan());
        self.twin.rib.take_in(plan);
        self.poll();
    }

    /// Whether the file taken in last is in force.
    pub(crate) fn settle(&mut self) -> bool {
        self.twin.rib.settle()
    }

    /// The source of paths tells what it finds by now.
    pub(crate) fn answer(&mut self, underlay: &Underlay) {
        let facts: Vec<_> = self.asked.tunnels.values().map(|tunnel| self.fact(tunnel, underlay)).collect();
        self.twin.rib.resolved(facts);
        self.poll();
    }

    fn fact(&self, tunnel: &Tunnel, underlay: &Underlay) -> PathFact {
        let IpAddr::V4(to) = tunnel.remote else { panic!("{tunnel:?}") };
        let hops = underlay.hops(to.octets()[3], self.asked.stated);
        let hops = hops.into_iter().map(|NextHop { port, mac: last }| {
            let id = port_id(&self.twin.rib, port);
            let tables = self.twin.rib.shared().forwarding.load();
            let src = tables.ports.get(id).and_then(|port| port.mac).expect("the file states it");
            Hop { port: id, link: LinkAddresses { dst: Mac(mac(last)), src }, mtu: None }
        });
        PathFact { peer: tunnel.peer, hops: hops.collect(), complaints: Vec::new() }
    }

    /// A device is looked at.
    pub(crate) fn link(&mut self, port: &str, is_down: bool) {
        let state = Some(DeviceState { mac: None, mtu: None, is_down });
        let failure = is_down.then(|| "no carrier".to_owned());
        self.twin.rib.devices([DeviceFact { port: port_id(&self.twin.rib, port), state, failure }]);
        self.poll();
    }

    /// Whether every chunk is back in the pool, as it must be between frames.
    pub(crate) fn is_whole(&self) -> bool {
        self.twin.worker.free_chunks() == CHUNKS
    }

    /// The number of frames, copies of flooded ones included, that were dropped since the start, by the reason's label.
    pub(crate) fn drops(&self) -> BTreeMap<&'static str, u64> {
        let counters = self.twin.worker.counters();
        let counted = transload_encaps::DropReason::all().filter_map(|reason| {
            Some((reason.label(), counters.drops(reason)?.get() + counters.copy_drops(reason)?.get()))
        });
        counted.filter(|(_, count)| *count > 0).collect()
    }

    /// All that is left behind by what has happened.
    pub(crate) fn outcome(&mut self) -> Outcome {
        Outcome::of(&mut self.twin)
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

fn port_id(rib: &Rib, name: &str) -> PortId {
    rib.plan().ports.iter().find(|port| port.name == name).expect("a port").id
}

fn plan(config: &Config, before: &Plan) -> Plan {
    let plan = compile::compile(config, &before.numbers, Some(&before.tables));
    plan.unwrap_or_else(|problems| panic!("{problems}"))
}
