//! Tables are swapped under traffic: each frame is treated by the old ones or by the new ones, never by some of both.
//!
//! That a reader sees the pointer, and all that is behind it, either from before or from after a swap is for
//! `arc_swap` to prove, and it does so in its own loom tests. Ours is what we make of it: a worker reads the pointer
//! once a burst, every stage works by what it read then, and numbers mean the same in both tables. Two workers and a
//! control plane in threads of their own try that here.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;

use common::wire::{self, BROADCAST, mac};
use transload::compile::{self, Plan};
use transload::config;
use transload::counters::Counters;
use transload::dataplane::{Now, Shared, Worker};
use transload::events;
use transload::forwarding::PortId;
use transload::io::memory::{Handle, MemoryPort};
use transload::io::{BoxedPort, Pool};
use transload::offline;

const FRAMES: u32 = 20_000;
const CHUNK: usize = 2048;

/// The VNI of the frames is one tenant's in one generation and another's in the other, and each tenant's frames leave
/// under other IDs each time. So only two of the four IDs are right: 1, blue's in the first generation, and 4, red's
/// in the second. A frame of which some stage made one tenant's, and a later stage saw other tables, shows 2 or 3.
fn yaml(generation: u8) -> String {
    let tenant = |name: &str, vni: u32, id: u8| {
        format!(
            "  {name}:\n    limits: {{ bum: unlimited }}\n    attachments:\n      leaf: {{ peer: leaf, vni: {vni} }}\n      \
             site: {{ peer: site, key: {id}000 }}\n      host: {{ peer: host, vsid: 5{id}00 }}\n      \
             ce: {{ port: access, s_vid: {id}, c_vid: {id} }}\n"
        )
    };
    let tenants = match generation {
        1 => [tenant("blue", 100, 1), tenant("red", 200, 3)],
        _ => [tenant("red", 100, 4), tenant("blue", 200, 2)],
    };
    format!(
        "version: 1\nports: {{ up: {{ device: up }}, access: {{ device: access }} }}\n\
         endpoints: {{ fabric: {{ address: 192.0.2.1, ports: [up] }} }}\n\
         peers:\n  leaf: {{ address: 192.0.2.9, encap: vxlan }}\n  site: {{ address: 192.0.2.99, encap: gre }}\n  \
         host: {{ address: 192.0.2.77, encap: nvgre }}\ntenants:\n{}",
        tenants.concat()
    )
}

fn plan(generation: u8, before: &Plan) -> Plan {
    let config = config::parse("swap.yaml", &yaml(generation)).unwrap_or_else(|problems| panic!("{problems}"));
    let plan = compile::compile(&config, &before.numbers, Some(&before.tables));
    plan.unwrap_or_else(|problems| panic!("{problems}"))
}

/// A tenant's broadcast with a number, from the leaf.
fn arriving(number: u32) -> Vec<u8> {
    let frame = wire::ethernet(
        BROADCAST,
        mac(1 + (number % 200) as u8),
        0x88b5,
        &[&number.to_be_bytes()[..], &[0; 42]].concat(),
    );
    let ends = ("192.0.2.9".parse().unwrap(), "192.0.2.1".parse().unwrap());
    wire::outer((mac(1), mac(2)), ends, 0, 17, &wire::udp(9, 4789, &wire::vxlan(100, &frame)))
}

/// To whom a frame went, under which ID, and which one it is.
fn read(port: usize, sent: &[u8]) -> (&'static str, u32, u32) {
    let number =
        |at: usize, len: usize| sent[at..at + len].iter().fold(0_u32, |number, byte| number << 8 | u32::from(*byte));
    match (port, sent.get(33)) {
        (0, Some(99)) => ("site", number(38, 4) / 1000, number(56, 4)),
        (0, Some(77)) => ("host", (number(38, 3) - 5000) / 100, number(56, 4)),
        (1, _) => {
            assert_eq!(number(14, 2) & 0xfff, number(18, 2) & 0xfff, "{sent:02x?}");
            ("ce", number(14, 2) & 0xfff, number(22, 4))
        }
        other => panic!("{other:?}: {sent:02x?}"),
    }
}

