//! Classify: whose tunnel packet, or whose tags, is this?

use transload_encaps::ethernet::HEADER_LEN;
use transload_encaps::outer::{self, UdpRules};
use transload_encaps::{Common, DropReason, Frame};

use super::burst::{Burst, Origin};
use super::trace::Tracer;
use crate::forwarding::{Endpoint, EndpointId, Forwarding, PeerId, Port, PortId, Sender};

/// Finds the origin of every frame of a burst that came in by one port.
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

/// The sender of the frame before, its peer, and what that one makes of checksums: most frames of a burst come from
/// one.
type Last = Option<(Sender, PeerId, UdpRules)>;

#[inline]
fn origin<T: Tracer>(
    frame: &Frame<'_>,
    port: &Port,
    tables: &Forwarding,
    last: &mut Last,
    tracer: &mut T,
) -> Result<Origin, DropReason> {
    if frame.meta.cut || frame.len() < HEADER_LEN {
        return Err(Common::Truncated.into());
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

#[inline]
fn tunnel<T: Tracer>(
    frame: &Frame<'_>,
    port: &Port,
    (id, endpoint): (EndpointId, &Endpoint),
    at: usize,
    tables: &Forwarding,
    last: &mut Last,
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
    let (peer, rules) = match *last {
        Some((known, peer, rules)) if known == sender => {
            tracer.sender(&sender, Some(peer));
            (peer, rules)
        }
        _ => {
            let (peer, rules) = peer(&sender, endpoint, tables, tracer)?;
            *last = Some((sender, peer, rules));
            (peer, rules)
        }
    };
    outer::verify_udp(frame, &outer, rules)?;
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
