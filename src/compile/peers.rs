//! Peers: the senders whose packets are accepted, and the headers of what is sent to them.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use transload_encaps::underlay::{Underlay, UnderlaySpec};

use super::address_kind::mismatch;
use super::claims::{Senders, Wanted};
use super::context::Context;
use super::endpoints::{self, EndpointSection, OwnEndpoint};
use super::learners::ClaimedPrefixes;
use super::numbers::Numbers;
use super::origins::Noun;
use super::plan::{LearningGroup, NamedPeer, TunnelPlan};
use super::sides::{FarSide, Path};
use super::specs::{self, Spoken};
use super::table::Table;
use super::wire;
use crate::config::{Config, Knobs, Name, Peer, PeerAddress, Span};
use crate::forwarding::{self, EndpointId, Exit, GroupId, MAX_PEERS, Members, PeerId, RowId, Scope, Slab};

pub(super) struct PeerSection<'c> {
    pub(super) single: Table<'c, FarSide>,
    pub(super) groups: Table<'c, FarSide>,
    pub(super) forwarding: Slab<PeerId, forwarding::Peer>,
    pub(super) members: Slab<GroupId, forwarding::Group>,
    pub(super) senders: Senders,
    pub(super) learners: ClaimedPrefixes,
    pub(super) tunnels: Vec<TunnelPlan>,
    pub(super) named: Vec<NamedPeer>,
    pub(super) learning: Vec<LearningGroup>,
}

pub(super) fn compile<'c>(
    config: &'c Config,
    endpoints: &mut EndpointSection<'c>,
    context: &mut Context<'_>,
) -> PeerSection<'c> {
    let mut all = PeerSection {
        single: Table::new("peer"),
        groups: Table::new("group"),
        forwarding: Slab::new(),
        members: Slab::new(),
        senders: Senders::default(),
        learners: ClaimedPrefixes::default(),
        tunnels: Vec::new(),
        named: Vec::new(),
        learning: Vec::new(),
    };
    let mut pass = PeerPass { all: &mut all, endpoints, context };
    let (file, answers) = (&config.file, &config.answers);
    let mut named = Vec::new();
    let mut peers = Vec::with_capacity(file.peers.len());
    for (place, (name, peer)) in file.peers.iter().enumerate() {
        let side = match peer.and_then(|peer| Some((peer, peer.address.get()?))) {
            Some((peer, PeerAddress::Address(address))) => pass.peer(name, peer, *address),
            Some((peer, PeerAddress::Name(host))) => {
                named.extend(pass.prepare(name, peer, host).map(|draft| (place, draft)));
                None
            }
            None => None,
        };
        peers.push((name, side));
    }
    let groups: Vec<_> =
        file.groups.iter().map(|(name, group)| (name, group.and_then(|group| pass.group(name, group)))).collect();
    let (settled, others): (Vec<_>, Vec<_>) = named.into_iter().partition(|(_, draft)| draft.is_settled(answers));
    for (place, draft) in settled.into_iter().chain(others) {
        peers[place].1 = Some(pass.named_peer(draft, answers));
    }
    pass.all.named.sort_by_key(|peer| peer.span);
    for (name, side) in peers {
        all.single.add(name, side, &mut context.findings);
    }
    for (name, side) in groups {
        all.groups.add(name, side, &mut context.findings);
    }
    all
}

/// The pass over peers and groups.
pub(super) struct PeerPass<'p, 'n, 'c> {
    pub(super) all: &'p mut PeerSection<'c>,
    /// The endpoints: each gets its peers' carriers and multicast groups.
    pub(super) endpoints: &'p mut EndpointSection<'c>,
    pub(super) context: &'p mut Context<'n>,
}

/// A peer that is being compiled: a single one, or a member of a group.
pub(super) struct PeerDraft<'a> {
    /// "peer `leaf-9`", "group `leafs`"
    pub(super) label: &'a str,
    pub(super) name: String,
    /// The address to send to; unspecified for a peer that nothing is sent to.
    pub(super) address: IpAddr,
    /// The place of the address in the file.
    pub(super) span: Span,
    pub(super) knobs: Knobs<'a>,
    pub(super) spoken: &'a Spoken<'a>,
    pub(super) scope: Scope,
    /// The multicast group that its packets may come to.
    pub(super) multicast_group: Option<IpAddr>,
}

impl PeerDraft<'_> {
    pub(super) fn underlay(&self, place: &OwnEndpoint<'_>) -> UnderlaySpec {
        UnderlaySpec {
            src: place.address,
            dst: self.address,
            vlan: place.vlan,
            carrier: self.spoken.compiled.carrier(),
            ttl: endpoints::ttl(self.knobs.ttl, place.ttl),
            df: wire::df(self.knobs),
            dscp: wire::dscp(self.knobs),
            ecn: wire::ecn(self.knobs),
            udp_checksum: wire::udp_checksum(self.knobs, self.address),
            source_ports: wire::source_ports(self.knobs),
        }
    }

    pub(super) fn tunnel(&self, place: &OwnEndpoint<'_>, peer: PeerId) -> TunnelPlan {
        let (name, endpoint) = (self.name.clone(), place.name.to_owned());
        let (local, remote, ports, vlan) = (place.address, self.address, place.ports.clone(), place.vlan);
        TunnelPlan { peer, name, endpoint, local, remote, ports, vlan, span: self.span }
    }
}

