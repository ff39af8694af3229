//! Peers and groups: whose packets are taken, and the headers of what is sent to them.

use std::collections::HashMap;
use std::net::IpAddr;

use transload_encaps::Spec;
use transload_encaps::underlay::{Underlay, UnderlaySpec};

use super::claims::{Senders, Wanted};
use super::endpoints::{self, EndpointRow, Endpoints};
use super::names::{Names, slot};
use super::numbers::Numbers;
use super::plan::TunnelPlan;
use super::report::{Report, Table};
use super::sides::{Path, Side};
use super::{specs, wire};
use crate::config::{Addresses, At, File, Group, Knobs, Name, Peer, Span};
use crate::forwarding::{self, EndpointId, Exit, MAX_PEERS, Members, PeerId, PortId, Scope};

pub(super) struct Peers<'c> {
    pub(super) single: Table<'c, Side>,
    pub(super) groups: Table<'c, Side>,
    pub(super) forwarding: Vec<Option<forwarding::Peer>>,
    pub(super) members: Vec<Vec<PeerId>>,
    pub(super) senders: Senders,
    pub(super) tunnels: Vec<TunnelPlan>,
}

pub(super) fn compile<'c>(
    file: &'c File,
    endpoints: &mut Endpoints<'c>,
    numbers: &mut Numbers,
    names: &mut Names,
    report: &mut Report,
) -> Peers<'c> {
    let mut all = Peers {
        single: Table::new("peer"),
        groups: Table::new("group"),
        forwarding: Vec::new(),
        members: Vec::new(),
        senders: Senders::default(),
        tunnels: Vec::new(),
    };
    let mut pass = Pass { all: &mut all, endpoints, numbers, names, report };
    let peers: Vec<_> =
        file.peers.iter().map(|(name, peer)| (name, peer.and_then(|peer| pass.peer(name, peer)))).collect();
    let groups: Vec<_> =
        file.groups.iter().map(|(name, group)| (name, group.and_then(|group| pass.group(name, group)))).collect();
    for (name, side) in peers {
        all.single.add(name, side, report);
    }
    for (name, side) in groups {
        all.groups.add(name, side, report);
    }
    all
}

struct Pass<'p, 'c> {
    all: &'p mut Peers<'c>,
    endpoints: &'p mut Endpoints<'c>,
    numbers: &'p mut Numbers,
    names: &'p mut Names,
    report: &'p mut Report,
}

/// A peer on its way into the tables: a single one, or a member of a group.
struct Draft<'a> {
    /// "peer `leaf-9`", "group `leafs`"
    label: &'a str,
    name: String,
    address: IpAddr,
    /// Where the file gives the address.
    span: Span,
    knobs: Knobs<'a>,
    spec: &'a Spec,
    scope: Scope,
}

/// Where a peer is reached from.
#[derive(Debug, Clone)]
struct Place {
    endpoint: EndpointId,
    address: IpAddr,
    ports: Vec<PortId>,
    vlan: Option<u16>,
    ttl: u8,
}

impl Place {
    fn of(row: &EndpointRow) -> Self {
        Self { endpoint: row.id, address: row.address, ports: row.ports.clone(), vlan: row.vlan, ttl: row.ttl }
    }
}

impl Pass<'_, '_> {
    fn peer(&mut self, name: Name<'_>, config: &Peer) -> Option<Side> {
        let label = format!("peer `{}`", name.text);
        let knobs = config.knobs();
        let spec = specs::spoken(knobs.encap, self.report);
        let address = endpoints::tunnel_address(&config.address, self.report);
        let (spec, address, span) = (spec?, address?, config.address.span);
        let place = self.place(knobs, &label, address, span)?;
        wire::warn_of_idle_udp_rules(knobs, spec.kind(), address, self.report);
        let scope = self.numbers.scope(&label);
        let draft = Draft { label: &label, name: name.text.to_owned(), address, span, knobs, spec, scope };
        let (id, path) = self.add(&draft, &place)?;
        self.accept_from(config, &draft, id, &place);
        let by_address = HashMap::from([(address, id)]);
        let members = Members::One(id);
        Some(Side {
            label,
            kind: spec.kind(),
            spec: spec.clone(),
            scope,
            members,
            peers: vec![id],
            by_address,
            path: Some(path),
        })
    }

    fn group(&mut self, name: Name<'_>, config: &Group) -> Option<Side> {
        let label = format!("group `{}`", name.text);
        let knobs = config.knobs();
        let spec = specs::spoken(knobs.encap, self.report);
        let first = self.first_member(&label, config);
        let (spec, (first, span)) = (spec?, first?);
        let place = self.place(knobs, &label, first, span)?;
        wire::warn_of_idle_udp_rules(knobs, spec.kind(), first, self.report);
        let scope = self.numbers.scope(&label);
        let (mut by_address, mut peers, mut path) = (HashMap::new(), Vec::new(), None);
        for range in config.members.get()? {
            let Some(addresses) = self.usable(range, first) else { continue };
            for address in addresses.iter() {
                let name = format!("{}/{address}", name.text);
                let draft = Draft { label: &label, name, address, span: range.span, knobs, spec, scope };
                // What is wrong with one of a range is most likely wrong with all of it.
                let Some((id, way)) = self.add(&draft, &place) else { break };
                by_address.insert(address, id);
                peers.push(id);
                path = Some(way);
            }
        }
        let id = self.numbers.group(name.text);
        slot(&mut self.all.members, id.0 as usize).clone_from(&peers);
        let members = Members::Group(id);
        Some(Side { label, kind: spec.kind(), spec: spec.clone(), scope, members, peers, by_address, path })
    }

