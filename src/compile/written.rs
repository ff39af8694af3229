//! Where tenants and their attachments are written: in one place for all tenants of a pattern.

use super::names::slot;
use crate::config::Span;
use crate::forwarding::DomainId;

/// Where every tenant is written.
#[derive(Default)]
pub(super) struct Written<'c> {
    entries: Vec<Entry<'c>>,
    /// The entry of a tenant, by domain.
    of: Vec<Option<EntryId>>,
}

/// The number of an entry.
#[derive(Debug, Clone, Copy)]
pub(super) struct EntryId(u32);

/// A tenant or a pattern of the file.
struct Entry<'c> {
    span: Span,
    /// By name.
    attachments: Vec<(&'c str, Span)>,
}

impl<'c> Written<'c> {
    /// A tenant or a pattern, where its name stands, and the IDs of its attachments.
    pub(super) fn add(&mut self, span: Span, attachments: impl Iterator<Item = (&'c str, Span)>) -> EntryId {
        let mut attachments: Vec<_> = attachments.collect();
        attachments.sort_unstable();
        self.entries.push(Entry { span, attachments });
        EntryId(self.entries.len() as u32 - 1)
    }

    /// A tenant is written there.
    pub(super) fn set(&mut self, domain: DomainId, entry: EntryId) {
        *slot(&mut self.of, domain.0 as usize) = Some(entry);
    }

    /// Where a tenant, or its pattern, has its name.
    pub(super) fn tenant(&self, domain: DomainId) -> Option<Span> {
        self.entry(domain).map(|entry| entry.span)
    }

    /// The attachment of this name, and where its ID stands.
    pub(super) fn attachment(&self, domain: DomainId, name: &str) -> Option<(&'c str, Span)> {
        let attachments = &self.entry(domain)?.attachments;
        let at = attachments.binary_search_by_key(&name, |(name, _)| name).ok()?;
        attachments.get(at).copied()
    }

    fn entry(&self, domain: DomainId) -> Option<&Entry<'c>> {
        let EntryId(at) = (*self.of.get(domain.0 as usize)?)?;
        self.entries.get(at as usize)
    }
}
