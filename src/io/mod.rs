//! Ports: where frames come from and go to, whatever moves them.
//!
//! A port is synchronous and shaped in bursts. It takes chunks from the worker's pool, reserves
//! [`HEADROOM`](transload_encaps::HEADROOM) in front of every frame it receives, says what it knows of checksums and
//! offloads, and gives chunks back once they are sent.

pub mod af_packet;
pub mod af_xdp;
pub mod arena;
pub mod echo;
mod ethtool;
mod gso;
pub mod heap;
pub mod huge;
pub mod icmp;
mod ingress;
mod ip_device;
pub mod link_layer;
pub mod memory;
pub mod multicast;
pub mod open;
pub mod pcap;
pub mod quiet;
pub mod rights;
pub mod swappable;
mod sys;
pub mod tap;
pub mod unix;
mod vnet;

pub use ethtool::left_to_device;
pub use link_layer::LinkLayer;
pub use open::{Backend, OpenError, Opened, Xdp, open};
pub use sys::prefetch;

use std::io;
use std::os::fd::BorrowedFd;

use rustix::io::Errno;
use transload_encaps::{Common, Frame};

/// What a port can do that the pipeline would otherwise do in software.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Caps {
    /// Takes frames whose checksum is [`Partial`](transload_encaps::Checksum::Partial).
    pub checksum: bool,
    /// Takes super-frames whole.
    pub gso: bool,
    /// Takes tunnel packets whose outer UDP checksum is partial: it is complete before anybody sees it who did not
    /// ask for such packets.
    pub outer_checksum: bool,
}

/// What is said of a device that is down or gone, of a TAP that nobody holds, and of a Unix socket that nobody listens to;
/// all other errors are those of one frame.
const DOWN: [Errno; 11] = [
    Errno::NETDOWN,
    Errno::NXIO,
    Errno::NODEV,
    Errno::IO,
    Errno::BADFD,
    Errno::NOENT,
    Errno::CONNREFUSED,
    Errno::CONNRESET,
    Errno::DESTADDRREQ,
    Errno::NOTCONN,
    Errno::PIPE,
];

/// What became of a burst that was handed to a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sent {
    /// Number of frames that the device took.
    pub frames: u32,
    /// Number of their bytes.
    pub bytes: u64,
    /// Frames the port had no room for.
    pub busy: u32,
    /// Frames that could not be sent because the port is down or gone.
    pub down: u32,
    /// Frames longer than the port carries.
    pub too_big: u32,
    /// Frames that the kernel does not take, whatever they were; the port goes on.
    pub refused: u32,
}

impl Sent {
    /// What was sent since the count stood at `before`.
    #[must_use]
    pub const fn since(self, before: Self) -> Self {
        Self {
            frames: self.frames.wrapping_sub(before.frames),
            bytes: self.bytes.wrapping_sub(before.bytes),
            busy: self.busy.wrapping_sub(before.busy),
            down: self.down.wrapping_sub(before.down),
            too_big: self.too_big.wrapping_sub(before.too_big),
            refused: self.refused.wrapping_sub(before.refused),
        }
    }

    /// Counts frames that could not be sent for this reason.
    pub(crate) fn refuse(&mut self, frames: u32, error: Errno) {
        match error {
            Errno::AGAIN | Errno::NOBUFS | Errno::NOMEM | Errno::INTR => self.busy += frames,
            Errno::MSGSIZE => self.too_big += frames,
            error if DOWN.contains(&error) => self.down += frames,
            _ => self.refused += frames,
        }
    }
}

/// A port, by whatever back-end.
pub type BoxedPort<'mem> = Box<dyn Port<'mem> + 'mem>;

/// A port with an I/O back-end.
pub trait Port<'mem>: Send {
    /// Has frames arrive from now on, where that takes chunks in advance: what comes before the first
    /// [`rx_burst`](Self::rx_burst) waits for it. A port that was not started is by its first burst.
    ///
    /// # Errors
    /// When the system refuses it.
    fn start(&mut self, _pool: &mut Pool<'mem>) -> io::Result<()> {
        Ok(())
    }

    /// Receives at most `limit` frames, appending them to `burst`, without waiting.
    ///
    /// # Errors
    /// When the device is gone or broken; frames received before that are in `burst`. The worker goes on with the
    /// other ports and tries again later.
    fn rx_burst(&mut self, pool: &mut Pool<'mem>, burst: &mut Vec<Frame<'mem>>, limit: usize) -> io::Result<()>;

    /// Sends these frames, without waiting, and leaves `frames` empty: every chunk goes back to the pool, now or
    /// when the device is done with it.
    fn tx_burst(&mut self, pool: &mut Pool<'mem>, frames: &mut Vec<Frame<'mem>>) -> Sent;

    /// What the port can do by itself.
    fn caps(&self) -> Caps {
        Caps::default()
    }

    /// What to poll for received frames; `None` for a port that is never waited on.
    fn readable(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// Whether frames wait in the device for somebody to try again, which nothing [`readable`](Self::readable) tells.
    fn is_stuck(&self) -> bool {
        false
    }

    /// How many frames arrived at the port and were lost before [`rx_burst`](Self::rx_burst) could hand them over,
    /// since the port was opened: its queue was full, or they were longer than a chunk. What an XDP socket's kernel
    /// refuses as no frame of its memory, received or to be sent, counts too.
    fn kernel_drops(&mut self) -> u64 {
        0
    }

    /// What arrived at the port since this was asked last, and was not handed over since a filter of its own had left it
    /// to the machine's stack, or dropped it: by reasons of the classify stage.
    fn filtered(&mut self) -> &[Filtered] {
        &[]
    }

    /// Closes the port for good, and puts every chunk that the device still has back into the pool.
    fn close(&mut self, _pool: &mut Pool<'mem>) {}
}

/// Frames that a port's own filter did not hand over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Filtered {
    /// Why not.
    pub reason: Common,
    /// How many they were.
    pub frames: u64,
    /// How many bytes they had.
    pub bytes: u64,
}

