//! Endpoints whose tunnel packets the machine's IPsec policies would block or protect. A packet socket sends and
//! receives beside these policies, so that the packets would travel in clear.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;

use super::Machine;
use crate::compile::{Plan, TunnelPlan};
use crate::config::{At, Config, Ipsec, Prefix, Problem, Span};
use crate::forwarding::{Exit, PortId};
use crate::kernel::ipsec::objection;
use crate::kernel::ipsec::packets::{PacketSet, host};
use crate::kernel::ipsec::policies::{IpsecPolicy, Treatment, Way};
use crate::kernel::tables::{Link, LinkIndex};

/// Packets of one endpoint, from or to one of its peers.
struct TunnelPackets<'p> {
    tunnel: &'p TunnelPlan,
    peer: String,
    way: Way,
    packets: PacketSet,
}

/// What IPsec policies object to.
pub(super) fn objections(config: &Config, plan: &Plan, machine: &Machine) -> Vec<Problem> {
    if machine.policies.as_ref().is_ok_and(Vec::is_empty) {
        return Vec::new();
    }
    let careful = careful_endpoints(config);
    let is_asked = |packets: &TunnelPackets<'_>| {
        careful.contains_key(packets.tunnel.endpoint.as_str()) && uses_devices(plan, &packets.tunnel.ports)
    };
    let mut all = all_packets(plan);
    all.retain(is_asked);
    let policies = match &machine.policies {
        Ok(policies) => policies,
        Err(error) => return all.first().map(|packets| unknown(plan, packets, &careful, error)).into_iter().collect(),
    };
    let mut found: BTreeMap<(&str, usize), Vec<TunnelPackets<'_>>> = BTreeMap::new();
    for packets in all {
        let devices = devices(plan, packets.tunnel, machine);
        let Some(policy) = objection(policies, packets.way, &packets.packets, &devices) else { continue };
        let number = policies.iter().position(|other| std::ptr::eq(other, policy)).unwrap_or_default();
        found.entry((&packets.tunnel.endpoint, number)).or_default().push(packets);
    }
    let problem = |((endpoint, number), packets): ((&str, usize), Vec<TunnelPackets<'_>>)| {
        let (message, help) = words(endpoint, policies.get(number)?, &packets);
        Some(Problem::error(&plan.source, *careful.get(endpoint)?, message).help(help))
    };
    found.into_iter().filter_map(problem).collect()
}

/// The endpoints that policies matter to, and their places.
fn careful_endpoints(config: &Config) -> BTreeMap<&str, Span> {
    let endpoints = config.file.endpoints.iter().filter_map(|(name, endpoint)| Some((name.text, endpoint?)));
    let careful = endpoints
        .filter(|(_, endpoint)| endpoint.ipsec.as_ref().and_then(At::value).unwrap_or_default() == Ipsec::Refuse);
    careful.map(|(name, endpoint)| (name, endpoint.address.span)).collect()
}

/// What comes and goes by sockets and TAPs does not bypass the machine's policies: it never meets them, or all of them.
fn uses_devices(plan: &Plan, ports: &[PortId]) -> bool {
    plan.ports.iter().any(|port| ports.contains(&port.id) && port.backend.network_device().is_some())
}

/// The devices that a tunnel's packets come and leave by, as policies see them: those of its ports, and the VLAN devices
/// on them.
fn devices(plan: &Plan, tunnel: &TunnelPlan, machine: &Machine) -> Vec<LinkIndex> {
    let ports = plan.ports.iter().filter(|port| tunnel.ports.contains(&port.id));
    let named = ports.filter_map(|port| machine.kernel.link_named(port.backend.network_device()?));
    let mut devices: Vec<_> = named.map(|(index, _)| index).collect();
    if let Some(vlan) = tunnel.vlan {
        let on_top = |(index, link): (&LinkIndex, &Link)| {
            let (lower, tag) = link.vlan?;
            (tag == vlan && devices.contains(&lower)).then_some(*index)
        };
        devices = machine.kernel.links.iter().filter_map(on_top).collect();
    }
    devices
}

