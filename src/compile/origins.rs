//! Origins: the places in the file that decided what is in the tables, for explanations only.

use std::collections::HashMap;
use std::fmt;

use serde::Serialize;
use transload_encaps::{Mac, Segment};

use crate::config::{Config, SourceText, Span};
use crate::forwarding::{AttachmentId, DomainId, EndpointId, Learner, MappingId, PeerId, PortId, Scope, Sender};

/// Something of the tables that a place in the file decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Noun {
    /// A port, by name.
    Port(PortId),
    /// A port's own MAC address.
    PortMac(PortId),
    /// A port's MTU.
    PortMtu(PortId),
    /// The outer TPIDs a port accepts.
    PortTpids(PortId),
    /// One of our tunnel addresses.
    Endpoint(EndpointId),
    /// An endpoint's VLAN.
    EndpointVlan(EndpointId),
    /// A peer's address.
    Peer(PeerId),
    /// A peer's encapsulation.
    Encap(PeerId),
    /// A peer's UDP checksum rules.
    UdpChecksum(PeerId),
    /// An address that a peer's packets come from.
    Sender(Sender),
    /// A prefix that a group learns its members from.
    Learner(Learner),
    /// The attachment a segment belongs to.
    Segment(Scope, Segment),
    /// A mapping.
    Mapping(MappingId),
    /// A tenant.
    Tenant(DomainId),
    /// Whether a tenant learns addresses.
    Learning(DomainId),
    /// Whether a tenant floods unknown unicast.
    UnknownUnicast(DomainId),
    /// A tenant's limits of BUM copies per second.
    Bum(DomainId),
    /// A tenant's limit of MAC addresses.
    Macs(DomainId),
    /// A tenant's attachment.
    Attachment(DomainId, AttachmentId),
    /// What an attachment does to inner tags.
    InnerTags(DomainId, AttachmentId),
    /// An attachment's split horizon.
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

/// The places in the file that the contents of the tables come from.
#[derive(Debug, Clone)]
pub struct Origins {
    source: SourceText,
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

    pub(super) fn note(&mut self, noun: Noun, span: Span) {
        self.spans.insert(noun, span);
    }

    pub(super) fn name_endpoint(&mut self, id: EndpointId, name: &str) {
        self.endpoints.insert(id, name.to_owned());
    }
}
