//! Loops: two gateways in a ring, what stops the storm, and what must not be taken for one.

mod common;

use std::collections::BTreeMap;

use common::Lab;
use common::wire::{self, ARP, BROADCAST, mac};

const MILLISECOND: u64 = 1_000_000;

/// A gateway with a host and a way to the other gateway by each of four kinds; `links` says which it uses.
fn gateway(own: u8, other: u8, links: &[&str], policy: &str) -> Lab {
    let attachment = |link: &&str| match *link {
        "vxlan" => "      vxlan: { peer: vxlan, vni: 100 }\n",
        "nvgre" => "      nvgre: { peer: nvgre, vsid: 5000 }\n",
        "gre" => "      gre: { peer: gre, key: 7 }\n",
        _ => "      tags: { port: tags, s_vid: 100, inner_tags: strip }\n",
    };
    let attachments: String = links.iter().map(attachment).collect();
    Lab::new(&format!(
        "version: 1
fdb: {{ capacity: 1000 }}
ports:
  host: {{ device: host }}
  vxlan: {{ device: vxlan }}
  nvgre: {{ device: nvgre }}
  gre: {{ device: gre }}
  tags: {{ device: tags }}
endpoints:
  a: {{ address: 192.0.2.{own}, ports: [vxlan] }}
  b: {{ address: 198.51.100.{own}, ports: [nvgre] }}
  c: {{ address: 203.0.113.{own}, ports: [gre] }}
peers:
  vxlan: {{ address: 192.0.2.{other}, encap: vxlan, endpoint: a }}
  nvgre: {{ address: 198.51.100.{other}, encap: nvgre, endpoint: b }}
  gre: {{ address: 203.0.113.{other}, encap: gre, endpoint: c }}
tenants:
  blue:
    limits: {{ bum: unlimited }}
    {policy}
    attachments:
      host: {{ port: host, untagged: true }}
{attachments}"
    ))
}

/// Two gateways, joined by several links at once, and what is under way between them.
struct Ring {
    gateways: [Lab; 2],
    flying: Vec<(usize, String, Vec<u8>)>,
    /// Frames that went from one gateway to the other.
    carried: usize,
    /// What the hosts got.
    heard: [Vec<Vec<u8>>; 2],
}

impl Ring {
    fn new(links: &[&str], policy: &str) -> Self {
        let gateways = [gateway(1, 2, links, policy), gateway(2, 1, links, policy)];
        Self { gateways, flying: Vec::new(), carried: 0, heard: [Vec::new(), Vec::new()] }
    }

    fn say(&mut self, host: usize, frame: &[u8]) {
        self.deliver(host, "host", frame.to_vec());
    }

    fn deliver(&mut self, to: usize, port: &str, packet: Vec<u8>) {
        for (port, packet) in self.gateways[to].send(port, packet) {
            if port == "host" {
                self.heard[to].push(packet);
            } else {
                self.carried += 1;
                self.flying.push((1 - to, port, packet));
            }
        }
    }

    /// A millisecond passes: everything under way arrives.
    fn step(&mut self) {
        for gateway in &mut self.gateways {
            gateway.clock += MILLISECOND;
        }
        for (to, port, packet) in std::mem::take(&mut self.flying) {
            self.deliver(to, &port, packet);
        }
    }

    fn sleep(&mut self, seconds: u64) {
        self.gateways.iter_mut().for_each(|gateway| gateway.sleep(seconds));
    }

    /// Steps until nothing is under way, or for as many; gives back how many frames were carried.
    fn settle(&mut self, steps: usize) -> usize {
        let before = self.carried;
        for _ in 0..steps {
            if self.flying.is_empty() {
                break;
            }
            self.step();
        }
        self.carried - before
    }

    fn loops(&self, gateway: usize) -> BTreeMap<String, u64> {
        let gateway = &self.gateways[gateway].gateway;
        let row = |((domain, between), found): ((_, [_; 2]), transload::rib::loops::Loop)| {
            let [a, b] = between.map(|id| gateway.names().attachment(domain, id).into_owned());
            (format!("{a} {b}"), found.times)
        };
        gateway.loops().iter().map(row).collect()
    }
}

