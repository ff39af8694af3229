//! Too big: tells a tenant's host that its packet is longer than the way out can carry with its headers.
//!
//! ```text
//! | dst: the host | src: the gateway's own MAC | the frame's tags | type |
//! | IP: from where the packet was going, to the host | ICMP: type, code, checksum, MTU | as much of the packet as fits |
//! ```
//!
//! We never fragment: not the outer packet, which the tunnels' standards forbid (RFC 7348 §4.3, RFC 7637 §3.2), nor
//! the tenant's, which is not ours.

use transload_encaps::ethernet::{self, ADDRESSES_LEN};
use transload_encaps::{Common, DropReason, Frame, Mac, checksum};

const IPV4_LEN: usize = 20;
const IPV6_LEN: usize = 40;
const ICMP_LEN: usize = 8;
/// RFC 1812 §4.3.2.3: the answer carries as much of the packet as fits into 576 bytes.
const MOST_IPV4: usize = 576;
/// RFC 4443 §3.2: as much as fits into the minimum IPv6 MTU.
const MOST_IPV6: usize = 1280;
/// RFC 791: do not fragment.
const DF: u16 = 0x4000;
const FRAGMENT_OFFSET: u16 = 0x1fff;
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;
const TTL: u8 = 64;
/// RFC 1812 §4.3.2.5: ICMP errors have precedence 6.
const INTERNETWORK_CONTROL: u8 = 0xc0;
/// The ICMP types that are no errors: echo, router discovery, timestamp, information, mask, extended echo.
const ICMP_QUERIES: [u8; 12] = [0, 8, 9, 10, 13, 14, 15, 16, 17, 18, 42, 43];
/// RFC 4443 §2.1: the types of `ICMPv6` from here on are no errors.
const FIRST_ICMPV6_INFORMATION: u8 = 128;
/// RFC 4443 §2.4 (e.2): neither is this one answered.
const ICMPV6_REDIRECT: u8 = 137;
/// Hop-by-hop, routing and destination options (RFC 8200 §4.1).
const EXTENSIONS: [u8; 3] = [0, 43, 60];
const FRAGMENT: u8 = 44;
const MOST_EXTENSIONS: usize = 8;

/// What a frame that is too big is dropped for.
pub(super) fn reason(frame: &[u8]) -> DropReason {
    let Some((ether_type, at)) = ethernet::payload(frame) else { return Common::TooBigNotIp.into() };
    let flags = ethernet::be16(frame, at + 6).unwrap_or(DF);
    match ether_type {
        ethernet::IPV4 if flags & DF == 0 => Common::TooBigNoDf.into(),
        ethernet::IPV4 | ethernet::IPV6 => Common::TooBig.into(),
        _ => Common::TooBigNotIp.into(),
    }
}

/// A packet that is too big, and whose sender may be told.
#[derive(Debug, Clone, Copy)]
pub(super) struct TooBigPacket<'a> {
    frame: &'a [u8],
    /// The IP packet in it, without what follows.
    packet: &'a [u8],
    ip_at: usize,
    ends: Ends<'a>,
    mtu: usize,
}

/// Where a packet was from and where it was going.
#[derive(Debug, Clone, Copy)]
enum Ends<'a> {
    V4 { src: &'a [u8; 4], dst: &'a [u8; 4] },
    V6 { src: &'a [u8; 16], dst: &'a [u8; 16] },
}

impl<'a> TooBigPacket<'a> {
    /// A frame that should have been `most` bytes long at most, if its sender may be told.
    pub(super) fn of(frame: &'a [u8], most: usize) -> Option<Self> {
        // RFC 1122 §3.2.2, RFC 4443 §2.4 (e.4): nothing that was sent to several is answered.
        if Mac(*frame.first_chunk()?).is_group() {
            return None;
        }
        let (ether_type, ip_at) = ethernet::payload(frame)?;
        // Ethernet and the tags that the way out keeps are not the tenant's packet.
        let mtu = most.checked_sub(ip_at)?;
        let rest = frame.get(ip_at..)?;
        let (packet, ends) = match ether_type {
            ethernet::IPV4 => ipv4(rest)?,
            ethernet::IPV6 => ipv6(rest)?,
            _ => return None,
        };
        // What is too long may be the padding behind a packet that is not.
        (packet.len() > mtu).then_some(Self { frame, packet, ip_at, ends, mtu })
    }

