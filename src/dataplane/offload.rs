//! What senders left to their device, done in software: unfinished checksums and super-frames.
//!
//! Over a veth or a TAP a host's TCP arrives as frames of up to 64 KB with only the pseudo-header summed into the
//! checksum field. Where the way out is a device that takes such frames, they leave as they came. Everywhere else
//! [`finish`] completes the checksum and [`segments`] cuts the super-frame, as the sender's network card would have.

use std::net::IpAddr;

use transload_encaps::outer::pseudo_header;
use transload_encaps::{Checksum, Common, DropReason, Frame, Gso, GsoKind, Meta, checksum, ethernet};

use crate::io::Pool;

const TCP: u8 = 6;
const UDP: u8 = 17;
const TCP_LEN: usize = 20;
const UDP_LEN: usize = 8;
const IPV4_LEN: usize = 20;
const IPV6_LEN: usize = 40;
/// Hop-by-hop and destination options (RFC 8200 §4.6) may precede TCP. Behind a routing header the checksum would
/// cover another destination than the header's, and nobody offloads that.
const EXTENSIONS: [u8; 2] = [0, 60];
const MOST_EXTENSIONS: usize = 4;
const TCP_CHECKSUM: usize = 16;
const UDP_CHECKSUM: usize = 6;
/// TCP flags that belong to the end of a super-frame: FIN and PSH.
const LAST_ONLY: u8 = 0x01 | 0x08;
/// RFC 3168 §6.1.2: CWR is set on the first data packet after the window was reduced, and on no other.
const FIRST_ONLY: u8 = 0x80;

/// Completes a checksum that was left [`Partial`](Checksum::Partial), after which it is [`Valid`](Checksum::Valid).
///
/// A checksum in headers that were stripped meanwhile is nobody's any more: the state becomes `Unknown`.
///
/// # Errors
/// `Truncated` when the frame does not reach the place of the checksum; the frame is unchanged.
pub fn finish(frame: &mut Frame<'_>) -> Result<(), DropReason> {
    let Checksum::Partial { start, offset } = frame.meta.checksum else { return Ok(()) };
    if start < frame.chunk_offset(0) {
        frame.meta.checksum = Checksum::Unknown;
        return Ok(());
    }
    let at = frame.frame_offset(start).ok_or(Common::Truncated)?;
    let covered = frame.bytes_mut().get_mut(at..).ok_or(Common::Truncated)?;
    let sum = checksum::fold(checksum::add(0, covered));
    put16(covered, offset.into(), not_zero(!sum))?;
    frame.meta.checksum = Checksum::Valid;
    Ok(())
}

/// RFC 768: a computed zero is sent as all ones, since zero means "none". For TCP the two are equal.
const fn not_zero(sum: u16) -> u16 {
    if sum == 0 { 0xffff } else { sum }
}

/// Writes a big-endian field.
fn put16(bytes: &mut [u8], at: usize, value: u16) -> Result<(), DropReason> {
    let field = bytes.get_mut(at..).and_then(|rest| rest.first_chunk_mut()).ok_or(Common::Truncated)?;
    *field = value.to_be_bytes();
    Ok(())
}

/// Cuts a super-frame into frames of at most [`Gso::size`] payload bytes, each with `headroom` in front of it, with
/// the headers, tags included, of the whole, and with finished checksums. A frame that is none is emitted as a copy.
///
/// All or nothing: on an error nothing was emitted and the pool is as it was.
///
/// # Errors
/// `Unsegmentable` when the headers are not what the frame's [`GsoKind`] promises, or a segment does not fit a chunk;
/// `NoBuffer` when the pool has too few chunks.
pub fn segments<'mem>(
    frame: &Frame<'mem>,
    pool: &mut Pool<'mem>,
    headroom: usize,
    mut emit: impl FnMut(Frame<'mem>),
) -> Result<(), DropReason> {
    let Some(gso) = frame.meta.gso else {
        let mut copy = pool.take_for(headroom, frame.len()).ok_or(Common::NoBuffer)?;
        return match copied(frame, &mut copy, headroom) {
            Ok(()) => {
                emit(copy);
                Ok(())
            }
            Err(reason) => {
                pool.put(copy);
                Err(reason)
            }
        };
    };
    let cut = Cut::of(frame, gso).ok_or(Common::Unsegmentable)?;
    if pool.free_for(headroom, cut.longest()) < cut.count() {
        return Err(Common::NoBuffer.into());
    }
    for index in 0..cut.count() {
        let mut segment = pool.take_for(headroom, cut.longest()).ok_or(Common::NoBuffer)?;
        // The first segment is the longest, and every chunk takes it or none: what fails, fails before anything is out.
        if cut.write(index, &mut segment).is_none() {
            pool.put(segment);
            return Err(Common::Unsegmentable.into());
        }
        segment.meta = Meta { checksum: Checksum::Valid, gso: None, ..frame.meta };
        emit(segment);
    }
    Ok(())
}

