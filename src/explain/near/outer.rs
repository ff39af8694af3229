//! Frames that are no tunnel packet to an endpoint of their port, and nearly are.

use std::net::IpAddr;

use transload_encaps::{Carrier, Kind, Mac, ethernet, outer};

use super::super::case::Case;
use super::{Near, sender};
use crate::compile::Noun;
use crate::forwarding::{Endpoint, EndpointId, Sender};

/// The IP packet in a frame, behind any VLAN tags.
struct TaggedPacket {
    /// The VLAN IDs before it, outermost first, with their types.
    tags: Vec<(u16, u16)>,
    dst: IpAddr,
    carrier: Option<Carrier>,
}

fn packet(frame: &[u8]) -> Option<TaggedPacket> {
    let (ether_type, at) = ethernet::payload(frame)?;
    if !matches!(ether_type, ethernet::IPV4 | ethernet::IPV6) {
        return None;
    }
    let tags = (12..at - 2)
        .step_by(4)
        .filter_map(|tag| Some((ethernet::be16(frame, tag)?, ethernet::be16(frame, tag + 2)? & 0x0fff)));
    let carrier = outer::walk(frame, at).ok().map(|outer| outer.carrier);
    Some(TaggedPacket { tags: tags.collect(), dst: outer::ip_destination(frame, at)?, carrier })
}

/// Why the frame is no tunnel packet, if it looks like one.
pub(super) fn not_for_us(case: &Case<'_>) -> Vec<Near> {
    if let Some(id) = case.leaving() {
        let text =
            format!("this packet is leaving: its source is our {}; capture with `tcpdump -Q in`", case.endpoint(id));
        return vec![Near::new(text, case.line(Noun::Endpoint(id)))];
    }
    if case.trace.outer().is_some() {
        return sender::wrong_carrier(case);
    }
    let mut all = nearly_a_tunnel(case);
    if all.is_empty() {
        all.push(nobodys(case));
    }
    all
}

/// Whether only the port, the tag or the address keeps it from being one of an endpoint's.
pub(super) fn nearly_a_tunnel(case: &Case<'_>) -> Vec<Near> {
    let Some(packet) = packet(case.frame) else { return Vec::new() };
    let endpoints = || case.tables.endpoints.iter();
    let ours: Vec<_> = endpoints().filter(|(_, endpoint)| endpoint.address == packet.dst).collect();
    let here = case.tables.ports.get(case.port).map_or(&[][..], |port| &port.endpoints);
    if let Some((id, endpoint)) = ours.iter().find(|(id, _)| here.contains(id)) {
        return vec![wrong_tag(case, *id, endpoint, &packet)];
    }
    if let Some((id, _)) = ours.first() {
        let ports = case.ports_of(*id).join(", ");
        let text = format!("{} is reached by {ports}, not by port {}", case.endpoint(*id), case.names.port(case.port));
        return vec![Near::new(text, case.line(Noun::Endpoint(*id)))];
    }
    let Some(nearest) = here.iter().min_by_key(|id| distance(case, **id, packet.dst)) else { return Vec::new() };
    let Some(endpoint) = case.tables.endpoints.get(*nearest) else { return Vec::new() };
    // A tenant's own packet to anywhere is no near miss.
    let is_tunnel = |carrier| endpoint.carriers.contains(&carrier) || Kind::on(carrier).next().is_some();
    if !packet.carrier.is_some_and(is_tunnel) || !packet.tags.is_empty() && endpoint.vlan.is_none() {
        return Vec::new();
    }
    if packet.dst.is_multicast() {
        return vec![unheard(case, packet.dst)];
    }
    let (family, other) = if packet.dst.is_ipv4() { ("IPv4", "IPv6") } else { ("IPv6", "IPv4") };
    let text = if endpoint.address.is_ipv4() == packet.dst.is_ipv4() {
        format!("{} is none of our tunnel addresses; the nearest is {}", packet.dst, case.endpoint(*nearest))
    } else {
        format!(
            "the packet is {family} (to {}), and {} of port {} is {other}: the peer's tunnel has the other address family",
            packet.dst,
            case.endpoint(*nearest),
            case.names.port(case.port)
        )
    };
    vec![Near::new(text, case.line(Noun::Endpoint(*nearest)))]
}

/// A multicast group of the underlay that the gateway does not listen to.
fn unheard(case: &Case<'_>, to: IpAddr) -> Near {
    let heard = case.peers().filter_map(|(id, peer)| Some((id, peer.multicast_group?)));
    let nearest = heard.min_by_key(|(_, group)| sender::distance(*group, to).unwrap_or(u128::MAX));
    let Some((id, group)) = nearest else {
        let text = format!("{to} is a multicast group, and no group of the configuration has `bum`: write `bum: {to}`");
        return Near::new(text, case.line(Noun::Port(case.port)));
    };
    let name = case.names.peer(id);
    let whose = name.split_once('/').map_or(&*name, |(group, _)| group);
    let text = format!(
        "{to} is a multicast group that no group's `bum` names; group {whose} has `bum: {group}`: make the two agree"
    );
    Near::new(text, case.line(Noun::Peer(id)))
}

