//! Places of tenants and their attachments in the file: one place for all tenants of a pattern.

use crate::config::Span;
use crate::forwarding::{DomainId, Slab};

/// The place of every tenant.
#[derive(Default)]
pub(super) struct Written<'c> {
    entries: Vec<WrittenEntry<'c>>,
    /// The entry of a tenant.
    of: Slab<DomainId, EntryId>,
}

/// The number of an entry.
#[derive(Debug, Clone, Copy)]
pub(super) struct EntryId(u32);

/// A tenant or a pattern of the file.
struct WrittenEntry<'c> {
    span: Span,
    /// By name.
    attachments: Vec<(&'c str, Span)>,
}

impl<'c> Written<'c> {
    /// Adds a tenant or a pattern: where its name stands, and the IDs of its attachments.
    pub(super) fn add(&mut self, span: Span, attachments: impl Iterator<Item = (&'c str, Span)>) -> EntryId {
        let mut attachments: Vec<_> = attachments.collect();
        attachments.sort_unstable();
        self.entries.push(WrittenEntry { span, attachments });
        EntryId(self.entries.len() as u32 - 1)
    }

    /// Sets the place of a tenant.
    pub(super) fn set(&mut self, domain: DomainId, entry: EntryId) {
        self.of.insert(domain, entry);
    }

    /// The place of the name of a tenant, or of its pattern.
    pub(super) fn tenant(&self, domain: DomainId) -> Option<Span> {
        self.entry(domain).map(|entry| entry.span)
    }

    /// The attachment of this name, and where its ID stands.
    pub(super) fn attachment(&self, domain: DomainId, name: &str) -> Option<(&'c str, Span)> {
        let attachments = &self.entry(domain)?.attachments;
        let at = attachments.binary_search_by_key(&name, |(name, _)| name).ok()?;
        attachments.get(at).copied()
    }

    fn entry(&self, domain: DomainId) -> Option<&WrittenEntry<'c>> {
        let EntryId(at) = *self.of.get(domain)?;
        self.entries.get(at as usize)
    }
}
