//! From the kernel's routes and neighbours to the paths of tunnels.
//!
//! A pure function: [`resolve`] reads a [`Kernel`] and says of a tunnel which [`Hop`]s it has, which neighbours
//! must be kept alive for that, and, in words, why a tunnel has none.

use std::collections::BTreeSet;
use std::net::IpAddr;

use thiserror::Error;
use transload_encaps::Mac;
use transload_encaps::underlay::LinkAddresses;

use crate::forwarding::{Hop, PortId, Slab};
use crate::io::LinkLayer;
use crate::io::link_layer::FAR_MAC;
use crate::kernel::tables::{Flow, Kernel, Link, LinkIndex, LinkState, NextHop, Route};
use crate::rib::facts::{PortLink, Tunnel};

/// Every route that these tunnels need, once.
#[must_use]
pub fn flows<'t>(
    tunnels: impl IntoIterator<Item = &'t Tunnel>,
    ports: &Slab<PortId, PortLink>,
    kernel: &Kernel,
) -> Vec<Flow> {
    let routed = tunnels.into_iter().filter(|tunnel| !tunnel.remote.is_multicast() && !tunnel.is_on_one_link());
    let mut flows: Vec<_> = routed.map(|tunnel| flow(tunnel, ports, kernel)).collect();
    flows.sort_unstable();
    flows.dedup();
    flows
}

/// What the route of a tunnel is looked up for: in the VRF that the devices of its endpoint are in.
#[must_use]
pub fn flow(tunnel: &Tunnel, ports: &Slab<PortId, PortLink>, kernel: &Kernel) -> Flow {
    let vrf = tunnel.ports.iter().find_map(|&id| kernel.vrf_of(own_link(tunnel, id, ports, kernel)?));
    Flow { src: tunnel.local, dst: tunnel.remote, vrf }
}

/// The device by which the machine's own stack reaches what is behind a port of a tunnel.
fn own_link(tunnel: &Tunnel, port: PortId, ports: &Slab<PortId, PortLink>, kernel: &Kernel) -> Option<LinkIndex> {
    kernel.link_in_vlan(ports.get(port)?.device.as_deref()?, tunnel.vlan)
}

/// What came of resolving a tunnel.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Resolution {
    /// The paths to it, all of equal cost.
    pub hops: Vec<Hop>,
    /// The kernel's neighbours that the paths depend on, resolved or not.
    pub neighbours: BTreeSet<(LinkIndex, IpAddr)>,
    /// Everything that is wrong with its paths. A tunnel may work in spite of a complaint, by another path.
    pub complaints: Vec<Complaint>,
}

/// Why a tunnel, or one of its equal-cost paths, cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Error)]
pub enum Complaint {
    /// Nobody has the address of our endpoint any more.
    #[error("this machine no longer has {local}, the address of endpoint {endpoint}")]
    AddressGone {
        /// Our endpoint's address.
        local: IpAddr,
        /// Our endpoint.
        endpoint: String,
    },
    /// The kernel has no route.
    #[error("no route to {0}")]
    NoRoute(IpAddr),
    /// The peer's address is ours.
    #[error("{0} is an address of this host itself, so no tunnel can lead there")]
    Local(IpAddr),
    /// The route and the endpoint disagree.
    #[error("route to {remote} leaves by {device}, but endpoint {endpoint} names only {}", ports.join(", "))]
    WrongPort {
        /// The peer's address.
        remote: IpAddr,
        /// The device that its route leaves by.
        device: String,
        /// Our endpoint.
        endpoint: String,
        /// The devices of the endpoint's ports.
        ports: Vec<String>,
    },
    /// The device of a path is down.
    #[error("the path to {remote} leaves by {device}, which {state}")]
    LinkDown {
        /// The peer's address.
        remote: IpAddr,
        /// The device that its route leaves by.
        device: String,
        /// Whether it is switched off, or has no carrier.
        state: LinkState,
    },
    /// The neighbour has not answered.
    #[error("{gateway} on {device}{} has not answered yet", role(.gateway, .remote))]
    Unanswered {
        /// The peer's address.
        remote: IpAddr,
        /// The next hop's address.
        gateway: IpAddr,
        /// The device that it is asked for on.
        device: String,
    },
    /// A port that the kernel knows nothing of needs its neighbours from the configuration.
    #[error("port {port} is no network device: give it `next_hops: {{ {remote}: MAC }}`")]
    NeedsNextHop {
        /// The port's name.
        port: String,
        /// The peer's address.
        remote: IpAddr,
    },
    /// A port without a MAC address.
    #[error("port {0} has no MAC address to send tunnel packets from: give it `mac:`")]
    NeedsMac(String),
}

/// Whether a device carries frames. One that the kernel does not list is not known to be down.
fn is_usable(link: Option<&Link>, remote: IpAddr) -> Result<(), Complaint> {
    match link.filter(|link| !link.is_up()) {
        Some(link) => Err(Complaint::LinkDown { remote, device: link.name.clone(), state: link.state }),
        None => Ok(()),
    }
}

