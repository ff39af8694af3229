//! Claims: which peer a packet is from, and which attachment a segment belongs to. What is claimed twice is refused,
//! since a packet could be for either.

use std::net::IpAddr;

use hashbrown::hash_map::Entry;
use transload_encaps::{Carrier, Compiled, Kind, Segment, SpecError};

use super::context::Context;
use super::findings::Findings;
use super::names::Names;
use super::origins::Noun;
use super::sides::FarSide;
use super::written::Written;
use crate::config::Span;
use crate::forwarding::{Claim, DomainId, EndpointId, Map, PeerId, Scope, Sender};

/// Which peer a tunnel packet is from, by endpoint, source address and carrier.
#[derive(Default)]
pub(super) struct Senders {
    pub(super) table: Map<Sender, PeerId>,
    owners: Map<Sender, SenderOwner>,
}

#[derive(Clone)]
struct SenderOwner {
    label: String,
    kind: Kind,
    span: Span,
}

/// A peer that wants the packets of a sender.
pub(super) struct Wanted<'a> {
    pub(super) endpoint: EndpointId,
    pub(super) address: IpAddr,
    pub(super) carrier: Carrier,
    pub(super) peer: PeerId,
    /// "peer `leaf-9`"
    pub(super) label: &'a str,
    pub(super) kind: Kind,
    pub(super) span: Span,
}

impl Senders {
    /// The peer that a sender is, and what it is called: "peer `leaf-9`".
    pub(super) fn owner(&self, sender: &Sender) -> Option<(PeerId, &str)> {
        Some((*self.table.get(sender)?, &*self.owners.get(sender)?.label))
    }

    /// Takes a sender in, unless another peer has it.
    pub(super) fn claim(&mut self, wanted: &Wanted<'_>, context: &mut Context<'_>) {
        let sender = Sender { endpoint: wanted.endpoint, address: wanted.address, carrier: wanted.carrier };
        if let Some(owner) = self.owners.get(&sender) {
            report_senders(owner, wanted, &mut context.findings);
            return;
        }
        let owner = SenderOwner { label: wanted.label.to_owned(), kind: wanted.kind, span: wanted.span };
        self.owners.insert(sender, owner);
        self.table.insert(sender, wanted.peer);
        context.note(Noun::Sender(sender), wanted.span);
    }
}

fn report_senders(owner: &SenderOwner, wanted: &Wanted<'_>, findings: &mut Findings) {
    let line = findings.line(owner.span, wanted.span);
    let (first, second, address, carrier) = (&owner.label, wanted.label, wanted.address, wanted.carrier);
    let (message, help) = if first == second {
        (format!("{address} is already in {first} ({line})"), "remove it from one of the two places")
    } else if owner.kind == wanted.kind {
        (
            format!("{first} ({line}) and {second} both claim packets from {address} ({carrier})"),
            "keep one of them, which can carry any number of tenants, or give one an endpoint of its own",
        )
    } else {
        let (one, other) = (owner.kind.info().title, wanted.kind.info().title);
        (
            format!(
                "{first} ({line}, {one}) and {second} ({other}) cannot be told apart: both claim packets from {address} ({carrier})"
            ),
            "keep the one that the far end speaks, or give one an endpoint of its own",
        )
    };
    findings.conflict(wanted.span, owner.span, "claimed here", message, help);
}

/// Which attachment a segment belongs to, by the number space it is looked up in.
#[derive(Default)]
pub(super) struct Segments<'c> {
    pub(super) table: Map<(Scope, Segment), Claim>,
    pub(super) written: Written<'c>,
}

/// The attachment that holds a segment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Holder<'c> {
    pub(super) domain: DomainId,
    pub(super) attachment: &'c str,
    pub(super) span: Span,
}

impl<'c> Segments<'c> {
    /// Claims a segment; returns whether it was free. `span` is where the claim's ID stands.
    pub(super) fn claim(
        &mut self,
        side: &FarSide,
        segment: Segment,
        (claim, span): (Claim, Span),
        context: &mut Context<'_>,
    ) -> bool {
        let first = match self.table.entry((side.scope, segment)) {
            Entry::Vacant(free) => {
                free.insert(claim);
                context.note(Noun::Segment(side.scope, segment), span);
                return true;
            }
            Entry::Occupied(first) => self.written.holder(*first.get(), &context.names),
        };
        let line = context.findings.line(first.span, span);
        let holder = if first.domain == claim.domain {
            format!("attachment `{}` of this tenant ({line})", first.attachment)
        } else {
            format!("attachment `{}` of tenant `{}` ({line})", first.attachment, context.names.domain(first.domain))
        };
        let message = format!("{}, {}, is already {holder}", side.label, side.kind.ids(segment));
        let help = "an ID belongs to one attachment; give one of the two another ID";
        context.findings.conflict(span, first.span, "has it", message, help);
        false
    }

    /// The holder of a segment that cannot be told apart from this one, when it is claimed so.
    pub(super) fn rival(
        &self,
        side: &FarSide,
        segment: Segment,
        claim: fn(&mut Compiled, Segment) -> Result<(), SpecError>,
        names: &Names,
    ) -> Option<Holder<'c>> {
        let clash = |other: Segment| {
            let mut alone = side.compiled.for_new_peer();
            alone.claim(other).ok()?;
            claim(&mut alone, segment).err()
        };
        self.in_scope(side.scope, names, |other| other != segment && clash(other).is_some())
            .map(|(_, holder)| holder)
            .min_by_key(|holder| holder.span)
    }

    /// The segments of a number space for which `is_one` holds, and their holders.
    pub(super) fn in_scope(
        &self,
        scope: Scope,
        names: &Names,
        is_one: impl Fn(Segment) -> bool,
    ) -> impl Iterator<Item = (Segment, Holder<'c>)> {
        let here = self.table.iter().filter(move |((other, segment), _)| *other == scope && is_one(*segment));
        here.map(|((_, segment), claim)| (*segment, self.written.holder(*claim, names)))
    }

    /// The holder of a segment.
    pub(super) fn holder(&self, scope: Scope, segment: Segment, names: &Names) -> Option<Holder<'c>> {
        self.table.get(&(scope, segment)).map(|claim| self.written.holder(*claim, names))
    }
}

impl<'c> Written<'c> {
    fn holder(&self, claim: Claim, names: &Names) -> Holder<'c> {
        let name = names.attachment(claim.domain, claim.attachment);
        // Every claim is of a tenant that was written before.
        let (attachment, span) = self.attachment(claim.domain, &name).unwrap_or_default();
        Holder { domain: claim.domain, attachment, span }
    }
}
