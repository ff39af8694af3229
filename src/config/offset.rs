//! The numbers of a pattern: `20000+n`, which is 20001 for the tenant with n = 1.
//!
//! One constant and the variable of the pattern's `for`, in any order, joined by `+` or `-`; or one of the two alone.
//! The variable only ever counts up, so `5-n` is refused.

use schemars::{Schema, json_schema};
use transload_encaps::IdField;

use super::attachment::IdValue;
use super::meant;
use super::reader::parse_number;
use super::values::Text;

/// A number that may go up with the variable of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offset {
    /// The variable, as it is spelled here; without one, the number is the same for every tenant.
    pub variable: Option<String>,
    /// What is added to it.
    pub constant: i128,
}

impl Offset {
    /// The value for the tenant with this number; `None` when it falls below 0 or out of 64 bits.
    #[must_use]
    pub fn at(&self, n: u64) -> Option<u64> {
        let n = if self.variable.is_some() { i128::from(n) } else { 0 };
        u64::try_from(n + self.constant).ok()
    }
}

impl From<u64> for Offset {
    fn from(number: u64) -> Self {
        Self { variable: None, constant: number.into() }
    }
}

impl Text for Offset {
    const EXPECTED: &'static str = "a whole number or an offset such as \"20000+n\"";

    fn read(text: &str) -> Result<Self, String> {
        let wrong = || {
            let help = match meant::number(text) {
                Some(number) => format!("write {number}"),
                None => "write a number, the variable, or both with + or -, such as \"20000+n\"".to_owned(),
            };
            format!("`{text}` is not an offset\n{help}")
        };
        let mut sum = Self { variable: None, constant: 0 };
        let (mut rest, mut is_minus) = (text.trim(), false);
        loop {
            let end = rest.find(['+', '-']).unwrap_or(rest.len());
            let (term, operator) = rest.split_at(end);
            let term = term.trim();
            match parse_number(term) {
                Some(number) if is_minus => sum.constant -= i128::from(number),
                Some(number) => sum.constant += i128::from(number),
                None if !is_variable(term) => return Err(wrong()),
                None if is_minus => {
                    return Err(format!("`{text}` goes down with {term}\nan offset goes up: write \"20000+{term}\""));
                }
                None if sum.variable.is_some() => {
                    return Err(format!("`{text}` has a variable twice\nwrite it once, such as \"20000+{term}\""));
                }
                None => sum.variable = Some(term.to_owned()),
            }
            match operator.chars().next() {
                None => return Ok(sum),
                Some(sign) => (rest, is_minus) = (operator.get(1..).unwrap_or_default(), sign == '-'),
            }
        }
    }
}

/// Whether this can be the name of a pattern's variable: letters, digits and `_`, beginning with a letter.
#[must_use]
pub fn is_variable(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

impl<'de> serde::Deserialize<'de> for Offset {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(super::values::TextVisitor(std::marker::PhantomData))
    }
}

impl IdValue<'_> for Offset {
    const ATTACHMENT: &'static str = "PatternAttachment";

    fn schema(field: &IdField, max: u64) -> Schema {
        json_schema!({ "anyOf": [u64::schema(field, max), { "type": "string", "pattern": "^[ +-]*[0-9a-zA-Z_ +-]+$" }] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str, n: u64) -> Option<u64> {
        Offset::read(text).expect("it is an offset").at(n)
    }

    #[test]
    fn a_constant_and_the_variable_make_an_offset_in_either_order() {
        assert_eq!(at("20000+n", 7), Some(20007));
        assert_eq!(at(" n + 0x10 ", 7), Some(23));
        assert_eq!(at("n-5", 7), Some(2));
        assert_eq!(at("n", 7), Some(7));
        assert_eq!(at("300", 7), Some(300));
    }

    #[test]
    fn what_falls_below_zero_has_no_value() {
        assert_eq!(at("n-5", 4), None);
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "n+", "5-n", "n+n", "n*2", "2n", "-n", "20000 n", "a b"] {
            assert!(Offset::read(text).is_err(), "{text}");
        }
    }
}
