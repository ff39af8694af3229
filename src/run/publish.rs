//! New next hops, and what devices have become, on their way to the workers: a new `Forwarding`, most of it shared
//! with the one before.

use std::sync::Arc;

use crate::forwarding::{Forwarding, Hop, Port, PortId};
use crate::kernel::next_hops::{PortLink, Resolution};
use crate::kernel::tables::Kernel;
use crate::run::gateway::Gateway;

/// Publishes what has been resolved, if the workers do not have it yet.
pub fn publish(gateway: &Gateway, resolution: &Resolution, kernel: &Kernel) {
    gateway.resolution.store(Arc::new(resolution.clone()));
    note_devices(gateway, kernel);
    let tables = gateway.shared.forwarding.load_full();
    let view = gateway.view();
    let hops = rows(&resolution.hops, tables.peers.len());
    let ports: Vec<_> =
        tables.ports.iter().zip(&view.ports).map(|(port, link)| refreshed(port, link, kernel)).collect();
    let same_ports = tables
        .ports
        .iter()
        .zip(&ports)
        .all(|(old, new)| (old.mac, old.mtu, old.is_down) == (new.mac, new.mtu, new.is_down));
    if same_ports && hops == tables.hops {
        return;
    }
    let fresh = Forwarding { ports, hops, ..Forwarding::clone(&tables) };
    gateway.versions.publish(&gateway.shared, fresh);
}

/// A row for every peer, also for those that are no tunnels.
fn rows(resolved: &[Vec<Hop>], peers: usize) -> Vec<Vec<Hop>> {
    let mut hops = resolved.to_vec();
    hops.resize(peers.max(resolved.len()), Vec::new());
    hops
}

/// A device may get another MAC address or MTU while we run, and lose its carrier.
fn refreshed(port: &Port, link: &PortLink, kernel: &Kernel) -> Port {
    let mut port = port.clone();
    let device = link.device.as_deref().and_then(|name| kernel.link_named(name));
    if let Some((_, device)) = device {
        port.mac = link.mac.or(device.mac);
        port.mtu = link.mtu.or(Some(device.mtu));
        port.is_down = !device.is_up();
    }
    port
}

/// What is wrong with the devices of ports, for `show ports`, and once for the log.
fn note_devices(gateway: &Gateway, kernel: &Kernel) {
    let view = gateway.view();
    let mut news = gateway.news();
    for (id, port) in (0..).map(PortId).zip(&view.ports) {
        let Some(device) = &port.device else { continue };
        let failure = match kernel.link_named(device) {
            None => Some(format!("{device} is gone")),
            Some((_, link)) => (!link.is_up()).then(|| format!("{device} {}", link.state)),
        };
        if news.failures.get(&id) == failure.as_ref() {
            continue;
        }
        if let Some(failure) = failure {
            tracing::warn!("port {}: {failure}; the others go on", port.name);
            news.failures.insert(id, failure);
        } else {
            tracing::info!("port {}: {device} is up again", port.name);
            news.failures.remove(&id);
        }
    }
}
