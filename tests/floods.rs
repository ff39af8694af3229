//! A flood to many peers takes turns with everybody else's frames: nobody waits for all its copies, all of them are made,
//! in order, and none goes to another tenant when tables change in the middle.

mod common;

use std::sync::Arc;

use common::wire::{BROADCAST, mac, tag, tenant_frame};
use transload::compile::{self, Numbers, Plan};
use transload::config;
use transload::dataplane::{Now, Worker};
use transload::events;
use transload::forwarding::{PortId, Slab};
use transload::io::arena::LONG;
use transload::io::memory::{Handle, MemoryPort};
use transload::io::{BoxedPort, Pool};
use transload::offline::placeholders::Placeholders;
use transload::offline::{follow, rib};
use transload::rib::Rib;

const CHUNKS: usize = 1024;

/// Tenants `big` and `other` have 5,000 members; `small` is one peer. All have tags of the access port.
const FILE: &str = r#"
version: 1
ports:
  up: { device: eth1, mac: "02:00:00:00:01:01" }
  access: { device: eth2 }
endpoints:
  e: { address: 192.0.2.1, ports: [up] }
peers:
  p: { address: 203.0.113.9, encap: vxlan }
groups:
  leafs: { encap: vxlan, members: [10.0.0.1-10.0.19.136] }
tenants:
  big:
    limits: { bum: unlimited }
    attachments:
      leafs: { group: leafs, vni: 100 }
      one: { port: access, vid: 1, split_horizon: ports }
      two: { port: access, vid: 2, split_horizon: ports }
  other:
    limits: { bum: unlimited }
    attachments:
      leafs: { group: leafs, vni: 200 }
      one: { port: access, vid: 3 }
  small:
    attachments:
      p: { peer: p, vni: 300 }
      one: { port: access, vid: 4 }
"#;

const MEMBERS: usize = 5_000;

/// One worker whose breaths are counted.
struct Gateway {
    rib: Rib,
    placeholders: Placeholders,
    worker: Worker<'static>,
    handles: Slab<PortId, Handle>,
}

fn plan(text: &str, before: &Plan) -> Plan {
    let config = config::parse("floods.yaml", text).unwrap_or_else(|problems| panic!("{problems}"));
    let numbers = if before.ports.is_empty() { Numbers::default() } else { before.numbers.clone() };
    compile::compile(&config, &numbers, Some(&before.tables)).unwrap_or_else(|problems| panic!("{problems}"))
}

