//! Reserves: how much of the FDB each tenant is sure of, so that none of them keeps another from learning.
//!
//! A tenant that states a limit is sure of it; the others are sure of equal parts of half of what is left, and of a
//! quarter of the table at least. The rest is for whoever is first. Where the stated limits are more than there is room
//! for, their tenants are sure of equal parts of half of that room, or of their limits where these are lower.

use super::domains::TenantSection;
use super::findings::Findings;
use crate::config::{At, File, Macs};
use crate::forwarding::{Domain, DomainId, Slab};

/// Most that `fdb: { capacity: .. }` can say.
const MOST: u64 = 0x1000_0000;

/// Gives every tenant its reserve, in a table of this capacity. Returns how many places are in nobody's.
pub(super) fn share(domains: &mut Slab<DomainId, Domain>, statics: usize, capacity: usize) -> usize {
    let room = capacity.saturating_sub(statics) as u64;
    let limits = |is_stated: bool| {
        let all = domains.values().filter(|domain| (domain.mac_reserve != 0) == is_stated);
        all.map(|domain| domain.mac_limit).collect::<Vec<_>>()
    };
    let (stated, others) = (limits(true), limits(false));
    let equal = part(&others, room.saturating_sub(sum(&stated)).max(room / 2));
    let kept: u64 = others.iter().map(|limit| u64::from(*limit.min(&equal))).sum();
    let most = part(&stated, room - kept);
    for domain in domains.values_mut() {
        domain.mac_reserve = domain.mac_limit.min(if domain.mac_reserve == 0 { equal } else { most });
    }
    let reserves: u64 = domains.values().map(|domain| u64::from(domain.mac_reserve)).sum();
    capacity.saturating_sub(reserves as usize)
}

fn sum(limits: &[u32]) -> u64 {
    limits.iter().copied().map(u64::from).sum()
}

/// Most that tenants with these limits are sure of: all that they want, if there is room for it, or else equal parts of
/// half of the room, and those who want less leave more to the others.
fn part(limits: &[u32], room: u64) -> u32 {
    if sum(limits) <= room {
        return u32::MAX;
    }
    let (mut limits, mut left) = (limits.to_vec(), room / 2);
    limits.sort_unstable();
    let mut others = limits.len() as u64;
    for limit in limits {
        let part = left / others;
        if u64::from(limit) > part {
            return part as u32;
        }
        left -= u64::from(limit);
        others -= 1;
    }
    u32::MAX
}

/// Warns of limits that a table of this capacity cannot keep: one that is larger, or all of them together.
pub(super) fn warn(file: &File, domains: &TenantSection<'_>, capacity: usize, findings: &mut Findings) {
    let limits = file.tenants.iter().filter_map(|(_, tenant)| Some(&tenant?.limits));
    let limits = limits.chain(file.patterns.iter().filter_map(|(_, pattern)| Some(&pattern?.limits)));
    let limits: Vec<(_, Macs)> =
        limits.filter_map(|limits| limits.macs.as_ref()).filter_map(|at| Some((at, at.value()?))).collect();
    let mut is_told = false;
    for (at, _) in limits.iter().filter(|(_, macs)| macs.0 > capacity as u64) {
        let message = format!("the FDB holds {capacity} addresses of all tenants together (fdb.capacity)");
        findings.warning(at.span, message, "lower this limit, or raise `fdb: { capacity: .. }`");
        is_told = true;
    }
    // Not shared yet: what tenants state, those of patterns as often as there are.
    let stated: u64 = domains.forwarding.values().map(|domain| u64::from(domain.mac_reserve)).sum();
    let statics = domains.statics.len();
    let Some((last, _)) = limits.last().filter(|_| !is_told && stated > capacity.saturating_sub(statics) as u64) else {
        return;
    };
    let span = file.fdb.capacity.as_ref().map_or(last.span, |at: &At<_>| at.span);
    let besides = if statics == 0 { String::new() } else { format!(", {statics} of them static") };
    let message = format!(
        "the limits of all tenants add up to {stated} addresses, and the FDB holds {capacity}{besides} (fdb.capacity): not \
         every tenant can have as many as its limit says"
    );
    let enough = stated + statics as u64;
    let help = if enough <= MOST { format!(", or write `fdb: {{ capacity: {enough} }}`") } else { String::new() };
    findings.warning(span, message, format!("lower the limits{help}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The reserves of tenants with these limits, stated or not, and what all may have together.
    fn shared(tenants: &[(u32, bool)], capacity: usize) -> (Vec<u32>, usize) {
        let mut domains = Slab::new();
        for (n, &(mac_limit, is_stated)) in tenants.iter().enumerate() {
            let mac_reserve = if is_stated { mac_limit } else { 0 };
            domains.insert(DomainId::new(n as u32), Domain { mac_limit, mac_reserve, ..Domain::default() });
        }
        let common = share(&mut domains, 0, capacity);
        (domains.values().map(|domain| domain.mac_reserve).collect(), common)
    }

    #[test]
    fn where_there_is_enough_everybody_is_sure_of_the_whole_limit() {
        assert_eq!(shared(&[(400, true), (600, false)], 1000), (vec![400, 600], 0));
    }

    #[test]
    fn a_stated_limit_comes_first_and_half_of_the_rest_is_shared_equally() {
        assert_eq!(shared(&[(400, true), (65536, false), (65536, false)], 1000), (vec![400, 150, 150], 300));
    }

    #[test]
    fn who_states_no_limit_is_sure_of_something_whatever_others_state() {
        assert_eq!(shared(&[(1000, true), (65536, false), (65536, false)], 1000), (vec![375, 125, 125], 375));
        assert_eq!(shared(&[(5000, true), (100, false)], 1000), (vec![450, 100], 450));
    }

    #[test]
    fn whoever_wants_less_than_an_equal_part_leaves_the_rest_to_others() {
        assert_eq!(shared(&[(50, true), (800, true), (900, true)], 1000), (vec![50, 225, 225], 500));
    }

    #[test]
    fn reserves_are_never_more_than_the_table() {
        for tenants in [1, 2, 3, 999, 1000, 1001, 5000] {
            for is_stated in [false, true] {
                let (reserves, common) = shared(&vec![(65536, is_stated); tenants], 1000);
                let sum: u32 = reserves.iter().sum();
                assert!(sum <= 1000 && sum as usize + common == 1000, "{tenants}: {sum}, {common}");
            }
        }
    }
}
