//! Names: what the numbers of the tables are called.

use std::borrow::Cow;
use std::sync::Arc;

use crate::forwarding::{AttachmentId, DomainId, MappingId, PeerId, PortId, RowId, Slab, Target};

/// The names of the numbers of a [`Forwarding`](crate::forwarding::Forwarding).
#[derive(Debug, Clone, Default)]
pub struct Names {
    ports: Slab<PortId, String>,
    peers: Slab<PeerId, String>,
    /// Shared, since learned peers change the names, and they are many.
    domains: Arc<Slab<DomainId, DomainNames>>,
    /// The names of the attachments of the tenant that was named last.
    attachments: AttachmentNames,
    mappings: Slab<MappingId, String>,
}

#[derive(Debug, Clone, Default)]
struct DomainNames {
    name: String,
    attachments: AttachmentNames,
}

/// By number. Tenants that follow one another often have attachments of the same names, and share them.
type AttachmentNames = Arc<Slab<AttachmentId, String>>;

impl Names {
    /// The name of a port.
    #[must_use]
    pub fn port(&self, id: PortId) -> Cow<'_, str> {
        known_or("port", u32::from(id.number()), self.ports.get(id))
    }

    /// The port of this name.
    #[must_use]
    pub fn port_id(&self, name: &str) -> Option<PortId> {
        find(&self.ports, |port| port == name)
    }

    /// Every port and its name.
    pub fn ports(&self) -> impl Iterator<Item = (PortId, &str)> {
        named(&self.ports)
    }

    /// The name of a peer: as configured, `GROUP/ADDRESS` for a member of a group, or the port whose tags it stands
    /// for.
    #[must_use]
    pub fn peer(&self, id: PeerId) -> Cow<'_, str> {
        known_or("peer", id.number(), self.peers.get(id))
    }

    /// Every peer and its name.
    pub fn peers(&self) -> impl Iterator<Item = (PeerId, &str)> {
        named(&self.peers)
    }

    /// The name of a tenant.
    #[must_use]
    pub fn domain(&self, id: DomainId) -> Cow<'_, str> {
        let names = self.domains.get(id);
        names.map_or_else(|| format!("tenant {}", id.number()).into(), |names| names.name.as_str().into())
    }

    /// The tenant of this name.
    #[must_use]
    pub fn domain_id(&self, name: &str) -> Option<DomainId> {
        find(&self.domains, |domain| domain.name == name)
    }

    /// Every tenant and its name.
    pub fn domains(&self) -> impl Iterator<Item = (DomainId, &str)> {
        self.domains.iter().map(|(id, domain)| (id, domain.name.as_str()))
    }

    /// The name of a tenant's attachment.
    #[must_use]
    pub fn attachment(&self, domain: DomainId, id: AttachmentId) -> Cow<'_, str> {
        let names = self.domains.get(domain);
        known_or("attachment", u32::from(id.number()), names.and_then(|names| names.attachments.get(id)))
    }

    /// The names of a place: tenant, attachment, and peer; `None` if one of them has none.
    #[must_use]
    pub fn place(&self, domain: DomainId, target: Target) -> Option<[&str; 3]> {
        let tenant = self.domains.get(domain)?;
        let attachment = tenant.attachments.get(target.attachment)?;
        Some([&tenant.name, attachment, self.peers.get(target.peer)?])
    }

    /// The name of a mapping.
    #[must_use]
    pub fn mapping(&self, id: MappingId) -> Cow<'_, str> {
        known_or("mapping", id.number(), self.mappings.get(id))
    }

    /// Every mapping and its name.
    pub fn mappings(&self) -> impl Iterator<Item = (MappingId, &str)> {
        named(&self.mappings)
    }

    pub(super) fn set_mapping(&mut self, id: MappingId, name: &str) {
        self.mappings.insert(id, name.to_owned());
    }

    pub(super) fn set_port(&mut self, id: PortId, name: &str) {
        self.ports.insert(id, name.to_owned());
    }

    /// Names a peer, also one that was learned.
    pub fn set_peer(&mut self, id: PeerId, name: String) {
        self.peers.insert(id, name);
    }

    pub(super) fn set_domain(&mut self, id: DomainId, name: &str) {
        name.clone_into(&mut Arc::make_mut(&mut self.domains).get_or_default(id).name);
    }

    /// The names of all attachments of a tenant.
    pub(super) fn set_attachments<'n>(
        &mut self,
        domain: DomainId,
        names: impl Iterator<Item = (AttachmentId, &'n str)> + Clone,
    ) {
        let is_named = |(id, name): (AttachmentId, &str)| self.attachments.get(id).is_some_and(|known| known == name);
        let count = self.attachments.values().count();
        if names.clone().count() != count || !names.clone().all(is_named) {
            self.attachments = Arc::new(names.map(|(id, name)| (id, name.to_owned())).collect());
        }
        Arc::make_mut(&mut self.domains).get_or_default(domain).attachments = Arc::clone(&self.attachments);
    }
}

fn known_or<'n>(kind: &str, number: u32, name: Option<&'n String>) -> Cow<'n, str> {
    name.map_or_else(|| format!("{kind} {number}").into(), Into::into)
}

fn find<Id: RowId, T>(names: &Slab<Id, T>, is_it: impl Fn(&T) -> bool) -> Option<Id> {
    names.iter().find(|(_, name)| is_it(name)).map(|(id, _)| id)
}

fn named<Id: RowId>(names: &Slab<Id, String>) -> impl Iterator<Item = (Id, &str)> {
    names.iter().map(|(id, name)| (id, name.as_str()))
}
