//! The rows of tenants: their attachments, what they did, and the loops they are in.

use std::sync::atomic::Ordering;

use super::rows::{AttachmentRow, LoopRow, RatesRow, TenantRow};
use super::state::{GatewayState, NoSuchTenant, SECOND, traffic};
use crate::counters::{Counter, DomainCounters};
use crate::dataplane::held_for;
use crate::forwarding::{Attachment, AttachmentId, Claim, Domain, DomainId, Forwarding, Members};
use crate::rib::activity::Recent;
use crate::rib::loops::{Loop, Pair};

/// How much of a tenant somebody wants to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RowDetail {
    /// Everything.
    Full,
    /// What is counted: not what is behind attachments, which may be a mesh of thousands, nor rates and single loops.
    Counts,
}

impl GatewayState<'_> {
    /// Tenants, or one of them, by name.
    ///
    /// # Errors
    /// When there is no such tenant.
    pub fn tenants(&self, tenant: Option<&str>) -> Result<Vec<TenantRow>, NoSuchTenant> {
        Ok(self.tenants_of(&self.tenant_ids(tenant)?))
    }

    /// The numbers of tenants, or of one of them, by name.
    ///
    /// # Errors
    /// When there is no such tenant.
    pub fn tenant_ids(&self, tenant: Option<&str>) -> Result<Vec<DomainId>, NoSuchTenant> {
        if let Some(only) = self.tenant(tenant)? {
            return Ok(vec![only]);
        }
        let mut all: Vec<_> = self.names.domains().collect();
        all.sort_by_key(|(_, name)| *name);
        Ok(all.into_iter().map(|(id, _)| id).collect())
    }

    /// The rows of these tenants, as far as they are there.
    #[must_use]
    pub fn tenants_of(&self, ids: &[DomainId]) -> Vec<TenantRow> {
        self.tenant_rows(ids, RowDetail::Full)
    }

    /// The same rows with nothing in them but names and what is counted.
    #[must_use]
    pub fn tenants_counted(&self, ids: &[DomainId]) -> Vec<TenantRow> {
        self.tenant_rows(ids, RowDetail::Counts)
    }

    fn tenant_rows(&self, ids: &[DomainId], detail: RowDetail) -> Vec<TenantRow> {
        let tables = self.shared.forwarding.load();
        let row = |&id: &DomainId| Some(self.tenant_row(id, tables.domain(id)?, &tables, detail));
        ids.iter().filter_map(row).collect()
    }

    fn tenant_row(&self, id: DomainId, domain: &Domain, tables: &Forwarding, detail: RowDetail) -> TenantRow {
        let sum = |of: fn(&DomainCounters) -> &Counter| self.sum(|counters| counters.domain(id).map(of));
        let parts = || self.counters.iter().filter_map(|counters| counters.domain(id)).flat_map(DomainCounters::parts);
        let attachments = self.attachments(id, domain, tables, detail);
        let loops = self.loops.of(id).filter(|_| detail == RowDetail::Full);
        TenantRow {
            tenant: self.names.domain(id).into(),
            macs: domain.state.macs.load(Ordering::Relaxed),
            mac_limit: domain.mac_limit,
            traffic: traffic(parts().map(|part| (&part.rx, &part.tx))),
            rates: attachments.iter().filter_map(|attachment| attachment.rates).reduce(RatesRow::plus),
            attachments,
            flooded: sum(|domain| &domain.flooded),
            copies_dropped: sum(|domain| &domain.copies_dropped),
            copies: sum(|domain| &domain.copies),
            dropped: parts().map(|part| part.dropped.get()).sum(),
            too_big_answers: sum(|domain| &domain.too_big_answers),
            learned: sum(|domain| &domain.learned),
            moved: sum(|domain| &domain.moved),
            held_moves: sum(|domain| &domain.held_moves),
            loops: loops.map(|(between, found)| self.loop_row((id, between), found, tables)).collect(),
            loops_found: sum(|domain| &domain.loops),
            over_mac_limit: sum(|domain| &domain.over_mac_limit),
            table_full: sum(|domain| &domain.table_full),
        }
    }

    /// The loops of all tenants.
    pub(super) fn all_loops(&self) -> Vec<LoopRow> {
        let tables = self.shared.forwarding.load();
        let mut rows: Vec<_> = self.loops.iter().map(|(pair, found)| self.loop_row(pair, found, &tables)).collect();
        rows.sort_by(|a, b| a.tenant.cmp(&b.tenant));
        rows
    }

    fn loop_row(&self, (id, between): Pair, found: Loop, tables: &Forwarding) -> LoopRow {
        let left = tables.domain(id).and_then(|domain| held_for(&domain.state.loops, between, self.now));
        LoopRow {
            tenant: self.names.domain(id).into(),
            between: between.map(|at| self.names.attachment(id, at).into()),
            times: found.times,
            ago: self.seconds_since(found.at),
            mac: found.mac.to_string(),
            held_for: left.map(|nanos| nanos.div_ceil(SECOND)),
        }
    }

    fn attachments(&self, id: DomainId, domain: &Domain, tables: &Forwarding, detail: RowDetail) -> Vec<AttachmentRow> {
        let counts = |(at, attachment)| {
            let row = self.counted_attachment(id, at);
            if detail == RowDetail::Full { self.attachment_row(row, (id, at), attachment, tables) } else { row }
        };
        domain.attachments.iter().map(counts).collect()
    }

    fn counted_attachment(&self, id: DomainId, at: AttachmentId) -> AttachmentRow {
        let claim = Claim { domain: id, attachment: at };
        let counted = || self.counters.iter().filter_map(|counters| counters.attachment(claim));
        let recent = self.activity.and_then(|activity| activity.attachment(claim));
        AttachmentRow {
            attachment: self.names.attachment(id, at).into(),
            segment: String::new(),
            via: Vec::new(),
            traffic: traffic(counted().map(|counters| (&counters.rx, &counters.tx))),
            dropped: counted().map(|counters| counters.dropped.get()).sum(),
            last_heard: recent.and_then(Recent::heard).map(|at| self.seconds_since(at)),
            rates: None,
        }
    }

    /// With all else that there is to know of an attachment.
    fn attachment_row(
        &self,
        counted: AttachmentRow,
        (id, at): (DomainId, AttachmentId),
        attachment: &Attachment,
        tables: &Forwarding,
    ) -> AttachmentRow {
        let peer = tables.speaker(&attachment.members).and_then(|peer| tables.peer(peer));
        let via = match attachment.members {
            Members::One(peer) => vec![self.names.peer(peer).into()],
            Members::Group(_) => {
                let members = tables.members(&attachment.members).iter();
                let all = members.chain(tables.learned_members(&attachment.members));
                all.map(|peer| self.names.peer(*peer).into()).collect()
            }
        };
        let claim = Claim { domain: id, attachment: at };
        AttachmentRow {
            segment: peer.map_or_else(String::new, |peer| attachment.ids_in_words(&peer.compiled)),
            via,
            rates: self.rates(|activity| activity.attachment_rates(claim, self.counters, self.now)),
            ..counted
        }
    }
}