    /// Most bytes that the packet might have had.
    pub(super) const fn mtu(&self) -> usize {
        self.mtu
    }

    /// Writes the answer into an empty frame; `None` if it does not fit.
    pub(super) fn answer(&self, gateway: Mac, answer: &mut Frame<'_>) -> Option<()> {
        let tags = self.frame.get(ADDRESSES_LEN..self.ip_at)?;
        let host = self.frame.get(6..ADDRESSES_LEN)?;
        match self.ends {
            Ends::V4 { src, dst } => {
                let quote = self.quote(MOST_IPV4 - IPV4_LEN - ICMP_LEN)?;
                let ip = ipv4_header((IPV4_LEN + ICMP_LEN + quote.len()) as u16, *dst, *src);
                // RFC 1191 §4: the MTU of the next hop is in the lower half of what RFC 792 left unused.
                let [m1, m2] = (self.mtu.min(u16::MAX.into()) as u16).to_be_bytes();
                let icmp = sealed([3, 4, 0, 0, 0, 0, m1, m2], 0, quote);
                lay(answer, &[host, &gateway.0, tags, &ip, &icmp, quote])
            }
            Ends::V6 { src, dst } => {
                let quote = self.quote(MOST_IPV6 - IPV6_LEN - ICMP_LEN)?;
                let len = ICMP_LEN + quote.len();
                let [l1, l2] = (len as u16).to_be_bytes();
                let ip = [0x60, 0, 0, 0, l1, l2, ICMPV6, TTL];
                // RFC 4443 §3.2: type 2, code 0, and the MTU in 32 bits.
                let [m1, m2, m3, m4] = (self.mtu as u32).to_be_bytes();
                // RFC 4443 §2.3: the checksum covers a pseudo-header.
                let sum = checksum::add(checksum::add(u64::from(ICMPV6) + len as u64, src), dst);
                let icmp = sealed([2, 0, 0, 0, m1, m2, m3, m4], sum, quote);
                lay(answer, &[host, &gateway.0, tags, &ip, dst, src, &icmp, quote])
            }
        }
    }

    fn quote(&self, most: usize) -> Option<&'a [u8]> {
        self.packet.get(..most.min(self.packet.len()))
    }
}

/// An IPv4 packet whose sender may be told that it is too big.
fn ipv4(bytes: &[u8]) -> Option<(&[u8], Ends<'_>)> {
    let header: &[u8; IPV4_LEN] = bytes.first_chunk()?;
    let header_len = usize::from(header[0] & 0x0f) * 4;
    if header[0] >> 4 != 4 || header_len < IPV4_LEN {
        return None;
    }
    let flags = ethernet::be16(header, 6)?;
    // RFC 1191 §4: only what must not be fragmented. RFC 1812 §4.3.2.7: of fragments the first alone.
    if flags & DF == 0 || flags & FRAGMENT_OFFSET != 0 {
        return None;
    }
    let packet = match usize::from(u16::from_be_bytes([header[2], header[3]])) {
        // A super-frame of more than 64 KB (Linux "BIG TCP").
        0 => bytes,
        len => bytes.get(..len)?,
    };
    // RFC 1122 §3.2.2: an ICMP error begets no error, and what cannot be looked at may be one.
    if header[9] == ICMP && !ICMP_QUERIES.contains(packet.get(header_len)?) {
        return None;
    }
    let (src, dst) = (header.get(12..16)?.first_chunk()?, header.get(16..20)?.first_chunk()?);
    (is_host4(*src) && is_host4(*dst)).then_some((packet, Ends::V4 { src, dst }))
}

