//! Ethernet addresses, types and VLAN tags, as every layer of the gateway reads them.
//!
//! ```text
//!  0                   6                  12      14
//! | destination MAC   | source MAC        | type  | payload ...
//! | destination MAC   | source MAC        | TPID  | PCP DEI VID | type | payload ...
//! ```

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// Two MAC addresses and a type.
pub const HEADER_LEN: usize = 14;
/// The two MAC addresses, which tags come after.
pub const ADDRESSES_LEN: usize = 12;
/// One VLAN tag: TPID and tag control information.
pub const TAG_LEN: usize = 4;

/// IPv4.
pub const IPV4: u16 = 0x0800;
/// IPv6.
pub const IPV6: u16 = 0x86dd;
/// ARP.
pub const ARP: u16 = 0x0806;
/// IEEE 802.1Q customer tag.
pub const C_TAG: u16 = 0x8100;
/// IEEE 802.1ad service tag.
pub const S_TAG: u16 = 0x88a8;
/// LLDP (IEEE 802.1AB).
pub const LLDP: u16 = 0x88cc;
/// MPLS (RFC 3032 §5), its labels assigned downstream.
pub const MPLS: u16 = 0x8847;
/// MPLS, its topmost label assigned upstream (RFC 5332 §3).
pub const MPLS_UPSTREAM: u16 = 0x8848;
/// The session stage of `PPPoE` (RFC 2516 §6).
pub const PPPOE_SESSION: u16 = 0x8864;
/// Transparent Ethernet bridging: an Ethernet frame inside GRE (RFC 1701, RFC 7637).
pub const BRIDGING: u16 = 0x6558;

/// The types that every reader of a frame takes for a VLAN tag: 802.1Q, 802.1ad and their forerunners.
#[must_use]
#[inline]
pub const fn is_tag(ether_type: u16) -> bool {
    // None of them is as common as this.
    ether_type != IPV4 && matches!(ether_type, C_TAG | S_TAG | 0x9100 | 0x9200 | 0x9300)
}

/// A MAC address, in the order of the wire.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// ff:ff:ff:ff:ff:ff
    pub const BROADCAST: Self = Self([0xff; 6]);

    /// A group address: broadcast or multicast.
    #[must_use]
    pub const fn is_group(self) -> bool {
        self.0[0] & 1 != 0
    }

    /// Whether the address of these bits is a group's.
    #[must_use]
    #[inline]
    pub const fn is_group_bits(bits: u64) -> bool {
        bits >> 40 & 1 != 0
    }

    /// The address that a multicast group of IP has on Ethernet: the low 23 bits of an IPv4 address behind 01:00:5e
    /// (RFC 1112 §6.4), the low 32 of an IPv6 address behind 33:33 (RFC 2464 §7).
    #[must_use]
    pub const fn of_group(group: IpAddr) -> Self {
        match group {
            IpAddr::V4(group) => {
                let [_, b, c, d] = group.octets();
                Self([0x01, 0x00, 0x5e, b & 0x7f, c, d])
            }
            IpAddr::V6(group) => {
                let [.., a, b, c, d] = group.octets();
                Self([0x33, 0x33, a, b, c, d])
            }
        }
    }

    /// The 48 bits as a number, first byte highest.
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        let mut bytes = [0; 8];
        bytes.split_at_mut(2).1.copy_from_slice(&self.0);
        u64::from_be_bytes(bytes)
    }

    /// The address of these low 48 bits.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        let mut mac = [0; 6];
        mac.copy_from_slice(bits.to_be_bytes().split_at(2).1);
        Self(mac)
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, rest @ ..] = self.0;
        write!(f, "{first:02x}")?;
        rest.iter().try_for_each(|byte| write!(f, ":{byte:02x}"))
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A frame's destination and source address, each as a number ([`Mac::to_bits`]).
#[must_use]
#[inline]
pub fn addresses(frame: &[u8]) -> Option<(u64, u64)> {
    let head: &[u8; ADDRESSES_LEN] = frame.first_chunk()?;
    // Two loads that overlap, since there are none of six bytes.
    let (first, last) = (u64::from_be_bytes(*head.first_chunk()?), u64::from_be_bytes(*head.last_chunk()?));
    Some((first >> 16, last & 0xffff_ffff_ffff))
}

/// The text is not six hexadecimal bytes with colons or dashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAMac;

impl fmt::Display for NotAMac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a MAC address is six hexadecimal bytes, such as \"02:00:00:00:00:07\"")
    }
}

impl std::error::Error for NotAMac {}

impl FromStr for Mac {
    type Err = NotAMac;

    /// Reads `02:00:00:00:00:07`, with colons or hyphens, Cisco's `0200.0000.0007`, and twelve digits without anything
    /// between them.
    fn from_str(text: &str) -> Result<Self, NotAMac> {
        let separator = text.find(|c: char| !c.is_ascii_hexdigit()).and_then(|at| text[at..].chars().next());
        let (parts, bytes_each, fewest) = match separator {
            Some(':' | '-') => (6, 1, 1),
            Some('.') => (3, 2, 4),
            None => (1, 6, 12),
            Some(_) => return Err(NotAMac),
        };
        let mut found = text.split(separator.unwrap_or(':'));
        let mut bits = 0;
        for _ in 0..parts {
            let part = found.next().filter(|part| (fewest..=2 * bytes_each).contains(&part.len())).ok_or(NotAMac)?;
            if !part.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return Err(NotAMac);
            }
            bits = bits << (8 * bytes_each) | u64::from_str_radix(part, 16).map_err(|_| NotAMac)?;
        }
        if found.next().is_some() { Err(NotAMac) } else { Ok(Self::from_bits(bits)) }
    }
}

/// A big-endian 16-bit field, if the bytes reach that far.
#[must_use]
#[inline]
pub fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// The first type that is no VLAN tag, and where what it describes begins.
///
/// `None` when the frame ends inside a header. At most eight tags are walked; no network stacks more.
#[must_use]
#[inline]
pub fn payload(frame: &[u8]) -> Option<(u16, usize)> {
    let ether_type = be16(frame, ADDRESSES_LEN)?;
    if is_tag(ether_type) { behind_tags(frame) } else { Some((ether_type, HEADER_LEN)) }
}

#[cold]
fn behind_tags(frame: &[u8]) -> Option<(u16, usize)> {
    let mut types = (ADDRESSES_LEN..).step_by(TAG_LEN).take(9).map_while(|at| Some((be16(frame, at)?, at + 2)));
    types.find(|&(ether_type, _)| !is_tag(ether_type))
}
