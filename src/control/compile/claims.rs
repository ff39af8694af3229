//! Claims: whose packets are whose. The same bytes claimed twice are refused, since nobody could tell who is meant.

use std::net::IpAddr;

use transload_encaps::{Carrier, Kind, Segment};

use super::names::Names;
use super::report::Report;
use super::sides::Side;
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
    owners: Map<(Scope, Segment), Holder<'c>>,
}

/// The attachment that holds a segment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Holder<'c> {
    pub(super) domain: DomainId,
    pub(super) attachment: &'c str,
    pub(super) span: Span,
}

impl<'c> Segments<'c> {
    /// Whether the segment was free.
    pub(super) fn claim(
        &mut self,
        side: &Side,
        segment: Segment,
        claim: Claim,
        holder: Holder<'c>,
        names: &Names,
        report: &mut Report,
    ) -> bool {
        let key = (side.scope, segment);
        if let Some(first) = self.owners.get(&key) {
            let line = report.line(first.span, holder.span);
            let whose = if first.domain == holder.domain {
                format!("attachment `{}` of this tenant ({line})", first.attachment)
            } else {
                format!("attachment `{}` of tenant `{}` ({line})", first.attachment, names.domain(first.domain))
            };
            let message = format!("{}, {}, is already {whose}", side.label, side.kind.ids(segment));
            let help = "an ID belongs to one attachment; give one of the two another ID";
            report.conflict(holder.span, first.span, "has it", message, help);
            return false;
        }
        self.owners.insert(key, holder);
        self.table.insert(key, claim);
        true
    }

    /// Who holds a segment that cannot be told apart from this one.
    pub(super) fn rival(&self, side: &Side, segment: Segment) -> Option<Holder<'c>> {
        let clash = |other: Segment| {
            let mut alone = side.spec.compile().ok()?;
            alone.claim(other).ok()?;
            alone.claim(segment).err()
        };
        let here = self.owners.iter().filter(|((scope, other), _)| *scope == side.scope && *other != segment);
        here.filter(|((_, other), _)| clash(*other).is_some())
            .map(|(_, holder)| *holder)
            .min_by_key(|holder| holder.span)
    }

    /// Who holds what in a number space.
    pub(super) fn in_scope(&self, scope: Scope) -> impl Iterator<Item = (Segment, Holder<'c>)> {
        self.owners
            .iter()
            .filter(move |((other, _), _)| *other == scope)
            .map(|((_, segment), holder)| (*segment, *holder))
    }

    /// Every segment, and where the file gives it.
    pub(super) fn places(&self) -> impl Iterator<Item = ((Scope, Segment), Span)> {
        self.owners.iter().map(|(key, holder)| (*key, holder.span))
    }

    /// Who holds a segment.
    pub(super) fn holder(&self, scope: Scope, segment: Segment) -> Option<Holder<'c>> {
        self.owners.get(&(scope, segment)).copied()
    }
}
