//! Claims: the tenant an arriving frame belongs to, as intervals over (port, outer tag, destination, carrier, source,
//! ID).
//!
//! A frame comes in by an *entrance*: a tunnel packet of one sender to one of our addresses, or any other frame by
//! the tags of its port. Behind each entrance is an ID *space*, in which tenants hold values of the wire's ID bits.
//! The product of the two is never written out, so that a hundred thousand tenants on forty leafs stay forty
//! entrances and a hundred thousand intervals; and a mapping of sixteen million IDs is a few *runs* of values. The
//! isolation proof rests on this.

mod mapped;
mod sources;
mod space;

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use transload_encaps::{Carrier, qinq};

use crate::compile::{Plan, PortPlan};
use crate::forwarding::{Claim, EndpointId, Exit, FileTables, Group, Map, MappingId, Members, PeerId, PortId, Slab};
use crate::io::Backend;
use crate::mapping::Flaw;
use crate::mapping::interval::Interval;
pub use space::{Held, Owner, Space, crossed, shared};

/// A wire that frames travel on: ports of one device are one wire, under the lowest port's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Wire(pub u16);

/// What a tunnel packet is sent to; its sender aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Destination {
    /// The wire.
    pub wire: Wire,
    /// The outer VLAN ID.
    pub vlan: Option<u16>,
    /// Our address.
    pub address: IpAddr,
    /// The carrier: a UDP port or an IP protocol.
    pub carrier: Carrier,
}

/// The entrance of one sender's tunnel packets, or of a whole prefix of senders that may be learned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TunnelEntrance {
    /// What they are sent to.
    pub destination: Destination,
    /// The port.
    pub port: PortId,
    /// Our endpoint.
    pub endpoint: EndpointId,
    /// The addresses they may come from.
    pub source: Interval<IpAddr>,
    /// The peer they are from.
    pub peer: PeerId,
    /// The space of their IDs, as an index of [`spaces`](ClaimTable::spaces).
    pub space: usize,
}

/// The entrance of every other frame of a port: its tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TagEntrance {
    /// The wire.
    pub wire: Wire,
    /// The port.
    pub port: PortId,
    /// The port's tags, as a peer.
    pub peer: PeerId,
    /// The space of the tags, as an index of [`spaces`](ClaimTable::spaces).
    pub space: usize,
}

/// The exit of frames for a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Departure {
    /// The peer, or the tags of a port.
    pub peer: PeerId,
    /// The space of their IDs, as an index of [`spaces`](ClaimTable::spaces).
    pub space: usize,
    /// The far end that the frames go to.
    pub far_end: FarEnd,
}

/// The far end that frames for a peer go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FarEnd {
    /// A tunnel.
    Tunnel {
        /// Our address.
        local: IpAddr,
        /// The peer's address.
        remote: IpAddr,
        /// The carrier: a UDP port or an IP protocol.
        carrier: Carrier,
    },
    /// The device at the other end of a port's wire.
    Port {
        /// The wire.
        wire: Wire,
        /// The port.
        port: PortId,
    },
}

/// An arriving frame: what decides which tenant it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArrivingFrame {
    /// The port.
    pub port: PortId,
    /// Its tags, as [`qinq::wire_id_of_vlan`] and its like count them.
    pub tags: u64,
    /// Destination, source, carrier and the value of the ID bits, where it is a tunnel packet.
    pub tunnel: Option<(IpAddr, IpAddr, Carrier, u64)>,
}

/// Every entrance and exit of a configuration, and the values that tenants and mappings hold behind them.
#[derive(Debug)]
pub struct ClaimTable<'p> {
    /// The configuration it was made from.
    pub plan: &'p Plan,
    /// The entrances of tunnel packets by what they are sent to, sorted by source.
    pub entrances: BTreeMap<Destination, Vec<TunnelEntrance>>,
    /// The entrances of everything else.
    pub tags: Vec<TagEntrance>,
    /// The exits.
    pub departures: Vec<Departure>,
    /// The tenant IDs behind entrances and exits.
    pub spaces: Vec<Space>,
    /// Sides of mappings that do not tell their IDs apart.
    pub flaws: Vec<(MappingId, usize, Flaw)>,
    wires: Slab<PortId, Wire>,
}