impl Gateway {
    fn new() -> Self {
        let plan = plan(FILE, &Plan::default());
        let (mut handles, mut ports) = (Slab::new(), Vec::new());
        for plan in &plan.ports {
            let (port, handle) = MemoryPort::new();
            ports.push((plan.id, Box::new(port) as BoxedPort<'static>));
            handles.insert(plan.id, handle);
        }
        let (rib, placeholders) = rib(plan, 1);
        let (sender, _) = events::ring(4096);
        let arena = Box::leak(vec![0; LONG * CHUNKS].into_boxed_slice());
        let counters = Arc::clone(&rib.counters()[0]);
        let worker = Worker::new(Arc::clone(rib.shared()), Pool::new(arena, LONG), ports, counters, sender);
        Self { rib, placeholders, worker, handles }
    }

    fn say(&self, vid: u16, dst: [u8; 6], number: u16) {
        let frame = tag(&tenant_frame(dst, mac(vid as u8), number), 0x8100, vid);
        self.handles.get(PortId::new(1)).unwrap().inject(frame);
    }

    /// The VNI of each packet that leaves in one breath, and the last bytes of its frame.
    fn breathe(&mut self) -> (usize, Vec<(u32, Vec<u8>)>) {
        let done = self.worker.breathe(Now { nanos: 1_000_000_000 });
        let sent = self.handles.get(PortId::new(0)).unwrap().collect().into_iter().map(|packet| {
            let vni = u32::from_be_bytes([0, packet.bytes[46], packet.bytes[47], packet.bytes[48]]);
            (vni, packet.bytes[64..].to_vec())
        });
        (done, sent.collect())
    }

    fn drain(&mut self) -> Vec<(u32, Vec<u8>)> {
        let mut all = Vec::new();
        loop {
            let (done, sent) = self.breathe();
            all.extend(sent);
            if done == 0 {
                return all;
            }
        }
    }

    fn take_in(&mut self, text: &str) {
        let plan = plan(text, self.rib.plan());
        self.rib.take_in(plan);
        follow(&mut self.rib, &mut self.placeholders);
    }

    fn drops(&self, label: &str) -> u64 {
        let reason = transload_encaps::DropReason::all().find(|reason| reason.label() == label).unwrap();
        self.worker.counters().drops(reason).unwrap().get()
    }
}

fn of(sent: &[(u32, Vec<u8>)], vni: u32) -> usize {
    sent.iter().filter(|(of, _)| *of == vni).count()
}

#[test]
fn one_flood_is_spread_over_breaths_and_every_member_gets_its_copy() {
    let mut gateway = Gateway::new();
    gateway.say(1, BROADCAST, 1);
    let (_, first) = gateway.breathe();
    assert_eq!(first.len(), 64 + 1, "64 beyond the first");
    assert_eq!(first.len() + gateway.drain().len(), MEMBERS);
    assert_eq!(gateway.worker.free_chunks(), CHUNKS);
}

#[test]
fn another_tenants_frames_leave_in_the_breath_they_came_in() {
    let mut gateway = Gateway::new();
    (0..40).for_each(|number| gateway.say(1, BROADCAST, number));
    gateway.breathe();
    // A broadcast to one peer waits for its queue's turn and no more; a known address does not wait at all.
    gateway.say(4, BROADCAST, 0);
    assert_eq!(of(&gateway.breathe().1, 300), 1);
    for _ in 0..100 {
        let (_, sent) = gateway.breathe();
        assert!(sent.len() <= 32, "{} copies in one breath", sent.len());
    }
}

#[test]
fn attachments_take_turns_and_each_keeps_its_order() {
    let mut gateway = Gateway::new();
    for number in 0..8 {
        gateway.say(1, BROADCAST, number);
    }
    gateway.breathe();
    gateway.say(3, BROADCAST, 0);
    gateway.say(2, BROADCAST, 100);
    let mut sent = Vec::new();
    while of(&sent, 200) < MEMBERS {
        sent.extend(gateway.breathe().1);
    }
    // Three queues, each with a third of the copies.
    let big = of(&sent, 100);
    assert!((2 * MEMBERS - 128..=2 * MEMBERS + 128).contains(&big), "{big}");
    sent.extend(gateway.drain());
    assert_eq!([100, 200].map(|vni| of(&sent, vni)), [9 * MEMBERS - 65, MEMBERS]);
}

#[test]
fn a_storm_is_dropped_by_name_and_leaves_room_for_others() {
    let mut gateway = Gateway::new();
    for burst in 0..40 {
        (0..64).for_each(|number| gateway.say(1, BROADCAST, burst * 64 + number));
        gateway.breathe();
    }
    assert!(gateway.drops("flood_backlog") > 0);
    let free = gateway.worker.free_chunks();
    assert!(free > CHUNKS / 2, "{free} chunks are free");
    gateway.say(3, BROADCAST, 0);
    gateway.say(4, BROADCAST, 0);
    let before = gateway.drops("flood_backlog");
    assert_eq!(of(&gateway.breathe().1, 300), 1);
    assert_eq!(gateway.drops("flood_backlog"), before, "there is a place for another attachment");
    let id = gateway.rib.names().domain_id("big").unwrap();
    let unmade = gateway.worker.counters().domain(id).unwrap().copies_dropped.get();
    let left = of(&gateway.drain(), 200);
    assert!(unmade > 1_000_000 && left >= MEMBERS - 64, "{unmade}, {left}");
    assert_eq!(gateway.worker.free_chunks(), CHUNKS);
}

#[test]
fn a_reload_in_the_middle_keeps_the_copies_of_its_tenant_and_ends_those_of_one_that_is_gone() {
    let mut gateway = Gateway::new();
    gateway.say(1, BROADCAST, 1);
    gateway.say(3, BROADCAST, 2);
    gateway.say(3, BROADCAST, 3);
    let mut sent = gateway.breathe().1;
    sent.extend(gateway.breathe().1);
    // `other` is gone, and a tenant with another name has its VNI and its tags.
    gateway.take_in(&FILE.replace("  other:", "  newcomer:"));
    let after = gateway.drain();
    assert_eq!(of(&after, 200), 0, "no copy goes to the newcomer");
    assert_eq!(of(&sent, 100) + of(&after, 100), MEMBERS);
    assert!(of(&sent, 200) > 0);
    assert_eq!(gateway.drops("unknown_segment"), 1, "of its two frames one was sent to some, the other to nobody");
    assert_eq!(gateway.worker.free_chunks(), CHUNKS);
}
