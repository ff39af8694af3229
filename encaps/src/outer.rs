//! One walk over the outer headers of a tunnel packet: Ethernet, at most one VLAN tag, IPv4 or IPv6, UDP.
//!
//! The walk only reads. It says who sent the packet, to whom, what carries the tunnel, and where its header begins;
//! whether any of that is ours is for the classifier to decide.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::checksum;
use crate::drops::{Common, DropReason};
use crate::encap::Carrier;
use crate::ethernet::{self, Mac};
use crate::frame::{Checksum, Frame};
use crate::ip::{self, IPV4_LEN, IPV6_LEN, UDP, UDP_LEN};

/// Where in a UDP header its checksum is (RFC 768).
pub const UDP_CHECKSUM: u16 = 6;
/// Hop-by-hop, routing and destination options, which may stand before the tunnel's header (RFC 8200 §4.1).
pub(crate) const EXTENSIONS: [u8; 3] = [ip::HOP_BY_HOP, ip::ROUTING, ip::DESTINATION];
const MOST_EXTENSIONS: usize = 4;
/// The VLAN ID, in the control information of a tag.
const VID: u16 = 0x0fff;

/// An outer IP packet, as far as a tunnel is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outer {
    /// The outer source address.
    pub src: IpAddr,
    /// The outer destination address.
    pub dst: IpAddr,
    /// IP protocol, or UDP destination port.
    pub carrier: Carrier,
    /// DSCP and ECN.
    pub traffic_class: u8,
    /// Where the IP header begins in the frame.
    pub ip_at: u16,
    /// Where the tunnel's header begins in the frame.
    pub at: u16,
    /// Where the IP packet ends in the frame; what follows is Ethernet padding.
    pub end: u32,
    /// The UDP checksum, if UDP carries the tunnel.
    pub udp_checksum: Option<u16>,
}

/// Where the IP header would begin, if the frame has the tag an endpoint expects.
///
/// `vlan: None` is a frame without any tag, or with one that carries nothing but a priority; `Some(id)` exactly one
/// 802.1Q tag with this ID. Anything else is not this endpoint's, whatever lies behind it: a tagged tenant must not be
/// able to forge a tunnel.
#[must_use]
#[inline]
pub fn ip_start(frame: &[u8], vlan: Option<u16>) -> Option<usize> {
    let first = ethernet::be16(frame, ethernet::ADDRESSES_LEN)?;
    match vlan {
        None if is_ip(first) => Some(ethernet::HEADER_LEN),
        None => behind_priority(frame, first),
        Some(id) if first == ethernet::C_TAG && ethernet::be16(frame, 14)? & VID == id => behind_tag(frame),
        Some(_) => None,
    }
}

#[inline]
const fn is_ip(ether_type: u16) -> bool {
    matches!(ether_type, ethernet::IPV4 | ethernet::IPV6)
}

#[inline]
fn behind_tag(frame: &[u8]) -> Option<usize> {
    is_ip(ethernet::be16(frame, 16)?).then_some(ethernet::HEADER_LEN + ethernet::TAG_LEN)
}

/// IEEE 802.1Q §6.9.1: a frame whose only tag has VLAN ID 0 belongs to the VLAN of untagged frames.
#[cold]
fn behind_priority(frame: &[u8], first: u16) -> Option<usize> {
    let is_priority = matches!(first, ethernet::C_TAG | ethernet::S_TAG) && ethernet::be16(frame, 14)? & VID == 0;
    if is_priority { behind_tag(frame) } else { None }
}

/// The destination MAC address of a frame.
#[must_use]
#[inline]
pub fn destination(frame: &[u8]) -> Option<Mac> {
    frame.first_chunk().map(|mac| Mac(*mac))
}

/// Where an IP packet at `at` is going, without checking anything else.
#[must_use]
#[inline]
pub fn ip_destination(frame: &[u8], at: usize) -> Option<IpAddr> {
    let ip = frame.get(at..)?;
    match ip.first()? >> 4 {
        4 => ip.get(16..20)?.first_chunk::<4>().map(|b| IpAddr::V4(Ipv4Addr::from(*b))),
        6 => ip.get(24..40)?.first_chunk::<16>().map(|b| IpAddr::V6(Ipv6Addr::from(*b))),
        _ => None,
    }
}

