//! Tenants: one bridge domain each, its attachments and policies.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use transload_encaps::{Compiled, Segment};

use super::attachments::{AttachmentDraft, StatedNumber};
use super::claims::Segments;
use super::context::Context;
use super::control;
use super::drafts::TenantDraft;
use super::patterns;
use super::plan::Static;
use super::room::Room;
use super::sent::{self, SentSegment};
use super::sides::{FarSide, FarSides};
use super::specs;
use super::table::check_name;
use crate::config::{File, IdNumbers, Name, Offset, Span, Tenant};
use crate::forwarding::{
    self, AttachmentId, Claim, Domain, DomainId, FileTables, MAX_ATTACHMENTS, MAX_DOMAINS, Peer, PeerId, RowId, Slab,
};

#[derive(Default)]
pub(super) struct TenantSection<'c> {
    pub(super) forwarding: Slab<DomainId, Domain>,
    pub(super) segments: Segments<'c>,
    pub(super) statics: Vec<Static>,
    /// The attachments that send with another ID than they receive.
    pub(super) ids_apart: BTreeSet<Claim>,
}

/// The pass over the tenants.
pub(super) struct TenantPass<'p, 'n, 'c> {
    pub(super) sides: FarSides<'p, 'c>,
    /// By number; they learn which segments are used.
    pub(super) peers: &'p mut Slab<PeerId, Peer>,
    pub(super) room: &'p mut Room<'c>,
    /// What is sent with IDs that are not those of what is received; empty before the pass.
    pub(super) sent: Vec<SentSegment>,
    /// The tables before a reload, whose tenants' state goes on.
    pub(super) previous: Option<&'p FileTables>,
    pub(super) context: &'p mut Context<'n>,
}