fn is_up(kernel: &Kernel, device: &str) -> bool {
    kernel.link_named(device).is_some_and(|(_, link)| link.is_up())
}

fn role(gateway: &IpAddr, remote: &IpAddr) -> String {
    if gateway == remote { String::new() } else { format!(", the next hop to {remote},") }
}

impl Complaint {
    /// Whether time may heal it: the operator need do nothing if it goes away.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Unanswered { .. } | Self::LinkDown { .. })
    }

    /// Whether it is about our endpoint, and the same for all of its peers.
    #[must_use]
    pub const fn is_of_endpoint(&self) -> bool {
        matches!(self, Self::AddressGone { .. })
    }

    /// What the log says once it is over: what has come right, if the kernel's tables show it.
    #[must_use]
    pub fn cleared(&self, kernel: &Kernel) -> String {
        match self {
            Self::Unanswered { gateway, device, .. } if kernel.has_answered(device, *gateway) => {
                format!("next hop {gateway} ({device}) resolved")
            }
            Self::LinkDown { device, .. } if is_up(kernel, device) => format!("{device} is up again"),
            _ => format!("cleared: {self}"),
        }
    }
}

/// Resolves a tunnel.
#[must_use]
pub fn resolve(tunnel: &Tunnel, ports: &Slab<PortId, PortLink>, kernel: &Kernel) -> Resolution {
    let mut resolver = TunnelResolver { ports, kernel, out: Resolution::default() };
    let hops = resolver.tunnel(tunnel);
    Resolution { hops, ..resolver.out }
}

struct TunnelResolver<'a> {
    ports: &'a Slab<PortId, PortLink>,
    kernel: &'a Kernel,
    out: Resolution,
}

