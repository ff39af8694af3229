//! Classify: whose tunnel packet, or whose tags, is this?

use transload_encaps::ethernet::HEADER_LEN;
use transload_encaps::outer::{self, Outer, Pattern, UdpRules};
use transload_encaps::{Common, DropReason, Frame};

use super::burst::{Burst, Origin};
use super::trace::Tracer;
use crate::forwarding::{Endpoint, EndpointId, Forwarding, PeerId, Port, PortId, Sender};

/// Finds the origin of every frame of a burst that came in by one port.
#[inline(never)]
pub(super) fn classify<T: Tracer>(burst: &mut Burst<'_>, port: PortId, tables: &Forwarding, tracer: &mut T) {
    let Some(port) = tables.ports.get(usize::from(port.0)) else {
        return burst.pending().for_each(|(_, note)| note.drop(Common::NotForUs.into()));
    };
    let mut last = None;
    for (frame, note) in burst.pending() {
        match origin(frame, port, tables, &mut last, tracer) {
            Ok(origin) => note.origin = origin,
            Err(reason) => note.drop(reason),
        }
    }
}

/// The packet before: most of a burst come from one sender.
#[derive(Clone, Copy)]
struct Last {
    pattern: Pattern,
    sender: Sender,
    peer: PeerId,
    rules: UdpRules,
}

#[inline]
fn origin<T: Tracer>(
    frame: &Frame<'_>,
    port: &Port,
    tables: &Forwarding,
    last: &mut Option<Last>,
    tracer: &mut T,
) -> Result<Origin, DropReason> {
    if frame.meta.cut || frame.len() < HEADER_LEN {
        return Err(Common::Truncated.into());
    }
    if let Some(Last { pattern, sender, peer, rules }) = last
        && let Some(outer) = pattern.again(frame.bytes())
    {
        tracer.to_endpoint(sender.endpoint);
        tracer.outer(&outer);
        tracer.sender(sender, Some(*peer));
        return arrived(frame, *peer, &outer, *rules);
    }
    for &id in &port.endpoints {
        let Some(endpoint) = tables.endpoints.get(usize::from(id.0)) else { continue };
        // Exactly the endpoint's outer tag: a tagged tenant must not be able to forge a tunnel.
        let Some(at) = outer::ip_start(frame.bytes(), endpoint.vlan) else { continue };
        if outer::is_to(frame.bytes(), at, &endpoint.address) {
            tracer.to_endpoint(id);
            return tunnel(frame, port, (id, endpoint), at, tables, last, tracer);
        }
    }
    let peer = port.tags.ok_or(Common::NotForUs)?;
    Ok(Origin { peer, at: 0, end: frame.len() as u32, outer_class: None })
}

#[inline(never)]
fn tunnel<T: Tracer>(
    frame: &Frame<'_>,
    port: &Port,
    (id, endpoint): (EndpointId, &Endpoint),
    at: usize,
    tables: &Forwarding,
    last: &mut Option<Last>,
    tracer: &mut T,
) -> Result<Origin, DropReason> {
    if let Some(mac) = port.mac
        && frame.bytes().first_chunk() != Some(&mac.0)
    {
        return Err(Common::NotOurMac.into());
    }
    let outer = outer::walk(frame.bytes(), at)?;
    tracer.outer(&outer);
    let sender = Sender { endpoint: id, address: outer.src, carrier: outer.carrier };
    let (peer, rules) = peer(&sender, endpoint, tables, tracer)?;
    *last = Pattern::of(frame.bytes(), &outer).map(|pattern| Last { pattern, sender, peer, rules });
    arrived(frame, peer, &outer, rules)
}

/// A tunnel packet of a peer, if its checksum is right.
#[inline]
fn arrived(frame: &Frame<'_>, peer: PeerId, outer: &Outer, rules: UdpRules) -> Result<Origin, DropReason> {
    outer::verify_udp(frame, outer, rules)?;
    Ok(Origin { peer, at: outer.at, end: outer.end, outer_class: Some(outer.traffic_class) })
}

/// Whom the configuration knows by this address and carrier.
fn peer<T: Tracer>(
    sender: &Sender,
    endpoint: &Endpoint,
    tables: &Forwarding,
    tracer: &mut T,
) -> Result<(PeerId, UdpRules), DropReason> {
    if !endpoint.carriers.contains(&sender.carrier) {
        return Err(Common::NotForUs.into());
    }
    let found = tables.senders.get(sender).copied();
    tracer.sender(sender, found);
    let id = found.ok_or(Common::UnknownPeer)?;
    let peer = tables.peer(id).ok_or(Common::UnknownPeer)?;
    Ok((id, peer.udp))
}
