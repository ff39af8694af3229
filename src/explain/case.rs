//! One frame's case: what it was, what was looked up, and the words for all of it.

use transload_encaps::{Common, Frame, HEADROOM, Kind, Segment};

use super::trace::Trace;
use crate::compile::{Line, Names, Noun, Origins};
use crate::forwarding::{
    AttachmentId, Claim, Crossing, DomainId, EndpointId, Exit, Forwarding, Members, Peer, PeerId, PortId, Scope, Target,
};
use crate::io::memory::Packet;
use crate::offline::captured;

/// Everything a finder of near misses may look at.
#[derive(Clone, Copy)]
pub(super) struct Case<'a> {
    pub(super) tables: &'a Forwarding,
    pub(super) names: &'a Names,
    pub(super) origins: &'a Origins,
    pub(super) port: PortId,
    /// The frame's bytes as it arrived.
    pub(super) frame: &'a [u8],
    /// The same, with what its port knew of it.
    pub(super) arrived: &'a Packet,
    pub(super) trace: &'a Trace,
}

impl<'a> Case<'a> {
    pub(super) fn line(&self, noun: Noun) -> Option<Line> {
        self.origins.line(noun)
    }

    /// The endpoint of ours that sent it, if it is a packet of the gateway's own that was captured as it left.
    pub(super) fn leaving(&self) -> Option<EndpointId> {
        self.trace.dropped().filter(|(_, reason)| *reason == Common::NotForUs.into())?;
        captured::leaving(self.tables, self.port, self.frame)
    }

    /// "endpoint fabric (192.0.2.1)"
    pub(super) fn endpoint(&self, id: EndpointId) -> String {
        let address = self.tables.endpoints.get(id).map(|endpoint| endpoint.address);
        match address {
            Some(address) => format!("endpoint {} ({address})", self.origins.endpoint(id)),
            None => format!("endpoint {}", self.origins.endpoint(id)),
        }
    }

    /// "peer leaf-9", "peer leafs/192.0.2.11", "port access"
    pub(super) fn peer(&self, id: PeerId) -> String {
        let name = self.names.peer(id);
        match self.tables.peer(id) {
            Some(Peer { exit: Exit::Port(_), .. }) => format!("port {name}"),
            Some(Peer { is_anonymous: true, .. }) => match name.split_once('/') {
                Some((group, "*")) => format!("a new member of group {group}"),
                Some((group, multicast)) => format!("anybody of group {group} ({multicast})"),
                None => format!("group {name}"),
            },
            _ => format!("peer {name}"),
        }
    }

    /// "tenant blue"
    pub(super) fn tenant(&self, id: DomainId) -> String {
        format!("tenant {}", self.names.domain(id))
    }

    /// "tenant blue (attachment leafs)"
    pub(super) fn claim(&self, claim: Claim) -> String {
        format!("{} (attachment {})", self.tenant(claim.domain), self.names.attachment(claim.domain, claim.attachment))
    }

    /// `mapping wholesale, to port access with s_vid 7, c_vid 9`
    pub(super) fn crossing(&self, crossing: Crossing) -> String {
        let name = format!("mapping {}", self.names.mapping(crossing.mapping));
        let end = self.tables.mappings.get(crossing.mapping).and_then(|found| found.ends.get(usize::from(crossing.to)));
        let Some((id, peer)) = end.and_then(|end| Some((end.peer, self.tables.peer(end.peer)?))) else { return name };
        format!("{name}, to {} with {}", self.peer(id), Self::ids(peer.compiled.kind(), crossing.segment))
    }

    /// "leafs (peer leafs/192.0.2.11, vni 10100)"
    pub(super) fn target(&self, domain: DomainId, target: Target) -> String {
        let name = self.names.attachment(domain, target.attachment);
        format!("{name} ({}{})", self.peer(target.peer), self.id_of(domain, target.attachment, target.peer))
    }

    fn id_of(&self, domain: DomainId, attachment: AttachmentId, peer: PeerId) -> String {
        let row = self.tables.domain(domain).and_then(|domain| domain.attachment(attachment));
        match row.zip(self.tables.peer(peer)) {
            Some((row, peer)) => format!(", {}", row.ids_in_words(&peer.compiled)),
            None => String::new(),
        }
    }

    /// "vni 10100"
    pub(super) fn ids(kind: Kind, segment: Segment) -> String {
        kind.ids(segment).to_string()
    }

    /// The owner of a segment, and where the file says so: "tenant blue (attachment leafs)", "mapping wholesale".
    pub(super) fn owner(&self, scope: Scope, segment: Segment) -> Option<(String, Option<Line>)> {
        if let Some(claim) = self.tables.segments.get(&(scope, segment)) {
            return Some((self.claim(*claim), self.line(Noun::Segment(scope, segment))));
        }
        let mapping = self.tables.mappings.find(scope, segment)?.ok()?.mapping;
        Some((format!("mapping {}", self.names.mapping(mapping)), self.line(Noun::Mapping(mapping))))
    }

    /// The names of the mappings that have a side in a number space.
    pub(super) fn mappings(&self, scope: Scope) -> Vec<String> {
        let here = self.tables.mappings.by_scope.get(scope).into_iter().flatten();
        here.map(|(mapping, _)| format!("mapping {}", self.names.mapping(*mapping))).collect()
    }

    /// Every segment of a number space, in order.
    pub(super) fn segments(&self, scope: Scope) -> Vec<(Segment, Claim)> {
        let here = self.tables.segments.iter().filter(|((of, _), _)| *of == scope);
        let mut all: Vec<_> = here.map(|((_, segment), claim)| (*segment, *claim)).collect();
        all.sort_by_key(|(segment, _)| *segment);
        all
    }

    /// Every peer with its number.
    pub(super) fn peers(&self) -> impl Iterator<Item = (PeerId, &'a Peer)> {
        self.tables.peers.iter()
    }

    /// The peer that the frame is from, once it is known.
    pub(super) fn origin(&self) -> Option<(PeerId, &'a Peer)> {
        let id = self.trace.note()?.origin.peer;
        Some((id, self.tables.peer(id)?))
    }

    /// The bytes from the tunnel header on, once the peer is known.
    pub(super) fn tunnel(&self) -> &'a [u8] {
        let Some(note) = self.trace.note() else { return &[] };
        let end = (note.origin.end as usize).min(self.frame.len());
        self.frame.get(usize::from(note.origin.at)..end).unwrap_or_default()
    }

    /// What the tags of a port make of other bytes, as whoever decapsulates them says.
    pub(super) fn would_be(peer: &Peer, bytes: &[u8]) -> Option<Segment> {
        let mut chunk = vec![0; HEADROOM + bytes.len()];
        let mut frame = Frame::new(&mut chunk);
        let _ = frame.fill(HEADROOM, bytes);
        peer.compiled.decap(&mut frame).ok().map(|found| found.segment)
    }

    /// The names of the ports that an endpoint is reached by.
    pub(super) fn ports_of(&self, endpoint: EndpointId) -> Vec<String> {
        let ports = self.tables.ports.iter().filter(|(_, port)| port.endpoints.contains(&endpoint));
        ports.map(|(id, _)| self.names.port(id).into_owned()).collect()
    }

    /// Whether an attachment is a mesh.
    pub(super) fn is_mesh(&self, claim: Claim) -> bool {
        let row = self.tables.domain(claim.domain).and_then(|domain| domain.attachment(claim.attachment));
        row.is_some_and(|row| matches!(row.members, Members::Group(_)))
    }
}
