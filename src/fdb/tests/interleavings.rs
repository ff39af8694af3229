//! Every order of events between two threads, and every old value a relaxed load may still see, tried by loom.
//!
//! A thread that finds the other one at work gives up sooner or later; what must hold is what the tests say.

use loom::model::Builder;
use loom::sync::Arc;
use loom::thread::{self, JoinHandle};

use super::{mac, target};
use crate::fdb::{Entry, EntrySource, FIXED_SEED, Fdb, Key, LearnOutcome, MacLocation};
use crate::forwarding::{DomainId, Target};

const BLUE: DomainId = DomainId::new(1);
/// Told from blue by the first word of a slot only.
const GREEN: DomainId = DomainId::new(2);
/// Told from blue by the second word of a slot only.
const FAR_BLUE: DomainId = DomainId::new(0xff_0001);
const AGEING: u16 = 300;

/// One home bucket, one to spill into.
fn small() -> Arc<Fdb> {
    Arc::new(Fdb::with_homes(1, 3, FIXED_SEED))
}

/// Three home buckets.
fn wide() -> Arc<Fdb> {
    Arc::new(Fdb::with_homes(3, 7, FIXED_SEED))
}

fn of_home(fdb: &Fdb, home: usize, count: usize) -> Vec<Key> {
    (0..).map(|number| fdb.key(BLUE, mac(number))).filter(|key| key.home() == home).take(count).collect()
}

fn here() -> Target {
    target(1, 1)
}

fn there() -> Target {
    target(2, 2)
}

fn learn(fdb: &Fdb, key: Key, target: Target, tick: u16) -> LearnOutcome {
    fdb.learn(key, target, tick, || true)
}

fn lookup(fdb: &Fdb, key: Key) -> Option<Target> {
    fdb.lookup(key, 1, AGEING)
}

fn glance(fdb: &Fdb, key: Key) -> Option<Target> {
    fdb.view().glance(&key)?.target(1, AGEING)
}

/// A way to ask where a MAC lives.
type Look = fn(&Fdb, Key) -> Option<Target>;

fn entries(fdb: &Fdb) -> Vec<Entry> {
    let mut all = Vec::new();
    fdb.for_each(|entry| all.push(entry));
    assert_eq!(all.len(), fdb.len());
    all
}

/// A fault that needs a thread to be interrupted more often than this is not looked for: it would take days.
const INTERRUPTIONS: usize = 2;

fn model(run: impl Fn() + Send + Sync + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(INTERRUPTIONS));
    builder.check(run);
}

fn meanwhile<T: 'static>(fdb: &Arc<Fdb>, act: impl FnOnce(&Fdb) -> T + 'static) -> JoinHandle<T> {
    let fdb = fdb.clone();
    thread::spawn(move || act(&fdb))
}

#[test]
fn two_threads_that_learn_one_mac_make_one_entry() {
    model(|| {
        let fdb = small();
        let key = fdb.key(BLUE, mac(7));
        let other = meanwhile(&fdb, move |fdb| learn(fdb, key, there(), 0));
        let ours = learn(&fdb, key, here(), 0);
        let theirs = other.join().unwrap();

        let expected = match (ours, theirs) {
            (LearnOutcome::New, LearnOutcome::Busy) => here(),
            (LearnOutcome::Busy, LearnOutcome::New) => there(),
            (LearnOutcome::New, LearnOutcome::Moved { from }) if from == here() => there(),
            (LearnOutcome::Moved { from }, LearnOutcome::New) if from == there() => here(),
            neither => panic!("{neither:?}"),
        };
        assert_eq!(lookup(&fdb, key), Some(expected));
        assert_eq!(entries(&fdb).len(), 1);
    });
}

#[test]
fn a_mac_that_moves_is_found_at_the_old_or_the_new_place() {
    model(|| {
        let fdb = small();
        let key = fdb.key(BLUE, mac(7));
        learn(&fdb, key, here(), 0);
        let mover = meanwhile(&fdb, move |fdb| learn(fdb, key, there(), 1));

        let found = lookup(&fdb, key);
        assert!([Some(here()), Some(there())].contains(&found), "{found:?}");
        assert_eq!(mover.join().unwrap(), LearnOutcome::Moved { from: here() });
        assert_eq!(lookup(&fdb, key), Some(there()));
    });
}