fn arp(src: u8) -> Vec<u8> {
    let body = [&[0, 1, 8, 0, 6, 4, 0, 1][..], &mac(src), &[10, 0, 0, src], &[0; 6], &[10, 0, 0, src]].concat();
    wire::ethernet(BROADCAST, mac(src), ARP, &body)
}

#[test]
fn without_the_guard_a_ring_storms() {
    let mut ring = Ring::new(&["vxlan", "tags"], "loop_guard: off");
    ring.say(0, &arp(1));
    assert!(ring.settle(1000) >= 2000, "two copies run round, one each way, for ever");
    assert!(!ring.flying.is_empty());
}

#[test]
fn a_ring_of_any_two_encapsulations_comes_to_rest_within_ten_frames() {
    let links = ["vxlan", "nvgre", "gre", "tags"];
    for (n, a) in links.iter().enumerate() {
        for b in &links[n + 1..] {
            let mut ring = Ring::new(&[a, b], "loop_guard: on");
            ring.say(0, &arp(1));
            let carried = ring.settle(1000);
            assert!(ring.flying.is_empty() && carried <= 10, "{a}, {b}: {carried} frames");
            let found = format!("{a} {b}");
            assert!((0..2).any(|gateway| ring.loops(gateway).contains_key(&found)), "{a}, {b} are not named");
        }
    }
}

#[test]
fn unknown_unicast_and_a_burst_of_many_frames_come_to_rest_as_well() {
    let mut ring = Ring::new(&["gre", "tags"], "learning: true");
    for number in 0..100 {
        ring.say(0, &wire::tenant_frame(mac(99), mac(1), number));
    }
    let carried = ring.settle(1000);
    assert!(ring.flying.is_empty() && carried <= 100 * 10, "{carried} frames");
}

#[test]
fn three_and_four_links_at_once_come_to_rest_too() {
    for (links, bound) in [(&["vxlan", "nvgre", "gre"][..], 100), (&["vxlan", "nvgre", "gre", "tags"], 300)] {
        let mut ring = Ring::new(links, "loop_guard: { hold: 60s }");
        ring.say(0, &arp(1));
        let carried = ring.settle(1000);
        assert!(ring.flying.is_empty() && carried <= bound, "{links:?}: {carried} frames");
    }
}

#[test]
fn while_a_pair_is_held_unicast_goes_on_and_broadcasts_reach_the_hosts() {
    let mut ring = Ring::new(&["vxlan", "tags"], "loop_guard: on");
    ring.say(0, &arp(1));
    ring.settle(1000);
    ring.say(1, &arp(2));
    ring.settle(1000);
    for number in 0..50 {
        for (from, to, host, peer) in [(0, 1, 1, 2), (1, 0, 2, 1)] {
            ring.heard[to].clear();
            let frame = wire::tenant_frame(mac(peer), mac(host), number);
            ring.say(from, &frame);
            ring.settle(10);
            assert_eq!(ring.heard[to], [frame], "{number} from {from}");
        }
        ring.heard[1].clear();
        let broadcast = wire::tenant_frame(BROADCAST, mac(1), number);
        ring.say(0, &broadcast);
        let carried = ring.settle(1000);
        assert!(ring.heard[1].contains(&broadcast) && carried <= 10, "{carried} frames");
    }
    assert!(ring.gateways.iter().any(|gateway| gateway.drops().contains_key("loop_guard")));
}

