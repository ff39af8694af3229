//! Reserves: how much of the FDB each tenant is sure of, so that none of them keeps another from learning.
//!
//! A tenant that states a limit is sure of it, and the others of equal parts of half of what is left; the other half is
//! for whoever is first. Where the stated limits alone are more than the table holds, all tenants are sure of equal
//! parts of half of it, or of their limits where these are lower.

use super::domains::TenantSection;
use super::findings::Findings;
use crate::config::{At, File, Macs};
use crate::forwarding::{Domain, DomainId, Slab};

/// Gives every tenant its reserve, in a table of this capacity. Returns up to how many addresses in the table they may
/// have more.
pub(super) fn share(domains: &mut Slab<DomainId, Domain>, statics: usize, capacity: usize) -> usize {
    let room = capacity.saturating_sub(statics) as u64;
    let sum =
        |domains: &Slab<DomainId, Domain>| domains.values().map(|domain| u64::from(domain.mac_reserve)).sum::<u64>();
    let stated = sum(domains);
    let is_too_much = stated > room;
    let left = if is_too_much { room } else { room - stated };
    let claims = |domain: &Domain| is_too_much || domain.mac_reserve == 0;
    let limits: Vec<_> = domains.values().filter(|domain| claims(domain)).map(|domain| domain.mac_limit).collect();
    let all: u64 = limits.iter().copied().map(u64::from).sum();
    // If there is enough for all, nothing is left to chance.
    let part = if all <= left { u32::MAX } else { part(limits, left / 2) };
    for domain in domains.values_mut() {
        if claims(domain) {
            domain.mac_reserve = domain.mac_limit.min(part);
        }
    }
    capacity.saturating_sub(sum(domains) as usize)
}

/// The largest part that everybody can have who wants it, and less is wanted by some.
fn part(mut limits: Vec<u32>, mut room: u64) -> u32 {
    limits.sort_unstable();
    let mut others = limits.len() as u64;
    for limit in limits {
        let part = room / others;
        if u64::from(limit) > part {
            return part as u32;
        }
        room -= u64::from(limit);
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
    findings.warning(span, message, format!("lower the limits, or write `fdb: {{ capacity: {enough} }}`"));
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
