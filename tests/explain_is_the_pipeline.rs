//! What `explain` tells is what the gateway does: two gateways of one configuration get the same random and mutated
//! frames, one of them explains each, and both must send the same bytes and drop for the same reason.
//!
//! 100,000 frames, half of them in each of two worlds at a time.

mod common;

use std::collections::BTreeMap;
use std::net::IpAddr;

use common::wire::{self, BROADCAST, mac, tag};
use transload::compile::{Origins, compile_with_origins};
use transload::config;
use transload::explain::{self, Explanation};
use transload::forwarding::PortId;
use transload::io::memory::Packet;
use transload::offline::{self, Offline};
use transload_encaps::{DropReason, LastStage};

const FRAMES: u64 = 100_000;
const WORLDS: u64 = 2;
const PORTS: u16 = 3;
const UP: PortId = PortId::new(0);
const ACCESS: PortId = PortId::new(1);

const GATEWAY: &str = r#"
version: 1
fdb: { capacity: 64 }
ports:
  up:     { device: up, mac: "02:aa:00:00:00:01", mtu: 1500 }
  access: { device: access, tpids: [0x88a8, 0x9100], mtu: 1500 }
  down:   { device: down }
endpoints:
  v4: { address: 192.0.2.1, ports: [up] }
  v6: { address: "2001:db8::1", ports: [up] }
peers:
  vxlan: { address: 192.0.2.9, encap: { vxlan: { reserved: strict } } }
  nvgre: { address: 192.0.2.77, encap: nvgre }
  gre:   { address: 192.0.2.99, encap: { gre: { checksum: true, sequence: true } } }
  six:   { address: "2001:db8::9", encap: vxlan, udp_checksum: { rx_zero: drop } }
  wide:  { address: 192.0.2.44, encap: nvgre }
groups:
  mesh: { encap: vxlan, members: [192.0.2.11-192.0.2.13] }
  roam: { encap: vxlan, learn_from: 10.9.0.0/24, bum: 239.1.1.1, max_learned: 3 }
tenants:
  a:
    attachments:
      v: { peer: vxlan, vni: 5000 }
      n: { peer: nvgre, vsid: 5000, inner_tags: strip }
      g: { peer: gre, key: 5000, inner_tags: drop }
      m: { group: mesh, vni: 5000 }
      p: { port: access, s_vid: 1, c_vid: 1 }
    limits: { bum: 100, macs: 6 }
    static: [{ mac: "02:00:00:00:00:04", via: p }]
  b:
    attachments:
      v: { peer: vxlan, vni: 5001, split_horizon: core }
      s: { peer: six, vni: 5001, split_horizon: core }
      g: { peer: gre }
      p: { port: access, s_vid: 2 }
      u: { port: access, untagged: true }
      d: { port: down, vid: 7 }
      r: { group: roam, vni: 5002 }
    unknown_unicast: drop
mappings:
  wholesale:
    from: { peer: wide, vsid: 0x1000-0x1fff }
    to:   { port: down, s_vid: 9, c_vid: "id[11:0]" }
"#;