impl<'p> ClaimTable<'p> {
    /// Whether these are of an attachment to which the file gives one ID to receive and another to send with.
    #[must_use]
    pub fn has_ids_apart(&self, held: &Held) -> bool {
        matches!(held.owner, Owner::Tenant(claim) if self.plan.ids_apart.contains(&claim))
    }

    /// The claims of a compiled configuration.
    #[must_use]
    pub fn of(plan: &'p Plan) -> Self {
        let tables = &plan.tables;
        let (spaces, space_of) = spaces(tables);
        let mut claims = Self {
            plan,
            entrances: BTreeMap::new(),
            tags: Vec::new(),
            departures: Vec::new(),
            spaces,
            flaws: Vec::new(),
            wires: wires(plan),
        };
        claims.add_mappings(tables, &space_of);
        claims.spaces.iter_mut().for_each(Space::sort);
        claims.find_entrances(tables, &space_of);
        claims.find_departures(plan, &space_of);
        claims
    }

    /// The wire of a port.
    #[must_use]
    pub fn wire(&self, port: PortId) -> Wire {
        self.wires.get(port).copied().unwrap_or(Wire(port.number()))
    }

    /// All owners of a frame: at most one, if no tenants can meet.
    #[must_use]
    pub fn owners(&self, arrival: &ArrivingFrame) -> Vec<Owner> {
        let wire = self.wire(arrival.port);
        let mut owners = Vec::new();
        let mut take = |space: usize, id| owners.extend(self.spaces[space].takers(id).map(|held| held.owner));
        let mut is_ours = false;
        if let Some((destination, source, carrier, id)) = arrival.tunnel {
            for (to, entrances) in &self.entrances {
                let here = to.wire == wire && is_of_vlan(arrival.tags, to.vlan) && to.address == destination;
                is_ours |= here;
                for entrance in entrances.iter().filter(|entrance| here && entrance.source.contains(source)) {
                    if to.carrier == carrier {
                        take(entrance.space, id);
                    }
                }
            }
        }
        // A packet to an endpoint is a tunnel packet or dropped, whatever its source.
        for entrance in self.tags.iter().filter(|entrance| entrance.wire == wire && !is_ours) {
            take(entrance.space, arrival.tags);
        }
        owners
    }

    fn find_entrances(&mut self, tables: &FileTables, space_of: &Map<PeerId, usize>) {
        let mut listeners: HashMap<EndpointId, Vec<PortId>> = HashMap::new();
        for (id, port) in tables.ports.iter() {
            for &endpoint in &port.endpoints {
                listeners.entry(endpoint).or_default().push(id);
            }
            if let Some((peer, &space)) = port.tags.and_then(|peer| Some((peer, space_of.get(&peer)?))) {
                self.tags.push(TagEntrance { wire: self.wire(id), port: id, peer, space });
            }
        }
        for (source, endpoint, carrier, peer) in sources::of(tables) {
            let (Some(row), Some(&space)) = (tables.endpoints.get(endpoint), space_of.get(&peer)) else {
                continue;
            };
            let multicast_group = tables.peer(peer).and_then(|peer| peer.multicast_group);
            for &port in listeners.get(&endpoint).into_iter().flatten() {
                for address in [Some(row.address), multicast_group].into_iter().flatten() {
                    let destination = Destination { wire: self.wire(port), vlan: row.vlan, address, carrier };
                    let entrance = TunnelEntrance { destination, port, endpoint, source, peer, space };
                    self.entrances.entry(destination).or_default().push(entrance);
                }
            }
        }
        for entrances in self.entrances.values_mut() {
            entrances.sort_unstable_by_key(|entrance| (entrance.source, entrance.endpoint));
        }
    }

