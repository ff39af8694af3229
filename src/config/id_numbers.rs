//! The numbers of an ID field of a tenant: one, or where the field takes them, a range or a list of ranges.

use std::fmt;
use std::marker::PhantomData;

use schemars::{Schema, json_schema};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use transload_encaps::IdField;

use super::at::At;
use super::attachment::IdValue;
use super::directions::Directions;
use super::meant;
use super::offset::Offset;
use super::range::Range;
use super::reader::parse_number;
use super::source::Span;
use super::values::Text;

/// The numbers of an ID field, of which a single one is written as `V`.
#[derive(Debug, Clone)]
pub enum IdNumbers<V> {
    /// A single one.
    One(V),
    /// A range, or a list of ranges and numbers.
    Ranges(Vec<At<Range>>),
}

/// How a single number is written.
pub trait OneNumber<'de>: IdValue<'de> {
    /// Reads what is not written as a plain number. The error says, behind a line break, what to write instead.
    ///
    /// # Errors
    /// When it is no number.
    fn from_text(text: &str) -> Result<Self, String>;
}

impl OneNumber<'_> for u64 {
    fn from_text(text: &str) -> Result<Self, String> {
        if parse_number(text).is_some() {
            return Err(format!("`{text}` is a text\nremove the quotes"));
        }
        let help = match meant::number(text) {
            _ if is_list(text) => format!("write a list: [{text}]"),
            Some(number) => format!("write {number}"),
            None => "write a number, a range such as 7-9, or a list: [7-9, 20]".to_owned(),
        };
        Err(format!("`{text}` is not a whole number\n{help}"))
    }
}

impl OneNumber<'_> for Offset {
    fn from_text(text: &str) -> Result<Self, String> {
        Self::read(text)
    }
}

impl<V: From<u64>> From<u64> for IdNumbers<V> {
    fn from(number: u64) -> Self {
        Self::One(V::from(number))
    }
}

impl<'de, V: OneNumber<'de>> Deserialize<'de> for IdNumbers<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumbersVisitor<V>(PhantomData<V>);

        impl<'de, V: OneNumber<'de>> Visitor<'de> for NumbersVisitor<V> {
            type Value = IdNumbers<V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, a range such as 7-9, or a list of them")
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<IdNumbers<V>, E> {
                Ok(number.into())
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<IdNumbers<V>, E> {
                if looks_like_a_range(text) {
                    let range = Range::read(text).map_err(E::custom)?;
                    return Ok(IdNumbers::Ranges(vec![At::new(Span::default(), range)]));
                }
                V::from_text(text).map(IdNumbers::One).map_err(E::custom)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<IdNumbers<V>, A::Error> {
                let mut ranges = Vec::new();
                while let Some(range) = items.next_element()? {
                    ranges.push(range);
                }
                Ok(IdNumbers::Ranges(ranges))
            }
        }

        deserializer.deserialize_any(NumbersVisitor(PhantomData))
    }
}

/// Whether a text is numbers and ranges with commas between them.
fn is_list(text: &str) -> bool {
    text.contains(',') && text.split(',').all(|item| Range::read(item.trim()).is_ok())
}

/// Whether a text is two numbers with a hyphen between them, whatever their order.
fn looks_like_a_range(text: &str) -> bool {
    let is_number = |text: &str| text.trim().starts_with(|c: char| c.is_ascii_digit());
    text.split_once('-').is_some_and(|(first, last)| is_number(first) && is_number(last))
}

impl<'de, V: OneNumber<'de>> IdValue<'de> for IdNumbers<V> {
    const ATTACHMENT: &'static str = V::ATTACHMENT;

    fn schema(field: &IdField, max: u64) -> Schema {
        let one = V::schema(field, max);
        if !field.takes_ranges {
            return one;
        }
        let range =
            json_schema!({ "type": "string", "pattern": "^(0x[0-9a-fA-F]+|[0-9]+) *- *(0x[0-9a-fA-F]+|[0-9]+)$" });
        let number = json_schema!({ "type": "integer", "minimum": 0, "maximum": max });
        let list = json_schema!({ "type": "array", "items": { "anyOf": [number, range] }, "minItems": 1 });
        json_schema!({ "anyOf": [one, range, list] })
    }

    fn read_next<A: MapAccess<'de>>(field: &IdField, map: &mut A) -> Result<At<Directions<Self>>, A::Error> {
        if field.takes_ranges {
            // Ranges are of tags, which are the same in both directions.
            return map.next_value::<At<Self>>().map(|at| at.map(Directions::Same));
        }
        map.next_value::<At<Directions<V>>>().map(|at| at.map(|stated| stated.map(Self::One)))
    }
}
