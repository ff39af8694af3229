//! Where in the file the numbers of the tables come from: for those who explain, never for those who forward.

use std::collections::HashMap;
use std::fmt;

use serde::Serialize;
use transload_encaps::{Mac, Segment};

use super::domains::Domains;
use super::endpoints::Endpoints;
use super::mappings::Connections;
use super::names::Names;
use super::peers::Peers;
use crate::config::{At, Config, File, Knobs, Source, Span, Tenant};
use crate::forwarding::{AttachmentId, DomainId, EndpointId, Learner, MappingId, PeerId, PortId, Scope, Sender};

/// Something of the tables that a place in the file decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Noun {
    /// A port, by name.
    Port(PortId),
    /// Its own MAC address.
    PortMac(PortId),
    /// Its MTU.
    PortMtu(PortId),
    /// The outer TPIDs it takes.
    PortTpids(PortId),
    /// One of our tunnel addresses.
    Endpoint(EndpointId),
    /// The VLAN it lives in.
    EndpointVlan(EndpointId),
    /// A peer's address.
    Peer(PeerId),
    /// What it speaks.
    Encap(PeerId),
    /// What it makes of UDP checksums.
    UdpChecksum(PeerId),
    /// Who sends as this.
    Sender(Sender),
    /// From where a group learns its members.
    Learner(Learner),
    /// Whose segment this is.
    Segment(Scope, Segment),
    /// A mapping.
    Mapping(MappingId),
    /// A tenant.
    Tenant(DomainId),
    /// Whether it learns.
    Learning(DomainId),
    /// Whether it floods unknown unicast.
    UnknownUnicast(DomainId),
    /// How many BUM frames a second it may send.
    Bum(DomainId),
    /// How many addresses it may have.
    Macs(DomainId),
    /// A tenant's attachment.
    Attachment(DomainId, AttachmentId),
    /// What it does to inner tags.
    InnerTags(DomainId, AttachmentId),
    /// Whom it never feeds.
    SplitHorizon(DomainId, AttachmentId),
    /// A static address.
    Static(DomainId, Mac),
}

/// A line of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// The file, as it was named when it was loaded.
    pub file: String,
    /// The line, counted from 1.
    pub line: usize,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// Where everything comes from.
#[derive(Debug, Clone)]
pub struct Origins {
    source: Source,
    endpoints: HashMap<EndpointId, String>,
    spans: HashMap<Noun, Span>,
}

impl Origins {
    /// The line that decided, if one did: what is not stated has a default and no line.
    #[must_use]
    pub fn line(&self, noun: Noun) -> Option<Line> {
        let span = self.spans.get(&noun)?;
        Some(Line { file: self.source.name_at(span.start).to_owned(), line: self.source.position(span.start).0 })
    }

    /// The name of an endpoint.
    #[must_use]
    pub fn endpoint(&self, id: EndpointId) -> &str {
        self.endpoints.get(&id).map_or("", String::as_str)
    }

    pub(super) fn new(config: &Config) -> Self {
        Self { source: config.source.clone(), endpoints: HashMap::new(), spans: HashMap::new() }
    }

    pub(super) fn fill(
        &mut self,
        file: &File,
        names: &Names,
        endpoints: &Endpoints<'_>,
        peers: &Peers<'_>,
        domains: &Domains<'_>,
        mappings: &Connections<'_>,
    ) {
        self.spans.extend(mappings.places().map(|(id, span)| (Noun::Mapping(id), span)));
        self.spans.extend(peers.senders.places().map(|(sender, span)| (Noun::Sender(sender), span)));
        self.spans.extend(peers.learners.places().map(|(learner, span)| (Noun::Learner(learner), span)));
        for ((scope, segment), claim, span) in domains.segments.places(names) {
            self.spans.insert(Noun::Segment(scope, segment), span);
            // A tenant of a pattern has no place but this.
            self.spans.insert(Noun::Attachment(claim.domain, claim.attachment), span);
            let tenant = self.spans.entry(Noun::Tenant(claim.domain)).or_insert(span);
            *tenant = span.min(*tenant);
        }
        self.spans.extend(peers.tunnels.iter().map(|tunnel| (Noun::Peer(tunnel.peer), tunnel.span)));
        self.ports(file, names);
        self.endpoints(file, endpoints);
        self.peers(file, names);
        self.tenants(file, names, domains);
    }