/// How long the longest of a super-frame's segments will be, tags included; `None` when it cannot be cut.
#[must_use]
pub fn longest_segment(frame: &Frame<'_>) -> Option<usize> {
    Some(Cut::of(frame, frame.meta.gso?)?.longest())
}

fn copied(frame: &Frame<'_>, copy: &mut Frame<'_>, headroom: usize) -> Result<(), DropReason> {
    if !copy.fill(headroom, frame.bytes()) {
        return Err(Common::Unsegmentable.into());
    }
    copy.meta = frame.meta;
    if let Checksum::Partial { start, offset } = frame.meta.checksum {
        // The copy may have another headroom, and what was counted from the chunk moves with the bytes.
        let moved = (start + copy.chunk_offset(0)).checked_sub(frame.chunk_offset(0));
        copy.meta.checksum = moved.map_or(Checksum::Unknown, |start| Checksum::Partial { start, offset });
    }
    finish(copy)
}

/// A super-frame, taken apart.
struct Cut<'a> {
    headers: &'a [u8],
    payload: &'a [u8],
    size: usize,
    network: Network,
    /// A UDP sender that wants no checksum.
    unsummed: bool,
}

/// The network layer of a super-frame: where it is, and what it carries where.
struct Network {
    /// Where the IP header begins.
    ip: usize,
    /// Where the TCP or UDP header begins.
    l4: usize,
    /// Where the packet ends.
    end: usize,
    protocol: u8,
    src: IpAddr,
    dst: IpAddr,
}

impl<'a> Cut<'a> {
    fn of(frame: &'a Frame<'_>, gso: Gso) -> Option<Self> {
        let bytes = frame.bytes();
        let (ether_type, ip) = ethernet::payload(bytes)?;
        let network = match (gso.kind, ether_type) {
            (GsoKind::Tcp4 | GsoKind::Udp, ethernet::IPV4) => ipv4(bytes, ip)?,
            (GsoKind::Tcp6 | GsoKind::Udp, ethernet::IPV6) => ipv6(bytes, ip)?,
            _ => return None,
        };
        let Network { l4, protocol, end, .. } = network;
        let l4_len = match (gso.kind, protocol) {
            (GsoKind::Udp, UDP) => UDP_LEN,
            (GsoKind::Tcp4 | GsoKind::Tcp6, TCP) => tcp_len(bytes.get(l4..end)?)?,
            _ => return None,
        };
        // The unfinished checksum of a super-frame is that of its segments, or the headers are not what they seem:
        // a tunnel that the tenant built inside, for instance.
        if let Checksum::Partial { start, .. } = frame.meta.checksum
            && start != frame.chunk_offset(l4)
        {
            return None;
        }
        let (headers, payload) = bytes.get(..end)?.split_at_checked(l4 + l4_len)?;
        let no_sum = protocol == UDP && ethernet::be16(headers, l4 + UDP_CHECKSUM)? == 0;
        let unsummed = no_sum && !matches!(frame.meta.checksum, Checksum::Partial { .. });
        (gso.size > 0).then_some(Self { headers, payload, size: gso.size.into(), network, unsummed })
    }

    /// How long the longest segment will be, headers included.
    fn longest(&self) -> usize {
        self.headers.len() + self.size.min(self.payload.len())
    }

    fn count(&self) -> usize {
        self.payload.len().div_ceil(self.size).max(1)
    }

    /// Writes one segment into an empty frame; `None` if it does not fit.
    fn write(&self, index: usize, segment: &mut Frame<'_>) -> Option<()> {
        let from = index * self.size;
        let to = self.payload.len().min(from + self.size);
        let payload = self.payload.get(from..to)?;
        let len = self.headers.len() + payload.len();

        let (headers, rest) = segment.space().get_mut(..len)?.split_at_mut_checked(self.headers.len())?;
        headers.copy_from_slice(self.headers);
        rest.copy_from_slice(payload);
        segment.set_len(len);

        let bytes = segment.bytes_mut();
        self.network(bytes, index)?;
        self.transport(bytes, from, to == self.payload.len())
    }

