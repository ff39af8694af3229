//! Prefixes that a group learns its members from.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};

use super::at::At;
use super::source::Span;
use super::values::{Text, texts};

texts! {
    Prefix, "^[0-9a-fA-F.:]+/[0-9]+$";
}

/// A prefix of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prefix {
    /// The first of them, of which no bit behind the length is set.
    pub first: IpAddr,
    /// The number of leading bits they have in common.
    pub len: u8,
}

impl Prefix {
    /// The last address.
    #[must_use]
    pub fn last(self) -> IpAddr {
        let len = u32::from(self.len);
        match self.first {
            IpAddr::V4(first) => Ipv4Addr::from_bits(first.to_bits() | u32::MAX.checked_shr(len).unwrap_or(0)).into(),
            IpAddr::V6(first) => Ipv6Addr::from_bits(first.to_bits() | u128::MAX.checked_shr(len).unwrap_or(0)).into(),
        }
    }

    /// The prefix of this length that an address is in.
    #[must_use]
    pub fn around(address: IpAddr, len: u8) -> Self {
        let bits = u32::from(len);
        let first = match address {
            IpAddr::V4(v4) => Ipv4Addr::from_bits(v4.to_bits() & !u32::MAX.checked_shr(bits).unwrap_or(0)).into(),
            IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::MAX.checked_shr(bits).unwrap_or(0)).into(),
        };
        Self { first, len }
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.len)
    }
}

impl Text for Prefix {
    const EXPECTED: &'static str = "a prefix such as 192.0.2.0/24";

    fn read(text: &str) -> Result<Self, String> {
        let Some((address, len)) = text.split_once('/') else {
            return Err(match text.parse::<IpAddr>() {
                Ok(_) => {
                    format!("`{text}` has no prefix length\nwrite 192.0.2.0/24, or name single peers in `members`")
                }
                Err(_) => format!("`{text}` is not a prefix\nwrite one such as 192.0.2.0/24 or 2001:db8::/64"),
            });
        };
        let Ok(address) = address.parse::<IpAddr>() else {
            return Err(format!(
                "`{address}` is not an IP address\nwrite a prefix such as 192.0.2.0/24 or 2001:db8::/64"
            ));
        };
        let most = if address.is_ipv4() { 32 } else { 128 };
        let Some(len) = len.parse().ok().filter(|len| *len <= most) else {
            return Err(format!("`/{len}` is not a prefix length\nwrite a number from 0 to {most}"));
        };
        let prefix = Self::around(address, len);
        if prefix.first == address {
            Ok(prefix)
        } else {
            Err(format!("`{text}` has bits set behind the prefix length\nwrite {prefix}"))
        }
    }
}

/// One prefix or a list of them.
#[derive(Debug, Clone)]
pub struct LearnFrom(Vec<At<Prefix>>);

impl LearnFrom {
    /// Those that can be read, each with its place; `whole` is that of all.
    pub fn iter(&self, whole: Span) -> impl Iterator<Item = (Prefix, Span)> {
        let place = move |span: Span| if span == Span::default() { whole } else { span };
        self.0.iter().filter_map(move |at| Some((at.value()?, place(at.span))))
    }

    /// Whether none is given.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'de> Deserialize<'de> for LearnFrom {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Prefixes;

        impl<'de> Visitor<'de> for Prefixes {
            type Value = LearnFrom;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a prefix such as 192.0.2.0/24, or a list of prefixes")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<LearnFrom, E> {
                let prefix = Prefix::read(text).map_err(E::custom)?;
                Ok(LearnFrom(vec![At::new(Span::default(), prefix)]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<LearnFrom, A::Error> {
                let mut prefixes = Vec::new();
                while let Some(prefix) = items.next_element()? {
                    prefixes.push(prefix);
                }
                Ok(LearnFrom(prefixes))
            }
        }

        deserializer.deserialize_any(Prefixes)
    }
}

impl JsonSchema for LearnFrom {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "LearnFrom".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = Prefix::json_schema(generator);
        json_schema!({ "anyOf": [one, { "type": "array", "items": one }] })
    }
}
