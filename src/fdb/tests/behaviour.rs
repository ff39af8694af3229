//! What the FDB promises, one promise a test.

use super::{mac, target};
use crate::fdb::{
    DEFAULT_CAPACITY, Entry, EntrySource, Fdb, Full, Key, LearnOutcome, MAX_AGEING, REACH, bucket, sync::AtomicU64,
};
use crate::forwarding::{DomainId, Target};

const BLUE: DomainId = DomainId::new(1);
const GREEN: DomainId = DomainId::new(2);
/// Differs from blue in the high 8 bits only, which are in another word than the rest.
const FAR_BLUE: DomainId = DomainId::new(0xff_0001);
const AGEING: u16 = 300;

fn yes() -> bool {
    true
}

fn never() -> bool {
    panic!("admit was asked for a MAC that is in the table")
}

fn entries(fdb: &Fdb) -> Vec<Entry> {
    let mut all = Vec::new();
    fdb.for_each(|entry| all.push(entry));
    all
}

/// Numbers whose MACs have the same home, at most three of which fit there.
fn of_one_home(fdb: &Fdb, count: usize) -> Vec<Key> {
    let first = fdb.key(BLUE, mac(0));
    (0..).map(|number| fdb.key(BLUE, mac(number))).filter(|key| key.home() == first.home()).take(count).collect()
}

fn is_clean(fdb: &Fdb) -> bool {
    fdb.words.iter().skip(fdb.first).step_by(bucket::WORDS).all(is_even)
        && fdb.words.iter().skip(fdb.first + 1).step_by(bucket::WORDS).all(|home| relaxed(home) == 0)
}

fn is_even(word: &AtomicU64) -> bool {
    relaxed(word).is_multiple_of(2)
}

fn relaxed(word: &AtomicU64) -> u64 {
    word.load(std::sync::atomic::Ordering::Relaxed)
}

#[test]
fn a_bucket_is_a_cache_line_and_a_mac_costs_at_most_48_bytes() {
    let fdb = Fdb::with_capacity(DEFAULT_CAPACITY);
    assert_eq!(bucket::WORDS * size_of::<AtomicU64>(), 64);
    assert_eq!(std::ptr::from_ref(fdb.lines(0).first().unwrap()).addr() % 64, 0);
    assert_eq!(fdb.lines(0).len(), fdb.buckets());
    for capacity in [752, 1000, 1 << 16, DEFAULT_CAPACITY] {
        let buckets = Fdb::with_capacity(capacity).buckets();
        assert!(buckets * 64 <= 48 * capacity, "{buckets} buckets for {capacity}");
    }
}

#[test]
fn a_key_gives_back_what_it_was_made_of() {
    let fdb = Fdb::with_capacity(1000);
    let key = fdb.key(DomainId::new(0xab_cdef), mac(0x0200_0000_0007));
    assert_eq!((key.domain(), key.mac()), (DomainId::new(0xab_cdef), mac(0x0200_0000_0007)));
    assert!(key.home() < fdb.homes);
}

#[test]
fn a_learned_mac_is_found_in_its_own_domain_only() {
    let fdb = Fdb::with_capacity(1000);
    let widest = target(0xfff, 0xf_ffff);
    assert_eq!(fdb.learn(fdb.key(BLUE, mac(7)), widest, 0, yes), LearnOutcome::New);
    assert_eq!(fdb.lookup(fdb.key(BLUE, mac(7)), 0, AGEING), Some(widest));
    for other in [GREEN, FAR_BLUE, DomainId::new(0), DomainId::new(0xff_ffff)] {
        assert_eq!(fdb.lookup(fdb.key(other, mac(7)), 0, AGEING), None, "{other:?}");
    }
    assert_eq!(fdb.lookup(fdb.key(BLUE, mac(8)), 0, AGEING), None);
}

#[test]
fn domains_may_use_the_same_macs() {
    let fdb = Fdb::with_capacity(1000);
    for (place, domain) in (0..).zip([BLUE, GREEN, FAR_BLUE]) {
        assert_eq!(fdb.learn(fdb.key(domain, mac(7)), target(place, 9), 0, yes), LearnOutcome::New);
    }
    for (place, domain) in (0..).zip([BLUE, GREEN, FAR_BLUE]) {
        assert_eq!(fdb.lookup(fdb.key(domain, mac(7)), 0, AGEING), Some(target(place, 9)));
    }
}

