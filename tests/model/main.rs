//! A gateway against a simple model: after every frame, every second that passes, every path that changes and every
//! reload, what is sent, what is dropped, what is in the FDB and who was learned is what a bridge made of hash maps
//! says, tenant by tenant.
//!
//! `gateway` is the production RIB with a worker, and `both` are two of them, whose workers handle the same frames, by
//! fast paths and without; `reference`, `bridge` and `strangers` are the model, which knows names instead of numbers.
//! `steps` says what may happen to all.

#[path = "../common/mod.rs"]
mod common;

mod both;
mod bridge;
mod frames;
mod gateway;
mod reference;
mod settings;
mod steps;
mod strangers;
mod underlay;
mod yaml;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;

use proptest::prelude::*;
use transload::fdb::EntrySource;
use transload::forwarding::GroupId;

use both::Both;
use frames::{Delivery, NextHop};
use reference::{Known, Outcome, Reference};
use settings::Settings;
use steps::{Arrival, Step, settings, steps};
use underlay::{PORTS, Underlay};

/// When it all begins, in milliseconds.
const START: u64 = 1_000_000;
/// From frame to frame, in milliseconds.
const GAP: u64 = 20;

/// The gateways and their model, side by side, in one world.
struct Pair<'mem> {
    gateway: Both<'mem>,
    model: Reference,
    underlay: Underlay,
    frames: u32,
    dropped: BTreeMap<&'static str, u64>,
}

type Verdict = Result<(), TestCaseError>;

impl<'mem> Pair<'mem> {
    fn new(settings: &Settings, arenas: &'mem mut [Vec<u8>; 2]) -> Self {
        let (gateway, model) = (Both::new(settings, arenas), Reference::new(settings, START));
        let mut pair = Self { gateway, model, underlay: Underlay::default(), frames: 0, dropped: BTreeMap::new() };
        pair.answer();
        pair
    }

    fn nanos(&self) -> u64 {
        self.model.now * 1_000_000
    }

    fn take(&mut self, step: Step) -> Verdict {
        match step {
            Step::Frames(arrival, times) => {
                for _ in 0..times {
                    self.receive(vec![arrival.clone()], None)?;
                }
            }
            Step::Burst(arrivals) => self.receive(arrivals, None)?,
            Step::ReloadMeanwhile(arrivals, settings) => {
                self.settle();
                self.receive(arrivals, Some(&settings))?;
            }
            Step::Reload(settings) => {
                self.settle();
                self.gateway.take_in(&settings);
                self.model.take_in(&settings);
            }
            Step::Sleep(seconds) => {
                // Control is never so late that it has not seen when the last frame came.
                self.tick();
                self.model.now += seconds * 1_000;
                self.breathe();
                self.tick();
                self.answer();
            }
            Step::Tick => self.tick(),
            Step::Route(to, hops) => {
                self.underlay.set_route(to, hops);
                self.answer();
            }
            Step::Link(port, is_down) => {
                self.underlay.set_link(port, is_down);
                self.gateway.each(|gateway| gateway.link(port, is_down));
                self.answer();
            }
            Step::Answer => self.answer(),
        }
        self.gateway.same()?;
        self.compare()
    }

    /// Frames arrive at once; maybe the gateway is told of another file before it is done with them.
    fn receive(&mut self, mut arrivals: Vec<Arrival>, overtaken_by: Option<&Settings>) -> Verdict {
        if overtaken_by.is_some() {
            // As many as have all their copies in one breath: the next one goes by the other file.
            arrivals.truncate(3);
        }
        self.model.now += GAP * arrivals.len() as u64;
        // The gateway goes from port to port.
        arrivals.sort_by_key(|arrival| PORTS.iter().position(|port| *port == arrival.speaker.port()));
        let number = self.frames;
        self.frames += arrivals.len() as u32;
        let frames = (number..)
            .zip(&arrivals)
            .map(|(number, &Arrival { dst, src, id, .. })| frames::tenants(dst, src, id, number));
        let frames: Vec<_> = frames.collect();
        let wire = arrivals
            .iter()
            .zip(&frames)
            .map(|(Arrival { speaker, id, .. }, frame)| (speaker.port(), speaker.sends(*id, frame)));
        let wire: Vec<_> = wire.collect();
        let sent = self.gateway.receive(&wire, overtaken_by, self.nanos())?;
        self.model.breathe();
        let mut expected = Outcome::default();
        for (Arrival { speaker, id, .. }, frame) in arrivals.iter().zip(&frames) {
            expected.add(self.model.receive(*speaker, *id, frame, &self.underlay));
        }
        if let Some(settings) = overtaken_by {
            self.model.take_in(settings);
        }
        expected.strangers.iter().for_each(|far| self.model.hear(*far));
        let sent = sent.iter().map(|(port, bytes)| Delivery::read(port, bytes)).collect();
        self.judge(sent, expected)?;
        self.compare()
    }

