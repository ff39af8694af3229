//! ID spaces: the tenant IDs that one encapsulation reads from one number space, as intervals of the wire's ID bits.

use std::ops::ControlFlow;

use transload_encaps::{Compiled, Kind, Segment, WireIds};

use super::interval::{Interval, overlaps};
use crate::forwarding::{Claim, PeerId, Scope};

/// A tenant's hold on some values of the ID bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// The values.
    pub ids: Interval<u64>,
    /// What they mean here.
    pub segment: Segment,
    /// Whose they are.
    pub claim: Claim,
}

/// What the peers of one number space and encapsulation take and are sent.
#[derive(Debug)]
pub struct Space {
    /// Where their segments are looked up.
    pub scope: Scope,
    /// What they speak.
    pub kind: Kind,
    /// Who they are.
    pub peers: Vec<PeerId>,
    /// The values that are taken from them, and for which tenant, sorted.
    pub taken: Vec<Held>,
    /// The values that are written to them, and by which tenant, sorted.
    pub written: Vec<Held>,
}

impl Space {
    pub(super) fn new(scope: Scope, kind: Kind) -> Self {
        Self { scope, kind, peers: Vec::new(), taken: Vec::new(), written: Vec::new() }
    }

    pub(super) fn take(&mut self, compiled: &Compiled, segment: Segment, claim: Claim) {
        self.taken.extend(held(&compiled.taken(segment), segment, claim));
    }

    pub(super) fn write(&mut self, compiled: &Compiled, segment: Segment, claim: Claim) {
        self.written.extend(held(&compiled.written(segment), segment, claim));
    }

    pub(super) fn sort(&mut self) {
        for rows in [&mut self.taken, &mut self.written] {
            rows.sort_unstable_by_key(|held| (held.ids, held.claim.domain, held.claim.attachment));
            rows.dedup();
        }
    }

    /// Everyone who takes this value.
    pub fn takers(&self, id: u64) -> impl Iterator<Item = &Held> {
        let end = self.taken.partition_point(|held| held.ids.first() <= id);
        self.taken.iter().take(end).rev().filter(move |held| held.ids.contains(id))
    }

    /// Whether both read the same bits of a packet.
    #[must_use]
    pub fn reads_like(&self, other: &Self) -> bool {
        self.kind.info().id_bits == other.kind.info().id_bits
    }
}

fn held(ids: &WireIds, segment: Segment, claim: Claim) -> impl Iterator<Item = Held> {
    ids.iter().map(move |range| Held { ids: Interval::new(*range.start(), *range.end()), segment, claim })
}

/// Tells of every two of these, of different tenants, that hold the same value.
pub fn shared(rows: &[Held], mut found: impl FnMut(&Held, &Held) -> ControlFlow<()>) -> ControlFlow<()> {
    let mut items: Vec<_> = rows.iter().map(|held| (held.ids, held)).collect();
    overlaps(&mut items, |(_, one), (_, other)| {
        if one.claim.domain == other.claim.domain { ControlFlow::Continue(()) } else { found(one, other) }
    })
}

/// Tells of every value that one tenant holds in the first list and another in the second.
pub fn crossed(
    ones: &[Held],
    others: &[Held],
    mut found: impl FnMut(&Held, &Held) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let mut items: Vec<_> = ones.iter().map(|held| (held.ids, (held, true))).collect();
    items.extend(others.iter().map(|held| (held.ids, (held, false))));
    overlaps(&mut items, |&(_, (a, a_is_one)), &(_, (b, b_is_one))| {
        if a_is_one == b_is_one || a.claim.domain == b.claim.domain {
            ControlFlow::Continue(())
        } else if a_is_one {
            found(a, b)
        } else {
            found(b, a)
        }
    })
}
