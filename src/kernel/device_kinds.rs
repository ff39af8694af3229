//! Kinds of network devices: which ones a port can be on, and for what.

use std::fmt;

use crate::compile::{Plan, PortPlan};
use crate::config::{At, Config, Problem, Span};
use crate::io::{Backend, LinkLayer};
use crate::kernel::tables::{Kernel, Link, LinkIndex};

/// What kind of device the kernel says it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceKind {
    /// What its packets begin with.
    pub layer: LinkLayer,
    /// Whether there is one far end, to which everything goes (`POINTOPOINT`).
    pub has_far_end: bool,
    /// The drivers that it matters for, and how they are set up.
    pub family: DeviceFamily,
}

/// Drivers of which a gateway must know more than what their packets begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeviceFamily {
    /// All others.
    #[default]
    Other,
    /// A tunnel of the kernel that carries IP packets: ipip, sit, gre, ip6tnl, ip6gre.
    IpTunnel,
    /// macvlan or macvtap.
    MacVlan {
        /// Whether it has the device under it for itself (`passthru`).
        takes_all: bool,
    },
    /// ipvlan.
    IpVlan {
        /// Whether what is sent by it is routed by the kernel, by IP address (`l3`, `l3s`).
        routes: bool,
    },
    /// A VRF: not a device but a set of them.
    Vrf,
    /// A TAP, or a tun.
    Tun {
        /// Whether it is a TAP.
        is_tap: bool,
        /// Whether it was made for several queues (`multi_queue`).
        multi_queue: bool,
        /// Whether a process has it open.
        is_open: bool,
    },
    /// One end of a pair of devices.
    Veth {
        /// The other end, if it is in the same network namespace.
        far_end: Option<LinkIndex>,
    },
}

impl DeviceKind {
    /// An ordinary network card, or what looks like one.
    pub const CARD: Self = Self { layer: LinkLayer::Ethernet, has_far_end: false, family: DeviceFamily::Other };
}

impl Default for DeviceKind {
    fn default() -> Self {
        Self::CARD
    }
}

/// Why a port cannot be on its device as the file has it, and what to do.
struct Misfit {
    message: String,
    help: &'static str,
}

impl Misfit {
    fn new(message: impl fmt::Display, help: &'static str) -> Self {
        Self { message: message.to_string(), help }
    }
}

/// The ports of a plan that cannot be on their devices, in the order of the file.
#[must_use]
pub fn check(config: &Config, plan: &Plan, kernel: &Kernel) -> Vec<Problem> {
    let refused = plan.ports.iter().filter_map(|port| {
        let (_, link) = kernel.link_named(port.backend.network_device()?)?;
        let Misfit { message, help } = misfit(plan, port, link)?;
        Some(Problem::error(&plan.source, device_span(config, port), message).help(help))
    });
    refused.chain(several_vrfs(config, plan, kernel)).collect()
}

/// The endpoints whose devices are not all in one VRF, or all in none: no single table has the routes of such an endpoint.
fn several_vrfs(config: &Config, plan: &Plan, kernel: &Kernel) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (name, endpoint) in config.file.endpoints.iter() {
        let Some(endpoint) = endpoint else { continue };
        let vlan = endpoint.vlan.as_ref().and_then(At::value).map(|vid| vid.0 as u16);
        let ports = endpoint.ports.get().into_iter().flatten().filter_map(At::get);
        let places = ports.filter_map(|port| {
            let device = plan.ports.iter().find(|plan| plan.name == *port)?.backend.network_device()?;
            Some((device, kernel.vrf_of(kernel.link_in_vlan(device, vlan)?)))
        });
        let places: Vec<_> = places.collect();
        let Some(&(device, vrf)) = places.first() else { continue };
        let Some(&(other, other_vrf)) = places.iter().find(|(_, other)| *other != vrf) else { continue };
        let words =
            |vrf: Option<_>| vrf.map_or_else(|| "no VRF".to_owned(), |vrf| format!("VRF {}", kernel.link_name(vrf)));
        let (vrf, other_vrf) = (words(vrf), words(other_vrf));
        let message = format!("endpoint `{}`: `{device}` is in {vrf}, and `{other}` in {other_vrf}", name.text);
        let problem = Problem::error(&plan.source, endpoint.ports.span, message);
        problems.push(problem.help("the ports of an endpoint must be in one VRF, or all in none"));
    }
    problems
}

