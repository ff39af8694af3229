//! The addresses of endpoints, as this machine has them: link-local ones on the endpoint's own device.

use std::net::IpAddr;

use super::Machine;
use crate::compile::Plan;
use crate::config::{Address, At, Config, Problem};
use crate::io::Backend;

/// The endpoints whose addresses a machine does not have. Of an endpoint that a `running` gateway has, the address is
/// away for a while, as it may be at any time.
pub(super) fn missing_addresses(
    config: &Config,
    plan: &Plan,
    running: Option<&Plan>,
    machine: &Machine,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (_, endpoint) in config.file.endpoints.iter() {
        let Some(endpoint) = endpoint else { continue };
        let Some(&Address(address)) = endpoint.address.get() else { continue };
        let named = endpoint.ports.get().into_iter().flatten().filter_map(At::get);
        // A Unix socket has no kernel behind it that could have the address.
        if named.clone().all(|name| is_socket(plan, name)) {
            continue;
        }
        let vlan = endpoint.vlan.as_ref().and_then(At::value).map(|vid| vid.0 as u16);
        let missing = match address {
            IpAddr::V6(local) if local.is_unicast_link_local() => {
                named.clone().find_map(|name| missing_on_link(plan, address, (name, vlan), machine))
            }
            _ => missing_anywhere(address, machine),
        };
        if let Some((message, help)) = missing {
            let span = endpoint.address.span;
            let problem = if running.is_some_and(|running| is_served(running, address, vlan, &named)) {
                let message = format!("{message}; its peers cannot be reached until it is back");
                Problem::warning(&plan.source, span, message)
            } else {
                Problem::error(&plan.source, span, message)
            };
            problems.push(problem.help(help));
        }
    }
    problems
}

/// Whether a running gateway has an endpoint with this address in this VLAN; a link-local one on these ports.
fn is_served<'p>(
    running: &Plan,
    address: IpAddr,
    vlan: Option<u16>,
    ports: &(impl Iterator<Item = &'p String> + Clone),
) -> bool {
    let is_on_one_link = matches!(address, IpAddr::V6(local) if local.is_unicast_link_local());
    let mut endpoints = running.tables.endpoints.iter();
    endpoints.any(|(id, endpoint)| {
        let has_it = |name: &String| {
            let port = running.names.port_id(name).and_then(|port| running.tables.ports.get(port));
            port.is_some_and(|port| port.endpoints.contains(&id))
        };
        (endpoint.address, endpoint.vlan) == (address, vlan) && (!is_on_one_link || ports.clone().all(has_it))
    })
}

fn missing_anywhere(address: IpAddr, machine: &Machine) -> Option<(String, String)> {
    if machine.addresses.iter().any(|(_, own)| *own == address) {
        return None;
    }
    let message = format!("no device of this machine has the address {address}");
    let prefix = if address.is_ipv4() { 32 } else { 128 };
    let help = format!("give it to the loopback or to one of the ports: `ip address add {address}/{prefix} dev lo`");
    Some((message, help))
}

/// Where a link-local address is missing on the device of a port, or on the VLAN device above: a message and what to do.
fn missing_on_link(
    plan: &Plan,
    address: IpAddr,
    (port, vlan): (&str, Option<u16>),
    Machine { kernel, addresses, .. }: &Machine,
) -> Option<(String, String)> {
    let device = plan.ports.iter().find(|plan| plan.name == port)?.backend.network_device()?;
    let Some(index) = kernel.link_in_vlan(device, vlan) else {
        // A device that is missing has been found to be.
        let vlan = vlan.filter(|_| kernel.link_named(device).is_some())?;
        let help = format!("`ip link add link {device} name {device}.{vlan} type vlan id {vlan}`");
        return Some((format!("{address} needs a VLAN device: `{device}` has none for tag {vlan}"), help));
    };
    if addresses.contains(&(index, address)) {
        return None;
    }
    let name = kernel.link_name(index);
    let help = format!("give it to that device: `ip address add {address}/64 dev {name}`");
    Some((format!("`{name}` does not have the link-local address {address}"), help))
}

fn is_socket(plan: &Plan, name: &str) -> bool {
    plan.ports.iter().any(|port| port.name == name && matches!(port.backend, Backend::Unix { .. }))
}
