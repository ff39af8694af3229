//! Classify: whose tunnel packet, or whose tags, is this?

use std::net::IpAddr;

use transload_encaps::ethernet::{self, HEADER_LEN};
use transload_encaps::outer::{self, Outer, Pattern, UdpRules};
use transload_encaps::{Common, DropReason, Frame, Mac, ip};

use super::burst::{Burst, Origin, Stranger};
use super::trace::Tracer;
use crate::forwarding::{Endpoint, EndpointId, Forwarding, PeerId, Port, PortId, Sender};

/// Finds the origin of every frame of a burst that came in by one port.
pub(super) fn classify<T: Tracer>(burst: &mut Burst<'_>, port: PortId, tables: &Forwarding, tracer: &mut T) {
    let Some(port) = tables.ports.get(usize::from(port.0)) else {
        return burst.pending().for_each(|(_, note)| note.drop(Common::NotForUs.into()));
    };
    let mut last = None;
    let Burst { frames, notes, strangers } = burst;
    for (n, (frame, note)) in frames.iter().zip(notes).enumerate().filter(|(_, (_, note))| note.is_pending()) {
        let mut stranger = None;
        match origin(frame, port, tables, &mut last, &mut stranger, tracer) {
            Ok(origin) => note.origin = origin,
            Err(reason) => note.drop(reason),
        }
        strangers.extend(stranger.map(|address| Stranger { frame: n, address }));
    }
}

/// The packet before, if its sender has a number: most of a burst come from one.
#[derive(Clone, Copy)]
struct Last {
    pattern: Pattern,
    sender: Sender,
    peer: PeerId,
    udp: UdpRules,
}

#[inline]
fn origin<T: Tracer>(
    frame: &Frame<'_>,
    port: &Port,
    tables: &Forwarding,
    last: &mut Option<Last>,
    stranger: &mut Option<IpAddr>,
    tracer: &mut T,
) -> Result<Origin, DropReason> {
    if frame.meta.cut || frame.len() < HEADER_LEN {
        return Err(Common::Truncated.into());
    }
    if let Some(Last { pattern, sender, peer, udp }) = last
        && let Some(outer) = pattern.again(frame.bytes())
    {
        tracer.to_endpoint(sender.endpoint);
        tracer.outer(&outer);
        tracer.sender(sender, Some(*peer));
        return arrived(frame, *peer, &outer, *udp);
    }
    for &id in &port.endpoints {
        let Some(endpoint) = tables.endpoints.get(usize::from(id.0)) else { continue };
        // Exactly the endpoint's outer tag: a tagged tenant must not be able to forge a tunnel.
        let Some(at) = outer::ip_start(frame.bytes(), endpoint.vlan) else { continue };
        let Some(to) = outer::ip_destination(frame.bytes(), at) else { continue };
        if to == endpoint.address || endpoint.multicast.contains(&to) {
            tracer.to_endpoint(id);
            return tunnel(frame, port, (id, endpoint), (to, at), tables, last, stranger, tracer);
        }
    }
    let peer = port.tags.ok_or_else(|| not_ours(frame.bytes()))?;
    Ok(Origin { peer, at: 0, end: frame.len() as u32, outer_class: None })
}

/// What the underlay's devices say to each other is nobody's mistake.
#[cold]
fn not_ours(frame: &[u8]) -> Common {
    let Some((ether_type, at)) = ethernet::payload(frame) else { return Common::NotForUs };
    let is_control = match ether_type {
        ethernet::ARP | ethernet::LLDP => true,
        // RFC 4861, and RFC 3810 behind a router alert.
        ethernet::IPV6 => frame.get(at + 6).is_some_and(|next| [ip::HOP_BY_HOP, ip::ICMPV6].contains(next)),
        _ => false,
    };
    if is_control { Common::UnderlayControl } else { Common::NotForUs }
}

#[inline(never)]
#[expect(clippy::too_many_arguments, reason = "what is looked at, what was found before, and who looks on")]
fn tunnel<T: Tracer>(
    frame: &Frame<'_>,
    port: &Port,
    (id, endpoint): (EndpointId, &Endpoint),
    (to, at): (IpAddr, usize),
    tables: &Forwarding,
    last: &mut Option<Last>,
    stranger: &mut Option<IpAddr>,
    tracer: &mut T,
) -> Result<Origin, DropReason> {
    let is_multicast = to != endpoint.address;
    let mac = if is_multicast { Some(Mac::of_group(to)) } else { port.mac };
    if mac.is_some() && mac != outer::destination(frame.bytes()) {
        return Err(Common::NotOurMac.into());
    }
    let outer = outer::walk(frame.bytes(), at)?;
    tracer.outer(&outer);
    if !endpoint.carriers.contains(&outer.carrier) {
        return Err(Common::NotForUs.into());
    }
    let sender = Sender { endpoint: id, address: outer.src, carrier: outer.carrier };
    let id = whose(&sender, tables, tracer)?;
    let peer = tables.peer(id).ok_or(Common::UnknownPeer)?;
    if is_multicast && peer.hears != Some(to) {
        return Err(Common::OtherGroup.into());
    }
    let origin = arrived(frame, id, &outer, peer.udp)?;
    if peer.is_anonymous {
        *stranger = Some(outer.src);
    } else {
        let pattern = Pattern::of(frame.bytes(), &outer);
        *last = pattern.map(|pattern| Last { pattern, sender, peer: id, udp: peer.udp });
    }
    Ok(origin)
}

/// A tunnel packet of a peer, if its checksum is right.
#[inline]
fn arrived(frame: &Frame<'_>, peer: PeerId, outer: &Outer, udp: UdpRules) -> Result<Origin, DropReason> {
    outer::verify_udp(frame, outer, udp)?;
    Ok(Origin { peer, at: outer.at, end: outer.end, outer_class: Some(outer.traffic_class) })
}

/// Which peer a sender is.
fn whose<T: Tracer>(sender: &Sender, tables: &Forwarding, tracer: &mut T) -> Result<PeerId, DropReason> {
    let found = match tables.senders.get(sender) {
        Some(peer) => Ok(*peer),
        None => unnamed(sender, tables),
    };
    tracer.sender(sender, found.ok());
    found
}

/// A sender that no configuration names, where a group learns its peers.
#[cold]
fn unnamed(sender: &Sender, tables: &Forwarding) -> Result<PeerId, DropReason> {
    let is_ours = |endpoint: &Endpoint| endpoint.address == sender.address;
    if tables.endpoints.iter().any(is_ours) {
        return Err(Common::OwnPacket.into());
    }
    tables.unnamed(sender).ok_or(Common::UnknownPeer.into())
}
