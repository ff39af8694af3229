//! Tenants: one bridge domain each, its attachments and policies.

use std::collections::HashSet;
use std::sync::Arc;

use transload_encaps::{Mac, Segment};

use super::attachments::{self, Number};
use super::claims::Segments;
use super::drafts::{Draft, Way};
use super::fit::Room;
use super::names::{Names, slot};
use super::numbers::Numbers;
use super::patterns;
use super::plan::Static;
use super::ports::Ports;
use super::report::{Report, check_name};
use super::sides::{Side, Sides};
use super::specs;
use crate::config::{Named, Offset, Span, Tenant};
use crate::forwarding::{self, Claim, Domain, DomainId, Forwarding, MAX_ATTACHMENTS, MAX_DOMAINS, Peer};

#[derive(Default)]
pub(super) struct Domains<'c> {
    pub(super) forwarding: Vec<Option<Domain>>,
    pub(super) segments: Segments<'c>,
    pub(super) statics: Vec<Static>,
}

/// What the pass over the tenants works with.
pub(super) struct Pass<'p, 'c> {
    pub(super) ports: &'p Ports<'c>,
    pub(super) sides: Sides<'p, 'c>,
    /// By number; they learn which segments are claimed.
    pub(super) peers: &'p mut [Option<Peer>],
    pub(super) previous: Option<&'p Forwarding>,
    pub(super) numbers: &'p mut Numbers,
    pub(super) names: &'p mut Names,
    pub(super) report: &'p mut Report,
    pub(super) room: Room,
}

