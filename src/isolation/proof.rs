//! The proof in names: every entrance, claim and departure in an order in which a reader sees that none overlap.
//!
//! Names instead of numbers, sorted by name and value, so that the hash changes when what is bridged with what does,
//! and not when lines of the file change places.

use std::collections::BTreeSet;

use serde::Serialize;

use super::assumptions::{self, Assumption};
use super::meeting::{Holding, Meeting, Party, Rule};
use crate::claims::{ClaimTable, Departure, FarEnd, Held, TunnelEntrance};
use crate::mapping::Values;
use sha2::{Digest, Sha256};

/// The output of `isolation`.
#[derive(Debug, Clone, Serialize)]
pub struct Document {
    /// Whether no two tenants can meet.
    pub isolated: bool,
    /// SHA-256 of the proof as compact JSON.
    pub hash: String,
    /// The paths by which tenants meet.
    pub meetings: Vec<Meeting>,
    /// The proof.
    pub proof: Proof,
}

/// What was examined, and what has to hold besides.
#[derive(Debug, Clone, Serialize)]
pub struct Proof {
    /// The tenants, which must not meet.
    pub tenants: Vec<String>,
    /// The mappings, each of whose IDs is a tenant of its own.
    pub mappings: Vec<ProvenMapping>,
    /// The rules that were examined.
    pub rules: Vec<Examined>,
    /// What no table can ensure.
    pub assumptions: Vec<Assumption>,
    /// The tenant IDs by who uses them.
    pub spaces: Vec<SpaceRow>,
}

/// A mapping, and how many tenants it stands for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct ProvenMapping {
    /// Its name.
    pub mapping: String,
    /// Number of its IDs.
    pub ids: u64,
}

/// One rule, and whether it holds.
#[derive(Debug, Clone, Serialize)]
pub struct Examined {
    /// The rule.
    pub rule: Rule,
    /// What the rule says, as a sentence.
    pub statement: &'static str,
    /// Whether it holds.
    pub holds: bool,
}

/// The peers, or the port, that share a number space, and the IDs that tenants hold in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct SpaceRow {
    /// The peer, group or port.
    pub of: String,
    /// The encapsulation.
    pub encap: &'static str,
    /// The entrances of their frames, in order.
    pub entrances: Vec<EntranceRow>,
    /// The values taken from them, in order.
    pub claims: Vec<HeldRow>,
    /// The values written to them, in order.
    pub departures: Vec<HeldRow>,
}

/// An entrance.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct EntranceRow {
    /// The port.
    pub port: String,
    /// The outer tag: `untagged`, a VLAN ID, or `any` where the tags are the ID.
    pub tag: String,
    /// Our address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination: Option<String>,
    /// The carrier: a UDP port or an IP protocol.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub carrier: Option<String>,
    /// The first and the last address it may come from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<(String, String)>,
    /// The peer.
    pub peer: String,
}

/// Values of the ID bits, held by one owner.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct HeldRow {
    /// The first value of the ID bits.
    pub first: u64,
    /// The last one.
    pub last: u64,
    /// Where not all values between the two are held: the bits that may be added to the first value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bits: Option<u64>,
    /// The tenant ID, such as `vni 10100`; of a mapping, that of the first value.
    pub segment: String,
    /// The tenant, or the mapping and its ID, that holds them.
    #[serde(flatten)]
    pub party: Party,
}

