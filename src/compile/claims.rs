//! Claims: whose packets are whose. The same bytes claimed twice are refused, since nobody could tell who is meant.

use std::net::IpAddr;

use hashbrown::hash_map::Entry;
use transload_encaps::{Carrier, Kind, Segment};

use super::names::Names;
use super::report::Report;
use super::sides::Side;
use super::written::Written;
use crate::config::Span;
use crate::forwarding::{Claim, DomainId, EndpointId, Map, PeerId, Scope, Sender};

/// Which peer a tunnel packet is from, by endpoint, source address and carrier.
#[derive(Default)]
pub(super) struct Senders {
    pub(super) table: Map<Sender, PeerId>,
    owners: Map<Sender, Owner>,
}

#[derive(Clone)]
struct Owner {
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
    pub(super) fn claim(&mut self, wanted: &Wanted<'_>, report: &mut Report) {
        let sender = Sender { endpoint: wanted.endpoint, address: wanted.address, carrier: wanted.carrier };
        if let Some(owner) = self.owners.get(&sender) {
            report_senders(owner, wanted, report);
            return;
        }
        let owner = Owner { label: wanted.label.to_owned(), kind: wanted.kind, span: wanted.span };
        self.owners.insert(sender, owner);
        self.table.insert(sender, wanted.peer);
    }

    /// Every sender, and where the file names it.
    pub(super) fn places(&self) -> impl Iterator<Item = (Sender, Span)> {
        self.owners.iter().map(|(sender, owner)| (*sender, owner.span))
    }
}

fn report_senders(owner: &Owner, wanted: &Wanted<'_>, report: &mut Report) {
    let line = report.line(owner.span, wanted.span);
    let (first, second, address, carrier) = (&owner.label, wanted.label, wanted.address, wanted.carrier);
    let (message, help) = if first == second {
        (format!("{address} is already in {first} ({line})"), "remove it from one of the two places")
    } else if owner.kind == wanted.kind {
        (
            format!("{first} ({line}) and {second} both are {carrier} from {address}"),
            "keep one of them, which can carry any number of tenants, or give one an endpoint of its own",
        )
    } else {
        let (one, other) = (owner.kind.info().title, wanted.kind.info().title);
        (
            format!(
                "{first} ({line}, {one}) and {second} ({other}) cannot be told apart: both are {carrier} from {address}"
            ),
            "keep the one that the far end speaks, or give one an endpoint of its own",
        )
    };
    report.conflict(wanted.span, owner.span, "claimed here", message, help);
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
    /// Whether the segment was free for a claim, whose ID stands there.
    pub(super) fn claim(
        &mut self,
        side: &Side,
        segment: Segment,
        (claim, span): (Claim, Span),
        names: &Names,
        report: &mut Report,
    ) -> bool {
        let first = match self.table.entry((side.scope, segment)) {
            Entry::Vacant(free) => {
                free.insert(claim);
                return true;
            }
            Entry::Occupied(first) => self.written.holder(*first.get(), names),
        };
        let line = report.line(first.span, span);
        let whose = if first.domain == claim.domain {
            format!("attachment `{}` of this tenant ({line})", first.attachment)
        } else {
            format!("attachment `{}` of tenant `{}` ({line})", first.attachment, names.domain(first.domain))
        };
        let message = format!("{}, {}, is already {whose}", side.label, side.kind.ids(segment));
        let help = "an ID belongs to one attachment; give one of the two another ID";
        report.conflict(span, first.span, "has it", message, help);
        false
    }

    /// Who holds a segment that cannot be told apart from this one.
    pub(super) fn rival(&self, side: &Side, segment: Segment, names: &Names) -> Option<Holder<'c>> {
        let clash = |other: Segment| {
            let mut alone = side.spec.compile().ok()?;
            alone.claim(other).ok()?;
            alone.claim(segment).err()
        };
        self.in_scope(side.scope, names, |other| other != segment && clash(other).is_some())
            .map(|(_, holder)| holder)
            .min_by_key(|holder| holder.span)
    }

    /// Who holds which of these segments in a number space.
    pub(super) fn in_scope(
        &self,
        scope: Scope,
        names: &Names,
        is_one: impl Fn(Segment) -> bool,
    ) -> impl Iterator<Item = (Segment, Holder<'c>)> {
        let here = self.table.iter().filter(move |((other, segment), _)| *other == scope && is_one(*segment));
        here.map(|((_, segment), claim)| (*segment, self.written.holder(*claim, names)))
    }

    /// Every segment, whose it is, and where the file gives it.
    pub(super) fn places(&self, names: &Names) -> impl Iterator<Item = ((Scope, Segment), Claim, Span)> {
        self.table.iter().map(|(key, claim)| (*key, *claim, self.written.holder(*claim, names).span))
    }

    /// Who holds a segment.
    pub(super) fn holder(&self, scope: Scope, segment: Segment, names: &Names) -> Option<Holder<'c>> {
        self.table.get(&(scope, segment)).map(|claim| self.written.holder(*claim, names))
    }
}

impl<'c> Written<'c> {
    fn holder(&self, claim: Claim, names: &Names) -> Holder<'c> {
        let name = names.attachment(claim.domain, claim.attachment);
        // Whoever has claimed something is written somewhere.
        let (attachment, span) = self.attachment(claim.domain, &name).unwrap_or_default();
        Holder { domain: claim.domain, attachment, span }
    }
}
