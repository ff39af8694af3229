//! What a glance affirms, the full path would say too; and of a table at rest it leaves open only what is not plain.

use std::collections::HashMap;

use proptest::prelude::*;

use super::{mac, target};
use crate::fdb::{Entry, EntrySource, FIXED_SEED, Fdb, Key, LearnOutcome, MAX_AGEING, MacLocation};
use crate::forwarding::{DomainId, PeerId, Target};

const AGEING: u16 = 300;

/// What happens to the table, and when and for what ageing it is looked at then.
#[derive(Debug, Clone)]
struct GlancedStep {
    change: GlancedChange,
    wait: u16,
    /// Seconds that the clock of the worker who looks is behind.
    behind: u16,
    ageing: u16,
}

#[derive(Debug, Clone)]
enum GlancedChange {
    /// By a worker whose clock is behind by so many seconds, or ahead.
    Learn {
        who: Who,
        target: Target,
        behind: u16,
    },
    Install {
        who: Who,
        target: Target,
        source: EntrySource,
    },
    Hold {
        who: Who,
        at: Option<Target>,
    },
    Remove(Who),
    Sweep {
        ageing: u16,
    },
}

type Who = (DomainId, u64);

/// Several domains alike in their low 16 bits. The first word of a slot of the first one's MAC 0 is that of an empty slot.
const DOMAINS: [DomainId; 5] =
    [DomainId::new(0), DomainId::new(1), DomainId::new(0x01_0000), DomainId::new(0x01_0001), DomainId::new(0xff_0001)];
const MACS: u64 = 6;

fn who() -> impl Strategy<Value = Who> {
    (prop::sample::select(&DOMAINS[..]), 0..MACS)
}

fn targets() -> impl Iterator<Item = Target> {
    (0..2).flat_map(|attachment| [0, 1, 0xf_ffff].map(|peer| target(attachment, peer)))
}

fn somewhere() -> impl Strategy<Value = Target> {
    prop::sample::select(targets().collect::<Vec<_>>())
}

fn source() -> impl Strategy<Value = EntrySource> {
    prop::sample::select(&[EntrySource::File, EntrySource::Told, EntrySource::ToldSticky, EntrySource::Restored][..])
}

/// Mostly now or a moment from it, on either side.
fn behind() -> impl Strategy<Value = u16> {
    prop_oneof![5 => Just(0), 4 => (0..5_u16).prop_map(|ahead| 2_u16.wrapping_sub(ahead)), 1 => any::<u16>()]
}

fn ageing() -> impl Strategy<Value = u16> {
    prop_oneof![2 => 0..3_u16, 2 => Just(AGEING), 1 => MAX_AGEING - 1..=u16::MAX, 1 => any::<u16>()]
}

fn change() -> impl Strategy<Value = GlancedChange> {
    prop_oneof![
        12 => (who(), somewhere(), behind()).prop_map(|(who, target, behind)| GlancedChange::Learn { who, target, behind }),
        2 => (who(), somewhere(), source()).prop_map(|(who, target, source)| GlancedChange::Install { who, target, source }),
        2 => (who(), prop::option::of(somewhere())).prop_map(|(who, at)| GlancedChange::Hold { who, at }),
        3 => who().prop_map(GlancedChange::Remove),
        1 => ageing().prop_map(|ageing| GlancedChange::Sweep { ageing }),
    ]
}

fn step() -> impl Strategy<Value = GlancedStep> {
    let wait = prop_oneof![6 => Just(0), 3 => 1..400_u16, 1 => any::<u16>()];
    let step = (change(), wait, behind(), ageing());
    step.prop_map(|(change, wait, behind, ageing)| GlancedStep { change, wait, behind, ageing })
}

fn act(fdb: &Fdb, change: &GlancedChange, now: u16) {
    let key = |(domain, number): Who| fdb.key(domain, mac(number));
    match *change {
        GlancedChange::Learn { who, target, behind } => {
            fdb.learn(key(who), target, now.wrapping_sub(behind), || true);
        }
        GlancedChange::Install { who, target, source } => {
            let _ = fdb.install(key(who), target, source);
        }
        GlancedChange::Hold { who, at } => {
            fdb.hold(key(who), at);
        }
        GlancedChange::Remove(who) => {
            fdb.remove(key(who));
        }
        GlancedChange::Sweep { ageing } => {
            fdb.sweep(0..fdb.buckets(), |entry| !entry.is_expired(now, ageing));
        }
    }
}

fn words(fdb: &Fdb) -> Vec<u64> {
    fdb.words.iter().map(|word| word.load(std::sync::atomic::Ordering::Relaxed)).collect()
}

