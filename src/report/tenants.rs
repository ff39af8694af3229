//! The rows of tenants: their attachments, what they did, and the loops they are in.

use std::sync::atomic::Ordering;

use super::rows::{AttachmentRow, LoopRow, RatesRow, TenantRow};
use super::state::{GatewayState, NoSuchTenant, SECOND, traffic};
use crate::counters::{Counter, DomainCounters};
use crate::dataplane::held_for;
use crate::forwarding::{Attachment, AttachmentId, Claim, Domain, DomainId, Forwarding, Members};
use crate::rib::activity::Recent;
use crate::rib::loops::{Loop, Pair};

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
        let tables = self.shared.forwarding.load();
        let row = |&id: &DomainId| Some(self.tenant_row(id, &self.names.domain(id), tables.domain(id)?, &tables));
        ids.iter().filter_map(row).collect()
    }

    fn tenant_row(&self, id: DomainId, name: &str, domain: &Domain, tables: &Forwarding) -> TenantRow {
        let sum = |of: fn(&DomainCounters) -> &Counter| self.sum(|counters| counters.domain(id).map(of));
        let parts = || self.counters.iter().filter_map(|counters| counters.domain(id)).flat_map(DomainCounters::parts);
        let attachments = self.attachments(id, domain, tables);
        TenantRow {
            tenant: name.into(),
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
            loops: self.loops.of(id).map(|(between, found)| self.loop_row((id, between), found, tables)).collect(),
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

    fn attachments(&self, id: DomainId, domain: &Domain, tables: &Forwarding) -> Vec<AttachmentRow> {
        let all = domain.attachments.iter();
        all.map(|(at, attachment)| self.attachment_row(id, at, attachment, tables)).collect()
    }

    fn attachment_row(
        &self,
        id: DomainId,
        at: AttachmentId,
        attachment: &Attachment,
        tables: &Forwarding,
    ) -> AttachmentRow {
        let claim = Claim { domain: id, attachment: at };
        let counted = || self.counters.iter().filter_map(|counters| counters.attachment(claim));
        let recent = self.activity.and_then(|activity| activity.attachment(claim));
        let peer = tables.speaker(&attachment.members).and_then(|peer| tables.peer(peer));
        let via = match attachment.members {
            Members::One(peer) => vec![self.names.peer(peer).into()],
            Members::Group(_) => {
                let members = tables.members(&attachment.members).iter();
                let all = members.chain(tables.learned_members(&attachment.members));
                all.map(|peer| self.names.peer(*peer).into()).collect()
            }
        };
        AttachmentRow {
            attachment: self.names.attachment(id, at).into(),
            segment: peer.map_or_else(String::new, |peer| attachment.ids_in_words(&peer.compiled)),
            via,
            traffic: traffic(counted().map(|counters| (&counters.rx, &counters.tx))),
            dropped: counted().map(|counters| counters.dropped.get()).sum(),
            last_heard: recent.and_then(Recent::heard).map(|at| self.seconds_since(at)),
            rates: self.rates(|activity| activity.attachment_rates(claim, self.counters, self.now)),
        }
    }
}
