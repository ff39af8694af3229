//! From facts to tables: the only maker of a [`Forwarding`].

use std::sync::Arc;

use transload_encaps::Mac;
use transload_encaps::underlay::LinkAddresses;

use super::facts::DeviceState;
use crate::compile::{Plan, PortPlan, TunnelPlan};
use crate::forwarding::{Forwarding, Hop, Learned, OwnMacs, Port, PortId};

/// What tables are made of, by source.
pub(super) struct Facts<'a> {
    /// What the file says.
    pub(super) plan: &'a Plan,
    /// What the devices say, by [`PortId`].
    pub(super) devices: &'a [Option<DeviceState>],
    /// The gateway's own addresses.
    pub(super) own_macs: &'a Arc<OwnMacs>,
    /// The peers learned from what they send.
    pub(super) learned: &'a Arc<Learned>,
    /// The paths to all peers, by [`PeerId`](crate::forwarding::PeerId).
    pub(super) hops: &'a [Arc<[Hop]>],
}

/// The tables that these facts come to. What has not changed is shared with the tables before.
pub(super) fn assemble(facts: &Facts<'_>) -> Forwarding {
    Forwarding {
        file: Arc::clone(&facts.plan.tables),
        ports: ports(facts.plan, facts.devices),
        own_macs: Arc::clone(facts.own_macs),
        learned: Arc::clone(facts.learned),
        hops: facts.hops.to_vec(),
    }
}

/// The ports, as the file states them and, where it does not, as their devices are.
pub(super) fn ports(plan: &Plan, devices: &[Option<DeviceState>]) -> Vec<Port> {
    let mut ports = plan.tables.ports.clone();
    for (port, device) in ports.iter_mut().zip(devices) {
        if let Some(device) = device {
            port.mac = port.mac.or(device.mac);
            port.mtu = port.mtu.or(device.mtu);
            port.is_down = device.is_down;
        }
    }
    ports
}

/// The paths to a peer that the file's `next_hops` give, by ports whose MAC address is known.
pub(super) fn stated_hops(plans: &[PortPlan], ports: &[Port], tunnel: &TunnelPlan) -> Arc<[Hop]> {
    let hop = |id: PortId| {
        let port = ports.get(usize::from(id.0))?;
        Some(Hop { port: id, link: LinkAddresses { dst: stated(plans, id, tunnel)?, src: port.mac? }, mtu: port.mtu })
    };
    tunnel.ports.iter().copied().filter_map(hop).collect()
}

/// The MAC address that the file's `next_hops` give a peer on a port.
fn stated(plans: &[PortPlan], port: PortId, tunnel: &TunnelPlan) -> Option<Mac> {
    let plan = plans.iter().find(|plan| plan.id == port)?;
    plan.next_hops.iter().find(|(address, _)| *address == tunnel.remote).map(|(_, mac)| *mac)
}