/// Where an IP packet at `at` is from, without checking anything else.
#[must_use]
pub fn ip_source(frame: &[u8], at: usize) -> Option<IpAddr> {
    let ip = frame.get(at..)?;
    match ip.first()? >> 4 {
        4 => ip.get(12..16)?.first_chunk::<4>().map(|b| IpAddr::V4(Ipv4Addr::from(*b))),
        6 => ip.get(8..24)?.first_chunk::<16>().map(|b| IpAddr::V6(Ipv6Addr::from(*b))),
        _ => None,
    }
}

/// Walks the IP packet at `at`, and the UDP header where it carries one.
///
/// # Errors
/// Why the packet cannot be a whole, unbroken tunnel packet.
#[inline]
pub fn walk(frame: &[u8], at: usize) -> Result<Outer, DropReason> {
    let first = *frame.get(at).ok_or(Common::Truncated)?;
    match first >> 4 {
        4 => ipv4(frame, at),
        6 => ipv6(frame, at),
        _ => Err(Common::BadIpHeader.into()),
    }
}

#[inline]
fn ipv4(frame: &[u8], at: usize) -> Result<Outer, DropReason> {
    let ip = frame.get(at..).unwrap_or_default();
    let header: &[u8; IPV4_LEN] = ip.first_chunk().ok_or(Common::Truncated)?;
    let header_len = usize::from(header[0] & 0x0f) * 4;
    let total_len = usize::from(u16::from_be_bytes([header[2], header[3]]));
    if header_len < IPV4_LEN {
        return Err(Common::BadIpHeader.into());
    }
    if header_len > ip.len() {
        return Err(Common::Truncated.into());
    }
    if total_len < header_len || total_len > ip.len() {
        return Err(Common::BadLength.into());
    }
    // RFC 1122 §3.2.1.2: a host verifies the header checksum and silently discards what fails.
    let is_right = match header_len {
        IPV4_LEN => checksum::is_right_ipv4(header),
        _ => checksum::of(ip.get(..header_len).unwrap_or_default()) == 0,
    };
    if !is_right {
        return Err(Common::BadIpChecksum.into());
    }
    // RFC 7348 §4.3, RFC 7637 §3.2: fragments of tunnel packets may be discarded. MF or an offset make one.
    if u16::from_be_bytes([header[6], header[7]]) & 0x3fff != 0 {
        return Err(Common::OuterFragment.into());
    }
    let [.., s1, s2, s3, s4, d1, d2, d3, d4] = *header;
    let outer = Outer {
        src: IpAddr::V4(Ipv4Addr::new(s1, s2, s3, s4)),
        dst: IpAddr::V4(Ipv4Addr::new(d1, d2, d3, d4)),
        carrier: Carrier::Ip(header[9]),
        traffic_class: header[1],
        ip_at: at as u16,
        at: (at + header_len) as u16,
        end: (at + total_len) as u32,
        udp_checksum: None,
    };
    udp(frame, outer)
}

#[inline]
fn ipv6(frame: &[u8], at: usize) -> Result<Outer, DropReason> {
    let ip = frame.get(at..).unwrap_or_default();
    let header: &[u8; IPV6_LEN] = ip.first_chunk().ok_or(Common::Truncated)?;
    let total_len = IPV6_LEN + usize::from(u16::from_be_bytes([header[4], header[5]]));
    if total_len > ip.len() {
        return Err(Common::BadLength.into());
    }
    let (mut next, mut len) = (header[6], IPV6_LEN);
    let mut extensions = 0;
    while EXTENSIONS.contains(&next) || next == ip::FRAGMENT {
        extensions += 1;
        if extensions > MOST_EXTENSIONS {
            return Err(Common::ExtensionHeaders.into());
        }
        let [following, units, _, left] = *ip.get(len..).and_then(|e| e.first_chunk()).ok_or(Common::Truncated)?;
        if next == ip::FRAGMENT && !is_atomic(ip, len) {
            // RFC 8200 §4.5; RFC 7348 §4.3 and RFC 7637 §3.2 as above.
            return Err(Common::OuterFragment.into());
        }
        // RFC 8200 §4.4: with segments left it is on its way to somebody else, by a type of routing unknown here.
        if next == ip::ROUTING && left != 0 {
            return Err(Common::ExtensionHeaders.into());
        }
        len += ip::extension_len(next, units);
        next = following;
    }
    if len > total_len {
        return Err(Common::BadLength.into());
    }
    let address = |from: usize| {
        let bytes = header.get(from..).and_then(|b| b.first_chunk::<16>()).copied().unwrap_or_default();
        IpAddr::V6(Ipv6Addr::from(bytes))
    };
    let outer = Outer {
        src: address(8),
        dst: address(24),
        carrier: Carrier::Ip(next),
        traffic_class: header[0] << 4 | header[1] >> 4,
        ip_at: at as u16,
        at: (at + len) as u16,
        end: (at + total_len) as u32,
        udp_checksum: None,
    };
    udp(frame, outer)
}

