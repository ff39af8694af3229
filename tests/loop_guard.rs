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
    let found = |ring: &Ring| (0..2).map(|n| ring.loops(n).values().sum::<u64>()).sum::<u64>();
    ring.say(0, &arp(1));
    ring.settle(1000);
    let suspected = found(&ring);
    ring.sleep(1);
    // What a host behind the other gateway says comes in by both links: the proof.
    for host in [0, 1] {
        ring.say(host, &arp(3 + host as u8));
        ring.settle(1000);
    }
    let proved = found(&ring);
    assert!(suspected > 0 && proved > suspected);
    ring.sleep(7);
    ring.say(0, &arp(1));
    assert!(ring.settle(1000) <= 4, "still held");
    assert_eq!(found(&ring), proved);
    ring.sleep(4);
    ring.say(0, &arp(1));
    assert!(ring.settle(1000) <= 10);
    assert!(ring.flying.is_empty() && found(&ring) > proved);
}

#[test]
fn a_loop_that_goes_on_is_held_on() {
    let mut ring = Ring::new(&["vxlan", "gre"], "loop_guard: { hold: 10s }");
    let mut most = 0;
    for second in 0..120 {
        let before = ring.carried;
        for host in [0, 1] {
            ring.say(host, &wire::tenant_frame(BROADCAST, mac(1 + host as u8), second));
            ring.settle(1000);
        }
        assert!(ring.flying.is_empty());
        if second > 0 {
            most = most.max(ring.carried - before);
        }
        ring.sleep(1);
    }
    assert!(most <= 12, "{most} frames in one second, of four that should be");
}

#[test]
fn a_loop_of_few_broadcasts_never_storms() {
    let mut ring = Ring::new(&["vxlan", "tags"], "loop_guard: on");
    for number in 0..20 {
        ring.say(0, &wire::tenant_frame(BROADCAST, mac(1), number));
        let carried = ring.settle(1000);
        assert!(ring.flying.is_empty() && carried <= 60, "{carried} frames");
        ring.sleep(7);
    }
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

/// A gateway between three sites, of which b sends every broadcast back that it gets.
struct Echo {
    lab: Lab,
    /// Broadcasts that b got.
    arrived: usize,
}

impl Echo {
    fn new() -> Self {
        let sites = ["a", "b", "c"];
        let ports: String = sites.map(|site| format!("  {site}: {{ device: {site} }}\n")).concat();
        let attachments: String =
            sites.map(|site| format!("      {site}: {{ port: {site}, untagged: true }}\n")).concat();
        let lab = Lab::new(&format!("version: 1\nports:\n{ports}tenants:\n  blue:\n    attachments:\n{attachments}"));
        Self { lab, arrived: 0 }
    }

    fn say(&mut self, port: &str, frame: &[u8]) {
        let mut waiting = vec![(port.to_owned(), frame.to_vec())];
        while let Some((port, frame)) = waiting.pop() {
            let sent = self.lab.send(&port, frame);
            let echoed: Vec<_> = sent.into_iter().filter(|(port, _)| port == "b").collect();
            self.arrived += echoed.len();
            self.lab.clock += MILLISECOND;
            waiting.extend(echoed);
        }
    }
}

/// As machines announce themselves: the same frame five times within a second.
fn announce(echo: &mut Echo, port: &str, host: u8) {
    for pause in [50, 150, 250, 350, 100] {
        echo.say(port, &arp(host));
        echo.lab.clock += pause * MILLISECOND;
    }
}

#[test]
fn an_echo_cuts_nobody_off_for_longer_than_a_moment() {
    let mut echo = Echo::new();
    announce(&mut echo, "a", 1);
    echo.lab.sleep(2);
    for (second, from) in (0..60).zip(["a", "c", "a"].into_iter().cycle()) {
        let before = echo.arrived;
        echo.say(from, &wire::tenant_frame(BROADCAST, mac(if from == "c" { 2 } else { 1 }), second));
        assert_eq!(echo.arrived, before + 1, "{from}, second {second}: {:?}", echo.lab.drops());
        echo.lab.sleep(1);
    }
}

#[test]
fn an_echo_of_a_sender_that_repeats_itself_cuts_nobody_off_for_longer_than_a_moment() {
    let mut echo = Echo::new();
    let mut said = 0;
    for round in 0..18_u16 {
        announce(&mut echo, "a", 1);
        for number in 0..10 {
            echo.say("a", &wire::tenant_frame(BROADCAST, mac(1), 10 * round + number));
            echo.lab.clock += 200 * MILLISECOND;
        }
        said += 15;
    }
    assert!(echo.arrived + 15 >= said, "{} of {said} broadcasts arrived within a minute", echo.arrived);
}

#[test]
fn an_echo_does_not_keep_the_address_of_whom_it_echoes() {
    let mut echo = Echo::new();
    echo.lab.send("a", wire::tenant_frame(mac(9), mac(1), 0));
    echo.lab.sleep(100);
    for number in 0..20 {
        echo.say("a", &wire::tenant_frame(BROADCAST, mac(1), number));
        echo.lab.sleep(1);
    }
    let row = echo.lab.fdb().into_iter().find(|row| row.mac.ends_with(":01")).unwrap();
    assert_eq!((row.attachment.as_str(), row.held_for.is_some()), ("a", true));
    let moved = row.last_move.expect("it moved");
    assert_eq!((moved.from.as_str(), moved.to.as_str()), ("a", "b"), "and both places are told");
}