#[test]
fn two_threads_that_move_a_mac_agree_on_where_it_came_from() {
    model(|| {
        let fdb = small();
        let key = fdb.key(BLUE, mac(7));
        learn(&fdb, key, here(), 0);
        let other = meanwhile(&fdb, move |fdb| learn(fdb, key, there(), 1));
        let ours = learn(&fdb, key, target(3, 3), 1);
        let theirs = other.join().unwrap();

        let moved = |from| LearnOutcome::Moved { from };
        let expected = match (ours, theirs) {
            (ours, LearnOutcome::Busy) if ours == moved(here()) => target(3, 3),
            (LearnOutcome::Busy, theirs) if theirs == moved(here()) => there(),
            (ours, theirs) if ours == moved(here()) && theirs == moved(target(3, 3)) => there(),
            (ours, theirs) if ours == moved(there()) && theirs == moved(here()) => target(3, 3),
            neither => panic!("{neither:?}"),
        };
        assert_eq!(lookup(&fdb, key), Some(expected));
    });
}

/// A slot goes from a MAC of blue's to one of another domain's, and somebody looks for the one or the other.
fn hand_over(other: DomainId, look_for: DomainId, look: Look) {
    model(move || {
        let fdb = small();
        let [old, new] = [BLUE, other].map(|domain| fdb.key(domain, mac(7)));
        learn(&fdb, old, here(), 0);
        let writer = meanwhile(&fdb, move |fdb| {
            fdb.remove(old);
            learn(fdb, new, there(), 0)
        });
        let found = look(&fdb, fdb.key(look_for, mac(7)));
        let own = if look_for == BLUE { here() } else { there() };
        assert!([None, Some(own)].contains(&found), "{look_for:?} found at {found:?}");
        assert_eq!(writer.join().unwrap(), LearnOutcome::New);
    });
}

#[test]
fn a_slot_that_changes_hands_never_shows_another_domains_target() {
    for look in [lookup as Look, glance] {
        hand_over(GREEN, BLUE, look);
        hand_over(GREEN, GREEN, look);
        hand_over(FAR_BLUE, BLUE, look);
        hand_over(FAR_BLUE, FAR_BLUE, look);
    }
}

/// Its first word is that of an empty slot, and its second one is alike to any in a domain of its high bits.
#[test]
fn mac_zero_of_domain_zero_is_not_found_in_a_slot_that_is_filled_or_emptied() {
    for look in [lookup as Look, glance] {
        model(move || {
            let fdb = small();
            let [zero, other] = [0, 1].map(|domain| fdb.key(DomainId::new(domain), mac(0)));
            // Of empty slots a glance would look at the third one.
            for number in [1, 2] {
                learn(&fdb, fdb.key(BLUE, mac(number)), there(), 0);
            }
            let writer = meanwhile(&fdb, move |fdb| {
                learn(fdb, other, here(), 0);
                fdb.remove(other)
            });
            assert_eq!(look(&fdb, zero), None);
            assert!(writer.join().unwrap().is_some());
        });
    }
}

#[test]
fn a_glance_at_a_mac_that_moves_sees_the_old_or_the_new_place() {
    model(|| {
        let fdb = small();
        let key = fdb.key(BLUE, mac(7));
        learn(&fdb, key, here(), 0);
        let mover = meanwhile(&fdb, move |fdb| learn(fdb, key, there(), 1));

        // Moves do not touch the version.
        let seen = fdb.view().glance(&key).unwrap();
        let locations = [here(), there()].map(|target| MacLocation::new(BLUE, target));
        let known = locations.map(|location| seen.is_known_at(location, 1));
        match seen.target(1, AGEING) {
            Some(target) if target == here() => assert_eq!(known, [false, false], "last seen there before"),
            Some(target) if target == there() => assert_eq!(known, [false, true]),
            neither => panic!("{neither:?}"),
        }
        assert_eq!(mover.join().unwrap(), LearnOutcome::Moved { from: here() });
        assert_eq!(glance(&fdb, key), Some(there()));
    });
}

