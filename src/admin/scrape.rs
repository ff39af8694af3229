//! A scrape: all rows that have metrics, read part by part, so that nobody who changes what is known waits for long.
//!
//! The parts are of different moments, some milliseconds apart.

use std::collections::HashSet;

use super::Asked;
use crate::forwarding::PeerId;
use crate::report::GatewayState;
use crate::report::metrics::{MetricSamples, OTHERS};
use crate::report::rows::RowSource;

/// Tenants of a part, and peers.
const TENANTS: usize = 64;
const PEERS: usize = 256;
/// Number of learned peers that have metrics of their own, those that were learned first. Who sends from a prefix that a group
/// learns from must not be able to fill a database.
const LEARNED: usize = 1_000;

/// Everything that a gateway has to say, the lines of each metric; they are written where others were.
pub(super) fn scrape<G: Asked>(gateway: &G, others: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let mut samples = MetricSamples::reusing(others);
    samples.add(&gateway.gateway());
    samples.add(&gateway.log());
    let (workers, ports, mappings, drops) =
        gateway.read(|_| false, |state| (state.workers(), state.ports(), state.mappings(), state.drops_counted()));
    samples.add_all(&workers);
    samples.add_all(&ports);
    samples.add_all(&mappings);
    samples.add_all(&drops);
    peers(gateway, &mut samples);
    tenants(gateway, &mut samples);
    samples.into_lines()
}

fn peers<G: Asked>(gateway: &G, samples: &mut MetricSamples) {
    let all = gateway.tunnels();
    let first = first(all.iter().filter_map(|(peer, learned)| Some(((*learned)?, *peer))).collect());
    let in_order = |state: &GatewayState<'_>| {
        let ids = state.peers_in_order(all.iter().map(|(peer, _)| *peer), None).unwrap_or_default();
        // The learned peers that have metrics of their own.
        let first: HashSet<_> = first.map(|peer| state.names.peer(peer).into_owned()).collect();
        (ids, first)
    };
    let (ids, first) = gateway.read(|_| false, in_order);
    for part in ids.chunks(PEERS) {
        let part: HashSet<PeerId> = part.iter().copied().collect();
        for row in gateway.read(|peer| part.contains(&peer), |state| state.peers(None).unwrap_or_default()) {
            if row.peer != OTHERS && (row.source != RowSource::Learned || first.contains(&row.peer)) {
                samples.add(&row);
            } else {
                samples.add_to_others(&row);
            }
        }
    }
}

/// Those that were learned first, of peers and when they were learned.
fn first<Id: Ord>(mut learned: Vec<(u64, Id)>) -> impl Iterator<Item = Id> {
    learned.sort_unstable();
    learned.into_iter().take(LEARNED).map(|(_, peer)| peer)
}

fn tenants<G: Asked>(gateway: &G, samples: &mut MetricSamples) {
    let is_left_out = gateway.leaves_out();
    let ids = gateway.read(|_| false, |state| state.tenant_ids(None)).unwrap_or_default();
    for part in ids.chunks(TENANTS) {
        for row in gateway.read(|_| false, |state| state.tenants_counted(part)) {
            if row.tenant == OTHERS || is_left_out(&row.tenant) {
                samples.add_to_others(&row);
            } else {
                samples.add(&row);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newcomer_takes_no_learned_peer_s_metrics_away() {
        let learned = |count: u64| (0..count).map(|number| (number, number)).rev().collect::<Vec<_>>();
        let all: Vec<_> = first(learned(LEARNED as u64)).collect();
        assert_eq!(all.len(), LEARNED);
        assert_eq!(first(learned(5 * LEARNED as u64)).collect::<Vec<_>>(), all);
    }
}
