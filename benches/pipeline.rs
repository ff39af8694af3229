//! The whole pipeline on frames in memory: receive, classify, decap, bridge, encap, transmit.
//!
//! What is reported is the gateway's own cost: the ports that make and swallow the frames are measured by themselves,
//! in turns with the gateway, and taken off. What counts is the thread's CPU time, not what others take. Words on the
//! command line choose tenants, and how long the chunks are that frames lie in: `-- vxlan-nvgre chunk=4096`. Where MACs
//! are spread over the whole table, it is in huge pages, as in a gateway that has run for long.

mod gateway;

use std::sync::Barrier;
use std::thread;

use rustix::time::{ClockId, clock_gettime};

use gateway::{CHUNK, Case, Gateway, TENANTS, TICK, Tenant, with_ports_alone};
use transload::dataplane::Burst;

const MACS: [u64; 4] = [1, 1_000, 100_000, 1_000_000];
const LENS: [usize; 2] = [64, 1400];
/// Bytes of the chunks that the first tenant is measured with: the two kinds of an XDP socket, between them one whose
/// frames do not all begin in the same few sets of a cache.
const CHUNKS: [usize; 3] = [CHUNK, 2048 + 64, 4096];
const ROUNDS: usize = 101;
/// About a millisecond: short, so that the least of the rounds was not disturbed.
const BREATHS: u32 = 200;

fn main() {
    let words: Vec<_> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let chunk = |word: &String| word.strip_prefix("chunk=").map(|bytes| bytes.parse().expect("chunk=BYTES"));
    let (chunks, names): (Vec<_>, Vec<_>) = words.into_iter().partition(|word| chunk(word).is_some());
    let chunks: Vec<usize> = chunks.iter().filter_map(chunk).collect();
    assert!(chunks.iter().all(|bytes| CHUNKS.contains(bytes)), "chunks have {CHUNKS:?} bytes");
    let wanted = |tenant: &Tenant| names.is_empty() || names.iter().any(|name| tenant.name.contains(name.as_str()));
    println!("nanoseconds per frame: the gateway's own, median (least) of {ROUNDS} rounds; the ports' in brackets");
    println!("chunks of {CHUNK} bytes, unless a row says otherwise; with many peers, at least one MAC behind each");
    println!("{:<48}{}", "MACs", MACS.map(|macs| format!("{macs:>24}")).concat());
    for (place, tenant) in TENANTS.into_iter().enumerate().filter(|(_, tenant)| wanted(tenant)) {
        match chunks.as_slice() {
            [] if place == 0 => rows(tenant, &CHUNKS),
            [] => rows(tenant, &[CHUNK]),
            chosen => rows(tenant, chosen),
        }
    }
}

/// The rows of a tenant: with the first of the chunks all of them, with the others the short frames alone.
fn rows(tenant: Tenant, chunks: &[usize]) {
    for (turn, &chunk) in chunks.iter().enumerate() {
        let is_short = turn > 0 || tenant.peers > 1;
        for len in LENS.into_iter().take(if is_short { 1 } else { LENS.len() }) {
            if tenant.peers == 1 {
                row("to random", MACS.map(|macs| Case { tenant, len, sources: 1, destinations: macs, chunk }));
            }
            let both = MACS.map(|macs| macs.max(tenant.peers.into()));
            row("from and to random", both.map(|macs| Case { tenant, len, sources: macs, destinations: macs, chunk }));
        }
    }
    workers(Case { tenant, len: LENS[0], sources: 1_000, destinations: 1_000, chunk: chunks[0] });
}

/// The costs of a kind of traffic with more and more MACs.
fn row(kind: &str, cases: [Case; MACS.len()]) {
    let Case { tenant, len, chunk, .. } = cases[0];
    println!("{:<48}{}", format!("{} {len}B {kind}{}", tenant.name, of_chunk(chunk)), cases.map(cost).concat());
}

/// What a row says of its chunks.
fn of_chunk(chunk: usize) -> String {
    if chunk == CHUNK { String::new() } else { format!(" chunk={chunk}") }
}

/// The gateway and its ports in turns, so that what disturbs one disturbs the other.
fn cost(case: Case) -> String {
    let gateway = Gateway::new(case, 1);
    let (mut whole, mut ports) = gateway.with_worker(0, |worker| {
        with_ports_alone(&case, |breathe| {
            let turn = |_| (timed(|| _ = worker.breathe(TICK)), timed(&mut *breathe));
            (0..ROUNDS).map(turn).collect::<(Vec<_>, Vec<_>)>()
        })
    });
    whole.sort_by(f64::total_cmp);
    ports.sort_by(f64::total_cmp);
    let [median, least] = [ROUNDS / 2, 0].map(|at| whole[at] - ports[at]);
    format!("{:>24}", format!("{median:.1} ({least:.1}) [{:.1}]", ports[ROUNDS / 2]))
}

/// Nanoseconds per frame.
fn timed(mut breathe: impl FnMut()) -> f64 {
    let start = cpu_nanos();
    (0..BREATHS).for_each(|_| breathe());
    f64::from((cpu_nanos() - start) as u32) / f64::from(BREATHS * Burst::LEN as u32)
}

/// How long this thread has had a core.
fn cpu_nanos() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs()
}

/// Prints what two workers of one gateway carry, as a multiple of what one does. They share the FDB and, in a tenant with
/// one peer on either side, everything that is kept for these two.
fn workers(case: Case) {
    let gateway = Gateway::new(case, 2);
    let carried = |workers: usize| -> f64 {
        let start = Barrier::new(workers);
        let carry = |number| {
            gateway.with_worker(number, |worker| {
                start.wait();
                // Each goes on while the other does.
                1.0 / (0..20).map(|_| timed(|| _ = worker.breathe(TICK))).sum::<f64>()
            })
        };
        thread::scope(|scope| {
            let carry = &carry;
            let threads: Vec<_> = (0..workers).map(|number| scope.spawn(move || carry(number))).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
        })
    };
    let mut ratios: Vec<_> = (0..15).map(|_| [carried(1), carried(2)]).map(|[one, two]| two / one).collect();
    ratios.sort_by(f64::total_cmp);
    let name = format!("{} two workers to one{}", case.tenant.name, of_chunk(case.chunk));
    println!("{name:<48}{:>24.2}", ratios[ratios.len() / 2]);
}
