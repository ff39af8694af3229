//! One frame: a chunk of memory, a window into it, and what the port knew about the bytes.
//!
//! ```text
//! | headroom            | the frame's bytes            | tailroom        |
//! 0                     start                          end           chunk
//! ```
//!
//! Decapsulation moves `start` right, encapsulation moves it left; the payload never moves. A frame borrows its
//! chunk for the arena's whole life, so holding a frame *is* owning the memory: no count, no lock.

use crate::drops::{Common, DropReason};
use crate::ethernet::TAG_LEN;

/// What is known about a checksum inside the frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Checksum {
    /// Nothing: whoever relies on it must verify it.
    #[default]
    Unknown,
    /// Verified by the device or the kernel.
    Valid,
    /// Left unfinished by a sender that counts on its device: the one's complement sum of everything from `start`
    /// to the end of the frame, plus what the field already holds, belongs into the field at `start + offset`.
    /// The outer checksums before it are then not to be trusted either way.
    Partial {
        /// Where the sum starts, counted from the beginning of the chunk, so that it survives pushes and pulls.
        start: u32,
        /// Where the checksum field is, counted from `start`.
        offset: u16,
    },
}

/// How an offloading sender wants its super-frame cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GsoKind {
    /// TCP over IPv4.
    Tcp4,
    /// TCP over IPv6.
    Tcp6,
    /// UDP datagrams of equal size (`UDP_SEGMENT`), over either IP.
    Udp,
}

/// A super-frame: many segments that travel as one until somebody has to cut them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gso {
    /// What the segments are.
    pub kind: GsoKind,
    /// Payload bytes of each segment but the last.
    pub size: u16,
}

/// The priority of a VLAN tag: PCP and DEI, as the upper four bits of the tag control information.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Priority(u8);

impl Priority {
    /// Out of a tag control information.
    #[must_use]
    pub const fn of_tci(tci: u16) -> Self {
        Self((tci >> 12) as u8)
    }

    /// The four bits where a tag control information has them.
    #[must_use]
    pub const fn to_tci(self) -> u16 {
        (self.0 as u16) << 12
    }
}

/// What the port, or a stage before, knew about the frame beyond its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Meta {
    /// The innermost checksum that somebody vouches for or left unfinished.
    pub checksum: Checksum,
    /// Set when the frame is a super-frame.
    pub gso: Option<Gso>,
    /// The priorities of the tags a decapsulation took off: outer first.
    pub priorities: [Option<Priority>; 2],
    /// Set when the port, or a capture, holds only the beginning of the frame.
    pub cut: bool,
}

impl Meta {
    /// Whether a frame is one packet, with nothing left for a device to finish.
    #[must_use]
    #[inline]
    pub const fn is_plain(&self) -> bool {
        self.gso.is_none() && !matches!(self.checksum, Checksum::Partial { .. })
    }
}

/// One frame and the chunk it lives in.
#[derive(Debug)]
pub struct Frame<'mem> {
    chunk: &'mem mut [u8],
    start: u32,
    end: u32,
    /// What is known beyond the bytes.
    pub meta: Meta,
}

impl<'mem> Frame<'mem> {
    /// An empty frame at the beginning of a chunk.
    #[must_use]
    #[inline]
    pub fn new(chunk: &'mem mut [u8]) -> Self {
        Self { chunk, start: 0, end: 0, meta: Meta::default() }
    }

