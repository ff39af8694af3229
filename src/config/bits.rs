//! Expressions of a mapping's `to` side: the places that the bits of an ID go to.
//!
//! * `id`: the whole ID, as a number.
//! * `id[11:0]`, `id[7]`: bits of it, the upper one first, as chip designers write it.
//! * `{id[11:0], 4'0x5, id[23:16]}`: pieces joined, the uppermost first; `4'0x5` is a constant of 4 bits.
//! * Any of these `+ 0x1000` or `- 0x1000`, or a constant before it: `0x1000 + id`.
//! * A number alone: the same for every ID.

use schemars::{Schema, json_schema};
use transload_encaps::IdField;

use super::attachment::IdValue;
use super::reader::parse_number;
use super::values::Text;

/// A number made of bits of an ID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bits {
    /// The pieces, the uppermost first; none for a constant.
    pub pieces: Vec<Piece>,
    /// What is added to the pieces as a number.
    pub constant: i128,
}

/// A part of the number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece {
    /// The ID, however long it is.
    Whole,
    /// Bits of the ID.
    Slice {
        /// The uppermost bit.
        high: u32,
        /// The lowest bit.
        low: u32,
    },
    /// Constant bits.
    Constant {
        /// Number of bits.
        width: u32,
        /// Their value.
        value: u64,
    },
}

impl From<u64> for Bits {
    fn from(number: u64) -> Self {
        Self { pieces: Vec::new(), constant: number.into() }
    }
}

impl Text for Bits {
    const EXPECTED: &'static str = "a number or bits of the ID such as \"id[23:12]\"";

    fn read(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{text}` is not made of bits of the ID\nwrite `id`, a part of it such as \"id[23:12]\", or parts \
                 joined as in \"{{id[11:0], id[23:12]}}\"; a constant may be added"
            )
        };
        let mut sum = Self { pieces: Vec::new(), constant: 0 };
        let (mut rest, mut is_minus) = (text.trim(), false);
        loop {
            let (term, operator) = rest.split_at(rest.find(['+', '-']).unwrap_or(rest.len()));
            match parse_number(term.trim()) {
                Some(number) if is_minus => sum.constant -= i128::from(number),
                Some(number) => sum.constant += i128::from(number),
                None if is_minus || !sum.pieces.is_empty() => return Err(wrong()),
                None => sum.pieces = pieces(term.trim()).ok_or_else(wrong)?,
            }
            match operator.chars().next() {
                None => return Ok(sum),
                Some(sign) => (rest, is_minus) = (operator.get(1..).unwrap_or_default(), sign == '-'),
            }
        }
    }
}

fn pieces(text: &str) -> Option<Vec<Piece>> {
    match text.strip_prefix('{') {
        Some(list) => list.strip_suffix('}')?.split(',').map(|text| piece(text.trim())).collect(),
        None if text == "id" => Some(vec![Piece::Whole]),
        None => piece(text).filter(|piece| matches!(piece, Piece::Slice { .. })).map(|piece| vec![piece]),
    }
}

fn piece(text: &str) -> Option<Piece> {
    let bit = |text: &str| text.trim().parse::<u32>().ok().filter(|&bit| bit < 64);
    if let Some((width, value)) = text.split_once('\'') {
        let (width, value) = (bit(width)?, parse_number(value.trim())?);
        return (width > 0 && value >> width == 0).then_some(Piece::Constant { width, value });
    }
    let inside = text.strip_prefix("id")?.trim_start().strip_prefix('[')?.strip_suffix(']')?;
    let (high, low) = match inside.split_once(':') {
        Some((high, low)) => (bit(high)?, bit(low)?),
        None => (bit(inside)?, bit(inside)?),
    };
    (low <= high).then_some(Piece::Slice { high, low })
}

impl<'de> serde::Deserialize<'de> for Bits {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(super::values::TextVisitor(std::marker::PhantomData))
    }
}

impl IdValue<'_> for Bits {
    const ATTACHMENT: &'static str = "MappingTo";
    const OF_TENANT: bool = false;

    fn schema(field: &IdField, max: u64) -> Schema {
        json_schema!({ "anyOf": [u64::schema(field, max), { "type": "string", "description": Self::EXPECTED }] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Bits {
        Bits::read(text).expect("it is made of bits")
    }

    #[test]
    fn a_slice_has_its_upper_bit_first() {
        assert_eq!(read("id[23:12]").pieces, [Piece::Slice { high: 23, low: 12 }]);
        assert_eq!(read("id[7]").pieces, [Piece::Slice { high: 7, low: 7 }]);
    }

    #[test]
    fn pieces_are_joined_and_constants_added() {
        let bits = read("0x10 + {id[3:0], 4'0x5} - 1");
        assert_eq!(bits.pieces, [Piece::Slice { high: 3, low: 0 }, Piece::Constant { width: 4, value: 5 }]);
        assert_eq!(bits.constant, 15);
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "vni", "id[0:3]", "id[3:0", "id id", "id+id", "5-id", "{id}", "{4'16}", "id[64]", "id*2"] {
            assert!(Bits::read(text).is_err(), "{text}");
        }
    }
}
