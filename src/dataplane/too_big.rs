//! Too big: the ICMP error to a tenant's host whose packet is longer than the path out carries with its headers.
//!
//! ```text
//! | dst: the host | src: the gateway's own MAC | the frame's tags | type |
//! | IP: from where the packet was going, to the host | ICMP: type, code, checksum, MTU | as much of the packet as fits |
//! ```
//!
//! We never fragment: not the outer packet, which the tunnels' standards forbid (RFC 7348 §4.3, RFC 7637 §3.2), nor
//! the tenant's, which is not ours.

use std::net::IpAddr;

use transload_encaps::ethernet::{self, ADDRESSES_LEN};
use transload_encaps::inner::{Ending, Fragment, Inner, IpPacket};
use transload_encaps::ip::{DF, ICMP, ICMPV6, IPV4_LEN, IPV6_LEN};
use transload_encaps::{Common, DropReason, Frame, Mac, checksum};

const ICMP_LEN: usize = 8;
/// RFC 1812 §4.3.2.3: the answer carries as much of the packet as fits into 576 bytes.
const MOST_IPV4: usize = 576;
/// RFC 4443 §3.2: as much as fits into the minimum IPv6 MTU.
const MOST_IPV6: usize = 1280;
const TTL: u8 = 64;
/// RFC 1812 §4.3.2.5: ICMP errors have precedence 6.
const INTERNETWORK_CONTROL: u8 = 0xc0;
/// The ICMP types that are no errors: echo, router discovery, timestamp, information, mask, extended echo.
const ICMP_QUERIES: [u8; 12] = [0, 8, 9, 10, 13, 14, 15, 16, 17, 18, 42, 43];
/// RFC 4443 §2.1: the types of `ICMPv6` from here on are no errors.
const FIRST_ICMPV6_INFORMATION: u8 = 128;
/// RFC 4443 §2.4 (e.2): neither is this one answered.
const ICMPV6_REDIRECT: u8 = 137;

/// What a frame that is too big is dropped for.
pub(super) fn reason(frame: &[u8]) -> DropReason {
    let Some(inner) = Inner::of(frame) else { return Common::TooBigNotIp.into() };
    match inner.ether_type {
        ethernet::IPV4 if inner.packet().is_some_and(|packet| !packet.dont_fragment) => Common::TooBigNoDf.into(),
        ethernet::IPV4 | ethernet::IPV6 => Common::TooBig.into(),
        _ => Common::TooBigNotIp.into(),
    }
}

/// A packet that is too big, and whose sender may get an ICMP error.
#[derive(Debug, Clone, Copy)]
pub(super) struct TooBigPacket<'a> {
    frame: &'a [u8],
    packet: IpPacket,
    mtu: usize,
}

impl<'a> TooBigPacket<'a> {
    /// A frame that should have been `most` bytes long at most, if its sender may get an ICMP error.
    pub(super) fn of(frame: &'a [u8], most: usize) -> Option<Self> {
        // RFC 1122 §3.2.2, RFC 4443 §2.4 (e.4): nothing that was sent to several is answered.
        if Mac(*frame.first_chunk()?).is_group() {
            return None;
        }
        let packet = Inner::of(frame)?.packet()?;
        // Ethernet and the tags that the path out keeps are not the tenant's packet.
        let mtu = most.checked_sub(packet.at)?;
        // What is too long may be the padding behind a packet that is not.
        let is_too_big = packet.end - packet.at > mtu && packet.ending != Ending::Cut;
        (is_too_big && may_be_answered(frame, &packet)).then_some(Self { frame, packet, mtu })
    }

    /// Most bytes that the packet might have had.
    pub(super) const fn mtu(&self) -> usize {
        self.mtu
    }