/// The full path agrees with all that a glance at this MAC affirms.
fn check_truth(fdb: &Fdb, key: Key, tick: u16, ageing: u16) {
    let Some(glance) = fdb.view().glance(&key) else { return };
    let lookup = fdb.lookup(key, tick, ageing);
    let ageing = ageing.min(MAX_AGEING);
    if let Some(target) = glance.target(tick, ageing) {
        assert_eq!(lookup, Some(target), "{key:?}");
    }
    for target in targets() {
        let location = MacLocation::new(key.domain(), target);
        if glance.is_at(location, tick, ageing) {
            assert_eq!(lookup, Some(target), "{key:?}");
        }
        if glance.is_known_at(location, tick) {
            let before = words(fdb);
            let never = || panic!("{key:?} is in the table");
            assert_eq!(fdb.learn(key, target, tick, never), LearnOutcome::Known, "{key:?}");
            assert_eq!(words(fdb), before, "{key:?}");
        }
    }
}

/// A glance at this entry tells what is plain of it.
fn check_plainness(fdb: &Fdb, entry: &Entry, tick: u16, ageing: u16) {
    let glance = fdb.view().glance(&fdb.key(entry.domain, entry.mac)).unwrap();
    let is_installed = !entry.source.is_learned();
    let ageing = ageing.min(MAX_AGEING);
    // A hint is never so plain that nothing is left to learn.
    let is_hint = entry.source == EntrySource::Restored;
    let is_valid = is_installed || tick.wrapping_sub(entry.seen) <= ageing;
    assert_eq!(glance.target(tick, ageing), is_valid.then_some(entry.target), "{entry:?}");
    for target in targets() {
        let location = MacLocation::new(entry.domain, target);
        let is_here = !is_hint && target == entry.target;
        assert_eq!(glance.is_at(location, tick, ageing), is_valid && is_here, "{entry:?}");
        let is_known = is_here && (is_installed || entry.seen == tick);
        assert_eq!(glance.is_known_at(location, tick), is_known, "{entry:?}");
    }
}

fn run(fdb: &Fdb, start: u16, steps: &[GlancedStep]) {
    let mut now = start;
    for step in steps {
        now = now.wrapping_add(step.wait);
        act(fdb, &step.change, now);
        let tick = now.wrapping_sub(step.behind);
        let mut alike: HashMap<_, Vec<_>> = HashMap::new();
        fdb.for_each(|entry| {
            alike.entry((entry.domain.number() & 0xffff, entry.mac.to_bits())).or_default().push(entry);
        });
        for domain in DOMAINS {
            for number in 0..MACS {
                check_truth(fdb, fdb.key(domain, mac(number)), tick, step.ageing);
            }
        }
        // The empty slot is alike to one of them.
        let plain = alike.iter().filter(|(alike, entries)| **alike != (0, 0) && entries.len() == 1);
        for entry in plain.flat_map(|(_, entries)| entries) {
            check_plainness(fdb, entry, tick, step.ageing);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn a_glance_agrees_with_the_full_path(
        homes in prop::sample::select(&[1, 3, 64][..]),
        start in prop_oneof![Just(65_400), any::<u16>()],
        steps in prop::collection::vec(step(), 0..100),
    ) {
        run(&Fdb::with_homes(homes, 20, FIXED_SEED), start, &steps);
    }
}

#[test]
fn no_mac_is_at_a_location_that_the_table_cannot_hold() {
    let fdb = Fdb::with_capacity(1000);
    let domain = DomainId::new(1);
    let key = fdb.key(domain, mac(7));
    fdb.learn(key, target(1, 0xf_ffff), 0, || true);
    // Cut to what a slot has room for it would be the target above.
    let unknown = Target { peer: PeerId::new(u32::MAX), ..target(1, 0) };
    assert_eq!(MacLocation::new(domain, unknown), MacLocation::NOWHERE);
    let glance = fdb.view().glance(&key).unwrap();
    assert!(!glance.is_at(MacLocation::NOWHERE, 0, AGEING) && !glance.is_known_at(MacLocation::NOWHERE, 0));
}

#[test]
fn a_buckets_own_words_are_not_taken_for_a_slot() {
    let fdb = Fdb::with_homes(1, 8, FIXED_SEED);
    let keys =
        [(1, 7), (6, 0), (0x01_0006, 0), (1, 8)].map(|(domain, number)| fdb.key(DomainId::new(domain), mac(number)));
    for key in keys {
        fdb.learn(key, target(1, 1), 0, || true);
    }
    let [version, home] = [0, 1].map(|at| words(&fdb)[fdb.first + at]);
    assert_eq!((version, home), (6, 1), "as the first word of two slots, and as an occupied slot's second");
    for key in keys {
        check_truth(&fdb, key, 0, AGEING);
    }
}
