//! MSS clamp: lowers what a TCP connection's two ends allow each other, so that no segment is too big for the path.
//!
//! For tenants whose hosts ignore ICMP, or do not get it. Only a SYN carries the option (RFC 9293 §3.2), and what it allows are
//! segments in the other direction; so the smaller room of both directions counts, as it does in other gateways.

use transload_encaps::inner::{Extensions, Inner};
use transload_encaps::ip::{IPV4_LEN, IPV6_LEN, TCP, TCP_CHECKSUM, TCP_LEN};
use transload_encaps::{Checksum, Frame, checksum, ethernet};

const SYN: u8 = 0x02;
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
        // Not behind extension headers that authenticate what follows or make it a part.
        let may_change = |extensions| extensions <= Extensions::Routing;
        let packet =
            Inner::of(frame)?.packet().filter(|packet| packet.protocol == TCP && may_change(packet.extensions))?;
        let tcp = packet.l4?;
        let ip_len = if packet.src.is_ipv4() { IPV4_LEN } else { IPV6_LEN };
        let header: &[u8; TCP_LEN] = frame.get(tcp..)?.first_chunk()?;
        if header[13] & SYN == 0 {
            return None;
        }
        let end = tcp + usize::from(header[12] >> 4) * 4;
        let value = mss_option(frame.get(..end)?, tcp + TCP_LEN)?;
        // RFC 6691 §2: IP and TCP options are not counted.
        Some(Self { tcp, value, mss: ethernet::be16(frame, value)?, headers: packet.at + ip_len + TCP_LEN })
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
