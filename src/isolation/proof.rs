//! The proof in names: every entrance, claim and departure in an order in which a reader sees that none overlap.
//!
//! Names instead of numbers, sorted by name and value, so that the hash changes when what is bridged with what does,
//! and not when lines of the file change places.

use std::collections::BTreeSet;

use serde::Serialize;

use super::assumptions::{self, Assumption};
use super::meeting::{Holding, Meeting, Party, Rule};
use crate::claims::{Claims, Departure, Entrance, Held, Way};
use crate::mapping::Values;
use sha2::{Digest, Sha256};

/// What `isolation` prints.
#[derive(Debug, Clone, Serialize)]
pub struct Document {
    /// Whether no two tenants can meet.
    pub isolated: bool,
    /// SHA-256 of the proof as compact JSON.
    pub hash: String,
    /// By which paths they meet.
    pub meetings: Vec<Meeting>,
    /// What the answer rests on.
    pub proof: Proof,
}

/// What was looked at, and what has to hold besides.
#[derive(Debug, Clone, Serialize)]
pub struct Proof {
    /// Who must not meet.
    pub tenants: Vec<String>,
    /// Whose IDs must not meet either, each a tenant of its own.
    pub mappings: Vec<MappingRow>,
    /// What was examined.
    pub rules: Vec<Examined>,
    /// What no table can see to.
    pub assumptions: Vec<Assumption>,
    /// The tenant IDs by who uses them.
    pub spaces: Vec<SpaceRow>,
}

/// A mapping, and how many tenants it stands for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct MappingRow {
    /// Its name.
    pub mapping: String,
    /// How many IDs it has.
    pub ids: u64,
}

/// One rule, and whether it holds.
#[derive(Debug, Clone, Serialize)]
pub struct Examined {
    /// A word for it.
    pub rule: Rule,
    /// As a sentence.
    pub statement: &'static str,
    /// Whether it holds.
    pub holds: bool,
}

/// The peers, or the port, that share a number space, and who has what in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct SpaceRow {
    /// Who they are.
    pub of: String,
    /// The encapsulation.
    pub encap: &'static str,
    /// How their frames come in, in order.
    pub entrances: Vec<EntranceRow>,
    /// The values taken from them, in order.
    pub claims: Vec<HeldRow>,
    /// The values written to them, in order.
    pub departures: Vec<HeldRow>,
}

/// A way in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct EntranceRow {
    /// The port.
    pub port: String,
    /// The outer tag: `untagged`, a VLAN ID, or `any` where the tags are the ID.
    pub tag: String,
    /// Our address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination: Option<String>,
    /// What carries it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub carrier: Option<String>,
    /// The first and the last address it may come from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<(String, String)>,
    /// The peer.
    pub peer: String,
}

/// A hold on values of the ID bits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct HeldRow {
    /// The first value of the ID bits.
    pub first: u64,
    /// The last one.
    pub last: u64,
    /// Where the values between are not all held: those are that have of these bits some more than the first one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bits: Option<u64>,
    /// The ID fields; of a mapping, those of the first value.
    pub id: String,
    /// Whose they are.
    #[serde(flatten)]
    pub party: Party,
}

pub(super) fn document(claims: &Claims<'_>, meetings: Vec<Meeting>) -> Document {
    let names = &claims.plan.names;
    let broken: BTreeSet<_> = meetings.iter().map(|meeting| meeting.rule).collect();
    let domains = names.domains().filter(|(id, _)| claims.plan.forwarding.domain(*id).is_some());
    let mut tenants: Vec<_> = domains.map(|(_, name)| name.to_owned()).collect();
    tenants.sort();
    let mut spaces: Vec<_> =
        entrances(claims).into_iter().enumerate().map(|(at, entrances)| space(claims, at, entrances)).collect();
    spaces.sort();
    let rules = Rule::ALL.map(|rule| Examined { rule, statement: rule.statement(), holds: !broken.contains(&rule) });
    let mappings = names.mappings().filter_map(|(id, name)| {
        let ids = &claims.plan.forwarding.mappings.get(id)?.ids;
        Some(MappingRow { mapping: name.to_owned(), ids: ids.count() })
    });
    let mut mappings: Vec<_> = mappings.collect();
    mappings.sort();
    let proof = Proof { tenants, mappings, rules: rules.into(), assumptions: assumptions::of(claims), spaces };
    // Writing strings and numbers into memory does not fail.
    let text = serde_json::to_vec(&proof).unwrap_or_default();
    Document { isolated: meetings.is_empty(), hash: format!("sha256:{}", hex(&Sha256::digest(&text))), meetings, proof }
}