/// The chunks of a worker's arena that are free: long ones that take a super-frame, and, where the arena is cut so,
/// short ones for everything else.
#[derive(Debug)]
pub struct Pool<'mem> {
    long: Vec<&'mem mut [u8]>,
    short: Vec<&'mem mut [u8]>,
    /// Bytes of a short chunk; 0 where there are none.
    short_len: usize,
}

impl<'mem> Pool<'mem> {
    /// Cuts an arena into chunks of `chunk_len` bytes; a rest shorter than that is left unused.
    #[must_use]
    pub fn new(arena: &'mem mut [u8], chunk_len: usize) -> Self {
        Self { long: chunks(arena, chunk_len), short: Vec::new(), short_len: 0 }
    }

    /// Cuts two arenas, one into long chunks and one into short ones.
    #[must_use]
    pub(crate) fn of_two(long: &'mem mut [u8], long_len: usize, short: &'mem mut [u8], short_len: usize) -> Self {
        Self { long: chunks(long, long_len), short: chunks(short, short_len), short_len }
    }

    /// An empty frame behind `headroom` in a free chunk, a long one.
    #[inline]
    pub fn take(&mut self, headroom: usize) -> Option<Frame<'mem>> {
        let mut frame = Frame::new(self.long.pop()?);
        frame.reset(headroom);
        Some(frame)
    }

    /// An empty frame behind `headroom` in a free chunk, a short one if there are such and `len` bytes fit it.
    #[inline]
    pub fn take_for(&mut self, headroom: usize, len: usize) -> Option<Frame<'mem>> {
        let chunk = if headroom + len <= self.short_len { self.short.pop() } else { None };
        let mut frame = Frame::new(chunk.or_else(|| self.long.pop())?);
        frame.reset(headroom);
        Some(frame)
    }

    /// A free short chunk.
    #[inline]
    pub(crate) fn take_short(&mut self) -> Option<&'mem mut [u8]> {
        self.short.pop()
    }

    /// The same frame in a short chunk, if there are such, one is free, and it fits there. What is in front of it goes with
    /// it: the headers that were taken off, and not those of whatever frame had that chunk before.
    pub fn slim(&mut self, frame: Frame<'mem>) -> Frame<'mem> {
        let (headroom, len) = (frame.headroom(), frame.len());
        if headroom + len > self.short_len {
            return frame;
        }
        let Some(mut slim) = self.short.pop().map(Frame::new) else { return frame };
        let is_same = slim.fill(0, frame.bytes_from(0)) && slim.narrow(headroom, headroom + len).is_ok();
        slim.meta = frame.meta;
        let (kept, free) = if is_same { (slim, frame) } else { (frame, slim) };
        self.put(free);
        kept
    }

    /// Takes a frame's chunk back.
    #[inline]
    pub fn put(&mut self, frame: Frame<'mem>) {
        self.put_chunk(frame.into_chunk());
    }

    /// Takes a chunk back.
    #[inline]
    pub(crate) fn put_chunk(&mut self, chunk: &'mem mut [u8]) {
        if chunk.len() > self.short_len { self.long.push(chunk) } else { self.short.push(chunk) }
    }

    /// How many chunks are free.
    #[must_use]
    pub fn free(&self) -> usize {
        self.long.len() + self.short.len()
    }

    /// How many chunks are free that take so many bytes behind `headroom`.
    #[must_use]
    pub fn free_for(&self, headroom: usize, len: usize) -> usize {
        if headroom + len <= self.short_len { self.free() } else { self.long.len() }
    }
}

/// The chunks of an arena, the last one first, so that the first one is handed out first.
fn chunks(arena: &mut [u8], len: usize) -> Vec<&mut [u8]> {
    let mut chunks: Vec<_> = arena.chunks_exact_mut(len.max(1)).collect();
    chunks.reverse();
    chunks
}