#[test]
fn two_domains_in_one_bucket_are_told_apart_by_their_high_bits() {
    let fdb = Fdb::with_capacity(2);
    assert_eq!(fdb.homes, 1, "the two have the same home and the same first word");
    assert_eq!(fdb.learn(fdb.key(BLUE, mac(7)), target(1, 1), 0, yes), LearnOutcome::New);
    assert_eq!(fdb.lookup(fdb.key(FAR_BLUE, mac(7)), 0, AGEING), None);
    assert_eq!(fdb.learn(fdb.key(FAR_BLUE, mac(7)), target(2, 2), 0, yes), LearnOutcome::New);
    assert_eq!(fdb.lookup(fdb.key(BLUE, mac(7)), 0, AGEING), Some(target(1, 1)));
}

#[test]
fn mac_zero_of_domain_zero_is_a_mac_like_any_other() {
    let fdb = Fdb::with_capacity(2);
    let key = fdb.key(DomainId::new(0), mac(0));
    assert_eq!(fdb.lookup(key, 0, AGEING), None);
    assert_eq!(fdb.learn(key, target(0, 0), 0, yes), LearnOutcome::New);
    assert_eq!(fdb.lookup(key, 0, AGEING), Some(target(0, 0)));
}

#[test]
fn a_mac_that_is_seen_again_is_known_and_nobody_asks_to_admit_it() {
    let fdb = Fdb::with_capacity(1000);
    let key = fdb.key(BLUE, mac(7));
    assert_eq!(fdb.learn(key, target(1, 1), 10, yes), LearnOutcome::New);
    assert_eq!(fdb.learn(key, target(1, 1), 11, never), LearnOutcome::Known);
    assert_eq!(fdb.learn(key, target(2, 1), 12, never), LearnOutcome::Moved { from: target(1, 1) });
    assert_eq!(fdb.lookup(key, 12, AGEING), Some(target(2, 1)));
    assert_eq!(fdb.len(), 1);
}

#[test]
fn a_mac_that_is_not_admitted_is_not_learned() {
    let fdb = Fdb::with_capacity(1000);
    let key = fdb.key(BLUE, mac(7));
    assert_eq!(fdb.learn(key, target(1, 1), 0, || false), LearnOutcome::Refused);
    assert_eq!((fdb.lookup(key, 0, AGEING), fdb.len()), (None, 0));
    assert!(is_clean(&fdb));
    assert_eq!(fdb.learn(key, target(1, 1), 0, yes), LearnOutcome::New);
}

#[test]
fn a_silent_mac_expires_and_comes_back_in_its_own_place() {
    let fdb = Fdb::with_capacity(1000);
    let key = fdb.key(BLUE, mac(7));
    assert_eq!(fdb.learn(key, target(1, 1), 65_500, yes), LearnOutcome::New);
    assert_eq!(fdb.lookup(key, 264, AGEING), Some(target(1, 1)), "300 s later, across the wrap");
    assert_eq!(fdb.lookup(key, 265, AGEING), None, "301 s later");
    assert_eq!(fdb.learn(key, target(1, 1), 265, never), LearnOutcome::Known);
    assert_eq!(fdb.lookup(key, 265, AGEING), Some(target(1, 1)));
    assert_eq!(fdb.learn(key, target(2, 2), 1000, never), LearnOutcome::Moved { from: target(1, 1) });
    assert_eq!((fdb.lookup(key, 1000, AGEING), fdb.len()), (Some(target(2, 2)), 1));
}

#[test]
fn a_mac_that_another_worker_saw_a_moment_later_is_not_an_old_one() {
    let fdb = Fdb::with_capacity(1000);
    let key = fdb.key(BLUE, mac(7));
    assert_eq!(fdb.learn(key, target(1, 1), 1, yes), LearnOutcome::New);
    assert_eq!(fdb.lookup(key, 0, AGEING), Some(target(1, 1)));
    assert_eq!(fdb.lookup(key, 65_535, AGEING), Some(target(1, 1)));
    assert_eq!(fdb.learn(key, target(1, 1), 0, never), LearnOutcome::Known);
    assert_eq!(entries(&fdb).first().unwrap().seen, 1, "the later of the two");
}

#[test]
fn ageing_longer_than_the_clock_can_tell_is_cut() {
    let fdb = Fdb::with_capacity(1000);
    let key = fdb.key(BLUE, mac(7));
    assert_eq!(fdb.learn(key, target(1, 1), 0, yes), LearnOutcome::New);
    assert_eq!(fdb.lookup(key, MAX_AGEING, u16::MAX), Some(target(1, 1)));
    assert_eq!(fdb.lookup(key, MAX_AGEING + 1, u16::MAX), None);
    assert!(entries(&fdb).first().unwrap().is_expired(MAX_AGEING + 1, u16::MAX));
}

