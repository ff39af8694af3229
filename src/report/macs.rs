//! The rows of the FDB: where every MAC address is, since when, and where it came from.

use std::ops::Range;

use super::rows::{FdbRow, MoveRow, RowSource};
use super::state::{GatewayState, NoSuchTenant};
use crate::fdb::{Entry, EntrySource};
use crate::forwarding::{DomainId, Target};
use crate::rib::history::{Heard, Move};

impl GatewayState<'_> {
    /// The MAC addresses of one tenant or of all, in the order of tenant and address.
    ///
    /// # Errors
    /// When there is no such tenant.
    pub fn fdb(&self, tenant: Option<&str>) -> Result<Vec<FdbRow>, NoSuchTenant> {
        let mut rows = self.fdb_part(self.tenant(tenant)?, 0..self.shared.fdb.buckets());
        rows.sort_by(|a, b| (&a.tenant, &a.mac).cmp(&(&b.tenant, &b.mac)));
        Ok(rows)
    }

    /// The MAC addresses of one tenant or of all in a part of the table, in no order.
    #[must_use]
    pub fn fdb_part(&self, only: Option<DomainId>, buckets: Range<usize>) -> Vec<FdbRow> {
        let tables = self.shared.forwarding.load();
        // An entry that has expired is only waiting to be swept; for the data path it is gone.
        let is_alive = |entry: &Entry| {
            let domain = tables.domain(entry.domain);
            domain.is_some_and(|domain| !entry.is_expired(self.now.tick(), domain.ageing))
        };
        let mut rows = Vec::new();
        self.shared.fdb.for_each_in(buckets, |entry| {
            if only.is_none_or(|only| only == entry.domain) && is_alive(&entry) {
                rows.push(self.fdb_row(&entry));
            }
        });
        rows
    }

    fn fdb_row(&self, entry: &Entry) -> FdbRow {
        let heard = self.history.of(entry.domain, entry.mac).filter(|_| entry.source.is_learned());
        let moves = heard.and_then(|heard| heard.moves.as_deref());
        let held_until = moves.and_then(|moves| moves.held).filter(|_| entry.is_held);
        let (attachment, via) = self.place(entry.domain, entry.target);
        FdbRow {
            tenant: self.names.domain(entry.domain).into(),
            mac: entry.mac.to_string(),
            attachment,
            via,
            source: match entry.source {
                EntrySource::Restored => RowSource::Restored,
                source if source.is_learned() => RowSource::Learned,
                _ => RowSource::Static,
            },
            age: entry.source.is_learned().then(|| entry.age(self.now.tick())),
            here_for: heard.map(|heard| self.seconds_since(heard.since)),
            moves: heard.map_or(0, Heard::move_count),
            last_move: moves.map(|moves| self.move_row(entry.domain, moves.last)),
            held_for: held_until.map(|until| self.seconds_until(until)),
        }
    }

    fn move_row(&self, domain: DomainId, last: Move) -> MoveRow {
        let ((from, from_via), (to, to_via)) = (self.place(domain, last.from), self.place(domain, last.to));
        MoveRow { ago: self.seconds_since(last.at), from, from_via, to, to_via }
    }

    /// The names of an attachment, and of the peer or port behind it.
    fn place(&self, domain: DomainId, target: Target) -> (String, String) {
        (self.names.attachment(domain, target.attachment).into(), self.names.peer(target.peer).into())
    }
}
