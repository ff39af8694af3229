//! A gateway against a simple model: after every frame, every second that passes and every reload, what is sent and
//! what is in the FDB is what a bridge made of hash maps says, tenant by tenant.

#[path = "../common/mod.rs"]
mod common;
mod frames;
mod reference;
mod settings;

use std::collections::BTreeSet;

use common::Lab;
use proptest::prelude::*;
use transload::compile::{self, Plan};
use transload::config;
use transload::fdb::EntrySource;

use frames::{Delivery, HOSTS, Host};
use reference::{Known, Reference};
use settings::{Settings, Side};

/// One thing that happens.
#[derive(Debug, Clone)]
enum Step {
    /// A frame arrives: by this side with this ID, from this member where the side is a mesh.
    Frame { side: Side, id: u16, member: u8, dst: u8, src: Host },
    /// Seconds pass.
    Sleep(u64),
    /// Another file is loaded.
    Reload(Settings),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let frame = (Side::any(), 0..settings::IDS, settings::MEMBERS, 0..HOSTS + 3, 1..=HOSTS);
    let step = prop_oneof![
        16 => frame.prop_map(|(side, id, member, dst, src)| Step::Frame { side, id, member, dst, src }),
        2 => prop_oneof![1..16_u64, 16..150_u64].prop_map(Step::Sleep),
        1 => Settings::any().prop_map(Step::Reload),
    ];
    prop::collection::vec(step, 1..80)
}

/// A gateway and its model, side by side.
struct Pair {
    lab: Lab,
    model: Reference,
    frames: u32,
}

impl Pair {
    fn new(settings: &Settings) -> Self {
        let lab = Lab::of(plan(settings, &Plan::default()));
        let mut model = Reference::new(lab.clock / 1_000_000_000);
        model.reload(settings);
        Self { lab, model, frames: 0 }
    }

    fn take(&mut self, step: Step) -> Result<(), TestCaseError> {
        match step {
            Step::Frame { side, id, member, dst, src } => {
                self.frames += 1;
                let frame = frames::tenants(dst, src, self.frames);
                let sent = self.lab.send(side.port(), frames::arriving(side, id, member, &frame));
                let sent: Vec<Delivery> = sent.iter().map(|(port, bytes)| frames::read(port, bytes)).collect();
                let expected = self.model.receive(side, id, member, &frame);
                prop_assert_eq!(sent.len(), expected.len(), "{:?} instead of {:?}", sent, expected);
                prop_assert_eq!(sent.into_iter().collect::<BTreeSet<_>>(), expected);
            }
            Step::Sleep(seconds) => {
                self.lab.sleep(seconds);
                let table = self.table();
                self.model.sleep(seconds, &table);
            }
            Step::Reload(settings) => {
                let plan = plan(&settings, self.lab.gateway.rib().plan());
                prop_assert!(self.lab.gateway.reload(plan, self.lab.clock));
                self.model.reload(&settings);
            }
        }
        self.compare()
    }

    fn compare(&self) -> Result<(), TestCaseError> {
        prop_assert!(self.lab.gateway.is_whole());
        let table = self.table();
        prop_assert_eq!(&table, &self.model.table());
        let tables = self.lab.tables();
        for (id, domain) in tables.domains.iter() {
            let tenant = self.lab.gateway.names().domain(id).into_owned();
            let learned = table.iter().filter(|known| known.tenant == tenant && !known.pinned).count();
            let counted = domain.state.macs.load(std::sync::atomic::Ordering::Relaxed);
            prop_assert_eq!(counted as usize, learned, "of tenant {}", tenant);
        }
        Ok(())
    }

    /// The FDB, in words.
    fn table(&self) -> BTreeSet<Known> {
        let names = self.lab.gateway.names();
        let known = self.lab.gateway.fdb().into_iter().map(|entry| Known {
            tenant: names.domain(entry.domain).into_owned(),
            mac: entry.mac.0,
            attachment: names.attachment(entry.domain, entry.target.attachment).into_owned(),
            peer: names.peer(entry.target.peer).into_owned(),
            seen: if entry.source.is_learned() { u64::from(entry.seen) } else { 0 },
            pinned: entry.source == EntrySource::File,
        });
        known.collect()
    }
}

fn plan(settings: &Settings, before: &Plan) -> Plan {
    let text = settings.yaml();
    let config = config::parse("model.yaml", &text).unwrap_or_else(|problems| panic!("{problems}\n{text}"));
    let plan = compile::compile(&config, &before.numbers, Some(&before.tables));
    plan.unwrap_or_else(|problems| panic!("{problems}\n{text}"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_gateway_does_what_a_bridge_of_hash_maps_does(first in Settings::any(), steps in steps()) {
        let mut pair = Pair::new(&first);
        pair.compare()?;
        for step in steps {
            pair.take(step)?;
        }
    }
}
