//! Learned peers: senders inside a group's `learn_from` that get a number because of what they send, and lose it when
//! nothing is left behind them (RFC 7348 §4.1: the outer source address of a learned MAC becomes its tunnel).
//!
//! The data path lets an unknown sender's frames in at once but learns nothing from them; it reports the sender, the RIB
//! gives it a number and publishes tables that have it, and from then on its addresses are learned.

use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use transload_encaps::underlay::{Underlay, UnderlaySpec};

use super::facts::Tunnel;
use super::read::TunnelEnd;
use super::remembered::RememberedPeer;
use crate::compile::{LearningGroup, Numbers, Plan, TunnelPlan};
use crate::dataplane::{Now, Shared};
use crate::forwarding::{
    DomainId, Exit, FileTables, GroupId, Learned, LearnedPeer, MAX_PEERS, Map, Peer, PeerId, RowId, Sender,
};

const SECOND: u64 = 1_000_000_000;
/// How often learned peers are looked at.
const LOOK: u64 = 15 * SECOND;
/// A peer that has been silent, with no address behind it, for so long is forgotten.
const PATIENCE: u64 = 60 * SECOND;

/// The peers that were learned.
#[derive(Debug, Default)]
pub struct LearnedPeers {
    rows: BTreeMap<(GroupId, IpAddr), Row>,
    /// By group, in order: the addresses of [`Learned::members`].
    addresses: Map<GroupId, Vec<IpAddr>>,
    /// As the data plane has them.
    tables: Arc<Learned>,
    /// How many of a group's were heard first in a tenant.
    heard_in: Map<(GroupId, DomainId), usize>,
    /// By group: how many senders it had no room for.
    refused: BTreeMap<GroupId, u64>,
    /// The groups that were reported as full.
    reported: HashSet<GroupId>,
    looked_at: u64,
}

/// What is known of one of them.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// Its number.
    pub id: PeerId,
    /// The tenant that it was heard in first, unless that is gone.
    domain: Option<DomainId>,
    /// When it was heard first, in nanoseconds of the workers' clock.
    pub since: u64,
    /// When it was last seen to be in use.
    used: u64,
    /// How many frames had come from it then.
    received: u64,
}

/// The name of a learned peer, `GROUP/ADDRESS`: as that of a member that the file names.
fn name(group: &LearningGroup, address: IpAddr) -> String {
    format!("{}/{address}", group.name)
}

fn identity(group: &LearningGroup, address: IpAddr) -> String {
    Numbers::peer_identity(&format!("group `{}`", group.name), &name(group, address))
}

fn group_of(groups: &[LearningGroup], id: GroupId) -> Option<&LearningGroup> {
    groups.iter().find(|group| group.group == id)
}

impl LearnedPeers {
    /// Gives an unknown sender, heard in this tenant at this time in nanoseconds, a number and a name in the plan, if it
    /// has none and its group has room. Returns its tunnel.
    pub(super) fn learn(
        &mut self,
        plan: &mut Plan,
        anonymous: PeerId,
        address: IpAddr,
        (domain, at): (DomainId, u64),
    ) -> Option<Tunnel> {
        let group = plan.learning.iter().find(|group| group.anonymous == anonymous)?;
        if self.rows.contains_key(&(group.group, address)) || !is_allowed(group, &plan.tables, address) {
            return None;
        }
        let count = self.addresses.get(&group.group).map_or(0, Vec::len);
        let own = self.heard_in.get(&(group.group, domain)).copied().unwrap_or(0);
        let id = group.has_room(count, own).then(|| plan.numbers.peer(&identity(group, address)));
        let Some(id) = id.filter(|id| id.index() < MAX_PEERS) else {
            *self.refused.entry(group.group).or_default() += 1;
            return None;
        };
        let name = name(group, address);
        plan.names.set_peer(id, name.clone());
        self.rows.insert((group.group, address), Row { id, domain: Some(domain), since: at, used: at, received: 0 });
        *self.heard_in.entry((group.group, domain)).or_default() += 1;
        self.insert(group, &plan.tables, address, id, None);
        Some(Tunnel::of(&tunnel(group, address, id), name))
    }