/// The packets of every tunnel, in both directions; those of learned peers by the prefix that they are learned from.
fn all_packets(plan: &Plan) -> Vec<TunnelPackets<'_>> {
    let sent = plan.tunnels.iter().filter_map(|tunnel| {
        let peer = plan.tables.peer(tunnel.peer)?;
        let Exit::Tunnel(underlay) = &peer.exit else { return None };
        let (local, remote) = (host(tunnel.local), host(tunnel.remote));
        let packets = PacketSet::sent(local, remote, peer.compiled.carrier(), underlay.source_ports())?;
        Some(TunnelPackets { tunnel, peer: plan.names.peer(tunnel.peer).into_owned(), way: Way::Out, packets })
    });
    let of_peer: BTreeMap<_, _> = plan.tunnels.iter().map(|tunnel| (tunnel.peer, tunnel)).collect();
    let received = plan.tables.senders.iter().flat_map(|(sender, peer)| {
        let tunnel = of_peer.get(peer).copied();
        let group = plan.tables.peer(*peer).and_then(|peer| peer.multicast_group);
        let to = tunnel.map(|tunnel| tunnel.local).into_iter().chain(group);
        to.filter_map(move |to| {
            let packets = PacketSet::received(host(sender.address), host(to), sender.carrier)?;
            Some(TunnelPackets { tunnel: tunnel?, peer: plan.names.peer(*peer).into_owned(), way: Way::In, packets })
        })
    });
    let mut all: Vec<_> = sent.chain(received).chain(learned(plan)).collect();
    all.sort_by(|one, other| one.peer.cmp(&other.peer));
    all
}

fn learned(plan: &Plan) -> impl Iterator<Item = TunnelPackets<'_>> {
    plan.tables.learners.iter().flat_map(|learner| {
        let group = plan.learning.iter().find(|group| group.anonymous == learner.peer);
        group.into_iter().flat_map(|group| {
            let range = prefix(learner.first, learner.last);
            let peer = format!("{} ({range})", group.name);
            let (tunnel, carrier) = (&group.tunnel, learner.carrier);
            let local = host(tunnel.local);
            let sent = PacketSet::sent(local, range, carrier, group.underlay.source_ports);
            let sent = sent.map(|packets| (Way::Out, packets));
            let to = [Some(tunnel.local), group.multicast_group].into_iter().flatten();
            let received = to.filter_map(move |to| PacketSet::received(range, host(to), carrier));
            let both = sent.into_iter().chain(received.map(|packets| (Way::In, packets)));
            both.map(move |(way, packets)| TunnelPackets { tunnel, peer: peer.clone(), way, packets })
        })
    })
}

/// The prefix of which these are the first and the last address.
fn prefix(first: IpAddr, last: IpAddr) -> Prefix {
    let len = match (first, last) {
        (IpAddr::V4(first), IpAddr::V4(last)) => (first.to_bits() ^ last.to_bits()).leading_zeros(),
        (IpAddr::V6(first), IpAddr::V6(last)) => (first.to_bits() ^ last.to_bits()).leading_zeros(),
        _ => 0,
    };
    Prefix::around(first, len as u8)
}

fn words(endpoint: &str, policy: &IpsecPolicy, packets: &[TunnelPackets<'_>]) -> (String, String) {
    let does = if policy.treatment == Treatment::Block { "blocks" } else { "protects" };
    let mut peers: Vec<_> = packets.iter().map(|packets| packets.peer.as_str()).collect();
    peers.dedup();
    let more = if peers.len() > 1 { format!(" and {} more", peers.len() - 1) } else { String::new() };
    let peer = format!("peer `{}`{more}", peers.first().unwrap_or(&""));
    let (between, would) = match policy.way {
        Way::Out => (format!("from endpoint `{endpoint}` to {peer}"), "would send in clear"),
        Way::In => (format!("to endpoint `{endpoint}` from {peer}"), "would accept in clear"),
    };
    let message = format!(
        "the IPsec policy `{policy}` of this machine {does} packets {between}, which the gateway {would}: IPsec does not see tunnel packets"
    );
    let help = format!(
        "remove the policy (`ip xfrm policy`), or write `ipsec: ignore` in endpoint `{endpoint}` if its packets may travel in clear; what protects them must be below the port (MACsec) or on another machine"
    );
    (message, help)
}

fn unknown(plan: &Plan, packets: &TunnelPackets<'_>, careful: &BTreeMap<&str, Span>, error: &io::Error) -> Problem {
    let span = careful.get(packets.tunnel.endpoint.as_str()).copied().unwrap_or_default();
    let message = format!(
        "cannot ask whether IPsec policies of this machine block or protect packets of endpoint `{}`, which the gateway sends in clear: {error}",
        packets.tunnel.endpoint
    );
    Problem::warning(&plan.source, span, message)
        .help("run as root, or with CAP_NET_ADMIN; or write `ipsec: ignore` in the endpoint")
}