    fn find_departures(&mut self, plan: &Plan, space_of: &Map<PeerId, usize>) {
        let tunnels: HashMap<_, _> = plan.tunnels.iter().map(|tunnel| (tunnel.peer, tunnel)).collect();
        for (id, peer) in plan.tables.peers.iter() {
            let Some(&space) = space_of.get(&id) else { continue };
            let far_end = match &peer.exit {
                Exit::Port(port) => FarEnd::Port { wire: self.wire(*port), port: *port },
                Exit::Tunnel(_) => {
                    let Some(tunnel) = tunnels.get(&id) else { continue };
                    FarEnd::Tunnel { local: tunnel.local, remote: tunnel.remote, carrier: peer.compiled.carrier() }
                }
            };
            self.departures.push(Departure { peer: id, space, far_end });
        }
    }
}

/// Whether tags are those of tunnel packets of a VLAN; without one, a priority tag is such, too.
fn is_of_vlan(tags: u64, vlan: Option<u16>) -> bool {
    tags == qinq::wire_id_of_vlan(vlan) || vlan.is_none() && tags == qinq::wire_id_of_vlan(Some(0))
}

/// The ID spaces of all peers, with the values taken from and written to each, and the space of each peer.
fn spaces(tables: &FileTables) -> (Vec<Space>, Map<PeerId, usize>) {
    let (mut spaces, mut known, mut space_of) = (Vec::<Space>::new(), HashMap::new(), Map::default());
    let mut by_scope: Map<_, Vec<usize>> = Map::default();
    for (id, peer) in tables.peers.iter() {
        let kind = peer.compiled.kind();
        let at = *known.entry((peer.scope, kind)).or_insert_with(|| {
            spaces.push(Space::new(peer.scope, kind));
            by_scope.entry(peer.scope).or_default().push(spaces.len() - 1);
            spaces.len() - 1
        });
        spaces[at].peers.push(id);
        space_of.insert(id, at);
    }
    for (&(scope, segment), &claim) in &tables.segments {
        for &at in by_scope.get(&scope).into_iter().flatten() {
            let first = spaces[at].peers.first().and_then(|&peer| tables.peer(peer));
            if let Some(peer) = first {
                spaces[at].take(&peer.compiled, segment, claim);
            }
        }
    }
    let meshes: Slab<_, _> = tables.groups.iter().map(|(id, group)| (id, distinct(group, &space_of))).collect();
    for (claim, attachment) in attachments(tables) {
        let one;
        let ways = match attachment.members {
            Members::One(peer) => {
                one = space_of.get(&peer).map(|&at| (at, peer));
                one.as_slice()
            }
            Members::Group(group) => meshes.get(group).map_or(&[][..], Vec::as_slice),
        };
        for &(at, peer) in ways {
            if let Some(peer) = tables.peer(peer) {
                spaces[at].write(&peer.compiled, attachment.segment, claim);
            }
        }
    }
    (spaces, space_of)
}

/// The spaces of a group's peers, each once, with one of the peers.
fn distinct(group: &Group, space_of: &Map<PeerId, usize>) -> Vec<(usize, PeerId)> {
    let peers = group.members.iter().copied().chain(group.multicast).chain(group.anonymous);
    let mut spaces: Vec<_> = peers.filter_map(|peer| Some((*space_of.get(&peer)?, peer))).collect();
    spaces.sort_unstable();
    spaces.dedup_by_key(|(at, _)| *at);
    spaces
}

/// Every attachment of every tenant.
pub fn attachments(tables: &FileTables) -> impl Iterator<Item = (Claim, &crate::forwarding::Attachment)> {
    tables.domains.iter().flat_map(|(domain, row)| {
        row.attachments.iter().map(move |(attachment, row)| (Claim { domain, attachment }, row))
    })
}

/// Two ports that are opened with the same thing are one wire, under the lower number.
fn wires(plan: &Plan) -> Slab<PortId, Wire> {
    let mut first = HashMap::new();
    let wire = |port: &PortPlan| {
        let thing = match &port.backend {
            Backend::Auto { device }
            | Backend::AfPacket { device }
            | Backend::AfXdp { device }
            | Backend::Tap { device } => device.clone(),
            Backend::Unix { local, .. } => format!("/{}", local.display()),
        };
        (port.id, *first.entry(thing).or_insert(Wire(port.id.number())))
    };
    plan.ports.iter().map(wire).collect()
}