/// A packet to the multicast group of others.
pub(super) fn other_group(case: &Case<'_>) -> Vec<Near> {
    let (Some(endpoint), Some(packet)) = (case.trace.endpoint(), case.trace.outer()) else { return Vec::new() };
    let key = Sender { endpoint, address: packet.src, carrier: packet.carrier };
    let Some(peer) = case.tables.senders.get(&key).copied().or_else(|| case.tables.unnamed(&key)) else {
        return Vec::new();
    };
    let to = packet.dst;
    let owner = case.peers().find(|(_, row)| row.multicast_group == Some(to)).map(|(id, _)| case.names.peer(id));
    let whose = owner
        .as_deref()
        .and_then(|name| name.split_once('/'))
        .map_or_else(String::new, |(group, _)| format!(" of group {group}"));
    let help = match case.tables.peer(peer).and_then(|peer| peer.multicast_group) {
        Some(own) => format!("its own group has `bum: {own}`"),
        None => "let it send to our own address, or make it a member of that group".to_owned(),
    };
    let text = format!("the packet is to {to}, the `bum`{whose}, but {} is {}: {help}", packet.src, case.peer(peer));
    vec![Near::new(text, case.line(Noun::Peer(peer)))]
}

fn distance(case: &Case<'_>, id: EndpointId, to: IpAddr) -> u128 {
    let address = case.tables.endpoints.get(id).map(|endpoint| endpoint.address);
    address.map_or(u128::MAX, |address| sender::distance(address, to).unwrap_or(u128::MAX))
}

fn wrong_tag(case: &Case<'_>, id: EndpointId, endpoint: &Endpoint, packet: &TaggedPacket) -> Near {
    let has = match packet.tags.as_slice() {
        [] => "has no VLAN tag".to_owned(),
        [(ethernet::C_TAG, vlan)] => format!("has VLAN {vlan}"),
        [(tpid, vlan)] => format!("has VLAN {vlan} under TPID {tpid:#06x}"),
        tags => format!("has {} VLAN tags", tags.len()),
    };
    let (wants, help) = match (endpoint.vlan, packet.tags.as_slice()) {
        (None, [(_, 0)]) => (
            "takes untagged packets".to_owned(),
            "a tag without a VLAN is taken under 0x8100 and 0x88a8 only; let the underlay take it off".to_owned(),
        ),
        (None, [(_, vlan)]) => ("takes untagged packets".to_owned(), format!("write `vlan: {vlan}` at the endpoint")),
        (None, _) => ("takes untagged packets".to_owned(), "untag the underlay".to_owned()),
        (Some(vlan), []) => {
            (format!("lives in VLAN {vlan}"), "tag the underlay, or remove `vlan` from the endpoint".to_owned())
        }
        (Some(vlan), _) => (format!("lives in VLAN {vlan}, as one 802.1Q tag"), "make the two agree".to_owned()),
    };
    let noun = if endpoint.vlan.is_some() { Noun::EndpointVlan(id) } else { Noun::Endpoint(id) };
    Near::new(format!("the packet to {} {has}, but the endpoint {wants}: {help}", case.endpoint(id)), case.line(noun))
}

fn nobodys(case: &Case<'_>) -> Near {
    let name = case.names.port(case.port);
    let port = case.tables.ports.get(case.port);
    let text = match port.map(|port| port.endpoints.as_slice()) {
        None | Some([]) => format!("port {name} has neither endpoints nor attachments"),
        Some(_) => {
            format!("port {name} takes tunnel packets only, and this is none: no attachment claims tags of this port")
        }
    };
    Near::new(text, case.line(Noun::Port(case.port)))
}

pub(super) fn not_our_mac(case: &Case<'_>) -> Vec<Near> {
    let Some(sent) = outer::destination(case.frame) else { return Vec::new() };
    let Some(ours) = case.tables.ports.get(case.port).and_then(|port| port.mac) else {
        return Vec::new();
    };
    if let Some(group) = packet(case.frame).map(|packet| packet.dst).filter(IpAddr::is_multicast) {
        let right = Mac::of_group(group);
        let text = format!("the packet is to the multicast group {group}, whose MAC is {right}, but is for MAC {sent}");
        return vec![Near::new(text, case.line(Noun::PortMac(case.port)))];
    }
    let whose = case.tables.ports.iter().find(|(_, port)| port.mac == Some(sent));
    let hint = match whose {
        Some((id, _)) => format!("that is port {}", case.names.port(id)),
        None if sent.is_group() => "a tunnel packet is never a broadcast or multicast frame".to_owned(),
        None => "the sender's ARP or neighbour entry is stale, or a switch floods it".to_owned(),
    };
    let what = case.trace.endpoint().map_or_else(String::new, |id| format!(" to {}", case.endpoint(id)));
    let text =
        format!("the packet{what} is for MAC {sent}, but port {} has {ours}: {hint}", case.names.port(case.port));
    vec![Near::new(text, case.line(Noun::PortMac(case.port)).or_else(|| case.line(Noun::Port(case.port))))]
}

/// What is left to say where neither sender nor carrier is known.
pub(super) fn carriers(case: &Case<'_>, id: EndpointId) -> String {
    let endpoint = case.tables.endpoints.get(id);
    let carriers = endpoint.into_iter().flat_map(|endpoint| &endpoint.carriers);
    let known: Vec<_> = carriers.map(|carrier| carrier.in_words()).collect();
    if known.is_empty() { "nothing at all".to_owned() } else { known.join(", ") }
}