/// RFC 1812 §4.3.2.7: an address that names one host: not zero, loopback, multicast, nor anything above.
const fn is_host4(address: [u8; 4]) -> bool {
    !matches!(address[0], 0 | 127 | 224..)
}

/// An IPv6 packet whose sender may be told that it is too big.
fn ipv6(bytes: &[u8]) -> Option<(&[u8], Ends<'_>)> {
    let header: &[u8; IPV6_LEN] = bytes.first_chunk()?;
    if header[0] >> 4 != 6 {
        return None;
    }
    let packet = match usize::from(u16::from_be_bytes([header[4], header[5]])) {
        // A jumbogram (RFC 2675).
        0 => bytes,
        len => bytes.get(..IPV6_LEN + len)?,
    };
    if may_be_icmpv6_error(header[6], packet)? {
        return None;
    }
    let (src, dst) = (header.get(8..24)?.first_chunk()?, header.get(24..40)?.first_chunk()?);
    (is_host6(src) && is_host6(dst)).then_some((packet, Ends::V6 { src, dst }))
}

/// RFC 4443 §2.4 (e.6): an address that names one host: not unspecified, loopback or multicast.
fn is_host6(address: &[u8; 16]) -> bool {
    u128::from_be_bytes(*address) > 1 && address[0] != 0xff
}

/// RFC 4443 §2.4 (e.1), (e.2): whether the packet is an `ICMPv6` error or redirect, or a fragment that hides it.
/// `None` when its headers cannot be walked.
fn may_be_icmpv6_error(mut protocol: u8, packet: &[u8]) -> Option<bool> {
    let mut at = IPV6_LEN;
    for _ in 0..MOST_EXTENSIONS {
        let [following, units, fragment @ ..] = *packet.get(at..)?.first_chunk::<4>()?;
        match protocol {
            ICMPV6 => return Some(following < FIRST_ICMPV6_INFORMATION || following == ICMPV6_REDIRECT),
            FRAGMENT if u16::from_be_bytes(fragment) & !7 != 0 => return Some(following == ICMPV6),
            FRAGMENT => at += 8,
            extension if EXTENSIONS.contains(&extension) => at += 8 * (1 + usize::from(units)),
            _ => return Some(false),
        }
        protocol = following;
    }
    None
}

fn ipv4_header(len: u16, src: [u8; 4], dst: [u8; 4]) -> [u8; IPV4_LEN] {
    let ([l1, l2], [df, _]) = (len.to_be_bytes(), DF.to_be_bytes());
    let ([s1, s2, s3, s4], [d1, d2, d3, d4]) = (src, dst);
    let mut header = [0x45, INTERNETWORK_CONTROL, l1, l2, 0, 0, df, 0, TTL, ICMP, 0, 0, s1, s2, s3, s4, d1, d2, d3, d4];
    [header[10], header[11]] = checksum::of(&header).to_be_bytes();
    header
}

/// An ICMP header with the checksum of itself and what follows, on top of the sum of a pseudo-header.
fn sealed(mut header: [u8; ICMP_LEN], pseudo_header: u64, quote: &[u8]) -> [u8; ICMP_LEN] {
    let sum = checksum::add(checksum::add(pseudo_header, &header), quote);
    [header[2], header[3]] = (!checksum::fold(sum)).to_be_bytes();
    header
}

/// Fills an empty frame with these parts, one behind the other.
fn lay(frame: &mut Frame<'_>, parts: &[&[u8]]) -> Option<()> {
    let len = parts.iter().map(|part| part.len()).sum();
    let mut rest = frame.space().get_mut(..len)?;
    for part in parts {
        let (place, behind) = rest.split_at_mut_checked(part.len())?;
        place.copy_from_slice(part);
        rest = behind;
    }
    frame.set_len(len);
    Some(())
}