#[test]
fn the_guard_lets_go_after_its_hold_and_finds_the_loop_again() {
    let mut ring = Ring::new(&["vxlan", "tags"], "loop_guard: { hold: 10s }");
    ring.say(0, &arp(1));
    ring.settle(1000);
    let found = |ring: &Ring| (0..2).map(|n| ring.loops(n).values().sum::<u64>()).sum::<u64>();
    let first = found(&ring);
    ring.sleep(9);
    ring.say(0, &arp(1));
    assert!(ring.settle(1000) <= 4, "still held");
    assert_eq!(found(&ring), first);
    ring.sleep(2);
    ring.say(0, &arp(1));
    assert!(ring.settle(1000) <= 10);
    assert!(ring.flying.is_empty() && found(&ring) > first);
}

#[test]
fn a_host_that_repeats_itself_is_no_loop() {
    let mut lab = gateway(1, 2, &["vxlan", "tags"], "loop_guard: on");
    for _ in 0..500 {
        assert_eq!(lab.send("host", arp(1)).len(), 2);
        lab.clock += MILLISECOND;
    }
    assert_eq!(lab.gateway.loops().iter().count(), 0);
}

fn tagged(frame: &[u8]) -> Vec<u8> {
    wire::tag(frame, 0x88a8, 100)
}

#[test]
fn a_machine_that_migrates_and_says_the_same_again_is_followed_at_once() {
    let mut lab = gateway(1, 2, &["vxlan", "tags"], "loop_guard: on");
    for (port, packet, attachment) in [("host", arp(1), "host"), ("tags", tagged(&arp(1)), "tags")] {
        for _ in 0..20 {
            assert_eq!(lab.send(port, packet.clone()).len(), 2);
            assert_eq!(lab.fdb()[0].attachment, attachment);
            lab.clock += 10 * MILLISECOND;
        }
    }
    assert!(lab.drops().is_empty(), "{:?}", lab.drops());
    assert_eq!(lab.gateway.loops().iter().count(), 0);
}

#[test]
fn one_that_is_back_within_the_second_is_followed_by_anything_else_it_says() {
    let mut lab = gateway(1, 2, &["vxlan", "tags"], "loop_guard: on");
    for (port, packet) in [("host", arp(1)), ("tags", tagged(&arp(1))), ("host", arp(1))] {
        assert_eq!(lab.send(port, packet).len(), 2, "no frame is held");
    }
    assert_eq!(lab.fdb()[0].attachment, "tags", "that could as well be a frame that runs round");
    lab.send("host", wire::tenant_frame(mac(9), mac(1), 1));
    assert_eq!(lab.fdb()[0].attachment, "host");
}

#[test]
fn two_hosts_with_one_address_that_ask_once_a_second_are_no_loop() {
    let mut lab = gateway(1, 2, &["vxlan", "tags"], "loop_guard: on");
    for _ in 0..60 {
        lab.send("host", arp(1));
        lab.clock += 500 * MILLISECOND;
        lab.send("tags", tagged(&arp(1)));
        lab.clock += 500 * MILLISECOND;
    }
    assert!(lab.drops().is_empty(), "{:?}", lab.drops());
}

#[test]
fn members_of_a_mesh_that_deliver_twice_are_no_loop() {
    let mut lab = Lab::new(
        "version: 1
ports:
  up: { device: up }
  host: { device: host }
endpoints:
  fabric: { address: 192.0.2.1, ports: [up] }
groups:
  leafs: { encap: vxlan, members: [192.0.2.11-192.0.2.12] }
tenants:
  blue:
    attachments:
      leafs: { group: leafs, vni: 100 }
      host: { port: host, untagged: true }
",
    );
    let from = |member: &str, frame: &[u8]| {
        let ends = (member.parse().unwrap(), "192.0.2.1".parse().unwrap());
        wire::outer((mac(1), mac(2)), ends, 0, 17, &wire::udp(5, 4789, &wire::vxlan(100, frame)))
    };
    for _ in 0..20 {
        assert_eq!(lab.send("up", from("192.0.2.11", &arp(1))).len(), 1);
        assert_eq!(lab.send("up", from("192.0.2.12", &arp(1))).len(), 1);
        lab.clock += MILLISECOND;
    }
    assert!(lab.drops().is_empty(), "{:?}", lab.drops());
}
