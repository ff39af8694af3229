//! What the log says of tunnels' paths: each complaint once, once more when it is over, and many alike in one line.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::next_hops::Complaint;
use super::tables::Kernel;
use crate::forwarding::PeerId;

/// So many of one kind get a line each.
const FEW: usize = 8;
/// So many are named in a line about many.
const NAMED: usize = 3;

/// The complaints that are in the log already.
#[derive(Debug, Default)]
pub(super) struct SaidComplaints(HashSet<(PeerId, Complaint)>);

impl SaidComplaints {
    /// Logs what is new, and what is over. A peer without a name is gone, and has nothing to report.
    pub(super) fn update<'n>(
        &mut self,
        now: HashSet<(PeerId, Complaint)>,
        kernel: &Kernel,
        name: impl Fn(PeerId) -> Option<&'n str>,
    ) {
        let (of_endpoints, new): (Vec<_>, Vec<_>) = now.difference(&self.0).partition(|(_, it)| it.is_of_endpoint());
        for line in of_endpoints_together(&of_endpoints) {
            tracing::error!("{line}");
        }
        let over = self.0.difference(&now).filter_map(|(peer, it)| Some((name(*peer)?, it)));
        let (of_endpoints, over): (Vec<_>, Vec<_>) = over.partition(|(_, it)| it.is_of_endpoint());
        for line in of_endpoints.iter().map(|(_, it)| it.cleared(kernel)).collect::<BTreeSet<_>>() {
            tracing::info!("{line}");
        }
        let (passing, lasting): (Vec<_>, Vec<_>) = new.into_iter().partition(|(_, it)| it.is_passing());
        let named = |all: Vec<&'_ (PeerId, Complaint)>| -> Vec<(&'n str, String)> {
            all.into_iter().map(|(peer, it)| (name(*peer).unwrap_or_default(), it.to_string())).collect()
        };
        for line in lines(named(passing), "have not answered yet, or their devices are down") {
            tracing::warn!("{line}");
        }
        for line in lines(named(lasting), "have no usable route") {
            tracing::error!("{line}");
        }
        let over = over.into_iter().map(|(name, it)| (name, it.cleared(kernel))).collect();
        for line in lines(over, "are no longer complained of") {
            tracing::info!("{line}");
        }
        self.0 = now;
    }
}

/// A line for every endpoint, with the number of peers that are not reached from it.
fn of_endpoints_together(complaints: &[&(PeerId, Complaint)]) -> Vec<String> {
    let mut peers = BTreeMap::<String, usize>::new();
    for (_, complaint) in complaints {
        *peers.entry(complaint.to_string()).or_default() += 1;
    }
    let line = |(words, count): (String, usize)| {
        let s = if count == 1 { "" } else { "s" };
        format!("{words}: {count} peer{s} cannot be spoken to until it is given back (`ip address add`)")
    };
    peers.into_iter().map(line).collect()
}

/// A line for each, or one for all.
fn lines(mut all: Vec<(&str, String)>, what: &str) -> Vec<String> {
    all.sort();
    if all.len() <= FEW {
        return all.iter().map(|(name, words)| format!("peer {name}: {words}")).collect();
    }
    let names: Vec<_> = all.iter().take(NAMED).map(|(name, _)| *name).collect();
    let more = all.len() - names.len();
    vec![format!("{} peers {what}: {} and {more} more; `transload show peers` lists them", all.len(), names.join(", "))]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_is_gone_is_one_line_for_all_of_its_peers() {
        let gone = |peer| {
            (PeerId::new(peer), Complaint::AddressGone { local: [192, 0, 2, 1].into(), endpoint: "fabric".into() })
        };
        let all = [gone(1), gone(2), gone(3)];
        assert_eq!(
            of_endpoints_together(&all.iter().collect::<Vec<_>>()),
            [
                "this machine no longer has 192.0.2.1, the address of endpoint fabric: 3 peers cannot be spoken to until it is \
                 given back (`ip address add`)"
            ]
        );
    }

    #[test]
    fn few_get_a_line_each_and_many_one_together() {
        let all = |count: usize| (0..count).map(|n| (["a", "b", "c", "d"][n % 4], "silent".to_owned())).collect();
        assert_eq!(lines(all(2), "are silent"), ["peer a: silent", "peer b: silent"]);
        let told = "9 peers are silent: a, a, a and 6 more; `transload show peers` lists them";
        assert_eq!(lines(all(9), "are silent"), [told]);
    }
}
