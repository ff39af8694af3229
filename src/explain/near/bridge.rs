//! Frames that the bridge stops, and those it forwards with a remark.

use std::sync::atomic::Ordering;

use transload_encaps::l2cp::{self, ControlGroups};
use transload_encaps::{Common, DropReason, Mac};

use super::super::case::Case;
use super::Near;
use crate::compile::Noun;
use crate::fdb::LearnOutcome;
use crate::forwarding::{BumClass, Claim, Domain, Target};

/// Why the bridge does not forward it.
pub(super) fn refused(case: &Case<'_>, reason: DropReason) -> Vec<Near> {
    let found = claim(case).and_then(|(claim, domain)| {
        let is = |common: Common| reason == common.into();
        if is(Common::SameAttachment) {
            same_attachment(case, claim, domain)
        } else if is(Common::SplitHorizon) {
            split_horizon(case, claim)
        } else if is(Common::UnknownUnicastOff) {
            unknown_unicast(case, claim)
        } else if is(Common::BumLimit) {
            bum(case, claim, domain)
        } else if is(Common::LoopGuard) {
            Some(looped(case, claim))
        } else if is(Common::L2Control) {
            l2_control(case, claim, domain)
        } else if is(Common::BadSource) {
            bad_source(case)
        } else {
            None
        }
    });
    found.into_iter().collect()
}

fn claim<'a>(case: &Case<'a>) -> Option<(Claim, &'a Domain)> {
    let claim = case.trace.ingress()?;
    Some((claim, case.tables.domain(claim.domain)?))
}

fn destination(case: &Case<'_>) -> Option<(Mac, Target)> {
    let (mac, target) = case.trace.destination()?;
    Some((mac, target?))
}

fn static_line(case: &Case<'_>, claim: Claim, mac: Mac) -> Option<crate::compile::Line> {
    case.line(Noun::Static(claim.domain, mac))
}

/// The only other attachment of a tenant, if what came in by this one may be meant for it alone: sender and destination
/// of the frame were both known to be here.
fn mirrored_to<'a>(case: &Case<'a>, claim: Claim, domain: &Domain) -> Option<std::borrow::Cow<'a, str>> {
    let (_, _, learned) = case.trace.source()?;
    let mut others = domain.attachments.iter().filter(|(id, _)| *id != claim.attachment);
    let ((other, _), None) = (others.next()?, others.next()) else { return None };
    let is_known_here = learned? == LearnOutcome::Known;
    is_known_here.then(|| case.names.attachment(claim.domain, other))
}

fn same_attachment(case: &Case<'_>, claim: Claim, domain: &Domain) -> Option<Near> {
    let (mac, target) = destination(case)?;
    let place = case.target(claim.domain, target);
    let text = match mirrored_to(case, claim, domain) {
        Some(other) => format!(
            "{mac} lives where the frame came from, at {place}, and so does its sender: to have all of it go to {other}, \
             as from a mirror or a tap, write `learning: false` and `limits: {{ bum: {{ unknown_unicast: unlimited }} }}`; \
             otherwise the network there floods what it could have delivered itself, or the address has moved"
        ),
        None => format!(
            "{mac} lives where the frame came from, at {place}: its network floods what it could have delivered itself, or \
             the address has moved"
        ),
    };
    Some(Near::new(
        text,
        static_line(case, claim, mac).or_else(|| case.line(Noun::Attachment(claim.domain, claim.attachment))),
    ))
}

fn split_horizon(case: &Case<'_>, claim: Claim) -> Option<Near> {
    let (mac, target) = destination(case)?;
    let (text, line) = if target.attachment == claim.attachment && case.is_mesh(claim) {
        let group =
            case.names.peer(target.peer).split_once('/').map_or_else(String::new, |(group, _)| group.to_owned());
        let text = format!(
            "{mac} lives at {}, another member of the mesh the frame came from: members of group {group} reach each \
             other without the gateway; the sender has not learned the address",
            case.peer(target.peer)
        );
        (text, case.line(Noun::Attachment(claim.domain, claim.attachment)))
    } else {
        let text = format!(
            "{mac} lives at {}, which is in the same split horizon as {}",
            case.target(claim.domain, target),
            case.names.attachment(claim.domain, claim.attachment)
        );
        (text, case.line(Noun::SplitHorizon(claim.domain, claim.attachment)))
    };
    Some(Near::new(text, line))
}

fn unknown_unicast(case: &Case<'_>, claim: Claim) -> Option<Near> {
    let (mac, _) = case.trace.destination()?;
    let text = format!(
        "no frame from {mac} has come in {} yet, which says `unknown_unicast: drop`: a frame from it, a static entry or `flood` \
         would let this pass",
        case.tenant(claim.domain)
    );
    Some(Near::new(text, case.line(Noun::UnknownUnicast(claim.domain))))
}

fn bum(case: &Case<'_>, claim: Claim, domain: &Domain) -> Option<Near> {
    let (mac, _) = case.trace.destination()?;
    let class = BumClass::of(mac);
    let (key, rate) = (class.key(), 1_000_000_000 / domain.bum.of(class).max(1));
    let what = match class {
        BumClass::Broadcast => "broadcasts",
        BumClass::Multicast => "multicasts",
        BumClass::UnknownUnicast => "unicast frames to unknown addresses",
    };
    let text = if domain.learning || class != BumClass::UnknownUnicast {
        format!(
            "{what} from {} have used up their {rate} copies a second: look for a loop, or raise \
             `limits: {{ bum: {{ {key}: .. }} }}`",
            case.claim(claim)
        )
    } else {
        format!(
            "{what} from {} have used up their {rate} copies a second, and all are unknown with `learning: false`: \
             write `limits: {{ bum: {{ {key}: unlimited }} }}` for a mirror or a tap",
            case.claim(claim)
        )
    };
    Some(Near::new(text, case.line(Noun::Bum(claim.domain)).or_else(|| case.line(Noun::Tenant(claim.domain)))))
}