#[test]
fn a_held_mac_stays_where_it_is_until_it_is_let_go_or_falls_silent() {
    let fdb = Fdb::with_capacity(1000);
    let key = fdb.key(BLUE, mac(7));
    assert_eq!(fdb.hold(key, Some(target(1, 1))), None, "there is nothing to hold");
    assert_eq!(fdb.learn(key, target(1, 1), 0, yes), LearnOutcome::New);
    assert!(fdb.hold(key, Some(target(1, 1))).is_some_and(|entry| entry.is_held && entry.target == target(1, 1)));
    assert_eq!(fdb.learn(key, target(2, 2), 5, never), LearnOutcome::Held);
    assert_eq!(fdb.learn(key, target(1, 1), 6, never), LearnOutcome::Known);
    assert_eq!(entries(&fdb).first().map(|entry| (entry.seen, entry.is_held)), Some((6, true)), "it is refreshed");
    assert_eq!((fdb.lookup(key, 306, AGEING), fdb.lookup(key, 307, AGEING)), (Some(target(1, 1)), None), "it ages");
    assert!(fdb.hold(key, None).is_some_and(|entry| !entry.is_held));
    assert_eq!(fdb.learn(key, target(2, 2), 7, never), LearnOutcome::Moved { from: target(1, 1) });
    assert!(is_clean(&fdb));
}

#[test]
fn a_mac_is_held_where_control_says_and_not_where_it_is() {
    let fdb = Fdb::with_capacity(1000);
    let key = fdb.key(BLUE, mac(7));
    assert_eq!(fdb.learn(key, target(1, 1), 3, yes), LearnOutcome::New);
    let entry = fdb.hold(key, Some(target(2, 9))).expect("it is there");
    assert_eq!((entry.target, entry.seen, entry.is_held), (target(2, 9), 3, true));
    assert_eq!(entries(&fdb), [entry]);
    assert_eq!(fdb.lookup(key, 5, AGEING), Some(target(2, 9)));
    assert_eq!(fdb.learn(key, target(1, 1), 5, never), LearnOutcome::Held);
    assert!(is_clean(&fdb));
}

#[test]
fn a_static_mac_cannot_be_held() {
    let fdb = Fdb::with_capacity(1000);
    let key = fdb.key(BLUE, mac(7));
    assert_eq!(fdb.install(key, target(1, 1), EntrySource::File), Ok(None));
    assert_eq!(fdb.hold(key, Some(target(2, 2))), None);
    assert_eq!(fdb.learn(key, target(2, 2), 5, never), LearnOutcome::Static);
}

#[test]
fn a_static_mac_neither_moves_nor_ages() {
    let fdb = Fdb::with_capacity(1000);
    let key = fdb.key(BLUE, mac(7));
    assert_eq!(fdb.install(key, target(1, 1), EntrySource::File), Ok(None));
    assert_eq!(fdb.learn(key, target(2, 2), 5, never), LearnOutcome::Static);
    assert_eq!(fdb.learn(key, target(1, 1), 5, never), LearnOutcome::Known);
    assert_eq!(fdb.lookup(key, 40_000, AGEING), Some(target(1, 1)));
    let pinned =
        Entry { domain: BLUE, mac: mac(7), target: target(1, 1), seen: 0, source: EntrySource::File, is_held: false };
    assert_eq!(entries(&fdb), [pinned]);
    assert!(!pinned.is_expired(40_000, AGEING));
    assert_eq!(fdb.remove(key), Some(pinned));
    assert_eq!(fdb.learn(key, target(2, 2), 5, yes), LearnOutcome::New);
}

#[test]
fn pinning_takes_the_place_of_what_was_learned() {
    let fdb = Fdb::with_capacity(1000);
    let key = fdb.key(BLUE, mac(7));
    assert_eq!(fdb.learn(key, target(2, 2), 5, yes), LearnOutcome::New);
    let learned = Entry {
        domain: BLUE,
        mac: mac(7),
        target: target(2, 2),
        seen: 5,
        source: EntrySource::Learned,
        is_held: false,
    };
    assert_eq!(fdb.install(key, target(1, 1), EntrySource::File), Ok(Some(learned)));
    assert_eq!((fdb.lookup(key, 5, AGEING), fdb.len()), (Some(target(1, 1)), 1));
}

