//! IDs that are sent: what two attachments write to one peer may not be the same, or they were one tenant there.
//!
//! Mostly an attachment sends with the ID that it receives, which is its own. Only of one that sends with another ID
//! this has to be looked at.

use transload_encaps::Segment;

use super::claims::Segments;
use super::context::Context;
use super::sides::FarSide;
use crate::config::Span;
use crate::forwarding::{Claim, Domain, DomainId, Scope, Slab};

/// What an attachment sends with that receives another ID.
#[derive(Debug, Clone)]
pub(super) struct SentSegment {
    scope: Scope,
    segment: Segment,
    pub(super) claim: Claim,
    /// Where the ID stands.
    span: Span,
    /// ``vni 7 of peer `leaf-9` ``
    label: String,
}

impl SentSegment {
    pub(super) fn new(side: &FarSide, segment: Segment, claim: Claim, span: Span) -> Self {
        Self { scope: side.scope, segment, claim, span, label: side.ids(segment) }
    }
}

/// Refuses IDs that two attachments send with.
pub(super) fn check(
    mut sent: Vec<SentSegment>,
    segments: &Segments<'_>,
    domains: &Slab<DomainId, Domain>,
    context: &mut Context<'_>,
) {
    sent.sort_by_key(|one| (one.scope, one.segment, one.span));
    for pair in sent.windows(2) {
        if let [first, second] = pair
            && (first.scope, first.segment) == (second.scope, second.segment)
        {
            report(second, first.claim, first.span, context);
        }
    }
    for one in &sent {
        let Some(&other) = segments.table.get(&(one.scope, one.segment)) else { continue };
        let row = domains.get(other.domain).and_then(|domain| domain.attachment(other.attachment));
        let sends_it = row.is_some_and(|row| row.segment == one.segment);
        if let Some(holder) = segments.holder(one.scope, one.segment, &context.names).filter(|_| sends_it) {
            report(one, other, holder.span, context);
        }
    }
}

fn report(one: &SentSegment, other: Claim, span: Span, context: &mut Context<'_>) {
    let line = context.findings.line(span, one.span);
    let (name, tenant) = (context.names.attachment(other.domain, other.attachment), context.names.domain(other.domain));
    let message = format!("attachment `{name}` of tenant `{tenant}` ({line}) sends with {}, too", one.label);
    let help = "at the far end the two would be one tenant; give one of them another `send`";
    context.findings.conflict(one.span, span, "sends it", message, help);
}
