//! Which values of the wire's ID bits stand for a segment: what the algebra of claims counts in.

use std::ops::RangeInclusive;

/// Values of the bits that an encapsulation writes its tenant ID into: at most three ranges, in no order.
///
/// Often one value. NVGRE's `FlowID` makes it 256 of a GRE key, and on a port several tags mean the same segment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WireIds([Option<(u64, u64)>; 3]);

impl WireIds {
    /// The set of this value only.
    #[must_use]
    pub const fn one(value: u64) -> Self {
        Self::range(value, value)
    }

    /// Everything from the first value to the last one.
    #[must_use]
    pub const fn range(first: u64, last: u64) -> Self {
        Self([Some((first, last)), None, None])
    }

    /// These ranges; `None` is left out.
    #[must_use]
    pub const fn of(ranges: [Option<(u64, u64)>; 3]) -> Self {
        Self(ranges)
    }

    /// The ranges.
    pub fn iter(&self) -> impl Iterator<Item = RangeInclusive<u64>> + '_ {
        self.0.iter().flatten().map(|&(first, last)| first..=last)
    }

    /// Whether a value is among them.
    #[must_use]
    pub fn contains(&self, value: u64) -> bool {
        self.iter().any(|range| range.contains(&value))
    }

    /// Whether some value is in both.
    #[must_use]
    pub fn meets(&self, other: &Self) -> bool {
        self.iter().any(|a| other.iter().any(|b| a.start() <= b.end() && b.start() <= a.end()))
    }
}