impl<'c> TenantPass<'_, '_, 'c> {
    /// All tenants: first those with a name of their own, then those of patterns whose name is still free.
    pub(super) fn compile(mut self, file: &'c File) -> TenantSection<'c> {
        let mut all = TenantSection::default();
        for (name, config) in file.tenants.iter() {
            check_name("tenant", name, &mut self.context.findings);
            let Some(id) = self.number(name.text, name.span) else { break };
            if let Some(config) = config {
                self.stated(id, name, config, &mut all);
            }
        }
        let stated = file.tenants.iter().map(|(name, _)| name.text).collect();
        for (name, config) in file.patterns.iter() {
            if let Some(config) = config {
                self.pattern(name, config, &stated, &mut all);
            }
        }
        all.ids_apart = self.sent.iter().map(|sent| sent.claim).collect();
        sent::check(self.sent, &all.segments, &all.forwarding, self.context);
        all
    }

    /// A tenant that the file has by name.
    fn stated(&mut self, id: DomainId, name: Name<'c>, config: &'c Tenant, all: &mut TenantSection<'c>) {
        if let Some(at) = &config.numbers {
            let message = format!("tenant `{}` has `for`, which only patterns have", name.text);
            self.context.findings.error(at.span, message, "move the tenant to `patterns:`");
        }
        let mut draft = TenantDraft::new("tenant", name, config, self.sides, &mut self.context.findings);
        let entry = all.segments.written.add(name.span, draft.places());
        all.segments.written.set(id, entry);
        let numbers = self.domain(id, &mut draft, 0, all);
        draft.warn(&mut self.context.findings);
        draft.note_stated(id, &numbers, self.context);
    }

    /// A pattern of tenants.
    fn pattern(
        &mut self,
        name: Name<'c>,
        config: &'c Tenant<IdNumbers<Offset>>,
        stated: &HashSet<&'c str>,
        all: &mut TenantSection<'c>,
    ) {
        let numbered = patterns::numbered(name, config, &mut self.context.findings);
        let mut draft = TenantDraft::new("pattern", name, config, self.sides, &mut self.context.findings);
        if let Some(numbered) = numbered {
            self.numbered(&numbered, &mut draft, stated, all);
            draft.warn(&mut self.context.findings);
        }
    }

    /// The tenants of a pattern, but for those that are stated, up to the first number at which all is lost.
    fn numbered(
        &mut self,
        numbered: &patterns::PatternTenants<'c>,
        draft: &mut TenantDraft<'_, 'c, IdNumbers<Offset>>,
        stated: &HashSet<&'c str>,
        all: &mut TenantSection<'c>,
    ) {
        let span = numbered.span();
        let entry = all.segments.written.add(span, draft.places());
        // The finding that a name is another pattern's, and how many more are.
        let mut taken = None;
        for n in numbered.numbers() {
            let name = numbered.name(n);
            if stated.contains(name.as_str()) {
                continue;
            }
            let Some(id) = self.number(&name, span) else { break };
            if let Some(first) = all.segments.written.tenant(id) {
                let findings = &mut self.context.findings;
                if let Some((_, more)) = &mut taken {
                    *more += 1;
                    continue;
                }
                taken = Some((findings.count(), 0));
                findings.set_subject("");
                let message =
                    format!("tenant `{name}` is already one of the pattern on {}", findings.line(first, span));
                let help = "a tenant belongs to one pattern; change one of the ranges";
                findings.conflict(span, first, "the other", message, help);
                continue;
            }
            all.segments.written.set(id, entry);
            self.context.findings.set_subject(&name);
            let numbers = self.domain(id, draft, n, all);
            draft.note_numbered(id, &numbers, self.context);
            if draft.is_all_broken() {
                break;
            }
        }
        let findings = &mut self.context.findings;
        findings.set_subject("");
        draft.attachments.iter().for_each(|draft| draft.tell_more(findings));
        if let Some((finding, more)) = taken {
            findings.and_more(finding, more);
        }
    }

    /// The number of a tenant, if one is left.
    fn number(&mut self, name: &str, span: Span) -> Option<DomainId> {
        let id = self.context.numbers.domain(name);
        if id.index() >= MAX_DOMAINS {
            self.context.findings.error(span, format!("a gateway has at most {MAX_DOMAINS} tenants"), "use fewer");
            return None;
        }
        self.context.names.set_domain(id, name);
        Some(id)
    }

    /// Compiles a draft for one tenant, whose number in a pattern is `n`; returns the numbers of its attachments.
    fn domain<V: StatedNumber>(
        &mut self,
        id: DomainId,
        draft: &mut TenantDraft<'_, 'c, V>,
        n: u64,
        all: &mut TenantSection<'c>,
    ) -> Arc<[AttachmentId]> {
        let numbers = self.context.numbers.attachments(id, &draft.identities());
        let names = numbers.iter().zip(&draft.attachments).map(|(number, draft)| (*number, draft.name.text));
        self.context.names.set_attachments(id, names);
        let mut attachments = Slab::with_capacity(draft.attachments.len());
        let mut places = Vec::with_capacity(draft.attachments.len());
        for (draft, &number) in draft.attachments.iter_mut().zip(&*numbers) {
            let claim = Claim { domain: id, attachment: number };
            let before = self.context.findings.count();
            self.context.findings.mute(draft.broken.is_some());
            let made = self.attachment(claim, draft, n, &mut all.segments);
            self.context.findings.mute(false);
            if made.is_none() {
                draft.fails(before, &self.context.findings);
            }
            places.push(made.as_ref().map(|_| number));
            if let Some(attachment) = made {
                attachments.insert(number, attachment);
            }
        }
        control::pass_on(draft.attachments.iter().zip(&*numbers), &mut attachments);
        all.statics.extend(draft.statics.iter().filter_map(|fixed| fixed.at(id, &places)));
        let state = self.previous.and_then(|before| before.domain(id)).map(|domain| Arc::clone(&domain.state));
        let domain = Domain { attachments, state: state.unwrap_or_default(), ..draft.policies.clone() };
        all.forwarding.insert(id, domain);
        numbers
    }

    fn attachment<V: StatedNumber>(
        &mut self,
        claim: Claim,
        draft: &AttachmentDraft<'_, 'c, V>,
        n: u64,
        segments: &mut Segments<'c>,
    ) -> Option<forwarding::Attachment> {
        let (all, segment) = draft.segments(n, &mut self.context.findings)?;
        let &received = all.first()?;
        if claim.attachment.index() >= MAX_ATTACHMENTS {
            // Those of the configuration before it are still in the FDB.
            let message = "too many attachments of this tenant change in one reload";
            self.context.findings.error(draft.name.span, message, "change fewer of them at once");
            return None;
        }
        for one in all {
            if !segments.claim(draft.side, one, (claim, draft.span), self.context) {
                return None;
            }
            self.claim(draft.side, (one, received), draft.span, segments)?;
        }
        if segment != received {
            self.sent.push(SentSegment::new(draft.side, segment, claim, draft.sent_span()));
        }
        self.room.check(draft.side, segment, &mut self.context.findings);
        let AttachmentDraft { inner_tags, l2cp, horizon, .. } = *draft;
        let before = self.previous.and_then(|before| before.domain(claim.domain)?.attachment(claim.attachment));
        let bum_due = before.map(|before| Arc::clone(&before.bum_due)).unwrap_or_default();
        let (members, relayed) = (draft.side.members, control::relayed(l2cp, draft.side.kind, received));
        Some(forwarding::Attachment { segment, received, members, inner_tags, relayed, horizon, bum_due })
    }

    /// Tells the peers which segment is used, by an attachment whose first one is `first`; they may not be able to tell
    /// it from another.
    fn claim(
        &mut self,
        side: &FarSide,
        (segment, first): (Segment, Segment),
        span: Span,
        segments: &Segments<'c>,
    ) -> Option<()> {
        let Err(error) = side.claim(segment, first, self.peers) else { return Some(()) };
        let Context { names, findings, .. } = &mut *self.context;
        let Some(rival) = segments.rival(side, segment, Compiled::claim, names) else {
            specs::report(span, &error, findings);
            return None;
        };
        if rival.span == span {
            findings.error(span, error.message, "write each number once");
            return None;
        }
        let (line, tenant) = (findings.line(rival.span, span), names.domain(rival.domain));
        let other = format!("the other is attachment `{}` of tenant `{tenant}` ({line})", rival.attachment);
        let help = "give one of the two attachments different tags";
        findings.conflict(span, rival.span, "the other", format!("{}; {other}", error.message), help);
        None
    }
}
