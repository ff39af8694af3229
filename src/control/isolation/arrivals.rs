//! The ways in: no arriving frame is claimed by two tenants.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use super::meeting::{Meeting, Rule};
use super::{Found, proof};
use crate::control::claims::interval::overlaps;
use crate::control::claims::{Claims, Held, Wire, crossed, shared};

pub(super) fn look(claims: &Claims<'_>, found: &mut Found) -> ControlFlow<()> {
    within_spaces(claims, found)?;
    between_senders(claims, found)?;
    between_ports(claims, found)
}

/// One sender, one ID, two tenants.
fn within_spaces(claims: &Claims<'_>, found: &mut Found) -> ControlFlow<()> {
    for (at, space) in claims.spaces.iter().enumerate() {
        shared(&space.taken, |one, other| {
            let from = proof::peers(claims, at);
            found.add(both_claim(claims, &from, at, one, at, other))
        })?;
    }
    ControlFlow::Continue(())
}

/// Tunnel packets that are two senders' at once.
fn between_senders(claims: &Claims<'_>, found: &mut Found) -> ControlFlow<()> {
    for entrances in claims.entrances.values() {
        let mut sources: Vec<_> = entrances.iter().map(|entrance| (entrance.source, entrance)).collect();
        overlaps(&mut sources, |(_, one), (_, other)| {
            if one.space == other.space {
                return ControlFlow::Continue(());
            }
            let from = proof::entrance(claims, one);
            clash(claims, one.space, other.space, |a, b| {
                found.add(both_claim(claims, &from, one.space, a, other.space, b))
            })
        })?;
    }
    ControlFlow::Continue(())
}

/// Tags of two ports that are one wire.
fn between_ports(claims: &Claims<'_>, found: &mut Found) -> ControlFlow<()> {
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
                clash(claims, one.space, other.space, |a, b| {
                    found.add(both_claim(claims, &from, one.space, a, other.space, b))
                })?;
            }
        }
    }
    ControlFlow::Continue(())
}

/// Tells of the claims of two spaces that are not disjoint. Where they read different bits of the same packets,
/// nobody can tell any two of them apart.
fn clash(
    claims: &Claims<'_>,
    one: usize,
    other: usize,
    mut found: impl FnMut(&Held, &Held) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let (one, other) = (&claims.spaces[one], &claims.spaces[other]);
    if one.reads_like(other) {
        return crossed(&one.taken, &other.taken, found);
    }
    let pair =
        one.taken.first().and_then(|a| Some((a, other.taken.iter().find(|b| b.claim.domain != a.claim.domain)?)));
    pair.map_or(ControlFlow::Continue(()), |(a, b)| found(a, b))
}

fn both_claim(claims: &Claims<'_>, from: &str, at: usize, one: &Held, other_at: usize, other: &Held) -> Meeting {
    let step = |at: usize, held: &Held| {
        format!("{} takes it for {}", proof::party(claims, held.claim), claims.spaces[at].kind.ids(held.segment))
    };
    let wire = one
        .ids
        .common(other.ids)
        .map_or_else(String::new, |ids| format!(" with {}", proof::wire_value(claims, at, ids)));
    let path = vec![format!("a frame arrives from {from}{wire}"), step(at, one), step(other_at, other)];
    Meeting::new(claims, Rule::Arrivals, one.claim, other.claim, path)
}
