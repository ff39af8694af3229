//! Tenant IDs that nobody claims: other readings of the same bits, and other peers with the same ID.

use transload_encaps::{Ids, Kind, Segment};

use super::super::case::Case;
use super::Near;
use crate::compile::Noun;
use crate::forwarding::{Claim, Peer, PeerId};

/// Most IDs of a peer that are listed.
const MOST_LISTED: usize = 4;

/// Another way to read the same bits, and what it would mean.
struct Reading {
    segment: Segment,
    /// "would be TENANT" is put where the `{}` is.
    text: String,
}

fn reading(segment: u64, text: impl Into<String>) -> Reading {
    Reading { segment: Segment(segment), text: text.into() }
}

/// What would have let it pass.
pub(super) fn unknown(case: &Case<'_>) -> Vec<Near> {
    let Some((id, found, _)) = case.trace.segment() else { return Vec::new() };
    let Some(peer) = case.tables.peer(id) else { return Vec::new() };
    let kind = peer.compiled.kind();
    let mut all: Vec<_> = readings(kind, found.segment, case.tunnel())
        .into_iter()
        .filter_map(|reading| {
            // A mapping has so many IDs that other readings hit it by chance.
            let claim = case.tables.segments.get(&(peer.scope, reading.segment))?;
            let text = reading.text.replace("{}", &case.claim(*claim));
            let encap = case.line(Noun::Encap(id)).filter(|_| reading.text.contains("the configuration says"));
            Some(Near::new(text, encap.or_else(|| case.line(Noun::Segment(peer.scope, reading.segment)))))
        })
        .collect();
    all.extend(no_key(case, (id, peer), found.segment));
    all.extend(elsewhere(case, (id, peer), found.segment));
    all.push(known(case, (id, peer), found.segment));
    all
}

/// A tenant ID whose counterpart cannot be used.
pub(super) fn hole(case: &Case<'_>) -> Option<Near> {
    let (id, found, _) = case.trace.segment()?;
    let peer = case.tables.peer(id)?;
    let mapping = case.tables.mappings.find(peer.scope, found.segment)?.err()?;
    let text = format!(
        "{} of {} is in mapping {}, but what it would be on the other side is reserved: use another ID, or a tenant",
        Case::ids(peer.compiled.kind(), found.segment),
        case.peer(id),
        case.names.mapping(mapping)
    );
    Some(Near::new(text, case.line(Noun::Mapping(mapping))))
}

fn readings(kind: Kind, segment: Segment, header: &[u8]) -> Vec<Reading> {
    match kind.info().tag {
        "vxlan" => vxlan(segment.0, header),
        "nvgre" => nvgre(segment.0, header),
        "gre" => gre(segment),
        _ => Vec::new(),
    }
}

fn swapped24(id: u64) -> u64 {
    let [a, b, c, _] = (id as u32).to_le_bytes();
    u64::from(u32::from_be_bytes([0, a, b, c]))
}

/// 10100 and 0x10100, in both directions.
fn other_base(id: u64) -> [Option<u64>; 2] {
    [u64::from_str_radix(&id.to_string(), 16).ok(), format!("{id:x}").parse().ok()]
}

fn base_readings(name: &str, id: u64) -> impl Iterator<Item = Reading> {
    let bases = other_base(id).into_iter().flatten().filter(move |&other| other != id);
    bases.map(move |other| {
        reading(other, format!("{name} {id} ({id:#x}) is unknown, but {name} {other} ({other:#x}) would be {{}}: one side reads it as decimal, the other as hexadecimal"))
    })
}

fn vxlan(vni: u64, header: &[u8]) -> Vec<Reading> {
    let word = match *header {
        [_, _, _, _, a, b, c, d, ..] => u64::from(u32::from_be_bytes([a, b, c, d])),
        _ => vni << 8,
    };
    let unknown = format!("VNI {vni} ({vni:#08x}) is unknown, but");
    let mut all = vec![reading(
        swapped24(vni),
        format!("{unknown} VNI {} would be {{}}: the peer writes the VNI in the wrong byte order", swapped24(vni)),
    )];
    if word & 0xff != 0 || vni << 8 == word {
        all.push(reading(
            word & 0xff_ffff,
            format!(
                "{unknown} VNI {} would be {{}}: the peer writes the VNI eight bits too low, into the reserved byte",
                word & 0xff_ffff
            ),
        ));
    }
    all.push(reading(
        vni >> 8,
        format!("{unknown} VNI {} would be {{}}: the peer writes the VNI shifted by 8", vni >> 8),
    ));
    all.push(reading(vni << 8, format!("{unknown} VNI {} would be {{}}: one side shifts it by 8", vni << 8)));
    all.extend(base_readings("VNI", vni));
    all
}

fn nvgre(vsid: u64, header: &[u8]) -> Vec<Reading> {
    let flow = header.get(7).copied().unwrap_or(0);
    let key = vsid << 8 | u64::from(flow);
    let unknown = format!("VSID {vsid} ({vsid:#08x}) with FlowID {flow:#04x} is unknown, but");
    let mut all = vec![
        reading(
            key,
            format!(
                "{unknown} the whole key {key} ({key:#010x}) would be {{}}: the peer speaks GRE, the configuration says nvgre"
            ),
        ),
        reading(
            swapped24(vsid),
            format!(
                "{unknown} VSID {} would be {{}}: the peer writes the VSID in the wrong byte order",
                swapped24(vsid)
            ),
        ),
        reading(
            vsid >> 8,
            format!("{unknown} VSID {} would be {{}}: the peer writes the VSID shifted by 8", vsid >> 8),
        ),
        reading(vsid << 8, format!("{unknown} VSID {} would be {{}}: one side shifts it by 8", vsid << 8)),
    ];
    all.extend(base_readings("VSID", vsid));
    all
}

