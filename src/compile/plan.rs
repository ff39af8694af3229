//! What a configuration comes to: the frozen tables, and what control does with the rest.

use std::net::IpAddr;
use std::path::PathBuf;

use transload_encaps::Mac;
use transload_encaps::outer::UdpRules;
use transload_encaps::underlay::{LinkAddresses, UnderlaySpec};

use super::names::Names;
use crate::config::{Polling, Problem, Source, Span};
use crate::forwarding::{DomainId, EndpointId, Forwarding, GroupId, Hop, PeerId, Port, PortId, Target};
use crate::io::Backend;

/// What a configuration comes to.
#[derive(Debug)]
pub struct Plan {
    /// The file it was compiled from, for messages that point into it.
    pub source: Source,
    /// The tables of the data plane. [`hops`](Forwarding::hops) holds what static next hops give; control adds the
    /// rest.
    pub forwarding: Forwarding,
    /// What the numbers are called.
    pub names: Names,
    /// The static addresses.
    pub statics: Vec<Static>,
    /// The ports to open.
    pub ports: Vec<PortPlan>,
    /// The tunnels to find next hops for.
    pub tunnels: Vec<TunnelPlan>,
    /// The groups that learn their members.
    pub learning: Vec<LearningGroup>,
    /// For [`Numbers::reclaim`](super::Numbers::reclaim), when these tables are in use.
    pub generation: u64,
    /// Sizes and paths.
    pub settings: Settings,
    /// What somebody should look at, in the order of the file.
    pub warnings: Vec<Problem>,
}

/// A static address of a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Static {
    /// The tenant.
    pub domain: DomainId,
    /// The address.
    pub mac: Mac,
    /// Where it lives.
    pub target: Target,
}

/// A port to open.
#[derive(Debug, Clone)]
pub struct PortPlan {
    /// Its number.
    pub id: PortId,
    /// Its name.
    pub name: String,
    /// What moves its frames.
    pub backend: Backend,
    /// A MAC address that overrides the device's.
    pub mac: Option<Mac>,
    /// An MTU that overrides the device's.
    pub mtu: Option<u32>,
    /// Static neighbours, by tunnel address.
    pub next_hops: Vec<(IpAddr, Mac)>,
    /// Where the file names it.
    pub span: Span,
}

/// A tunnel to find next hops for.
#[derive(Debug, Clone)]
pub struct TunnelPlan {
    /// The peer at its far end: the row of [`Forwarding::hops`] to fill.
    pub peer: PeerId,
    /// Our address.
    pub local: IpAddr,
    /// The peer's.
    pub remote: IpAddr,
    /// The ports it may leave by.
    pub ports: Vec<PortId>,
    /// The VLAN our endpoint lives in.
    pub vlan: Option<u16>,
    /// Where the file gives the peer's address.
    pub span: Span,
}

/// A group that learns its members: all that a new one needs but its address.
#[derive(Debug, Clone)]
pub struct LearningGroup {
    /// The group.
    pub group: GroupId,
    /// Its name.
    pub name: String,
    /// Who its senders count as until they have a number.
    pub anonymous: PeerId,
    /// The endpoint they come to.
    pub endpoint: EndpointId,
    /// The outer headers, towards anybody.
    pub underlay: UnderlaySpec,
    /// What it makes of UDP checksums.
    pub udp: UdpRules,
    /// The multicast group that members send to.
    pub hears: Option<IpAddr>,
    /// The tunnel to find next hops for, towards anybody.
    pub tunnel: TunnelPlan,
    /// How many members may be learned.
    pub most: usize,
}

/// Sizes and paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// How many addresses the FDB holds.
    pub fdb_capacity: usize,
    /// How many threads move frames.
    pub workers: usize,
    /// What they do while nothing arrives.
    pub polling: Polling,
    /// The socket that `show` asks, if the file names one.
    pub admin: Option<PathBuf>,
}

