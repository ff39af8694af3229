//! Answers `/status`: reads peers and tenants in parts, so that control does other things in between.

use std::collections::HashSet;

use tokio::task::yield_now;

use super::Asked;
use crate::forwarding::PeerId;
use crate::report::inspection::Inspection;
use crate::report::rows::StatusRow;

/// Peers or tenants of a part.
const PART: usize = 256;

/// Looks at everything.
pub(super) async fn status<G: Asked>(gateway: &G) -> StatusRow {
    let mut inspection = Inspection::new(gateway.last_minute(), gateway.changed_files().await);
    let peers = gateway.tunnels().into_iter().map(|(peer, _)| peer);
    let (peers, tenants, workers) = gateway.read(
        |_| false,
        |state| {
            inspection.basics(state);
            let peers = state.peers_in_order(peers, None).unwrap_or_default();
            (peers, state.tenant_ids(None).unwrap_or_default(), state.workers())
        },
    );
    for part in peers.chunks(PART) {
        yield_now().await;
        let part: HashSet<PeerId> = part.iter().copied().collect();
        gateway.read(|peer| part.contains(&peer), |state| inspection.peers(state));
    }
    for part in tenants.chunks(PART) {
        yield_now().await;
        gateway.read(|_| false, |state| inspection.tenants(state, part));
    }
    inspection.finish(gateway.gateway(), workers)
}