    /// The first address of a group that can be read; it stands for the group's address family.
    fn first_member(&mut self, label: &str, config: &Group) -> Option<(IpAddr, Span)> {
        let ranges = config.members.get()?;
        if ranges.is_empty() {
            let help = "name its peers: `members: [192.0.2.11-192.0.2.50]`";
            self.report.error(config.members.span, format!("{label} has no members"), help);
        }
        ranges.iter().find_map(|range| Some((range.get()?.first, range.span)))
    }

    /// A range, if it can be peers at all: a typing error must not become 2^64 of them.
    fn usable<'a>(&mut self, range: &'a At<Addresses>, first: IpAddr) -> Option<&'a Addresses> {
        let addresses = range.get()?;
        let count = addresses.count();
        if count > MAX_PEERS as u128 {
            let message = format!("this range holds {count} addresses; a gateway has at most {MAX_PEERS} peers");
            self.report.error(range.span, message, "end it earlier");
        } else if addresses.first.is_ipv4() != first.is_ipv4() {
            let message = format!("{} and {first} are of different address families", addresses.first);
            self.report.error(range.span, message, "a group has one family; add another group for the other");
        } else if endpoints::is_tunnel_address(addresses.first, range.span, self.report)
            && endpoints::is_tunnel_address(addresses.last, range.span, self.report)
        {
            return Some(addresses);
        }
        None
    }

    fn place(&mut self, knobs: Knobs<'_>, label: &str, address: IpAddr, span: Span) -> Option<Place> {
        self.endpoints.choose(knobs.endpoint, label, address, span, self.report).map(Place::of)
    }

    /// Gives a peer its number, its claim and its headers.
    fn add(&mut self, draft: &Draft<'_>, place: &Place) -> Option<(PeerId, Path)> {
        if self.is_ourselves(draft.address, draft.span) {
            return None;
        }
        let id = self.numbers.peer(&format!("{} {}", draft.label, draft.name));
        if id.0 as usize >= MAX_PEERS {
            self.report.error(draft.span, format!("a gateway has at most {MAX_PEERS} peers"), "use fewer");
            return None;
        }
        let compiled = draft.spec.compile().ok()?;
        self.take_from(draft.address, draft.span, id, draft, place);
        let underlay = Underlay::compile(&UnderlaySpec {
            src: place.address,
            dst: draft.address,
            vlan: place.vlan,
            carrier: compiled.carrier(),
            ttl: endpoints::ttl(draft.knobs.ttl, place.ttl),
            dscp: wire::dscp(draft.knobs),
            ecn: wire::ecn(draft.knobs),
            udp_checksum: wire::udp_checksum(draft.knobs, draft.address),
        });
        let (ip_overhead, is_ipv6) = (underlay.ip_overhead(), draft.address.is_ipv6());
        let udp = wire::udp_rules(draft.knobs, draft.spec.kind());
        let peer = forwarding::Peer { compiled, scope: draft.scope, exit: Exit::Tunnel(underlay), udp };
        *slot(&mut self.all.forwarding, id.0 as usize) = Some(peer);
        self.names.set_peer(id, draft.name.clone());
        self.all.tunnels.push(TunnelPlan {
            peer: id,
            local: place.address,
            remote: draft.address,
            ports: place.ports.clone(),
            vlan: place.vlan,
            span: draft.span,
        });
        Some((id, Path { ports: place.ports.clone(), ip_overhead, is_ipv6 }))
    }

    fn is_ourselves(&mut self, address: IpAddr, span: Span) -> bool {
        let Some(own) = self.endpoints.with_address(address) else { return false };
        let line = self.report.line(own.name.span, span);
        let message = format!("{address} is our own endpoint `{}` ({line})", own.name.text);
        self.report.error(span, message, "leave it out: peers are the far ends");
        true
    }

    fn accept_from(&mut self, config: &Peer, draft: &Draft<'_>, id: PeerId, place: &Place) {
        for more in &config.accept_from {
            let Some(address) = endpoints::tunnel_address(more, self.report) else { continue };
            if self.is_ourselves(address, more.span) {
                continue;
            }
            if address.is_ipv4() == draft.address.is_ipv4() {
                self.take_from(address, more.span, id, draft, place);
            } else {
                let message = format!("{address} and {} are of different address families", draft.address);
                self.report.error(more.span, message, "a peer has one family; add another peer for the other");
            }
        }
    }

    /// Claims what a sender sends to our endpoint.
    fn take_from(&mut self, address: IpAddr, span: Span, peer: PeerId, draft: &Draft<'_>, place: &Place) {
        let Ok(compiled) = draft.spec.compile() else { return };
        let carrier = compiled.carrier();
        self.endpoints.carry(place.endpoint, carrier);
        let (endpoint, label, kind) = (place.endpoint, draft.label, draft.spec.kind());
        let wanted = Wanted { endpoint, address, carrier, peer, label, kind, span };
        self.all.senders.claim(&wanted, self.report);
    }
}
