//! Tenants: one bridge domain each, its attachments and policies.

use std::collections::HashMap;
use std::sync::Arc;

use super::attachments;
use super::claims::{Holder, Segments};
use super::fit::Room;
use super::identity::Identity;
use super::names::{Names, slot};
use super::numbers::Numbers;
use super::plan::Static;
use super::policies;
use super::ports::Ports;
use super::report::{Report, check_name};
use super::sides::{Side, Sides};
use super::specs;
use super::statics::{self, Known};
use transload_encaps::Segment;

use crate::config::{Attachment, Name, Named, Span, Tenant};
use crate::forwarding::{self, AttachmentId, Claim, Domain, DomainId, Forwarding, MAX_ATTACHMENTS, MAX_DOMAINS, Peer};

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
    pub(super) identity: Identity,
}

/// Whose attachments are compiled.
#[derive(Clone, Copy)]
struct Home<'c> {
    domain: DomainId,
    tenant: &'c str,
}

impl<'c> Pass<'_, 'c> {
    pub(super) fn compile(mut self, tenants: &'c Named<Tenant>) -> Domains<'c> {
        let mut all = Domains::default();
        for (name, config) in tenants.iter() {
            check_name("tenant", name, self.report);
            let id = self.numbers.domain(name.text);
            if id.0 as usize >= MAX_DOMAINS {
                self.report.error(name.span, format!("a gateway has at most {MAX_DOMAINS} tenants"), "use fewer");
                break;
            }
            self.names.set_domain(id, name.text);
            let Some(config) = config else { continue };
            let attachments = self.attachments(id, name, config, &mut all);
            let state = self.previous.and_then(|before| before.domain(id)).map(|domain| Arc::clone(&domain.state));
            let policies = policies::of(config, self.report);
            *slot(&mut all.forwarding, id.0 as usize) = Some(Domain {
                attachments,
                mac: self.identity.mac(name.text),
                state: state.unwrap_or_default(),
                ..policies
            });
        }
        all
    }

    fn attachments(
        &mut self,
        domain: DomainId,
        name: Name<'c>,
        tenant: &'c Tenant,
        all: &mut Domains<'c>,
    ) -> Vec<Option<forwarding::Attachment>> {
        if tenant.attachments.len() > MAX_ATTACHMENTS {
            let message = format!("tenant `{}` has more than {MAX_ATTACHMENTS} attachments", name.text);
            self.report.error(name.span, message, "use groups, or several tenants");
            return Vec::new();
        }
        let (mut rows, mut known, mut horizons) = (Vec::new(), Known::new(), Horizons::default());
        let home = Home { domain, tenant: name.text };
        for (way, config) in tenant.attachments.iter() {
            check_name("attachment", way, self.report);
            let made = config.and_then(|config| {
                let side = self.sides.find(way, config, self.report)?;
                let row = self.attachment(home, way, config, side, &mut all.segments)?;
                Some((side, row, horizons.number(config)))
            });
            known.insert(way.text, made.as_ref().map(|(side, (id, _), _)| (*id, *side)));
            if let Some((_, (id, row), horizon)) = made {
                self.names.set_attachment(domain, id, way.text);
                *slot(&mut rows, usize::from(id.0)) = Some(forwarding::Attachment { horizon, ..row });
            }
        }
        statics::compile(tenant, domain, &known, self.report, &mut all.statics);
        if known.values().all(Option::is_some) {
            horizons.warn_of_loners(self.report);
            self.warn_if_nothing_is_bridged(name, tenant, &horizons);
        }
        rows
    }

    /// An attachment, in a horizon that its tenant knows.
    fn attachment(
        &mut self,
        home: Home<'c>,
        way: Name<'c>,
        config: &Attachment,
        side: &Side,
        segments: &mut Segments<'c>,
    ) -> Option<(AttachmentId, forwarding::Attachment)> {
        let inner_tags = attachments::inner_tags(config, side, self.report);
        let segment = attachments::segment(way, config, side, self.report)?;
        // What it leads to is part of its identity: an FDB entry must not follow it to another peer.
        let id = self.numbers.attachment(home.domain, &format!("{} {}", way.text, side.label));
        if usize::from(id.0) >= MAX_ATTACHMENTS {
            // Those of the configuration before it are still in the FDB.
            let message = "too many attachments of this tenant change in one reload";
            self.report.error(way.span, message, "change fewer of them at once");
            return None;
        }
        let span = config.ids.first().map_or(way.span, |id| id.value.span);
        let holder = Holder { tenant: home.tenant, attachment: way.text, span };
        let claim = Claim { domain: home.domain, attachment: id };
        if !segments.claim(side, segment, claim, holder, self.report) {
            return None;
        }
        self.claim(side, segment, span, segments)?;
        Some((id, forwarding::Attachment { segment, members: side.members, inner_tags, horizon: 0 }))
    }

    /// Tells the peers which segment is used; they may not be able to tell it from another.
    fn claim(&mut self, side: &Side, segment: Segment, span: Span, segments: &Segments<'c>) -> Option<()> {
        for (n, id) in side.peers.iter().enumerate() {
            let Some(peer) = self.peers.get_mut(id.0 as usize).and_then(Option::as_mut) else { continue };
            if let Err(error) = peer.compiled.claim(segment) {
                let Some(rival) = segments.rival(side, segment) else {
                    specs::tell(span, &error, self.report);
                    return None;
                };
                let (line, tenant) = (self.report.line(rival.span), rival.tenant);
                let other =
                    format!("the other is attachment `{}` of tenant `{tenant}` (line {line})", rival.attachment);
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

    fn warn_if_nothing_is_bridged(&mut self, name: Name<'_>, tenant: &Tenant, horizons: &Horizons<'_>) {
        let message = match tenant.attachments.len() {
            0 => format!("tenant `{}` has no attachments", name.text),
            1 => format!("tenant `{}` has one attachment, so nothing is bridged", name.text),
            _ if horizons.next == 1 => {
                format!("all attachments of tenant `{}` are in one split horizon, so nothing is bridged", name.text)
            }
            _ => return,
        };
        self.report.warning(name.span, message, "a tenant joins two attachments or more");
    }
}

/// Which attachments of a tenant never feed each other.
#[derive(Default)]
struct Horizons<'c> {
    next: u16,
    /// By name: the number, where it was first used, and how often.
    named: HashMap<&'c str, (u16, Span, usize)>,
}

impl<'c> Horizons<'c> {
    fn number(&mut self, config: &'c Attachment) -> u16 {
        let fresh = self.next;
        let stated = config.split_horizon.as_ref().and_then(|at| Some((at.get()?.as_str(), at.span)));
        let number = match stated {
            None => fresh,
            Some((name, span)) => {
                let (number, _, uses) = self.named.entry(name).or_insert((fresh, span, 0));
                *uses += 1;
                *number
            }
        };
        if number == fresh {
            self.next = fresh.saturating_add(1);
        }
        number
    }

    fn warn_of_loners(&self, report: &mut Report) {
        for (name, (_, span, uses)) in &self.named {
            if *uses == 1 {
                let message = format!("split horizon `{name}` has only this attachment, so it does nothing");
                report.warning(*span, message, "give the attachments that must not feed each other the same name");
            }
        }
    }
}