/// The ways in, by space.
fn entrances(claims: &Claims<'_>) -> Vec<Vec<EntranceRow>> {
    let names = &claims.plan.names;
    let mut all = vec![Vec::new(); claims.spaces.len()];
    for entrance in claims.entrances.values().flatten() {
        all[entrance.space].push(EntranceRow {
            port: names.port(entrance.port).into_owned(),
            tag: entrance.place.vlan.map_or_else(|| "untagged".to_owned(), |vlan| vlan.to_string()),
            destination: Some(entrance.place.destination.to_string()),
            carrier: Some(entrance.place.carrier.to_string()),
            source: Some((entrance.source.first().to_string(), entrance.source.last().to_string())),
            peer: names.peer(entrance.peer).into_owned(),
        });
    }
    for entrance in &claims.tags {
        let (port, peer) = (names.port(entrance.port).into_owned(), names.peer(entrance.peer).into_owned());
        let (destination, carrier, source) = (None, None, None);
        all[entrance.space].push(EntranceRow { port, tag: "any".to_owned(), destination, carrier, source, peer });
    }
    for rows in &mut all {
        rows.sort();
    }
    all
}

fn space(claims: &Claims<'_>, at: usize, entrances: Vec<EntranceRow>) -> SpaceRow {
    let space = &claims.spaces[at];
    let rows = |rows: &[Held]| {
        let mut rows: Vec<_> = rows.iter().map(|held| held_row(claims, at, held)).collect();
        rows.sort();
        rows
    };
    SpaceRow {
        of: peers(claims, at),
        encap: space.kind.info().tag,
        entrances,
        claims: rows(&space.taken),
        departures: rows(&space.written),
    }
}

fn held_row(claims: &Claims<'_>, at: usize, held: &Held) -> HeldRow {
    let (hull, Holding { party, ids }) = (held.ids.hull(), Holding::of(claims, at, held, None));
    let bits = match held.ids {
        Values::Sums { free, .. } if free & (free + 1) != 0 => Some(free),
        _ => None,
    };
    HeldRow { first: hull.first(), last: hull.last(), bits, id: ids.to_string(), party }
}

/// `peer leaf-9`, `group leafs`, `port access`: who shares an ID space.
pub(super) fn peers(claims: &Claims<'_>, at: usize) -> String {
    let (space, names) = (&claims.spaces[at], &claims.plan.names);
    let Some(&first) = space.peers.first() else { return "nobody".to_owned() };
    let name = names.peer(first);
    match name.split_once('/') {
        _ if !space.kind.has_peers() => format!("port {name}"),
        Some((group, _)) => format!("group {group}"),
        None => format!("peer {name}"),
    }
}

/// `192.0.2.9 to 192.0.2.1 on port up1, UDP port 8472`
pub(super) fn entrance(claims: &Claims<'_>, entrance: &Entrance) -> String {
    let place = entrance.place;
    let tag = place.vlan.map_or_else(String::new, |vlan| format!(", VLAN {vlan}"));
    let port = claims.plan.names.port(entrance.port);
    let (first, last) = (entrance.source.first(), entrance.source.last());
    let from = if first == last { first.to_string() } else { format!("{first}-{last}") };
    format!("{from} to {} on port {port}{tag}, {}", place.destination, place.carrier)
}

/// `peer leaf-9 (192.0.2.9)`, `port access`
pub(super) fn far_end(claims: &Claims<'_>, departure: &Departure) -> String {
    let names = &claims.plan.names;
    match departure.way {
        Way::Tunnel { remote, .. } => format!("peer {} ({remote})", names.peer(departure.peer)),
        Way::Port { port, .. } => format!("port {}", names.port(port)),
    }
}

/// `GRE key 0x138800`: a value of the ID bits that several claim.
pub(super) fn wire_value(claims: &Claims<'_>, at: usize, value: u64) -> String {
    format!("{} {value:#x}", claims.spaces[at].kind.info().id_bits)
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;

    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing into a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
