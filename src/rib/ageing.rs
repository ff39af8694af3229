//! Ageing: silent MACs leave the FDB, a slice of the table each second, and give their place in the tenant's limit
//! back.
//!
//! A lookup already ignores what has aged; the sweep frees the slot, and keeps the 16-bit dates of the FDB from
//! wrapping around to look young again.

use std::sync::atomic::Ordering;

use crate::dataplane::{Now, Shared};
use crate::fdb::{Entry, EntrySource, MAX_AGEING};
use crate::forwarding::{DomainId, Forwarding, Target};

/// The table is swept once around in this many seconds.
const SLICES: u64 = 16;
/// How far the sweep has come.
#[derive(Debug, Default)]
pub struct Ageing {
    last: Option<u64>,
    next: usize,
}

impl Ageing {
    /// Sweeps as much as the time since the last call asks for. Returns how many entries left.
    pub fn advance(&mut self, shared: &Shared, now: Now) -> usize {
        let second = now.nanos / 1_000_000_000;
        let elapsed = second.saturating_sub(*self.last.get_or_insert(second));
        if elapsed == 0 {
            return 0;
        }
        self.last = Some(second);
        let tables = shared.forwarding.load();
        let ageing = |entry: &Entry| tables.domain(entry.domain).map_or(0, |domain| domain.ageing.min(MAX_AGEING));
        let all = shared.fdb.buckets();
        if elapsed >= SLICES {
            self.next = 0;
            // Nothing was received meanwhile that could have been dated, and the dates may have wrapped around.
            let before = (second - elapsed) as u16;
            return sweep(shared, &tables, 0..all, |entry| {
                !entry.source.is_learned() || u64::from(entry.age(before)) + elapsed <= u64::from(ageing(entry))
            });
        }
        let slice = all.div_ceil(SLICES as usize);
        (0..elapsed)
            .map(|_| {
                let range = self.next..(self.next + slice).min(all);
                self.next = if range.end == all { 0 } else { range.end };
                sweep(shared, &tables, range, |entry| !entry.is_expired(now.tick(), ageing(entry)))
            })
            .sum()
    }
}

/// Whether a place of a domain is still there after a reload.
pub(super) fn is_meant(tables: &Forwarding, domain: DomainId, place: Target) -> bool {
    let attachment = tables.domain(domain).and_then(|domain| domain.attachment(place.attachment));
    attachment.is_some_and(|attachment| tables.is_member(&attachment.members, place.peer))
}

/// Takes out of these buckets what the tables do not mean or `wanted` refuses; what was learned no longer counts
/// against its tenant's limit.
pub fn sweep(
    shared: &Shared,
    tables: &Forwarding,
    range: std::ops::Range<usize>,
    mut wanted: impl FnMut(&Entry) -> bool,
) -> usize {
    shared.fdb.sweep(range, |entry| {
        let keep = is_meant(tables, entry.domain, entry.target) && wanted(entry);
        if !keep
            && entry.source != EntrySource::File
            && let Some(domain) = tables.domain(entry.domain)
        {
            domain.state.macs.fetch_sub(1, Ordering::Relaxed);
        }
        keep
    })
}
