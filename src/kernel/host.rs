//! What a configuration needs of the machine it runs on: devices, addresses, routes. For `run` and `check --host`.

use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;

use crate::compile::Plan;
use crate::config::{At, Config, Problem, nearest};
use crate::io::Backend;
use crate::kernel::netlink::Netlink;
use crate::kernel::next_hops::{Complaint, flows, resolve};
use crate::rib::facts::{PortLink, Tunnel};

/// Everything about this machine that a configuration may trip over: what [`check`] and [`check_routes`] find.
///
/// # Errors
/// When the kernel will not say what it has.
pub fn look(config: &Config, plan: &Plan) -> io::Result<Vec<Problem>> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let mut problems = check(config, plan).await?;
        problems.extend(check_routes(plan).await?);
        problems.sort_by_key(Problem::span);
        Ok(problems)
    })
}

/// What this machine does not have, in the order of the file. Nothing is changed, and nothing opened.
///
/// # Errors
/// When the kernel will not say what it has.
pub async fn check(config: &Config, plan: &Plan) -> io::Result<Vec<Problem>> {
    let (netlink, _changes) = Netlink::open()?;
    let names: Vec<_> = netlink.links().await?.into_iter().map(|(_, link)| link.name).collect();
    let addresses: BTreeSet<_> = netlink.addresses().await?.into_iter().map(|(_, address)| address).collect();
    let mut problems = missing_devices(config, plan, &names);
    problems.extend(missing_addresses(config, plan, &addresses));
    problems.sort_by_key(Problem::span);
    Ok(problems)
}

/// Tunnels whose route leads nowhere, which may change by itself, or where it must not, which is an error. A gateway
/// that runs only logs them, since routes come and go.
///
/// # Errors
/// When the kernel will not say what it has.
pub async fn check_routes(plan: &Plan) -> io::Result<Vec<Problem>> {
    let (netlink, _changes) = Netlink::open()?;
    let (tunnels, ports) = (Tunnel::all_of(plan), PortLink::all_of(plan));
    let kernel = netlink.read(&flows(&tunnels)).await?;
    let complaints = tunnels.iter().flat_map(|tunnel| {
        let complaints = resolve(tunnel, &ports, &kernel).complaints;
        complaints.into_iter().map(|complaint| (tunnel.peer, complaint))
    });
    let lasting = complaints.filter(|(_, complaint)| !complaint.is_passing());
    let problem = |(peer, complaint): (_, Complaint)| {
        let tunnel = plan.tunnels.iter().find(|tunnel| tunnel.peer == peer)?;
        let make = if matches!(complaint, Complaint::NoRoute(_)) { Problem::warning } else { Problem::error };
        Some(make(&plan.source, tunnel.span, complaint.to_string()))
    };
    Ok(lasting.filter_map(problem).collect())
}

/// The addresses that a machine has.
pub type Addresses = BTreeSet<IpAddr>;

/// The addresses that this machine has now.
///
/// # Errors
/// When the kernel will not say.
pub async fn addresses() -> io::Result<Addresses> {
    let (netlink, _changes) = Netlink::open()?;
    Ok(netlink.addresses().await?.into_iter().map(|(_, address)| address).collect())
}

fn missing_devices(config: &Config, plan: &Plan, names: &[String]) -> Vec<Problem> {
    let written = |name: &str| {
        let (_, port) = config.file.ports.iter().find(|(port, _)| port.text == name)?;
        Some(port?.device.as_ref()?.span)
    };
    let mut problems = Vec::new();
    for port in &plan.ports {
        let Some(device) = port.backend.network_device() else { continue };
        if names.iter().any(|name| name == device) {
            continue;
        }
        let span = written(&port.name).unwrap_or(port.span);
        let problem = Problem::error(&plan.source, span, format!("this machine has no network device `{device}`"));
        problems.push(problem.help(device_meant(device, names)));
    }
    problems
}

/// The device that was probably meant, or those that there are. One with another number is another device, not a
/// slip of the pen.
fn device_meant(device: &str, names: &[String]) -> String {
    const MOST_LISTED: usize = 24;
    let stem = |name: &str| name.trim_end_matches(|c: char| c.is_ascii_digit()).to_owned();
    let others = names.iter().map(String::as_str).filter(|name| stem(name) != stem(device));
    match nearest(device, others) {
        Some(near) => format!("did you mean `{near}`?"),
        None if names.len() > MOST_LISTED => "`ip link` lists its devices".to_owned(),
        None => format!("its devices: {}", names.join(", ")),
    }
}

/// The endpoints whose addresses a machine does not have.
#[must_use]
pub fn missing_addresses(config: &Config, plan: &Plan, addresses: &Addresses) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (_, endpoint) in config.file.endpoints.iter() {
        let Some(endpoint) = endpoint else { continue };
        let Some(address) = endpoint.address.get() else { continue };
        let named = endpoint.ports.get().into_iter().flatten().filter_map(At::get);
        // A Unix socket has no kernel behind it that could have the address.
        if addresses.contains(&address.0) || named.clone().all(|name| is_socket(plan, name)) {
            continue;
        }
        let message = format!("no device of this machine has the address {}", address.0);
        let prefix = if address.0.is_ipv4() { 32 } else { 128 };
        let help =
            format!("give it to the loopback or to one of the ports: `ip address add {}/{prefix} dev lo`", address.0);
        problems.push(Problem::error(&plan.source, endpoint.address.span, message).help(help));
    }
    problems
}

fn is_socket(plan: &Plan, name: &str) -> bool {
    plan.ports.iter().any(|port| port.name == name && matches!(port.backend, Backend::Unix { .. }))
}
