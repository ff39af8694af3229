//! Classify: whose tunnel packet, or whose tags, is this?

use std::net::IpAddr;

use transload_encaps::ethernet::{self, HEADER_LEN};
use transload_encaps::outer::{self, Outer};
use transload_encaps::{Common, DropReason, Frame, Mac};

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

/// The sender of the frame before, and its peer: most frames of a burst come from one.
type Last = Option<(Sender, PeerId)>;

#[inline]
fn origin<T: Tracer>(
    frame: &Frame<'_>,
    port: &Port,
    tables: &Forwarding,
    last: &mut Last,
    stranger: &mut Option<IpAddr>,
    tracer: &mut T,
) -> Result<Origin, DropReason> {
    if frame.meta.cut || frame.len() < HEADER_LEN {
        return Err(Common::Truncated.into());
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
    const LLDP: u16 = 0x88cc;
    const HOP_BY_HOP: u8 = 0;
    const ICMPV6: u8 = 58;
    let Some((ether_type, at)) = ethernet::payload(frame) else { return Common::NotForUs };
    let is_control = match ether_type {
        ethernet::ARP | LLDP => true,
        // RFC 4861, and RFC 3810 behind a router alert.
        ethernet::IPV6 => frame.get(at + 6).is_some_and(|next| [HOP_BY_HOP, ICMPV6].contains(next)),
        _ => false,
    };
    if is_control { Common::UnderlayControl } else { Common::NotForUs }
}

#[inline]
#[expect(clippy::too_many_arguments, reason = "what is looked at, what was found before, and who looks on")]
fn tunnel<T: Tracer>(
    frame: &Frame<'_>,
    port: &Port,
    (id, endpoint): (EndpointId, &Endpoint),
    (to, at): (IpAddr, usize),
    tables: &Forwarding,
    last: &mut Last,
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
    let id = sender(&outer, id, tables, last, tracer)?;
    let peer = tables.peer(id).ok_or(Common::UnknownPeer)?;
    if is_multicast && peer.hears != Some(to) {
        return Err(Common::OtherGroup.into());
    }
    outer::verify_udp(frame, &outer, peer.udp)?;
    *stranger = peer.is_anonymous.then_some(outer.src);
    Ok(Origin { peer: id, at: outer.at, end: outer.end, outer_class: Some(outer.traffic_class) })
}

#[inline]
fn sender<T: Tracer>(
    outer: &Outer,
    endpoint: EndpointId,
    tables: &Forwarding,
    last: &mut Last,
    tracer: &mut T,
) -> Result<PeerId, DropReason> {
    let sender = Sender { endpoint, address: outer.src, carrier: outer.carrier };
    if let Some((known, peer)) = *last
        && known == sender
    {
        tracer.sender(&sender, Some(peer));
        return Ok(peer);
    }
    let found = match tables.senders.get(&sender) {
        Some(peer) => Ok(*peer),
        None => unnamed(&sender, tables),
    };
    tracer.sender(&sender, found.ok());
    *last = Some((sender, found?));
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