    /// The chunk back, for the pool.
    #[must_use]
    #[inline]
    pub fn into_chunk(self) -> &'mem mut [u8] {
        self.chunk
    }

    /// Empties the frame, so that its first byte will be at `headroom`, and forgets what was known about it.
    #[inline]
    pub fn reset(&mut self, headroom: usize) {
        let at = headroom.min(self.chunk.len()) as u32;
        (self.start, self.end, self.meta) = (at, at, Meta::default());
    }

    /// Everything from the frame's first byte to the end of the chunk, for a port to receive into;
    /// [`set_len`](Self::set_len) then says how much came.
    #[inline]
    pub fn space(&mut self) -> &mut [u8] {
        self.chunk.get_mut(self.start as usize..).unwrap_or_default()
    }

    /// Says how long the frame is. Longer than the chunk allows is cut to what fits.
    #[inline]
    pub fn set_len(&mut self, len: usize) {
        self.end = (self.start as usize + len).min(self.chunk.len()) as u32;
    }

    /// Adds these bytes at the end. False, and the frame unchanged, if they do not fit the chunk.
    #[must_use]
    pub fn append(&mut self, bytes: &[u8]) -> bool {
        let end = self.end as usize;
        let Some(room) = self.chunk.get_mut(end..end + bytes.len()) else { return false };
        room.copy_from_slice(bytes);
        self.end += bytes.len() as u32;
        true
    }

    /// Takes over these bytes after `headroom`. False, and an empty frame, if they do not fit.
    #[must_use]
    #[inline]
    pub fn fill(&mut self, headroom: usize, bytes: &[u8]) -> bool {
        self.reset(headroom);
        let fits = match self.space().get_mut(..bytes.len()) {
            Some(room) => {
                room.copy_from_slice(bytes);
                true
            }
            None => false,
        };
        self.set_len(if fits { bytes.len() } else { 0 });
        fits
    }

    /// Becomes a copy of `other`, with the same headroom. False, and an empty frame, if this chunk is smaller.
    #[must_use]
    #[inline]
    pub fn copy_from(&mut self, other: &Frame<'_>) -> bool {
        let fits = self.fill(other.start as usize, other.bytes());
        self.meta = other.meta;
        fits
    }

    /// The frame's bytes.
    #[must_use]
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        self.chunk.get(self.start as usize..self.end as usize).unwrap_or_default()
    }

    /// The frame's bytes, to change.
    #[must_use]
    #[inline]
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        self.chunk.get_mut(self.start as usize..self.end as usize).unwrap_or_default()
    }

    /// The chunk from this place on to the end of the frame. In front of the frame it has the headers that were taken off,
    /// as far as nothing was written over them; or what an earlier frame has left there.
    #[must_use]
    pub fn bytes_from(&self, chunk_offset: usize) -> &[u8] {
        self.chunk.get(chunk_offset..self.end as usize).unwrap_or_default()
    }

    /// How many bytes the frame has.
    #[must_use]
    #[inline]
    pub const fn len(&self) -> usize {
        (self.end - self.start) as usize
    }

    /// Whether the frame has no bytes.
    #[must_use]
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.end == self.start
    }

    /// How many bytes may be pushed.
    #[must_use]
    #[inline]
    pub const fn headroom(&self) -> usize {
        self.start as usize
    }

    /// Takes `N` bytes off the front.
    ///
    /// # Errors
    /// `Truncated`, and the frame unchanged, when it is shorter.
    #[inline]
    pub fn pull<const N: usize>(&mut self) -> Result<[u8; N], DropReason> {
        let head = *self.bytes().first_chunk::<N>().ok_or(Common::Truncated)?;
        self.start += N as u32;
        Ok(head)
    }

    /// Takes `n` bytes off the front.
    ///
    /// # Errors
    /// `Truncated`, and the frame unchanged, when it is shorter.
    #[inline]
    pub fn advance(&mut self, n: usize) -> Result<(), DropReason> {
        if n > self.len() {
            return Err(Common::Truncated.into());
        }
        self.start += n as u32;
        Ok(())
    }

    /// Keeps what lies between two offsets; behind the frame's end there is nothing to keep.
    ///
    /// # Errors
    /// `Truncated`, and the frame unchanged, when `from` lies behind that.
    #[inline]
    pub fn narrow(&mut self, from: usize, to: usize) -> Result<(), DropReason> {
        let to = to.min(self.len());
        if from > to {
            return Err(Common::Truncated.into());
        }
        (self.start, self.end) = (self.start + from as u32, self.start + to as u32);
        Ok(())
    }

    /// Puts `n` bytes of unspecified content in front and returns them.
    ///
    /// # Errors
    /// `NoHeadroom`, and the frame unchanged, when the port reserved less.
    #[inline]
    pub fn push(&mut self, n: usize) -> Result<&mut [u8], DropReason> {
        let start = (self.start as usize).checked_sub(n).ok_or(Common::NoHeadroom)?;
        let old = self.start as usize;
        self.start = start as u32;
        Ok(self.chunk.get_mut(start..old).unwrap_or_default())
    }

    /// Puts these bytes in front.
    ///
    /// # Errors
    /// `NoHeadroom`, and the frame unchanged, when the port reserved less.
    #[inline]
    pub fn prepend<const N: usize>(&mut self, header: &[u8; N]) -> Result<(), DropReason> {
        self.push(N)?.copy_from_slice(header);
        Ok(())
    }

    /// Puts the last `len` of these bytes in front and returns all of them; the first ones stay in the headroom. It is
    /// quicker than to [`push`](Self::push) so many, since `N` is known beforehand.
    ///
    /// # Errors
    /// `NoHeadroom`, and the frame unchanged, when the port reserved less than `N`.
    #[inline]
    pub fn prepend_last<const N: usize>(&mut self, bytes: &[u8; N], len: usize) -> Result<&mut [u8; N], DropReason> {
        let room = self.chunk.get_mut(..self.start as usize).unwrap_or_default();
        let place = room.last_chunk_mut().ok_or(Common::NoHeadroom)?;
        *place = *bytes;
        self.start -= len.min(N) as u32;
        Ok(place)
    }

    /// Cuts the frame to `len` bytes, as Ethernet padding asks; longer than it is changes nothing.
    #[inline]
    pub fn truncate(&mut self, len: usize) {
        self.end = self.end.min(self.start.saturating_add(len as u32));
    }

    /// Where this offset of the frame is in its chunk, as [`Checksum::Partial`] counts.
    #[must_use]
    #[inline]
    pub const fn chunk_offset(&self, at: usize) -> u32 {
        self.start + at as u32
    }

    /// Where this place of the chunk is in the frame, if the frame has not been pulled past it.
    #[must_use]
    #[inline]
    pub fn frame_offset(&self, chunk_offset: u32) -> Option<usize> {
        Some(chunk_offset.checked_sub(self.start)? as usize).filter(|&at| at <= self.len())
    }

    /// Takes off the tag behind the MAC addresses and returns its type and control information.
    ///
    /// # Errors
    /// `Truncated` when there is no room for a tag.
    #[inline]
    pub fn pop_tag(&mut self) -> Result<(u16, u16), DropReason> {
        let head: &mut [u8; 16] = self.bytes_mut().first_chunk_mut().ok_or(Common::Truncated)?;
        let tag = (u16::from_be_bytes([head[12], head[13]]), u16::from_be_bytes([head[14], head[15]]));
        head.copy_within(..12, TAG_LEN);
        self.start += TAG_LEN as u32;
        Ok(tag)
    }

    /// Puts a tag behind the MAC addresses.
    ///
    /// # Errors
    /// `NoHeadroom` or `Truncated`, and the frame unchanged.
    #[inline]
    pub fn push_tag(&mut self, tpid: u16, tci: u16) -> Result<(), DropReason> {
        if self.len() < 12 {
            return Err(Common::Truncated.into());
        }
        self.push(TAG_LEN)?;
        if let Some(head) = self.bytes_mut().first_chunk_mut::<16>() {
            head.copy_within(TAG_LEN.., 0);
            [head[12], head[13]] = tpid.to_be_bytes();
            [head[14], head[15]] = tci.to_be_bytes();
        }
        Ok(())
    }
}
