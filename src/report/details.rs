//! One peer or one tenant in detail.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::Ordering;

use super::rows::{BumRow, PeerDetailRow, ServedRow, TenantDetailRow};
use super::state::{GatewayState, SECOND};
use crate::dataplane::inner_mtu;
use crate::forwarding::{
    Attachment, AttachmentId, BumClass, Domain, DomainId, Forwarding, GroupId, Members, PeerId, Target,
};

/// Most attachments that a peer is said to be behind.
const MOST_SERVED: usize = 1_000;

impl GatewayState<'_> {
    /// The number of the tunnel peer of this name.
    #[must_use]
    pub fn peer_id(&self, name: &str) -> Option<PeerId> {
        let tables = self.shared.forwarding.load();
        let is_tunnel = |id| tables.peer(id).is_some_and(|peer| peer.compiled.kind().has_peers());
        self.names.peers().find(|(id, known)| *known == name && is_tunnel(*id)).map(|(id, _)| id)
    }

    /// Everything about a tunnel peer whose path is among [`tunnels`](Self::tunnels); none if it is gone.
    #[must_use]
    pub fn peer_detail(&self, id: PeerId) -> Option<PeerDetailRow> {
        let tables = self.shared.forwarding.load();
        let tunnel = self.tunnels.iter().find(|tunnel| tunnel.peer == id)?;
        let peer = tables.peer(id)?;
        let groups = groups_of(id, &tables);
        let is_behind = |members: &Members| match members {
            Members::One(only) => *only == id,
            Members::Group(group) => groups.contains(group),
        };
        let all = tables.domains.iter().flat_map(|(domain, it)| it.attachments.iter().map(move |row| (domain, row)));
        let mut behind: Vec<_> = all.filter(|(_, (_, attachment))| is_behind(&attachment.members)).collect();
        behind.sort_by_cached_key(|(domain, _)| self.names.domain(*domain));
        let served = |&(domain, (at, attachment)): &(DomainId, (AttachmentId, &Attachment))| ServedRow {
            tenant: self.names.domain(domain).into(),
            attachment: self.names.attachment(domain, at).into(),
            segment: attachment.ids_in_words(&peer.compiled),
            mtu: tables
                .domain(domain)
                .and_then(|domain| inner_mtu(&tables, Target { attachment: at, peer: id }, domain)),
        };
        Some(PeerDetailRow {
            row: self.peer_row(tunnel, peer, &tables),
            carrier: peer.compiled.carrier().to_string(),
            serves: behind.iter().take(MOST_SERVED).map(served).collect(),
            serves_more: behind.len().saturating_sub(MOST_SERVED) as u64,
            samples: self.samples_from(&self.names.peer(id)),
        })
    }

    /// Everything about a tenant; none if it is gone.
    #[must_use]
    pub fn tenant_detail(&self, id: DomainId) -> Option<TenantDetailRow> {
        let tables = self.shared.forwarding.load();
        let domain = tables.domain(id)?;
        let fdb = &self.shared.fdb;
        let mtus = domain.attachments.iter().filter_map(|(at, attachment)| {
            let (members, learned) = (tables.members(&attachment.members), tables.learned_members(&attachment.members));
            let mtu = |&peer: &PeerId| inner_mtu(&tables, Target { attachment: at, peer }, domain);
            Some((self.names.attachment(id, at).into(), members.iter().chain(learned).filter_map(mtu).min()?))
        });
        Some(TenantDetailRow {
            row: self.tenants_of(&[id]).pop()?,
            mac_reserve: domain.mac_reserve,
            table_macs: fdb.len() as u64,
            table_room: fdb.capacity() as u64,
            ageing: domain.ageing,
            mtus: mtus.collect::<BTreeMap<_, _>>(),
            bum: [BumClass::Broadcast, BumClass::Multicast, BumClass::UnknownUnicast]
                .map(|class| self.bum_row(class, domain))
                .into(),
            samples: self.samples_of_tenant(&self.names.domain(id)),
        })
    }

    fn bum_row(&self, class: BumClass, domain: &Domain) -> BumRow {
        let interval = domain.bum.of(class);
        // What is on schedule later than now was used in advance; a second's worth may be.
        let ahead = |attachment: &Attachment| {
            attachment.bum_due.of(class).load(Ordering::Relaxed).saturating_sub(self.now.nanos)
        };
        let most = domain.attachments.values().map(ahead).max().unwrap_or(0);
        BumRow {
            class: class.key().into(),
            limit: SECOND.checked_div(interval),
            used: (most.saturating_mul(1_000) / SECOND).min(1_000),
        }
    }
}

/// The groups that a peer is a member of.
fn groups_of(peer: PeerId, tables: &Forwarding) -> HashSet<GroupId> {
    let stated = tables.groups.iter().filter(|(_, group)| group.members.contains(&peer)).map(|(id, _)| id);
    stated.chain(tables.learned.peers.get(&peer).map(|learned| learned.group)).collect()
}
