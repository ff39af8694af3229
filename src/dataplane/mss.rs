//! MSS clamp: lowers what a TCP connection's two ends allow each other, so that no segment is too big on the way.
//!
//! For tenants whose hosts do not hear ICMP. Only a SYN carries the option (RFC 9293 §3.2), and what it allows are
//! segments in the other direction; so the lesser room of both ways counts, as it does in other gateways.

use transload_encaps::ethernet;
use transload_encaps::{Checksum, Frame, checksum};

const IPV4_LEN: usize = 20;
const IPV6_LEN: usize = 40;
const TCP_LEN: usize = 20;
const TCP: u8 = 6;
const TCP_CHECKSUM: usize = 16;
const SYN: u8 = 0x02;
const FRAGMENT_OFFSET: u16 = 0x1fff;
/// Hop-by-hop, routing and destination options, which may stand before TCP (RFC 8200 §4.1).
const EXTENSIONS: [u8; 3] = [0, 43, 60];
const MOST_EXTENSIONS: usize = 8;
/// TCP options (RFC 9293 §3.2).
const END: u8 = 0;
const NO_OPERATION: u8 = 1;
const MSS: u8 = 2;

/// A SYN that says how long segments to its sender may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Syn {
    /// Where the TCP header begins.
    tcp: usize,
    /// Where the two bytes of the MSS are.
    value: usize,
    mss: u16,
    /// Bytes in front of the longest segment's payload: Ethernet, tags, IP and TCP without options.
    headers: usize,
}

impl Syn {
    /// The SYN in a frame, also behind tags, if there is one with the option.
    pub(super) fn of(frame: &[u8]) -> Option<Self> {
        let (ether_type, ip) = ethernet::payload(frame)?;
        let (tcp, ip_len) = match ether_type {
            ethernet::IPV4 => (ip + ipv4(frame.get(ip..)?)?, IPV4_LEN),
            ethernet::IPV6 => (ip + ipv6(frame.get(ip..)?)?, IPV6_LEN),
            _ => return None,
        };
        let header: &[u8; TCP_LEN] = frame.get(tcp..)?.first_chunk()?;
        if header[13] & SYN == 0 {
            return None;
        }
        let end = tcp + usize::from(header[12] >> 4) * 4;
        let value = mss_option(frame.get(..end)?, tcp + TCP_LEN)?;
        // RFC 6691 §2: IP and TCP options are not counted.
        Some(Self { tcp, value, mss: ethernet::be16(frame, value)?, headers: ip + ip_len + TCP_LEN })
    }

    /// The longest payload of a segment in a frame of at most `most` bytes.
    pub(super) fn payload(&self, most: usize) -> u16 {
        u16::try_from(most.saturating_sub(self.headers)).unwrap_or(u16::MAX)
    }

    /// Lowers the MSS to at most this; never raises it.
    pub(super) fn clamp(&self, frame: &mut Frame<'_>, most: u16) -> Option<()> {
        if self.mss <= most {
            return Some(());
        }
        let unfinished = matches!(frame.meta.checksum, Checksum::Partial { start, .. }
            if frame.frame_offset(start) == Some(self.tcp));
        let bytes = frame.bytes_mut();
        *bytes.get_mut(self.value..)?.first_chunk_mut()? = most.to_be_bytes();
        // An unfinished checksum holds no more than the pseudo-header's sum so far.
        if !unfinished {
            let sum: &mut [u8; 2] = bytes.get_mut(self.tcp + TCP_CHECKSUM..)?.first_chunk_mut()?;
            *sum = self.updated(u16::from_be_bytes(*sum), most).to_be_bytes();
        }
        Some(())
    }

    /// RFC 1624 §3. At an odd offset the value lies across two words; RFC 1071 §2 (B): swapped, it counts the same.
    fn updated(&self, sum: u16, mss: u16) -> u16 {
        if (self.value - self.tcp).is_multiple_of(2) {
            checksum::update(sum, self.mss, mss)
        } else {
            checksum::update(sum, self.mss.swap_bytes(), mss.swap_bytes())
        }
    }
}

/// Where the value of the MSS option is, in bytes that end with the TCP header.
fn mss_option(header: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *header.get(at)? {
            END => return None,
            NO_OPERATION => at += 1,
            kind => {
                let len = usize::from(*header.get(at + 1)?);
                if kind == MSS && len == 4 && at + 4 <= header.len() {
                    return Some(at + 2);
                }
                at += if len < 2 { return None } else { len };
            }
        }
    }
}

/// Where TCP begins in an IPv4 packet, if it does.
fn ipv4(packet: &[u8]) -> Option<usize> {
    let header: &[u8; IPV4_LEN] = packet.first_chunk()?;
    let fragment = u16::from_be_bytes([header[6], header[7]]) & FRAGMENT_OFFSET != 0;
    let len = usize::from(header[0] & 0x0f) * 4;
    (header[0] >> 4 == 4 && len >= IPV4_LEN && header[9] == TCP && !fragment).then_some(len)
}

/// Where TCP begins in an IPv6 packet, if it does.
fn ipv6(packet: &[u8]) -> Option<usize> {
    let header: &[u8; IPV6_LEN] = packet.first_chunk()?;
    let (mut protocol, mut at) = (header[6], IPV6_LEN);
    for _ in 0..MOST_EXTENSIONS {
        if !EXTENSIONS.contains(&protocol) {
            break;
        }
        let [following, units] = *packet.get(at..)?.first_chunk()?;
        (protocol, at) = (following, at + 8 * (1 + usize::from(units)));
    }
    (header[0] >> 4 == 6 && protocol == TCP).then_some(at)
}
