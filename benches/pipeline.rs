//! The whole pipeline on frames in memory: receive, classify, decap, bridge, encap, transmit.
//!
//! What is reported is the gateway's own cost: the ports that make and swallow the frames are measured by themselves,
//! in turns with the gateway, and taken off. What counts is the thread's CPU time, not what others take. Words on the
//! command line choose tenants: `-- vxlan-nvgre`.

mod gateway;

use std::sync::Barrier;
use std::thread;

use rustix::time::{ClockId, clock_gettime};

use gateway::{Case, Gateway, TENANTS, TICK, with_ports_alone};
use transload::dataplane::Burst;

const MACS: [u64; 4] = [1, 1_000, 100_000, 1_000_000];
const LENS: [usize; 2] = [64, 1400];
const ROUNDS: usize = 101;
/// About a millisecond: short, so that the least of the rounds was not disturbed.
const BREATHS: u32 = 200;

fn main() {
    let words: Vec<_> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let wanted = |tenant: &&str| words.is_empty() || words.iter().any(|word| tenant.contains(word.as_str()));
    println!("nanoseconds per frame: the gateway's own, median (least) of {ROUNDS} rounds; the ports' in brackets");
    println!("{:<34}{}", "MACs", MACS.map(|macs| format!("{macs:>24}")).concat());
    for tenant in TENANTS.into_iter().filter(wanted) {
        for len in LENS {
            for (name, both) in [("to random", false), ("from and to random", true)] {
                let row = MACS.map(|macs| {
                    let sources = if both { macs } else { 1 };
                    cost(Case { tenant, len, sources, destinations: macs })
                });
                println!("{:<34}{}", format!("{tenant} {len}B {name}"), row.concat());
            }
        }
        workers(Case { tenant, len: 64, sources: 1_000, destinations: 1_000 });
    }
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

/// How much more two workers carry than one, with one FDB.
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
    println!("{:<34}{:>24.2}", format!("{} two workers to one", case.tenant), ratios[ratios.len() / 2]);
}
