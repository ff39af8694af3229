//! The kinds of values a gateway's file is made of: addresses, ranges, times, numbers with limits.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, Visitor};

use transload_encaps::Mac;

/// A value that is written as a text and knows how to read itself.
///
/// The error says what is wrong and, behind a line break, what to write instead.
trait Text: Sized {
    const EXPECTED: &'static str;
    fn read(text: &str) -> Result<Self, String>;
}

struct TextVisitor<T>(std::marker::PhantomData<T>);

impl<T: Text> Visitor<'_> for TextVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::EXPECTED)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        T::read(text).map_err(E::custom)
    }
}

macro_rules! texts {
    ($($Type:ident, $expected:literal, $pattern:literal;)*) => {$(
        impl<'de> Deserialize<'de> for $Type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(TextVisitor(std::marker::PhantomData))
            }
        }

        impl JsonSchema for $Type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($Type).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "description": $expected, "pattern": $pattern })
            }
        }
    )*};
}

texts! {
    Address, "an IP address", "^[0-9a-fA-F.:]+$";
    Addresses, "an IP address or a range of them", "^[0-9a-fA-F.:]+( *- *[0-9a-fA-F.:]+)?$";
    MacAddress, "a MAC address", "^[0-9a-fA-F]{1,2}([:-][0-9a-fA-F]{1,2}){5}$";
    Seconds, "a time such as 5m, 300s or 1h", "^[0-9]+ *(s|m|h)$";
}

/// An IPv4 or IPv6 address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Address(pub IpAddr);

impl Text for Address {
    const EXPECTED: &'static str = "an IP address";

    fn read(text: &str) -> Result<Self, String> {
        ip(text).map(Self)
    }
}

fn ip(text: &str) -> Result<IpAddr, String> {
    IpAddr::from_str(text).map_err(|_| {
        let help = match text.split_once(['/', '%']) {
            Some((address, _)) if text.contains('/') && IpAddr::from_str(address).is_ok() => {
                format!("write the address without a prefix length: {address}")
            }
            Some((address, _)) if IpAddr::from_str(address).is_ok() => {
                format!("write the address without a zone: {address}")
            }
            _ if text.parse::<std::net::SocketAddr>().is_ok() => "write the address without a port".to_owned(),
            _ => "write an address such as 192.0.2.1 or 2001:db8::1".to_owned(),
        };
        format!("`{text}` is not an IP address\n{help}")
    })
}

/// One address, or all from a first to a last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addresses {
    /// The first.
    pub first: IpAddr,
    /// The last, of the same family and not lower.
    pub last: IpAddr,
}

impl Addresses {
    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u128 {
        (bits(self.last) - bits(self.first)).saturating_add(1)
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = IpAddr> + use<> {
        let v4 = self.first.is_ipv4();
        (bits(self.first)..=bits(self.last)).map(move |bits| {
            let v6 = Ipv6Addr::from_bits(bits);
            if v4 { IpAddr::V4(std::net::Ipv4Addr::from_bits(bits as u32)) } else { IpAddr::V6(v6) }
        })
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    }
}

impl Text for Addresses {
    const EXPECTED: &'static str = "an IP address or a range of them";

    fn read(text: &str) -> Result<Self, String> {
        if let Some(hosts) = hosts_of_prefix(text) {
            return Err(format!("`{text}` is a prefix\nwrite the peers as a range, first to last: {hosts}"));
        }
        let (first, last) = match text.split_once('-') {
            None => (ip(text)?, ip(text)?),
            Some((first, last)) => {
                let first = ip(first.trim())?;
                let last = last.trim();
                let last = IpAddr::from_str(last).map_err(|_| {
                    format!(
                        "`{last}` is not an IP address\nwrite the last address in full: {first}-{}",
                        full(first, last)
                    )
                })?;
                (first, last)
            }
        };
        if first.is_ipv4() != last.is_ipv4() {
            return Err(format!("`{text}` begins in one address family and ends in the other"));
        }
        if last < first {
            return Err(format!("`{text}` ends before it begins\nwrite the lower address first: {last}-{first}"));
        }
        Ok(Self { first, last })
    }
}

/// The addresses of `192.0.2.128/28` that can be hosts, as a range.
fn hosts_of_prefix(text: &str) -> Option<String> {
    let (address, len) = text.split_once('/')?;
    let (address, len): (IpAddr, u32) = (address.parse().ok()?, len.parse().ok()?);
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32_u32.checked_sub(len)?).unwrap_or(0);
            let (first, last) = (address.to_bits() & mask, address.to_bits() | !mask);
            // RFC 3021: a prefix of 31 bits has neither a network nor a broadcast address.
            let edge = u32::from(len < 31);
            Some(format!(
                "{}-{}",
                std::net::Ipv4Addr::from_bits(first + edge),
                std::net::Ipv4Addr::from_bits(last - edge)
            ))
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128_u32.checked_sub(len)?).unwrap_or(0);
            let (first, last) = (address.to_bits() & mask, address.to_bits() | !mask);
            Some(format!("{}-{}", Ipv6Addr::from_bits(first), Ipv6Addr::from_bits(last)))
        }
    }
}

/// `192.0.2.11-50` was probably meant to end with 192.0.2.50.
fn full(first: IpAddr, last: &str) -> String {
    let first = first.to_string();
    let separator = if first.contains(':') { ':' } else { '.' };
    match (first.rsplit_once(separator), last.bytes().all(|byte| byte.is_ascii_hexdigit())) {
        (Some((prefix, _)), true) if !last.is_empty() => format!("{prefix}{separator}{last}"),
        _ => first,
    }
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

/// Frames per second, or no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rate {
    /// At most so many frames per second, never 0.
    PerSecond(u64),
    /// As many as come.
    Unlimited,
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct RateVisitor;

        impl Visitor<'_> for RateVisitor {
            type Value = Rate;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("frames per second, or `unlimited`")
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Rate, E> {
                match number {
                    0 => Err(E::custom("0 would stop even ARP\nwrite 1 or more, or `unlimited`")),
                    1..=1_000_000_000 => Ok(Rate::PerSecond(number)),
                    _ => Err(E::custom(format!(
                        "{number} frames per second is more than any port carries\nwrite `unlimited`"
                    ))),
                }
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Rate, E> {
                match text {
                    "unlimited" => Ok(Rate::Unlimited),
                    _ => Err(E::custom(format!(
                        "`{text}` is not a rate\nwrite frames per second, such as 1000, or `unlimited`"
                    ))),
                }
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
            { "type": "integer", "minimum": 1, "maximum": 1_000_000_000 },
            { "const": "unlimited" },
        ]})
    }
}
