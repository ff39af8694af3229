//! Runs: the IDs of a mapping, cut into a few sets whose values on the wire can be told in two words each.
//!
//! A run is one ID and any of some further bits. Since every such bit stands for a bit of the segment, a whole
//! mapping of 2^24 IDs is one run, and one whose range ends anywhere a few dozen.

use std::ops::ControlFlow;

use transload_encaps::{Segment, WireIds};

use super::interval::overlaps;
use super::values::Values;
use super::{Field, Mapping, Side};

/// More runs than any mapping that the loader lets pass has.
const MOST_RUNS: usize = 4096;

/// An ID of a mapping, and all that have some of the free bits besides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Run {
    /// The lowest ID.
    pub id: u64,
    /// The bits in which the others differ.
    pub free: u64,
}

/// Why a side does not tell a mapping's IDs apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// These two IDs are written alike.
    Alike(u64, u64),
    /// Its fields overlap, or its values do not fit them.
    Shapeless,
}

/// The runs that all IDs of a mapping make, in order.
///
/// # Errors
/// When they do not fit the fields of one of the sides.
pub fn runs(ids: &Mapping) -> Result<Vec<Run>, Flaw> {
    let (mut open, mut runs) = (vec![Run { id: ids.fixed, free: ids.varying }], Vec::new());
    while let Some(run) = open.pop() {
        let fits = |side: &Side, field: &Field| fits(field, &run, side.fields.len() == 1);
        let all: Vec<_> =
            ids.sides.iter().flat_map(|side| side.fields.iter().map(|field| (field, fits(side, field)))).collect();
        if all.iter().any(|(_, fit)| *fit == Fit::Outside) {
            continue;
        }
        let Some((field, _)) = all.iter().find(|(_, fit)| *fit == Fit::Partly) else {
            runs.push(run);
            continue;
        };
        // Values grow with every bit, so that halves come to lie inside or outside.
        let weight = |bit: &u64| reach(field, run.id | bit) - reach(field, run.id);
        let top = bits(run.free).max_by_key(weight).filter(|bit| weight(bit) > 0).ok_or(Flaw::Shapeless)?;
        open.push(Run { id: run.id | top, free: run.free & !top });
        open.push(Run { id: run.id, free: run.free & !top });
        if runs.len() + open.len() > MOST_RUNS {
            return Err(Flaw::Shapeless);
        }
    }
    Ok(runs)
}

/// Whether the values of a field for a run may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fit {
    Inside,
    Outside,
    Partly,
}

/// Reserved values are left out where the field is the only one, since then another kind of ID may stand for them: a
/// tag with VLAN ID 0 is no tag. With two fields that cannot be, and would make hundreds of runs.
fn fits(field: &Field, run: &Run, is_only_one: bool) -> Fit {
    let (low, high) = (reach(field, run.id), reach(field, run.id | run.free));
    if high < field.first.into() || low > field.last.into() {
        return Fit::Outside;
    }
    let mut fit = if low >= field.first.into() && high <= field.last.into() { Fit::Inside } else { Fit::Partly };
    for &(first, last) in field.reserved.iter().filter(|_| is_only_one) {
        if low >= first.into() && high <= last.into() {
            return Fit::Outside;
        }
        if low <= last.into() && high >= first.into() {
            fit = Fit::Partly;
        }
    }
    fit
}

/// The value of a field for an ID, before it wraps.
fn reach(field: &Field, id: u64) -> i128 {
    i128::from(field.value(id).wrapping_sub(field.add)) + i128::from(field.add.cast_signed())
}

/// Whether no two IDs of a mapping are written alike on a side.
///
/// # Errors
/// Two that are, or that nothing can be said.
pub fn one_to_one(ids: &Mapping, side: usize) -> Result<(), Flaw> {
    let side = ids.sides.get(side).ok_or(Flaw::Shapeless)?;
    let mut room = side.base;
    for field in &side.fields {
        let here = field.mask.checked_shl(field.at).ok_or(Flaw::Shapeless)?;
        if room & here != 0 || field.last > field.mask || here >> field.at != field.mask {
            return Err(Flaw::Shapeless);
        }
        room |= here;
    }
    let mut seen = 0;
    for bit in bits(ids.varying) {
        let alike = || Err(Flaw::Alike(ids.fixed & !bit, ids.fixed & !bit | bit));
        match image(side, bit) {
            Some(image) if image & seen == 0 => seen |= image,
            Some(image) => {
                let twin = bits(ids.varying).find(|&twin| twin != bit && self::image(side, twin) == Some(image));
                return twin.map_or_else(alike, |twin| Err(Flaw::Alike(ids.fixed | twin, ids.fixed | bit)));
            }
            None => return alike(),
        }
    }
    Ok(())
}

