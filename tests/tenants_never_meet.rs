//! Whatever arrives, a tenant's frame never appears in another tenant, nothing panics, and no chunk is lost.

mod common;

use std::net::IpAddr;

use common::Lab;
use common::wire::{self, BROADCAST, mac};
use proptest::prelude::*;

/// Three tenants that use the same MACs and touch each other's IDs as closely as they can.
const THREE: &str = r#"
version: 1
ports:
  up:     { device: up, mac: "02:aa:00:00:00:01" }
  access: { device: access, tpids: [0x88a8, 0x9100] }
endpoints:
  fabric: { address: 192.0.2.1, ports: [up] }
peers:
  vxlan: { address: 192.0.2.9,  encap: vxlan }
  nvgre: { address: 192.0.2.77, encap: nvgre }
  gre:   { address: 192.0.2.99, encap: gre }
tenants:
  a: { limits: { bum: 1000000 }, attachments: {
        v: { peer: vxlan, vni: 5000 }, n: { peer: nvgre, vsid: 5000 }, g: { peer: gre }, p: { port: access, s_vid: 1, c_vid: 1 } } }
  b: { limits: { bum: 1000000 }, attachments: {
        v: { peer: vxlan, vni: 5001 }, n: { peer: nvgre, vsid: 5001 }, g: { peer: gre, key: 0 }, p: { port: access, s_vid: 1, c_vid: 2 } } }
  c: { limits: { bum: 1000000 }, attachments: {
        v: { peer: vxlan, vni: 5002 }, n: { peer: nvgre, vsid: 5002 }, g: { peer: gre, key: 1 }, p: { port: access, s_vid: 2 },
        q: { port: access, vid: 1 }, u: { port: access, untagged: true } } }
"#;

const LINK: ([u8; 6], [u8; 6]) = ([2, 0xaa, 0, 0, 0, 1], [2, 0xbb, 0, 0, 0, 1]);

/// What every frame of a tenant carries in its payload.
fn marker(tenant: u8) -> [u8; 16] {
    [b'a' + tenant; 16]
}

fn inner(tenant: u8, dst: [u8; 6], src: [u8; 6]) -> Vec<u8> {
    wire::ethernet(dst, src, 0x88b5, &[&marker(tenant)[..], &[0; 30]].concat())
}

/// A frame of a tenant as it arrives by one of its attachments, and the port.
fn arriving(tenant: u8, way: u8, frame: &[u8]) -> (&'static str, Vec<u8>) {
    let ours: IpAddr = [192, 0, 2, 1].into();
    let tunnel = |peer: u8, protocol, packet: &[u8]| {
        ("up", wire::outer(LINK, ([192, 0, 2, peer].into(), ours), 0, protocol, packet))
    };
    let id = 5000 + u32::from(tenant);
    match (way, tenant) {
        (0, _) => tunnel(9, 17, &wire::udp(9, 4789, &wire::vxlan(id, frame))),
        (1, _) => tunnel(77, 47, &wire::nvgre(id, tenant, frame)),
        (2, _) => tunnel(99, 47, &wire::gre(u32::from(tenant).checked_sub(1), frame)),
        (_, 2) => ("access", wire::tag(frame, 0x88a8, 2)),
        _ => ("access", wire::tag(&wire::tag(frame, 0x8100, u16::from(tenant) + 1), 0x88a8, 1)),
    }
}

/// The tenant whose ID a frame carries on the wire, read from its bytes alone.
fn tenant_on_the_wire(port: &str, sent: &[u8]) -> u8 {
    if port == "access" {
        return match (&sent[12..16], &sent[16..20]) {
            ([0x88, 0xa8, 0, 1], [0x81, 0, 0, vid]) => vid - 1,
            _ => 2,
        };
    }
    match sent[23] {
        17 => (u32::from_be_bytes([0, sent[46], sent[47], sent[48]]) - 5000) as u8,
        _ if sent[33] == 77 => (u32::from_be_bytes([0, sent[38], sent[39], sent[40]]) - 5000) as u8,
        _ if sent[34] & 0x20 == 0 => 0,
        _ => sent[41] + 1,
    }
}

/// Nothing of a tenant leaves under another's ID. Frames that name no tenant any more, being mutated, may go anywhere.
fn check(sent: &[(String, Vec<u8>)]) -> Result<(), TestCaseError> {
    for (port, bytes) in sent {
        for tenant in 0..3 {
            if bytes.windows(16).any(|window| window == marker(tenant)) {
                prop_assert_eq!(tenant_on_the_wire(port, bytes), tenant, "on {}: {:02x?}", port, bytes);
            }
        }
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
