//! Where in the file the numbers of the tables come from: for those who explain, never for those who forward.

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