/// Numbers that look random and are the same in every run (splitmix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ mixed >> 31) % end
    }

    fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }

    fn mac(&mut self) -> [u8; 6] {
        match self.below(12) {
            0..4 => BROADCAST,
            4 => [1, 0x80, 0xc2, 0, 0, 2],
            n => mac(n as u8),
        }
    }

    fn tenant_frame(&mut self) -> Vec<u8> {
        let (dst, src) = (self.mac(), mac(self.below(7) as u8));
        let frame = match self.below(5) {
            4 => {
                let long = vec![9; 1400 + self.below(90) as usize];
                wire::ethernet(
                    dst,
                    src,
                    wire::IPV4,
                    &wire::ipv4([10, 0, 0, 1].into(), [10, 0, 0, 2].into(), 0, 17, &long),
                )
            }
            0 => wire::tenant_frame(dst, src, 1),
            1 => wire::ethernet(
                dst,
                src,
                wire::IPV4,
                &wire::ipv4([10, 0, 0, 1].into(), [10, 0, 0, 2].into(), self.below(4) as u8, 17, &[1; 30]),
            ),
            2 => wire::ethernet(dst, src, 0x88b5, &vec![7; 1400 + self.below(120) as usize]),
            _ => wire::ethernet(
                dst,
                src,
                wire::IPV6,
                &wire::ipv6("fd00::1".parse().unwrap(), "fd00::2".parse().unwrap(), self.below(4) as u8, 17, &[1; 30]),
            ),
        };
        if self.below(8) == 0 { tag(&frame, 0x8100, 42) } else { frame }
    }

    fn tunnel_packet(&mut self) -> Vec<u8> {
        let inner = self.tenant_frame();
        let id = 5000 + self.below(3) as u32;
        let vxlan = wire::udp(49_152, self.one_of(&[4789, 4789, 4789, 8472]), &wire::vxlan(id, &inner));
        let sequenced =
            [&[0x30, 0, 0x65, 0x58][..], &id.to_be_bytes(), &(self.below(50) as u32).to_be_bytes(), &inner].concat();
        let (src, protocol, payload) = match self.below(10) {
            0 | 1 => ("192.0.2.9", 17, vxlan),
            2 => ("192.0.2.77", 47, wire::nvgre(id, self.below(256) as u8, &inner)),
            3 => ("192.0.2.99", 47, wire::gre(self.one_of(&[None, Some(5000), Some(0)]), &inner)),
            4 => ("192.0.2.99", 47, sequenced),
            8 => ("192.0.2.44", 47, wire::nvgre(self.one_of(&[0x1000, 0x1001, 0x1ffe, 0x2000]), 0, &inner)),
            5 => ("2001:db8::9", 17, vxlan),
            9 => (self.one_of(&["10.9.0.1", "10.9.0.2", "10.9.0.3", "10.9.0.4", "10.9.1.1"]), 17, vxlan),
            6 => (self.one_of(&["192.0.2.11", "192.0.2.12", "192.0.2.14"]), 17, vxlan),
            _ => {
                (self.one_of(&["192.0.2.9", "192.0.2.77", "192.0.2.99", "203.0.113.1"]), self.one_of(&[17, 47]), vxlan)
            }
        };
        let src: IpAddr = src.parse().unwrap();
        let (to, ours): ([u8; 6], IpAddr) = match src {
            IpAddr::V6(_) => ([2, 0xaa, 0, 0, 0, 1], "2001:db8::1".parse().unwrap()),
            IpAddr::V4(_) if self.below(12) == 0 => ([1, 0, 0x5e, 1, 1, 1], [239, 1, 1, 1].into()),
            IpAddr::V4(_) => ([2, 0xaa, 0, 0, 0, 1], [192, 0, 2, 1].into()),
        };
        wire::outer((to, [2, 0xbb, 0, 0, 0, 1]), (src, ours), self.below(4) as u8, protocol, &payload)
    }

    fn tagged_frame(&mut self) -> Vec<u8> {
        let inner = self.tenant_frame();
        let (s, c) = (self.one_of(&[0x88a8, 0x9100, 0x8100]), self.one_of(&[0x8100, 0x8100, 0x88a8]));
        match self.below(4) {
            0 => inner,
            1 => tag(&inner, s, self.one_of(&[0, 2, 7, 4095])),
            _ => tag(&tag(&inner, c, self.below(3) as u16), s, self.one_of(&[1, 2, 3])),
        }
    }

    fn mutated(&mut self, mut frame: Vec<u8>) -> Vec<u8> {
        for _ in 0..self.below(4) {
            // Headers are where it matters.
            let at = self.below(80.min(frame.len() as u64)) as usize;
            frame[at] = if self.below(2) == 0 { frame[at] ^ 1 << self.below(8) } else { self.below(256) as u8 };
        }
        match self.below(12) {
            0 => frame.truncate(1 + self.below(frame.len() as u64) as usize),
            1 => frame.extend([0; 9]),
            _ => {}
        }
        frame
    }

    fn arrival(&mut self) -> (PortId, Packet) {
        let (port, frame) = match self.below(10) {
            0..6 => (UP, self.tunnel_packet()),
            6..9 => (ACCESS, self.tagged_frame()),
            _ => (
                PortId::new(self.below(PORTS.into()) as u16),
                (0..=self.below(200)).map(|_| self.below(256) as u8).collect(),
            ),
        };
        let bytes = if self.below(2) == 0 { frame } else { self.mutated(frame) };
        (port, Packet { bytes, cut: self.below(200) == 0, ..Packet::default() })
    }
}

