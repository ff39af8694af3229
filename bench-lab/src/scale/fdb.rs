//! The FDB, full: what a lookup and a learned address cost, and how many bytes each takes.

use std::hint::black_box;
use std::time::Instant;

use transload::fdb::{Fdb, Key, LearnOutcome};
use transload::forwarding::{DomainId, Target};
use transload::io::prefetch;
use transload_encaps::Mac;

const DOMAIN: DomainId = DomainId::new(7);
const BURST: usize = 32;
const LOOKUPS: usize = 2_000_000;
const BUCKET: usize = 64;

/// Nanoseconds of a lookup and of learning an address, millions learned a second, and bytes of an address, in a table
/// made for `macs` that holds as many.
pub(super) fn costs(macs: u64) -> Vec<f64> {
    let fdb = Fdb::with_capacity(macs as usize);
    let mut keys: Vec<_> = (0..macs).map(|number| fdb.key(DOMAIN, Mac::from_bits(scatter(number) >> 16))).collect();
    let begin = Instant::now();
    let mut learned = 0_u64;
    in_bursts(&fdb, keys.iter().copied(), |key| {
        learned += u64::from(fdb.learn(key, Target::from_bits(1), 0, || true) == LearnOutcome::New);
    });
    let learn = begin.elapsed().as_secs_f64() / macs as f64;
    // Learned in one order, asked for in another.
    let mut order: Vec<_> = (0..macs).collect();
    order.sort_unstable_by_key(|&number| scatter(number ^ 0x5555_5555));
    keys = order.into_iter().map(|number| keys[number as usize]).collect();
    let begin = Instant::now();
    in_bursts(&fdb, keys.iter().cycle().copied().take(LOOKUPS), |key| {
        black_box(fdb.lookup(key, 1, 300));
    });
    let lookup = begin.elapsed().as_secs_f64() / LOOKUPS as f64;
    let bytes = (fdb.buckets() * BUCKET) as f64 / learned as f64;
    vec![lookup * 1e9, learn * 1e9, 1e-6 / learn, bytes]
}

/// As the data path does it: what a burst will read is fetched first.
fn in_bursts(fdb: &Fdb, mut keys: impl Iterator<Item = Key>, mut act: impl FnMut(Key)) {
    let mut burst = Vec::with_capacity(BURST);
    loop {
        burst.clear();
        burst.extend(keys.by_ref().take(BURST));
        if burst.is_empty() {
            return;
        }
        let view = fdb.view();
        burst.iter().filter_map(|key| view.line(key)).for_each(prefetch);
        for &key in &burst {
            act(key);
        }
    }
}

/// A different number for every number, in no order.
fn scatter(number: u64) -> u64 {
    (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}
