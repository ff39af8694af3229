//! What an attachment can be attached to: a peer, a group, or the tags of a port.

use std::collections::HashMap;
use std::net::IpAddr;

use transload_encaps::{Compiled, Kind, Segment, Spec, SpecError};

use super::findings::Findings;
use super::table::Table;
use crate::config::{Attachment, Name};
use crate::forwarding::{Members, Peer, PeerId, PortId, Scope, Slab};

/// The far side of an attachment.
#[derive(Debug)]
pub(super) struct FarSide {
    /// For messages: "peer `leaf-9`".
    pub(super) label: String,
    /// Its encapsulation.
    pub(super) kind: Kind,
    /// Its options.
    pub(super) spec: Spec,
    /// What it compiles to, with no segment claimed.
    pub(super) compiled: Compiled,
    /// The number space of its segments.
    pub(super) scope: Scope,
    /// The peer or the group behind it.
    pub(super) members: Members,
    /// All peers behind it.
    pub(super) peers: Vec<PeerId>,
    /// How many copies of a flooded frame go to it: one for each member of a group, or one for their multicast group.
    pub(super) flooded: usize,
    /// The members of a group by address.
    pub(super) by_address: HashMap<IpAddr, PeerId>,
    /// The path of its tunnel packets; `None` for the tags of a port, whose frames leave as they are.
    pub(super) path: Option<Path>,
}

impl FarSide {
    /// An attachment whose first segment is `first` will use this one: tells all peers behind it.
    ///
    /// # Errors
    /// When they cannot tell it from a segment that is used already.
    pub(super) fn claim(
        &self,
        segment: Segment,
        first: Segment,
        peers: &mut Slab<PeerId, Peer>,
    ) -> Result<(), SpecError> {
        self.tell(peers, |compiled| compiled.join(segment, first))
    }

    /// A mapping will use segments that begin like this one: tells all peers behind it.
    ///
    /// # Errors
    /// When they cannot tell them from a segment that is used already.
    pub(super) fn claim_mapped(&self, segment: Segment, peers: &mut Slab<PeerId, Peer>) -> Result<(), SpecError> {
        self.tell(peers, |compiled| compiled.claim_mapped(segment))
    }

    fn tell(
        &self,
        peers: &mut Slab<PeerId, Peer>,
        claim: impl Fn(&mut Compiled) -> Result<(), SpecError>,
    ) -> Result<(), SpecError> {
        for &id in &self.peers {
            if let Some(peer) = peers.get_mut(id) {
                claim(&mut peer.compiled)?;
            }
        }
        Ok(())
    }

    /// ``vni 7 of peer `leaf-9` ``
    pub(super) fn ids(&self, segment: Segment) -> String {
        format!("{} of {}", self.kind.ids(segment), self.label)
    }
}

/// The path of a tunnel's packets.
#[derive(Debug, Clone)]
pub(super) struct Path {
    /// The ports they leave by.
    pub(super) ports: Vec<PortId>,
    /// Bytes of outer IP and UDP headers.
    pub(super) ip_overhead: usize,
    /// Whether the outer headers are IPv6.
    pub(super) is_ipv6: bool,
}

/// Everything an attachment can name.
#[derive(Clone, Copy)]
pub(super) struct FarSides<'p, 'c> {
    pub(super) peers: &'p Table<'c, FarSide>,
    pub(super) groups: &'p Table<'c, FarSide>,
    pub(super) ports: &'p Table<'c, FarSide>,
}

impl<'p> FarSides<'p, '_> {
    /// What an attachment is attached to. It must name exactly one thing.
    pub(super) fn find<V>(
        self,
        name: Name<'_>,
        config: &Attachment<V>,
        findings: &mut Findings,
    ) -> Option<&'p FarSide> {
        let stated = [
            ("peer", config.peer.as_ref(), self.peers),
            ("group", config.group.as_ref(), self.groups),
            ("port", config.port.as_ref(), self.ports),
        ];
        let mut stated = stated.into_iter().filter_map(|(field, at, table)| Some((field, at?, table)));
        let Some((field, at, table)) = stated.next() else {
            // A field that is misspelt has been reported, and may be this one.
            if !findings.has_errors_in(name.extent) {
                let message = format!("attachment `{}` does not say what it is attached to", name.text);
                findings.error(name.span, message, "add one of `peer`, `group` and `port`");
            }
            return None;
        };
        if let Some((second, other, _)) = stated.next() {
            let message = format!("attachment `{}` has both a {field} and a {second}", name.text);
            findings.error(other.span, message, "an attachment has only one of them; write two attachments");
            return None;
        }
        if let Some((other, name)) = at.get().filter(|name| !table.has(name)).and_then(|name| self.other(name)) {
            findings.error(
                at.span,
                format!("`{name}` is a {other}, not a {field}"),
                format!("write `{other}: {name}`"),
            );
            return None;
        }
        table.find(at, findings)
    }

    /// The kind of the thing with this name.
    fn other(self, name: &str) -> Option<(&'static str, &str)> {
        let kinds = [("peer", self.peers), ("group", self.groups), ("port", self.ports)];
        kinds.into_iter().find(|(_, table)| table.has(name)).map(|(kind, _)| (kind, name))
    }
}