impl TunnelResolver<'_> {
    fn tunnel(&mut self, tunnel: &Tunnel) -> Vec<Hop> {
        if tunnel.remote.is_multicast() {
            return self.multicast(tunnel).into_iter().collect();
        }
        if let Some(hops) = self.configured(tunnel) {
            return hops;
        }
        if let Some(port) = self.sockets_only(tunnel) {
            return self.complain(Complaint::NeedsNextHop { port, remote: tunnel.remote });
        }
        if tunnel.is_on_one_link() {
            return self.on_the_link(tunnel).into_iter().collect();
        }
        // IPv6 has routes all the same, but nothing comes back.
        let is_gone = self.kernel.missing.contains(&tunnel.local);
        if is_gone {
            let (local, endpoint) = (tunnel.local, tunnel.endpoint.clone());
            self.out.complaints.push(Complaint::AddressGone { local, endpoint });
        }
        match self.kernel.routes.get(&flow(tunnel, self.ports, self.kernel)) {
            None | Some(Route::None) if is_gone => Vec::new(),
            None | Some(Route::None) => self.complain(Complaint::NoRoute(tunnel.remote)),
            Some(Route::Local) => self.complain(Complaint::Local(tunnel.remote)),
            Some(Route::Out(next_hops)) => {
                let mut hops: Vec<_> = next_hops.iter().filter_map(|next| self.hop_by(tunnel, next)).collect();
                // The kernel lists IPv6 next hops in any order; flows must keep their place.
                hops.sort_by_key(|hop| (hop.port, hop.link.dst));
                hops
            }
        }
    }

    /// A link-local address is on the link of the endpoint's port, whatever the routes say.
    fn on_the_link(&mut self, tunnel: &Tunnel) -> Option<Hop> {
        let mut links = tunnel.ports.iter().filter_map(|&port| own_link(tunnel, port, self.ports, self.kernel));
        let Some(link) = links.next() else {
            self.out.complaints.push(Complaint::NoRoute(tunnel.remote));
            return None;
        };
        self.hop_by(tunnel, &NextHop { link, gateway: None, mtu: None })
    }

    /// What goes to a multicast group needs no route and no neighbour: it leaves by the first port that is up.
    fn multicast(&mut self, tunnel: &Tunnel) -> Option<Hop> {
        let dst = Mac::of_group(tunnel.remote);
        for &id in &tunnel.ports {
            let Some(port) = self.ports.get(id) else { continue };
            let link = port.device.as_deref().and_then(|name| self.kernel.link_named(name)).map(|(_, link)| link);
            if let Some(device) = port.device.clone().filter(|_| link.is_none_or(|link| !link.is_up())) {
                let state = link.map_or(LinkState::Down, |link| link.state);
                let down = Complaint::LinkDown { remote: tunnel.remote, device, state };
                self.out.complaints.push(down);
                continue;
            }
            let hop = self.hop(id, link, dst, None);
            if let Some(hop) = self.or_complain(hop) {
                return Some(hop);
            }
        }
        None
    }

    /// The paths that the configuration itself names, if it names some.
    fn configured(&mut self, tunnel: &Tunnel) -> Option<Vec<Hop>> {
        let mut named = Vec::new();
        for &id in &tunnel.ports {
            let port = self.ports.get(id)?;
            let Some(&(_, dst)) = port.next_hops.iter().find(|(address, _)| *address == tunnel.remote) else {
                continue;
            };
            let link = port.device.as_deref().and_then(|name| self.kernel.link_named(name)).map(|(_, link)| link);
            named.push(is_usable(link, tunnel.remote).and_then(|()| self.hop(id, link, dst, None)));
        }
        let configured = !named.is_empty();
        let hops = named.into_iter().filter_map(|hop| self.or_complain(hop)).collect();
        configured.then_some(hops)
    }

    /// When no port of the endpoint is a device, the kernel's routes say nothing: the name of such a port.
    fn sockets_only(&self, tunnel: &Tunnel) -> Option<String> {
        let mut ports = tunnel.ports.iter().filter_map(|&id| self.ports.get(id)).peekable();
        let first = ports.peek()?.name.clone();
        ports.all(|port| port.device.is_none()).then_some(first)
    }

    fn hop_by(&mut self, tunnel: &Tunnel, next: &NextHop) -> Option<Hop> {
        let hop = self.try_next_hop(tunnel, next);
        self.or_complain(hop)
    }

    fn try_next_hop(&mut self, tunnel: &Tunnel, next: &NextHop) -> Result<Hop, Complaint> {
        let remote = tunnel.remote;
        let port = self.port_of(tunnel, next.link).ok_or_else(|| self.wrong_port(tunnel, next))?;
        let link = self.kernel.links.get(&next.link);
        is_usable(link, remote)?;
        let gateway = next.gateway.unwrap_or(remote);
        let dst = match link.map(|link| link.kind.layer) {
            Some(LinkLayer::Ip) => Some(FAR_MAC),
            _ => self.neighbour(port, next.link, gateway),
        };
        let unanswered = || Complaint::Unanswered { remote, gateway, device: self.kernel.link_name(next.link) };
        let dst = dst.ok_or_else(unanswered)?;
        self.hop(port, link, dst, next.mtu)
    }

    /// The port whose device this is: directly, or under a VLAN device with the endpoint's tag.
    fn port_of(&self, tunnel: &Tunnel, index: LinkIndex) -> Option<PortId> {
        let link = self.kernel.links.get(&index)?;
        let device = match (tunnel.vlan, link.vlan) {
            (None, _) => link,
            (Some(tag), Some((lower, vid))) if tag == vid => self.kernel.links.get(&lower)?,
            (Some(_), _) => return None,
        };
        let named = |id: &&PortId| self.port_device(**id).is_some_and(|name| *name == device.name);
        tunnel.ports.iter().find(named).copied()
    }

    fn port_device(&self, id: PortId) -> Option<&String> {
        self.ports.get(id)?.device.as_ref()
    }

    fn wrong_port(&self, tunnel: &Tunnel, next: &NextHop) -> Complaint {
        let tagged = |device: &String| tunnel.vlan.map_or(device.clone(), |vlan| format!("{device} (vlan {vlan})"));
        Complaint::WrongPort {
            remote: tunnel.remote,
            device: self.kernel.link_name(next.link),
            endpoint: tunnel.endpoint.clone(),
            ports: tunnel.ports.iter().filter_map(|id| self.port_device(*id)).map(tagged).collect(),
        }
    }

    fn neighbour(&mut self, port: PortId, link: LinkIndex, address: IpAddr) -> Option<Mac> {
        let fixed = &self.ports.get(port)?.next_hops;
        if let Some(&(_, mac)) = fixed.iter().find(|(known, _)| *known == address) {
            return Some(mac);
        }
        self.out.neighbours.insert((link, address));
        self.kernel.neighbours.get(&(link, address))?.mac
    }

    fn hop(&self, id: PortId, link: Option<&Link>, dst: Mac, route_mtu: Option<u32>) -> Result<Hop, Complaint> {
        let port = self.ports.get(id);
        let src = port.and_then(|port| port.mac).or_else(|| link?.mac);
        let src = src.ok_or_else(|| Complaint::NeedsMac(port.map_or_else(String::new, |port| port.name.clone())))?;
        let port_mtu = port.and_then(|port| port.mtu).or_else(|| Some(link?.mtu));
        // The smaller of the two; one that is not known does not count.
        let mtu = [port_mtu, route_mtu].into_iter().flatten().min();
        Ok(Hop { port: id, link: LinkAddresses { dst, src }, mtu })
    }

    fn or_complain(&mut self, hop: Result<Hop, Complaint>) -> Option<Hop> {
        hop.map_err(|complaint| self.out.complaints.push(complaint)).ok()
    }

    fn complain(&mut self, complaint: Complaint) -> Vec<Hop> {
        self.out.complaints.push(complaint);
        Vec::new()
    }
}
