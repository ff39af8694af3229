//! ID spaces: the tenant IDs that one encapsulation reads from one number space, as sets of
//! values of the wire's ID bits.

use std::ops::ControlFlow;

use transload_encaps::{Compiled, Kind, Segment, WireIds};

use crate::forwarding::{Claim, MappingId, PeerId, Scope};
use crate::mapping::interval::{Interval, overlaps};
use crate::mapping::{Run, Values};

/// Whose a value of the ID bits is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    /// A tenant's.
    Tenant(Claim),
    /// Those of a run of a mapping's IDs, each of which is a tenant of its own.
    Mapping {
        /// The mapping.
        mapping: MappingId,
        /// The side, 0 or 1, on which they are written so.
        side: usize,
        /// The IDs.
        run: Run,
    },
}

impl Owner {
    /// Whether nobody else meets here: one tenant, or one side of one mapping, on which no two IDs are written alike.
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

/// A hold on some values of the ID bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// The values.
    pub ids: Values,
    /// What they mean here: of a mapping, the lowest one.
    pub segment: Segment,
    /// Whose they are.
    pub owner: Owner,
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
    /// The values that are taken from them, and for whom, sorted.
    pub taken: Vec<Held>,
    /// The values that are written to them, and by whom, sorted.
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
            let by_ids = |one: &Held, other: &Held| one.ids.hull().cmp(&other.ids.hull());
            rows.sort_unstable_by(|one, other| by_ids(one, other).then_with(|| one.owner.cmp(&other.owner)));
            rows.dedup();
        }
    }

    /// Everyone who takes this value.
    pub fn takers(&self, id: u64) -> impl Iterator<Item = &Held> {
        let end = self.taken.partition_point(|held| held.ids.hull().first() <= id);
        self.taken.iter().take(end).rev().filter(move |held| held.ids.contains(id))
    }

    /// Whether both read the same bits of a packet.
    #[must_use]
    pub fn reads_like(&self, other: &Self) -> bool {
        self.kind.info().id_bits == other.kind.info().id_bits
    }
}

fn held(ids: &WireIds, segment: Segment, claim: Claim) -> impl Iterator<Item = Held> {
    let owner = Owner::Tenant(claim);
    ids.iter().map(move |range| Held {
        ids: Values::Range(Interval::new(*range.start(), *range.end())),
        segment,
        owner,
    })
}

/// Tells of every two of these, of different owners, that hold the same value, and the lowest such value.
pub fn shared(rows: &[Held], mut found: impl FnMut(&Held, &Held, u64) -> ControlFlow<()>) -> ControlFlow<()> {
    let mut items: Vec<_> = rows.iter().map(|held| (held.ids.hull(), held)).collect();
    overlaps(&mut items, |(_, one), (_, other)| match meets(one, other) {
        Some(value) => found(one, other, value),
        None => ControlFlow::Continue(()),
    })
}

/// Tells of everyone who holds a value in the first list that somebody else holds in the second, and one such value.
pub fn crossed(
    ones: &[Held],
    others: &[Held],
    mut found: impl FnMut(&Held, &Held, u64) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let mut items: Vec<_> = ones.iter().map(|held| (held.ids.hull(), (held, true))).collect();
    items.extend(others.iter().map(|held| (held.ids.hull(), (held, false))));
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
