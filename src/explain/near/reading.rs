//! Other readings of a tenant ID, as its encapsulation knows them, held against what is configured.

use transload_encaps::{Fix, Segment};

use super::super::case::Case;
use super::Near;
use crate::compile::{Line, Noun};
use crate::forwarding::{Exit, Peer, PeerId};

/// Most IDs of a peer that are listed.
const MOST_LISTED: usize = 4;

/// A tenant ID as it stands in a packet, and what of its other readings is configured.
pub(super) struct Read {
    /// `VNI 39 (0x000027)`, if the encapsulation has words for it.
    pub(super) found: Option<String>,
    pub(super) near: Vec<Near>,
}

/// Reads the tenant ID of a packet in every way that its encapsulation knows.
pub(super) fn read(case: &Case<'_>, (id, peer): (PeerId, &Peer), packet: &[u8]) -> Read {
    let configured: Vec<_> = case.segments(peer.scope).into_iter().map(|(segment, _)| segment).collect();
    let readings = peer.compiled.readings(packet, &configured);
    let found = readings.found.unwrap_or_default();
    let near = readings.others.into_iter().filter_map(|other| {
        let (whose, place) = owner(case, peer, other.segment)?;
        let options = || case.line(Noun::Encap(id)).or_else(|| case.line(Noun::PortTpids(case.port)));
        let line = if other.fix == Fix::Options { options() } else { None };
        let text = format!("{found} is not configured, but {} would be {whose}: {}", other.words, other.why);
        Some(Near::new(text, line.or(place)))
    });
    Read { near: near.collect(), found: Some(found).filter(|found| !found.is_empty()) }
}

/// The owner of the segment that another reading gives. A mapping has so many IDs of a tunnel that other readings hit
/// it by chance.
fn owner(case: &Case<'_>, peer: &Peer, segment: Segment) -> Option<(String, Option<Line>)> {
    let is_claimed = case.tables.segments.contains_key(&(peer.scope, segment));
    let counts = is_claimed || matches!(peer.exit, Exit::Port(_));
    case.owner(peer.scope, segment).filter(|_| counts)
}

/// What is configured for a peer, `vni 10100 (tenant blue), mapping wholesale`, the nearest ID first; and the line of
/// that one. `None` if nothing is.
pub(super) fn configured(case: &Case<'_>, peer: &Peer, found: Option<Segment>) -> Option<(String, Option<Line>)> {
    let kind = peer.compiled.kind();
    let mut all = case.segments(peer.scope);
    all.sort_by_key(|(segment, _)| (found.map_or(0, |found| segment.0.abs_diff(found.0)), *segment));
    let shown = all.iter().take(MOST_LISTED);
    let shown = shown.map(|(known, claim)| format!("{} ({})", Case::ids(kind, *known), case.tenant(claim.domain)));
    let shown: Vec<_> = shown.chain(case.mappings(peer.scope)).collect();
    if shown.is_empty() {
        return None;
    }
    let more = all.len().checked_sub(MOST_LISTED).filter(|more| *more > 0);
    let more = more.map_or_else(String::new, |more| format!(" and {more} more"));
    let line = all.first().and_then(|(nearest, _)| case.line(Noun::Segment(peer.scope, *nearest)));
    Some((format!("{}{more}", shown.join(", ")), line))
}
