//! IP addresses and ranges of them, and what people write instead.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use super::values::{Text, texts};

texts! {
    Address, "^[0-9a-fA-F.:]+$";
    Addresses, "^[0-9a-fA-F.:]+( *- *[0-9a-fA-F.:]+)?$";
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
            _ if text.parse::<SocketAddr>().is_ok() => "write the address without a port".to_owned(),
            _ => "write an address such as 192.0.2.1 or 2001:db8::1".to_owned(),
        };
        format!("`{text}` is not an IP address\n{help}")
    })
}

/// One address, or all from a first to a last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addresses {
    /// The first address.
    pub first: IpAddr,
    /// The last address, of the same family and not lower.
    pub last: IpAddr,
}

impl Addresses {
    /// Number of addresses.
    #[must_use]
    pub fn count(&self) -> u128 {
        (bits(self.last) - bits(self.first)).saturating_add(1)
    }

    /// All addresses, in order.
    pub fn iter(&self) -> impl Iterator<Item = IpAddr> + use<> {
        let v4 = self.first.is_ipv4();
        (bits(self.first)..=bits(self.last)).map(move |bits| {
            let v6 = Ipv6Addr::from_bits(bits);
            if v4 { IpAddr::V4(Ipv4Addr::from_bits(bits as u32)) } else { IpAddr::V6(v6) }
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
            Some(format!("{}-{}", Ipv4Addr::from_bits(first + edge), Ipv4Addr::from_bits(last - edge)))
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
