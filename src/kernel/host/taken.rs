//! What a gateway takes from the machine and its other devices while it runs: the addresses behind tenants' ports, and
//! the frames of bridges and bonds.

use std::net::IpAddr;

use super::Machine;
use crate::compile::{Plan, PortPlan};
use crate::config::Problem;
use crate::kernel::tables::{Link, LinkIndex};

/// The addresses of this machine that nobody reaches any more by a tenants' device.
pub(super) fn cut_off(plan: &Plan, machine: &Machine) -> Vec<Problem> {
    let warning = |port: &PortPlan| {
        let device = plan.tenant_device(port)?;
        let (index, _) = machine.kernel.link_named(device)?;
        let everything = plan.has_untagged(port.id);
        let is_cut = |(on, address): &&(LinkIndex, IpAddr)| {
            let is_tagged = machine.kernel.links.get(on).is_some_and(|link| is_on(link, index));
            (is_tagged || everything && *on == index) && !is_link_local(*address)
        };
        let lost: Vec<_> = machine.addresses.iter().filter(is_cut).collect();
        let (on, _) = lost.first()?;
        let where_at = machine.kernel.links.get(on).map_or(device, |link| link.name.as_str());
        let addresses: Vec<_> = lost.iter().map(|(_, address)| address.to_string()).collect();
        let message = format!(
            "nobody will reach this machine at {} ({where_at}) while the gateway runs: what arrives by {device} belongs \
             to the tenants of port `{}`{}",
            addresses.join(", "),
            port.name,
            if everything { "" } else { ", if it has a VLAN ID" }
        );
        let help = if everything {
            "manage the machine by another device; where all tenants have VLAN tags, untagged frames stay the machine's"
        } else {
            "manage the machine by another device, or untagged"
        };
        Some(Problem::warning(&plan.source, port.span, message).help(help))
    };
    plan.ports.iter().filter_map(warning).collect()
}

fn is_on(link: &Link, lower: LinkIndex) -> bool {
    link.vlan.is_some_and(|(device, vid)| device == lower && vid != 0)
}

/// Every device has one, and nobody manages a machine by it.
fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(_) => false,
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}

/// Devices whose frames belong to another device above them.
pub(super) fn members(plan: &Plan, machine: &Machine) -> Vec<Problem> {
    let problem = |port: &PortPlan| {
        let device = port.backend.network_device()?;
        let (_, link) = machine.kernel.link_named(device)?;
        let (master, kind) = link.master.as_ref()?;
        let master = &machine.kernel.links.get(master)?.name;
        let (source, span) = (&plan.source, port.span);
        match kind.as_str() {
            // Routing alone: frames pass as before.
            "vrf" => None,
            "bond" | "team" => {
                let message = format!(
                    "{device} is a member of {master} ({kind}), which sends and receives by any of its members"
                );
                Some(Problem::error(source, span, message).help(format!("write `device: {master}`")))
            }
            _ if plan.tenant_device(port).is_some() => {
                let message = format!(
                    "{device} is a port of {master} ({kind}), which will hear nothing by it while the gateway runs"
                );
                let help = format!("take it out (`ip link set {device} nomaster`)");
                Some(Problem::warning(source, span, message).help(help))
            }
            _ => {
                let message = format!(
                    "{device} is a port of {master} ({kind}), which receives and forwards the same frames as the gateway"
                );
                let help = format!("take it out (`ip link set {device} nomaster`), or write `device: {master}`");
                Some(Problem::warning(source, span, message).help(help))
            }
        }
    };
    plan.ports.iter().filter_map(problem).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compile::{Numbers, compile};
    use crate::config;
    use crate::kernel::tables::Kernel;

    /// A machine with 10.0.0.1 on eth1, and 10.0.7.1 on a device of VLAN 7 above it.
    fn machine(master: Option<(LinkIndex, String)>) -> Machine {
        let eth1 = Link { name: "eth1".into(), master, ..Link::default() };
        let vlan = Link { name: "eth1.7".into(), vlan: Some((1, 7)), ..Link::default() };
        let other = Link { name: "red".into(), ..Link::default() };
        let addresses = [(1, "10.0.0.1"), (1, "fe80::1"), (2, "10.0.7.1"), (3, "10.9.0.1")];
        Machine {
            kernel: Kernel { links: [(1, eth1), (2, vlan), (3, other)].into_iter().collect(), ..Kernel::default() },
            addresses: addresses.map(|(index, address)| (index, address.parse().unwrap())).to_vec(),
            policies: Ok(Vec::new()),
        }
    }

    fn plan(tags: &str) -> Plan {
        let text = format!(
            "version: 1\nports:\n  a: {{ device: eth1 }}\n  b: {{ device: eth2 }}\ntenants:\n  blue:\n    attachments:\n      \
             a: {{ port: a, {tags} }}\n      b: {{ port: b, vid: 5 }}\n"
        );
        compile(&config::parse("gateway.yaml", &text).unwrap(), &Numbers::default(), None).unwrap()
    }

    fn said(problems: &[Problem]) -> Vec<&str> {
        problems.iter().map(|problem| problem.message.as_str()).collect()
    }

    #[test]
    fn tagged_tenants_cut_off_the_vlan_devices_and_untagged_ones_everything() {
        let cut = |tags| cut_off(&plan(tags), &machine(None));
        assert!(said(&cut("untagged: true"))[0].contains("at 10.0.0.1, 10.0.7.1 (eth1) while"));
        for tags in ["vid: 10", "s_vid: 10", "s_vid: 10, c_vid: 20"] {
            assert!(said(&cut(tags))[0].contains("at 10.0.7.1 (eth1.7) while"));
        }
    }

    #[test]
    fn the_member_of_a_vrf_is_a_device_like_any_other() {
        let of = |kind: &str| members(&plan("vid: 10"), &machine(Some((3, kind.to_owned()))));
        assert!(of("vrf").is_empty());
        assert!(said(&of("openvswitch"))[0].contains("eth1 is a port of red (openvswitch)"));
    }
}
