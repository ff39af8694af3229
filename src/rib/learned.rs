//! Learned peers: senders inside a group's `learn_from` that get a number because of what they send, and lose it when
//! nothing is left behind them (RFC 7348 §4.1: the outer source address of a learned MAC becomes its tunnel).
//!
//! The data path lets a stranger's frames in at once but learns nothing from them; it tells of the stranger, control
//! gives it a number and publishes tables that have it, and from then on its addresses are learned.

use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use transload_encaps::underlay::{Underlay, UnderlaySpec};

use crate::compile::{LearningGroup, Numbers, TunnelPlan};
use crate::dataplane::{Now, Shared};
use crate::events::Event;
use crate::forwarding::{Exit, Forwarding, GroupId, Hop, Learned, LearnedPeer, MAX_PEERS, Peer, PeerId, Sender};

const SECOND: u64 = 1_000_000_000;
/// How often learned peers are looked at.
const LOOK: u64 = 15 * SECOND;
/// A peer that has been silent, with no address behind it, for so long is forgotten.
const PATIENCE: u64 = 60 * SECOND;

/// The peers that were learned, by group and address.
#[derive(Debug, Default)]
pub struct LearnedPeers {
    rows: BTreeMap<(GroupId, IpAddr), Row>,
    refused: BTreeMap<GroupId, u64>,
    /// The groups of which it has been told that they are full.
    told: HashSet<GroupId>,
    looked_at: u64,
}

/// What is known of one of them.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// Its number.
    pub id: PeerId,
    /// When it was heard first, in nanoseconds of the workers' clock.
    pub since: u64,
    /// When it was last seen to be in use.
    used: u64,
    /// How many frames had come from it then.
    received: u64,
}

/// A peer that has been given a number.
#[derive(Debug)]
pub struct Newcomer {
    /// The number.
    pub id: PeerId,
    /// `GROUP/ADDRESS`
    pub name: String,
}

/// What a learned peer is called: as a member that the file names would be.
fn name(group: &LearningGroup, address: IpAddr) -> String {
    format!("{}/{address}", group.name)
}

fn identity(group: &LearningGroup, address: IpAddr) -> String {
    Numbers::peer_identity(&format!("group `{}`", group.name), &name(group, address))
}

impl LearnedPeers {
    /// Gives a stranger a number, if it has none and its group has room.
    pub fn meet(
        &mut self,
        event: &Event,
        groups: &[LearningGroup],
        tables: &Forwarding,
        numbers: &mut Numbers,
    ) -> Option<Newcomer> {
        let Event::UnknownSender { anonymous, address, at, .. } = *event else { return None };
        let group = groups.iter().find(|group| group.anonymous == anonymous)?;
        if self.rows.contains_key(&(group.group, address)) || !is_allowed(group, tables, address) {
            return None;
        }
        let id = (self.of(group.group).count() < group.most).then(|| numbers.peer(&identity(group, address)));
        let Some(id) = id.filter(|id| (id.0 as usize) < MAX_PEERS) else {
            *self.refused.entry(group.group).or_default() += 1;
            return None;
        };
        self.rows.insert((group.group, address), Row { id, since: at, used: at, received: 0 });
        Some(Newcomer { id, name: name(group, address) })
    }

    /// Goes on under other tables: whoever may still be learned keeps its number, the others are forgotten. Gives back
    /// the names of those who stay.
    pub fn adopt(&mut self, groups: &[LearningGroup], tables: &Forwarding, numbers: &mut Numbers) -> Vec<Newcomer> {
        let mut stay = Vec::new();
        self.rows.retain(|(id, address), row| {
            let group = groups.iter().find(|group| group.group == *id && is_allowed(group, tables, *address));
            let Some(group) = group else { return false };
            row.id = numbers.peer(&identity(group, *address));
            stay.push(Newcomer { id: row.id, name: name(group, *address) });
            true
        });
        self.refused.retain(|id, _| groups.iter().any(|group| group.group == *id));
        stay
    }

    /// Forgets the peers that have been silent for long enough and that no address lives behind; gives back which.
    /// `received` says how many frames came from a peer so far.
    pub fn age(
        &mut self,
        shared: &Shared,
        groups: &[LearningGroup],
        numbers: &mut Numbers,
        received: impl Fn(PeerId) -> u64,
        now: Now,
    ) -> Vec<PeerId> {
        if self.rows.is_empty() || now.nanos.saturating_sub(self.looked_at) < LOOK {
            return Vec::new();
        }
        self.looked_at = now.nanos;
        let mut in_use = HashSet::new();
        shared.fdb.for_each(|entry| {
            in_use.insert(entry.target.peer);
        });
        let mut gone = Vec::new();
        self.rows.retain(|(id, address), row| {
            let frames = received(row.id);
            if frames != row.received || in_use.contains(&row.id) {
                (row.received, row.used) = (frames, now.nanos);
            }
            let stays = now.nanos.saturating_sub(row.used) < PATIENCE;
            if !stays {
                gone.push(row.id);
                if let Some(group) = groups.iter().find(|group| group.group == *id) {
                    numbers.retire_peer(&identity(group, *address));
                }
            }
            stays
        });
        gone
    }

