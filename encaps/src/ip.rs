//! IP as every reader of a frame needs it: protocol numbers, lengths of headers, and the rule for extension headers.

/// An IPv4 header without options.
pub const IPV4_LEN: usize = 20;
/// An IPv6 header.
pub const IPV6_LEN: usize = 40;
/// A UDP header.
pub const UDP_LEN: usize = 8;
/// A TCP header without options.
pub const TCP_LEN: usize = 20;
/// Where in a TCP header its checksum is (RFC 9293 §3.1).
pub const TCP_CHECKSUM: usize = 16;

/// ICMP's protocol number.
pub const ICMP: u8 = 1;
/// TCP's.
pub const TCP: u8 = 6;
/// UDP's.
pub const UDP: u8 = 17;
/// The one of `ICMPv6`.
pub const ICMPV6: u8 = 58;
/// SCTP's.
pub const SCTP: u8 = 132;

/// IPv6 hop-by-hop options.
pub const HOP_BY_HOP: u8 = 0;
/// An IPv6 routing header.
pub const ROUTING: u8 = 43;
/// An IPv6 fragment header.
pub const FRAGMENT: u8 = 44;
/// An authentication header (RFC 4302).
pub const AUTHENTICATION: u8 = 51;
/// IPv6 destination options.
pub const DESTINATION: u8 = 60;
/// A mobility header (RFC 6275).
const MOBILITY: u8 = 135;
/// Host identity (RFC 7401).
const HOST_IDENTITY: u8 = 139;
/// Shim6 (RFC 5533).
const SHIM6: u8 = 140;

/// IPv4's "do not fragment", in the 16 bits that the fragment offset is in (RFC 791 §3.1).
pub const DF: u16 = 0x4000;
/// IPv4's "more fragments", there too.
pub const MORE_FRAGMENTS: u16 = 0x2000;
/// IPv4's fragment offset, in units of 8 bytes.
pub const FRAGMENT_OFFSET: u16 = 0x1fff;

/// Whether a header of this type stands between IPv6 and what the packet carries: those of IANA's list, but for ESP,
/// behind which nobody can read, and the two for experiments.
#[must_use]
#[inline]
pub const fn is_extension(protocol: u8) -> bool {
    matches!(
        protocol,
        HOP_BY_HOP | ROUTING | FRAGMENT | AUTHENTICATION | DESTINATION | MOBILITY | HOST_IDENTITY | SHIM6
    )
}

/// The length of an extension header of this type in bytes, by the length field in its second byte.
#[must_use]
#[inline]
pub const fn extension_len(extension: u8, units: u8) -> usize {
    match extension {
        // RFC 8200 §4.5: the second byte is reserved.
        FRAGMENT => 8,
        // RFC 4302 §2.2: in units of 4 bytes, minus 2.
        AUTHENTICATION => 4 * (units as usize + 2),
        // RFC 8200 §4.3, RFC 6564 §4: in units of 8 bytes, not counting the first.
        _ => 8 * (units as usize + 1),
    }
}
