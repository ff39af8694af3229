//! What a capture asks for: names become numbers, and what no frame could match is refused.

use transload_encaps::{Common, DropReason, LastStage, Mac};

use crate::admin::CaptureRequest;
use crate::compile::Names;
use crate::config::suggestion;
use crate::dataplane::tap::{TapFilter, TapPoint, TapPoints};
use crate::forwarding::{DomainId, Exit, Forwarding, MappingId, PeerId, PortId};
use crate::rib::Rib;

/// The most bytes of a frame: longer ones are not captured by anybody (libpcap's `MAXIMUM_SNAPLEN`).
const MOST: u32 = 262_144;

/// What is asked for, in numbers.
pub(super) fn resolve(request: &CaptureRequest, rib: &Rib) -> Result<TapFilter, String> {
    let (names, tables) = (rib.names(), rib.shared().forwarding.load());
    let tenant = request.tenant.as_deref().map(|name| tenant(name, names)).transpose()?;
    let peer = request.peer.as_deref().map(|name| peer(name, names)).transpose()?;
    let port = request.port.as_deref().map(|name| port(name, names)).transpose()?;
    let mac = request
        .mac
        .as_deref()
        .map(|text| text.parse::<Mac>().map_err(|wrong| format!("`{text}` is no MAC address: {wrong}")));
    let reason = request.reason.as_deref().map(reason).transpose()?;
    let points = points(request.at.as_deref())?;
    if let Some(reason) = reason.filter(|reason| reason.info().last_stage == LastStage::Decap) {
        let label = reason.label();
        if let Some(domain) = tenant {
            return Err(format!(
                "frames are dropped for `{label}` before it is known that they are of a tenant, such as {}: none would \
                 match; leave the tenant out",
                names.domain(domain)
            ));
        }
        if ![TapPoint::Receive, TapPoint::Drop].into_iter().any(|point| points.holds(point)) {
            return Err(format!(
                "frames that are dropped for `{label}` are seen at receive and drop alone: none would match; leave `at` out"
            ));
        }
    }
    if let (Some(domain), Some(peer)) = (tenant, peer) {
        can_meet(domain, peer, names, &tables)?;
    }
    if let (Some(domain), Some(port)) = (tenant, port) {
        can_come_by(domain, port, names, &tables)?;
    }
    let sample = request.sample.unwrap_or(1);
    let snaplen = request.snaplen.unwrap_or(MOST).min(MOST);
    if sample == 0 || snaplen == 0 {
        return Err("`sample` and `snaplen` are 1 or more".to_owned());
    }
    let peer = peer.map(|peer| (peer, mappings_of(peer, &tables)));
    Ok(TapFilter {
        tenant,
        peer,
        port,
        mac: mac.transpose()?,
        reason,
        dropped: request.dropped,
        points,
        sample,
        snaplen: snaplen as usize,
    })
}

fn unknown<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let known: Vec<_> = known.collect();
    let suggestion = suggestion(name, known.iter().copied());
    let suggestion = suggestion.map_or_else(String::new, |suggestion| format!("; {suggestion}"));
    format!("there is no {what} `{name}`{suggestion}")
}

fn tenant(name: &str, names: &Names) -> Result<DomainId, String> {
    names.domain_id(name).ok_or_else(|| unknown("tenant", name, names.domains().map(|(_, name)| name)))
}

fn port(name: &str, names: &Names) -> Result<PortId, String> {
    names.port_id(name).ok_or_else(|| unknown("port", name, names.ports().map(|(_, name)| name)))
}

fn peer(name: &str, names: &Names) -> Result<PeerId, String> {
    let found = names.peers().find(|(_, known)| *known == name).map(|(id, _)| id);
    found.ok_or_else(|| unknown("peer", name, names.peers().map(|(_, name)| name)))
}

fn reason(label: &str) -> Result<DropReason, String> {
    let labels: Vec<_> = DropReason::all().map(DropReason::label).collect();
    let found = DropReason::all().find(|reason| reason.label() == label);
    let reason = found.ok_or_else(|| {
        let all = format!("; `transload show drops --all` has them all: {}", labels.join(", "));
        let near = suggestion(label, labels.iter().copied()).map_or(all, |near| format!("; {near}"));
        format!("there is no reason `{label}` for drops{near}")
    })?;
    if [Common::PortBusy.into(), Common::PortRefused.into()].contains(&reason) {
        return Err(format!(
            "`{label}` counts frames that a device did not take, behind the last point of a capture: none would match; \
             capture what leaves, with `port` and `at` transmit"
        ));
    }
    Ok(reason)
}

fn points(text: Option<&str>) -> Result<TapPoints, String> {
    let Some(text) = text else { return Ok(TapPoints::of(&TapPoint::ALL)) };
    let words = TapPoint::ALL.map(TapPoint::word);
    let point = |word: &str| {
        let word = word.trim();
        let found = TapPoint::ALL.into_iter().find(|point| point.word() == word);
        found.ok_or_else(|| unknown("point", word, words.into_iter()))
    };
    Ok(TapPoints::of(&text.split(',').map(point).collect::<Result<Vec<_>, _>>()?))
}

/// The mappings that lead to a peer.
fn mappings_of(peer: PeerId, tables: &Forwarding) -> Vec<MappingId> {
    let of = tables.mappings.all.iter().filter(|(_, mapping)| mapping.ends.iter().any(|end| end.peer == peer));
    of.map(|(id, _)| id).collect()
}

/// Whether a tenant has anything behind a peer.
fn can_meet(domain: DomainId, peer: PeerId, names: &Names, tables: &Forwarding) -> Result<(), String> {
    let Some(tenant) = tables.domain(domain) else { return Ok(()) };
    if tenant.attachments.values().any(|attachment| tables.is_behind(&attachment.members, peer)) {
        return Ok(());
    }
    Err(format!(
        "tenant {} has no attachment of peer {}: no frame would match; `transload show tenants --tenant {0}` has those \
         that it has",
        names.domain(domain),
        names.peer(peer)
    ))
}

/// Whether a tenant's frames can come or go by a port, if that has nothing but tags.
fn can_come_by(domain: DomainId, id: PortId, names: &Names, tables: &Forwarding) -> Result<(), String> {
    let Some((tenant, port)) = tables.domain(domain).zip(tables.ports.get(id)) else { return Ok(()) };
    let tags = port.tags.filter(|peer| tables.peer(*peer).is_some_and(|peer| matches!(peer.exit, Exit::Port(_))));
    let is_on = |peer| tenant.attachments.values().any(|attachment| tables.is_behind(&attachment.members, peer));
    if !port.endpoints.is_empty() || tags.is_some_and(is_on) {
        return Ok(());
    }
    Err(format!(
        "tenant {} has no attachment on port {}: no frame would match; `transload show tenants --tenant {0}` has those \
         that it has",
        names.domain(domain),
        names.port(id)
    ))
}
