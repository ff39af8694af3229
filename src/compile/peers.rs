//! Peers and groups: whose packets are taken, and the headers of what is sent to them.

use std::collections::HashMap;
use std::net::IpAddr;

use transload_encaps::Spec;
use transload_encaps::underlay::{Underlay, UnderlaySpec};

use super::claims::{Senders, Wanted};
use super::endpoints::{self, EndpointRow, Endpoints};
use super::learners::Learners;
use super::names::{Names, slot};
use super::numbers::Numbers;
use super::plan::{LearningGroup, TunnelPlan};
use super::report::{Report, Table};
use super::sides::{Path, Side};
use super::{specs, wire};
use crate::config::{File, Knobs, Name, Peer, Span};
use crate::forwarding::{self, EndpointId, Exit, MAX_PEERS, Members, PeerId, PortId, Scope};

pub(super) struct Peers<'c> {
    pub(super) single: Table<'c, Side>,
    pub(super) groups: Table<'c, Side>,
    pub(super) forwarding: Vec<Option<forwarding::Peer>>,
    pub(super) members: Vec<forwarding::Group>,
    pub(super) senders: Senders,
    pub(super) learners: Learners,
    pub(super) tunnels: Vec<TunnelPlan>,
    pub(super) learning: Vec<LearningGroup>,
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
        learners: Learners::default(),
        tunnels: Vec::new(),
        learning: Vec::new(),
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

pub(super) struct Pass<'p, 'c> {
    pub(super) all: &'p mut Peers<'c>,
    pub(super) endpoints: &'p mut Endpoints<'c>,
    pub(super) numbers: &'p mut Numbers,
    pub(super) names: &'p mut Names,
    pub(super) report: &'p mut Report,
}

/// A peer on its way into the tables: a single one, or a member of a group.
pub(super) struct Draft<'a> {
    /// "peer `leaf-9`", "group `leafs`"
    pub(super) label: &'a str,
    pub(super) name: String,
    /// Unspecified for one that nothing is sent to.
    pub(super) address: IpAddr,
    /// Where the file gives the address.
    pub(super) span: Span,
    pub(super) knobs: Knobs<'a>,
    pub(super) spec: &'a Spec,
    pub(super) scope: Scope,
    /// The multicast group that its packets may come to.
    pub(super) hears: Option<IpAddr>,
}

impl Draft<'_> {
    pub(super) fn underlay(&self, place: &Place) -> UnderlaySpec {
        UnderlaySpec {
            src: place.address,
            dst: self.address,
            vlan: place.vlan,
            carrier: self.spec.compile().map_or(self.spec.kind().info().carrier, |compiled| compiled.carrier()),
            ttl: endpoints::ttl(self.knobs.ttl, place.ttl),
            dscp: wire::dscp(self.knobs),
            ecn: wire::ecn(self.knobs),
            udp_checksum: wire::udp_checksum(self.knobs, self.address),
        }
    }

    pub(super) fn tunnel(&self, place: &Place, peer: PeerId) -> TunnelPlan {
        let (local, remote, ports, vlan) = (place.address, self.address, place.ports.clone(), place.vlan);
        TunnelPlan { peer, local, remote, ports, vlan, span: self.span }
    }
}

/// Where a peer is reached from.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) endpoint: EndpointId,
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
        let draft = Draft { label: &label, name: name.text.to_owned(), address, span, knobs, spec, scope, hears: None };
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

    pub(super) fn place(&mut self, knobs: Knobs<'_>, label: &str, address: IpAddr, span: Span) -> Option<Place> {
        self.endpoints.choose(knobs.endpoint, label, address, span, self.report).map(Place::of)
    }

    /// Gives a peer its number, its claim and its headers.
    pub(super) fn add(&mut self, draft: &Draft<'_>, place: &Place) -> Option<(PeerId, Path)> {
        if self.is_ourselves(draft.address, draft.span) {
            return None;
        }
        let id = self.number(draft)?;
        self.take_from(draft.address, draft.span, id, draft, place);
        Some((id, self.put(draft, place, id, false)?))
    }

    pub(super) fn number(&mut self, draft: &Draft<'_>) -> Option<PeerId> {
        let id = self.numbers.peer(&Numbers::peer_identity(draft.label, &draft.name));
        if id.0 as usize >= MAX_PEERS {
            self.report.error(draft.span, format!("a gateway has at most {MAX_PEERS} peers"), "use fewer");
            return None;
        }
        Some(id)
    }

    /// Writes a peer into the tables. One that is sent to has an address.
    pub(super) fn put(&mut self, draft: &Draft<'_>, place: &Place, id: PeerId, is_anonymous: bool) -> Option<Path> {
        let compiled = draft.spec.compile().ok()?;
        let underlay = Underlay::compile(&draft.underlay(place));
        let (ip_overhead, is_ipv6) = (underlay.ip_overhead(), draft.address.is_ipv6());
        let udp = wire::udp_rules(draft.knobs, draft.spec.kind());
        let (scope, exit, multicast_group) = (draft.scope, Exit::Tunnel(underlay), draft.hears);
        let peer = forwarding::Peer { compiled, scope, exit, udp, multicast_group, is_anonymous };
        *slot(&mut self.all.forwarding, id.0 as usize) = Some(peer);
        self.names.set_peer(id, draft.name.clone());
        if !draft.address.is_unspecified() {
            self.all.tunnels.push(draft.tunnel(place, id));
        }
        Some(Path { ports: place.ports.clone(), ip_overhead, is_ipv6 })
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
