//! What the resolver has to know of a plan: its tunnels and its ports, in words and numbers.

use crate::compile::{Plan, PortPlan, TunnelPlan};
use crate::config::{Config, Endpoint};
use crate::io::Backend;
use crate::kernel::next_hops::{PortLink, Tunnel};

/// The tunnels of a plan, with the names to speak of them.
#[must_use]
pub fn tunnels(config: &Config, plan: &Plan) -> Vec<Tunnel> {
    plan.tunnels.iter().map(|tunnel| named(config, tunnel, plan.names.peer(tunnel.peer).into_owned())).collect()
}

/// A tunnel, with the names to speak of it.
#[must_use]
pub fn named(config: &Config, tunnel: &TunnelPlan, name: String) -> Tunnel {
    let is_it = |endpoint: &Endpoint| endpoint.address.get().is_some_and(|address| address.0 == tunnel.local);
    let endpoint = config.file.endpoints.iter().find(|(_, endpoint)| endpoint.is_some_and(is_it));
    Tunnel {
        peer: tunnel.peer,
        name,
        endpoint: endpoint.map_or_else(String::new, |(name, _)| name.text.to_owned()),
        local: tunnel.local,
        remote: tunnel.remote,
        ports: tunnel.ports.clone(),
        vlan: tunnel.vlan,
    }
}

/// `3 ports, 2 tunnel peers, 1 tenant`
#[must_use]
pub fn counted(plan: &Plan) -> String {
    let plural = |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
    let tenants = plan.forwarding.domains.iter().flatten().count();
    [plural(plan.ports.len(), "port"), plural(plan.tunnels.len(), "tunnel peer"), plural(tenants, "tenant")].join(", ")
}

/// The ports of a plan, by [`PortId`](crate::forwarding::PortId).
#[must_use]
pub fn port_links(plan: &Plan) -> Vec<PortLink> {
    let mut links = vec![PortLink::default(); plan.forwarding.ports.len()];
    for port in &plan.ports {
        if let Some(link) = links.get_mut(usize::from(port.id.0)) {
            *link = port_link(port);
        }
    }
    links
}

fn port_link(port: &PortPlan) -> PortLink {
    // The kernel's routes by a TAP lead to the machine at its other end, not out of it.
    let device = port.backend.network_device().map(str::to_owned);
    PortLink { name: port.name.clone(), device, mac: port.mac, mtu: port.mtu, next_hops: port.next_hops.clone() }
}

/// The device of a port, or where its socket is, and what moves its frames.
#[must_use]
pub fn backend_words(port: &PortPlan, kind: &str) -> String {
    match &port.backend {
        Backend::Auto { device }
        | Backend::AfPacket { device }
        | Backend::AfXdp { device }
        | Backend::Tap { device } => format!("{kind} {device}"),
        Backend::Unix { local, .. } => format!("{kind} {}", local.display()),
    }
}
