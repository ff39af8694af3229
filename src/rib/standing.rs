//! What control goes by: the file as it was taken in last, the numbers of its names, and the peers learned since.

use crate::compile::{Numbers, Plan};
use crate::config::Config;
use crate::dataplane::Now;
use crate::events::Event;
use crate::forwarding::Forwarding;
use crate::rib::learned::LearnedPeers;
use crate::rib::reload::{self, Swap};
use crate::run::gateway::Gateway;

/// What control goes by.
#[derive(Debug)]
pub struct Standing {
    /// The file.
    pub config: Config,
    /// What it came to.
    pub plan: Plan,
    /// The numbers of all names.
    pub numbers: Numbers,
    /// The peers that it does not name.
    pub learned: LearnedPeers,
}

impl Gateway {
    /// Gives numbers to the senders that workers told of and that groups may learn.
    pub fn acquaint(&self, events: &[Event]) {
        let mut standing = self.standing();
        let Standing { plan, numbers, learned, .. } = &mut *standing;
        let tables = self.shared.forwarding.load();
        let mut any = false;
        for event in events {
            if let Some(newcomer) = learned.meet(event, &plan.learning, &tables, numbers) {
                tracing::info!("peer {}: learned from what it sends", newcomer.name);
                any = true;
            }
        }
        for (group, refused) in learned.newly_full(&plan.learning) {
            tracing::warn!(
                "group {group}: {refused} senders are not learned, since `max_learned` is reached; their frames are \
                 carried, but answers to them are flooded"
            );
        }
        if any {
            let tables = self.with_learned(&standing);
            self.versions.publish(&self.shared, tables);
            self.present(&standing);
        }
    }

    /// Forgets learned peers that are not needed any more; gives back what is to be settled then.
    pub fn forget_learned(&self, now: Now) -> Option<Swap> {
        let mut standing = self.standing();
        let Standing { plan, numbers, learned, .. } = &mut *standing;
        let received = |id| -> u64 {
            let peers = self.counters.iter().filter_map(|counters| counters.peer(id));
            peers.map(|peer| peer.rx.frames.get()).sum()
        };
        let gone = learned.age(&self.shared, &plan.learning, numbers, received, now);
        if gone.is_empty() {
            return None;
        }
        tracing::info!("{} learned peers are silent, and forgotten", gone.len());
        let mut tables = self.with_learned(&standing);
        for peer in gone {
            if let Some(row) = tables.hops.get_mut(peer.0 as usize) {
                row.clear();
            }
        }
        let Standing { plan, numbers, .. } = &*standing;
        let swap = reload::publish(&self.shared, &self.versions, tables, plan.statics.clone(), numbers.generation());
        self.present(&standing);
        Some(swap)
    }

    /// The tables of now, with the peers that are learned by now; next hops are for the resolver to find.
    fn with_learned(&self, standing: &Standing) -> Forwarding {
        let tables = self.shared.forwarding.load_full();
        let learned = standing.learned.tables(&standing.plan.learning, &tables, &tables.learned, |_| Vec::new());
        let tables = Forwarding { learned: learned.into(), ..Forwarding::clone(&tables) };
        self.counters.iter().for_each(|counters| counters.grow(&tables));
        tables
    }

    /// Tries to settle tables that were published; gives them back when it is too early.
    ///
    /// # Errors
    /// When a worker still uses the tables before.
    pub fn settle(&self, swap: Swap) -> Result<(), Swap> {
        let mut standing = self.standing();
        let settled = swap.settle(&self.shared, &mut standing.numbers)?;
        for entry in settled.unplaced {
            let tenant = self.view().names.domain(entry.domain).into_owned();
            tracing::error!("{tenant}: the MAC table has no room for the static address {}", entry.mac);
        }
        for counters in &self.counters {
            settled.freed.peers.iter().for_each(|id| counters.forget_peer(*id));
            settled.freed.domains.iter().for_each(|id| counters.forget_domain(*id));
            settled.freed.mappings.iter().for_each(|id| counters.forget_mapping(*id));
        }
        self.news().forget(&settled.freed);
        Ok(())
    }
}
