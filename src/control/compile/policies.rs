//! What a tenant may do and use up, with the defaults.

use super::report::Report;
use crate::config::{At, MssClamp, Rate, Seconds, Tenant, UnknownUnicast};
use crate::forwarding::{self, Domain};
use transload_encaps::Mac;

/// IEEE 802.1Q §8.8.3 recommends 300 seconds.
const DEFAULT_AGEING: u16 = 300;
/// The workers' clock counts seconds in 16 bits; an age must be told from one that has gone round.
const LONGEST_AGEING: u64 = 12 * 3600;
/// Addresses of a tenant that sets no limit.
const DEFAULT_MACS: u32 = 65536;
/// Frames per second of a tenant that sets no limit.
const DEFAULT_BUM: u64 = 1000;
const SECOND: u64 = 1_000_000_000;

/// The tenant's policies, in a domain without attachments or an address.
pub(super) fn of<V>(tenant: &Tenant<V>, report: &mut Report) -> Domain {
    let limits = &tenant.limits;
    let flood = tenant.unknown_unicast.as_ref().and_then(At::value).unwrap_or(UnknownUnicast::Flood);
    Domain {
        attachments: Vec::new(),
        learning: tenant.learning.as_ref().and_then(At::value).unwrap_or(true),
        ageing: ageing(tenant.ageing.as_ref(), report),
        flood_unknown: flood == UnknownUnicast::Flood,
        mac_limit: limits.macs.as_ref().and_then(At::value).map_or(DEFAULT_MACS, |macs| macs.0 as u32),
        bum_interval: match limits.bum.as_ref().and_then(At::value) {
            None => SECOND / DEFAULT_BUM,
            Some(Rate::PerSecond(rate)) => SECOND / rate.max(1),
            Some(Rate::Unlimited) => 0,
        },
        mss_clamp: match tenant.mss_clamp.as_ref().and_then(At::value) {
            None | Some(MssClamp::Off) => None,
            Some(MssClamp::Path) => Some(forwarding::MssClamp::Path),
            Some(MssClamp::Bytes(bytes)) => Some(forwarding::MssClamp::Bytes(bytes)),
        },
        mac: Mac::default(),
        state: std::sync::Arc::default(),
    }
}

fn ageing(stated: Option<&At<Seconds>>, report: &mut Report) -> u16 {
    let Some((at, Seconds(seconds))) = stated.and_then(|at| Some((at, at.value()?))) else { return DEFAULT_AGEING };
    match seconds {
        0 => report.error(at.span, "addresses cannot age at once", "write 1s or more, or `learning: false`"),
        1..=LONGEST_AGEING => return seconds as u16,
        _ => report.error(at.span, "addresses are remembered for 12 hours at most", "write 12h or less"),
    }
    DEFAULT_AGEING
}
