//! What is told of tunnels' paths: each complaint once, once more when it is over, and many alike in one event.

use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;

use super::next_hops::Complaint;
use super::tables::Kernel;
use crate::forwarding::PeerId;
use crate::logging::LogEvent;

/// So many of one kind get an event each.
const FEW: usize = 8;
/// So many are named in an event about many.
const NAMED: usize = 3;

/// The complaints that have been told already.
#[derive(Debug, Default)]
pub(super) struct SaidComplaints(HashSet<(PeerId, Complaint)>);

impl SaidComplaints {
    /// Tells what is new, and what is over. A peer without a name is gone, and has nothing to report.
    pub(super) fn update<'n>(
        &mut self,
        now: HashSet<(PeerId, Complaint)>,
        kernel: &Kernel,
        name: impl Fn(PeerId) -> Option<&'n str>,
    ) {
        let new: Vec<_> = now.difference(&self.0).collect();
        for ((endpoint, address), count) in addresses_gone(&new) {
            LogEvent::EndpointAddressLost { endpoint, address, count }.tell();
        }
        let over: Vec<_> = self.0.difference(&now).filter(|(peer, _)| name(*peer).is_some()).collect();
        for (endpoint, address) in addresses_gone(&over).into_keys() {
            LogEvent::EndpointAddressBack { endpoint, address }.tell();
        }
        let of_peers =
            |all: Vec<&'_ (PeerId, Complaint)>, words: &dyn Fn(&Complaint) -> String| -> Vec<(&'n str, String)> {
                let of_peers = all.into_iter().filter(|(_, it)| !it.is_of_endpoint());
                of_peers.map(|(peer, it)| (name(*peer).unwrap_or_default(), words(it))).collect()
            };
        let (passing, lasting) = new.into_iter().partition(|(_, it)| it.is_passing());
        tell(
            of_peers(passing, &Complaint::to_string),
            |peer, why| LogEvent::PeerUnresolved { peer, why },
            |count, peers| LogEvent::PeersUnresolved { count, peers },
        );
        tell(
            of_peers(lasting, &Complaint::to_string),
            |peer, why| LogEvent::PeerWithoutRoute { peer, why },
            |count, peers| LogEvent::PeersWithoutRoute { count, peers },
        );
        tell(
            of_peers(over, &|it| it.cleared(kernel)),
            |peer, why| LogEvent::PeerResolved { peer, why },
            |count, peers| LogEvent::PeersResolved { count, peers },
        );
        self.0 = now;
    }
}

/// The endpoints whose addresses are gone, with the number of peers that are not reached from each.
fn addresses_gone<'c>(complaints: &[&'c (PeerId, Complaint)]) -> BTreeMap<(&'c str, IpAddr), usize> {
    let mut peers = BTreeMap::new();
    for (_, complaint) in complaints {
        if let Complaint::AddressGone { local, endpoint } = complaint {
            *peers.entry((&**endpoint, *local)).or_default() += 1;
        }
    }
    peers
}

/// Tells an event for each, or one for all.
fn tell(
    mut all: Vec<(&str, String)>,
    one: impl for<'e> Fn(&'e str, &'e str) -> LogEvent<'e>,
    many: impl for<'e> Fn(usize, &'e [&'e str]) -> LogEvent<'e>,
) {
    all.sort_unstable();
    match first_of_many(&all) {
        None => all.iter().for_each(|(peer, why)| one(peer, why).tell()),
        Some(peers) => many(all.len(), &peers).tell(),
    }
}

/// The names of the first, if they are too many for an event each.
fn first_of_many<'n>(all: &[(&'n str, String)]) -> Option<Vec<&'n str>> {
    (all.len() > FEW).then(|| all.iter().map(|(peer, _)| *peer).take(NAMED).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_is_gone_is_one_event_for_all_of_its_peers() {
        let local = [192, 0, 2, 1].into();
        let gone = |peer| (PeerId::new(peer), Complaint::AddressGone { local, endpoint: "fabric".into() });
        let all = [gone(1), gone(2), gone(3)];
        let gone = addresses_gone(&all.iter().collect::<Vec<_>>());
        assert_eq!(gone.into_iter().collect::<Vec<_>>(), [(("fabric", local), 3)]);
    }

    #[test]
    fn few_get_an_event_each_and_many_one_together() {
        let all = |count: usize| -> Vec<_> {
            (0..count).map(|n| (["a", "b", "c", "d"][n % 4], "silent".to_owned())).collect()
        };
        assert_eq!(first_of_many(&all(FEW)), None);
        let peers = first_of_many(&all(9)).expect("they are many");
        let told = "9 peers have not answered yet, or their devices are down: a, b, c and 6 more; `transload show peers` lists them";
        assert_eq!(LogEvent::PeersUnresolved { count: 9, peers: &peers }.to_string(), told);
    }
}