    /// Goes on under another plan: whoever may still be learned keeps its number and gets its name in the plan, the
    /// others are forgotten.
    pub(super) fn adopt(&mut self, plan: &mut Plan) {
        let before = std::mem::take(&mut self.tables);
        self.addresses.clear();
        self.heard_in.clear();
        for ((id, address), row) in std::mem::take(&mut self.rows) {
            let Some(group) = group_of(&plan.learning, id).filter(|group| is_allowed(group, &plan.tables, address))
            else {
                continue;
            };
            // The number of a tenant that is gone may soon be another's.
            let domain = row.domain.filter(|domain| plan.tables.domains.get(*domain).is_some());
            let row = Row { id: plan.numbers.peer(&identity(group, address)), domain, ..row };
            plan.names.set_peer(row.id, name(group, address));
            self.insert(group, &plan.tables, address, row.id, before.peers.get(&row.id));
            if let Some(domain) = domain {
                *self.heard_in.entry((id, domain)).or_default() += 1;
            }
            self.rows.insert((id, address), row);
        }
        self.refused.retain(|id, _| group_of(&plan.learning, *id).is_some());
    }

    /// Forgets the peers that have been silent for long enough and that no address lives behind; their numbers are
    /// retired. Returns which. `received` says how many frames came from a peer so far.
    pub(super) fn age(
        &mut self,
        shared: &Shared,
        plan: &mut Plan,
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
        self.rows.retain(|(group, address), row| {
            let frames = received(row.id);
            if frames != row.received || in_use.contains(&row.id) {
                (row.received, row.used) = (frames, now.nanos);
            }
            let stays = now.nanos.saturating_sub(row.used) < PATIENCE;
            if !stays {
                gone.push((*group, *address, *row));
            }
            stays
        });
        gone.into_iter().map(|(group, address, row)| self.forget(plan, group, address, row)).collect()
    }

    fn forget(&mut self, plan: &mut Plan, group: GroupId, address: IpAddr, row: Row) -> PeerId {
        let Row { id, domain, .. } = row;
        if let Some(domain) = domain
            && let Some(own) = self.heard_in.get_mut(&(group, domain))
        {
            *own -= 1;
        }
        let tables = Arc::make_mut(&mut self.tables);
        tables.peers.remove(&id);
        if let Some(group) = group_of(&plan.learning, group) {
            plan.numbers.retire_peer(&identity(group, address));
            if let Some(sender) = sender(group, &plan.tables, address) {
                tables.senders.remove(&sender);
            }
        }
        let places = self.addresses.get_mut(&group).zip(tables.members.get_mut(&group));
        if let Some((addresses, members)) = places
            && let Ok(place) = addresses.binary_search(&address)
        {
            addresses.remove(place);
            members.remove(place);
        }
        id
    }

    /// Writes a peer into the tables. Its sequence numbers go on from those of `before`.
    fn insert(
        &mut self,
        group: &LearningGroup,
        tables: &FileTables,
        address: IpAddr,
        id: PeerId,
        before: Option<&Arc<LearnedPeer>>,
    ) {
        let Some(anonymous) = tables.peer(group.anonymous) else { return };
        let learned = Arc::make_mut(&mut self.tables);
        let peer = member(group, anonymous, address, before);
        learned.peers.insert(id, Arc::new(LearnedPeer { group: group.group, peer }));
        if let Some(sender) = sender(group, tables, address) {
            learned.senders.insert(sender, id);
        }
        let addresses = self.addresses.entry(group.group).or_default();
        let place = addresses.partition_point(|known| *known < address);
        addresses.insert(place, address);
        learned.members.entry(group.group).or_default().insert(place, id);
    }

    /// The peers as the data plane has them.
    #[must_use]
    pub const fn tables(&self) -> &Arc<Learned> {
        &self.tables
    }

