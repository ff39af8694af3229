//! Values that are written as a text: how they are read, and the plain ones among them.

use std::fmt;

use serde::de::{Error, Visitor};

use transload_encaps::Mac;

/// A value that is written as a text and knows how to read itself.
///
/// The error says what is wrong and, behind a line break, what to write instead.
pub(super) trait Text: Sized {
    const EXPECTED: &'static str;
    fn read(text: &str) -> Result<Self, String>;
}

/// Reads a text, whatever it then means.
pub(super) struct TextVisitor<T>(pub(super) std::marker::PhantomData<T>);

impl<T: Text> Visitor<'_> for TextVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::EXPECTED)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        T::read(text).map_err(E::custom)
    }
}

/// Lets serde and schemars read types that are [`Text`]: their names, and patterns for the schema.
macro_rules! texts {
    ($($Type:ident, $pattern:literal;)*) => {$(
        impl<'de> serde::Deserialize<'de> for $Type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str($crate::config::values::TextVisitor(std::marker::PhantomData))
            }
        }

        impl schemars::JsonSchema for $Type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($Type).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "description": <Self as $crate::config::values::Text>::EXPECTED, "pattern": $pattern })
            }
        }
    )*};
}
pub(super) use texts;

texts! {
    MacAddress, "^([0-9a-fA-F]{1,2}([:-][0-9a-fA-F]{1,2}){5}|[0-9a-fA-F]{4}(\\.[0-9a-fA-F]{4}){2}|[0-9a-fA-F]{12})$";
    Seconds, "^[0-9]+ *(s|m|h)$";
}

/// A MAC address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MacAddress(pub Mac);

impl Text for MacAddress {
    const EXPECTED: &'static str = "a MAC address";

    fn read(text: &str) -> Result<Self, String> {
        text.parse().map(Self).map_err(|_| {
            format!("`{text}` is not a MAC address\nwrite six hexadecimal bytes, such as \"02:00:00:00:00:07\"")
        })
    }
}

/// A time, in whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seconds(pub u64);

impl Text for Seconds {
    const EXPECTED: &'static str = "a time such as 5m, 300s or 1h";

    fn read(text: &str) -> Result<Self, String> {
        let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let unit = match text.get(number.len()..) {
            Some("s") => Some(1),
            Some("m") => Some(60),
            Some("h") => Some(3600),
            _ => None,
        };
        match (number.trim().parse::<u64>(), unit) {
            (Ok(number), Some(unit)) => Ok(Self(number.saturating_mul(unit))),
            (Ok(number), None) if text == number.to_string() => {
                Err(format!("`{text}` has no unit\nwrite {number}s for seconds, {number}m for minutes"))
            }
            _ => Err(format!("`{text}` is not a time\nwrite a whole number with s, m or h, such as 5m")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mac_address_is_read_in_every_form_that_people_and_devices_write() {
        let wanted = Ok(MacAddress(Mac([0x02, 0x1a, 0xbc, 0xde, 0xf0, 0x07])));
        for text in [
            "02:1a:bc:de:f0:07",
            "2:1a:bc:de:f0:7",
            "02-1A-BC-DE-F0-07",
            "021a.bcde.f007",
            "021A.BCDE.F007",
            "021abcdef007",
        ] {
            assert_eq!(MacAddress::read(text), wanted, "{text}");
        }
        for text in [
            "",
            "02",
            "02:1a:bc:de:f0",
            "02:1a:bc:de:f0:07:08",
            "021a.bcde.f07",
            "021a.bcde",
            "21a.bcde.f007",
            "02.1a.bc.de.f0.07",
            "021abcdef00",
            "021abcdef0077",
            "02:1a:bc:de:f0:g7",
            "02:1a-bc:de:f0:07",
            "+2:1a:bc:de:f0:07",
            "02 1a bc de f0 07",
            "::::::",
        ] {
            assert!(MacAddress::read(text).is_err(), "{text}");
        }
    }
}
