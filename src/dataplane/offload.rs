//! What senders left to their device, done in software: unfinished checksums and super-frames.
//!
//! Over a veth or a TAP a host's TCP arrives as frames of up to 64 KB with only the pseudo-header summed into the
//! checksum field. Where the path out is a device that takes such frames, they leave as they came. Everywhere else
//! [`finish`] completes the checksum and [`segments`] cuts the super-frame, as the sender's network card would have.

use transload_encaps::inner::{Ending, Extensions, Inner, IpPacket};
use transload_encaps::ip::{IPV6_LEN, TCP, TCP_CHECKSUM, TCP_LEN, UDP, UDP_LEN};
use transload_encaps::outer::{UDP_CHECKSUM, pseudo_header};
use transload_encaps::{Checksum, Common, DropReason, Frame, Gso, GsoKind, Meta, checksum, ethernet};

use crate::io::Pool;

/// TCP flags that belong to the end of a super-frame: FIN and PSH.
const LAST_ONLY: u8 = 0x01 | 0x08;
/// RFC 3168 §6.1.2: CWR is set on the first data packet after the window was reduced, and on no other.
const FIRST_ONLY: u8 = 0x80;

/// Completes a checksum that was left [`Partial`](Checksum::Partial), after which it is [`Valid`](Checksum::Valid).
///
/// A checksum in headers that were stripped meanwhile no longer exists: the state becomes `Unknown`.
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
    put16(covered, offset.into(), as_field(!sum, offset.into()))?;
    frame.meta.checksum = Checksum::Valid;
    Ok(())
}

/// RFC 768: in UDP a computed zero is sent as all ones, since zero means "none". UDP alone has its field there.
fn as_field(sum: u16, at: usize) -> u16 {
    if sum == 0 && at == usize::from(UDP_CHECKSUM) { 0xffff } else { sum }
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

/// Leaves a super-frame's checksum to a device that cuts it, which can only be told so of unfinished ones; those that a
/// receiver has joined may be finished. `None`, and the frame unchanged, if it cannot be cut or has no checksum.
#[must_use]
pub fn leave_to_device(frame: &mut Frame<'_>) -> Option<()> {
    if matches!(frame.meta.checksum, Checksum::Partial { .. }) {
        return Some(());
    }
    let Cut { packet: IpPacket { src, dst, protocol, end, .. }, l4, .. } =
        Cut::of(frame, frame.meta.gso?).filter(|cut| !cut.unsummed)?;
    let offset = if protocol == TCP { TCP_CHECKSUM as u16 } else { UDP_CHECKSUM };
    let start = frame.chunk_offset(l4);
    let sum = checksum::fold(pseudo_header(src, dst, protocol, end - l4));
    put16(frame.bytes_mut().get_mut(l4..)?, offset.into(), sum).ok()?;
    frame.meta.checksum = Checksum::Partial { start, offset };
    Some(())
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
    packet: IpPacket,
    /// Where the TCP or UDP header begins.
    l4: usize,
    /// A UDP sender that wants no checksum.
    unsummed: bool,
}

impl<'a> Cut<'a> {
    fn of(frame: &'a Frame<'_>, gso: Gso) -> Option<Self> {
        let bytes = frame.bytes();
        let packet = Inner::of(bytes)?.packet().filter(|packet| is_cuttable(packet, gso.kind))?;
        let IpPacket { end, protocol, .. } = packet;
        let l4 = packet.l4?;
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
        let no_sum = protocol == UDP && ethernet::be16(headers, l4 + usize::from(UDP_CHECKSUM))? == 0;
        let unsummed = no_sum && !matches!(frame.meta.checksum, Checksum::Partial { .. });
        (gso.size > 0).then_some(Self { headers, payload, size: gso.size.into(), packet, l4, unsummed })
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
        let at = self.packet.at;
        let len = bytes.len() - at;
        let header = bytes.get_mut(at..self.l4)?;
        if self.packet.src.is_ipv6() {
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
        let IpPacket { protocol, src, dst, .. } = self.packet;
        let l4 = bytes.get_mut(self.l4..)?;
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
            UDP_CHECKSUM.into()
        };
        if self.unsummed {
            return Some(());
        }
        put16(l4, checksum_at, 0).ok()?;
        let sum = !checksum::fold(checksum::add(pseudo_header(src, dst, protocol, len), l4));
        put16(l4, checksum_at, as_field(sum, checksum_at)).ok()
    }
}

/// Whether a packet is a whole one of the IP version that this kind of super-frame has, with nothing in it that its
/// segments cannot have too.
fn is_cuttable(packet: &IpPacket, kind: GsoKind) -> bool {
    let is_ipv4 = packet.src.is_ipv4();
    let is_kind = match kind {
        GsoKind::Tcp4 => is_ipv4,
        GsoKind::Tcp6 => !is_ipv4,
        GsoKind::Udp => true,
    };
    // Behind a routing header the checksum would cover another destination, and nobody offloads that. A jumbogram has
    // an option that no segment may carry (RFC 2675 §3).
    let is_whole = packet.ending == Ending::Stated || packet.ending == Ending::Open && is_ipv4;
    is_kind && is_whole && packet.fragment.is_none() && packet.extensions == Extensions::Options
}

fn tcp_len(l4: &[u8]) -> Option<usize> {
    let header: &[u8; TCP_LEN] = l4.first_chunk()?;
    let len = usize::from(header[12] >> 4) * 4;
    (TCP_LEN..=l4.len()).contains(&len).then_some(len)
}
