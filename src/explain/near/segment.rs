//! Tenant IDs of tunnels that are not configured: other readings of the same bits, and other peers with the same ID.

use transload_encaps::Segment;

use super::super::case::Case;
use super::{Near, reading};
use crate::compile::Noun;
use crate::forwarding::{Peer, PeerId};

/// What would have let it pass.
pub(super) fn unknown(case: &Case<'_>) -> Vec<Near> {
    let Some((id, found, _)) = case.trace.segment() else { return Vec::new() };
    let Some(peer) = case.tables.peer(id) else { return Vec::new() };
    let mut all: Vec<_> = other_direction(case, (id, peer), found.segment).into_iter().collect();
    all.extend(reading::read(case, (id, peer), case.tunnel()).near);
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

/// The ID that an attachment sends with, and not the one that it receives.
fn other_direction(case: &Case<'_>, (id, peer): (PeerId, &Peer), segment: Segment) -> Option<Near> {
    let (received, claim) = case.segments(peer.scope).into_iter().find(|(received, claim)| {
        let row = case.tables.domain(claim.domain).and_then(|domain| domain.attachment(claim.attachment));
        *received != segment && row.is_some_and(|row| row.segment == segment)
    })?;
    let ids = |segment| Case::ids(peer.compiled.kind(), segment);
    let text = format!(
        "{} is what {} sends to {}, and it receives {}: let the far end send that, or change `receive`",
        ids(segment),
        case.claim(claim),
        scope_words(case, id),
        ids(received)
    );
    Some(Near::new(text, case.line(Noun::Segment(peer.scope, received))))
}

/// The same ID of another peer.
fn elsewhere(case: &Case<'_>, (id, peer): (PeerId, &Peer), segment: Segment) -> Option<Near> {
    let kind = peer.compiled.kind();
    let mut others = case.peers().filter(|(_, row)| row.scope != peer.scope && row.compiled.kind() == kind);
    let (other, (whose, line)) = others.find_map(|(other, row)| Some((other, case.owner(row.scope, segment)?)))?;
    let (there, here) = (scope_words(case, other), scope_words(case, id));
    let text = format!("{} from {there} would be {whose}, but this packet is from {here}", Case::ids(kind, segment));
    Some(Near::new(text, line))
}

/// "group leafs", "peer leaf-9"
fn scope_words(case: &Case<'_>, id: PeerId) -> String {
    let name = case.names.peer(id);
    name.split_once('/').map_or_else(|| case.peer(id), |(group, _)| format!("group {group}"))
}

/// What is configured for this peer instead.
fn known(case: &Case<'_>, (id, peer): (PeerId, &Peer), segment: Segment) -> Near {
    let (who, what) = (scope_words(case, id), Case::ids(peer.compiled.kind(), segment));
    match reading::configured(case, peer, Some(segment)) {
        Some((all, line)) => Near::new(format!("{what} from {who} is not configured; configured: {all}"), line),
        None => Near::new(format!("no tenant is attached to {who}, which sends {what}"), case.line(Noun::Peer(id))),
    }
}