pub(super) fn document(claims: &ClaimTable<'_>, meetings: Vec<Meeting>) -> Document {
    let names = &claims.plan.names;
    let broken: BTreeSet<_> = meetings.iter().map(|meeting| meeting.rule).collect();
    let domains = names.domains().filter(|(id, _)| claims.plan.tables.domain(*id).is_some());
    let mut tenants: Vec<_> = domains.map(|(_, name)| name.to_owned()).collect();
    tenants.sort_unstable();
    let mut spaces: Vec<_> =
        entrances(claims).into_iter().enumerate().map(|(at, entrances)| space(claims, at, entrances)).collect();
    spaces.sort_unstable();
    let rules = Rule::ALL.map(|rule| Examined { rule, statement: rule.statement(), holds: !broken.contains(&rule) });
    let mappings = names.mappings().filter_map(|(id, name)| {
        let ids = &claims.plan.tables.mappings.get(id)?.ids;
        Some(ProvenMapping { mapping: name.to_owned(), ids: ids.count() })
    });
    let mut mappings: Vec<_> = mappings.collect();
    mappings.sort_unstable();
    let proof = Proof { tenants, mappings, rules: rules.into(), assumptions: assumptions::of(claims), spaces };
    // Writing strings and numbers into memory does not fail.
    let text = serde_json::to_vec(&proof).unwrap_or_default();
    Document { isolated: meetings.is_empty(), hash: format!("sha256:{}", hex(&Sha256::digest(&text))), meetings, proof }
}

/// The entrances, by space.
fn entrances(claims: &ClaimTable<'_>) -> Vec<Vec<EntranceRow>> {
    let names = &claims.plan.names;
    let mut all = vec![Vec::new(); claims.spaces.len()];
    for entrance in claims.entrances.values().flatten() {
        all[entrance.space].push(EntranceRow {
            port: names.port(entrance.port).into_owned(),
            tag: entrance.destination.vlan.map_or_else(|| "untagged".to_owned(), |vlan| vlan.to_string()),
            destination: Some(entrance.destination.address.to_string()),
            carrier: Some(entrance.destination.carrier.to_string()),
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
        rows.sort_unstable();
    }
    all
}

fn space(claims: &ClaimTable<'_>, at: usize, entrances: Vec<EntranceRow>) -> SpaceRow {
    let space = &claims.spaces[at];
    let rows = |rows: &[Held]| {
        let mut rows: Vec<_> = rows.iter().map(|held| held_row(claims, at, held)).collect();
        rows.sort_unstable();
        rows
    };
    SpaceRow {
        of: peers(claims, at),
        encap: space.kind.info().tag,
        entrances,
        claims: rows(&space.rx_ids),
        departures: rows(&space.tx_ids),
    }
}

fn held_row(claims: &ClaimTable<'_>, at: usize, held: &Held) -> HeldRow {
    let (bounds, Holding { party, ids }) = (held.ids.bounds(), Holding::of(claims, at, held, None));
    let bits = match held.ids {
        Values::OffsetAndBits { free, .. } if free & (free + 1) != 0 => Some(free),
        _ => None,
    };
    HeldRow { first: bounds.first(), last: bounds.last(), bits, segment: ids.to_string(), party }
}

/// `peer leaf-9`, `group leafs`, `port access`: the peers that share an ID space.
pub(super) fn peers(claims: &ClaimTable<'_>, at: usize) -> String {
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
pub(super) fn entrance(claims: &ClaimTable<'_>, entrance: &TunnelEntrance) -> String {
    let to = entrance.destination;
    let tag = to.vlan.map_or_else(String::new, |vlan| format!(", VLAN {vlan}"));
    let port = claims.plan.names.port(entrance.port);
    let (first, last) = (entrance.source.first(), entrance.source.last());
    let from = if first == last { first.to_string() } else { format!("{first}-{last}") };
    format!("{from} to {} on port {port}{tag}, {}", to.address, to.carrier)
}

/// `peer leaf-9 (192.0.2.9)`, `port access`
pub(super) fn far_end(claims: &ClaimTable<'_>, departure: &Departure) -> String {
    let names = &claims.plan.names;
    match departure.far_end {
        FarEnd::Tunnel { remote, .. } => format!("peer {} ({remote})", names.peer(departure.peer)),
        FarEnd::Port { port, .. } => format!("port {}", names.port(port)),
    }
}

/// `GRE key 0x138800`: a value of the ID bits that several owners claim.
pub(super) fn wire_value(claims: &ClaimTable<'_>, at: usize, value: u64) -> String {
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
