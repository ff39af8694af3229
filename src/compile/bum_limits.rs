//! Limits of the frames that go to everyone, and warnings of those that a tenant meets by construction.

use super::attachments::AttachmentDraft;
use super::findings::Findings;
use crate::config::{At, Bum, BumRates, Name, Rate, Span, Tenant};
use crate::forwarding::{BumLimits, Domain};

/// Copies per second of each class of BUM frames by each attachment of a tenant that sets no limit. A healthy tenant stays
/// below: a 4K video of 10,000 frames/s goes to ten members, 1,000 ARP requests/s to a hundred. A loop does not, since
/// what runs round it doubles with every new frame until a worker is full: at 300,000 copies/s by packet sockets, more
/// by XDP sockets.
const DEFAULT_BUM: u64 = 100_000;
const SECOND: u64 = 1_000_000_000;

/// The limits of a tenant.
pub(super) fn of(stated: Option<&Bum>) -> BumLimits {
    let interval = |rate: Option<Rate>| match rate.unwrap_or(Rate::PerSecond(DEFAULT_BUM)) {
        Rate::PerSecond(rate) => SECOND / rate.max(1),
        Rate::Unlimited => 0,
    };
    let class = |at: &Option<At<Rate>>| interval(at.as_ref().and_then(At::value));
    let each = |interval| BumLimits { broadcast: interval, multicast: interval, unknown_unicast: interval };
    match stated {
        Some(Bum::Classes(BumRates { broadcast, multicast, unknown_unicast })) => BumLimits {
            broadcast: class(broadcast),
            multicast: class(multicast),
            unknown_unicast: class(unknown_unicast),
        },
        Some(Bum::Each(rate)) => each(interval(Some(*rate))),
        None => each(interval(None)),
    }
}

/// Warns of the limits of a tenant, or pattern of tenants, that it meets by construction; `noun` is "tenant" or "pattern".
pub(super) fn warn<V>(
    (noun, name): (&str, Name<'_>),
    (tenant, policies): (&Tenant<V>, &Domain),
    attachments: &[AttachmentDraft<'_, '_, V>],
    findings: &mut Findings,
) {
    let label = format!("{noun} `{}`", name.text);
    warn_of_mirror(&label, tenant, policies, findings);
    let Some((from, copies)) = most_copies(attachments) else { return };
    for (span, rate, what) in rates(name, tenant, policies) {
        if rate < copies {
            let message = format!(
                "{what} that comes in by attachment `{}` of {label} makes {copies} copies, and {rate} copies a second are \
                 allowed: one in {} seconds passes",
                from.name.text,
                copies.div_ceil(rate.max(1))
            );
            let help = format!("allow {copies} copies for each such frame in a second, or write `unlimited`");
            findings.warning(span, message, help);
        }
    }
}

/// The attachment of whose frames most copies are made when they go to everyone, and how many.
fn most_copies<'d, 'p, 'c, V>(
    attachments: &'d [AttachmentDraft<'p, 'c, V>],
) -> Option<(&'d AttachmentDraft<'p, 'c, V>, u64)> {
    let copies = |from: &AttachmentDraft<'_, '_, V>| -> u64 {
        let fed = attachments.iter().filter(|to| to.horizon != from.horizon);
        fed.map(|to| to.side.flooded as u64).sum()
    };
    attachments.iter().map(|from| (from, copies(from))).max_by_key(|(_, copies)| *copies)
}

/// A tenant all of whose unicast frames are to hosts that are not known.
fn warn_of_mirror<V>(label: &str, tenant: &Tenant<V>, policies: &Domain, findings: &mut Findings) {
    let Some(learning) = tenant.learning.as_ref().filter(|_| !policies.learning && policies.flood_unknown) else {
        return;
    };
    let stated = tenant.limits.bum.as_ref().and_then(At::get);
    let is_meant = matches!(stated, Some(Bum::Classes(BumRates { unknown_unicast: Some(_), .. })));
    let Some(rate) = SECOND.checked_div(policies.bum.unknown_unicast).filter(|_| !is_meant) else { return };
    if tenant.statics.is_empty() {
        let message = format!(
            "{label} learns no addresses and has no static ones, so all its unicast frames go to everyone, and are dropped \
             beyond {rate} copies a second"
        );
        let help = "for a mirror or a tap write `limits: { bum: { unknown_unicast: unlimited } }`, or a rate there";
        findings.warning(learning.span, message, help);
    }
}

/// The limits of a tenant: where each stands, copies per second, and which frames it is for.
fn rates<V>(name: Name<'_>, tenant: &Tenant<V>, policies: &Domain) -> Vec<(Span, u64, &'static str)> {
    let at = tenant.limits.bum.as_ref();
    let place = at.map_or(name.span, |at| at.span);
    let default = (place, Some(Rate::PerSecond(DEFAULT_BUM)));
    let mut rates = Vec::new();
    match at.and_then(At::get) {
        None => rates.push((default, "a frame to everyone")),
        Some(Bum::Each(rate)) => rates.push(((place, Some(*rate)), "a frame to everyone")),
        Some(Bum::Classes(BumRates { broadcast, multicast, unknown_unicast })) => {
            let class = |at: &Option<At<Rate>>| at.as_ref().map_or(default, |at| (at.span, at.value()));
            rates.push((class(broadcast), "a broadcast"));
            rates.push((class(multicast), "a multicast"));
            if policies.flood_unknown {
                rates.push((class(unknown_unicast), "a frame to an unknown address"));
            }
        }
    }
    let limited = |((span, rate), what)| match rate {
        Some(Rate::PerSecond(rate)) => Some((span, rate, what)),
        _ => None,
    };
    rates.into_iter().filter_map(limited).collect()
}