#[test]
fn every_frame_is_treated_by_exactly_one_generation_of_tables() {
    let (mut rib, mut placeholders) = offline::rib(plan(1, &Plan::default()), 2);
    let shared = Arc::clone(rib.shared());
    let first = shared.forwarding.load_full();
    rib.take_in(plan(2, rib.plan()));
    offline::follow(&mut rib, &mut placeholders);
    let tables = [first, shared.forwarding.load_full()];
    shared.forwarding.store(tables[0].clone());
    let counters = rib.counters();
    // Either worker has both ports to itself, as with a fanout.
    let handles: Vec<[Handle; 2]> = (0..2).map(|_| [Handle::default(), Handle::default()]).collect();
    let (is_over, start) = (AtomicBool::new(false), Barrier::new(3));

    let swaps = thread::scope(|scope| {
        let workers: Vec<_> = (0..2_u32)
            .map(|n| {
                let (shared, handles, counters) = (shared.clone(), &handles[n as usize], counters[n as usize].clone());
                let start = &start;
                scope.spawn(move || {
                    start.wait();
                    work(n, shared, handles, counters);
                })
            })
            .collect();
        let control = scope.spawn(|| {
            let mut swaps = 0_usize;
            start.wait();
            while !is_over.load(Ordering::Relaxed) {
                swaps += 1;
                shared.forwarding.store(tables[swaps % 2].clone());
                thread::yield_now();
            }
            swaps
        });
        for worker in workers {
            worker.join().expect("a worker does not panic");
        }
        is_over.store(true, Ordering::Relaxed);
        control.join().expect("control does not panic")
    });

    let mut fates: BTreeMap<u32, BTreeSet<(&str, u32)>> = BTreeMap::new();
    for (port, handle) in handles.iter().flat_map(|ports| ports.iter().enumerate()) {
        for packet in handle.collect() {
            let (to, id, number) = read(port, &packet.bytes);
            assert!(fates.entry(number).or_default().insert((to, id)), "frame {number} twice to {to}");
        }
    }
    assert_eq!(fates.len(), FRAMES as usize, "every frame is sent by some table");
    let mut seen = BTreeMap::from([(1, 0), (4, 0)]);
    for (number, fate) in fates {
        let (_, id) = *fate.first().expect("it was sent");
        let whole = ["ce", "host", "site"].map(|to| (to, id));
        assert_eq!(fate, BTreeSet::from(whole), "frame {number} met two tables on its way out");
        let frames = seen.get_mut(&id).unwrap_or_else(|| panic!("frame {number} met half a table: ID {id}"));
        *frames += 1;
    }
    eprintln!("{swaps} swaps; frames by ID: {seen:?}");
    assert!(seen.values().all(|&frames| frames > 0), "no swap met a frame: {seen:?}");
}

/// A worker's thread: every frame whose number is its own arrives, a few at a time.
fn work(own: u32, shared: Arc<Shared>, handles: &[Handle; 2], counters: Arc<Counters>) {
    let mut arena = vec![0; 512 * CHUNK];
    let ports = handles
        .iter()
        .enumerate()
        .map(|(id, handle)| (PortId::new(id as u16), Box::new(MemoryPort::of(handle)) as BoxedPort<'_>));
    let (sender, _receiver) = events::ring(64);
    let mut worker = Worker::new(shared, Pool::new(&mut arena, CHUNK), ports.collect(), counters, sender);
    for number in (0..FRAMES).filter(|number| number % 2 == own) {
        handles[0].inject(arriving(number));
        if number % 40 < 2 {
            while worker.breathe(Now { nanos: u64::from(number) * 1_000 }) > 0 {}
        }
    }
    while worker.breathe(Now { nanos: u64::from(FRAMES) * 1_000 }) > 0 {}
    assert_eq!(worker.free_chunks(), 512, "a chunk is lost");
}
