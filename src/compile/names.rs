//! Names for numbers: what people call the things that the data plane counts.

use std::borrow::Cow;
use std::sync::Arc;

use crate::forwarding::{AttachmentId, DomainId, MappingId, PeerId, PortId};

/// What the numbers of a [`Forwarding`](crate::forwarding::Forwarding) are called.
#[derive(Debug, Clone, Default)]
pub struct Names {
    ports: Vec<Option<String>>,
    peers: Vec<Option<String>>,
    /// Shared, since learned peers change the names, and they are many.
    domains: Arc<Vec<Option<DomainNames>>>,
    /// Those of the tenant that was named last.
    attachments: AttachmentNames,
    mappings: Vec<Option<String>>,
}

#[derive(Debug, Clone, Default)]
struct DomainNames {
    name: String,
    attachments: AttachmentNames,
}

/// By number. Tenants that follow one another often have attachments of the same names, and share them.
type AttachmentNames = Arc<Vec<Option<String>>>;

impl Names {
    /// The name of a port.
    #[must_use]
    pub fn port(&self, id: PortId) -> Cow<'_, str> {
        known_or("port", u32::from(id.0), self.ports.get(usize::from(id.0)))
    }

    /// The port of this name.
    #[must_use]
    pub fn port_id(&self, name: &str) -> Option<PortId> {
        find(&self.ports, |port| port == name).map(|at| PortId(at as u16))
    }

    /// Every port and its name.
    pub fn ports(&self) -> impl Iterator<Item = (PortId, &str)> {
        named(&self.ports).map(|(at, name)| (PortId(at as u16), name))
    }

    /// The name of a peer: as configured, `GROUP/ADDRESS` for a member of a group, or the port whose tags it stands
    /// for.
    #[must_use]
    pub fn peer(&self, id: PeerId) -> Cow<'_, str> {
        known_or("peer", id.0, self.peers.get(id.0 as usize))
    }

    /// Every peer and its name.
    pub fn peers(&self) -> impl Iterator<Item = (PeerId, &str)> {
        named(&self.peers).map(|(at, name)| (PeerId(at as u32), name))
    }

    /// The name of a tenant.
    #[must_use]
    pub fn domain(&self, id: DomainId) -> Cow<'_, str> {
        let names = self.domains.get(id.0 as usize).and_then(Option::as_ref);
        names.map_or_else(|| format!("tenant {}", id.0).into(), |names| names.name.as_str().into())
    }

    /// The tenant of this name.
    #[must_use]
    pub fn domain_id(&self, name: &str) -> Option<DomainId> {
        find(&self.domains, |domain| domain.name == name).map(|at| DomainId(at as u32))
    }

    /// Every tenant and its name.
    pub fn domains(&self) -> impl Iterator<Item = (DomainId, &str)> {
        let domains = self.domains.iter().enumerate();
        domains.filter_map(|(at, domain)| Some((DomainId(at as u32), domain.as_ref()?.name.as_str())))
    }

    /// The name of a tenant's attachment.
    #[must_use]
    pub fn attachment(&self, domain: DomainId, id: AttachmentId) -> Cow<'_, str> {
        let names = self.domains.get(domain.0 as usize).and_then(Option::as_ref);
        known_or("attachment", u32::from(id.0), names.and_then(|names| names.attachments.get(usize::from(id.0))))
    }

    /// The name of a mapping.
    #[must_use]
    pub fn mapping(&self, id: MappingId) -> Cow<'_, str> {
        known_or("mapping", id.0, self.mappings.get(id.0 as usize))
    }

    /// Every mapping and its name.
    pub fn mappings(&self) -> impl Iterator<Item = (MappingId, &str)> {
        named(&self.mappings).map(|(at, name)| (MappingId(at as u32), name))
    }

    pub(super) fn set_mapping(&mut self, id: MappingId, name: &str) {
        *slot(&mut self.mappings, id.0 as usize) = Some(name.to_owned());
    }

    pub(super) fn set_port(&mut self, id: PortId, name: &str) {
        *slot(&mut self.ports, usize::from(id.0)) = Some(name.to_owned());
    }

    /// Names a peer, also one that was learned.
    pub fn set_peer(&mut self, id: PeerId, name: String) {
        *slot(&mut self.peers, id.0 as usize) = Some(name);
    }

    pub(super) fn set_domain(&mut self, id: DomainId, name: &str) {
        name.clone_into(&mut slot(Arc::make_mut(&mut self.domains), id.0 as usize).get_or_insert_default().name);
    }

    /// The names of all attachments of a tenant.
    pub(super) fn set_attachments<'n>(
        &mut self,
        domain: DomainId,
        names: impl Iterator<Item = (AttachmentId, &'n str)> + Clone,
    ) {
        let is_named = |(id, name): (AttachmentId, &str)| {
            self.attachments.get(usize::from(id.0)).is_some_and(|known| known.as_deref() == Some(name))
        };
        let count = self.attachments.iter().flatten().count();
        if names.clone().count() != count || !names.clone().all(is_named) {
            let mut table = Vec::new();
            for (id, name) in names {
                *slot(&mut table, usize::from(id.0)) = Some(name.to_owned());
            }
            self.attachments = Arc::new(table);
        }
        let row = slot(Arc::make_mut(&mut self.domains), domain.0 as usize).get_or_insert_default();
        row.attachments = Arc::clone(&self.attachments);
    }
}

fn known_or<'n>(kind: &str, number: u32, name: Option<&'n Option<String>>) -> Cow<'n, str> {
    match name {
        Some(Some(name)) => name.into(),
        _ => format!("{kind} {number}").into(),
    }
}

fn find<T>(names: &[Option<T>], is_it: impl Fn(&T) -> bool) -> Option<usize> {
    names.iter().position(|name| name.as_ref().is_some_and(&is_it))
}

fn named(names: &[Option<String>]) -> impl Iterator<Item = (usize, &str)> {
    names.iter().enumerate().filter_map(|(at, name)| Some((at, name.as_deref()?)))
}

/// The place of a number in a table, which grows to hold it.
pub(super) fn slot<T: Default>(table: &mut Vec<T>, at: usize) -> &mut T {
    if table.len() <= at {
        table.resize_with(at + 1, T::default);
    }
    &mut table[at]
}
