//! Tags: no tenant can write a tunnel packet, and none can leave as another.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use transload_encaps::{Compiled, qinq};

use super::Meetings;
use super::meeting::{Holding, Meeting, Rule};
use crate::claims::{ClaimTable, Held, Owner, TagEntrance, Wire};

pub(super) fn look(claims: &ClaimTable<'_>, found: &mut Meetings) -> ControlFlow<()> {
    let mut underlay: BTreeMap<Wire, BTreeSet<Option<u16>>> = BTreeMap::new();
    for to in claims.entrances.keys() {
        underlay.entry(to.wire).or_default().insert(to.vlan);
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
    claims: &ClaimTable<'_>,
    entrance: &TagEntrance,
    vlan: Option<u16>,
    found: &mut Meetings,
) -> ControlFlow<()> {
    let (space, tags) = (&claims.spaces[entrance.space], qinq::wire_id_of_vlan(vlan));
    let inwards = space.rx_ids.iter().filter(|held| held.ids.contains(tags)).map(|held| (held, "writes"));
    let outwards = space.tx_ids.iter().filter(|held| held.ids.contains(tags)).map(|held| (held, "sends"));
    for (held, does) in inwards.chain(outwards) {
        let Some((there, victim)) = victim(claims, entrance.wire, vlan, held) else { continue };
        let held = Holding::of(claims, entrance.space, held, Some(tags));
        let victim = Holding::of(claims, there, victim, None);
        let port = claims.plan.names.port(entrance.port);
        let how = vlan.map_or_else(|| "without a tag".to_owned(), |vlan| format!("with VLAN ID {vlan}"));
        let path = vec![
            format!("{} {does} a frame {how} on port {port}", held.party),
            "it looks like a tunnel packet of the underlay there, and says it is from one of the peers".to_owned(),
            format!("the peer's IDs lead to {}", victim.party),
        ];
        found.add(Meeting::new(Rule::Forgery, held.party, victim.party, path))?;
    }
    ControlFlow::Continue(())
}

/// Another owner that tunnel packets of this VLAN lead to.
fn victim<'c>(claims: &'c ClaimTable<'_>, wire: Wire, vlan: Option<u16>, attacker: &Held) -> Option<(usize, &'c Held)> {
    let here = claims.entrances.iter().filter(|(to, _)| to.wire == wire && to.vlan == vlan);
    let spaces = here.flat_map(|(_, entrances)| entrances).map(|entrance| entrance.space);
    let mut held = spaces.flat_map(|at| claims.spaces[at].rx_ids.iter().map(move |held| (at, held)));
    // Every ID of a mapping is a tenant, so that one of them can forge another's packets.
    held.find(|(_, held)| matches!(held.owner, Owner::Mapping { .. }) || !held.owner.is_alone_with(attacker.owner))
}

/// A tenant whose frames bring a tag that names another's VLAN: the port's tags have to know every claim, and the
/// VLAN of every endpoint, to keep such frames from leaving.
fn by_its_own_tag(claims: &ClaimTable<'_>, entrance: &TagEntrance, found: &mut Meetings) -> ControlFlow<()> {
    let space = &claims.spaces[entrance.space];
    let Some(peer) = claims.plan.tables.peer(entrance.peer) else { return ControlFlow::Continue(()) };
    // Whoever leaves by tags that the tenant's own come first behind: no others can be made into something else.
    let exposed =
        |compiled: &Compiled, held: &&Held| compiled.overhead(held.segment) <= transload_encaps::ethernet::TAG_LEN;
    for held in space.rx_ids.iter().filter(|held| !is_blocked(claims, &peer.compiled, held)) {
        let hopper = space.tx_ids.iter().filter(|other| exposed(&peer.compiled, other));
        let hops =
            |other: &&Held| matches!(held.owner, Owner::Mapping { .. }) || !other.owner.is_alone_with(held.owner);
        let Some(hopper) = hopper.into_iter().find(hops) else { continue };
        let hopper = Holding::of(claims, entrance.space, hopper, None);
        let held = Holding::of(claims, entrance.space, held, None);
        let path = vec![
            format!("{} sends a frame with a VLAN tag of its own", hopper.party),
            format!("on port {} the tag makes it {}", claims.plan.names.port(entrance.port), held.ids),
            format!("which is {}", held.party),
        ];
        found.add(Meeting::new(Rule::InnerTags, hopper.party, held.party, path))?;
    }
    ControlFlow::Continue(())
}

/// Whether the tags know this claim; of a mapping, every outer VLAN ID that it may have.
fn is_blocked(claims: &ClaimTable<'_>, tags: &Compiled, held: &Held) -> bool {
    let Owner::Mapping { mapping, side, .. } = held.owner else { return tags.blocks_foreign_tags(held.segment) };
    let ids = claims.plan.tables.mappings.get(mapping).map(|connection| &connection.ids);
    ids.is_some_and(|ids| ids.first_values(side).all(|segment| tags.blocks_foreign_tags(segment)))
}
