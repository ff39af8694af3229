//! What an attachment can be attached to: a peer, a group, or the tags of a port.

use std::collections::HashMap;
use std::net::IpAddr;

use transload_encaps::{Kind, Spec};

use super::report::{Report, Table};
use crate::config::{Attachment, Name};
use crate::forwarding::{Members, PeerId, PortId, Scope};

/// The far side of an attachment.
#[derive(Debug)]
pub(super) struct Side {
    /// For messages: "peer `leaf-9`".
    pub(super) label: String,
    /// What it speaks.
    pub(super) kind: Kind,
    /// How.
    pub(super) spec: Spec,
    /// Where its segments are looked up.
    pub(super) scope: Scope,
    /// Who is behind it.
    pub(super) members: Members,
    /// All of them.
    pub(super) peers: Vec<PeerId>,
    /// The members of a group by address.
    pub(super) by_address: HashMap<IpAddr, PeerId>,
    /// How its frames travel, unless they leave as they are.
    pub(super) path: Option<Path>,
}

/// How a tunnel's packets travel.
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
pub(super) struct Sides<'p, 'c> {
    pub(super) peers: &'p Table<'c, Side>,
    pub(super) groups: &'p Table<'c, Side>,
    pub(super) ports: &'p Table<'c, Side>,
}

impl<'p> Sides<'p, '_> {
    /// The peer, or the tags of a port, with this number.
    pub(super) fn of(self, peer: PeerId) -> Option<&'p Side> {
        let rows = self.peers.rows().chain(self.ports.rows());
        rows.filter_map(|row| row.thing.as_ref()).find(|side| side.members == Members::One(peer))
    }

    /// What an attachment is attached to. It must name exactly one thing.
    pub(super) fn find<V>(self, name: Name<'_>, config: &Attachment<V>, report: &mut Report) -> Option<&'p Side> {
        let stated = [
            ("peer", config.peer.as_ref(), self.peers),
            ("group", config.group.as_ref(), self.groups),
            ("port", config.port.as_ref(), self.ports),
        ];
        let mut stated = stated.into_iter().filter_map(|(field, at, table)| Some((field, at?, table)));
        let Some((field, at, table)) = stated.next() else {
            // A field that is misspelt has been reported, and may be this one.
            if !report.has_errors_in(name.extent) {
                let message = format!("attachment `{}` does not say what it is attached to", name.text);
                report.error(name.span, message, "add one of `peer`, `group` and `port`");
            }
            return None;
        };
        if let Some((second, other, _)) = stated.next() {
            let message = format!("attachment `{}` has both a {field} and a {second}", name.text);
            report.error(other.span, message, "an attachment has one of them; make two attachments");
            return None;
        }
        if let Some((other, name)) = at.get().filter(|name| !table.has(name)).and_then(|name| self.other(name)) {
            report.error(at.span, format!("`{name}` is a {other}, not a {field}"), format!("write `{other}: {name}`"));
            return None;
        }
        table.find(at, report)
    }

    /// Of which kind the thing with this name is.
    fn other(self, name: &str) -> Option<(&'static str, &str)> {
        let kinds = [("peer", self.peers), ("group", self.groups), ("port", self.ports)];
        kinds.into_iter().find(|(_, table)| table.has(name)).map(|(kind, _)| (kind, name))
    }
}
