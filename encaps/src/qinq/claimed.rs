//! What the attachments of a port claim: which VLAN IDs of a first tag, and which C-VIDs behind each S-VID.
//!
//! Of claims that a frame fits, the longest counts: a pair before a range, and a range before the S-VID as a whole.

use std::collections::BTreeMap;

use super::VID_MASK;
use super::shape::{Shape, last, parts, range, segment};
use crate::encap::{Segment, SpecError};

/// Most VLAN IDs, the reserved ones included.
const VIDS: usize = 1 << 12;

/// Claims of a VLAN ID of the first tag, as flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Uses(u8);

impl Uses {
    /// A 0x8100 tag that stands alone.
    pub(super) const SINGLE: Self = Self(1);
    /// An outer tag, whatever comes behind it.
    pub(super) const WHOLE: Self = Self(2);
    /// An outer tag with some of the C-VIDs behind it.
    pub(super) const INNER: Self = Self(4);
    /// C-VIDs behind it that a mapping has, which are not told apart one by one.
    const MAPPED: Self = Self(8);
    /// What comes behind it decides whose frame it is.
    pub(super) const LAYERED: Self = Self(16);

    #[inline]
    pub(super) const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub(super) const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// A set of VLAN IDs.
#[derive(Debug, Clone)]
struct VidSet([u64; VIDS / 64]);

impl VidSet {
    const EMPTY: Self = Self([0; VIDS / 64]);

    const fn has(&self, vid: u16) -> bool {
        self.0[(vid as usize >> 6) & 63] >> (vid & 63) & 1 != 0
    }

    const fn add(&mut self, vid: u16) {
        self.0[(vid as usize >> 6) & 63] |= 1 << (vid & 63);
    }

    fn iter(&self) -> impl Iterator<Item = u16> + '_ {
        (0..VIDS as u16).filter(|&vid| self.has(vid))
    }
}

/// A range of C-VIDs.
#[derive(Debug, Clone, Copy)]
struct VidRange {
    first: u16,
    last: u16,
    /// The first VID of the first range that its attachment has.
    list: u16,
}

/// The claims behind one S-VID.
#[derive(Debug, Clone)]
struct CVids {
    pairs: VidSet,
    /// No two overlap.
    ranges: Vec<VidRange>,
}

impl CVids {
    const EMPTY: Self = Self { pairs: VidSet::EMPTY, ranges: Vec::new() };

    fn range_of(&self, c_vid: u16) -> Option<&VidRange> {
        self.ranges.iter().find(|range| (range.first..=range.last).contains(&c_vid))
    }
}

/// The claims of a port.
#[derive(Debug, Clone)]
pub(super) struct Claimed {
    uses: [Uses; VIDS],
    inner: BTreeMap<u16, CVids>,
}

impl Claimed {
    pub(super) const fn none() -> Self {
        Self { uses: [Uses(0); VIDS], inner: BTreeMap::new() }
    }

    #[inline]
    pub(super) const fn uses(&self, vid: u16) -> Uses {
        self.uses[(vid & VID_MASK) as usize]
    }

    /// Takes in a segment that cannot be mistaken for one of another number of tags. `list` is the first range of its
    /// attachment.
    pub(super) fn add(&mut self, claim: Segment, list: Segment) -> Result<(), SpecError> {
        let (shape, vid, c_vid) = parts(claim);
        let here = self.uses(vid);
        let more = match shape {
            Shape::Untagged => return Ok(()),
            Shape::Single => Uses::SINGLE,
            Shape::Outer | Shape::Range if here.has(Uses::MAPPED) => return Err(mapped(vid)),
            Shape::Outer => Uses::WHOLE,
            Shape::Both => {
                let inner = self.inner.entry(vid).or_insert(CVids::EMPTY);
                if inner.range_of(c_vid).is_some_and(|range| range.first == range.last) {
                    return Err(same_c_vid(vid, c_vid));
                }
                inner.pairs.add(c_vid);
                Uses::INNER
            }
            Shape::Range => {
                let new = VidRange { first: c_vid, last: last(claim), list: parts(list).2 };
                let inner = self.inner.entry(vid).or_insert(CVids::EMPTY);
                if let Some(old) = inner.ranges.iter().find(|old| old.first <= new.last && new.first <= old.last) {
                    return Err(overlap(vid, *old, new));
                }
                if new.first == new.last && inner.pairs.has(c_vid) {
                    return Err(same_c_vid(vid, c_vid));
                }
                inner.ranges.push(new);
                Uses::INNER
            }
        };
        self.set(vid, here.or(more));
        Ok(())
    }

