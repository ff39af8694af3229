//! The addresses of endpoints, as this machine has them.

use super::Machine;
use crate::compile::Plan;
use crate::config::{At, Config, Problem};
use crate::io::Backend;

/// The endpoints whose addresses a machine does not have.
pub(super) fn missing_addresses(config: &Config, plan: &Plan, machine: &Machine) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (_, endpoint) in config.file.endpoints.iter() {
        let Some(endpoint) = endpoint else { continue };
        let Some(address) = endpoint.address.get() else { continue };
        let named = endpoint.ports.get().into_iter().flatten().filter_map(At::get);
        // A Unix socket has no kernel behind it that could have the address.
        if machine.has_address(address.0) || named.clone().all(|name| is_socket(plan, name)) {
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