fn gateway() -> (Offline<'static>, Origins) {
    let config = config::parse("gateway.yaml", GATEWAY).unwrap();
    let (plan, origins) = compile_with_origins(&config).unwrap_or_else(|problems| panic!("{problems}"));
    (Offline::new(plan, Box::leak(offline::arena().into_boxed_slice())), origins)
}

/// What has left, by port.
fn sent(gateway: &Offline<'_>) -> Vec<(String, Vec<u8>)> {
    let ports = (0..PORTS).map(PortId::new);
    ports
        .flat_map(|id| {
            let name = gateway.names().port(id).into_owned();
            gateway.port(id).unwrap().collect().into_iter().map(move |packet| (name.clone(), packet.bytes))
        })
        .collect()
}

fn drops(gateway: &Offline<'_>) -> BTreeMap<&'static str, u64> {
    gateway.drops().map(|(reason, count)| (reason.label(), count)).collect()
}

/// The outputs of an explanation in the order of the ports.
fn told(explanation: &Explanation, gateway: &Offline<'_>) -> Vec<(String, Vec<u8>)> {
    let mut all: Vec<_> = explanation.outputs.iter().map(|out| (out.port.clone(), out.bytes().to_vec())).collect();
    all.sort_by_key(|(port, _)| gateway.names().port_id(port));
    all
}

/// How often a frame had each end.
type Fates = BTreeMap<&'static str, u64>;

/// Sends frames through both gateways of a world, whose dice begin with this seed.
fn fates_in_a_world(seed: u64, frames: u64) -> Fates {
    let ((mut plain, _), (mut explained, origins)) = (gateway(), gateway());
    let mut dice = Dice(seed);
    let (mut before, mut fates) = (BTreeMap::new(), Fates::new());
    for number in 0..frames {
        let now = 1_000_000_000_000 + number * 10_000_000;
        let (port, packet) = dice.arrival();
        plain.receive(port, packet.clone(), now);
        let explanation = explain::explain(&mut explained, &origins, port, packet.clone(), now);

        let real = sent(&plain);
        assert_eq!(real, sent(&explained), "frame {number}: {packet:02x?}");
        assert_eq!(real, told(&explanation, &explained), "frame {number}: {packet:02x?}");
        let after = drops(&plain);
        assert_eq!(after, drops(&explained), "frame {number}: {packet:02x?}");
        let fate = explanation.dropped.as_ref().map_or("sent", |dropped| dropped.reason);
        if let Some(dropped) = &explanation.dropped {
            let reason = DropReason::all().find(|reason| reason.label() == fate).unwrap();
            let is_early = ["receive", "classify", "decap"].contains(&dropped.stage);
            assert!(is_early || reason.info().last_stage == LastStage::Encap, "{fate} in stage {}", dropped.stage);
        }
        let counted = after.get(fate) > before.get(fate);
        assert_eq!(counted, fate != "sent", "frame {number}: {packet:02x?} is said to be {fate}");
        let forwarded = explanation.outputs.iter().any(|output| !output.answer);
        *fates.entry("answered").or_default() +=
            explanation.outputs.iter().filter(|output| output.answer).count() as u64;
        assert_eq!(forwarded, fate == "sent", "frame {number}: {packet:02x?}");
        assert!(!explanation.headline.is_empty() && explanation.headline.lines().count() == 1);
        *fates.entry(fate).or_default() += 1;
        before = after;
    }
    assert!(plain.names().peers().any(|(_, name)| name.starts_with("roam/10.9.0.")), "some peers were learned");
    assert_eq!(plain.fdb(), explained.fdb());
    fates
}

#[test]
fn explain_and_the_pipeline_give_the_same_bytes_and_the_same_drop() {
    let worlds: Vec<_> =
        (1..=WORLDS).map(|seed| std::thread::spawn(move || fates_in_a_world(seed, FRAMES / WORLDS))).collect();
    let mut fates = Fates::new();
    for world in worlds {
        for (fate, count) in world.join().expect("the two gateways agree in every world") {
            *fates.entry(fate).or_default() += count;
        }
    }
    for fate in ["mapping_hole", "other_group"] {
        assert!(fates.contains_key(fate), "{fates:?}");
    }
    assert!(fates["answered"] > 0, "some are too big and answered");
    assert!(fates.len() >= 20, "the frames must be of many kinds: {fates:?}");
    assert!(fates["sent"] * 8 > FRAMES, "many of them must pass: {fates:?}");
}