#[test]
fn a_removed_mac_is_gone_and_its_slot_is_used_again() {
    let fdb = Fdb::with_capacity(1000);
    let key = fdb.key(BLUE, mac(7));
    assert_eq!(fdb.remove(key), None);
    for round in 0..10 {
        assert_eq!(fdb.learn(key, target(1, round), 3, yes), LearnOutcome::New);
        assert_eq!(fdb.remove(key).map(|entry| (entry.target, entry.seen)), Some((target(1, round), 3)));
        assert_eq!((fdb.lookup(key, 3, AGEING), fdb.len()), (None, 0));
    }
    assert!(is_clean(&fdb));
}

#[test]
fn macs_that_spill_are_found_whichever_of_them_leave() {
    let fdb = Fdb::with_capacity(4000);
    let keys = of_one_home(&fdb, 3 * REACH);
    for (place, &key) in (0..).zip(&keys) {
        assert_eq!(fdb.learn(key, target(1, place), 0, yes), LearnOutcome::New);
    }
    let one_more = *of_one_home(&fdb, 3 * REACH + 1).last().unwrap();
    assert_eq!(fdb.learn(one_more, target(1, 1), 0, never), LearnOutcome::Full, "all buckets in reach are full");
    assert_eq!(fdb.install(one_more, target(1, 1), EntrySource::File), Err(Full));
    for (place, &key) in (0..).zip(&keys).step_by(2) {
        assert_eq!(fdb.remove(key).map(|entry| entry.target), Some(target(1, place)));
    }
    for (place, &key) in (0..).zip(&keys) {
        let expected = (place % 2 == 1).then_some(target(1, place));
        assert_eq!(fdb.lookup(key, 0, AGEING), expected, "{place}");
    }
    for &key in keys.iter().skip(1).step_by(2) {
        assert!(fdb.remove(key).is_some());
    }
    assert!(is_clean(&fdb));
}

#[test]
fn sweep_takes_out_what_is_refused_and_shows_each_entry_once() {
    let fdb = Fdb::with_capacity(4000);
    for number in 0..1000 {
        fdb.learn(fdb.key(BLUE, mac(number)), target(1, 1), number as u16, yes);
    }
    fdb.install(fdb.key(GREEN, mac(5)), target(3, 3), EntrySource::File).unwrap();
    let mut seen = 0;
    let mut removed = 0;
    for start in (0..fdb.buckets()).step_by(100) {
        removed += fdb.sweep(start..start + 100, |entry| {
            seen += 1;
            !entry.is_expired(1000, AGEING)
        });
    }
    assert_eq!((seen, removed, fdb.len()), (1001, 700, 301));
    assert!(entries(&fdb).iter().all(|entry| !entry.source.is_learned() || entry.seen >= 700));
    assert_eq!(fdb.sweep(0..usize::MAX, |_| false), 301);
    assert_eq!(fdb.sweep(usize::MAX - 1..usize::MAX, |_| false), 0);
    assert!(is_clean(&fdb) && fdb.is_empty());
}

/// Fills a table to its capacity and says how many MACs did not fit.
fn refused_when_filled(fdb: &Fdb, macs: impl Iterator<Item = (DomainId, u64)>) -> usize {
    macs.take(fdb.capacity())
        .filter(|&(domain, number)| fdb.learn(fdb.key(domain, mac(number)), target(1, 1), 0, yes) != LearnOutcome::New)
        .count()
}

/// Of random MACs, hardly one ever does not fit. These are always the same, so none.
#[test]
fn as_many_macs_as_the_capacity_says_fit_and_no_more() {
    for capacity in [1, 2, 3, 4, 10, 100, 150, 300, 1024, 8192, 65_536, DEFAULT_CAPACITY] {
        let fdb = Fdb::with_capacity(capacity);
        let mut random = 7_u64;
        let macs = std::iter::repeat_with(|| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (DomainId::new((random >> 16) as u32 & 0xff_ffff), random >> 16)
        });
        assert_eq!(refused_when_filled(&fdb, macs), 0, "capacity {capacity}");
        assert_eq!(fdb.len(), capacity);
        let one_more = fdb.key(BLUE, mac(1));
        assert_eq!(fdb.learn(one_more, target(1, 1), 0, never), LearnOutcome::Full);
        assert_eq!(fdb.install(one_more, target(1, 1), EntrySource::File), Err(Full));
    }
}

