//! After the workers have passed to other tables: the FDB is made to mean what they say, and numbers become free.

use std::collections::HashSet;
use std::sync::atomic::Ordering;

use super::ageing::sweep;
use super::{News, Output, Rib};
use crate::compile::{Freed, Static};
use crate::dataplane::Shared;
use crate::fdb::{Entry, EntrySource};
use crate::forwarding::{Domain, Forwarding, Map};

impl Rib {
    /// Finishes what has waited until every worker goes by the newest tables. Returns whether nothing waits any more;
    /// if not, call it again later.
    pub fn settle(&mut self) -> bool {
        while let Some(&(serial, generation)) = self.unsettled.front() {
            if !self.versions.is_passed(serial) {
                return false;
            }
            self.unsettled.pop_front();
            self.pin();
            let freed = self.plan.numbers.reclaim(generation);
            self.reclaims += 1;
            self.forget(&freed);
        }
        true
    }

    /// Makes the FDB mean what the tables say: what they do not name leaves, and of the file's addresses exactly the
    /// present ones are pinned.
    fn pin(&mut self) {
        let (shared, statics) = (&self.shared, &self.plan.statics);
        let tables = shared.forwarding.load();
        let pins: Map<_, _> = statics.iter().map(|entry| ((entry.domain, entry.mac), entry.target)).collect();
        let is_pinned = |entry: &Entry| pins.get(&(entry.domain, entry.mac)) == Some(&entry.target);
        let mut excess = excess(&tables, statics.len());
        let wanted = |entry: &Entry| match entry.source {
            EntrySource::File => is_pinned(entry),
            _ => !take_back(&tables, entry, &mut excess),
        };
        sweep(shared, &tables, 0..shared.fdb.buckets(), wanted);
        let unplaced = statics.iter().filter(|entry| !place(shared, &tables, entry)).copied();
        self.outputs.extend(unplaced.map(|entry| Output::News(News::NoRoom(entry))));
    }

    /// Forgets what was counted and told of numbers that are free now, so that their next owners begin with nothing.
    fn forget(&mut self, freed: &Freed) {
        for counters in &self.counters {
            freed.peers.iter().for_each(|id| counters.forget_peer(*id));
            freed.domains.iter().for_each(|id| counters.forget_domain(*id));
            freed.attachments.iter().for_each(|claim| counters.forget_attachment(*claim));
            freed.mappings.iter().for_each(|id| counters.forget_mapping(*id));
        }
        freed.peers.iter().for_each(|id| self.activity.forget_peer(*id));
        freed.domains.iter().for_each(|id| self.activity.forget_domain(*id));
        freed.attachments.iter().for_each(|claim| self.activity.forget_attachment(*claim));
        if !freed.peers.is_empty() {
            let gone: HashSet<_> = freed.peers.iter().copied().collect();
            self.history.forget_peers(|peer| gone.contains(&peer));
        }
        if freed.domains.is_empty() {
            return;
        }
        let gone: HashSet<_> = freed.domains.iter().collect();
        self.history.retain(|domain, _| !gone.contains(&domain));
        self.loops.retain(|domain| !gone.contains(&domain));
        self.shortages.retain(|domain| !gone.contains(&domain));
    }
}

/// Pins an address of the file; false when there is no room. One that was learned no longer counts against its
/// tenant's limit.
fn place(shared: &Shared, tables: &Forwarding, entry: &Static) -> bool {
    let key = shared.fdb.key(entry.domain, entry.mac);
    let Ok(replaced) = shared.fdb.install(key, entry.target, EntrySource::File) else { return false };
    if replaced.is_some_and(|replaced| replaced.source != EntrySource::File)
        && let Some(domain) = tables.domain(entry.domain)
    {
        domain.state.macs.fetch_sub(1, Ordering::Relaxed);
    }
    true
}

/// How many addresses tenants have beyond their reserves that the tables keep for those of others.
fn excess(tables: &Forwarding, statics: usize) -> usize {
    let beyond = tables.domains.values().map(|domain| {
        let macs = domain.state.macs.load(Ordering::Relaxed);
        macs.saturating_sub(domain.mac_reserve) as usize
    });
    beyond.sum::<usize>().saturating_sub(tables.common_macs.saturating_sub(statics))
}

/// Whether an address has to leave, since too many are beyond the reserves, and its tenant's are.
fn take_back(tables: &Forwarding, entry: &Entry, excess: &mut usize) -> bool {
    let is_beyond = |domain: &Domain| domain.state.macs.load(Ordering::Relaxed) > domain.mac_reserve;
    let goes = *excess > 0 && entry.source.is_learned() && tables.domain(entry.domain).is_some_and(is_beyond);
    *excess -= usize::from(goes);
    goes
}
