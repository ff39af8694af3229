//! Tags of ports that are not configured: other readings of the same tags, and other ports with the same ones.

use transload_encaps::{DropReason, IdForm};

use super::super::case::Case;
use super::{Near, outer, reading};
use crate::compile::Noun;
use crate::forwarding::{Exit, Peer, PeerId};

/// What would have let it pass.
pub(super) fn unclaimed(case: &Case<'_>, reason: DropReason) -> Vec<Near> {
    let mut all = outer::nearly_a_tunnel(case);
    let Some((id, peer)) = case.origin() else { return all };
    let read = reading::read(case, (id, peer), case.frame);
    let found = read.found.unwrap_or_default();
    all.extend(read.near);
    let why = peer.compiled.why(reason, case.frame, &case.peer(id));
    all.extend(why.map(|text| Near::new(text, case.line(Noun::Port(case.port)))));
    all.extend(other_port(case, id, &found));
    all.extend(known(case, peer, &found));
    all
}

/// The same tags on another port.
fn other_port(case: &Case<'_>, id: PeerId, found: &str) -> Option<Near> {
    let is_port = |peer: &Peer| matches!(peer.exit, Exit::Port(_));
    let mut others = case.peers().filter(|(other, peer)| *other != id && is_port(peer));
    others.find_map(|(other, peer)| {
        let (whose, line) = case.owner(peer.scope, Case::would_be(peer, case.frame)?)?;
        let text = format!(
            "{found} would be {whose} on {}, but came in by port {}",
            case.peer(other),
            case.names.port(case.port)
        );
        Some(Near::new(text, line))
    })
}

/// What is configured on this port instead, and what would take the frame as it is if it has no VLAN.
fn known(case: &Case<'_>, peer: &Peer, found: &str) -> Option<Near> {
    let segment = Case::would_be(peer, case.frame);
    let (all, line) = reading::configured(case, peer, segment)?;
    let kind = peer.compiled.kind();
    let ids = segment.map(|segment| kind.ids(segment)).unwrap_or_default();
    let mut flags = kind.info().ids.iter().filter(|field| field.form == IdForm::Flag);
    let flag = flags.find(|flag| ids.get(flag.name).is_some());
    let help = flag.map_or_else(String::new, |flag| format!("; `{}: true` would take it", flag.name));
    let port = case.names.port(case.port);
    Some(Near::new(format!("{found} on port {port} is not configured{help}; configured: {all}"), line))
}