impl<'c> PeerPass<'_, '_, 'c> {
    fn peer(&mut self, name: Name<'_>, config: &Peer, address: IpAddr) -> Option<FarSide> {
        let label = format!("peer `{}`", name.text);
        let knobs = config.knobs();
        let spoken = specs::spoken(knobs.encap, &mut self.context.findings);
        let span = config.address.span;
        let is_good = endpoints::is_tunnel_address(address, span, &mut self.context.findings);
        let spoken = spoken.filter(|_| is_good)?;
        let place = self.place(knobs, &label, address, span)?;
        wire::warn_of_idle_udp_rules(knobs, spoken.compiled.kind(), address, &mut self.context.findings);
        wire::check_df(knobs, &label, address, &mut self.context.findings);
        let scope = self.context.numbers.scope(&label);
        let name = name.text.to_owned();
        let draft =
            PeerDraft { label: &label, name, address, span, knobs, spoken: &spoken, scope, multicast_group: None };
        let (id, path) = self.add(&draft, &place)?;
        self.accept_from(config, &draft, id, &place);
        let (members, peers, by_address) = (Members::One(id), vec![id], HashMap::from([(address, id)]));
        let Spoken { spec, compiled } = spoken;
        let (kind, spec, path) = (compiled.kind(), spec.clone(), Some(path));
        Some(FarSide { label, kind, spec, compiled, scope, members, peers, flooded: 1, by_address, path })
    }

    /// The endpoint a peer is reached from.
    pub(super) fn place(
        &mut self,
        knobs: Knobs<'_>,
        label: &str,
        address: IpAddr,
        span: Span,
    ) -> Option<OwnEndpoint<'c>> {
        self.endpoints.choose(knobs.endpoint, label, address, span, &mut self.context.findings).cloned()
    }

    /// Gives a peer its number, its claim and its headers.
    pub(super) fn add(&mut self, draft: &PeerDraft<'_>, place: &OwnEndpoint<'_>) -> Option<(PeerId, Path)> {
        if self.is_ourselves(draft.address, place.id, draft.span) {
            return None;
        }
        let id = self.number(draft)?;
        self.take_from(draft.address, draft.span, id, draft, place);
        Some((id, self.put(draft, place, id, false)))
    }

    pub(super) fn number(&mut self, draft: &PeerDraft<'_>) -> Option<PeerId> {
        let id = self.context.numbers.peer(&Numbers::peer_identity(draft.label, &draft.name));
        if id.index() >= MAX_PEERS {
            self.context.findings.error(draft.span, format!("a gateway has at most {MAX_PEERS} peers"), "use fewer");
            return None;
        }
        Some(id)
    }

    /// Enters a peer into the tables, and its tunnel, unless its address is unspecified.
    pub(super) fn put(
        &mut self,
        draft: &PeerDraft<'_>,
        place: &OwnEndpoint<'_>,
        id: PeerId,
        is_anonymous: bool,
    ) -> Path {
        let compiled = draft.spoken.compiled.for_new_peer();
        let underlay = Underlay::compile(&draft.underlay(place));
        let (ip_overhead, is_ipv6) = (underlay.ip_overhead(), draft.address.is_ipv6());
        let udp = wire::udp_rules(draft.knobs, compiled.kind());
        let (scope, exit, multicast_group) = (draft.scope, Exit::Tunnel(underlay), draft.multicast_group);
        let ids = (!wire::df(draft.knobs)).then(Arc::default);
        let peer = forwarding::Peer { compiled, scope, exit, ids, udp, multicast_group, is_anonymous };
        self.all.forwarding.insert(id, peer);
        self.context.names.set_peer(id, draft.name.clone());
        if !draft.address.is_unspecified() {
            self.all.tunnels.push(draft.tunnel(place, id));
            self.context.note(Noun::Peer(id), draft.span);
            self.context.note(Noun::Encap(id), draft.knobs.encap.span);
            self.context.note_stated(Noun::UdpChecksum(id), draft.knobs.udp_checksum);
        }
        Path { ports: place.ports.clone(), ip_overhead, is_ipv6 }
    }

    fn is_ourselves(&mut self, address: IpAddr, place: EndpointId, span: Span) -> bool {
        let Some(own) = self.endpoints.with_address(address, place) else { return false };
        let line = self.context.findings.line(own.name.span, span);
        let message = format!("{address} is our own endpoint `{}` ({line})", own.name.text);
        self.context.findings.error(span, message, "leave it out: peers are the far ends");
        true
    }

    pub(super) fn accept_from(&mut self, config: &Peer, draft: &PeerDraft<'_>, id: PeerId, place: &OwnEndpoint<'_>) {
        for more in &config.accept_from {
            let Some(address) = endpoints::tunnel_address(more, &mut self.context.findings) else { continue };
            if self.is_ourselves(address, place.id, more.span) {
                continue;
            }
            let other = if draft.address.is_unspecified() { place.address } else { draft.address };
            match mismatch(address, address, other, "peer") {
                None => self.take_from(address, more.span, id, draft, place),
                Some((message, help)) => self.context.findings.error(more.span, message, help),
            }
        }
    }

    /// Claims the packets that a sender sends to our endpoint.
    pub(super) fn take_from(
        &mut self,
        address: IpAddr,
        span: Span,
        peer: PeerId,
        draft: &PeerDraft<'_>,
        place: &OwnEndpoint<'_>,
    ) {
        let compiled = &draft.spoken.compiled;
        let (carrier, kind) = (compiled.carrier(), compiled.kind());
        self.endpoints.add_carrier(place.id, carrier);
        let (endpoint, label) = (place.id, draft.label);
        let wanted = Wanted { endpoint, address, carrier, peer, label, kind, span };
        self.all.senders.claim(&wanted, self.context);
    }
}
