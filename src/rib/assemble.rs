//! From facts to tables: the only maker of a [`Forwarding`].

use std::sync::Arc;

use transload_encaps::Mac;
use transload_encaps::underlay::LinkAddresses;

use super::PathReports;
use super::facts::DeviceState;
use crate::compile::{Plan, PortPlan, TunnelPlan};
use crate::forwarding::{Forwarding, Hop, Learned, OwnMacs, PeerId, Port, PortId, Slab};

/// What tables are made of, by source.
pub(super) struct Facts<'a> {
    /// What the file says.
    pub(super) plan: &'a Plan,
    /// What the devices say.
    pub(super) devices: &'a Slab<PortId, DeviceState>,
    /// The gateway's own addresses.
    pub(super) own_macs: &'a Arc<OwnMacs>,
    /// The peers learned from what they send.
    pub(super) learned: &'a Arc<Learned>,
    /// The paths to all peers.
    pub(super) hops: &'a Slab<PeerId, Arc<[Hop]>>,
    /// What the underlay said of them.
    pub(super) reports: &'a PathReports,
    /// Whether the gateway has just started.
    pub(super) is_starting: bool,
}

/// The tables that these facts come to. What has not changed is shared with the tables before.
pub(super) fn assemble(facts: &Facts<'_>) -> Forwarding {
    Forwarding {
        file: Arc::clone(&facts.plan.tables),
        ports: ports(facts.plan, facts.devices),
        own_macs: Arc::clone(facts.own_macs),
        learned: Arc::clone(facts.learned),
        hops: facts.reports.applied(facts.hops),
        is_starting: facts.is_starting,
    }
}

/// The ports, as the file states them and, where it does not, as their devices are.
pub(super) fn ports(plan: &Plan, devices: &Slab<PortId, DeviceState>) -> Slab<PortId, Port> {
    let mut ports = plan.tables.ports.clone();
    for (id, port) in ports.iter_mut() {
        if let Some(device) = devices.get(id) {
            port.mac = port.mac.or(device.mac);
            port.mtu = port.mtu.or(device.mtu);
            port.is_down = device.is_down;
        }
    }
    ports
}

/// The paths to a peer that the file's `next_hops` give, by ports whose MAC address is known.
pub(super) fn stated_hops(plans: &[PortPlan], ports: &Slab<PortId, Port>, tunnel: &TunnelPlan) -> Arc<[Hop]> {
    let hop = |id: PortId| {
        let port = ports.get(id)?;
        Some(Hop { port: id, link: LinkAddresses { dst: stated(plans, id, tunnel)?, src: port.mac? }, mtu: port.mtu })
    };
    tunnel.ports.iter().copied().filter_map(hop).collect()
}

/// The MAC address that the file's `next_hops` give a peer on a port.
fn stated(plans: &[PortPlan], port: PortId, tunnel: &TunnelPlan) -> Option<Mac> {
    let plan = plans.iter().find(|plan| plan.id == port)?;
    plan.next_hops.iter().find(|(address, _)| *address == tunnel.remote).map(|(_, mac)| *mac)
}
