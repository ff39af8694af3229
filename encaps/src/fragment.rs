//! Fragments of outer IP packets (RFC 791 §3.2, RFC 8200 §4.5): which part of which datagram one is, and the headers of
//! the whole.
//!
//! ```text
//! | Ethernet, tag | IPv4, options                            | payload from `offset` on |
//! | Ethernet, tag | IPv6, extensions | fragment header, 8    | payload from `offset` on |
//! |<------------- head ------------->|                       |<- payload ->|
//! ```

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use crate::drops::{Common, DropReason};
use crate::ip::{self, FRAGMENT_OFFSET, IPV4_LEN, IPV6_LEN, MORE_FRAGMENTS};
use crate::{checksum, outer};

/// Most bytes that an IP packet can say it has.
const MOST: usize = u16::MAX as usize;
/// Fragments begin at multiples of this many bytes.
const UNIT: usize = 8;
/// Length of IPv6's fragment header.
const HEADER_LEN: usize = 8;

/// What all fragments of one datagram have in common, and no other's at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DatagramId {
    /// The number that its sender gave it.
    pub number: u32,
    /// The source address.
    pub src: IpAddr,
    /// The destination address.
    pub dst: IpAddr,
    /// What IPv4 carries; 0 for IPv6, which does not tell datagrams apart by it.
    pub protocol: u8,
}

/// A fragment in a frame.
#[derive(Debug, Clone)]
pub struct PacketPart {
    /// The datagram that it is part of.
    pub datagram: DatagramId,
    /// Where in the frame the headers end that every fragment has.
    pub head: usize,
    /// Where in the frame the part of the payload is.
    pub payload: Range<usize>,
    /// Where in the datagram's payload it begins, in bytes.
    pub offset: usize,
    /// Whether it is the last part.
    pub is_last: bool,
    /// ECN bits.
    pub ecn: u8,
    /// IPv6: the place in the frame that says that a fragment header follows, and what follows that.
    following: Option<(usize, u8)>,
}

impl PacketPart {
    /// The fragment that is the IP packet at `at` in a frame.
    ///
    /// # Errors
    /// Why it can be part of no datagram.
    pub fn of(frame: &[u8], at: usize) -> Result<Self, DropReason> {
        let found = match frame.get(at).ok_or(Common::Truncated)? >> 4 {
            4 => Self::v4(frame, at),
            6 => Self::v6(frame, at),
            _ => None,
        };
        let found = found.ok_or(Common::BadFragment)?;
        let len = found.payload.len();
        // RFC 8200 §4.5: every part but the last has a multiple of 8 bytes, and no whole is longer than a packet can be.
        let fits = found.offset + len <= MOST && (found.is_last || len.is_multiple_of(UNIT));
        if len > 0 && fits { Ok(found) } else { Err(Common::BadFragment.into()) }
    }

    fn v4(frame: &[u8], at: usize) -> Option<Self> {
        let header: &[u8; IPV4_LEN] = frame.get(at..)?.first_chunk()?;
        let [first, class, l1, l2, n1, n2, f1, f2, _, protocol, _, _, s1, s2, s3, s4, d1, d2, d3, d4] = *header;
        let head = at + usize::from(first & 0x0f) * 4;
        let end = at + usize::from(u16::from_be_bytes([l1, l2]));
        let word = u16::from_be_bytes([f1, f2]);
        frame.get(head..end)?;
        Some(Self {
            datagram: DatagramId {
                number: u16::from_be_bytes([n1, n2]).into(),
                src: Ipv4Addr::new(s1, s2, s3, s4).into(),
                dst: Ipv4Addr::new(d1, d2, d3, d4).into(),
                protocol,
            },
            head,
            payload: head..end,
            offset: usize::from(word & FRAGMENT_OFFSET) * UNIT,
            is_last: word & MORE_FRAGMENTS == 0,
            ecn: class & 3,
            following: None,
        })
    }

    fn v6(frame: &[u8], at: usize) -> Option<Self> {
        let header: &[u8; IPV6_LEN] = frame.get(at..)?.first_chunk()?;
        let end = at + IPV6_LEN + usize::from(u16::from_be_bytes([header[4], header[5]]));
        let (mut next_at, mut head) = (at + 6, at + IPV6_LEN);
        // Headers of a type that the walk over whole packets passes, which has counted them.
        while *frame.get(next_at)? != ip::FRAGMENT {
            let [_, units] = *frame.get(head..)?.first_chunk()?;
            let kind = *frame.get(next_at)?;
            if !outer::EXTENSIONS.contains(&kind) {
                return None;
            }
            (next_at, head) = (head, head + ip::extension_len(kind, units));
        }
        let [next, _, o1, o2, number @ ..] = *frame.get(head..)?.first_chunk::<HEADER_LEN>()?;
        frame.get(head + HEADER_LEN..end)?;
        let word = u16::from_be_bytes([o1, o2]);
        let address = |from: usize| {
            let bytes = header.get(from..).and_then(|bytes| bytes.first_chunk::<16>()).copied().unwrap_or_default();
            IpAddr::V6(Ipv6Addr::from(bytes))
        };
        Some(Self {
            datagram: DatagramId { number: u32::from_be_bytes(number), src: address(8), dst: address(24), protocol: 0 },
            head,
            payload: head + HEADER_LEN..end,
            offset: usize::from(word & !7),
            is_last: word & 1 == 0,
            ecn: (header[1] >> 4) & 3,
            following: Some((next_at, next)),
        })
    }

    /// Makes the head of a first fragment, which ends with the headers, that of the whole datagram, whose payload has so
    /// many bytes. `ecn` is what all fragments say together.
    ///
    /// # Errors
    /// When no packet can be that long.
    pub fn make_whole(&self, head: &mut [u8], at: usize, payload: usize, ecn: u8) -> Result<(), DropReason> {
        let whole = match self.following {
            None => whole_v4(head, at, payload, ecn),
            Some(following) => whole_v6(head, at, payload, ecn, following),
        };
        whole.ok_or(Common::BadFragment.into())
    }
}

fn whole_v4(head: &mut [u8], at: usize, payload: usize, ecn: u8) -> Option<()> {
    let header = head.get_mut(at..)?;
    let len = u16::try_from(header.len() + payload).ok()?.to_be_bytes();
    header.get_mut(2..4)?.copy_from_slice(&len);
    *header.get_mut(1)? = *header.get(1)? & !3 | ecn;
    header.get_mut(6..8)?.fill(0);
    header.get_mut(10..12)?.fill(0);
    let sum = checksum::of(header).to_be_bytes();
    header.get_mut(10..12)?.copy_from_slice(&sum);
    Some(())
}

fn whole_v6(head: &mut [u8], at: usize, payload: usize, ecn: u8, (next_at, next): (usize, u8)) -> Option<()> {
    *head.get_mut(next_at)? = next;
    let header = head.get_mut(at..)?;
    let len = u16::try_from(header.len() - IPV6_LEN + payload).ok()?.to_be_bytes();
    header.get_mut(4..6)?.copy_from_slice(&len);
    *header.get_mut(1)? = *header.get(1)? & !0x30 | ecn << 4;
    Some(())
}
