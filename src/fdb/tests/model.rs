//! The FDB does what a plain map would, whatever is done to it.

use std::collections::HashMap;

use proptest::prelude::*;

use super::{mac, target};
use crate::fdb::{Entry, EntrySource, FIXED_SEED, Fdb, Key, LearnOutcome};
use crate::forwarding::{DomainId, Target};

#[derive(Debug, Clone)]
enum ModelStep {
    Learn { who: Who, target: Target, admit: bool },
    Pin { who: Who, target: Target },
    Hold { who: Who, at: Option<Target> },
    Remove(Who),
    Lookup { who: Who, ageing: u16 },
    Wait { seconds: u16 },
    Sweep { ageing: u16 },
}

type Who = (DomainId, u64);

/// Few MACs, so that they meet again, of domains that differ in either word of a slot.
fn who() -> impl Strategy<Value = Who> {
    (prop_oneof![Just(1), Just(2), Just(0x01_0001), Just(0xff_ffff)].prop_map(DomainId::new), 0..12_u64)
}

fn place() -> impl Strategy<Value = Target> {
    (0..3_u16, 0..3_u32).prop_map(|(attachment, peer)| target(attachment, peer))
}

fn step() -> impl Strategy<Value = ModelStep> {
    prop_oneof![
        5 => (who(), place(), prop::bool::weighted(0.9))
            .prop_map(|(who, target, admit)| ModelStep::Learn { who, target, admit }),
        1 => (who(), place()).prop_map(|(who, target)| ModelStep::Pin { who, target }),
        2 => (who(), prop::option::of(place())).prop_map(|(who, at)| ModelStep::Hold { who, at }),
        2 => who().prop_map(ModelStep::Remove),
        4 => (who(), 0..600_u16).prop_map(|(who, ageing)| ModelStep::Lookup { who, ageing }),
        1 => (0..400_u16).prop_map(|seconds| ModelStep::Wait { seconds }),
        1 => (0..600_u16).prop_map(|ageing| ModelStep::Sweep { ageing }),
    ]
}

/// What a table should be: entries with the second of their last frame, on a clock that does not wrap.
#[derive(Default)]
struct Model {
    entries: HashMap<Who, Known>,
    now: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Known {
    target: Target,
    seen: u64,
    is_static: bool,
    is_held: bool,
}

impl Model {
    fn learn(&mut self, who: Who, target: Target, admit: bool, capacity: usize) -> LearnOutcome {
        let count = self.entries.len();
        match self.entries.get_mut(&who) {
            Some(known) if known.is_static && known.target == target => LearnOutcome::Known,
            Some(known) if known.is_static => LearnOutcome::Static,
            Some(known) if known.is_held && known.target != target => LearnOutcome::Held,
            Some(known) => {
                let from = std::mem::replace(known, Known { target, seen: self.now, ..*known }).target;
                if from == target { LearnOutcome::Known } else { LearnOutcome::Moved { from } }
            }
            None if count == capacity => LearnOutcome::Full,
            None if !admit => LearnOutcome::Refused,
            None => {
                self.entries.insert(who, Known { target, seen: self.now, is_static: false, is_held: false });
                LearnOutcome::New
            }
        }
    }

    fn is_expired(&self, known: Known, ageing: u16) -> bool {
        !known.is_static && self.now - known.seen > u64::from(ageing)
    }

    fn lookup(&self, who: Who, ageing: u16) -> Option<Target> {
        self.entries.get(&who).filter(|known| !self.is_expired(**known, ageing)).map(|known| known.target)
    }

    fn sweep(&mut self, ageing: u16) {
        let (old, young) =
            std::mem::take(&mut self.entries).into_iter().partition(|&(_, known)| self.is_expired(known, ageing));
        let _: HashMap<_, _> = old;
        self.entries = young;
    }

    fn entry(&self, (domain, number): Who) -> Option<Entry> {
        let known = self.entries.get(&(domain, number))?;
        let seen = if known.is_static { 0 } else { known.seen as u16 };
        Some(Entry {
            domain,
            mac: mac(number),
            target: known.target,
            seen,
            source: if known.is_static { EntrySource::File } else { EntrySource::Learned },
            is_held: known.is_held,
        })
    }
}

fn check(fdb: &Fdb, model: &Model) {
    let mut found = HashMap::new();
    fdb.for_each(|entry| {
        let twice = found.insert((entry.domain, entry.mac.to_bits()), entry);
        assert_eq!(twice, None, "one entry a MAC");
    });
    assert_eq!((fdb.len(), found.len()), (model.entries.len(), model.entries.len()));
    for (who, entry) in found {
        assert_eq!(Some(entry), model.entry(who));
    }
}

fn run(fdb: &Fdb, steps: Vec<ModelStep>) {
    let capacity = fdb.capacity();
    // Near the wrap of the tick, so that it happens.
    let mut model = Model { now: 65_000, ..Model::default() };
    let key = |(domain, number): Who| -> Key { fdb.key(domain, mac(number)) };
    for step in steps {
        let tick = model.now as u16;
        match step {
            ModelStep::Learn { who, target, admit } => {
                let expected = model.learn(who, target, admit, capacity);
                assert_eq!(fdb.learn(key(who), target, tick, || admit), expected);
            }
            ModelStep::Pin { who, target } => {
                let before = model.entry(who);
                let full = before.is_none() && model.entries.len() == capacity;
                assert_eq!(fdb.install(key(who), target, EntrySource::File).ok(), (!full).then_some(before));
                if !full {
                    model.entries.insert(who, Known { target, seen: 0, is_static: true, is_held: false });
                }
            }
            ModelStep::Hold { who, at } => {
                if let Some(known) = model.entries.get_mut(&who).filter(|known| !known.is_static) {
                    known.is_held = at.is_some();
                    known.target = at.unwrap_or(known.target);
                }
                let held = model.entry(who).filter(|entry| entry.source.is_learned());
                assert_eq!(fdb.hold(key(who), at), held);
            }
            ModelStep::Remove(who) => {
                assert_eq!(fdb.remove(key(who)), model.entry(who));
                model.entries.remove(&who);
            }
            ModelStep::Lookup { who, ageing } => {
                assert_eq!(fdb.lookup(key(who), tick, ageing), model.lookup(who, ageing));
            }
            ModelStep::Wait { seconds } => model.now += u64::from(seconds),
            ModelStep::Sweep { ageing } => {
                let before = model.entries.len();
                model.sweep(ageing);
                let removed = fdb.sweep(0..fdb.buckets(), |entry| !entry.is_expired(tick, ageing));
                assert_eq!(removed, before - model.entries.len());
            }
        }
        check(fdb, &model);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn a_table_of_few_homes_does_what_a_map_does(steps in prop::collection::vec(step(), 0..200)) {
        run(&Fdb::with_homes(2, 8, FIXED_SEED), steps);
    }

    #[test]
    fn a_table_with_room_does_what_a_map_does(steps in prop::collection::vec(step(), 0..200)) {
        run(&Fdb::with_capacity(64), steps);
    }
}