impl<'c> Pass<'_, 'c> {
    /// All tenants: first those with a name of their own, then those of patterns whose name is still free.
    pub(super) fn compile(mut self, tenants: &'c Named<Tenant>, patterns: &'c Named<Tenant<Offset>>) -> Domains<'c> {
        let mut all = Domains::default();
        for (name, config) in tenants.iter() {
            check_name("tenant", name, self.report);
            let Some(id) = self.number(name.text, name.span) else { break };
            let Some(config) = config else { continue };
            if let Some(at) = &config.numbers {
                let message = format!("`for` makes a pattern of tenant `{}`", name.text);
                self.report.error(at.span, message, "move the tenant to `patterns:`");
            }
            let mut draft = Draft::new("tenant", name, config, self.sides, self.report);
            let entry = all.segments.written.add(name.span, draft.places());
            all.segments.written.set(id, entry);
            self.domain(id, &mut draft, 0, &mut all);
            draft.warn(self.report);
        }
        let stated = tenants.iter().map(|(name, _)| name.text).collect();
        for (name, config) in patterns.iter() {
            let Some(config) = config else { continue };
            let numbered = patterns::numbered(name, config, self.report);
            let mut draft = Draft::new("pattern", name, config, self.sides, self.report);
            if let Some(numbered) = numbered {
                self.numbered(&numbered, &mut draft, &stated, &mut all);
                draft.warn(self.report);
            }
        }
        all
    }

    /// The tenants of a pattern, but for those that are stated, up to the first number at which all is lost.
    fn numbered(
        &mut self,
        numbered: &patterns::Numbered<'c>,
        draft: &mut Draft<'_, 'c, Offset>,
        stated: &HashSet<&'c str>,
        all: &mut Domains<'c>,
    ) {
        let span = numbered.span();
        let entry = all.segments.written.add(span, draft.places());
        for n in numbered.numbers() {
            let name = numbered.name(n);
            if stated.contains(name.as_str()) {
                continue;
            }
            let Some(id) = self.number(&name, span) else { break };
            if let Some(first) = all.segments.written.tenant(id) {
                let line = self.report.line(first, span);
                let message = format!("tenant `{name}` is already one of the pattern on {line}");
                self.report.conflict(span, first, "the other", message, "a tenant has one pattern; change a range");
                break;
            }
            all.segments.written.set(id, entry);
            self.report.speak_of(&name);
            self.domain(id, draft, n, all);
            if draft.is_hopeless() {
                break;
            }
        }
        self.report.speak_of("");
    }

    /// The number of a tenant, if one is left.
    fn number(&mut self, name: &str, span: Span) -> Option<DomainId> {
        let id = self.numbers.domain(name);
        if id.0 as usize >= MAX_DOMAINS {
            self.report.error(span, format!("a gateway has at most {MAX_DOMAINS} tenants"), "use fewer");
            return None;
        }
        self.names.set_domain(id, name);
        Some(id)
    }

    /// Compiles a draft for one tenant, whose number in a pattern is `n`.
    fn domain<V: Number>(&mut self, id: DomainId, draft: &mut Draft<'_, 'c, V>, n: u64, all: &mut Domains<'c>) {
        let numbers = self.numbers.attachments(id, &draft.identities());
        let names = numbers.iter().zip(&draft.ways).map(|(number, way)| (*number, way.name.text));
        self.names.set_attachments(id, names);
        let mut attachments = Vec::with_capacity(draft.ways.len());
        let mut places = Vec::with_capacity(draft.ways.len());
        for (way, &number) in draft.ways.iter_mut().zip(&*numbers) {
            let claim = Claim { domain: id, attachment: number };
            let made = if way.is_broken { None } else { self.attachment(claim, way, n, &mut all.segments) };
            way.is_broken = made.is_none();
            places.push(made.as_ref().map(|_| number));
            if let Some(attachment) = made {
                *slot(&mut attachments, usize::from(number.0)) = Some(attachment);
            }
        }
        all.statics.extend(draft.statics.iter().filter_map(|fixed| fixed.at(id, &places)));
        let state = self.previous.and_then(|before| before.domain(id)).map(|domain| Arc::clone(&domain.state));
        // The whole gateway decides about it, once it is known.
        let mac = Mac::from_bits(0);
        *slot(&mut all.forwarding, id.0 as usize) =
            Some(Domain { attachments, mac, state: state.unwrap_or_default(), ..draft.policies.clone() });
    }

    fn attachment<V: Number>(
        &mut self,
        claim: Claim,
        way: &Way<'_, 'c, V>,
        n: u64,
        segments: &mut Segments<'c>,
    ) -> Option<forwarding::Attachment> {
        let segment = attachments::segment(way, n, self.report)?;
        if usize::from(claim.attachment.0) >= MAX_ATTACHMENTS {
            // Those of the configuration before it are still in the FDB.
            let message = "too many attachments of this tenant change in one reload";
            self.report.error(way.name.span, message, "change fewer of them at once");
            return None;
        }
        if !segments.claim(way.side, segment, (claim, way.span), self.names, self.report) {
            return None;
        }
        self.claim(way.side, segment, way.span, segments)?;
        let (members, inner_tags, horizon) = (way.side.members, way.inner_tags, way.horizon);
        let tunnels_l2cp = way.tunnels_l2cp;
        Some(forwarding::Attachment { segment, members, inner_tags, tunnels_l2cp, horizon })
    }

    /// Tells the peers which segment is used; they may not be able to tell it from another.
    fn claim(&mut self, side: &Side, segment: Segment, span: Span, segments: &Segments<'c>) -> Option<()> {
        for (n, id) in side.peers.iter().enumerate() {
            let Some(peer) = self.peers.get_mut(id.0 as usize).and_then(Option::as_mut) else { continue };
            if let Err(error) = peer.compiled.claim(segment) {
                let Some(rival) = segments.rival(side, segment, self.names) else {
                    specs::tell(span, &error, self.report);
                    return None;
                };
                let (line, tenant) = (self.report.line(rival.span, span), self.names.domain(rival.domain));
                let other = format!("the other is attachment `{}` of tenant `{tenant}` ({line})", rival.attachment);
                let help = "give one of the two attachments other tags";
                let message = format!("{}; {other}", error.message);
                self.report.conflict(span, rival.span, "the other", message, help);
                return None;
            }
            if n == 0 {
                self.room.check(side, segment, &peer.compiled, self.ports, self.report);
            }
        }
        Some(())
    }
}
