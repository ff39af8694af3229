//! Tags: no tenant can write a tunnel packet, and none can leave as another.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use transload_encaps::{Compiled, qinq};

use super::meeting::{Meeting, Rule};
use super::{Found, proof};
use crate::control::claims::{Claims, Held, TagEntrance, Wire};
use crate::forwarding::Claim;

pub(super) fn look(claims: &Claims<'_>, found: &mut Found) -> ControlFlow<()> {
    let mut underlay: BTreeMap<Wire, BTreeSet<Option<u16>>> = BTreeMap::new();
    for place in claims.entrances.keys() {
        underlay.entry(place.wire).or_default().insert(place.vlan);
    }
    for entrance in &claims.tags {
        for &vlan in underlay.get(&entrance.wire).into_iter().flatten() {
            beside_an_endpoint(claims, entrance, vlan, found)?;
        }
        by_its_own_tag(claims, entrance, found)?;
    }
    ControlFlow::Continue(())
}

/// A tenant whose outer tag is that of our tunnel packets, in either direction.
fn beside_an_endpoint(
    claims: &Claims<'_>,
    entrance: &TagEntrance,
    vlan: Option<u16>,
    found: &mut Found,
) -> ControlFlow<()> {
    let (space, tags) = (&claims.spaces[entrance.space], qinq::wire_id_of_vlan(vlan));
    let inwards = space.taken.iter().filter(|held| held.ids.contains(tags)).map(|held| (held, "writes"));
    let outwards = space.written.iter().filter(|held| held.ids.contains(tags)).map(|held| (held, "sends"));
    for (held, does) in inwards.chain(outwards) {
        let Some(victim) = victim(claims, entrance.wire, vlan, held) else { continue };
        let port = claims.plan.names.port(entrance.port);
        let how = vlan.map_or_else(|| "without a tag".to_owned(), |vlan| format!("with VLAN ID {vlan}"));
        let path = vec![
            format!("{} {does} a frame {how} on port {port}", proof::party(claims, held.claim)),
            "it looks like a tunnel packet of the underlay there, and says it is from one of the peers".to_owned(),
            format!("the peer's IDs lead to {}", proof::party(claims, victim)),
        ];
        found.add(Meeting::new(claims, Rule::Forgery, held.claim, victim, path))?;
    }
    ControlFlow::Continue(())
}

/// Somebody else who is reached by tunnel packets of this VLAN.
fn victim(claims: &Claims<'_>, wire: Wire, vlan: Option<u16>, attacker: &Held) -> Option<Claim> {
    let here = claims.entrances.iter().filter(|(place, _)| place.wire == wire && place.vlan == vlan);
    let held = here.flat_map(|(_, entrances)| entrances).flat_map(|entrance| &claims.spaces[entrance.space].taken);
    held.map(|held| held.claim).find(|claim| claim.domain != attacker.claim.domain)
}

/// A tenant whose frames bring a tag that names another's VLAN: the port's tags have to know every claim, and the
/// VLAN of every endpoint, to keep such frames from leaving.
fn by_its_own_tag(claims: &Claims<'_>, entrance: &TagEntrance, found: &mut Found) -> ControlFlow<()> {
    let space = &claims.spaces[entrance.space];
    let Some(peer) = claims.plan.forwarding.peer(entrance.peer) else { return ControlFlow::Continue(()) };
    // Whoever leaves by tags that the tenant's own come first behind: no others can be made into something else.
    let exposed =
        |compiled: &Compiled, held: &&Held| compiled.overhead(held.segment) <= transload_encaps::ethernet::TAG_LEN;
    for held in space.taken.iter().filter(|held| !peer.compiled.heeds(held.segment)) {
        let hopper = space.written.iter().filter(|other| exposed(&peer.compiled, other));
        let Some(hopper) = hopper.into_iter().find(|other| other.claim.domain != held.claim.domain) else { continue };
        let ids = space.kind.ids(held.segment);
        let path = vec![
            format!("{} sends a frame with a VLAN tag of its own", proof::party(claims, hopper.claim)),
            format!("on port {} the tag makes it {ids}", claims.plan.names.port(entrance.port)),
            format!("which is {}", proof::party(claims, held.claim)),
        ];
        found.add(Meeting::new(claims, Rule::InnerTags, hopper.claim, held.claim, path))?;
    }
    ControlFlow::Continue(())
}