    /// Takes in segments of a mapping with the first tag of this one, which are not told apart one by one.
    pub(super) fn add_mapped(&mut self, claim: Segment) -> Result<(), SpecError> {
        let (shape, vid, _) = parts(claim);
        let here = self.uses(vid);
        match shape {
            Shape::Both if here.has(Uses::WHOLE.or(Uses::LAYERED)) => Err(mapped(vid)),
            Shape::Outer if here.has(Uses::INNER) => Err(mapped(vid)),
            Shape::Both => {
                self.set(vid, here.or(Uses::INNER).or(Uses::MAPPED));
                Ok(())
            }
            _ => self.add(claim, claim),
        }
    }

    fn set(&mut self, vid: u16, uses: Uses) {
        let has_ranges = self.inner.get(&vid).is_some_and(|inner| !inner.ranges.is_empty());
        let is_layered = has_ranges || uses.has(Uses::WHOLE) && uses.has(Uses::INNER);
        self.uses[(vid & VID_MASK) as usize] = if is_layered { uses.or(Uses::LAYERED) } else { uses };
    }

    /// The pair or the range that a C-VID behind an S-VID belongs to.
    pub(super) fn longest(&self, s_vid: u16, c_vid: u16) -> Option<Segment> {
        let inner = self.inner.get(&s_vid)?;
        if inner.pairs.has(c_vid) {
            return Some(segment(Shape::Both, s_vid, c_vid));
        }
        inner.range_of(c_vid).map(|found| range(s_vid, found.first, found.last))
    }

    /// Whether a C-VID behind an S-VID is one of an attachment's, which has this range.
    pub(super) fn is_in_list(&self, of: Segment, s_vid: u16, c_vid: u16) -> bool {
        let Some(inner) = self.inner.get(&s_vid) else { return false };
        let list = |c_vid| inner.range_of(c_vid).map(|range| range.list);
        !inner.pairs.has(c_vid) && list(c_vid).is_some_and(|here| list(parts(of).2) == Some(here))
    }

    /// Whether this claim is known.
    pub(super) fn knows(&self, claim: Segment) -> bool {
        let (shape, vid, c_vid) = parts(claim);
        let here = self.uses(vid);
        match shape {
            Shape::Untagged => true,
            Shape::Single => here.has(Uses::SINGLE),
            Shape::Outer => here.has(Uses::WHOLE),
            Shape::Both => here.has(Uses::MAPPED) || self.inner.get(&vid).is_some_and(|inner| inner.pairs.has(c_vid)),
            Shape::Range => self.inner.get(&vid).is_some_and(|inner| inner.range_of(c_vid).is_some()),
        }
    }

    /// The claims that count before this one where a frame fits both.
    pub(super) fn longer(&self, claim: Segment) -> Vec<Segment> {
        let (shape, vid, first) = parts(claim);
        let Some(inner) = self.inner.get(&vid) else { return Vec::new() };
        let pair = |c_vid| segment(Shape::Both, vid, c_vid);
        match shape {
            Shape::Range => inner.pairs.iter().filter(|vid| (first..=last(claim)).contains(vid)).map(pair).collect(),
            Shape::Outer => {
                let ranges = inner.ranges.iter().map(|found| range(vid, found.first, found.last));
                inner.pairs.iter().map(pair).chain(ranges).collect()
            }
            _ => Vec::new(),
        }
    }

    /// All ranges of the attachment that has this one, in order.
    pub(super) fn list(&self, of: Segment) -> Vec<Segment> {
        let (shape, vid, first) = parts(of);
        let inner = self.inner.get(&vid).filter(|_| shape == Shape::Range);
        let Some((inner, list)) = inner.and_then(|inner| Some((inner, inner.range_of(first)?.list))) else {
            return vec![of];
        };
        let mut all: Vec<_> = inner.ranges.iter().filter(|range| range.list == list).collect();
        all.sort_unstable_by_key(|range| range.first);
        all.into_iter().map(|found| range(vid, found.first, found.last)).collect()
    }
}

fn mapped(vid: u16) -> SpecError {
    SpecError::new(
        "s_vid",
        format!(
            "a mapping has C-VIDs of S-VID {vid} on this port, which is also used as a whole or with a range of \
             C-VIDs; a frame with two tags would fit both"
        ),
    )
}

fn same_c_vid(vid: u16, c_vid: u16) -> SpecError {
    SpecError::new(
        "c_vid",
        format!("C-VID {c_vid} of S-VID {vid} is claimed by itself and as a range; a frame with it would fit both"),
    )
}

fn overlap(vid: u16, old: VidRange, new: VidRange) -> SpecError {
    let words = |VidRange { first, last, .. }| {
        if first == last { first.to_string() } else { format!("{first}-{last}") }
    };
    let (one, other) = (words(old), words(new));
    let message = if old.list == new.list {
        format!("the list of C-VIDs of S-VID {vid} has {one} and {other}, which overlap")
    } else {
        format!("C-VIDs {one} and {other} of S-VID {vid} overlap; a frame with two tags would fit both")
    };
    SpecError::new("c_vid", message)
}
