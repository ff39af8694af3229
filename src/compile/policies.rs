//! Policies of a tenant: its limits and timers, with their defaults.

use super::findings::Findings;
use crate::config::{self, At, Bum, BumRates, MssClamp, Rate, Seconds, Switch, Tenant, UnknownUnicast};
use crate::forwarding::{self, BumLimits, Domain, Duplicates, Slab};

/// IEEE 802.1Q §8.8.3 recommends 300 seconds.
const DEFAULT_AGEING: u16 = 300;
/// The workers' clock counts seconds in 16 bits; an age must be told from one that has gone round.
const LONGEST_AGEING: u64 = 12 * 3600;
/// Seconds in a day.
const LONGEST_POLICY: u64 = 24 * 3600;
/// Addresses of a tenant that sets no limit.
const DEFAULT_MACS: u32 = 65536;
/// Copies per second of each class of BUM frames by each attachment of a tenant that sets no limit. A healthy tenant stays
/// below: a 4K video of 10,000 frames/s goes to ten members, 1,000 ARP requests/s to a hundred. A loop does not, since
/// what runs round it doubles with every new frame until a worker is full: at 300,000 copies/s by packet sockets, more
/// by XDP sockets.
const DEFAULT_BUM: u64 = 100_000;
/// RFC 7432 §15.1: N = 5 moves in M = 180 seconds. There the operator ends it; here, M seconds do, in which the hosts
/// may have been told apart. (FRR only warns unless told to freeze, then for 30 to 3600 seconds or for good.)
const DEFAULT_DUPLICATES: (u32, u64, u64) = (5, 180, 180);
/// Seconds that a loop is held: long enough to be seen, and the storm between two holds is a small part of them.
const DEFAULT_LOOP_HOLD: u64 = 60;
const SECOND: u64 = 1_000_000_000;

/// The tenant's policies, in a domain without attachments or an address.
pub(super) fn of<V>(tenant: &Tenant<V>, findings: &mut Findings) -> Domain {
    let limits = &tenant.limits;
    let flood = tenant.unknown_unicast.as_ref().and_then(At::value).unwrap_or(UnknownUnicast::Flood);
    Domain {
        attachments: Slab::new(),
        learning: tenant.learning.as_ref().and_then(At::value).unwrap_or(true),
        ageing: ageing(tenant.ageing.as_ref(), findings),
        flood_unknown: flood == UnknownUnicast::Flood,
        mac_limit: limits.macs.as_ref().and_then(At::value).map_or(DEFAULT_MACS, |macs| macs.0 as u32),
        bum: bum(limits.bum.as_ref().and_then(At::get)),
        mss_clamp: match tenant.mss_clamp.as_ref().and_then(At::value) {
            None | Some(MssClamp::Off) => None,
            Some(MssClamp::Path) => Some(forwarding::MssClamp::Path),
            Some(MssClamp::Bytes(bytes)) => Some(forwarding::MssClamp::Bytes(bytes)),
        },
        duplicates: duplicates(tenant.duplicates.as_ref().and_then(At::get), findings),
        loop_hold: loop_hold(tenant.loop_guard.as_ref().and_then(At::get), findings),
        state: std::sync::Arc::default(),
    }
}

fn bum(stated: Option<&Bum>) -> BumLimits {
    let interval = |rate: Option<Rate>| match rate.unwrap_or(Rate::PerSecond(DEFAULT_BUM)) {
        Rate::PerSecond(rate) => SECOND / rate.max(1),
        Rate::Unlimited => 0,
    };
    let class = |at: &Option<At<Rate>>| interval(at.as_ref().and_then(At::value));
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

/// Warns of a limit that a tenant meets by construction: with all its unicast unknown. `label` is such as "tenant `blue`".
pub(super) fn warn_of_limits<V>(label: &str, tenant: &Tenant<V>, policies: &Domain, findings: &mut Findings) {
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

const fn each(interval: u64) -> BumLimits {
    BumLimits { broadcast: interval, multicast: interval, unknown_unicast: interval }
}

fn duplicates(stated: Option<&Switch<config::Duplicates>>, findings: &mut Findings) -> Option<Duplicates> {
    let (moves, within, hold) = DEFAULT_DUPLICATES;
    Some(match stated {
        Some(Switch::Off) => return None,
        None => Duplicates { moves, within: within * SECOND, hold: hold * SECOND },
        Some(Switch::On(stated)) => Duplicates {
            moves: stated.moves.as_ref().and_then(At::value).map_or(moves, |moves| moves.0 as u32),
            within: nanos(stated.within.as_ref(), within, findings),
            hold: nanos(stated.hold.as_ref(), hold, findings),
        },
    })
}

fn loop_hold(stated: Option<&Switch<config::LoopGuard>>, findings: &mut Findings) -> u64 {
    match stated {
        Some(Switch::Off) => 0,
        Some(Switch::On(stated)) => nanos(stated.hold.as_ref(), DEFAULT_LOOP_HOLD, findings),
        None => DEFAULT_LOOP_HOLD * SECOND,
    }
}

/// A time of a policy, in nanoseconds; at most a day.
fn nanos(stated: Option<&At<Seconds>>, default: u64, findings: &mut Findings) -> u64 {
    let Some((at, Seconds(seconds))) = stated.and_then(|at| Some((at, at.value()?))) else { return default * SECOND };
    match seconds {
        0 => findings.error(at.span, "a time of 0 does nothing", "write 1s or more, or turn the policy `off`"),
        1..=LONGEST_POLICY => return seconds * SECOND,
        _ => findings.error(at.span, "this time is limited to 24 hours", "write 24h or less"),
    }
    default * SECOND
}

fn ageing(stated: Option<&At<Seconds>>, findings: &mut Findings) -> u16 {
    let Some((at, Seconds(seconds))) = stated.and_then(|at| Some((at, at.value()?))) else { return DEFAULT_AGEING };
    match seconds {
        0 => findings.error(
            at.span,
            "with an ageing time of 0, addresses would be forgotten at once",
            "write 1s or more, or `learning: false`",
        ),
        1..=LONGEST_AGEING => return seconds as u16,
        _ => findings.error(at.span, "the ageing time is limited to 12 hours", "write 12h or less"),
    }
    DEFAULT_AGEING
}