#[test]
fn a_glance_at_a_mac_that_is_refreshed_sees_it_where_it_is() {
    model(|| {
        let fdb = small();
        let key = fdb.key(BLUE, mac(7));
        let location = MacLocation::new(BLUE, here());
        learn(&fdb, key, here(), 0);
        let learner = meanwhile(&fdb, move |fdb| learn(fdb, key, here(), 1));

        let seen = fdb.view().glance(&key).unwrap();
        assert!(seen.is_at(location, 1, AGEING));
        assert_ne!(seen.is_known_at(location, 0), seen.is_known_at(location, 1), "it was seen then or now");
        assert_eq!(learner.join().unwrap(), LearnOutcome::Known);
        assert!(fdb.view().glance(&key).unwrap().is_known_at(location, 1));
    });
}

#[test]
fn a_glance_at_a_mac_that_is_swept_and_comes_back_sees_where_it_was_or_is() {
    model(|| {
        let fdb = small();
        let key = fdb.key(BLUE, mac(7));
        learn(&fdb, key, here(), 0);
        let sweeper = meanwhile(&fdb, move |fdb| {
            assert_eq!(fdb.sweep(0..fdb.buckets(), |_| false), 1);
            learn(fdb, key, there(), 1)
        });

        let seen = glance(&fdb, key);
        assert!([None, Some(here()), Some(there())].contains(&seen), "{seen:?}");
        assert_eq!(sweeper.join().unwrap(), LearnOutcome::New);
        assert_eq!(glance(&fdb, key), Some(there()));
    });
}

/// Of five MACs of one home two are in the next bucket. One of the five leaves, or has left and another one comes in its
/// place.
#[test]
fn a_glance_at_macs_that_have_spilled_sees_each_in_its_own_place() {
    const COMING: usize = 5;
    let place = |number: usize| target(number as u16, 1);
    for (leaving, look_for) in [(0, 4), (3, 3), (3, 4), (0, COMING), (3, COMING)] {
        model(move || {
            let fdb = wide();
            let keys = of_home(&fdb, 0, 6);
            for (number, &key) in keys.iter().enumerate().take(COMING) {
                learn(&fdb, key, place(number), 0);
            }
            let (leaver, comer) = (keys[leaving], keys[COMING]);
            let comes = look_for == COMING;
            if comes {
                fdb.remove(leaver);
            }
            let writer = meanwhile(&fdb, move |fdb| {
                if comes {
                    learn(fdb, comer, place(COMING), 1) == LearnOutcome::New
                } else {
                    fdb.remove(leaver).is_some()
                }
            });

            for number in [look_for, 4] {
                let seen = glance(&fdb, keys[number]);
                assert!([None, Some(place(number))].contains(&seen), "{number} at {seen:?}");
            }
            assert!(writer.join().unwrap());
            assert_eq!(glance(&fdb, keys[look_for]), (look_for != leaving).then(|| place(look_for)));
        });
    }
}

/// They are in the second and the third slot of one bucket, with the same first word.
#[test]
fn a_glance_never_takes_a_mac_for_its_like_in_a_domain_alike() {
    for look_for in [BLUE, FAR_BLUE] {
        model(move || {
            let fdb = small();
            let [first, second, third] = [GREEN, BLUE, FAR_BLUE].map(|domain| fdb.key(domain, mac(7)));
            learn(&fdb, first, target(3, 3), 0);
            learn(&fdb, second, here(), 0);
            let writer = meanwhile(&fdb, move |fdb| {
                let learned = learn(fdb, third, there(), 1);
                fdb.remove(second);
                learned
            });

            let key = fdb.key(look_for, mac(7));
            let (own, others) = if look_for == BLUE { (here(), there()) } else { (there(), here()) };
            if let Some(seen) = fdb.view().glance(&key) {
                assert!([None, Some(own)].contains(&seen.target(1, AGEING)), "{seen:?}");
                assert!(!seen.is_at(MacLocation::new(look_for, others), 1, AGEING), "{seen:?}");
                assert!(!seen.is_known_at(MacLocation::new(look_for, others), 1), "{seen:?}");
            }
            assert_eq!(writer.join().unwrap(), LearnOutcome::New);
            assert_eq!([second, third].map(|key| glance(&fdb, key)), [None, Some(there())]);
        });
    }
}

