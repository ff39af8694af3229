//! The rows of the admin socket, read from a running gateway: names for numbers, workers summed up.

use transload_encaps::{Common, DropReason, Kind};

use super::rows::{
    AttachmentRow, DropRow, FdbRow, HopRow, LoopRow, MappingRow, MoveRow, PeerRow, PortRow, TenantRow, Traffic,
};
use crate::counters::{Both, Counter, Counters, DomainCounters};
use crate::dataplane::held_for;
use crate::fdb::Entry;
use crate::forwarding::{AttachmentId, Domain, DomainId, Exit, Forwarding, Members, PeerId, PortId, Target};
use crate::report::crossings;
use crate::report::summary::Crossed;
use crate::rib::history::{Heard, Move};
use crate::rib::loops::Loop;
use crate::run::gateway::{Gateway, NoSuchTenant};

const SECOND: u64 = 1_000_000_000;

impl Gateway {
    /// Where MAC addresses live, of one tenant or of all.
    ///
    /// # Errors
    /// When there is no such tenant.
    pub fn fdb(&self, tenant: Option<&str>) -> Result<Vec<FdbRow>, NoSuchTenant> {
        let only = self.tenant(tenant)?;
        let tables = self.shared.forwarding.load();
        let mut entries = Vec::new();
        self.shared.fdb.for_each(|entry| {
            if only.is_none_or(|only| only == entry.domain) {
                entries.push(entry);
            }
        });
        entries.sort_unstable_by_key(|entry| (entry.domain, entry.mac));
        // An entry that has expired is only waiting to be swept; for the data path it is gone.
        let tick = self.clock.now().tick();
        let alive = |entry: &&Entry| {
            let domain = tables.domain(entry.domain);
            domain.is_some_and(|domain| !entry.is_expired(tick, domain.ageing))
        };
        Ok(entries.iter().filter(alive).map(|entry| self.fdb_row(entry, tick)).collect())
    }

    fn fdb_row(&self, entry: &Entry, tick: u16) -> FdbRow {
        let heard = self.news().history.of(entry.domain, entry.mac).filter(|_| !entry.is_static).cloned();
        let heard = heard.as_ref();
        let moves = heard.and_then(|heard| heard.moves.as_deref());
        FdbRow {
            tenant: self.view().names.domain(entry.domain).into(),
            mac: entry.mac.to_string(),
            attachment: self.view().names.attachment(entry.domain, entry.target.attachment).into(),
            via: self.view().names.peer(entry.target.peer).into(),
            age: (!entry.is_static).then(|| entry.age(tick)),
            here_for: heard.map(|heard| self.seconds_since(heard.since)),
            moves: heard.map_or(0, Heard::move_count),
            last_move: moves.map(|moves| self.move_row(entry.domain, moves.last)),
            held_for: moves
                .and_then(|moves| moves.held)
                .filter(|_| entry.is_held)
                .map(|until| self.seconds_until(until)),
        }
    }

    fn move_row(&self, domain: DomainId, last: Move) -> MoveRow {
        let view = self.view();
        let names = |target: Target| (view.names.attachment(domain, target.attachment), view.names.peer(target.peer));
        let ((from, from_via), (to, to_via)) = (names(last.from), names(last.to));
        MoveRow {
            ago: self.seconds_since(last.at),
            from: from.into(),
            from_via: from_via.into(),
            to: to.into(),
            to_via: to_via.into(),
        }
    }

    fn seconds_since(&self, at: u64) -> u64 {
        self.clock.now().nanos.saturating_sub(at) / SECOND
    }

    fn seconds_until(&self, at: u64) -> u64 {
        at.saturating_sub(self.clock.now().nanos).div_ceil(SECOND)
    }

    /// Tenants, or one of them.
    ///
    /// # Errors
    /// When there is no such tenant.
    pub fn tenants(&self, tenant: Option<&str>) -> Result<Vec<TenantRow>, NoSuchTenant> {
        let only = self.tenant(tenant)?;
        let tables = self.shared.forwarding.load();
        let view = self.view();
        let chosen = view.names.domains().filter(|(id, _)| only.is_none_or(|only| only == *id));
        let rows = chosen.filter_map(|(id, name)| Some(self.tenant_row(id, name, tables.domain(id)?, &tables)));
        let mut rows: Vec<_> = rows.collect();
        rows.sort_by(|a, b| a.tenant.cmp(&b.tenant));
        Ok(rows)
    }

