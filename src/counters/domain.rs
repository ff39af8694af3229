//! What is counted of a tenant: most of it by attachment, of which the tenant's own numbers are the sum.

use std::sync::OnceLock;

use super::growing::Growing;
use super::{Counter, TrafficCounter};
use crate::forwarding::{AttachmentId, RowId};

/// How many attachments of a tenant are counted in the same place as the tenant.
const FIRST: usize = 2;

/// One attachment's counters.
#[derive(Debug, Default)]
pub struct AttachmentCounters {
    /// The tenant's frames that came in by it.
    pub rx: TrafficCounter,
    /// The tenant's frames that left by it; a flooded frame may leave several times.
    pub tx: TrafficCounter,
    /// Frames that came in by it, or copies of them, that were dropped after the tenant was known.
    pub dropped: Counter,
}

impl AttachmentCounters {
    fn forget(&self) {
        let Self { rx, tx, dropped } = self;
        [rx, tx].into_iter().for_each(TrafficCounter::forget);
        dropped.forget();
    }

    fn add(&self, more: &Self) {
        let Self { rx, tx, dropped } = more;
        self.rx.add(rx.frames.get(), rx.bytes.get());
        self.tx.add(tx.frames.get(), tx.bytes.get());
        self.dropped.add(dropped.get());
    }
}

/// One tenant's counters.
#[derive(Debug, Default)]
pub struct DomainCounters {
    /// Those of its first attachments: most tenants have no others.
    first: [AttachmentCounters; FIRST],
    /// Those of the others, whose first number is [`FIRST`].
    others: OnceLock<Box<Growing<AttachmentId, AttachmentCounters>>>,
    /// What was counted of attachments that are gone. Control writes it.
    gone: AttachmentCounters,
    /// Frames that went to everyone: broadcast, unknown and multicast.
    pub flooded: Counter,
    /// Copies of flooded frames that were not made, since there were too many.
    pub copies_dropped: Counter,
    /// Copies of flooded frames and segments of super-frames that were made, beyond one for each frame.
    pub copies: Counter,
    /// ICMP errors sent to hosts whose packet was too big.
    pub too_big_answers: Counter,
    /// New MAC addresses that were learned.
    pub learned: Counter,
    /// Known MAC addresses that appeared in another place.
    pub moved: Counter,
    /// Frames whose source has moved once too often and is held where it was.
    pub held_moves: Counter,
    /// Times that broadcasts were found to come back by two attachments, from a loop or an echo.
    pub loops: Counter,
    /// MACs not learned because of `limits.macs`.
    pub over_mac_limit: Counter,
    /// MACs not learned because the table has no room where they belong.
    pub table_full: Counter,
}

impl DomainCounters {
    /// The counters of an attachment.
    #[must_use]
    #[inline]
    pub fn attachment(&self, id: AttachmentId) -> Option<&AttachmentCounters> {
        match self.first.get(id.index()) {
            Some(counters) => Some(counters),
            None => self.other(id),
        }
    }

    #[inline(never)]
    fn other(&self, id: AttachmentId) -> Option<&AttachmentCounters> {
        self.others.get()?.get(AttachmentId::from_index(id.index() - FIRST))
    }

    /// All that the tenant's own numbers are the sum of: the attachments, and those that are gone.
    pub fn parts(&self) -> impl Iterator<Item = &AttachmentCounters> {
        std::iter::once(&self.gone).chain(self.attachments())
    }

    /// The counters of all attachments, in the order of their numbers; there may be more of them than attachments.
    pub fn attachments(&self) -> impl Iterator<Item = &AttachmentCounters> {
        self.first.iter().chain(self.others.get().into_iter().flat_map(|others| others.all()))
    }

    /// Makes room for so many attachments.
    pub(super) fn grow(&self, attachments: usize) {
        if let Some(others) = attachments.checked_sub(FIRST).filter(|others| *others > 0) {
            self.others.get_or_init(|| Box::new(Growing::new(others))).grow(others);
        }
    }

    /// The number of an attachment is free: its next owner begins with nothing, and what was counted stays the tenant's.
    pub(super) fn forget_attachment(&self, id: AttachmentId) {
        if let Some(attachment) = self.attachment(id) {
            self.gone.add(attachment);
            attachment.forget();
        }
    }

    /// The number of the tenant is free.
    pub(super) fn forget(&self) {
        let Self { flooded, too_big_answers, learned, moved, held_moves, loops, .. } = self;
        let Self { over_mac_limit, table_full, copies_dropped, copies, .. } = self;
        self.parts().for_each(AttachmentCounters::forget);
        let (first, second) = ([flooded, too_big_answers, learned, moved], [held_moves, loops, over_mac_limit]);
        first.into_iter().chain(second).chain([table_full, copies_dropped, copies]).for_each(Counter::forget);
    }
}
