//! One tenant's bridge: who lives where, in a hash map.

use std::collections::HashMap;

use crate::settings::{Peer, Tenant, Way};

/// Where a host lives. To be attached elsewhere under the same name is to be another attachment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Home {
    /// The name of the attachment.
    pub(crate) way: String,
    pub(crate) peer: Peer,
}

#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) home: Home,
    /// The second of the last frame; 0 for a static one.
    pub(crate) seen: u64,
    pub(crate) pinned: bool,
}

pub(crate) struct Bridge {
    pub(crate) tenant: Tenant,
    pub(crate) hosts: HashMap<[u8; 6], Entry>,
}

/// Where a frame goes.
pub(crate) enum Decision {
    To(Home),
    /// To everybody behind these attachments.
    Flood(Vec<Way>),
    Drop(&'static str),
}

impl Entry {
    pub(crate) fn is_young(&self, now: u64, tenant: &Tenant) -> bool {
        self.pinned || now - self.seen <= tenant.ageing
    }
}

impl Bridge {
    /// How many addresses are learned: those of the file do not count.
    pub(crate) fn learned(&self) -> usize {
        self.hosts.values().filter(|entry| !entry.pinned).count()
    }

    /// Takes in that a frame of `src` came from `origin` in this second.
    pub(crate) fn learn(&mut self, src: [u8; 6], origin: &Home, now: u64) {
        let learned = self.learned();
        match self.hosts.get_mut(&src) {
            _ if !self.tenant.learning || origin.peer == Peer::Stranger => {}
            Some(entry) if entry.pinned => {}
            Some(entry) => (entry.home, entry.seen) = (origin.clone(), now),
            None if learned >= self.tenant.macs => {}
            None => drop(self.hosts.insert(src, Entry { home: origin.clone(), seen: now, pinned: false })),
        }
    }

    /// Where a frame to `dst` goes that came in by this attachment. `is_there` says of a home whether the file, or what
    /// was learned, still has it.
    pub(crate) fn decide(
        &self,
        dst: [u8; 6],
        origin: &Home,
        ingress: &Way,
        now: u64,
        is_there: impl Fn(&Tenant, &Home) -> bool,
    ) -> Decision {
        let is_known = |entry: &&Entry| entry.is_young(now, &self.tenant) && is_there(&self.tenant, &entry.home);
        match self.hosts.get(&dst).filter(is_known) {
            Some(Entry { home, .. }) if home == origin => Decision::Drop("same_attachment"),
            Some(Entry { home, .. }) => match self.tenant.way(&home.way) {
                Some(egress) if ingress.may_feed(egress) => Decision::To(home.clone()),
                _ => Decision::Drop("split_horizon"),
            },
            None if dst[0] & 1 == 0 && !self.tenant.flood_unknown => Decision::Drop("unknown_unicast_off"),
            None => {
                let ways = self.tenant.ways.iter().filter(|way| ingress.may_feed(way));
                Decision::Flood(ways.cloned().collect())
            }
        }
    }
}
