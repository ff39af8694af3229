//! Drafts: a tenant, or a pattern of tenants, as far as it is the same for every one of them.
//!
//! References, inner tags, split horizons and policies are compiled once; for each of a pattern's hundred thousand
//! tenants only the IDs are left to compute.

use super::attachments::AttachmentDraft;
use super::bum_limits;
use super::context::Context;
use super::findings::Findings;
use super::horizons::Horizons;
use super::origins::Noun;
use super::policies;
use super::sides::FarSides;
use super::statics::{self, Known, StaticDraft};
use super::table::check_name;
use crate::config::{IdNumbers, Name, Offset, Span, Tenant};
use crate::forwarding::{AttachmentId, Domain, DomainId, MAX_ATTACHMENTS};

/// A tenant, or a pattern of them.
pub(super) struct TenantDraft<'p, 'c, V> {
    /// "tenant", "pattern"
    noun: &'static str,
    name: Name<'c>,
    config: &'c Tenant<V>,
    /// The attachments of which everything but the number is right.
    pub(super) attachments: Vec<AttachmentDraft<'p, 'c, V>>,
    /// Number of attachments in the file.
    stated: usize,
    pub(super) statics: Vec<StaticDraft>,
    horizons: Horizons<'c>,
    /// The policies, in a domain without attachments.
    pub(super) policies: Domain,
}

impl<'p, 'c, V> TenantDraft<'p, 'c, V> {
    pub(super) fn new(
        noun: &'static str,
        name: Name<'c>,
        config: &'c Tenant<V>,
        sides: FarSides<'p, 'c>,
        findings: &mut Findings,
    ) -> Self {
        let policies = policies::of(config, findings);
        let (attachments, known, horizons) = (Vec::new(), Known::new(), Horizons::default());
        let stated = config.attachments.len();
        let mut draft = Self { noun, name, config, attachments, stated, statics: Vec::new(), horizons, policies };
        if stated > MAX_ATTACHMENTS {
            let message = format!("{noun} `{}` has more than {MAX_ATTACHMENTS} attachments", name.text);
            findings.error(name.span, message, "use groups, or several tenants");
        } else {
            draft.fill(known, sides, findings);
        }
        draft
    }

    fn fill(&mut self, mut known: Known<'c, 'p>, sides: FarSides<'p, 'c>, findings: &mut Findings) {
        for (name, config) in self.config.attachments.iter() {
            check_name("attachment", name, findings);
            let draft =
                config.and_then(|config| AttachmentDraft::new(name, config, sides, &mut self.horizons, findings));
            known.insert(name.text, draft.as_ref().map(|draft| (self.attachments.len(), draft.side)));
            self.attachments.extend(draft);
        }
        self.statics = statics::compile(self.config, &known, findings);
    }

    /// Where the IDs of its attachments stand.
    pub(super) fn places(&self) -> impl Iterator<Item = (&'c str, Span)> {
        self.attachments.iter().map(|draft| (draft.name.text, draft.span))
    }

    /// The identities of its attachments, by which they keep their numbers.
    pub(super) fn identities(&self) -> Vec<&str> {
        self.attachments.iter().map(|draft| draft.identity.as_str()).collect()
    }

    /// Whether no attachment is left that could be compiled, whatever the number.
    pub(super) fn is_all_broken(&self) -> bool {
        let is_lost = |draft: &AttachmentDraft<'_, '_, V>| draft.broken.as_ref().is_some_and(|it| !it.is_of_a_number());
        self.stated > 0 && self.attachments.iter().all(is_lost)
    }

    /// Warns, once it is compiled, about what bridges nothing.
    pub(super) fn warn(&self, findings: &mut Findings) {
        if self.attachments.len() < self.stated || self.attachments.iter().any(|draft| draft.broken.is_some()) {
            return;
        }
        self.horizons.warn_of_lone_horizons(findings);
        bum_limits::warn((self.noun, self.name), (self.config, &self.policies), &self.attachments, findings);
        let (noun, name) = (self.noun, self.name.text);
        let message = match self.stated {
            0 => format!("{noun} `{name}` has no attachments"),
            1 => format!("{noun} `{name}` has one attachment, so nothing is bridged"),
            _ if self.horizons.count() == 1 => {
                format!("all attachments of {noun} `{name}` are in one split horizon, so nothing is bridged")
            }
            _ => return,
        };
        findings.warning(self.name.span, message, "a tenant joins two attachments or more");
    }
}

impl TenantDraft<'_, '_, IdNumbers<u64>> {
    /// Keeps the places of a tenant that the file has by name; `numbers` are those of its attachments.
    pub(super) fn note_stated(&self, id: DomainId, numbers: &[AttachmentId], context: &mut Context<'_>) {
        context.note(Noun::Tenant(id), self.name.span);
        context.note_stated(Noun::Learning(id), self.config.learning.as_ref());
        context.note_stated(Noun::UnknownUnicast(id), self.config.unknown_unicast.as_ref());
        context.note_stated(Noun::Bum(id), self.config.limits.bum.as_ref());
        context.note_stated(Noun::Macs(id), self.config.limits.macs.as_ref());
        for at in &self.config.statics {
            if let Some(mac) = at.get().and_then(|config| config.mac.value()) {
                context.note(Noun::Static(id, mac.0), at.span);
            }
        }
        for (draft, &number) in self.attachments.iter().zip(numbers) {
            context.note(Noun::Attachment(id, number), draft.name.span);
            context.note_stated(Noun::InnerTags(id, number), draft.config.inner_tags.as_ref());
            context.note_stated(Noun::SplitHorizon(id, number), draft.config.split_horizon.as_ref());
        }
    }
}

impl TenantDraft<'_, '_, IdNumbers<Offset>> {
    /// Keeps the places of a pattern's tenant, which are those of its IDs; `numbers` are those of its attachments.
    pub(super) fn note_numbered(&self, id: DomainId, numbers: &[AttachmentId], context: &mut Context<'_>) {
        if let Some(first) = self.attachments.iter().map(|draft| draft.span).min() {
            context.note(Noun::Tenant(id), first);
        }
        for (draft, &number) in self.attachments.iter().zip(numbers) {
            context.note(Noun::Attachment(id, number), draft.span);
        }
    }
}
