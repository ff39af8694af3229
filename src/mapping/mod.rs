//! Mappings: how up to 2^24 IDs are written on either side of a stateless cross-connect, as a few shifts and masks.
//!
//! Every ID of a mapping has one segment on each side. A segment is made of fields, a field of bits of the ID moved
//! to their places, constants, and an offset; the way back gathers the bits and checks the rest by going forth again.

pub mod interval;
mod runs;
mod values;

use transload_encaps::Segment;

pub use runs::{Flaw, Run, Writing, common_segment, one_to_one, runs, segments};
pub use values::Values;

/// The IDs of a mapping, and their segments on both sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// How the `from` side writes an ID, which also says which IDs there are; then how the `to` side does.
    pub sides: [Side; 2],
    /// The bits in which the IDs differ.
    pub varying: u64,
    /// All other bits of every ID.
    pub fixed: u64,
}

/// How one side writes an ID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Side {
    /// The segment, but for its fields.
    pub base: u64,
    /// The fields, in no part of the segment two of them.
    pub fields: Box<[Field]>,
}

/// One field of a segment, and what of an ID is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Where in the segment its lowest bit stands.
    pub at: u32,
    /// The bits it has, from the lowest.
    pub mask: u64,
    /// Its lowest value in this mapping.
    pub first: u64,
    /// Its highest.
    pub last: u64,
    /// Values that its standard reserves, first to last.
    pub reserved: Box<[(u64, u64)]>,
    /// What is added, modulo 2^64, once the bits are in their places.
    pub add: u64,
    /// Bits that are always so.
    pub constant: u64,
    /// Where the ID's bits go; no two to the same place.
    pub moves: Box<[Move]>,
}

/// Bits of an ID on their way into a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Move {
    /// Which bits of the ID.
    pub mask: u64,
    /// By how many places they rotate left.
    pub left: u32,
}

/// Why an ID has no segment on a side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Miss {
    /// It is not one of the mapping's.
    Outside,
    /// It is, but its value is reserved.
    Hole,
}

impl Field {
    /// The value for an ID, whether the field can have it or not.
    #[must_use]
    #[inline]
    pub fn value(&self, id: u64) -> u64 {
        let bits = self.moves.iter().fold(self.constant, |bits, step| bits | (id & step.mask).rotate_left(step.left));
        bits.wrapping_add(self.add)
    }

    /// The bits of the ID that this value of the field shows.
    #[inline]
    fn bits(&self, value: u64) -> u64 {
        let value = value.wrapping_sub(self.add);
        self.moves.iter().fold(0, |id, step| id | value.rotate_right(step.left) & step.mask)
    }

    #[inline]
    fn is_reserved(&self, value: u64) -> bool {
        self.reserved.iter().any(|&(first, last)| first <= value && value <= last)
    }

    /// Which bits of the ID it shows.
    fn shown(&self) -> u64 {
        self.moves.iter().fold(0, |shown, step| shown | step.mask)
    }
}

impl Side {
    /// The segment of an ID on this side.
    ///
    /// # Errors
    /// Why it has none.
    #[inline]
    pub fn write(&self, id: u64) -> Result<Segment, Miss> {
        let (mut segment, mut is_hole) = (self.base, false);
        for field in &*self.fields {
            let value = field.value(id);
            if value < field.first || value > field.last {
                return Err(Miss::Outside);
            }
            is_hole |= field.is_reserved(value);
            segment |= value << field.at;
        }
        if is_hole { Err(Miss::Hole) } else { Ok(Segment(segment)) }
    }

    /// The bits of the ID that a segment shows.
    #[inline]
    fn read(&self, segment: Segment) -> u64 {
        self.fields.iter().fold(0, |id, field| id | field.bits(segment.0 >> field.at & field.mask))
    }

    /// The segment of an ID, reserved values and all.
    #[must_use]
    pub fn outline(&self, id: u64) -> u64 {
        self.fields.iter().fold(self.base, |segment, field| segment | (field.value(id) & field.mask) << field.at)
    }
}