    fn tenant_row(&self, id: DomainId, name: &str, domain: &Domain, tables: &Forwarding) -> TenantRow {
        let sum = |of: fn(&DomainCounters) -> &Counter| -> u64 {
            self.counters.iter().filter_map(|counters| counters.domain(id)).map(|domain| of(domain).get()).sum()
        };
        TenantRow {
            tenant: name.into(),
            attachments: self.attachments(id, domain, tables),
            macs: domain.state.macs.load(std::sync::atomic::Ordering::Relaxed),
            mac_limit: domain.mac_limit,
            traffic: self.traffic(|counters| counters.domain(id).map(|domain| &domain.traffic)),
            flooded: sum(|domain| &domain.flooded),
            dropped: sum(|domain| &domain.dropped),
            too_big_answers: sum(|domain| &domain.too_big_answers),
            learned: sum(|domain| &domain.learned),
            moved: sum(|domain| &domain.moved),
            held_moves: sum(|domain| &domain.held_moves),
            loops: self.loops(id, domain),
            over_mac_limit: sum(|domain| &domain.over_mac_limit),
            table_full: sum(|domain| &domain.table_full),
        }
    }

    fn loops(&self, id: DomainId, domain: &Domain) -> Vec<LoopRow> {
        let now = self.clock.now();
        let row = |(between, found): ([AttachmentId; 2], Loop)| LoopRow {
            between: between.map(|at| self.view().names.attachment(id, at).into()),
            times: found.times,
            ago: self.seconds_since(found.at),
            mac: found.mac.to_string(),
            held_for: held_for(&domain.state.loops, between, now).map(|nanos| nanos.div_ceil(SECOND)),
        };
        self.news().loops.of(id).map(row).collect()
    }

    fn attachments(&self, id: DomainId, domain: &Domain, tables: &Forwarding) -> Vec<AttachmentRow> {
        let mut rows = Vec::new();
        for (at, attachment) in domain.attachments.iter().enumerate() {
            let Some(attachment) = attachment else { continue };
            let members = tables.members(&attachment.members);
            let kind = tables.speaker(&attachment.members).and_then(|peer| tables.peer(peer));
            let kind = kind.map(|peer| peer.compiled.kind());
            let via = match attachment.members {
                Members::One(peer) => vec![self.view().names.peer(peer).into()],
                Members::Group(_) => {
                    let all = members.iter().chain(tables.learned_members(&attachment.members));
                    all.map(|peer| self.view().names.peer(*peer).into()).collect()
                }
            };
            rows.push(AttachmentRow {
                attachment: self.view().names.attachment(id, AttachmentId(at as u16)).into(),
                segment: kind.map_or_else(String::new, |kind| segment(kind, attachment.segment)),
                via,
            });
        }
        rows
    }

    /// Tunnel peers, of all or of one tenant.
    ///
    /// # Errors
    /// When there is no such tenant.
    pub fn peers(&self, tenant: Option<&str>) -> Result<Vec<PeerRow>, NoSuchTenant> {
        let tables = self.shared.forwarding.load();
        let of_tenant: Option<Vec<PeerId>> = self.tenant(tenant)?.and_then(|id| tables.domain(id)).map(|domain| {
            let members = domain.attachments.iter().flatten().map(|it| &it.members);
            members
                .flat_map(|it| {
                    tables.members(it).iter().chain(tables.learned_members(it)).copied().chain(tables.flooded(it))
                })
                .collect()
        });
        let resolution = self.resolution.load();
        let mut rows = Vec::new();
        let view = self.view();
        for tunnel in &view.tunnels {
            let Some(peer) = tables.peer(tunnel.peer).filter(|peer| matches!(peer.exit, Exit::Tunnel(_))) else {
                continue;
            };
            if of_tenant.as_ref().is_some_and(|peers| !peers.contains(&tunnel.peer)) {
                continue;
            }
            let hops = resolution.hops.get(tunnel.peer.0 as usize).into_iter().flatten();
            let hop = |hop: &crate::forwarding::Hop| HopRow {
                port: self.view().names.port(hop.port).into(),
                mac: hop.link.dst.to_string(),
            };
            let complaints = resolution.complaints.iter().filter(|(id, _)| *id == tunnel.peer);
            rows.push(PeerRow {
                peer: tunnel.name.clone(),
                learned_ago: view.learned.get(&tunnel.peer).map(|since| self.seconds_since(*since)),
                encap: peer.compiled.kind().info().tag.into(),
                address: tunnel.remote.to_string(),
                endpoint: tunnel.endpoint.clone(),
                hops: hops.map(hop).collect(),
                complaints: complaints.map(|(_, complaint)| complaint.to_string()).collect(),
                dropped: self.sum(|counters| counters.peer(tunnel.peer).map(|peer| &peer.dropped)),
                traffic: self.traffic(|counters| counters.peer(tunnel.peer)),
            });
        }
        rows.sort_by(|a, b| a.peer.cmp(&b.peer));
        Ok(rows)
    }

