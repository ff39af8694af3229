//! The rows of what frames come from and go to: ports, tunnel peers, and the mappings between them.

use std::collections::HashSet;

use transload_encaps::{DropReason, Fault};

use super::crossings;
use super::rows::{HopRow, MappingRow, PathMtuRow, PeerRow, PeerState, PortRow, RowSource, UnreachableRow};
use super::state::{GatewayState, NoSuchTenant, SECOND, TunnelState};
use crate::counters::MappingCounters;
use crate::forwarding::{Connection, Domain, Exit, Forwarding, Hop, MappingId, Peer, PeerId, PortId};
use crate::rib::activity::{MEMORY, Recent, SILENCE};
use crate::rib::path_reports::{PathReport, ReportedMtu, ReportedUnreachable};

impl GatewayState<'_> {
    /// Ports, in the order of the file.
    #[must_use]
    pub fn ports(&self) -> Vec<PortRow> {
        let tables = self.shared.forwarding.load();
        self.names.ports().map(|(id, name)| self.port_row(id, name, &tables)).collect()
    }

    fn port_row(&self, id: PortId, name: &str, tables: &Forwarding) -> PortRow {
        let (port, state) = (tables.ports.get(id), self.ports.get(id));
        let own = DropReason::all().filter(|reason| reason.info().fault == Fault::Nobody);
        let left = own.map(|reason| self.sum(|counters| counters.drops_at(id, reason))).sum();
        let dropped = self.sum(|counters| counters.port(id).map(|port| &port.dropped));
        PortRow {
            port: name.into(),
            io: state.map(|state| state.io.to_owned()),
            mac: port.and_then(|port| port.mac).map(|mac| mac.to_string()),
            mtu: port.and_then(|port| port.mtu),
            failure: state.and_then(|state| state.failure).map(str::to_owned),
            dropped: dropped.saturating_sub(left),
            left,
            traffic: self.traffic(|counters| counters.port(id)),
            rates: self.rates(|activity| activity.port_rates(id, self.counters, self.now)),
            lost: self.sum(|counters| counters.lost(id)),
        }
    }

    /// Tunnel peers, of all or of one tenant, by name.
    ///
    /// # Errors
    /// When there is no such tenant.
    pub fn peers(&self, tenant: Option<&str>) -> Result<Vec<PeerRow>, NoSuchTenant> {
        let tables = self.shared.forwarding.load();
        let tunnels = self.in_order(self.tunnels.iter(), |tunnel| tunnel.peer, tenant)?;
        Ok(self.tunnel_rows(tunnels, &tables).map(|(.., row)| row).collect())
    }

    /// These tunnel peers, each with the tables' knowledge of it and its row.
    pub(super) fn tunnel_rows<'t>(
        &'t self,
        tunnels: impl IntoIterator<Item = &'t TunnelState<'t>>,
        tables: &'t Forwarding,
    ) -> impl Iterator<Item = (&'t TunnelState<'t>, &'t Peer, PeerRow)> {
        tunnels.into_iter().filter_map(|tunnel| {
            let peer = tables.peer(tunnel.peer).filter(|peer| matches!(peer.exit, Exit::Tunnel(_)))?;
            Some((tunnel, peer, self.peer_row(tunnel, peer, tables)))
        })
    }

    /// Of these tunnel peers all, or those of a tenant, in the order of their names.
    ///
    /// # Errors
    /// When there is no such tenant.
    pub fn peers_in_order(
        &self,
        peers: impl IntoIterator<Item = PeerId>,
        tenant: Option<&str>,
    ) -> Result<Vec<PeerId>, NoSuchTenant> {
        self.in_order(peers, |peer| *peer, tenant)
    }

    fn in_order<T>(
        &self,
        tunnels: impl IntoIterator<Item = T>,
        peer: impl Fn(&T) -> PeerId,
        tenant: Option<&str>,
    ) -> Result<Vec<T>, NoSuchTenant> {
        let tables = self.shared.forwarding.load();
        let only = self.tenant(tenant)?.and_then(|id| tables.domain(id)).map(|domain| peers_of(domain, &tables));
        let is_chosen = |tunnel: &T| only.as_ref().is_none_or(|peers| peers.contains(&peer(tunnel)));
        let mut chosen: Vec<_> = tunnels.into_iter().filter(is_chosen).collect();
        chosen.sort_by_cached_key(|tunnel| self.names.peer(peer(tunnel)));
        Ok(chosen)
    }

    pub(super) fn peer_row(&self, tunnel: &TunnelState<'_>, peer: &Peer, tables: &Forwarding) -> PeerRow {
        let id = tunnel.peer;
        let recent = self.activity.and_then(|activity| activity.peer(id));
        let source = match &peer.exit {
            Exit::Tunnel(underlay) => underlay.source(),
            Exit::Port(_) => None,
        };
        let hop = |hop: &Hop| HopRow { port: self.names.port(hop.port).into(), mac: hop.link.dst.to_string() };
        PeerRow {
            peer: self.names.peer(id).into(),
            source: if tunnel.learned.is_some() { RowSource::Learned } else { RowSource::Static },
            learned_ago: tunnel.learned.map(|at| self.seconds_since(at)),
            encap: peer.compiled.kind().info().tag.into(),
            address: tunnel.address.clone(),
            endpoint: tunnel.endpoint.into(),
            state: self.peer_state(tunnel, recent, tables),
            last_heard: recent.and_then(Recent::heard).map(|at| self.seconds_since(at)),
            silent_for: recent.and_then(|recent| recent.silent_for(self.now)).map(|nanos| nanos / SECOND),
            endpoint_address: source.map(|address| address.to_string()),
            next_hops: tables.hops(id).unwrap_or_default().iter().map(hop).collect(),
            path_mtu: tables.hops(id).unwrap_or_default().iter().filter_map(|hop| hop.mtu).min(),
            path_mtu_report: tunnel.report.and_then(|report| report.mtu).map(|mtu| self.path_mtu_row(&mtu)),
            failures: tunnel.failures.clone(),
            unreachable: tunnel.report.and_then(|report| self.unreachable_row(report)),
            dropped: self.sum(|counters| counters.peer(id).map(|peer| &peer.dropped)),
            unsent: self.sum(|counters| counters.peer(id).map(|peer| &peer.unsent)),
            flooded: self.sum(|counters| counters.peer(id).map(|peer| &peer.flooded)),
            traffic: self.traffic(|counters| counters.peer(id)),
            rates: self.rates(|activity| activity.peer_rates(id, self.counters, self.now)),
        }
    }

    fn peer_state(&self, tunnel: &TunnelState<'_>, recent: Option<&Recent>, tables: &Forwarding) -> PeerState {
        if tables.hops(tunnel.peer).is_none() {
            return PeerState::Unresolved;
        }
        let heard = recent.and_then(Recent::heard);
        // Whom packets reach again is heard, and nobody says any more that they do not.
        let stands = |report: ReportedUnreachable| heard.is_none_or(|at| at < report.at + SILENCE);
        if tunnel.report.and_then(|report| report.unreachable).is_some_and(stands) {
            return PeerState::Unreachable;
        }
        if recent.and_then(|recent| recent.silent_for(self.now)).is_some_and(|nanos| nanos >= SILENCE) {
            return PeerState::Silent;
        }
        let is_fresh = heard.is_some_and(|at| self.now.nanos.saturating_sub(at) <= MEMORY);
        if is_fresh { PeerState::Fine } else { PeerState::Idle }
    }

    fn path_mtu_row(&self, reported: &ReportedMtu) -> PathMtuRow {
        PathMtuRow { mtu: reported.mtu, from: reported.from.to_string(), ago: self.seconds_since(reported.at) }
    }

    fn unreachable_row(&self, report: &PathReport) -> Option<UnreachableRow> {
        let ReportedUnreachable { why, from, at } = report.unreachable?;
        Some(UnreachableRow { from: from.to_string(), what: report.words(why), ago: self.seconds_since(at) })
    }

    /// Mappings, by name.
    #[must_use]
    pub fn mappings(&self) -> Vec<MappingRow> {
        let tables = self.shared.forwarding.load();
        let rows = self.names.mappings().filter_map(|(id, name)| {
            let connection = tables.mappings.get(id)?;
            Some(self.mapping_row(id, name, connection, &tables))
        });
        let mut rows: Vec<_> = rows.collect();
        rows.sort_by(|a, b| a.mapping.cmp(&b.mapping));
        rows
    }

    fn mapping_row(&self, id: MappingId, name: &str, connection: &Connection, tables: &Forwarding) -> MappingRow {
        let [from, to] = crossings::sides(connection, tables, self.names).map(|side| side.to_string());
        let sum = |of: fn(&MappingCounters) -> u64| -> u64 {
            self.counters.iter().filter_map(|counters| counters.mapping(id)).map(of).sum()
        };
        MappingRow {
            mapping: name.into(),
            from,
            to,
            ids: connection.ids.count(),
            unmapped_ids: connection.ids.holes().iter().map(|(first, last)| last - first + 1).sum(),
            from_to_frames: sum(|mapping| mapping.sent[1].frames.get()),
            to_from_frames: sum(|mapping| mapping.sent[0].frames.get()),
            copies: sum(|mapping| mapping.copies.get()),
            too_big_answers: sum(|mapping| mapping.too_big_answers.get()),
            dropped: sum(|mapping| mapping.dropped.get()),
            dropped_unmapped: sum(|mapping| mapping.holes.get()),
        }
    }
}

/// The peers that a tenant's frames come from or go to.
fn peers_of(domain: &Domain, tables: &Forwarding) -> HashSet<PeerId> {
    let members = domain.attachments.values().map(|attachment| &attachment.members);
    let peers = members.flat_map(|members| {
        let known = tables.members(members).iter().chain(tables.learned_members(members)).copied();
        known.chain(tables.flooded(members))
    });
    peers.collect()
}