/// Where the file gives a port's device.
pub(super) fn device_span(config: &Config, port: &PortPlan) -> Span {
    let written = config.file.ports.iter().find(|(name, _)| name.text == port.name);
    written.and_then(|(_, port)| Some(port?.device.as_ref()?.span)).unwrap_or(port.span)
}

fn misfit(plan: &Plan, port: &PortPlan, link: &Link) -> Option<Misfit> {
    let name = &link.name;
    match link.kind.layer {
        LinkLayer::Ethernet => ethernet(plan, port, link),
        LinkLayer::Ip => ip_only(plan, port, link),
        LinkLayer::Other(number) => Some(Misfit::new(
            format_args!("`{name}` carries neither Ethernet frames nor bare IP packets (ARPHRD type {number})"),
            "name another device",
        )),
    }
}

fn ethernet(plan: &Plan, port: &PortPlan, link: &Link) -> Option<Misfit> {
    let (name, has_tenants) = (&link.name, plan.has_tags(port.id));
    match link.kind.family {
        DeviceFamily::MacVlan { takes_all: false } if has_tenants => Some(Misfit::new(
            format_args!("tenants are attached to `{name}`, a macvlan, which receives nothing for their MAC addresses"),
            "name the device under it, or make it with `mode passthru`; tunnels work on it as it is",
        )),
        DeviceFamily::IpVlan { .. } if has_tenants => Some(Misfit::new(
            format_args!("tenants are attached to `{name}`, an ipvlan, which receives nothing for their MAC addresses"),
            "name the device under it",
        )),
        DeviceFamily::IpVlan { routes: true } => Some(Misfit::new(
            format_args!("`{name}` is an ipvlan in a mode in which the kernel routes what is sent by it"),
            "make it with `mode l2`, or name the device under it",
        )),
        DeviceFamily::Vrf => Some(Misfit::new(
            format_args!("`{name}` is a VRF, by which no packet arrives or leaves"),
            "name the devices in it",
        )),
        _ => None,
    }
}

/// What a device without Ethernet headers cannot do.
fn ip_only(plan: &Plan, port: &PortPlan, link: &Link) -> Option<Misfit> {
    let name = &link.name;
    let what = "carries IP packets without Ethernet headers";
    if plan.has_tags(port.id) {
        return Some(Misfit::new(
            format_args!("tenants are attached to `{name}`, which {what}"),
            "attach them to an Ethernet device; tunnels work on this one",
        ));
    }
    if matches!(port.backend, Backend::AfXdp { .. }) {
        return Some(Misfit::new(
            format_args!("`io: af_xdp` is for Ethernet devices, and `{name}` {what}"),
            "write `io: af_packet`",
        ));
    }
    if port.mac.is_some() {
        return Some(Misfit::new(
            format_args!("port `{}` has a `mac`, but `{name}` {what}", port.name),
            "remove `mac`",
        ));
    }
    if has_tagged_endpoint(plan, port) {
        return Some(Misfit::new(
            format_args!("an endpoint with a `vlan` uses port `{}`, but `{name}` {what}", port.name),
            "remove `vlan`, or give that endpoint other ports",
        ));
    }
    (link.kind.family == DeviceFamily::IpTunnel && !link.kind.has_far_end).then(|| {
        Misfit::new(
            format_args!("`{name}` is a tunnel without a `remote`, so the kernel does not know where packets go"),
            "give it one: `ip link add .. remote ADDRESS`",
        )
    })
}

fn has_tagged_endpoint(plan: &Plan, port: &PortPlan) -> bool {
    let endpoints = plan.tables.ports.get(port.id).into_iter().flat_map(|port| &port.endpoints);
    let mut endpoints = endpoints.filter_map(|id| plan.tables.endpoints.get(*id));
    endpoints.any(|endpoint| endpoint.vlan.is_some())
}
