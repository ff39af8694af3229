//! Departures: what a tenant sends is its own wherever it comes back, and no other tenant's at the far end.

use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;
use std::ops::ControlFlow;

use transload_encaps::Carrier;

use super::meeting::{Holding, Meeting, Party, Rule};
use super::{Meetings, proof};
use crate::claims::{ClaimTable, Departure, FarEnd, Held, Wire, attachments, crossed, shared};
use crate::forwarding::Claim;

pub(super) fn look(claims: &ClaimTable<'_>, found: &mut Meetings) -> ControlFlow<()> {
    for (at, space) in claims.spaces.iter().enumerate() {
        shared(&space.tx_ids, |one, other, value| found.add(same_place(claims, (at, one), (at, other), value)))?;
    }
    one_far_end(claims, found)?;
    let index = Index::of(claims);
    let mut compared = HashSet::new();
    for departure in &claims.departures {
        echoes(claims, &index, departure, &mut compared, found)?;
    }
    statics(claims, found)
}

/// Two peers, or the tags of two ports, that are one far end, with the same ID.
fn one_far_end(claims: &ClaimTable<'_>, found: &mut Meetings) -> ControlFlow<()> {
    let mut ends: BTreeMap<_, Vec<usize>> = BTreeMap::new();
    for departure in &claims.departures {
        let key = match departure.far_end {
            FarEnd::Tunnel { local, remote, carrier } => (None, Some((local, remote, carrier))),
            FarEnd::Port { wire, .. } => (Some(wire), None),
        };
        ends.entry(key).or_default().push(departure.space);
    }
    for spaces in ends.values() {
        for (n, &one) in spaces.iter().enumerate() {
            for &other in spaces[n + 1..].iter().filter(|&&other| other != one) {
                let (ours, theirs) = (&claims.spaces[one].tx_ids, &claims.spaces[other].tx_ids);
                crossed(ours, theirs, |a, b, value| found.add(same_place(claims, (one, a), (other, b), value)))?;
            }
        }
    }
    ControlFlow::Continue(())
}

/// The spaces behind the entrances, by what a frame must have on it to come in there.
struct Index {
    /// By our address, the sender's address, and the carrier.
    tunnels: BTreeMap<(IpAddr, IpAddr, Carrier), Vec<usize>>,
    ports: BTreeMap<Wire, Vec<usize>>,
}

impl Index {
    fn of(claims: &ClaimTable<'_>) -> Self {
        let mut index = Self { tunnels: BTreeMap::new(), ports: BTreeMap::new() };
        for entrance in claims.entrances.values().flatten() {
            // Every peer that we send to has an address of its own; ranges of senders are only accepted from.
            if entrance.source.first() == entrance.source.last() {
                let key = (entrance.destination.address, entrance.source.first(), entrance.destination.carrier);
                index.tunnels.entry(key).or_default().push(entrance.space);
            }
        }
        for entrance in &claims.tags {
            index.ports.entry(entrance.wire).or_default().push(entrance.space);
        }
        for spaces in index.tunnels.values_mut() {
            spaces.sort_unstable();
            spaces.dedup();
        }
        index
    }
}

/// Frames that come back: from the far end, or because the far end is ourselves.
fn echoes(
    claims: &ClaimTable<'_>,
    index: &Index,
    departure: &Departure,
    compared: &mut HashSet<(usize, usize, Rule)>,
    found: &mut Meetings,
) -> ControlFlow<()> {
    let backs = match departure.far_end {
        FarEnd::Tunnel { local, remote, carrier } => [
            (Rule::Reflections, index.tunnels.get(&(local, remote, carrier))),
            (Rule::Loops, index.tunnels.get(&(remote, local, carrier))),
        ],
        FarEnd::Port { wire, .. } => [(Rule::Reflections, index.ports.get(&wire)), (Rule::Loops, None)],
    };
    for (rule, spaces) in backs {
        for &back in spaces.into_iter().flatten() {
            if compared.insert((departure.space, back, rule)) {
                let (sent, taken) = (&claims.spaces[departure.space].tx_ids, &claims.spaces[back].rx_ids);
                crossed(sent, taken, |out, held, value| {
                    // What comes back of this tenant's comes with another ID.
                    if rule == Rule::Reflections && claims.has_ids_apart(out) {
                        return ControlFlow::Continue(());
                    }
                    let out = Holding::of(claims, departure.space, out, Some(value));
                    let held = Holding::of(claims, back, held, Some(value));
                    found.add(comes_back(claims, rule, departure, out, held))
                })?;
            }
        }
    }
    ControlFlow::Continue(())
}

fn comes_back(claims: &ClaimTable<'_>, rule: Rule, departure: &Departure, out: Holding, held: Holding) -> Meeting {
    let far_end = proof::far_end(claims, departure);
    let returned = match rule {
        Rule::Loops => "the packet comes to an endpoint of our own".to_owned(),
        _ => format!("{far_end} sends it back, or to others there"),
    };
    let path = vec![
        format!("{} sends a frame to {far_end} with {}", out.party, out.ids),
        returned,
        format!("{} takes it for {}", held.party, held.ids),
    ];
    Meeting::new(rule, out.party, held.party, path)
}

fn same_place(claims: &ClaimTable<'_>, one: (usize, &Held), other: (usize, &Held), value: u64) -> Meeting {
    let step = |at: usize, holding: &Holding| {
        format!("{} sends to {} with {}", holding.party, proof::peers(claims, at), holding.ids)
    };
    let (a, b) = (Holding::of(claims, one.0, one.1, Some(value)), Holding::of(claims, other.0, other.1, Some(value)));
    let path = vec![step(one.0, &a), step(other.0, &b), "at the far end they are one".to_owned()];
    Meeting::new(Rule::Departures, a.party, b.party, path)
}

/// Static addresses name a peer, which must be one of the attachment's.
fn statics(claims: &ClaimTable<'_>, found: &mut Meetings) -> ControlFlow<()> {
    let tables = &claims.plan.tables;
    for entry in &claims.plan.statics {
        let attachment = tables.domain(entry.domain).and_then(|domain| domain.attachment(entry.target.attachment));
        let Some(attachment) = attachment else { continue };
        if tables.members(&attachment.members).contains(&entry.target.peer) {
            continue;
        }
        let from = Claim { domain: entry.domain, attachment: entry.target.attachment };
        let peer = entry.target.peer;
        let path = vec![format!(
            "the static address {} of {} is sent to {}, which is not behind that attachment",
            entry.mac,
            Party::of(from, &claims.plan.names),
            claims.plan.names.peer(peer)
        )];
        let other = attachments(tables)
            .find(|(claim, other)| claim.domain != entry.domain && tables.members(&other.members).contains(&peer));
        let to = other.map_or(from, |(claim, _)| claim);
        let parties = [from, to].map(|claim| Party::of(claim, &claims.plan.names));
        let [from, to] = parties;
        found.add(Meeting::new(Rule::Statics, from, to, path))?;
    }
    ControlFlow::Continue(())
}
