//! Whatever arrives, a tenant's frame never appears in another tenant, nothing panics, and no chunk is lost.

#[path = "tenants_never_meet/combined.rs"]
mod combined;
mod common;

use common::Lab;
use common::three::{THREE, arriving, inner, marker, strays};
use common::wire::{self, BROADCAST, mac};
use proptest::prelude::*;

/// Nothing of a tenant leaves under another's ID. Frames that name no tenant any more, being mutated, may go anywhere.
fn check(sent: &[(String, Vec<u8>)]) -> Result<(), TestCaseError> {
    for (port, bytes) in sent {
        prop_assert_eq!(strays(port, bytes).next(), None, "on {}: {:02x?}", port, bytes);
    }
    Ok(())
}

/// One arrival: tenant, way, destination, source.
type Arrival = (u8, u8, u8, u8);

fn arrivals() -> impl Strategy<Value = Vec<Arrival>> {
    prop::collection::vec((0..3_u8, 0..4_u8, 0..5_u8, 1..5_u8), 1..60)
}

fn host(number: u8) -> [u8; 6] {
    if number == 0 { BROADCAST } else { mac(number) }
}

/// Tenants on ports that some of them share without a tag, and others with tags of every form.
const TRUNKS: &str = r#"
version: 1
ports:
  up:    { device: up, mac: "02:aa:00:00:00:01" }
  trunk: { device: trunk, tpids: [0x88a8, 0x9100] }
  flat:  { device: flat, tpids: [0x8100], emit_tpid: 0x9200 }
endpoints:
  fabric: { address: 192.0.2.1, ports: [up] }
peers:
  vxlan: { address: 192.0.2.9,  encap: vxlan }
  nvgre: { address: 192.0.2.77, encap: nvgre }
  gre:   { address: 192.0.2.99, encap: gre }
tenants:
  a: { limits: { bum: unlimited }, loop_guard: off, attachments: {
        v: { peer: vxlan, vni: 5000 }, g: { peer: gre },
        t: { port: trunk, untagged: true }, f: { port: flat, vid: 40 }, w: { port: flat, s_vid: 7 } } }
  b: { limits: { bum: unlimited }, loop_guard: off, attachments: {
        v: { peer: vxlan, vni: 5001 }, g: { peer: gre, key: 0 },
        t: { port: trunk, vid: 30 }, s: { port: trunk, s_vid: 40 }, f: { port: flat, untagged: true } } }
  c: { limits: { bum: unlimited }, loop_guard: off, attachments: {
        v: { peer: vxlan, vni: 5002 }, g: { peer: gre, key: 1 },
        t: { port: trunk, s_vid: 40, c_vid: 7 }, s: { port: trunk, s_vid: 7, c_vid: 30-40 },
        f: { port: flat, vid: 30 }, p: { port: flat, s_vid: 40, c_vid: 30 } } }
"#;

/// The tenant that whoever receives these tags on a port takes the frame to be of, if any: tags without a VLAN ID say
/// nothing, and the longest match counts.
fn reader(port: &str, tags: &[(u16, u16)]) -> Option<u8> {
    let named: Vec<_> = tags.iter().filter(|(_, vid)| *vid != 0).collect();
    let outer: &[u16] = if port == "trunk" { &[0x88a8, 0x9100] } else { &[0x8100, 0x9200] };
    let inner = named.get(1).filter(|(tpid, _)| *tpid == 0x8100).map(|(_, vid)| *vid);
    let Some(&&(tpid, vid)) = named.first() else { return Some(u8::from(port == "flat")) };
    match (port, vid, inner) {
        ("trunk", 40, Some(7)) | ("trunk", 7, Some(30..=40)) | ("flat", 40, Some(30)) if outer.contains(&tpid) => {
            Some(2)
        }
        ("trunk", 40, _) if outer.contains(&tpid) => Some(1),
        ("trunk", 30, _) if tpid == 0x8100 => Some(1),
        ("flat", 7, _) if outer.contains(&tpid) => Some(0),
        ("flat", 40, _) if tpid == 0x8100 => Some(0),
        ("flat", 30, _) if tpid == 0x8100 => Some(2),
        _ => None,
    }
}

fn tags_of(frame: &[u8]) -> Vec<(u16, u16)> {
    let tag = |at: usize| {
        let word = |at: usize| u16::from_be_bytes([frame[at], frame[at + 1]]);
        (word(at), word(at + 2) & 0xfff)
    };
    let is_tag = |tpid| matches!(tpid, 0x8100 | 0x88a8 | 0x9100 | 0x9200 | 0x9300);
    (12..).step_by(4).map(tag).take_while(|(tpid, _)| is_tag(*tpid)).collect()
}

/// Stacks of tags, of which many name no VLAN.
fn stacks() -> impl Strategy<Value = Vec<(u16, u16)>> {
    let tpid = prop::sample::select(&[0x8100, 0x88a8, 0x9100, 0x9200, 0x9300][..]);
    let vid = prop_oneof![Just(0), prop::sample::select(&[7, 30, 31, 40][..])];
    prop::collection::vec((tpid, vid), 0..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn whatever_tags_a_frame_brings_nobody_takes_it_for_another_tenants(
        stacks in prop::collection::vec((0..3_u8, prop_oneof![Just(0_u8), Just(2)], stacks()), 1..8),
    ) {
        let mut lab = Lab::new(TRUNKS);
        for (number, (tenant, way, stack)) in stacks.into_iter().enumerate() {
            let plain = inner(tenant, BROADCAST, mac(number as u8));
            let tagged = stack.iter().rev().fold(plain, |frame, &(tpid, vid)| wire::tag(&frame, tpid, vid));
            let (port, packet) = arriving(tenant, way, &tagged);
            for (port, frame) in lab.send(port, packet).iter().filter(|(port, _)| port != "up") {
                let taken_for = reader(port, &tags_of(frame));
                prop_assert!(taken_for.is_none_or(|other| other == tenant), "{tenant} by {port}: {:x?}", tags_of(frame));
            }
        }
        prop_assert!(lab.gateway.is_whole());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_tenants_frame_never_appears_in_another_tenant(arrivals in arrivals()) {
        let mut lab = Lab::new(THREE);
        for (tenant, way, dst, src) in arrivals {
            let (port, packet) = arriving(tenant, way, &inner(tenant, host(dst), host(src)));
            let sent = lab.send(port, packet);
            prop_assert!(dst != 0 || !sent.is_empty(), "a broadcast reaches somebody");
            check(&sent)?;
        }
        prop_assert!(lab.gateway.is_whole());
    }

    #[test]
    fn nor_does_a_broken_one_and_nothing_panics(
        arrivals in arrivals(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        cut in any::<prop::sample::Index>(),
        noise in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let mut lab = Lab::new(THREE);
        for (tenant, way, dst, src) in arrivals {
            let (port, whole) = arriving(tenant, way, &inner(tenant, host(dst), host(src)));
            let mut changed = whole.clone();
            // The segment itself is left alone: changing it makes the frame another tenant's.
            let header = whole.windows(16).position(|window| window == marker(tenant)).unwrap_or(0);
            let ids = match (way, port) { (_, "access") => 12..22, (0, _) => 46..49, _ => 34..42 };
            let place = at.index(header);
            if !ids.contains(&place) {
                changed[place] ^= byte;
            }
            check(&lab.send(port, changed))?;
            check(&lab.send(port, whole[..cut.index(whole.len())].to_vec()))?;
            lab.send(port, noise.clone());
        }
        prop_assert!(lab.gateway.is_whole());
    }
}