impl TunnelPlan {
    /// Whether it leads the same way as another one.
    #[must_use]
    pub fn is_alike(&self, other: &Self) -> bool {
        (self.local, self.remote, &self.ports, self.vlan) == (other.local, other.remote, &other.ports, other.vlan)
    }
}

impl Plan {
    /// The ways to a peer that static next hops give, for ports whose MAC address is known by now.
    #[must_use]
    pub fn static_hops(&self, tunnel: &TunnelPlan) -> Vec<Hop> {
        let port = |id: PortId| {
            let plan = self.ports.iter().find(|plan| plan.id == id)?;
            let (_, dst) = *plan.next_hops.iter().find(|(address, _)| *address == tunnel.remote)?;
            let port = self.forwarding.ports.get(usize::from(id.0))?;
            Some(Hop { port: id, link: LinkAddresses { dst, src: port.mac? }, mtu: port.mtu })
        };
        tunnel.ports.iter().copied().filter_map(port).collect()
    }
}

/// Gives every tunnel a way out without looking at any device, as `replay` needs.
///
/// Static next hops are used where the file has them. Otherwise a tunnel may leave by every port of its endpoint,
/// towards [`placeholder_next_hop`]. Packets come from [`placeholder_port`] where the port has no `mac`, and such a
/// port goes on accepting tunnel packets to any address.
pub fn placeholder_hops(plan: &mut Plan) {
    let hops = |tunnel: &TunnelPlan| (tunnel.peer, placeholders(&plan.ports, &plan.forwarding.ports, tunnel));
    let hops: Vec<_> = plan.tunnels.iter().map(hops).collect();
    for (peer, hops) in hops {
        if let Some(row) = plan.forwarding.hops.get_mut(peer.0 as usize) {
            *row = hops;
        }
    }
}

/// The ways to one tunnel, as [`placeholder_hops`]; `tables` are the ports by number.
#[must_use]
pub fn placeholders(ports: &[PortPlan], tables: &[Port], tunnel: &TunnelPlan) -> Vec<Hop> {
    let hop = |id: PortId, stated_only: bool| {
        let stated = ports
            .iter()
            .find(|port| port.id == id)
            .and_then(|port| port.next_hops.iter().find(|(address, _)| *address == tunnel.remote).map(|&(_, mac)| mac));
        let port = tables.get(usize::from(id.0))?;
        let dst = if stated_only { stated? } else { stated.unwrap_or_else(|| placeholder_next_hop(tunnel.peer)) };
        let src = port.mac.unwrap_or_else(|| placeholder_port(id));
        Some(Hop { port: id, link: LinkAddresses { dst, src }, mtu: port.mtu })
    };
    if tunnel.remote.is_multicast() {
        let first = tunnel.ports.first().and_then(|&id| hop(id, false));
        let link = |link: LinkAddresses| LinkAddresses { dst: Mac::of_group(tunnel.remote), ..link };
        return first.map(|hop| Hop { link: link(hop.link), ..hop }).into_iter().collect();
    }
    let all = |stated_only| tunnel.ports.iter().filter_map(|&id| hop(id, stated_only)).collect::<Vec<_>>();
    let stated = all(true);
    if stated.is_empty() { all(false) } else { stated }
}

/// What stands for the MAC address of a port that nobody looked at: 02:74:6c:70 and the port's number.
#[must_use]
pub fn placeholder_port(id: PortId) -> Mac {
    let [high, low] = id.0.to_be_bytes();
    Mac([0x02, 0x74, 0x6c, 0x70, high, low])
}

/// What stands for the MAC address of a next hop that nobody looked for: 02:74:6e and the peer's number.
#[must_use]
pub fn placeholder_next_hop(peer: PeerId) -> Mac {
    let [_, high, middle, low] = peer.0.to_be_bytes();
    Mac([0x02, 0x74, 0x6e, high, middle, low])
}