    /// The segment's own length, and IPv4's identification and header checksum.
    fn network(&self, bytes: &mut [u8], index: usize) -> Option<()> {
        let Network { ip, l4, src, .. } = self.network;
        let len = bytes.len() - ip;
        let header = bytes.get_mut(ip..l4)?;
        if src.is_ipv6() {
            return put16(header, 4, u16::try_from(len - IPV6_LEN).ok()?).ok();
        }
        put16(header, 2, u16::try_from(len).ok()?).ok()?;
        // RFC 6864 §4: the identification is free where DF is set, and must differ where it is not; count always.
        let id = ethernet::be16(header, 4)?.wrapping_add(index as u16);
        put16(header, 4, id).ok()?;
        put16(header, 10, 0).ok()?;
        let header_len = usize::from(header.first()? & 0x0f) * 4;
        let sum = checksum::of(header.get(..header_len)?);
        put16(header, 10, sum).ok()
    }

    /// TCP's sequence number and flags, or UDP's length; and the checksum.
    fn transport(&self, bytes: &mut [u8], from: usize, last: bool) -> Option<()> {
        let Network { l4, protocol, src, dst, .. } = self.network;
        let l4 = bytes.get_mut(l4..)?;
        let len = l4.len();
        let checksum_at = if protocol == TCP {
            let header: &mut [u8; TCP_LEN] = l4.first_chunk_mut()?;
            let [_, _, _, _, s1, s2, s3, s4, ..] = *header;
            let seq = u32::from_be_bytes([s1, s2, s3, s4]).wrapping_add(from as u32);
            [header[4], header[5], header[6], header[7]] = seq.to_be_bytes();
            header[13] &= if last { 0xff } else { !LAST_ONLY };
            header[13] &= if from == 0 { 0xff } else { !FIRST_ONLY };
            TCP_CHECKSUM
        } else {
            put16(l4, 4, u16::try_from(len).ok()?).ok()?;
            UDP_CHECKSUM
        };
        if self.unsummed {
            return Some(());
        }
        put16(l4, checksum_at, 0).ok()?;
        let sum = checksum::add(pseudo_header(src, dst, protocol, len), l4);
        put16(l4, checksum_at, not_zero(!checksum::fold(sum))).ok()
    }
}

fn tcp_len(l4: &[u8]) -> Option<usize> {
    let header: &[u8; TCP_LEN] = l4.first_chunk()?;
    let len = usize::from(header[12] >> 4) * 4;
    (TCP_LEN..=l4.len()).contains(&len).then_some(len)
}

fn ipv4(frame: &[u8], ip: usize) -> Option<Network> {
    let header: &[u8; IPV4_LEN] = frame.get(ip..)?.first_chunk()?;
    let [first, _, l1, l2, _, _, f1, f2, _, protocol, _, _, s1, s2, s3, s4, d1, d2, d3, d4] = *header;
    let header_len = usize::from(first & 0x0f) * 4;
    let fragment = u16::from_be_bytes([f1, f2]) & 0x3fff != 0;
    if first >> 4 != 4 || header_len < IPV4_LEN || fragment {
        return None;
    }
    // A super-frame of more than 64 KB (Linux "BIG TCP") has a total length of zero.
    let end = match usize::from(u16::from_be_bytes([l1, l2])) {
        0 => frame.len(),
        total => ip + total,
    };
    let (src, dst) = (IpAddr::from([s1, s2, s3, s4]), IpAddr::from([d1, d2, d3, d4]));
    (end <= frame.len()).then_some(Network { ip, l4: ip + header_len, protocol, end, src, dst })
}

fn ipv6(frame: &[u8], ip: usize) -> Option<Network> {
    let header: &[u8; IPV6_LEN] = frame.get(ip..)?.first_chunk()?;
    let payload_len = usize::from(u16::from_be_bytes([header[4], header[5]]));
    // Zero would be a jumbogram (RFC 2675), whose option no segment may carry.
    if header[0] >> 4 != 6 || payload_len == 0 {
        return None;
    }
    let (mut protocol, mut l4) = (header[6], ip + IPV6_LEN);
    for _ in 0..MOST_EXTENSIONS {
        if !EXTENSIONS.contains(&protocol) {
            break;
        }
        let [following, units] = *frame.get(l4..)?.first_chunk()?;
        protocol = following;
        l4 += 8 * (1 + usize::from(units));
    }
    let end = ip + IPV6_LEN + payload_len;
    let address = |from: usize| -> Option<IpAddr> { Some(IpAddr::from(*header.get(from..)?.first_chunk::<16>()?)) };
    (end <= frame.len()).then_some(Network { ip, l4, protocol, end, src: address(8)?, dst: address(24)? })
}
