//! Arrivals: no arriving frame is claimed by two tenants.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use super::meeting::{Holding, Meeting, Rule};
use super::{Meetings, proof};
use crate::claims::{ClaimTable, Held, Wire, crossed, shared};
use crate::mapping::interval::overlaps;

pub(super) fn look(claims: &ClaimTable<'_>, found: &mut Meetings) -> ControlFlow<()> {
    within_spaces(claims, found)?;
    between_senders(claims, found)?;
    between_ports(claims, found)
}

/// Two tenants with the same ID from one sender.
fn within_spaces(claims: &ClaimTable<'_>, found: &mut Meetings) -> ControlFlow<()> {
    for (at, space) in claims.spaces.iter().enumerate() {
        shared(&space.rx_ids, |one, other, value| {
            let from = proof::peers(claims, at);
            found.add(both_claim(claims, &from, (at, one), (at, other), Some(value)))
        })?;
    }
    ControlFlow::Continue(())
}

/// Two senders with the same address.
fn between_senders(claims: &ClaimTable<'_>, found: &mut Meetings) -> ControlFlow<()> {
    for entrances in claims.entrances.values() {
        let mut sources: Vec<_> = entrances.iter().map(|entrance| (entrance.source, entrance)).collect();
        overlaps(&mut sources, |(_, one), (_, other)| {
            if one.space == other.space {
                return ControlFlow::Continue(());
            }
            let from = proof::entrance(claims, one);
            clash(claims, one.space, other.space, |a, b, value| {
                found.add(both_claim(claims, &from, (one.space, a), (other.space, b), value))
            })
        })?;
    }
    ControlFlow::Continue(())
}

/// Two ports that are one wire, with the same tags.
fn between_ports(claims: &ClaimTable<'_>, found: &mut Meetings) -> ControlFlow<()> {
    let mut wires: BTreeMap<Wire, Vec<_>> = BTreeMap::new();
    for entrance in &claims.tags {
        wires.entry(entrance.wire).or_default().push(entrance);
    }
    for entrances in wires.values() {
        for (n, one) in entrances.iter().enumerate() {
            for other in &entrances[n + 1..] {
                let names = &claims.plan.names;
                let from =
                    format!("port {}, which is the same wire as port {}", names.port(one.port), names.port(other.port));
                clash(claims, one.space, other.space, |a, b, value| {
                    found.add(both_claim(claims, &from, (one.space, a), (other.space, b), value))
                })?;
            }
        }
    }
    ControlFlow::Continue(())
}

/// Calls `found` with the claims of two spaces that are not disjoint. Where the spaces read different bits of the same
/// packets, no two of their claims can be told apart.
fn clash(
    claims: &ClaimTable<'_>,
    one: usize,
    other: usize,
    mut found: impl FnMut(&Held, &Held, Option<u64>) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let (one, other) = (&claims.spaces[one], &claims.spaces[other]);
    if one.reads_like(other) {
        return crossed(&one.rx_ids, &other.rx_ids, |a, b, value| found(a, b, Some(value)));
    }
    let pair =
        one.rx_ids.first().and_then(|a| Some((a, other.rx_ids.iter().find(|b| !b.owner.is_alone_with(a.owner))?)));
    pair.map_or(ControlFlow::Continue(()), |(a, b)| found(a, b, None))
}

fn both_claim(
    claims: &ClaimTable<'_>,
    from: &str,
    one: (usize, &Held),
    other: (usize, &Held),
    value: Option<u64>,
) -> Meeting {
    // Of tags the two readings say it all.
    let value_of_bits = value.filter(|_| claims.spaces[one.0].kind.has_peers());
    let wire =
        value_of_bits.map_or_else(String::new, |value| format!(" with {}", proof::wire_value(claims, one.0, value)));
    let one = Holding::of(claims, one.0, one.1, value);
    let other = Holding::of(claims, other.0, other.1, value);
    let step = |holding: &Holding| format!("{} takes it for {}", holding.party, holding.ids);
    let path = vec![format!("a frame arrives from {from}{wire}"), step(&one), step(&other)];
    Meeting::new(Rule::Arrivals, one.party, other.party, path)
}
