//! What sources of knowledge tell the RIB, and what they have to know for it.

use std::net::IpAddr;
use std::sync::Arc;

use transload_encaps::{Carrier, Mac};

use crate::compile::{Plan, PortPlan, TunnelPlan};
use crate::forwarding::{Hop, PeerId, PortId, Slab};

/// What a source knows of the device behind a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceFact {
    /// The port.
    pub port: PortId,
    /// How it is; `None` while there is no such device: what is known of the last one stays.
    pub state: Option<DeviceState>,
    /// Why the port carries no frames, in words; `None` if nothing is wrong.
    pub failure: Option<String>,
}

/// How a device is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceState {
    /// Its MAC address, if it has one.
    pub mac: Option<Mac>,
    /// Most bytes an IP packet may have on it, if that is known.
    pub mtu: Option<u32>,
    /// It is switched off or has no carrier: the kernel would drop what is sent by it without a word.
    pub is_down: bool,
}

/// What a source knows of the paths to a tunnel peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathFact {
    /// The peer.
    pub peer: PeerId,
    /// The paths to it, all of equal cost.
    pub hops: Arc<[Hop]>,
    /// What stands in the way of it, or of one of its paths, in words.
    pub complaints: Vec<String>,
}

/// What an ICMP error says of a packet that it quotes. Anybody may have sent it: see [`PathReports`](super::PathReports).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IcmpError {
    /// Who says so.
    pub from: IpAddr,
    /// The tunnel that the packet was in.
    pub tunnel: QuotedTunnel,
    /// Bytes of the whole IP packet, as its header says.
    pub len: u32,
    /// Whether routers were allowed to fragment it.
    pub may_be_fragmented: bool,
    /// What became of it.
    pub fate: PacketFate,
}

/// A tunnel, as the headers of a packet show it that one of our endpoints may have sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct QuotedTunnel {
    /// The source address: our endpoint's.
    pub local: IpAddr,
    /// The destination address.
    pub remote: IpAddr,
    /// The destination port of UDP, or the IP protocol.
    pub carrier: Carrier,
}

/// What became of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PacketFate {
    /// It was longer than the next link carries.
    TooBig {
        /// Most bytes of an IP packet on that link; none from routers that are older than RFC 1191.
        mtu: Option<u32>,
    },
    /// It cannot get there.
    Unreachable(Unreachable),
}

/// Why packets cannot get to a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unreachable {
    /// A router has no route.
    Network,
    /// A router gets no answer from the host.
    Host,
    /// The host does not speak the IP protocol.
    Protocol,
    /// Nobody listens on the UDP port.
    Port,
    /// A filter rejects them.
    Prohibited,
    /// They passed too many routers.
    Expired,
}

/// A tunnel that needs next hops.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tunnel {
    /// The peer at its far end.
    pub peer: PeerId,
    /// The peer's name, for messages.
    pub name: String,
    /// The name of our endpoint, for messages.
    pub endpoint: String,
    /// Our tunnel address.
    pub local: IpAddr,
    /// The peer's.
    pub remote: IpAddr,
    /// The ports that the endpoint names.
    pub ports: Vec<PortId>,
    /// The VLAN ID that its packets carry on the wire.
    pub vlan: Option<u16>,
}

impl Tunnel {
    /// A tunnel of the file, or of a learned peer, with the name of its peer.
    #[must_use]
    pub fn of(plan: &TunnelPlan, name: String) -> Self {
        let TunnelPlan { peer, endpoint, local, remote, ports, vlan, .. } = plan;
        Self {
            peer: *peer,
            name,
            endpoint: endpoint.clone(),
            local: *local,
            remote: *remote,
            ports: ports.clone(),
            vlan: *vlan,
        }
    }

    /// Whether its peer has a link-local address: no route leads there, and the endpoint has a single port.
    #[must_use]
    pub fn is_on_one_link(&self) -> bool {
        matches!(self.remote, IpAddr::V6(remote) if remote.is_unicast_link_local())
    }

    /// The tunnels of a file.
    #[must_use]
    pub fn all_of(plan: &Plan) -> Vec<Self> {
        plan.tunnels.iter().map(|tunnel| Self::of(tunnel, plan.names.peer(tunnel.peer).into_owned())).collect()
    }
}

/// A port, as far as next hops are concerned.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PortLink {
    /// Its name in the configuration.
    pub name: String,
    /// The network device behind it; `None` for a socket.
    pub device: Option<String>,
    /// The MAC address to send from; `None` for the device's own.
    pub mac: Option<Mac>,
    /// Most bytes an IP packet may have; `None` for the device's own limit.
    pub mtu: Option<u32>,
    /// Neighbours written in the configuration, which take precedence over those of a source.
    pub next_hops: Vec<(IpAddr, Mac)>,
}

impl PortLink {
    /// The ports of a file.
    #[must_use]
    pub fn all_of(plan: &Plan) -> Slab<PortId, Self> {
        plan.ports.iter().map(|port| (port.id, Self::of(port))).collect()
    }

    fn of(port: &PortPlan) -> Self {
        // The kernel's routes by a TAP lead to the machine at its other end, not out of it.
        let device = port.backend.network_device().map(str::to_owned);
        Self { name: port.name.clone(), device, mac: port.mac, mtu: port.mtu, next_hops: port.next_hops.clone() }
    }
}

/// What a source of paths is to find paths for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Targets {
    /// These and no others: the file has been taken in.
    All {
        /// The tunnels.
        tunnels: Vec<Tunnel>,
        /// The ports.
        ports: Slab<PortId, PortLink>,
    },
    /// These tunnels besides those of before.
    Add(Vec<Tunnel>),
    /// The tunnels to these peers no longer.
    Remove(Vec<PeerId>),
}