    /// Writes the answer into an empty frame; `None` if it does not fit.
    pub(super) fn answer(&self, gateway: Mac, answer: &mut Frame<'_>) -> Option<()> {
        let tags = self.frame.get(ADDRESSES_LEN..self.packet.at)?;
        let host = self.frame.get(6..ADDRESSES_LEN)?;
        match (self.packet.src, self.packet.dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => {
                let quote = self.quote(MOST_IPV4 - IPV4_LEN - ICMP_LEN)?;
                let ip = ipv4_header((IPV4_LEN + ICMP_LEN + quote.len()) as u16, dst.octets(), src.octets());
                // RFC 1191 §4: the MTU of the next hop is in the lower half of what RFC 792 left unused.
                let [m1, m2] = (self.mtu.min(u16::MAX.into()) as u16).to_be_bytes();
                let icmp = sealed([3, 4, 0, 0, 0, 0, m1, m2], 0, quote);
                lay(answer, &[host, &gateway.0, tags, &ip, &icmp, quote])
            }
            (IpAddr::V6(src), IpAddr::V6(dst)) => {
                let (src, dst) = (src.octets(), dst.octets());
                let quote = self.quote(MOST_IPV6 - IPV6_LEN - ICMP_LEN)?;
                let len = ICMP_LEN + quote.len();
                let [l1, l2] = (len as u16).to_be_bytes();
                let ip = [0x60, 0, 0, 0, l1, l2, ICMPV6, TTL];
                // RFC 4443 §3.2: type 2, code 0, and the MTU in 32 bits.
                let [m1, m2, m3, m4] = (self.mtu as u32).to_be_bytes();
                // RFC 4443 §2.3: the checksum covers a pseudo-header.
                let sum = checksum::add(checksum::add(u64::from(ICMPV6) + len as u64, &src), &dst);
                let icmp = sealed([2, 0, 0, 0, m1, m2, m3, m4], sum, quote);
                lay(answer, &[host, &gateway.0, tags, &ip, &dst, &src, &icmp, quote])
            }
            _ => None,
        }
    }

    fn quote(&self, most: usize) -> Option<&'a [u8]> {
        let IpPacket { at, end, .. } = self.packet;
        self.frame.get(at..end.min(at + most))
    }
}

/// Whether the sender of a packet that is too big may get an ICMP error.
fn may_be_answered(frame: &[u8], packet: &IpPacket) -> bool {
    // RFC 1812 §4.3.2.7: of IPv4's fragments the first alone. RFC 4443 has no such rule.
    let is_later = packet.fragment == Some(Fragment::Later) && packet.src.is_ipv4();
    // RFC 1191 §4: only what must not be fragmented.
    packet.dont_fragment && !is_later && is_host(packet.src) && is_host(packet.dst) && !may_be_icmp_error(frame, packet)
}

/// RFC 1812 §4.3.2.7: an IPv4 address that names one host: not zero, loopback, multicast, nor anything above.
/// RFC 4443 §2.4 (e.6): an IPv6 address that does: not unspecified, loopback or multicast.
const fn is_host(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !matches!(address.octets()[0], 0 | 127 | 224..),
        IpAddr::V6(address) => address.to_bits() > 1 && !address.is_multicast(),
    }
}

/// RFC 1122 §3.2.2, RFC 4443 §2.4 (e.1), (e.2): whether the packet is an ICMP error or redirect, or hides what may be
/// one: in a fragment, or behind headers that cannot be passed.
fn may_be_icmp_error(frame: &[u8], packet: &IpPacket) -> bool {
    let kind = packet.l4.and_then(|l4| frame.get(l4)).copied();
    match (packet.src, packet.protocol) {
        (IpAddr::V4(_), ICMP) => kind.is_none_or(|kind| !ICMP_QUERIES.contains(&kind)),
        (IpAddr::V6(_), ICMPV6) => kind.is_none_or(|kind| kind < FIRST_ICMPV6_INFORMATION || kind == ICMPV6_REDIRECT),
        _ => packet.l4.is_none() && packet.fragment != Some(Fragment::Later),
    }
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