    fn judge(&mut self, mut sent: Vec<Delivery>, mut expected: Outcome) -> Verdict {
        sent.sort();
        expected.sent.sort();
        let is_alike = sent.len() == expected.sent.len() && sent.iter().zip(&expected.sent).all(|(a, b)| a.is(b));
        prop_assert!(is_alike, "sent {:?} instead of {:?}", sent, expected.sent);
        for (reason, count) in expected.drops {
            *self.dropped.entry(reason).or_default() += count;
        }
        prop_assert_eq!(self.gateway.drops(), self.dropped.clone());
        Ok(())
    }

    fn breathe(&mut self) {
        let nanos = self.nanos();
        self.gateway.each(|gateway| gateway.breathe(nanos));
        self.model.breathe();
    }

    fn tick(&mut self) {
        let nanos = self.nanos();
        self.gateway.each(|gateway| gateway.tick(nanos));
        let table = self.table();
        self.model.tick(&table);
    }

    fn answer(&mut self) {
        self.gateway.answer(&self.underlay);
        self.model.answer(&self.underlay);
    }

    /// Nobody is asked to reload before the reload before is through.
    fn settle(&mut self) {
        self.breathe();
        self.gateway.each(|gateway| assert!(gateway.settle()));
        self.model.settle();
    }
}

/// What both know.
impl Pair<'_> {
    fn compare(&self) -> Verdict {
        prop_assert!(self.gateway.is_whole());
        // While a reload is under way, there may be more in the FDB, which means nothing to anybody.
        let mut table = self.table();
        table.retain(|row| self.model.is_settled() || self.model.means(row));
        prop_assert_eq!(table, self.model.table());
        prop_assert_eq!(self.learned_macs(), self.model.learned_macs());
        let (rib, names) = (self.gateway.rib(), self.gateway.rib().names());
        let learned: BTreeSet<_> = rib.learned().rows().map(|row| names.peer(row.id).into_owned()).collect();
        prop_assert_eq!(learned, self.model.strangers());
        prop_assert_eq!(rib.learned().refused(GroupId::new(0)), self.model.refused());
        prop_assert_eq!(self.paths(), self.model.paths());
        let failed: BTreeSet<_> = rib.failures().keys().map(|port| PORTS[usize::from(port.number())]).collect();
        prop_assert_eq!(&failed, self.underlay.down());
        Ok(())
    }

    /// The FDB, in words.
    fn table(&self) -> BTreeSet<Known> {
        let names = self.gateway.rib().names();
        let mut rows = BTreeSet::new();
        self.gateway.rib().shared().fdb.for_each(|entry| {
            rows.insert(Known {
                tenant: names.domain(entry.domain).into_owned(),
                mac: entry.mac.0,
                attachment: names.attachment(entry.domain, entry.target.attachment).into_owned(),
                peer: names.peer(entry.target.peer).into_owned(),
                seen: if entry.source.is_learned() { u64::from(entry.seen) } else { 0 },
                pinned: entry.source == EntrySource::File,
            });
        });
        rows
    }

    fn learned_macs(&self) -> BTreeMap<String, usize> {
        let tables = self.gateway.rib().shared().forwarding.load();
        let counted = tables.file.domains.iter().map(|(id, domain)| {
            let name = self.gateway.rib().names().domain(id).into_owned();
            (name, domain.state.macs.load(Ordering::Relaxed) as usize)
        });
        counted.collect()
    }

    fn paths(&self) -> BTreeMap<String, Vec<NextHop>> {
        let rib = self.gateway.rib();
        let hops = |peer| {
            let hops = rib.hops(peer).iter();
            hops.map(|hop| NextHop { port: PORTS[usize::from(hop.port.number())], mac: hop.link.dst.0[5] }).collect()
        };
        rib.tunnels().map(|tunnel| (tunnel.name, hops(tunnel.peer))).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_gateway_does_what_a_bridge_of_hash_maps_does(first in settings(), steps in steps()) {
        let mut arenas = both::arenas();
        let mut pair = Pair::new(&first, &mut arenas);
        pair.compare()?;
        for step in steps {
            pair.take(step)?;
        }
    }
}