/// Whether the fragment header here is that of a packet which is whole: the first part, and no more follow (RFC 6946).
#[cold]
fn is_atomic(ip: &[u8], at: usize) -> bool {
    ip.get(at + 2..).and_then(|rest| rest.first_chunk()).is_some_and(|word| u16::from_be_bytes(*word) & !6 == 0)
}

#[inline]
fn udp(frame: &[u8], outer: Outer) -> Result<Outer, DropReason> {
    if outer.carrier != Carrier::Ip(UDP) {
        return Ok(outer);
    }
    let packet = frame.get(outer.at.into()..outer.end as usize).ok_or(Common::BadLength)?;
    let [_, _, d1, d2, l1, l2, c1, c2] = *packet.first_chunk::<UDP_LEN>().ok_or(Common::Truncated)?;
    let len = usize::from(u16::from_be_bytes([l1, l2]));
    if len < UDP_LEN || len > packet.len() {
        return Err(Common::BadLength.into());
    }
    Ok(Outer {
        carrier: Carrier::Udp(u16::from_be_bytes([d1, d2])),
        end: (usize::from(outer.at) + len) as u32,
        at: outer.at + UDP_LEN as u16,
        udp_checksum: Some(u16::from_be_bytes([c1, c2])),
        ..outer
    })
}

/// A packet's outer headers, to know those of the next one by: packets of one sender differ in few fields.
///
/// Only of the common kind: untagged, IPv4 without options.
#[derive(Debug, Clone, Copy)]
pub struct Pattern {
    words: Words,
    /// Where the tunnel's header begins.
    at: u16,
    is_udp: bool,
}

/// The Ethernet, IPv4 and UDP headers, or as much of what is in the place of the last.
type Head = [u8; ethernet::HEADER_LEN + IPV4_LEN + UDP_LEN];

/// All of that but the UDP checksum.
type Words = [u64; 5];

/// What is alike in packets of one pattern: MAC addresses, type, version, flags, protocol, IP addresses, and the
/// destination port or what is in its place. Left out: traffic class, length, identification, TTL, header checksum,
/// source port, UDP length.
const ALIKE: Words = {
    let (all, no) = (0xff, 0);
    [
        u64::MAX,
        u64::from_ne_bytes([all, all, all, all, all, all, all, no]),
        u64::from_ne_bytes([no, no, no, no, all, all, no, all]),
        u64::from_ne_bytes([no, no, all, all, all, all, all, all]),
        u64::from_ne_bytes([all, all, no, no, all, all, no, no]),
    ]
};

/// What differs in a packet of a known [`Pattern`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Likeness {
    /// Where the tunnel's header begins in the frame.
    pub at: u16,
    /// Where the packet ends in the frame.
    pub end: u32,
    /// DSCP and ECN.
    pub traffic_class: u8,
    /// The UDP checksum; zero if there is none.
    pub udp_checksum: u16,
}

impl Pattern {
    /// That of a whole packet, if it is of the common kind.
    #[must_use]
    pub fn of(frame: &[u8], outer: &Outer) -> Option<Self> {
        let is_udp = outer.udp_checksum.is_some();
        let header_len = if is_udp { IPV4_LEN + UDP_LEN } else { IPV4_LEN };
        let is_common = outer.src.is_ipv4()
            && usize::from(outer.ip_at) == ethernet::HEADER_LEN
            && usize::from(outer.at) == ethernet::HEADER_LEN + header_len;
        let words = Self::words(frame.first_chunk()?);
        is_common.then_some(Self { words, at: outer.at, is_udp })
    }

    #[inline]
    fn words(head: &Head) -> Words {
        let (words, _) = head.as_chunks();
        let mut all = [0; 5];
        all.iter_mut().zip(words).for_each(|(to, from)| *to = u64::from_ne_bytes(*from));
        all
    }

