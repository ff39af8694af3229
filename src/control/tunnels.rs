//! What the resolver has to know of a plan: its tunnels and its ports, in words and numbers.

use crate::config::Config;
use crate::control::compile::{Plan, PortPlan};
use crate::control::next_hops::{PortLink, Tunnel};
use crate::io::Backend;

/// The tunnels of a plan, with the names to speak of them.
#[must_use]
pub fn tunnels(config: &Config, plan: &Plan) -> Vec<Tunnel> {
    let endpoint = |local| {
        let found = config.file.endpoints.iter().find(|(_, endpoint)| {
            endpoint.and_then(|endpoint| endpoint.address.get()).is_some_and(|address| address.0 == local)
        });
        found.map_or_else(String::new, |(name, _)| name.text.to_owned())
    };
    let tunnel = |tunnel: &crate::control::compile::TunnelPlan| Tunnel {
        peer: tunnel.peer,
        name: plan.names.peer(tunnel.peer).into_owned(),
        endpoint: endpoint(tunnel.local),
        local: tunnel.local,
        remote: tunnel.remote,
        ports: tunnel.ports.clone(),
        vlan: tunnel.vlan,
    };
    plan.tunnels.iter().map(tunnel).collect()
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
