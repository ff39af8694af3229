//! Host traffic: what comes in by a port and is no tunnel packet, since it is the machine's own. Its stack takes that, and
//! nothing is wrong; what may be a tunnel that the configuration does not know is told apart from it.

use std::net::{IpAddr, Ipv4Addr};

use transload_encaps::ethernet;
use transload_encaps::ip::{self, UDP};
use transload_encaps::outer;
use transload_encaps::{Carrier, Common, DropReason, Kind, Mac};

use crate::forwarding::{FileTables, Forwarding, Port, Sender};

/// The reason for a frame that is to no endpoint of the port and has no tags of an attachment: the machine's own, or not
/// for us.
#[cold]
pub(super) fn nobodys(frame: &[u8], port: &Port, tables: &Forwarding) -> Common {
    let Some((ether_type, at)) = ethernet::payload(frame) else { return Common::NotForUs };
    match ether_type {
        ethernet::ARP | ethernet::LLDP => return Common::UnderlayControl,
        // RFC 4861, and RFC 3810 behind a router alert.
        ethernet::IPV6 if frame.get(at + 6).is_some_and(|next| [ip::HOP_BY_HOP, ip::ICMPV6].contains(next)) => {
            return Common::UnderlayControl;
        }
        ethernet::IPV4 | ethernet::IPV6 => {}
        _ => return Common::NotForUs,
    }
    let mac = outer::destination(frame);
    // A group's MAC address with an address of one host behind it is a tenant's frame, flooded.
    let is_of_group = |to: IpAddr| to.is_multicast() || to == IpAddr::V4(Ipv4Addr::BROADCAST);
    let is_to_host = if mac.is_some_and(Mac::is_group) {
        outer::ip_destination(frame, at).is_some_and(is_of_group)
    } else {
        port.mac.is_none() || port.mac == mac
    };
    let is_host_packet = match outer::walk(frame, at) {
        Ok(packet) => !carries_tunnels(packet.carrier, tables),
        Err(reason) => reason == Common::OuterFragment.into(),
    };
    if is_to_host && is_host_packet { Common::HostTraffic } else { Common::NotForUs }
}

/// What a packet to an endpoint is, by a carrier that no peer of the endpoint uses.
#[cold]
pub(super) fn by_other_carrier(sender: &Sender, tables: &Forwarding) -> Common {
    let is_tunnel = carries_tunnels(sender.carrier, tables) || may_be_moved(sender, tables);
    if is_tunnel { Common::NotForUs } else { Common::HostTraffic }
}

/// What a packet to an endpoint is that is not whole, for this reason: only UDP and tunnels have fragments of ours.
#[cold]
pub(super) fn broken(frame: &[u8], ip_at: usize, reason: DropReason, tables: &Forwarding) -> DropReason {
    if reason != Common::OuterFragment.into() {
        return reason;
    }
    let packet = frame.get(ip_at..).unwrap_or_default();
    let byte = |at: usize| packet.get(at).copied();
    let protocol = match byte(0).map(|first| first >> 4) {
        Some(4) => byte(9),
        _ if byte(6) == Some(ip::FRAGMENT) => byte(ip::IPV6_LEN),
        _ => None,
    };
    let is_host = |protocol| protocol != UDP && !carries_tunnels(Carrier::Ip(protocol), tables);
    if protocol.is_some_and(is_host) { Common::HostTraffic.into() } else { reason }
}

/// Whether tunnels ride on it.
fn carries_tunnels(carrier: Carrier, tables: &FileTables) -> bool {
    carrier.other().is_some_and(|other| other.is_tunnel) || our_carriers(tables).any(|ours| ours == carrier)
}

/// What tunnels ride on: those of an endpoint, those that we could speak, and others by IANA's registries.
pub fn tunnel_carriers(tables: &FileTables) -> impl Iterator<Item = Carrier> {
    let of_others = Carrier::others().filter(|(_, other)| other.is_tunnel).map(|(carrier, _)| carrier);
    of_others.chain(our_carriers(tables))
}

fn our_carriers(tables: &FileTables) -> impl Iterator<Item = Carrier> {
    let infos = Kind::ALL.iter().map(|kind| kind.info());
    let known =
        infos.flat_map(|info| std::iter::once(info.carrier).chain(info.also_on.iter().map(|(carrier, _)| *carrier)));
    known.chain(tables.endpoints.values().flat_map(|endpoint| endpoint.carriers.iter().copied()))
}

/// Whether a peer may have its tunnel on another UDP port than the file says: one that is neither well known for
/// something else nor one to which answers come.
fn may_be_moved(sender: &Sender, tables: &Forwarding) -> bool {
    let Carrier::Udp(port) = sender.carrier else { return false };
    let Some(endpoint) = tables.endpoints.get(sender.endpoint) else { return false };
    let is_peer = |&carrier: &Carrier| {
        let sender = Sender { carrier, ..*sender };
        tables.senders.contains_key(&sender) || tables.unnamed(&sender).is_some()
    };
    (1024..32_768).contains(&port) && sender.carrier.other().is_none() && endpoint.carriers.iter().any(is_peer)
}