    /// A number that packets of one pattern have in common, and that senders mostly do not share.
    #[must_use]
    #[inline]
    pub fn sender_bits(frame: &[u8]) -> Option<u32> {
        let head: &Head = frame.first_chunk()?;
        let [.., s1, s2, s3, s4, _, _, _, _, _, _, _, _, _, _, _, _] = *head;
        Some(u32::from_ne_bytes([s1, s2, s3, s4]))
    }

    /// What [`walk`] would find in a packet; `None` where it has to be asked, since the packet is of another pattern,
    /// or broken.
    #[must_use]
    #[inline]
    pub fn likeness(&self, frame: &[u8]) -> Option<Likeness> {
        let head: &Head = frame.first_chunk()?;
        let differs = |((a, b), alike): ((u64, &u64), u64)| (a ^ b) & alike;
        let differences = Self::words(head).into_iter().zip(&self.words).zip(ALIKE).map(differs);
        if differences.fold(0, |bits, more| bits | more) != 0 {
            return None;
        }
        if !checksum::is_right_ipv4(head.get(ethernet::HEADER_LEN..)?.first_chunk()?) {
            return None;
        }
        let [rest @ .., u1, u2, c1, c2] = *head;
        let [.., traffic_class, l1, l2, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = rest;
        let total_len = usize::from(u16::from_be_bytes([l1, l2]));
        let (len, udp_checksum) = if self.is_udp {
            (IPV4_LEN + usize::from(u16::from_be_bytes([u1, u2])), u16::from_be_bytes([c1, c2]))
        } else {
            (total_len, 0)
        };
        if len < IPV4_LEN + UDP_LEN || len > total_len || total_len > frame.len() - ethernet::HEADER_LEN {
            return None;
        }
        Some(Likeness { at: self.at, end: (ethernet::HEADER_LEN + len) as u32, traffic_class, udp_checksum })
    }
}

/// What a peer makes of UDP checksums on receive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UdpRules {
    /// Whether zero is accepted over IPv6 (RFC 6936 §4); over IPv4 it always is.
    pub zero6: bool,
    /// Whether one that is not zero is taken as it is.
    pub unverified: bool,
}

/// Verifies the UDP checksum as far as the port left it to us. Returns `UdpChecksum` where the peer's rules have it
/// tolerated unseen.
///
/// # Errors
/// `UdpZeroChecksum` or `UdpChecksum`.
#[inline]
pub fn verify_udp(frame: &Frame<'_>, outer: &Outer, rules: UdpRules) -> Result<Option<DropReason>, DropReason> {
    match outer.udp_checksum {
        None => Ok(None),
        // RFC 7348 §4.1.1 accepts zero; RFC 6935 §5 lets IPv6 tunnels do so by configuration.
        Some(0) if outer.src.is_ipv4() || rules.zero6 => Ok(None),
        Some(0) => Err(Common::UdpZeroChecksum.into()),
        Some(_) if frame.meta.checksum != Checksum::Unknown => Ok(None),
        Some(_) if rules.unverified => Ok(Some(Common::UdpChecksum.into())),
        Some(_) => sum_udp(frame, outer).map(|()| None),
    }
}

#[inline(never)]
fn sum_udp(frame: &Frame<'_>, outer: &Outer) -> Result<(), DropReason> {
    let udp_at = usize::from(outer.at) - UDP_LEN;
    let packet = frame.bytes().get(udp_at..outer.end as usize).ok_or(Common::BadLength)?;
    let sum = checksum::add(pseudo_header(outer.src, outer.dst, UDP, packet.len()), packet);
    if checksum::fold(sum) == 0xffff { Ok(()) } else { Err(Common::UdpChecksum.into()) }
}

/// The sum of the pseudo-header that UDP and TCP checksums cover (RFC 768, RFC 8200 §8.1).
#[must_use]
pub fn pseudo_header(src: IpAddr, dst: IpAddr, protocol: u8, len: usize) -> u64 {
    let sum = u64::from(protocol) + len as u64;
    match (src, dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => checksum::add(checksum::add(sum, &src.octets()), &dst.octets()),
        (IpAddr::V6(src), IpAddr::V6(dst)) => checksum::add(checksum::add(sum, &src.octets()), &dst.octets()),
        _ => sum,
    }
}
