//! Whatever arrives, a tenant's frame never appears in another tenant, nothing panics, and no chunk is lost.

#[path = "tenants_never_meet/combined.rs"]
mod combined;
mod common;

use common::Lab;
use common::three::{THREE, arriving, inner, marker, strays};
use common::wire::{BROADCAST, mac};
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
