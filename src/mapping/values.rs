//! Values: a set of numbers that is told in two words, however many there are, and whether two such sets meet.

use super::interval::Interval;

/// Values of the ID bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Values {
    /// Everything from one to another.
    Range(Interval<u64>),
    /// An offset and, added to it, any of the free bits: as the IDs of a mapping are written.
    Sums {
        /// The lowest.
        offset: u64,
        /// The bits that may be added.
        free: u64,
    },
}

impl Values {
    /// The lowest and the highest.
    #[must_use]
    pub fn hull(self) -> Interval<u64> {
        match self {
            Self::Range(range) => range,
            Self::Sums { offset, free } => Interval::new(offset, offset.saturating_add(free)),
        }
    }

    /// Whether a value is among them.
    #[must_use]
    pub fn contains(self, value: u64) -> bool {
        self.common(&Self::Range(Interval::point(value))).is_some()
    }

    /// A value that is in both.
    #[must_use]
    pub fn common(&self, other: &Self) -> Option<u64> {
        let both = self.hull().common(other.hull())?;
        match (*self, *other) {
            (Self::Range(_), Self::Range(_)) => Some(both.first()),
            (Self::Sums { offset, free }, Self::Range(_)) | (Self::Range(_), Self::Sums { offset, free }) => {
                let added = submask_from(free, both.first() - offset)?;
                Some(offset + added).filter(|value| both.contains(*value))
            }
            (Self::Sums { offset: low, free }, Self::Sums { offset: high, free: other }) if low <= high => {
                Some(low + difference(free, other, high - low)?)
            }
            (one, other) => other.common(&one),
        }
    }
}

/// The lowest number made of some of these bits that is not below another.
fn submask_from(bits: u64, least: u64) -> Option<u64> {
    let odd = least & !bits;
    if odd == 0 {
        return Some(least);
    }
    // Above the topmost bit that cannot be had, one more that is clear has to be set; below it nothing does.
    let above = u64::MAX.checked_shl(u64::BITS - odd.leading_zeros()).unwrap_or(0);
    let raised = bits & !least & above;
    let lowest = raised & raised.wrapping_neg();
    (lowest != 0).then(|| least & bits & !(lowest - 1) | lowest)
}

/// A number made of some of `ones` that is `more` above one made of some of `others`: found bit by bit, as `others +
/// more` is added up on paper.
fn difference(ones: u64, others: u64, more: u64) -> Option<u64> {
    // For both carries into a bit: how the bits below can be chosen, as the sum that they make.
    let mut ways = [Some(0_u64), None];
    for at in 0..u64::BITS {
        let bit = |word: u64| word >> at & 1;
        let mut next = [None, None];
        for (carry, sum) in ways.into_iter().enumerate() {
            let Some(sum) = sum else { continue };
            for added in 0..=bit(others) {
                let total = bit(more) + added + carry as u64;
                if total & 1 <= bit(ones) {
                    next[(total >> 1) as usize].get_or_insert(sum | (total & 1) << at);
                }
            }
        }
        ways = next;
    }
    ways[0]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(values: Values) -> Vec<u64> {
        match values {
            Values::Range(range) => (range.first()..=range.last()).collect(),
            Values::Sums { offset, free } => {
                (0..=free).filter(|added| added & !free == 0).map(|added| offset + added).collect()
            }
        }
    }

    fn some() -> impl Strategy<Value = Values> {
        let range = (0..200_u64, 0..200_u64).prop_map(|(a, b)| Values::Range(Interval::new(a, b)));
        let sums = (0..200_u64, 0..128_u64).prop_map(|(offset, free)| Values::Sums { offset, free });
        prop_oneof![range, sums]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        #[test]
        fn a_common_value_is_found_if_and_only_if_there_is_one(one in some(), other in some()) {
            let (ones, others) = (all(one), all(other));
            let there_is = ones.iter().any(|value| others.contains(value));
            let found = one.common(&other);
            prop_assert_eq!(found.is_some(), there_is);
            prop_assert!(found.is_none_or(|value| ones.contains(&value) && others.contains(&value)), "{:?}", found);
        }

        #[test]
        fn what_is_contained_is_what_can_be_listed(values in some(), value in 0..400_u64) {
            prop_assert_eq!(values.contains(value), all(values).contains(&value));
        }
    }

    #[test]
    fn sixteen_million_values_are_told_from_as_many_others_at_once() {
        let even = Values::Sums { offset: 0, free: 0x1ff_fffe };
        let odd = Values::Sums { offset: 1, free: 0x1ff_fffe };
        assert_eq!(even.common(&odd), None);
        // Bits of another order, and an offset that carries through all of them.
        let every_other = Values::Sums { offset: 1, free: 0x5555_5555_5554 };
        assert_eq!(odd.common(&every_other), Some(1));
        assert_eq!(every_other.common(&Values::Sums { offset: 2, free: 0xaaaa_aaaa_aaa8 }), None);
    }
}