fn gre(segment: Segment) -> Vec<Reading> {
    let keyless = Kind::Gre.segment(&Ids::default()).unwrap_or(Segment(1 << 32));
    if segment == keyless {
        return vec![reading(
            0,
            "the packet has no key, and key 0 would be {}: no key and key 0 are two tunnels; remove `key` there, or \
             give the peer key 0",
        )];
    }
    let key = segment.0;
    let (vsid, flow) = (key >> 8, key & 0xff);
    let unknown = format!("key {key:#010x} is unknown, but");
    let mut all = Vec::new();
    if key == 0 {
        all.push(Reading {
            segment: keyless,
            text: "key 0 is unknown, but no key at all would be {}: they are two tunnels; write `key: 0`, or remove \
                   the key at the peer"
                .to_owned(),
        });
    }
    all.push(reading(vsid, format!("{unknown} VSID {vsid:#08x} with FlowID {flow:#04x} would be {{}}: the peer speaks NVGRE, the configuration says gre")));
    if flow != 0 {
        all.push(reading(key & !0xff, format!("{unknown} key {:#010x} would be {{}}: the low byte {flow:#04x} is an NVGRE FlowID; write `encap: nvgre` and `vsid: {vsid}`", key & !0xff)));
    }
    if u32::try_from(key << 8).is_ok() {
        all.push(reading(key << 8, format!("{unknown} key {:#010x} would be {{}}: that is an NVGRE VSID shifted by 8, and the peer sends the plain number; write `key: {key}`", key << 8)));
    }
    let swapped = u64::from((key as u32).swap_bytes());
    all.push(reading(
        swapped,
        format!("{unknown} key {swapped:#010x} would be {{}}: the peer writes the key in the wrong byte order"),
    ));
    all.push(Reading { segment: keyless, text: format!("key {key:#010x} is unknown, but a packet without a key would be {{}}: remove the key at the peer, or write `key: {key}`") });
    all.extend(base_readings("key", key));
    all
}

/// A GRE packet without a key from a peer all of whose attachments have one.
fn no_key(case: &Case<'_>, (id, peer): (PeerId, &Peer), segment: Segment) -> Option<Near> {
    if peer.compiled.kind() != Kind::Gre || Kind::Gre.segment(&Ids::default()) != Ok(segment) {
        return None;
    }
    let (known, claim) = *case.segments(peer.scope).first()?;
    let key = Case::ids(Kind::Gre, known);
    let text = format!(
        "{} sends GRE without a key, but {} has {key}: set that key at the peer, or leave `key` out here",
        scope_words(case, id),
        case.claim(claim)
    );
    Some(Near::new(text, case.line(Noun::Segment(peer.scope, known))))
}

/// The same ID of somebody else.
fn elsewhere(case: &Case<'_>, (id, peer): (PeerId, &Peer), segment: Segment) -> Option<Near> {
    let kind = peer.compiled.kind();
    let mut others = case.peers().filter(|(_, row)| row.scope != peer.scope && row.compiled.kind() == kind);
    let (other, (whose, line)) = others.find_map(|(other, row)| Some((other, case.owner(row.scope, segment)?)))?;
    let from = scope_words(case, other);
    let text = format!("{} is {whose}, but of {from}, not of {}", Case::ids(kind, segment), scope_words(case, id));
    Some(Near::new(text, line))
}

/// "group leafs", "peer leaf-9"
fn scope_words(case: &Case<'_>, id: PeerId) -> String {
    let name = case.names.peer(id);
    name.split_once('/').map_or_else(|| case.peer(id), |(group, _)| format!("group {group}"))
}

/// What is known of this peer instead.
fn known(case: &Case<'_>, (id, peer): (PeerId, &Peer), segment: Segment) -> Near {
    let kind = peer.compiled.kind();
    let (who, what) = (scope_words(case, id), Case::ids(kind, segment));
    let mut all = case.segments(peer.scope);
    let mappings = case.mappings(peer.scope);
    if all.is_empty() && mappings.is_empty() {
        let line = case.line(Noun::Peer(id));
        return Near::new(format!("no tenant is attached to {who}, which sends {what}"), line);
    }
    all.sort_by_key(|(known, _)| known.0.abs_diff(segment.0));
    let shown = all.iter().take(MOST_LISTED).map(|(known, claim)| listed(case, kind, *known, *claim));
    let shown: Vec<_> = shown.chain(mappings).collect();
    let more = all.len().checked_sub(MOST_LISTED).filter(|more| *more > 0);
    let more = more.map_or_else(String::new, |more| format!(" and {more} more"));
    let line = all.first().and_then(|(nearest, _)| case.line(Noun::Segment(peer.scope, *nearest)));
    Near::new(format!("{what} of {who} is nobody's; it has {}{more}", shown.join(", ")), line)
}

fn listed(case: &Case<'_>, kind: Kind, segment: Segment, claim: Claim) -> String {
    format!("{} ({})", Case::ids(kind, segment), case.tenant(claim.domain))
}
