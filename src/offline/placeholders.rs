//! Next hops where nobody can be asked for them: what the file states, and otherwise addresses that stand for those that
//! only a device or a neighbour could tell.

use transload_encaps::Mac;
use transload_encaps::underlay::LinkAddresses;

use crate::forwarding::{Hop, PeerId, Port, PortId, Slab};
use crate::rib::facts::{PathFact, PortLink, Targets, Tunnel};

/// Resolves tunnels without looking at any device. `ports` are the ports in force.
#[derive(Debug, Default)]
pub struct Placeholders {
    links: Slab<PortId, PortLink>,
}

impl Placeholders {
    /// The paths of the tunnels that are to be resolved from now on.
    pub fn resolve(&mut self, targets: Targets, ports: &Slab<PortId, Port>) -> Vec<PathFact> {
        let tunnels = match targets {
            Targets::All { tunnels, ports } => {
                self.links = ports;
                tunnels
            }
            Targets::Add(tunnels) => tunnels,
            Targets::Remove(_) => Vec::new(),
        };
        let fact = |tunnel: &Tunnel| PathFact {
            peer: tunnel.peer,
            hops: paths(&self.links, ports, tunnel).into(),
            complaints: Vec::new(),
        };
        tunnels.iter().map(fact).collect()
    }
}

/// The paths to one tunnel peer: the next hops that the file states where it has some, else one by every port of the
/// endpoint, towards [`placeholder_next_hop`]. Packets come from [`placeholder_port`] where the port has no `mac`; such
/// a port goes on accepting tunnel packets to any address.
fn paths(links: &Slab<PortId, PortLink>, ports: &Slab<PortId, Port>, tunnel: &Tunnel) -> Vec<Hop> {
    let hop = |id: PortId, stated_only: bool| {
        let link = links.get(id)?;
        let stated = link.next_hops.iter().find(|(address, _)| *address == tunnel.remote).map(|(_, mac)| *mac);
        let port = ports.get(id)?;
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
    let [high, low] = id.number().to_be_bytes();
    Mac([0x02, 0x74, 0x6c, 0x70, high, low])
}

/// What stands for the MAC address of a next hop that nobody looked for: 02:74:6e and the peer's number.
#[must_use]
pub fn placeholder_next_hop(peer: PeerId) -> Mac {
    let [_, high, middle, low] = peer.number().to_be_bytes();
    Mac([0x02, 0x74, 0x6e, high, middle, low])
}