    fn note<T>(&mut self, noun: Noun, at: Option<&At<T>>) {
        if let Some(at) = at {
            self.spans.insert(noun, at.span);
        }
    }

    fn ports(&mut self, file: &File, names: &Names) {
        for (name, port) in file.ports.iter() {
            let (Some(id), Some(port)) = (names.port_id(name.text), port) else { continue };
            self.spans.insert(Noun::Port(id), name.span);
            self.note(Noun::PortMac(id), port.mac.as_ref());
            self.note(Noun::PortMtu(id), port.mtu.as_ref());
            self.note(Noun::PortTpids(id), port.tpids.as_ref());
        }
    }

    fn endpoints(&mut self, file: &File, endpoints: &Endpoints<'_>) {
        for (row, (name, config)) in endpoints.table.rows().zip(file.endpoints.iter()) {
            let Some(id) = row.thing.as_ref().map(|endpoint| endpoint.id) else { continue };
            self.endpoints.insert(id, name.text.to_owned());
            self.spans.insert(Noun::Endpoint(id), name.span);
            self.note(Noun::EndpointVlan(id), config.and_then(|endpoint| endpoint.vlan.as_ref()));
        }
    }

    fn peers(&mut self, file: &File, names: &Names) {
        let peers = file.peers.iter().filter_map(|(name, peer)| Some((name.text, peer?.knobs())));
        let groups = file.groups.iter().filter_map(|(name, group)| Some((name.text, group?.knobs())));
        let (peers, groups): (HashMap<_, _>, HashMap<_, _>) = (peers.collect(), groups.collect());
        let ids: Vec<_> =
            self.spans.keys().filter_map(|noun| if let Noun::Peer(id) = noun { Some(*id) } else { None }).collect();
        for id in ids {
            let name = names.peer(id);
            // No name has a slash; a member of a group is `GROUP/ADDRESS`.
            let knobs: Option<&Knobs<'_>> = match name.split_once('/') {
                Some((group, _)) => groups.get(group),
                None => peers.get(&*name),
            };
            self.note(Noun::Encap(id), knobs.map(|knobs| knobs.encap));
            self.note(Noun::UdpChecksum(id), knobs.and_then(|knobs| knobs.udp_checksum));
        }
    }

    fn tenants(&mut self, file: &File, names: &Names, domains: &Domains<'_>) {
        let ids: HashMap<_, _> = names.domains().map(|(id, name)| (name, id)).collect();
        for (name, tenant) in file.tenants.iter() {
            let (Some(&id), Some(tenant)) = (ids.get(name.text), tenant) else { continue };
            self.spans.insert(Noun::Tenant(id), name.span);
            let rows = domains.forwarding.get(id.0 as usize).and_then(Option::as_ref);
            let rows = rows.map_or(0, |domain| domain.attachments.len() as u16);
            self.policies(id, tenant);
            self.attachments(id, tenant, (0..rows).map(AttachmentId), names);
        }
    }

    fn policies(&mut self, id: DomainId, tenant: &Tenant) {
        self.note(Noun::Learning(id), tenant.learning.as_ref());
        self.note(Noun::UnknownUnicast(id), tenant.unknown_unicast.as_ref());
        self.note(Noun::Bum(id), tenant.limits.bum.as_ref());
        self.note(Noun::Macs(id), tenant.limits.macs.as_ref());
        for at in &tenant.statics {
            if let Some(mac) = at.get().and_then(|config| config.mac.value()) {
                self.spans.insert(Noun::Static(id, mac.0), at.span);
            }
        }
    }

    fn attachments(&mut self, id: DomainId, tenant: &Tenant, rows: impl Iterator<Item = AttachmentId>, names: &Names) {
        let places: HashMap<_, _> =
            tenant.attachments.iter().map(|(name, config)| (name.text, (name.span, config))).collect();
        for place in rows {
            let Some((span, config)) = places.get(&*names.attachment(id, place)) else { continue };
            self.spans.insert(Noun::Attachment(id, place), *span);
            self.note(Noun::InnerTags(id, place), config.and_then(|config| config.inner_tags.as_ref()));
            self.note(Noun::SplitHorizon(id, place), config.and_then(|config| config.split_horizon.as_ref()));
        }
    }
}
