//! Policies of a tenant: its limits and timers, with their defaults.

use super::bum_limits;
use super::findings::Findings;
use crate::config::{self, At, MssClamp, Seconds, Switch, Tenant, UnknownUnicast};
use crate::forwarding::{self, Domain, Duplicates, Slab};

/// IEEE 802.1Q §8.8.3 recommends 300 seconds.
const DEFAULT_AGEING: u16 = 300;
/// The workers' clock counts seconds in 16 bits; an age must be told from one that has gone round.
const LONGEST_AGEING: u64 = 12 * 3600;
/// Seconds in a day.
const LONGEST_POLICY: u64 = 24 * 3600;
/// Addresses of a tenant that sets no limit.
const DEFAULT_MACS: u32 = 65536;
/// RFC 7432 §15.1: N = 5 moves in M = 180 seconds. There the operator ends it; here, M seconds do, in which the hosts
/// may have been told apart. (FRR only warns unless told to freeze, then for 30 to 3600 seconds or for good.)
const DEFAULT_DUPLICATES: (u32, u64, u64) = (5, 180, 180);
/// Seconds that a loop is held: long enough to be seen, and the storm between two holds is a small part of them.
const DEFAULT_LOOP_HOLD: u64 = 60;
const SECOND: u64 = 1_000_000_000;

/// The tenant's policies, in a domain without attachments or an address.
pub(super) fn of<V>(tenant: &Tenant<V>, findings: &mut Findings) -> Domain {
    let limits = &tenant.limits;
    let macs = limits.macs.as_ref().and_then(At::value).map(|macs| macs.0 as u32);
    let flood = tenant.unknown_unicast.as_ref().and_then(At::value).unwrap_or(UnknownUnicast::Flood);
    Domain {
        attachments: Slab::new(),
        learning: tenant.learning.as_ref().and_then(At::value).unwrap_or(true),
        ageing: ageing(tenant.ageing.as_ref(), findings),
        flood_unknown: flood == UnknownUnicast::Flood,
        mac_limit: macs.unwrap_or(DEFAULT_MACS),
        // Who states no limit gets a reserve when all tenants are known.
        mac_reserve: macs.unwrap_or(0),
        bum: bum_limits::of(limits.bum.as_ref().and_then(At::get)),
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
