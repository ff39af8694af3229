//! Real threads at one small table. Nothing here is measured in time: each thread does its share and stops.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::thread;

use super::{mac, target};
use crate::fdb::{EntrySource, Fdb, Key, LearnOutcome};
use crate::forwarding::{DomainId, Target};

const AGEING: u16 = 300;
/// They differ in either word of a slot, so that a torn read would show another's target.
const DOMAINS: [DomainId; 4] = [DomainId::new(1), DomainId::new(2), DomainId::new(0x01_0001), DomainId::new(0x01_0002)];
const MACS: u64 = 60;
const ROUNDS: u64 = 60_000;

/// A target that tells whose it is: its attachment names the domain, its peer the MAC.
fn own(domain: DomainId, number: u64, variant: u32) -> Target {
    let place = DOMAINS.iter().position(|&it| it == domain).unwrap();
    target(place as u16, number as u32 * 16 + variant)
}

fn is_own(domain: DomainId, number: u64, found: Target) -> bool {
    (0..16).any(|variant| own(domain, number, variant) == found)
}

fn anyone(random: &mut u64) -> (DomainId, u64) {
    (DOMAINS[next(random) as usize % DOMAINS.len()], next(random) % MACS)
}

fn next(random: &mut u64) -> u64 {
    *random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *random >> 24
}

fn learn_at_random(fdb: &Fdb, seed: u64, admitted: &AtomicI64) {
    let mut random = seed;
    for _ in 0..ROUNDS {
        let (domain, number) = anyone(&mut random);
        let place = own(domain, number, (next(&mut random) % 16) as u32);
        let learned = fdb.learn(fdb.key(domain, mac(number)), place, next(&mut random) as u16 % 100, || true);
        if learned == LearnOutcome::New {
            admitted.fetch_add(1, Ordering::Relaxed);
        }
        if let LearnOutcome::Moved { from } = learned {
            assert!(is_own(domain, number, from), "{domain:?} {number} moved from {from:?}");
        }
    }
}

fn lookup(fdb: &Fdb, key: Key) -> Option<Target> {
    fdb.lookup(key, 100, AGEING)
}

fn glance(fdb: &Fdb, key: Key) -> Option<Target> {
    fdb.view().glance(&key)?.target(100, AGEING)
}

fn look_at_random(
    fdb: &Fdb,
    seed: u64,
    stop: &AtomicBool,
    hits: &AtomicU64,
    look: impl Fn(&Fdb, Key) -> Option<Target>,
) {
    let mut random = seed;
    while !stop.load(Ordering::Relaxed) {
        let (domain, number) = anyone(&mut random);
        if let Some(found) = look(fdb, fdb.key(domain, mac(number))) {
            assert!(is_own(domain, number, found), "{domain:?} {number} found at {found:?}");
            hits.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn free_at_random(fdb: &Fdb, seed: u64, stop: &AtomicBool, admitted: &AtomicI64) {
    let mut random = seed;
    while !stop.load(Ordering::Relaxed) {
        let (domain, number) = anyone(&mut random);
        let key = fdb.key(domain, mac(number));
        match next(&mut random) % 3 {
            0 => {
                admitted.fetch_sub(i64::from(fdb.remove(key).is_some()), Ordering::Relaxed);
            }
            1 => {
                let place = own(domain, number, 0);
                if fdb.install(key, place, EntrySource::File) == Ok(None) {
                    admitted.fetch_add(1, Ordering::Relaxed);
                }
            }
            _ => {
                let mut refused = 0;
                let removed = fdb.sweep(0..fdb.buckets(), |entry| {
                    assert!(is_own(entry.domain, entry.mac.to_bits(), entry.target), "{entry:?}");
                    let keep = !next(&mut random).is_multiple_of(4);
                    refused += usize::from(!keep);
                    keep
                });
                assert_eq!(removed, refused, "a refusal is final");
                admitted.fetch_sub(i64::try_from(removed).unwrap(), Ordering::Relaxed);
            }
        }
    }
}

fn check_at_rest(fdb: &Fdb, admitted: &AtomicI64) {
    let mut found = HashMap::new();
    fdb.for_each(|entry| {
        let who = (entry.domain, entry.mac.to_bits());
        assert_eq!(found.insert(who, entry), None, "two entries of one MAC");
    });
    assert_eq!(i64::try_from(found.len()).unwrap(), admitted.load(Ordering::Relaxed), "what came less what went");
    assert_eq!(found.len(), fdb.len());
    for ((domain, number), entry) in found {
        let key = fdb.key(domain, mac(number));
        assert_eq!(fdb.lookup(key, 100, AGEING), Some(entry.target), "each entry can be found");
        assert!(fdb.remove(key).is_some());
    }
    assert!(fdb.words.iter().skip(fdb.first + 1).step_by(8).all(|home| home.load(Ordering::Relaxed) == 0));
}

/// All MACs share few homes, so that they spill over each other.
#[test]
fn threads_that_learn_look_up_and_free_at_once_agree_in_the_end() {
    for (homes, capacity, seed) in [(4, 8, 1), (100, 300, 2), (1000, 2000, 3)] {
        let fdb = Fdb::with_homes(homes, capacity, seed);
        let (stop, admitted) = (AtomicBool::new(false), AtomicI64::new(0));
        let [hits, glance_hits] = [AtomicU64::new(0), AtomicU64::new(0)];
        thread::scope(|scope| {
            let learners = [11, 12, 13].map(|seed| {
                scope.spawn({
                    let (fdb, admitted) = (&fdb, &admitted);
                    move || learn_at_random(fdb, seed, admitted)
                })
            });
            scope.spawn(|| look_at_random(&fdb, 21, &stop, &hits, lookup));
            scope.spawn(|| look_at_random(&fdb, 22, &stop, &glance_hits, glance));
            scope.spawn(|| free_at_random(&fdb, 31, &stop, &admitted));
            scope.spawn(|| free_at_random(&fdb, 32, &stop, &admitted));
            let ends = learners.map(thread::ScopedJoinHandle::join);
            stop.store(true, Ordering::Relaxed);
            assert!(ends.iter().all(Result::is_ok));
        });
        for hits in [hits, glance_hits] {
            assert_ne!(hits.load(Ordering::Relaxed), 0, "somebody found something");
        }
        check_at_rest(&fdb, &admitted);
    }
}

#[test]
fn of_threads_that_learn_the_same_macs_only_one_learns_each_as_new() {
    let fdb = Fdb::with_capacity(3000);
    let learners: u64 = 4;
    let new = AtomicU64::new(0);
    thread::scope(|scope| {
        for _ in 0..learners {
            scope.spawn(|| {
                for number in 0..3000 {
                    let key = fdb.key(DomainId::new(1), mac(number));
                    let mut tries = std::iter::repeat_with(|| fdb.learn(key, target(1, 1), 0, || true));
                    if tries.find(|&learned| learned != LearnOutcome::Busy) == Some(LearnOutcome::New) {
                        new.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    assert_eq!((new.load(Ordering::Relaxed), fdb.len()), (3000, 3000));
}