#[test]
fn macs_that_people_give_out_in_a_row_fit_as_well_as_random_ones() {
    for seed in [0, 1, u64::MAX, 0x1234_5678_9abc_def0] {
        let in_a_row = (0..).map(|number| (BLUE, 0x0200_0000_0000 | number));
        let far_apart = (0..).map(|number| (GREEN, number << 24));
        let in_many_domains =
            (0..).map(|number| (DomainId::new(number >> 4), 0x0200_0000_0000 | u64::from(number & 15)));
        let in_high_domains = (0..).map(|number| (DomainId::new((number & 0xff) << 16), u64::from(number >> 8)));
        let new = || Fdb::with_capacity_and_seed(65_536, seed);
        assert_eq!(refused_when_filled(&new(), in_a_row), 0);
        assert_eq!(refused_when_filled(&new(), far_apart), 0);
        assert_eq!(refused_when_filled(&new(), in_many_domains), 0);
        assert_eq!(refused_when_filled(&new(), in_high_domains), 0);
    }
}

#[test]
fn a_million_macs_are_found_and_a_million_others_are_not() {
    const MACS: u64 = 1_000_000;
    let place = |number: u64| Target::from_bits(number as u32);
    let fdb = Fdb::with_capacity(MACS as usize);
    for number in 0..MACS {
        assert_eq!(fdb.learn(fdb.key(BLUE, mac(number)), place(number), 0, yes), LearnOutcome::New);
    }
    for number in 0..MACS {
        assert_eq!(fdb.lookup(fdb.key(BLUE, mac(number)), 0, AGEING), Some(place(number)));
        assert_eq!(fdb.lookup(fdb.key(BLUE, mac(MACS + number)), 0, AGEING), None);
        assert_eq!(fdb.lookup(fdb.key(FAR_BLUE, mac(number)), 0, AGEING), None);
    }
}

#[test]
fn the_seed_decides_where_a_mac_has_its_home() {
    let [one, same, other] = [1, 1, 2].map(|seed| Fdb::with_capacity_and_seed(65_536, seed));
    let home = |fdb: &Fdb, number| fdb.key(BLUE, mac(number)).home();
    assert!((0..1000).all(|number| home(&one, number) == home(&same, number)));
    assert!((0..1000).filter(|&number| home(&one, number) == home(&other, number)).count() < 10);
    let [one, same] = [Fdb::with_capacity(65_536), Fdb::with_capacity(65_536)];
    assert!((0..1000).all(|number| home(&one, number) == home(&same, number)), "replay is the same each time");
}

#[test]
fn a_table_is_spread_once_nearly_all_of_its_pages_have_a_mac() {
    let fdb = Fdb::with_capacity(65_536);
    let pages = std::mem::size_of_val(fdb.memory()) as u64 / 4096;
    let mut used = std::collections::HashSet::new();
    for number in 0.. {
        if fdb.is_spread() {
            break;
        }
        assert!(number < 3 * pages, "it never is");
        let key = fdb.key(BLUE, mac(number));
        assert_eq!(fdb.learn(key, target(1, 1), 0, yes), LearnOutcome::New);
        used.insert(key.home() / 64);
    }
    assert!(used.len() as u64 * 100 > pages * 80, "{} of {pages} pages are used", used.len());
    assert!(!Fdb::with_capacity(1).is_spread(), "no table is when empty");
}

#[test]
fn a_restored_mac_gives_way_to_whatever_is_heard_and_is_counted_once() {
    for heard in [target(1, 1), target(2, 2)] {
        let fdb = Fdb::with_capacity(8);
        let key = fdb.key(BLUE, mac(7));
        assert!(fdb.restore(key, target(1, 1), 65_500, || true));
        assert!(!fdb.restore(key, target(2, 2), 0, || panic!("something is known of it")));
        assert_eq!(fdb.lookup(key, 20, 300), Some(target(1, 1)), "it forwards");
        assert_eq!(fdb.lookup(key, 20, 30), None, "and ages");
        assert_eq!(entries(&fdb)[0].source, EntrySource::Restored);
        assert_eq!(fdb.learn(key, heard, 20, || panic!("it is counted already")), LearnOutcome::New);
        let Entry { target: now, seen, source, .. } = entries(&fdb)[0];
        assert_eq!((now, seen, source), (heard, 20, EntrySource::Learned));
        assert_eq!(fdb.len(), 1);
    }
    let fdb = Fdb::with_capacity(8);
    let key = fdb.key(BLUE, mac(7));
    assert!(!fdb.restore(key, target(1, 1), 0, || false));
    assert!(fdb.is_empty(), "its tenant has no room");
    fdb.learn(key, target(1, 1), 5, || true);
    assert!(!fdb.restore(key, target(2, 2), 9, || true));
    assert_eq!(fdb.lookup(key, 5, 300), Some(target(1, 1)));
}
