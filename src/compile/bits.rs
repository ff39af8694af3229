//! Bits: what the expressions of a mapping's `to` side come to, and whether they lose nothing of an ID.

use transload_encaps::{IdField, IdForm};

use super::attachments;
use super::findings::Findings;
use crate::config::{At, Bits, Piece, Span};
use crate::mapping::{BitMove, Mapping};

/// The contents of a field.
pub(super) struct FieldValue {
    /// Its lowest value.
    pub(super) first: u64,
    /// Its highest value.
    pub(super) last: u64,
    /// What is added once all bits are in their places.
    pub(super) add: u64,
    /// Bits that are always set.
    pub(super) constant: u64,
    /// The places that the ID's bits go to.
    pub(super) moves: Vec<BitMove>,
}

/// A run of bits, `width` long, from bit `low`.
const fn run(low: u32, width: u32) -> u64 {
    let ones = if width >= u64::BITS { u64::MAX } else { (1 << width) - 1 };
    ones << low
}

/// The length of the IDs, in bits.
fn width(ids: &Mapping) -> u32 {
    let shown = ids.sides[0].fields.iter().flat_map(|field| &field.moves).fold(0, |all, step| all | step.mask);
    u64::BITS - shown.leading_zeros()
}

/// What an expression puts into a field.
pub(super) fn field(known: &IdField, at: &At<Bits>, ids: &Mapping, findings: &mut Findings) -> Option<FieldValue> {
    let (bits, width) = (at.get()?, width(ids));
    let IdForm::Number { max } = known.form else { return None };
    let (mut constant, mut moves, mut low) = (0, Vec::new(), 0);
    for piece in bits.pieces.iter().rev() {
        let (from, len) = match *piece {
            Piece::Whole => (0, width),
            Piece::Slice { high, low } => (low, high - low + 1),
            Piece::Constant { width, value } => {
                constant |= value << low;
                low += width;
                continue;
            }
        };
        if from + len > width {
            let message = format!("the ID has {width} bits, {} to 0; there is no bit {}", width - 1, from + len - 1);
            findings.error(at.span, message, "`id` is the ID of the `from` side");
            return None;
        }
        if low + len > u64::BITS {
            findings.error(at.span, "these are more than 64 bits", "leave some out");
            return None;
        }
        moves.push(BitMove { mask: run(from, len), left: (u64::BITS + low - from) % u64::BITS });
        low += len;
    }
    if bits.pieces.is_empty() {
        let value = u64::try_from(bits.constant).unwrap_or(u64::MAX);
        if let Err(why) = attachments::usable(known, value) {
            findings.error(at.span, why, format!("`{}`: {}", known.name, known.about));
            return None;
        }
    }
    let Ok(add) = i64::try_from(bits.constant) else {
        findings.error(at.span, "this constant is too large", format!("`{}`: {}", known.name, known.about));
        return None;
    };
    Some(FieldValue { first: 0, last: max, add: add.cast_unsigned(), constant, moves })
}

/// The fields that are numbers: a flag such as `untagged` is the same for all IDs.
fn numbers<'s, 'c>(
    stated: &'s [(&'static IdField, &'c At<Bits>)],
) -> impl Iterator<Item = &'s (&'static IdField, &'c At<Bits>)> {
    stated.iter().filter(|(known, _)| known.form != IdForm::Flag)
}

/// Whether every bit in which the IDs differ is on the `to` side, and only once.
pub(super) fn check(
    ids: &Mapping,
    stated: &[(&'static IdField, &At<Bits>)],
    span: Span,
    findings: &mut Findings,
) -> bool {
    let mut seen = 0;
    for (field, (_, at)) in ids.sides[1].fields.iter().zip(numbers(stated)) {
        for step in &field.moves {
            let twice = seen & step.mask & ids.varying;
            if twice != 0 {
                let message = format!("{} is used twice", slice(twice));
                findings.error(at.span, message, "use every bit in which the IDs differ exactly once on this side");
                return false;
            }
            seen |= step.mask;
        }
    }
    let missing = ids.varying & !seen;
    if missing == 0 {
        return true;
    }
    let message = format!("not one-to-one: IDs that differ only in {} would be the same on this side", slice(missing));
    findings.error(span, message, format!("use {} in one of the fields", slice(missing)));
    false
}

/// `id[11:0]`: the uppermost run of these bits.
fn slice(bits: u64) -> String {
    let high = u64::BITS - 1 - bits.leading_zeros();
    let low = high + 1 - (bits << (u64::BITS - 1 - high)).leading_ones();
    if high == low { format!("id[{high}]") } else { format!("id[{high}:{low}]") }
}

/// Whether every value fits its field; the first ID whose value does not is named.
pub(super) fn check_values(ids: &Mapping, stated: &[(&'static IdField, &At<Bits>)], findings: &mut Findings) -> bool {
    for (field, (known, at)) in ids.sides[1].fields.iter().zip(numbers(stated)) {
        let fits = |id: u64| (field.first..=field.last).contains(&field.value(id));
        let add = i128::from(field.add.cast_signed());
        let reach = |id: u64| i128::from(field.value(id).wrapping_sub(field.add)) + add;
        let room = i128::from(field.first)..=i128::from(field.last);
        if room.contains(&reach(ids.fixed)) && room.contains(&reach(ids.fixed | ids.varying)) {
            continue;
        }
        if let Some(id) = ids.ids().find(|&id| !fits(id)) {
            let message =
                format!("for ID {id:#x}, {} would be {}, and it goes up to {}", known.name, reach(id), field.last);
            findings.error(at.span, message, "use fewer bits, a smaller range, or another constant");
            return false;
        }
    }
    true
}
