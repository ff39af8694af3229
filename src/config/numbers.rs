//! Whole numbers with limits, rates, and limits of TCP segments.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, Visitor};

/// A whole number from `MIN` to `MAX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Whole<const MIN: u64, const MAX: u64>(pub u64);

impl<'de, const MIN: u64, const MAX: u64> Deserialize<'de> for Whole<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = u64::deserialize(deserializer)?;
        if (MIN..=MAX).contains(&number) {
            Ok(Self(number))
        } else {
            Err(D::Error::custom(format!("{number} is out of range\nwrite a number from {MIN} to {MAX}")))
        }
    }
}

impl<const MIN: u64, const MAX: u64> JsonSchema for Whole<MIN, MAX> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("From{MIN}To{MAX}").into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": MIN, "maximum": MAX })
    }
}

/// A VLAN ID that a tag may carry (IEEE 802.1Q).
pub type Vid = Whole<1, 4094>;
/// A TTL or hop limit.
pub type Ttl = Whole<1, 255>;
/// A DSCP (RFC 2474).
pub type DscpValue = Whole<0, 63>;

/// A number per second, or no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rate {
    /// Most per second, never 0.
    PerSecond(u64),
    /// No limit.
    Unlimited,
}

impl Rate {
    const MOST: u64 = 1_000_000_000;

    /// So many per second; or what is wrong and what to write instead.
    pub(super) fn of(number: u64) -> Result<Self, String> {
        match number {
            0 => Err("0 would stop even ARP\nwrite 1 or more, or `unlimited`".to_owned()),
            1..=Self::MOST => Ok(Self::PerSecond(number)),
            _ => Err(format!("{number} frames per second is more than any port carries\nwrite `unlimited`")),
        }
    }

    /// From a text, `1000/s` or `unlimited`; or what is wrong and what to write instead.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        if text == "unlimited" {
            return Ok(Self::Unlimited);
        }
        match text.strip_suffix("/s").map(|number| number.trim_end().parse()) {
            Some(Ok(number)) => Self::of(number),
            _ => {
                Err(format!("`{text}` is not a rate\nwrite copies per second, such as 1000 or 1000/s, or `unlimited`"))
            }
        }
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct RateVisitor;

        impl Visitor<'_> for RateVisitor {
            type Value = Rate;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("copies per second, or `unlimited`")
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Rate, E> {
                Rate::of(number).map_err(E::custom)
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Rate, E> {
                Rate::read(text).map_err(E::custom)
            }
        }

        deserializer.deserialize_any(RateVisitor)
    }
}

impl JsonSchema for Rate {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Rate".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [
            { "type": "integer", "minimum": 1, "maximum": Self::MOST },
            { "type": "string", "pattern": "^[0-9]+ */s$" },
            { "const": "unlimited" },
        ]})
    }
}

/// Limit of the length of TCP segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MssClamp {
    /// No limit but the hosts' own.
    Off,
    /// What the paths in both directions carry.
    Path,
    /// Most bytes of payload.
    Bytes(u16),
}

/// What is left of IPv4's least MTU (RFC 791 §3.2) behind 20 bytes each of IP and TCP.
const LEAST_MSS: u64 = 28;

impl<'de> Deserialize<'de> for MssClamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MssVisitor;

        impl Visitor<'_> for MssVisitor {
            type Value = MssClamp;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`true`, or the bytes of a segment")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<MssClamp, E> {
                match text {
                    "true" => Ok(MssClamp::Path),
                    "false" => Ok(MssClamp::Off),
                    _ => Err(E::custom(format!(
                        "`{text}` is not a segment length\nwrite `true`, or a number of bytes, such as 1360"
                    ))),
                }
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<MssClamp, E> {
                match u16::try_from(number) {
                    Ok(bytes) if number >= LEAST_MSS => Ok(MssClamp::Bytes(bytes)),
                    _ => Err(E::custom(format!(
                        "a TCP segment cannot be limited to {number} bytes\nwrite {LEAST_MSS} to {}, such as 1360, or `true`",
                        u16::MAX
                    ))),
                }
            }
        }

        deserializer.deserialize_any(MssVisitor)
    }
}

impl JsonSchema for MssClamp {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "MssClamp".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [
            { "type": "boolean" },
            { "type": "integer", "minimum": LEAST_MSS, "maximum": u16::MAX },
        ]})
    }
}
