//! ID spaces: the tenant IDs that one encapsulation reads from one number space, as sets of
//! values of the wire's ID bits.

use std::ops::ControlFlow;

use transload_encaps::{Compiled, Kind, Segment, WireIds};

use crate::forwarding::{Claim, MappingId, PeerId, Scope};
use crate::mapping::interval::{Interval, overlaps};
use crate::mapping::{Run, Values};

/// The owner of a value of the ID bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    /// A tenant.
    Tenant(Claim),
    /// A run of a mapping's IDs, each of which is a tenant of its own.
    Mapping {
        /// The mapping.
        mapping: MappingId,
        /// The side, 0 or 1, on which they have this value.
        side: usize,
        /// The IDs.
        run: Run,
    },
}

impl Owner {
    /// Whether the two cannot meet: they are one tenant, or one side of one mapping, on which no two IDs are written
    /// alike.
    #[must_use]
    pub fn is_alone_with(self, other: Self) -> bool {
        match (self, other) {
            (Self::Tenant(one), Self::Tenant(other)) => one.domain == other.domain,
            (Self::Mapping { mapping, side, .. }, Self::Mapping { mapping: other, side: other_side, .. }) => {
                (mapping, side) == (other, other_side)
            }
            _ => false,
        }
    }
}

/// Values of the ID bits, held by one owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// The values.
    pub ids: Values,
    /// The segment that they mean here; of a mapping, the lowest one.
    pub segment: Segment,
    /// The owner.
    pub owner: Owner,
}

/// The values taken from and written to the peers of one number space and encapsulation.
#[derive(Debug)]
pub struct Space {
    /// The number space that their segments are looked up in.
    pub scope: Scope,
    /// The peers' encapsulation.
    pub kind: Kind,
    /// The peers.
    pub peers: Vec<PeerId>,
    /// The values taken from the peers, and for which owner, sorted.
    pub rx_ids: Vec<Held>,
    /// The values written to the peers, and by which owner, sorted.
    pub tx_ids: Vec<Held>,
}

impl Space {
    pub(super) fn new(scope: Scope, kind: Kind) -> Self {
        Self { scope, kind, peers: Vec::new(), rx_ids: Vec::new(), tx_ids: Vec::new() }
    }

    pub(super) fn take(&mut self, compiled: &Compiled, segment: Segment, claim: Claim) {
        let ids = without_longer(compiled, segment, Compiled::rx_ids);
        self.rx_ids.extend(ids.into_iter().map(|ids| held(ids, segment, claim)));
    }

    pub(super) fn write(&mut self, compiled: &Compiled, segment: Segment, claim: Claim) {
        for segment in compiled.fellows(segment) {
            let ids = without_longer(compiled, segment, Compiled::tx_ids);
            self.tx_ids.extend(ids.into_iter().map(|ids| held(ids, segment, claim)));
        }
    }

    pub(super) fn sort(&mut self) {
        for rows in [&mut self.rx_ids, &mut self.tx_ids] {
            let by_ids = |one: &Held, other: &Held| one.ids.bounds().cmp(&other.ids.bounds());
            rows.sort_unstable_by(|one, other| by_ids(one, other).then_with(|| one.owner.cmp(&other.owner)));
            rows.dedup();
        }
    }

    /// All that take this value.
    pub fn takers(&self, id: u64) -> impl Iterator<Item = &Held> {
        let end = self.rx_ids.partition_point(|held| held.ids.bounds().first() <= id);
        self.rx_ids.iter().take(end).rev().filter(move |held| held.ids.contains(id))
    }

    /// Whether both read the same bits of a packet.
    #[must_use]
    pub fn reads_like(&self, other: &Self) -> bool {
        self.kind.info().id_bits == other.kind.info().id_bits
    }
}

fn held(ids: Interval<u64>, segment: Segment, claim: Claim) -> Held {
    Held { ids: Values::Range(ids), segment, owner: Owner::Tenant(claim) }
}

/// The values of a segment but for those that belong to claims which count before it.
fn without_longer(
    compiled: &Compiled,
    segment: Segment,
    values: fn(&Compiled, Segment) -> WireIds,
) -> Vec<Interval<u64>> {
    let ranges = |segment| values(compiled, segment).iter().collect::<Vec<_>>();
    let mut longer: Vec<_> = compiled.longer(segment).into_iter().flat_map(ranges).collect();
    longer.sort_unstable_by_key(|range| *range.start());
    let mut left = Vec::new();
    for whole in ranges(segment) {
        let mut next = Some(*whole.start());
        for range in longer.iter().filter(|range| range.start() <= whole.end() && whole.start() <= range.end()) {
            if let Some(first) = next.filter(|first| first < range.start()) {
                left.push(Interval::new(first, range.start() - 1));
            }
            next = next.max(range.end().checked_add(1)).filter(|next| next <= whole.end());
            if next.is_none() {
                break;
            }
        }
        left.extend(next.map(|first| Interval::new(first, *whole.end())));
    }
    left
}

/// Calls `found` with every two of these, of different owners, that hold the same value, and the lowest such value.
pub fn shared(rows: &[Held], mut found: impl FnMut(&Held, &Held, u64) -> ControlFlow<()>) -> ControlFlow<()> {
    let mut items: Vec<_> = rows.iter().map(|held| (held.ids.bounds(), held)).collect();
    overlaps(&mut items, |(_, one), (_, other)| match meets(one, other) {
        Some(value) => found(one, other, value),
        None => ControlFlow::Continue(()),
    })
}

/// Calls `found` with every pair of the two lists, of different owners, that hold the same value, and one such value.
pub fn crossed(
    ones: &[Held],
    others: &[Held],
    mut found: impl FnMut(&Held, &Held, u64) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let mut items: Vec<_> = ones.iter().map(|held| (held.ids.bounds(), (held, true))).collect();
    items.extend(others.iter().map(|held| (held.ids.bounds(), (held, false))));
    overlaps(&mut items, |&(_, (a, a_is_one)), &(_, (b, b_is_one))| {
        if a_is_one == b_is_one {
            return ControlFlow::Continue(());
        }
        match meets(a, b) {
            Some(value) if a_is_one => found(a, b, value),
            Some(value) => found(b, a, value),
            None => ControlFlow::Continue(()),
        }
    })
}

fn meets(one: &Held, other: &Held) -> Option<u64> {
    if one.owner.is_alone_with(other.owner) { None } else { one.ids.common(&other.ids) }
}