#[test]
fn a_mac_that_is_seen_while_it_is_removed_is_not_raised_from_the_dead() {
    model(|| {
        let fdb = small();
        let key = fdb.key(BLUE, mac(7));
        learn(&fdb, key, here(), 0);
        let remover = meanwhile(&fdb, move |fdb| fdb.remove(key));
        let learned = learn(&fdb, key, here(), 1);

        assert!(remover.join().unwrap().is_some());
        let left = usize::from(learned == LearnOutcome::New);
        assert!([LearnOutcome::New, LearnOutcome::Known, LearnOutcome::Busy].contains(&learned), "{learned:?}");
        assert_eq!(entries(&fdb).len(), left);
        assert_eq!(lookup(&fdb, key).is_some(), left == 1);
    });
}

#[test]
fn a_swept_mac_is_out_even_if_it_is_seen_or_moves_meanwhile() {
    for place in [here(), there()] {
        model(move || {
            let fdb = small();
            let key = fdb.key(BLUE, mac(7));
            learn(&fdb, key, here(), 0);
            let learner = meanwhile(&fdb, move |fdb| learn(fdb, key, place, 1));
            let mut refused = 0;
            let removed = fdb.sweep(0..fdb.buckets(), |entry| {
                refused += usize::from(entry.seen == 0);
                entry.seen != 0
            });
            let learned = learner.join().unwrap();

            assert_eq!(removed, refused);
            let left = 1 - removed + usize::from(learned == LearnOutcome::New);
            assert_eq!(entries(&fdb).len(), left);
            assert_eq!(lookup(&fdb, key).is_some(), left == 1);
        });
    }
}

#[test]
fn a_learned_mac_that_is_pinned_stays_pinned() {
    model(|| {
        let fdb = small();
        let key = fdb.key(BLUE, mac(7));
        let learner = meanwhile(&fdb, move |fdb| learn(fdb, key, there(), 0));
        let replaced = fdb.install(key, here(), EntrySource::File).unwrap();
        let learned = learner.join().unwrap();

        assert_eq!(replaced.is_some(), learned == LearnOutcome::New);
        assert!([LearnOutcome::New, LearnOutcome::Static, LearnOutcome::Busy].contains(&learned), "{learned:?}");
        assert_eq!(lookup(&fdb, key), Some(here()));
        assert!(matches!(entries(&fdb)[..], [Entry { source: EntrySource::File, .. }]));
    });
}

/// The home of one thread's MAC is full; it spills to where the other's has its home, and there is one slot left.
#[test]
fn macs_of_two_homes_that_want_one_slot_both_get_one() {
    model(|| {
        let fdb = wide();
        let mut crowd = of_home(&fdb, 0, 4);
        let spilled = crowd.pop().unwrap();
        let mut neighbours = of_home(&fdb, 1, 3);
        let neighbour = neighbours.pop().unwrap();
        for &key in crowd.iter().chain(&neighbours) {
            learn(&fdb, key, here(), 0);
        }
        let other = meanwhile(&fdb, move |fdb| learn(fdb, neighbour, there(), 0));
        let ours = learn(&fdb, spilled, there(), 0);
        let theirs = other.join().unwrap();

        for (key, learned) in [(spilled, ours), (neighbour, theirs)] {
            assert!([LearnOutcome::New, LearnOutcome::Full, LearnOutcome::Busy].contains(&learned), "{learned:?}");
            assert_eq!(lookup(&fdb, key).is_some(), learned == LearnOutcome::New);
        }
        assert!([ours, theirs].contains(&LearnOutcome::New));
        assert_ne!(theirs, LearnOutcome::Full, "the neighbour can spill further");
    });
}

#[test]
fn a_spilled_mac_stays_found_when_another_one_leaves() {
    model(|| {
        let fdb = wide();
        let crowd = of_home(&fdb, 0, 5);
        for &key in &crowd {
            learn(&fdb, key, here(), 0);
        }
        let (at_home, leaving, staying) = (crowd[0], crowd[3], crowd[4]);
        let remover = meanwhile(&fdb, move |fdb| {
            fdb.remove(leaving);
            fdb.remove(at_home);
        });
        let learned = learn(&fdb, staying, here(), 1);
        assert!([LearnOutcome::Known, LearnOutcome::Busy].contains(&learned), "{learned:?}");
        remover.join().unwrap();
        assert_eq!(lookup(&fdb, staying), Some(here()));
        assert_eq!(entries(&fdb).len(), 3);
    });
}