    /// Mappings, by name.
    #[must_use]
    pub fn mappings(&self) -> Vec<MappingRow> {
        let tables = self.shared.forwarding.load();
        let view = self.view();
        let rows = view.names.mappings().filter_map(|(id, name)| {
            let connection = tables.mappings.get(id)?;
            let [from, to] = crossings::sides(connection, &tables, &view.names).map(|side| side.to_string());
            Some(MappingRow {
                mapping: name.into(),
                from,
                to,
                ids: connection.ids.count(),
                holes: connection.ids.holes().iter().map(|(first, last)| last - first + 1).sum(),
                crossed: Crossed::sum(self.counters.iter().filter_map(|counters| counters.mapping(id))),
            })
        });
        let mut rows: Vec<_> = rows.collect();
        rows.sort_by(|a, b| a.mapping.cmp(&b.mapping));
        rows
    }

    /// Ports.
    #[must_use]
    pub fn ports(&self) -> Vec<PortRow> {
        let tables = self.shared.forwarding.load();
        let news = self.news();
        let row = |(id, name): (PortId, &str)| {
            let port = tables.ports.get(usize::from(id.0));
            PortRow {
                port: name.into(),
                io: self.backends.get(usize::from(id.0)).cloned().unwrap_or_default(),
                mac: port.and_then(|port| port.mac).map(|mac| mac.to_string()),
                mtu: port.and_then(|port| port.mtu),
                failure: news.failures.get(&id).cloned(),
                dropped: self
                    .sum(|counters| counters.port(id).map(|port| &port.dropped))
                    .saturating_sub(self.sum(|counters| counters.drops_at(id, Common::UnderlayControl.into()))),
                traffic: self.traffic(|counters| counters.port(id)),
                lost: self.sum(|counters| counters.lost(id)),
            }
        };
        self.view().names.ports().map(row).collect()
    }

    /// Every reason for drops, in the order of the drop table.
    #[must_use]
    pub fn drops(&self) -> Vec<DropRow> {
        let at = |reason: DropReason, id: PortId| self.sum(|counters| counters.drops_at(id, reason));
        let view = self.view();
        let ports = |reason: DropReason| {
            let all = view.names.ports().map(|(id, name)| (name.to_owned(), at(reason, id)));
            all.filter(|(_, count)| *count > 0).collect()
        };
        let row = |reason: DropReason| DropRow {
            reason: reason.label().into(),
            dropped: self.sum(|counters| counters.drops(reason)),
            tolerated: self.sum(|counters| counters.tolerated(reason)),
            fault: reason.info().fault.word().into(),
            hint: reason.info().hint.into(),
            ports: ports(reason),
        };
        DropReason::all().map(row).collect()
    }

    fn tenant(&self, name: Option<&str>) -> Result<Option<DomainId>, NoSuchTenant> {
        name.map(|name| self.view().names.domain_id(name).ok_or_else(|| NoSuchTenant(name.into()))).transpose()
    }

    fn sum(&self, of: impl Fn(&Counters) -> Option<&Counter>) -> u64 {
        self.counters.iter().filter_map(|counters| of(counters)).map(Counter::get).sum()
    }

    fn traffic(&self, of: impl Fn(&Counters) -> Option<&Both>) -> Traffic {
        let mut sum = Traffic::default();
        for both in self.counters.iter().filter_map(|counters| of(counters)) {
            sum.rx_frames += both.rx.frames.get();
            sum.rx_bytes += both.rx.bytes.get();
            sum.tx_frames += both.tx.frames.get();
            sum.tx_bytes += both.tx.bytes.get();
        }
        sum
    }
}

/// `vni 10100`, `s_vid 100, c_vid 7`.
fn segment(kind: Kind, segment: transload_encaps::Segment) -> String {
    kind.ids(segment).to_string()
}