    /// The tunnels to find next hops for.
    pub(super) fn tunnels<'a>(&'a self, plan: &'a Plan) -> impl Iterator<Item = Tunnel> + 'a {
        self.rows.iter().filter_map(|((id, address), row)| {
            let group = group_of(&plan.learning, *id)?;
            Some(Tunnel::of(&tunnel(group, *address, row.id), name(group, *address)))
        })
    }

    /// The tunnels to them, by their ends.
    pub(super) fn ends<'a>(&'a self, plan: &'a Plan) -> impl Iterator<Item = TunnelEnd<'a>> {
        self.rows.iter().filter_map(|((id, address), row)| {
            let endpoint = &group_of(&plan.learning, *id)?.tunnel.endpoint;
            Some(TunnelEnd { peer: row.id, endpoint, remote: *address, learned: Some(row.since) })
        })
    }

    /// Every learned peer.
    pub fn rows(&self) -> impl Iterator<Item = &Row> {
        self.rows.values()
    }

    /// Every learned peer whose tenant is still there, for the next start.
    pub(super) fn remembered(&self, plan: &Plan) -> Vec<RememberedPeer> {
        let of = |(&(id, address), row): (&(GroupId, IpAddr), &Row)| {
            let group = group_of(&plan.learning, id)?.name.clone();
            Some(RememberedPeer { group, tenant: plan.names.domain(row.domain?).into_owned(), address })
        };
        self.rows.iter().filter_map(of).collect()
    }

    /// How many unknown senders a group had no room for.
    #[must_use]
    pub fn refused(&self, group: GroupId) -> u64 {
        self.refused.get(&group).copied().unwrap_or(0)
    }

    /// The groups that had no room for the first time, and for how many.
    pub(super) fn newly_full(&mut self, plan: &Plan) -> Vec<(String, u64)> {
        let fresh = self.refused.iter().filter(|(id, _)| self.reported.insert(**id));
        fresh.filter_map(|(id, refused)| Some((group_of(&plan.learning, *id)?.name.clone(), *refused))).collect()
    }
}

/// Whether a group may learn this address: nobody names it, and a host can have it.
fn is_allowed(group: &LearningGroup, tables: &FileTables, address: IpAddr) -> bool {
    let is_host = match address {
        IpAddr::V4(v4) => !v4.is_broadcast() && v4.octets()[0] != 0,
        IpAddr::V6(v6) => v6.to_ipv4_mapped().is_none(),
    };
    is_host
        && !address.is_unspecified()
        && !address.is_multicast()
        && !address.is_loopback()
        && sender(group, tables, address).is_some_and(|sender| {
            !tables.senders.contains_key(&sender)
                && tables.learner(&sender).is_some_and(|learner| learner.peer == group.anonymous)
        })
}

/// How packets of this address come in.
fn sender(group: &LearningGroup, tables: &FileTables, address: IpAddr) -> Option<Sender> {
    let carrier = tables.peer(group.anonymous)?.compiled.carrier();
    Some(Sender { endpoint: group.endpoint, address, carrier })
}

fn tunnel(group: &LearningGroup, address: IpAddr, peer: PeerId) -> TunnelPlan {
    TunnelPlan { peer, name: name(group, address), remote: address, ..group.tunnel.clone() }
}

fn member(group: &LearningGroup, anonymous: &Peer, address: IpAddr, before: Option<&Arc<LearnedPeer>>) -> Peer {
    let mut compiled = anonymous.compiled.for_new_peer();
    compiled.carry_state(before.map(|before| &before.peer.compiled));
    let underlay = Underlay::compile(&UnderlaySpec { dst: address, ..group.underlay.clone() });
    let mut peer = Peer {
        compiled,
        scope: anonymous.scope,
        exit: Exit::Tunnel(underlay),
        ids: anonymous.ids.as_ref().map(|_| Arc::default()),
        udp: group.udp,
        multicast_group: group.multicast_group,
        is_anonymous: false,
    };
    peer.carry_ids(before.map(|before| &before.peer));
    peer
}
