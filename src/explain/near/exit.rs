//! Frames that do not fit their path out.

use transload_encaps::ethernet::{self, HEADER_LEN};
use transload_encaps::{Common, DropReason, Frame, HEADROOM, Segment};

use super::super::case::Case;
use super::super::paths::{TracedPath, paths};
use super::Near;
use crate::compile::Noun;
use crate::dataplane::{Stage, inner_tags};
use crate::forwarding::{Claim, Exit, Peer};

/// Why it does not leave.
pub(super) fn refused(case: &Case<'_>, reason: DropReason) -> Vec<Near> {
    let is = |common: Common| reason == common.into();
    if is(Common::NoTargets) {
        let claim = case.trace.ingress();
        return claim.map(|claim| no_targets(case, claim)).into_iter().collect();
    }
    if is(Common::InnerTags) {
        return inner_tags(case, Stage::Encap);
    }
    paths(case)
        .into_iter()
        .filter(|path| path.lost == Some(reason))
        .filter_map(|path| {
            if reason.label().starts_with("too_big") {
                too_big(case, &path)
            } else if is(Common::NoNextHop) {
                Some(no_next_hop(case, &path))
            } else {
                refused_by_encapsulation(case, &path, reason)
            }
        })
        .collect()
}

/// A frame that the path's encapsulation does not carry.
fn refused_by_encapsulation(case: &Case<'_>, path: &TracedPath<'_>, reason: DropReason) -> Option<Near> {
    let peer = case.tables.peer(path.peer)?;
    let text = peer.compiled.why(reason, &case.trace.after(Stage::Bridge)?.bytes, &case.peer(path.peer))?;
    let attachment = path.attachment.and_then(|(domain, place)| case.line(Noun::Attachment(domain, place)));
    Some(Near::new(text, attachment))
}

fn too_big(case: &Case<'_>, path: &TracedPath<'_>) -> Option<Near> {
    let peer = case.tables.peer(path.peer)?;
    let bytes = &case.trace.after(Stage::Bridge)?.bytes;
    let tenant = bytes.len() - inner_tags::stripped(path.inner_tags, bytes).unwrap_or(0);
    let headers = peer.compiled.overhead(path.segment);
    let (port, needed, added) = match &peer.exit {
        Exit::Tunnel(underlay) => {
            let added = headers + underlay.ip_overhead();
            (path.hop?.port, tenant + added, added + HEADER_LEN)
        }
        Exit::Port(port) => {
            // One 802.1Q tag is free on any Linux device.
            let free =
                if outermost(peer, path.segment, bytes) == Some(ethernet::C_TAG) { ethernet::TAG_LEN } else { 0 };
            (*port, tenant + headers - HEADER_LEN - free, headers - free.min(headers))
        }
    };
    let mtu = match path.hop {
        Some(hop) => hop.mtu?,
        None => case.tables.ports.get(port)?.mtu?,
    };
    let text = format!(
        "towards {} the frame of {tenant} bytes becomes a packet of {needed}, and port {} carries {mtu}: raise that \
         MTU, or let the tenant use {}",
        path.to,
        case.names.port(port),
        (mtu as usize).saturating_sub(added)
    );
    Some(Near::new(text, case.line(Noun::PortMtu(port)).or_else(|| case.line(Noun::Port(port)))))
}

/// The type that a frame has on the wire of a port.
fn outermost(peer: &Peer, segment: Segment, bytes: &[u8]) -> Option<u16> {
    let mut chunk = vec![0; HEADROOM + bytes.len()];
    let mut frame = Frame::new(&mut chunk);
    let fits = frame.fill(HEADROOM, bytes);
    peer.compiled.encap(&mut frame, segment, 0).ok().filter(|()| fits)?;
    ethernet::be16(frame.bytes(), ethernet::ADDRESSES_LEN)
}

fn no_next_hop(case: &Case<'_>, path: &TracedPath<'_>) -> Near {
    let text = format!(
        "the next hop of {} is not known: no route to its address leaves by a port of its endpoint, or its neighbour \
         does not answer; `next_hops` of the port can state it",
        case.peer(path.peer)
    );
    Near::new(text, case.line(Noun::Peer(path.peer)))
}

fn no_targets(case: &Case<'_>, claim: Claim) -> Near {
    let tenant = case.tenant(claim.domain);
    let rows = case.tables.domain(claim.domain).map_or(0, |domain| domain.attachments.values().count());
    let text = match rows {
        1 => format!("{tenant} has nobody else: its only attachment is the one the frame came in by"),
        _ => format!("{tenant} has nobody else to flood to: its other attachments are behind the same split horizon"),
    };
    Near::new(text, case.line(Noun::Tenant(claim.domain)))
}

/// A tag where none may be, as the frame comes in or leaves.
pub(super) fn inner_tags(case: &Case<'_>, stage: Stage) -> Vec<Near> {
    let claim = match stage {
        Stage::Decap => case.trace.segment().and_then(|(_, _, claim)| claim),
        _ => case.trace.ingress(),
    };
    let Some(claim) = claim else { return Vec::new() };
    let places = if stage == Stage::Decap {
        vec![claim.attachment]
    } else {
        let lost = paths(case).into_iter().filter(|path| path.lost == Some(Common::InnerTags.into()));
        lost.filter_map(|path| Some(path.attachment?.1)).collect()
    };
    let bytes = case.trace.after(if stage == Stage::Decap { Stage::Decap } else { Stage::Bridge }).map(|it| &it.bytes);
    let vlan = bytes.and_then(|bytes| ethernet::be16(bytes, 14)).map_or(0, |tci| tci & 0x0fff);
    let domain = case.tables.domain(claim.domain);
    let near = |place| {
        let row = domain?.attachment(place)?;
        let peer = case.tables.peer(case.tables.speaker(&row.members)?)?;
        let kind = peer.compiled.kind().info();
        let stated = case.line(Noun::InnerTags(claim.domain, place));
        let why = if stated.is_some() {
            "says `inner_tags: drop`".to_owned()
        } else {
            format!("drops tags, as {} does by default", kind.title)
        };
        let help = if kind.can_keep_tags { "`inner_tags: keep` or `strip`" } else { "`inner_tags: strip`" };
        let text = format!(
            "the tenant's frame carries VLAN {vlan}, and attachment {} {why}: write {help}",
            case.names.attachment(claim.domain, place)
        );
        Some(Near::new(text, stated.or_else(|| case.line(Noun::Attachment(claim.domain, place)))))
    };
    places.into_iter().filter_map(near).collect()
}
