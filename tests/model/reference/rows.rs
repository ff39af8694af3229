//! What is known, in words, to be compared.

use std::collections::{BTreeMap, BTreeSet};

use super::{Progress, Reference, homes_behind};
use crate::bridge::Entry;
use crate::frames::NextHop;
use crate::settings::Peer;

/// A row of the FDB, in words.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Known {
    pub(crate) tenant: String,
    pub(crate) mac: [u8; 6],
    pub(crate) attachment: String,
    pub(crate) peer: String,
    /// The second of the last frame; 0 for a static one.
    pub(crate) seen: u64,
    pub(crate) pinned: bool,
}

impl Reference {
    /// Whether nothing is left in the table of a file before.
    pub(crate) fn is_settled(&self) -> bool {
        self.progress == Progress::Settled
    }

    /// Everything known that the newest file, or what was learned, has a name for.
    pub(crate) fn table(&self) -> BTreeSet<Known> {
        let rows = self.bridges.iter().flat_map(|(name, bridge)| {
            bridge.hosts.iter().map(|(mac, Entry { home, seen, pinned })| Known {
                tenant: (*name).to_owned(),
                mac: *mac,
                attachment: home.way.clone(),
                peer: home.peer.name(),
                seen: *seen,
                pinned: *pinned,
            })
        });
        rows.filter(|row| self.is_settled() || self.means(row)).collect()
    }

    /// Whether a row of the table means something.
    pub(crate) fn means(&self, row: &Known) -> bool {
        let way = self.bridges.get(row.tenant.as_str()).and_then(|bridge| bridge.tenant.way(&row.attachment));
        let mut homes = way.into_iter().flat_map(|way| homes_behind(&self.settings, &self.strangers, way));
        homes.any(|home| home.peer.name() == row.peer)
    }

    /// By tenant: how many places its addresses take that are not the file's.
    pub(crate) fn learned_macs(&self) -> BTreeMap<String, usize> {
        self.bridges.iter().map(|(name, bridge)| ((*name).to_owned(), bridge.learned())).collect()
    }

    pub(crate) fn strangers(&self) -> BTreeSet<String> {
        self.strangers.iter().map(|far| Peer::Member(far).name()).collect()
    }

    pub(crate) const fn refused(&self) -> u64 {
        self.strangers.refused
    }

    /// The paths of all tunnels.
    pub(crate) fn paths(&self) -> BTreeMap<String, Vec<NextHop>> {
        let named = self.settings.named().into_iter().map(|(peer, _)| peer);
        let all = named.chain(self.strangers.iter().map(Peer::Member));
        all.map(|peer| (peer.name(), self.paths.get(&peer).cloned().unwrap_or_default())).collect()
    }
}
