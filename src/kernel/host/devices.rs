//! The network devices that a configuration names, as this machine has them.

use super::Machine;
use crate::compile::Plan;
use crate::config::{Config, Problem, nearest};

/// The devices that a machine does not have.
pub(super) fn missing_devices(config: &Config, plan: &Plan, machine: &Machine) -> Vec<Problem> {
    let names: Vec<_> = machine.links.values().map(|link| link.name.clone()).collect();
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
        problems.push(problem.help(device_meant(device, &names)));
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