    /// As the data plane wants them, with the ways that `hops` gives. Sequence numbers go on where `before` has them.
    pub fn tables(
        &self,
        groups: &[LearningGroup],
        tables: &Forwarding,
        before: &Learned,
        mut hops: impl FnMut(&TunnelPlan) -> Vec<Hop>,
    ) -> Learned {
        let mut all = Learned::default();
        for (group, address, row) in self.of_groups(groups) {
            let Some(anonymous) = tables.peer(group.anonymous) else { continue };
            let carrier = anonymous.compiled.carrier();
            let peer = newcomer(group, anonymous, address, before.peers.get(&row.id));
            all.peers.insert(row.id, Arc::new(LearnedPeer { group: group.group, peer }));
            all.senders.insert(Sender { endpoint: group.endpoint, address, carrier }, row.id);
            all.members.entry(group.group).or_default().push(row.id);
            all.hops.insert(row.id, hops(&tunnel(group, address, row.id)));
        }
        all
    }

    /// The tunnels to find next hops for, with the names of their peers.
    pub fn tunnels<'a>(&'a self, groups: &'a [LearningGroup]) -> impl Iterator<Item = (TunnelPlan, String)> + 'a {
        self.of_groups(groups).map(|(group, address, row)| (tunnel(group, address, row.id), name(group, address)))
    }

    /// When each learned peer was heard first.
    pub fn since(&self) -> impl Iterator<Item = (PeerId, u64)> {
        self.rows().map(|row| (row.id, row.since))
    }

    /// Every learned peer.
    pub fn rows(&self) -> impl Iterator<Item = &Row> {
        self.rows.values()
    }

    /// How many strangers a group had no room for.
    #[must_use]
    pub fn refused(&self, group: GroupId) -> u64 {
        self.refused.get(&group).copied().unwrap_or(0)
    }

    /// The groups that had no room for the first time, and for how many.
    pub fn newly_full(&mut self, groups: &[LearningGroup]) -> Vec<(String, u64)> {
        let fresh = self.refused.iter().filter(|(id, _)| self.told.insert(**id));
        let name = |id: &GroupId| groups.iter().find(|group| group.group == *id).map(|group| group.name.clone());
        fresh.filter_map(|(id, refused)| Some((name(id)?, *refused))).collect()
    }

    fn of(&self, group: GroupId) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(move |((id, _), _)| *id == group).map(|(_, row)| row)
    }

    fn of_groups<'a>(
        &'a self,
        groups: &'a [LearningGroup],
    ) -> impl Iterator<Item = (&'a LearningGroup, IpAddr, &'a Row)> {
        self.rows
            .iter()
            .filter_map(|((id, address), row)| Some((groups.iter().find(|group| group.group == *id)?, *address, row)))
    }
}

/// Whether a group may learn this address: nobody names it, and a host can have it.
fn is_allowed(group: &LearningGroup, tables: &Forwarding, address: IpAddr) -> bool {
    let is_host = match address {
        IpAddr::V4(v4) => !v4.is_broadcast() && v4.octets()[0] != 0,
        IpAddr::V6(v6) => v6.to_ipv4_mapped().is_none(),
    };
    let carrier = tables.peer(group.anonymous).map(|peer| peer.compiled.carrier());
    let sender = carrier.map(|carrier| Sender { endpoint: group.endpoint, address, carrier });
    is_host
        && !address.is_unspecified()
        && !address.is_multicast()
        && !address.is_loopback()
        && sender.is_some_and(|sender| {
            !tables.senders.contains_key(&sender)
                && tables.learner(&sender).is_some_and(|learner| learner.peer == group.anonymous)
        })
}

fn tunnel(group: &LearningGroup, address: IpAddr, peer: PeerId) -> TunnelPlan {
    TunnelPlan { peer, remote: address, ..group.tunnel.clone() }
}

fn newcomer(group: &LearningGroup, anonymous: &Peer, address: IpAddr, before: Option<&Arc<LearnedPeer>>) -> Peer {
    let mut compiled = anonymous.compiled.twin();
    compiled.carry_state(before.map(|before| &before.peer.compiled));
    let underlay = Underlay::compile(&UnderlaySpec { dst: address, ..group.underlay.clone() });
    Peer {
        compiled,
        scope: anonymous.scope,
        exit: Exit::Tunnel(underlay),
        udp: group.udp,
        multicast_group: group.hears,
        is_anonymous: false,
    }
}
