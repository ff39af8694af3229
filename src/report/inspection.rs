//! How a gateway is, gathered part by part, and of each kind of trouble no more than fits a page.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use transload_encaps::{Common, DropReason};

use super::advice::Ends;
use super::drop_history::LastMinute;
use super::rows::{GatewayRow, Health, PeerState, PortRow, StatusRow, Subject, TroubleRow, WorkerRow};
use super::state::GatewayState;
use super::trouble;
use crate::forwarding::DomainId;

/// Most troubles of a kind, and most ports, that are told one by one.
const MOST: usize = 10;

/// How a gateway is, as far as it has been looked at.
#[derive(Debug, Default)]
pub struct Inspection {
    last: LastMinute,
    ports: Vec<PortRow>,
    peers: BTreeMap<String, u64>,
    changed_files: BTreeMap<String, String>,
    /// The worst first.
    troubles: BTreeMap<(Reverse<Health>, Subject), Vec<TroubleRow>>,
    more: BTreeMap<String, u64>,
}

impl Inspection {
    /// Begins one, with what was dropped in the last minute, and the files that are not as they were loaded.
    #[must_use]
    pub fn new(last: LastMinute, changed_files: BTreeMap<String, String>) -> Self {
        let mut inspection = Self { last, ..Self::default() };
        for (name, how) in &changed_files {
            inspection.add(trouble::file(name, how));
        }
        Self { changed_files, ..inspection }
    }

    /// Looks at the MAC table, the ports and the reasons for drops.
    pub fn basics(&mut self, state: &GatewayState<'_>) {
        for (row, (id, _)) in state.ports().into_iter().zip(state.names.ports()) {
            self.add_all(trouble::port(&row, id, &self.last));
            if self.ports.len() < MOST {
                self.ports.push(row);
            } else {
                *self.more.entry(Subject::Port.to_string()).or_default() += 1;
            }
        }
        let fdb = &state.shared.fdb;
        let drops: Vec<_> = DropReason::all().filter_map(|reason| trouble::drops(state, reason, &self.last)).collect();
        self.add_all(trouble::table(fdb.len(), fdb.capacity()));
        self.add_all(drops);
    }

    /// Looks at the tunnel peers that are in the state.
    pub fn peers(&mut self, state: &GatewayState<'_>) {
        let tables = state.shared.forwarding.load();
        let mut rows: Vec<_> = state.tunnel_rows(&state.tunnels, &tables).collect();
        rows.sort_by(|(.., a), (.., b)| a.peer.cmp(&b.peer));
        let is_recent = self.last.of(Common::UnknownPeer.into()).rises();
        let stranger = state.last_sample_of(Common::UnknownPeer.into()).filter(|_| is_recent);
        for (tunnel, peer, row) in rows {
            *self.peers.entry(row.state.to_string()).or_default() += 1;
            let (peer, local, carrier) = (&*row.peer, row.endpoint_address.as_deref(), peer.compiled.carrier());
            let ends = Ends { peer, remote: &row.address, local, carrier };
            self.add_all(trouble::peer(&row, tunnel, ends, stranger.as_ref()));
        }
    }

    /// Looks at these tenants.
    pub fn tenants(&mut self, state: &GatewayState<'_>, ids: &[DomainId]) {
        let tables = state.shared.forwarding.load();
        for id in ids {
            if let Some(domain) = tables.domain(*id) {
                self.add_all(trouble::tenant(state, *id, domain));
            }
        }
    }

    /// How it is.
    #[must_use]
    pub fn finish(mut self, gateway: GatewayRow, workers: Vec<WorkerRow>) -> StatusRow {
        let count = |state: &str| self.peers.get(state).copied().unwrap_or(0);
        let all: u64 = self.peers.values().sum();
        // One that says nothing may have nothing to say.
        let lost = [PeerState::Unreachable, PeerState::Unresolved].map(|state| count(state.word()));
        if all > 0 && lost.iter().sum::<u64>() == all {
            self.add(trouble::alone(all));
        }
        self.add_all(trouble::reload(&gateway));
        self.add_all(trouble::metrics(&gateway));
        let troubles: Vec<_> = self.troubles.into_values().flatten().collect();
        StatusRow {
            health: troubles.iter().map(|trouble| trouble.health).max().unwrap_or_default(),
            gateway,
            changed_files: self.changed_files,
            workers,
            ports: self.ports,
            peers: self.peers,
            troubles,
            more: self.more,
        }
    }

    fn add_all(&mut self, troubles: impl IntoIterator<Item = TroubleRow>) {
        troubles.into_iter().for_each(|trouble| self.add(trouble));
    }

    fn add(&mut self, trouble: TroubleRow) {
        let kind = self.troubles.entry((Reverse(trouble.health), trouble.about)).or_default();
        if kind.len() < MOST {
            kind.push(trouble);
        } else {
            *self.more.entry(format!("{} {}", trouble.about, trouble.health)).or_default() += 1;
        }
    }
}
