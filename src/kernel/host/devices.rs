//! The network devices that a configuration names, as this machine has them.

use std::iter;
use std::path::Path;

use super::Machine;
use crate::compile::{Plan, PortPlan};
use crate::config::{Config, Port, Problem, nearest};
use crate::io::{self, Backend};
use crate::kernel::device_kinds::{DeviceFamily, device_span};
use crate::kernel::tables::Link;

const TUN: &str = "/dev/net/tun";

/// The devices that a machine does not have.
pub(super) fn missing_devices(config: &Config, plan: &Plan, machine: &Machine) -> Vec<Problem> {
    let all = machine.kernel.links.values().flat_map(|link| iter::once(&link.name).chain(&link.other_names));
    let names: Vec<_> = all.cloned().collect();
    let mut problems = Vec::new();
    for port in &plan.ports {
        let Some(device) = port.backend.network_device() else { continue };
        if names.iter().any(|name| name == device) {
            continue;
        }
        let span = device_span(config, port);
        let problem = Problem::error(&plan.source, span, format!("this machine has no network device `{device}`"));
        problems.push(problem.help(device_meant(device, &names)));
    }
    problems
}

fn of_port<'c>(config: &'c Config, port: &PortPlan) -> Option<&'c Port> {
    config.file.ports.iter().find(|(name, _)| name.text == port.name)?.1
}

/// Devices that two ports name by different names of theirs.
pub(super) fn named_twice(config: &Config, plan: &Plan) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (place, port) in plan.ports.iter().enumerate() {
        let Some(device) = port.backend.network_device() else { continue };
        let same = |other: &&PortPlan| other.backend.network_device() == Some(device);
        if let Some(first) = plan.ports.iter().take(place).find(same) {
            let message = format!("this is `{device}`, the device of port `{}`", first.name);
            let problem = Problem::error(&plan.source, device_span(config, port), message);
            problems.push(problem.help("one device is one port; an endpoint and tenants can share it"));
        }
    }
    problems
}

/// TAPs that so many workers cannot make or join.
pub(super) fn unusable_taps(config: &Config, plan: &Plan, machine: &Machine, workers: usize) -> Vec<Problem> {
    let several = workers > 1;
    let problem = |port: &PortPlan| {
        let Backend::Tap { device } = &port.backend else { return None };
        let family = machine.kernel.link_named(device).map(|(_, link)| link.kind.family);
        let (message, help) = match family {
            Some(DeviceFamily::Tun { is_tap: true, multi_queue, .. }) if multi_queue != several => {
                let (queues, workers) =
                    if several { ("one queue", "several workers") } else { ("several queues", "one worker") };
                let message = format!("the TAP {device} was made for {queues}, and the gateway has {workers}");
                (message, "remove it and have the gateway make it, or change `multi_queue` or `workers`")
            }
            Some(DeviceFamily::Tun { is_tap: true, .. }) => return None,
            Some(_) => (format!("{device} exists and is no TAP"), "name another device, or leave `io: tap` out"),
            None if !Path::new(TUN).exists() => {
                (format!("this machine has no {TUN}, which TAPs are made by"), "load the tun module, or make it")
            }
            None => return None,
        };
        Some(Problem::error(&plan.source, device_span(config, port), message).help(help))
    };
    plan.ports.iter().filter_map(problem).collect()
}

/// TAPs that another process has open.
pub(super) fn taps_in_use(plan: &Plan, machine: &Machine) -> Vec<Problem> {
    let problem = |port: &PortPlan| {
        let Backend::Tap { device } = &port.backend else { return None };
        let (_, link) = machine.kernel.link_named(device)?;
        if !matches!(link.kind.family, DeviceFamily::Tun { is_tap: true, multi_queue: false, is_open: true }) {
            return None;
        }
        let message = format!("another process has the TAP {device} open");
        Some(Problem::error(&plan.source, port.span, message).help("stop it, or name another device"))
    };
    plan.ports.iter().filter_map(problem).collect()
}

/// Ports that must be on XDP sockets, on devices that have an XDP program already.
pub(super) fn foreign_programs(plan: &Plan, machine: &Machine) -> Vec<Problem> {
    let problem = |port: &PortPlan| {
        let Backend::AfXdp { device } = &port.backend else { return None };
        machine.kernel.link_named(device).filter(|(_, link)| link.has_xdp)?;
        let message = format!("another XDP program is attached to {device}; `ip link show {device}` tells its number");
        Some(Problem::error(&plan.source, port.span, message).help("detach it, or write `io: af_packet`"))
    };
    plan.ports.iter().filter_map(problem).collect()
}

/// Ports that must be on XDP sockets, on a veth whose far end leaves checksums, segmentation or tags to its device.
pub(super) fn offloading_senders(config: &Config, plan: &Plan, machine: &Machine) -> Vec<Problem> {
    const HELP: &str = "tx off tso off gso off txvlan off`, or write `io: af_packet`, which gets such packets whole";
    let warning = |port: &PortPlan| {
        let Backend::AfXdp { device } = &port.backend else { return None };
        let (_, link) = machine.kernel.link_named(device)?;
        let DeviceFamily::Veth { far_end } = link.kind.family else { return None };
        let incomplete = "arrive incomplete on XDP sockets, and most are dropped as `udp_checksum`";
        let span = of_port(config, port).and_then(|port| port.io.as_ref()).map_or(port.span, |io| io.span);
        let (message, help) = match far_end.and_then(|index| machine.kernel.links.get(&index)) {
            Some(Link { name, .. }) => {
                let left = io::left_to_device(name).filter(|left| !left.is_empty())?;
                let message = format!(
                    "{name}, the far end of {device}, leaves {} to its device: such packets {incomplete}",
                    left.join(", ")
                );
                (message, format!("turn that off, `ethtool -K {name} {HELP}"))
            }
            None => (
                format!(
                    "the far end of {device} is in another network namespace, where its offloads are not seen: unless they \
                     are off, its packets {incomplete}"
                ),
                format!("turn them off there, `ethtool -K DEVICE {HELP}"),
            ),
        };
        Some(Problem::warning(&plan.source, span, message).help(help))
    };
    plan.ports.iter().filter_map(warning).collect()
}

/// MAC addresses of ports at which tunnel packets do not arrive: the machine answers for the endpoints there, and with
/// its devices' own.
pub(super) fn unanswered_macs(config: &Config, plan: &Plan, machine: &Machine) -> Vec<Problem> {
    let warning = |port: &PortPlan| {
        let (device, mac) = (port.backend.network_device()?, port.mac?);
        let (_, link) = machine.kernel.link_named(device)?;
        let ids = &plan.tables.ports.get(port.id)?.endpoints;
        let mut endpoints = ids.iter().filter_map(|id| plan.tables.endpoints.get(*id));
        let address = endpoints.find(|endpoint| !machine.answers(endpoint.address, mac))?.address;
        let own = link.mac.filter(|own| *own != mac)?;
        let span = of_port(config, port).and_then(|port| port.mac.as_ref()).map_or(port.span, |mac| mac.span);
        let message = format!(
            "{device} has the MAC address {own}, with which this machine answers for endpoint {address}: peers will send \
             there, and the gateway drop it as `not_our_mac`"
        );
        let help = format!("give the device that address (`ip link set {device} address {mac}`), or remove `mac`");
        Some(Problem::warning(&plan.source, span, message).help(help))
    };
    plan.ports.iter().filter_map(warning).collect()
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