/// The bit of the segment that stands for a bit of the ID, if exactly one does.
fn image(side: &Side, bit: u64) -> Option<u64> {
    let images = side.fields.iter().flat_map(|field| {
        let moves = field.moves.iter().filter(|step| step.mask & bit != 0);
        moves.map(move |step| (field, bit.rotate_left(step.left)))
    });
    let mut images = images.filter(|(field, image)| image & !field.constant & field.mask != 0);
    let (field, image) = images.next()?;
    images.next().is_none().then_some(image << field.at)
}

fn bits(word: u64) -> impl Iterator<Item = u64> {
    (0..u64::BITS).map(|at| 1 << at).filter(move |bit| word & bit != 0)
}

/// The segments of a side of a mapping.
///
/// # Errors
/// As `runs`.
pub fn segments(ids: &Mapping, side: usize) -> Result<Vec<Values>, Flaw> {
    let side = ids.sides.get(side).ok_or(Flaw::Shapeless)?;
    let (runs, writings) = (runs(ids)?, Writing::of(side, |segment| WireIds::one(segment.0))?);
    let of = |writing: &Writing<'_>| runs.iter().map(|&run| writing.values(run)).collect::<Vec<_>>();
    Ok(writings.iter().flat_map(of).collect())
}

/// A segment that is among both of these.
#[must_use]
pub fn common_segment(ones: &[Values], others: &[Values]) -> Option<Segment> {
    let mut items: Vec<_> = ones.iter().map(|values| (values.hull(), (values, true))).collect();
    items.extend(others.iter().map(|values| (values.hull(), (values, false))));
    let common = overlaps(&mut items, |(_, (a, a_is_one)), (_, (b, b_is_one))| {
        match a.common(b).filter(|_| a_is_one != b_is_one) {
            Some(value) => ControlFlow::Break(Segment(value)),
            None => ControlFlow::Continue(()),
        }
    });
    common.break_value()
}

/// How a side of a mapping comes to be values of the wire's ID bits.
#[derive(Debug)]
pub struct Writing<'m> {
    side: &'m Side,
    /// The values of a segment whose fields are all 0, and by field how far it is moved from there.
    zero: (u64, u64),
    places: Vec<u32>,
}

impl<'m> Writing<'m> {
    /// The ways in which an encapsulation takes, or writes, the segments of a side.
    ///
    /// # Errors
    /// When its ID bits are not the fields of the segment moved about.
    pub fn of(side: &'m Side, values: impl Fn(Segment) -> WireIds) -> Result<Vec<Self>, Flaw> {
        let at = |segment: u64| {
            values(Segment(segment)).iter().map(std::ops::RangeInclusive::into_inner).collect::<Vec<_>>()
        };
        let zeros = at(side.base);
        let mut all: Vec<_> = zeros.into_iter().map(|zero| Self { side, zero, places: Vec::new() }).collect();
        for field in &side.fields {
            let (ones, full) = (at(side.base | 1 << field.at), at(side.base | field.mask << field.at));
            if ones.len() != all.len() || full.len() != all.len() {
                return Err(Flaw::Shapeless);
            }
            for ((writing, one), full) in all.iter_mut().zip(ones).zip(full) {
                let place = (one.0.wrapping_sub(writing.zero.0)).trailing_zeros();
                let moved = field.mask.checked_shl(place).and_then(|moved| writing.zero.0.checked_add(moved));
                if moved != Some(full.0) || full.1 - full.0 != writing.zero.1 - writing.zero.0 {
                    return Err(Flaw::Shapeless);
                }
                writing.places.push(place);
            }
        }
        Ok(all)
    }

    /// How the IDs of a run are written.
    #[must_use]
    pub fn values(&self, run: Run) -> Values {
        // What a value is followed by, such as a FlowID, is free as well.
        let behind = self.zero.1 - self.zero.0;
        let free =
            bits(run.free).fold(behind, |free, bit| free | self.value(run.id | bit).wrapping_sub(self.value(run.id)));
        Values::Sums { offset: self.value(run.id), free }
    }

    /// The ID of a run that is written so.
    #[must_use]
    pub fn id(&self, run: Run, value: u64) -> u64 {
        let added = value.wrapping_sub(self.value(run.id));
        let has = |bit: &u64| added & self.value(run.id | bit).wrapping_sub(self.value(run.id)) != 0;
        bits(run.free).filter(has).fold(run.id, |id, bit| id | bit)
    }

    fn value(&self, id: u64) -> u64 {
        let fields = self.side.fields.iter().zip(&self.places);
        fields.fold(self.zero.0, |value, (field, &place)| value.wrapping_add(field.value(id) << place))
    }
}
