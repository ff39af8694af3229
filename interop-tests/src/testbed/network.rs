//! An IP address with the network that it is in.

use std::fmt;
use std::net::IpAddr;

/// An address and the length of its network's prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    /// The address.
    pub address: IpAddr,
    /// Bits of the prefix.
    pub prefix: u8,
}

impl Network {
    /// Reads `192.0.2.1/24`.
    ///
    /// # Errors
    /// What is wrong with it and what to write.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (address, prefix) = text.split_once('/').unwrap_or((text, ""));
        let address: IpAddr = address.parse().map_err(|_| format!("`{address}` is no IP address"))?;
        let (usual, most) = if address.is_ipv4() { (24, 32) } else { (64, 128) };
        let missing = || format!("it has no prefix length; write `{address}/{usual}`, or as long as it is");
        match prefix.parse() {
            Ok(prefix) if prefix <= most => Ok(Self { address, prefix }),
            Err(_) if prefix.is_empty() => Err(missing()),
            _ => Err(format!("a prefix length is at most {most} here, not `{prefix}`")),
        }
    }

    /// The network of one of the bench's own addresses; none of what is no address.
    #[must_use]
    pub fn of_bench(address: &str) -> Option<Self> {
        let address: IpAddr = address.parse().ok()?;
        Some(Self { address, prefix: if address.is_ipv4() { 24 } else { 64 } })
    }

    /// Whether an address is in it.
    #[must_use]
    pub fn holds(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.address.is_ipv4() && bits(address, self.prefix) == bits(self.address, self.prefix)
    }

    /// Whether a machine in it can have this address.
    #[must_use]
    pub fn can_have(&self, address: IpAddr) -> bool {
        let host = 32_u8.saturating_sub(self.prefix);
        let is_whole = |address: std::net::Ipv4Addr| {
            let own = address.to_bits() & ((1_u64 << host) - 1) as u32;
            // RFC 3021: a link between two needs no address for the network and for all.
            host > 1 && (own == 0 || u64::from(own) == (1 << host) - 1)
        };
        let is_for_one = !address.is_multicast() && !address.is_unspecified() && !address.is_loopback();
        is_for_one && !matches!(address, IpAddr::V4(address) if is_whole(address))
    }

    /// Whether they have an address in common.
    #[must_use]
    pub fn meets(&self, other: &Self) -> bool {
        let wider = Self { prefix: self.prefix.min(other.prefix), ..*self };
        wider.holds(other.address)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// The first bits of an address.
fn bits(address: IpAddr, prefix: u8) -> u128 {
    let (value, len) = match address {
        IpAddr::V4(address) => (u128::from(address.to_bits()), 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    };
    value.checked_shr(len - u32::from(prefix)).unwrap_or(0)
}