fn looped(case: &Case<'_>, claim: Claim) -> Near {
    let text = format!(
        "broadcasts of {} keep coming back by another attachment: find what joins the two besides the gateway; \
         `show tenants` names both",
        case.tenant(claim.domain)
    );
    Near::new(text, case.line(Noun::Tenant(claim.domain)))
}

fn l2_control(case: &Case<'_>, claim: Claim, domain: &Domain) -> Option<Near> {
    let frame = &case.trace.after(crate::dataplane::Stage::Decap)?.bytes;
    let destination = Mac(*frame.first_chunk()?);
    let here = domain.attachment(claim.attachment)?;
    let what = l2cp::name(destination);
    let text = if here.relayed.holds(ControlGroups::of(destination.to_bits())) {
        format!(
            "{destination} is {what}, which may pass here, but at no other attachment of the tenant that this one feeds: \
             there `l2cp: tunnel` would let it pass, or an `s_vid` without `c_vid`"
        )
    } else if here.relayed == ControlGroups::RELAYED_IN_S_VLANS {
        format!(
            "{destination} is {what}, which stops at every bridge, also at those with S-VLANs (IEEE 802.1Q table 8-2); as \
             it is meant for this link alone, nothing need change; `l2cp: tunnel` on both attachments carries it"
        )
    } else {
        format!(
            "{destination} is {what}, which stops at a bridge with C-VLANs (IEEE 802.1Q table 8-1); as it is meant for this \
             link alone, nothing need change, unless the two sides are to be one link: `l2cp: tunnel` on both attachments \
             carries it"
        )
    };
    Some(Near::new(text, case.line(Noun::Attachment(claim.domain, claim.attachment))))
}

fn bad_source(case: &Case<'_>) -> Option<Near> {
    let frame = &case.trace.after(crate::dataplane::Stage::Decap)?.bytes;
    let source = Mac(*frame.get(6..)?.first_chunk()?);
    let what = if source.is_group() { "a group address" } else { "no address" };
    Some(Near::new(
        format!(
            "the tenant's frame comes from {source}, {what}: no host sends that; the inner frame begins elsewhere, or is damaged"
        ),
        None,
    ))
}

/// Remarks on a frame that was forwarded.
pub(in crate::explain) fn remarks(case: &Case<'_>) -> Vec<Near> {
    let mut all: Vec<_> = tolerated(case).into_iter().collect();
    if let Some((claim, domain)) = claim(case) {
        all.extend(not_learned(case, claim, domain));
    }
    all
}

fn tolerated(case: &Case<'_>) -> Option<Near> {
    let (id, found, _) = case.trace.segment()?;
    let reason = found.tolerated?;
    let text = case.tables.peer(id)?.compiled.why(reason, case.tunnel(), &case.peer(id))?;
    let text = format!("{text}: ignored, counted as {}, and what follows is taken for Ethernet", reason.label());
    Some(Near::new(text, case.line(Noun::Encap(id))))
}

fn not_learned(case: &Case<'_>, claim: Claim, domain: &Domain) -> Option<Near> {
    let (mac, to, learned) = case.trace.source()?;
    let tenant = case.tenant(claim.domain);
    let (text, noun) = match learned? {
        LearnOutcome::Refused if domain.state.macs.load(Ordering::Relaxed) < domain.mac_limit => (
            format!(
                "the source {mac} is not learned: {tenant} has its reserve of {} addresses, and the rest of the FDB is \
                 kept for others (`fdb: {{ capacity: .. }}`)",
                domain.mac_reserve
            ),
            Noun::Macs(claim.domain),
        ),
        LearnOutcome::Refused => (
            format!(
                "the source {mac} is not learned: {tenant} has its {} addresses already (`limits: {{ macs: .. }}`)",
                domain.mac_limit
            ),
            Noun::Macs(claim.domain),
        ),
        LearnOutcome::Full => (
            format!("the source {mac} is not learned: the FDB is full (`fdb: {{ capacity: .. }}`)"),
            Noun::Tenant(claim.domain),
        ),
        LearnOutcome::Static => (
            format!("the source {mac} is not learned at {}: it is static elsewhere", case.target(claim.domain, to)),
            Noun::Static(claim.domain, mac),
        ),
        LearnOutcome::Held => (
            format!(
                "the source {mac} is not learned at {}: it moved too often, and is held elsewhere (`duplicates:`)",
                case.target(claim.domain, to)
            ),
            Noun::Tenant(claim.domain),
        ),
        LearnOutcome::Moved { from } => (
            format!(
                "the source {mac} has moved from {} to {}",
                case.target(claim.domain, from),
                case.target(claim.domain, to)
            ),
            Noun::Attachment(claim.domain, from.attachment),
        ),
        LearnOutcome::Known | LearnOutcome::New | LearnOutcome::Busy => return None,
    };
    Some(Near::new(text, case.line(noun)))
}
