//! The whole pipeline, with tenants that could hardly be closer: nothing panics, no tenant's frame leaves under
//! another's ID, no frame vanishes, and no chunk is lost.
#![no_main]

#[path = "../../tests/common/three.rs"]
#[expect(unreachable_pub, reason = "the integration tests' own")]
mod three;
#[path = "../../tests/common/wire.rs"]
#[expect(dead_code, unreachable_pub, reason = "the integration tests' own; this uses some of it")]
mod wire;

use std::cell::RefCell;
use std::sync::atomic::Ordering;

use libfuzzer_sys::fuzz_target;
use transload::compile::{self, Numbers};
use transload::config;
use transload::forwarding::PortId;
use transload::io::memory::Packet;
use transload::offline::{self, Offline};
use transload_encaps::{Checksum, Gso, GsoKind};

const SECOND: u64 = 1_000_000_000;
const PORTS: [&str; 2] = ["up", "access"];
/// A smaller table is swept in less time.
const SMALL: &str = "fdb: { capacity: 512 }\n";
/// Longer than anything is remembered.
const AGES: u64 = 1_000 * SECOND;

thread_local! {
    static LAB: RefCell<Lab> = RefCell::new(Lab::new());
}

fuzz_target!(|input: &[u8]| {
    LAB.with_borrow_mut(|lab| {
        lab.forget();
        let mut script = Script(input);
        while let Some(op) = script.byte() {
            lab.clock += u64::from(op >> 4) * SECOND * 30;
            let arrival = match op & 3 {
                0 | 1 => script.tenants_frame(),
                2 => script.damaged_frame(),
                _ => script.any_frame(),
            };
            let Some((port, packet)) = arrival else { break };
            lab.receive(port, packet);
        }
    });
});

/// One gateway for all inputs, since it takes longer to make than to forget.
struct Lab {
    gateway: Offline<'static>,
    clock: u64,
}

impl Lab {
    fn new() -> Self {
        let config = config::parse("three.yaml", &format!("{}{SMALL}", three::THREE)).expect("it can be read");
        let plan = compile::compile(&config, &Numbers::default(), None).expect("it compiles");
        Self { gateway: Offline::new(plan, Box::leak(offline::arena().into_boxed_slice())), clock: AGES }
    }

    /// Every input meets the same gateway: all addresses have aged, all budgets are full.
    fn forget(&mut self) {
        if self.clock > u64::MAX / 2 {
            *self = Self::new();
        }
        self.clock += AGES;
        self.gateway.step(self.clock);
        let shared = self.gateway.shared();
        assert!(shared.fdb.is_empty(), "an address stays for ever");
        let tables = shared.forwarding.load();
        let counted: u32 = tables.domains.values().map(|domain| domain.state.macs.load(Ordering::Relaxed)).sum();
        assert_eq!(counted, 0, "an address that is gone counts for ever");
    }

    fn receive(&mut self, port: usize, packet: Packet) {
        let is_something = !packet.bytes.is_empty();
        let before = self.dropped();
        self.gateway.receive(PortId::new(port as u16), packet, self.clock);
        assert!(self.gateway.is_whole(), "a chunk is lost");
        let mut sent = 0;
        for (id, name) in PORTS.iter().enumerate() {
            for packet in self.gateway.port(PortId::new(id as u16)).expect("it is one of ours").collect() {
                let stray = three::strays(name, &packet.bytes).next();
                assert_eq!(stray, None, "by {name}: {:02x?}", packet.bytes);
                sent += 1;
            }
        }
        assert!(sent > 0 || self.dropped() > before || !is_something, "a frame vanished");
    }

    fn dropped(&self) -> u64 {
        self.gateway.drops().map(|(_, count)| count).sum()
    }
}

/// The rest of the input, as what arrives.
struct Script<'i>(&'i [u8]);

impl Script<'_> {
    fn byte(&mut self) -> Option<u8> {
        self.0.split_off_first().copied()
    }

    fn word(&mut self) -> Option<u16> {
        Some(u16::from_le_bytes([self.byte()?, self.byte()?]))
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        self.0.split_off(..len.min(self.0.len())).unwrap_or_default().to_vec()
    }

    /// A tenant's frame by one of its attachments, between hosts whose addresses all tenants have.
    fn tenants_frame(&mut self) -> Option<(usize, Packet)> {
        let (who, hosts) = (self.byte()?, self.byte()?);
        let (tenant, way) = (who % 3, who >> 2 & 3);
        let host = |number: u8| if number == 0 { wire::BROADCAST } else { wire::mac(number) };
        let (name, bytes) = three::arriving(tenant, way, &three::inner(tenant, host(hosts & 7), host(hosts >> 4)));
        let port = PORTS.iter().position(|port| *port == name)?;
        Some((port, Packet { bytes, ..self.knowledge(who)? }))
    }

    /// The same with some bytes changed. Its ID is left alone: to change that is to make it another tenant's.
    fn damaged_frame(&mut self) -> Option<(usize, Packet)> {
        let (port, mut packet) = self.tenants_frame()?;
        let ids = match (port, packet.bytes.get(23)) {
            (1, _) => 12..22,
            (_, Some(17)) => 46..49,
            _ => 34..42,
        };
        for _ in 0..self.byte()? % 4 {
            let (at, bits) = (usize::from(self.byte()?), self.byte()?);
            if let Some(byte) = packet.bytes.get_mut(at).filter(|_| !ids.contains(&at)) {
                *byte ^= bits;
            }
        }
        let marks = (0..3).filter(|&tenant| three::is_marked(&packet.bytes, tenant));
        (marks.count() < 2).then_some((port, packet))
    }

    /// Any bytes, but for those that say whose they are.
    fn any_frame(&mut self) -> Option<(usize, Packet)> {
        let (flags, len) = (self.byte()?, self.word()?);
        let known = self.knowledge(flags)?;
        let bytes = self.bytes(usize::from(len) % 2048);
        let is_marked = (0..3).any(|tenant| three::is_marked(&bytes, tenant));
        (!is_marked).then_some((usize::from(flags & 1), Packet { bytes, ..known }))
    }

    /// What a port may know, or believe it knows, about a frame.
    fn knowledge(&mut self, flags: u8) -> Option<Packet> {
        if flags & 0x80 == 0 {
            return Some(Packet::default());
        }
        let (bits, start, offset) = (self.byte()?, self.word()?, self.byte()?);
        let checksum = match bits & 3 {
            0 => Checksum::Unknown,
            1 => Checksum::Valid,
            _ => Checksum::Partial { start: u32::from(start) % 256, offset: offset.into() },
        };
        let kind = [GsoKind::Tcp4, GsoKind::Tcp6, GsoKind::Udp][usize::from(bits >> 2 & 3) % 3];
        let gso = if bits & 0x10 == 0 { None } else { Some(Gso { kind, size: self.word()? }) };
        Some(Packet { checksum, gso, cut: bits & 0x20 != 0, ..Packet::default() })
    }
}
