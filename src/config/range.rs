//! Ranges of whole numbers: `1-500`, `0x100000-0x1fffff`, or a single number.

use super::meant;
use super::reader::parse_number;
use super::values::{Text, texts};

texts! {
    Range, "^(0x[0-9a-fA-F]+|[0-9]+)( *- *(0x[0-9a-fA-F]+|[0-9]+))?$";
}

/// All whole numbers from a first to a last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// The first number.
    pub first: u64,
    /// The last number, not lower.
    pub last: u64,
}

impl Range {
    /// Number of numbers in it.
    #[must_use]
    pub const fn count(self) -> u64 {
        (self.last - self.first).saturating_add(1)
    }
}

impl Text for Range {
    const EXPECTED: &'static str = "a range of whole numbers such as 1-500";

    fn read(text: &str) -> Result<Self, String> {
        let number = |text: &str| {
            let text = text.trim();
            parse_number(text).ok_or_else(|| {
                let help = match meant::number(text) {
                    Some(number) => format!("write {number}"),
                    None => "write a range such as 1-500 or 0x1000-0x1fff, or one number".to_owned(),
                };
                format!("`{text}` is not a whole number\n{help}")
            })
        };
        let (first, last) = match text.split_once('-') {
            Some((first, last)) => (number(first)?, number(last)?),
            None => (number(text)?, number(text)?),
        };
        if last < first {
            return Err(format!("`{text}` ends before it begins\nwrite the lower number first: {last}-{first}"));
        }
        Ok(Self { first, last })
    }
}
