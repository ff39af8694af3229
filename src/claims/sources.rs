//! Sources: the addresses that tunnel packets are accepted from, by peer.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use transload_encaps::Carrier;

use crate::forwarding::{EndpointId, FileTables, PeerId, Sender};
use crate::mapping::interval::Interval;

/// The addresses that tunnel packets are accepted from, by peer: single addresses where the file names them, and what
/// is left of the prefixes that groups learn from.
pub(super) fn of(tables: &FileTables) -> Vec<(Interval<IpAddr>, EndpointId, Carrier, PeerId)> {
    let mut named: Vec<_> = tables.senders.iter().collect();
    named.sort_unstable_by_key(|(sender, _)| (sender.endpoint, sender.carrier, sender.address));
    let point = |(sender, peer): &(&Sender, &PeerId)| {
        (Interval::point(sender.address), sender.endpoint, sender.carrier, **peer)
    };
    let mut sources: Vec<_> = named.iter().map(point).collect();
    for learner in &tables.learners {
        let key = |address| (learner.endpoint, learner.carrier, address);
        let from = named.partition_point(|(s, _)| (s.endpoint, s.carrier, s.address) < key(learner.first));
        let to = named.partition_point(|(s, _)| (s.endpoint, s.carrier, s.address) <= key(learner.last));
        let inside = named.get(from..to).unwrap_or_default().iter().map(|(sender, _)| sender.address);
        for rest in without(Interval::new(learner.first, learner.last), inside) {
            sources.push((rest, learner.endpoint, learner.carrier, learner.peer));
        }
    }
    sources
}

/// What is left of an interval without some of its values, given in order.
fn without(whole: Interval<IpAddr>, values: impl Iterator<Item = IpAddr>) -> Vec<Interval<IpAddr>> {
    let mut left = Vec::new();
    let mut next = Some(whole.first());
    for value in values {
        if let Some(first) = next.filter(|first| *first < value) {
            left.extend(step(value, false).map(|last| Interval::new(first, last)));
        }
        next = step(value, true).filter(|next| *next <= whole.last());
    }
    left.extend(next.map(|first| Interval::new(first, whole.last())));
    left
}

/// The address after this one, or the one before it.
fn step(address: IpAddr, up: bool) -> Option<IpAddr> {
    match address {
        IpAddr::V4(v4) if up => v4.to_bits().checked_add(1).map(|bits| Ipv4Addr::from_bits(bits).into()),
        IpAddr::V4(v4) => v4.to_bits().checked_sub(1).map(|bits| Ipv4Addr::from_bits(bits).into()),
        IpAddr::V6(v6) if up => v6.to_bits().checked_add(1).map(|bits| Ipv6Addr::from_bits(bits).into()),
        IpAddr::V6(v6) => v6.to_bits().checked_sub(1).map(|bits| Ipv6Addr::from_bits(bits).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_addresses_leave_gaps_in_a_prefix() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let whole = Interval::new(ip("10.0.0.0"), ip("10.0.0.3"));
        let left = |named: &[&str]| {
            let rest = without(whole, named.iter().map(|address| ip(address)));
            rest.iter().map(|rest| format!("{}-{}", rest.first(), rest.last())).collect::<Vec<_>>()
        };
        assert_eq!(left(&[]), ["10.0.0.0-10.0.0.3"]);
        assert_eq!(left(&["10.0.0.0", "10.0.0.2"]), ["10.0.0.1-10.0.0.1", "10.0.0.3-10.0.0.3"]);
        assert_eq!(left(&["10.0.0.3"]), ["10.0.0.0-10.0.0.2"]);
        assert_eq!(left(&["10.0.0.0", "10.0.0.1", "10.0.0.2", "10.0.0.3"]), [""; 0]);
    }
}
