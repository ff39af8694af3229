//! Intervals: everything from a first value to a last one, and which of many have a value in common.

use std::ops::ControlFlow;

/// Everything from a first value to a last one, both included. Never empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Interval<T> {
    first: T,
    last: T,
}

impl<T: Ord + Copy> Interval<T> {
    /// Everything between two values, in whatever order they are given.
    #[must_use]
    pub fn new(one: T, other: T) -> Self {
        Self { first: one.min(other), last: one.max(other) }
    }

    /// One value.
    #[must_use]
    pub const fn point(value: T) -> Self {
        Self { first: value, last: value }
    }

    /// The lowest value.
    #[must_use]
    pub const fn first(self) -> T {
        self.first
    }

    /// The highest value.
    #[must_use]
    pub const fn last(self) -> T {
        self.last
    }

    /// Whether a value is in it.
    #[must_use]
    pub fn contains(self, value: T) -> bool {
        self.first <= value && value <= self.last
    }

    /// What is in both.
    #[must_use]
    pub fn common(self, other: Self) -> Option<Self> {
        let (first, last) = (self.first.max(other.first), self.last.min(other.last));
        (first <= last).then_some(Self { first, last })
    }
}

/// Tells of every pair that has a value in common, the one that begins first before the other, until told to stop.
///
/// Takes n log n steps for n intervals that have nothing in common, and one more for every pair that has.
pub fn overlaps<T: Ord + Copy, X, B>(
    items: &mut [(Interval<T>, X)],
    mut found: impl FnMut(&(Interval<T>, X), &(Interval<T>, X)) -> ControlFlow<B>,
) -> ControlFlow<B> {
    items.sort_by_key(|(interval, _)| *interval);
    // Those that began before and are not over yet.
    let mut open: Vec<usize> = Vec::new();
    for (at, item) in items.iter().enumerate() {
        open.retain(|&before| items[before].0.last >= item.0.first);
        for &before in &open {
            found(&items[before], item)?;
        }
        open.push(at);
    }
    ControlFlow::Continue(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_common_is_what_is_in_both(a in 0..9_u8, b in 0..9_u8, c in 0..9_u8, d in 0..9_u8) {
            let (one, other) = (Interval::new(a, b), Interval::new(c, d));
            for value in 0..9 {
                let in_both = one.contains(value) && other.contains(value);
                prop_assert_eq!(one.common(other).is_some_and(|common| common.contains(value)), in_both);
            }
        }

        #[test]
        fn every_pair_with_a_value_in_common_is_found_and_no_other(ends in prop::collection::vec((0..40_u8, 0..40_u8), 0..12)) {
            let all: Vec<_> = ends.iter().map(|&(a, b)| Interval::new(a, b)).collect();
            let mut expected = Vec::new();
            for (n, one) in all.iter().enumerate() {
                expected.extend((n + 1..all.len()).filter(|&m| one.common(all[m]).is_some()).map(|m| (n, m)));
            }
            let mut items: Vec<_> = all.into_iter().zip(0_usize..).collect();
            let mut seen = Vec::new();
            let _ = overlaps(&mut items, |one, other| {
                seen.push((one.1.min(other.1), one.1.max(other.1)));
                ControlFlow::<()>::Continue(())
            });
            seen.sort_unstable();
            prop_assert_eq!(seen, expected);
        }
    }
}
