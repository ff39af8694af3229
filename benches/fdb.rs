//! What the FDB costs a frame: looked up, one by one and in bursts, in tables of all sizes; learned again.

use std::hint::black_box;

use criterion::{Bencher, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use transload::fdb::{DEFAULT_CAPACITY, Fdb, Key, LearnOutcome};
use transload::forwarding::{DomainId, Target};
use transload::io::prefetch;
use transload_encaps::Mac;

const DOMAIN: DomainId = DomainId::new(7);
const AGEING: u16 = 300;
const BURST: usize = 32;
const SIZES: [usize; 4] = [1, 1_000, 100_000, 1_000_000];

/// A table of so many MACs, and those MACs in an order that no prefetcher guesses.
fn filled(macs: usize) -> (Fdb, Vec<Mac>) {
    let fdb = Fdb::with_capacity(macs.max(DEFAULT_CAPACITY));
    let mut random = 1_u64;
    let mut all = Vec::new();
    while all.len() < macs {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mac = Mac::from_bits(random >> 16);
        if fdb.learn(fdb.key(DOMAIN, mac), Target::from_bits(1), 0, || true) == LearnOutcome::New {
            all.push(mac);
        }
    }
    // Learned in one order, asked for in another.
    all.sort_unstable_by_key(|mac| mac.to_bits().wrapping_mul(0x9e37_79b9_7f4a_7c15));
    (fdb, all)
}

fn one_by_one(bencher: &mut Bencher<'_>, fdb: &Fdb, macs: &[Mac], mut act: impl FnMut(&Fdb, Key)) {
    let mut turn = macs.iter().cycle();
    bencher.iter(|| {
        for &mac in turn.by_ref().take(BURST) {
            act(fdb, fdb.key(DOMAIN, mac));
        }
    });
}

fn in_bursts(bencher: &mut Bencher<'_>, fdb: &Fdb, macs: &[Mac], mut act: impl FnMut(&Fdb, Key)) {
    let mut turn = macs.iter().cycle();
    let mut keys = Vec::with_capacity(BURST);
    bencher.iter(|| {
        keys.clear();
        keys.extend(turn.by_ref().take(BURST).map(|&mac| fdb.key(DOMAIN, mac)));
        let view = fdb.view();
        keys.iter().filter_map(|key| view.line(key)).for_each(prefetch);
        for &key in &keys {
            act(fdb, key);
        }
    });
}

fn look_up(fdb: &Fdb, key: Key) {
    black_box(fdb.lookup(key, 1, AGEING));
}

fn learn_again(fdb: &Fdb, key: Key) {
    black_box(fdb.learn(key, Target::from_bits(1), 0, || true));
}

fn fdb(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("fdb");
    group.throughput(Throughput::Elements(BURST as u64));
    for size in SIZES {
        let (fdb, macs) = filled(size);
        let absent: Vec<_> = macs.iter().map(|mac| Mac::from_bits(mac.to_bits() ^ 1)).collect();
        let mut bench = |name, run: &dyn Fn(&mut Bencher<'_>)| {
            group.bench_function(BenchmarkId::new(name, size), |bencher| run(bencher));
        };
        bench("lookup hit", &|bencher| one_by_one(bencher, &fdb, &macs, look_up));
        bench("lookup hit, burst", &|bencher| in_bursts(bencher, &fdb, &macs, look_up));
        bench("lookup miss, burst", &|bencher| in_bursts(bencher, &fdb, &absent, look_up));
        bench("learn known", &|bencher| one_by_one(bencher, &fdb, &macs, learn_again));
        bench("learn known, burst", &|bencher| in_bursts(bencher, &fdb, &macs, learn_again));
    }
    group.finish();
}

criterion_group!(benches, fdb);
criterion_main!(benches);
