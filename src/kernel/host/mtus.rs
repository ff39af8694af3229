//! MTUs of the file that devices do not carry, and MTUs of devices that leave tenants too little.

use super::Machine;
use crate::compile::{Plan, PortPlan, mtu_place, narrow};
use crate::config::{Config, Problem};

/// Warnings about MTUs that the file alone does not show.
pub(super) fn doubts(config: &Config, plan: &Plan, machine: &Machine) -> Vec<Problem> {
    let device = |port: &PortPlan| Some(machine.kernel.link_named(port.backend.network_device()?)?.1.mtu);
    let mut problems = narrow(config, plan, |port| port.mtu.into_iter().chain(device(port)).min());
    // What the file alone says has been said.
    problems.retain(|problem| plan.warnings.iter().all(|warning| warning.message != problem.message));
    for (port, carried) in plan.ports.iter().filter_map(|port| Some((port, device(port)?))) {
        let Some(stated) = port.mtu.filter(|stated| *stated > carried) else { continue };
        let (name, device) = (&port.name, port.backend.network_device().unwrap_or_default());
        let message = format!(
            "port `{name}` has an MTU of {stated}, but {device} carries only {carried}: longer packets are lost"
        );
        let help = format!("write {carried} or less, or raise that of the device: `ip link set {device} mtu {stated}`");
        problems.push(Problem::warning(&plan.source, mtu_place(config, port), message).help(help));
    }
    problems
}