impl Mapping {
    /// What a segment of one side, 0 or 1, is on the other; `None` when it is not one of the mapping's.
    ///
    /// # Errors
    /// `Hole` when it is one, but has no counterpart that may be used.
    #[must_use]
    #[inline]
    pub fn across(&self, side: usize, segment: Segment) -> Option<Result<Segment, Miss>> {
        let (here, there) = (self.sides.get(side)?, self.sides.get(1 - side)?);
        let id = here.read(segment) & self.varying | self.fixed;
        let there = match here.write(id) {
            Ok(same) if same == segment => there.write(id),
            Err(Miss::Hole) if here.outline(id) == segment.0 => Err(Miss::Hole),
            Ok(_) | Err(_) => return None,
        };
        (there != Err(Miss::Outside)).then_some(there)
    }

    /// Whether a segment of one side, 0 or 1, is one of the mapping's, holes included.
    #[must_use]
    pub fn has(&self, side: usize, segment: Segment) -> bool {
        let Some(here) = self.sides.get(side) else { return false };
        let id = here.read(segment) & self.varying | self.fixed;
        here.outline(id) == segment.0 && self.contains(id)
    }

    /// Whether this is one of the mapping's IDs.
    #[must_use]
    pub fn contains(&self, id: u64) -> bool {
        self.sides.iter().all(|side| side.write(id) != Err(Miss::Outside))
    }

    /// How many IDs there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.sides[0].fields.iter().fold(1_u64, |count, field| count.saturating_mul(field.last - field.first + 1))
    }

    /// All IDs, in order.
    pub fn ids(&self) -> impl Iterator<Item = u64> {
        (0..self.count()).map(|mut place| {
            let mut id = self.fixed;
            // The last field holds the lowest bits.
            for field in self.sides[0].fields.iter().rev() {
                let values = field.last - field.first + 1;
                id |= field.bits(field.first + place % values);
                place /= values;
            }
            id
        })
    }

    /// The IDs that have no segment on one of the sides because of reserved values: ranges, first to last, in order.
    #[must_use]
    pub fn holes(&self) -> Vec<(u64, u64)> {
        let mut holes = Vec::new();
        for field in self.sides.iter().flat_map(|side| &side.fields) {
            for &(first, last) in &field.reserved {
                for value in first.max(field.first)..=last.min(field.last) {
                    self.with(field, value, &mut holes);
                }
            }
        }
        holes.sort_unstable();
        holes.dedup();
        let mut ranges: Vec<(u64, u64)> = Vec::new();
        for id in holes {
            match ranges.last_mut() {
                Some((_, last)) if *last + 1 == id => *last = id,
                _ => ranges.push((id, id)),
            }
        }
        ranges
    }

    /// Adds the IDs for which a field has this value.
    fn with(&self, field: &Field, value: u64, ids: &mut Vec<u64>) {
        let (shown, bits) = (field.shown(), field.bits(value));
        let base = bits & self.varying | self.fixed;
        if field.value(base) != value {
            return;
        }
        ids.extend(subsets(self.varying & !shown).map(|rest| base | rest).filter(|&id| self.contains(id)));
    }

    /// A segment for every value that the first field of a side has, holes left out.
    pub fn first_values(&self, side: usize) -> impl Iterator<Item = Segment> {
        let Side { base, fields } = &self.sides[side];
        let field = fields.first();
        let ids = subsets(field.map_or(0, Field::shown) & self.varying).map(|shown| self.fixed | shown);
        ids.filter_map(move |id| {
            let Some(field) = field else { return Some(Segment(*base)) };
            let value = field.value(id);
            let is_used = field.first <= value && value <= field.last && !field.is_reserved(value);
            is_used.then_some(Segment(base | value << field.at))
        })
    }
}

/// Every number made of some of these bits, from 0 on.
fn subsets(bits: u64) -> impl Iterator<Item = u64> {
    std::iter::successors(Some(0_u64), move |&last| Some(last.wrapping_sub(bits) & bits).filter(|&next| next != 0))
}
