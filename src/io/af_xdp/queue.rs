//! One queue of a device: an XDP socket, its four rings, and the chunks it is lent.
//!
//! ```text
//!             fill ──► kernel ──► receive         chunks to receive into, frames received
//!             send ──► kernel ──► completion      frames to send, chunks that have been sent
//! ```
//!
//! A chunk is the socket's from the moment it is put into a ring until its address comes back by the other. All that
//! time it is held here, by the granule it lies in, and nobody can touch it: the kernel's addresses are only keys.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rustix::io::Errno;
use rustix::net::xdp::{
    XDP_PGOFF_RX_RING, XDP_PGOFF_TX_RING, XDP_UMEM_PGOFF_COMPLETION_RING, XDP_UMEM_PGOFF_FILL_RING, XdpDesc,
    XdpDescOptions, XdpStatistics,
};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with, sockopt};
use transload_encaps::Frame;

use super::ring::{Consumer, Producer};
use super::umem::{Transfer, Umem};
use crate::io::{Pool, Sent, sys};

/// Frames that may wait to be received, and chunks lent for that: what comes while a worker sees to other ports, or the
/// machine to something else, lies here.
pub(super) const RECEIVE_RING: u32 = 2048;
/// Frames that may wait to be sent.
pub(super) const SEND_RING: u32 = 1024;
/// The kernel says only now and then how many chunks it has taken; what it keeps quiet about must not leave it without.
const FILL_RING: u32 = 2 * RECEIVE_RING;
/// `XDP_MAX_TX_SKB_BUDGET`: how many frames the kernel copies and sends a call. Since Linux 6.17; before, 32.
const MAX_TX_BUDGET: i32 = 9;
/// Most pieces of one frame: what a kernel with the smallest pages takes.
const MOST_PIECES: usize = 17;

/// One queue of a device.
#[derive(Debug)]
pub(super) struct Queue<'mem> {
    socket: Arc<OwnedFd>,
    /// Its number on the device.
    number: u32,
    umem: Arc<Umem<'mem>>,
    rings: Rings,
    /// By granule: the chunk that the kernel has, of a frame to send by its last granule.
    held: Box<[Option<&'mem mut [u8]>]>,
    /// How many chunks are lent for receiving.
    lent: u32,
    joining: Joining<'mem>,
    /// How many frames found no long chunk for their pieces, or were longer than one.
    lost: u64,
    /// The last kick found the device down.
    down: bool,
}

#[derive(Debug)]
struct Rings {
    fill: Producer<u64>,
    completion: Consumer<u64>,
    receive: Consumer<XdpDesc>,
    send: Producer<XdpDesc>,
}

/// A frame that has not come whole yet.
#[derive(Debug)]
enum Joining<'mem> {
    /// The next piece begins a frame.
    Nothing,
    /// The next piece goes on with this one.
    Frame(Frame<'mem>),
    /// The next piece belongs to a frame that is lost.
    Lost,
}

/// Why a frame is not sent.
enum Refusal {
    Busy,
    TooBig,
}

pub(super) fn open() -> io::Result<OwnedFd> {
    Ok(socket_with(AddressFamily::XDP, SocketType::RAW, SocketFlags::CLOEXEC, None)?)
}

impl Rings {
    fn map(socket: &OwnedFd) -> io::Result<Self> {
        sockopt::set_xdp_umem_fill_ring_size(socket, FILL_RING)?;
        sockopt::set_xdp_umem_completion_ring_size(socket, SEND_RING)?;
        sockopt::set_xdp_rx_ring_size(socket, RECEIVE_RING)?;
        sockopt::set_xdp_tx_ring_size(socket, SEND_RING)?;
        let offsets = sockopt::xdp_mmap_offsets(socket)?;
        let socket = socket.as_fd();
        Ok(Self {
            fill: Producer::map(socket, &offsets.fr, XDP_UMEM_PGOFF_FILL_RING, FILL_RING)?,
            completion: Consumer::map(socket, &offsets.cr, XDP_UMEM_PGOFF_COMPLETION_RING, SEND_RING)?,
            receive: Consumer::map(socket, &offsets.rx, XDP_PGOFF_RX_RING, RECEIVE_RING)?,
            send: Producer::map(socket, &offsets.tx, XDP_PGOFF_TX_RING, SEND_RING)?,
        })
    }
}

impl<'mem> Queue<'mem> {
    /// Binds a socket to a queue of a device. Nothing arrives before a redirect program aims at it.
    pub(super) fn bind(umem: &Arc<Umem<'mem>>, ifindex: u32, number: u32, transfer: Transfer) -> io::Result<Self> {
        let (socket, rings) = umem.bind(ifindex, number, transfer, open, Rings::map)?;
        // Older kernels do not know the option, and are called more often.
        let _ = sys::set_xdp_option(socket.as_fd(), MAX_TX_BUDGET, SEND_RING);
        Ok(Self {
            socket,
            number,
            rings,
            held: (0..umem.granules()).map(|_| None).collect(),
            umem: umem.clone(),
            lent: 0,
            joining: Joining::Nothing,
            lost: 0,
            down: false,
        })
    }

    pub(super) fn socket(&self) -> &OwnedFd {
        &self.socket
    }

    /// Its number on the device.
    pub(super) const fn number(&self) -> u32 {
        self.number
    }

    /// Lends the kernel chunks to receive into, until its ring is full or the pool is short of them.
    #[inline]
    pub(super) fn lend(&mut self, pool: &mut Pool<'mem>) {
        let before = self.lent;
        while self.lent < RECEIVE_RING && self.rings.fill.has_room(1) {
            let Some(chunk) = pool.take_short() else { break };
            match self.hold(chunk) {
                Ok(address) => self.rings.fill.put(address),
                Err(chunk) => {
                    pool.put_chunk(chunk);
                    break;
                }
            }
            self.lent += 1;
        }
        if self.lent != before {
            self.rings.fill.publish();
        }
        if self.rings.fill.needs_wakeup() {
            // Whatever it answers, it has looked at the ring.
            let _ = recv(self.socket.as_fd(), &mut [0_u8; 0], RecvFlags::DONTWAIT);
        }
    }

    /// Holds a chunk of one granule for the kernel; gives it back if it is none of this memory's.
    #[inline]
    fn hold(&mut self, chunk: &'mem mut [u8]) -> Result<u64, &'mem mut [u8]> {
        let address = self.umem.place(chunk);
        let slot = address.and_then(|address| self.held.get_mut((address / u64::from(self.umem.granule())) as usize));
        match (address, slot) {
            (Some(address), Some(slot)) => {
                *slot = Some(chunk);
                Ok(address)
            }
            _ => Err(chunk),
        }
    }

    /// Takes the chunk at this address back from the kernel. Returns it, and how many bytes behind its beginning the
    /// address is.
    #[inline]
    fn release(&mut self, address: u64) -> Option<(&'mem mut [u8], usize)> {
        let granule = u64::from(self.umem.granule());
        let chunk = self.held.get_mut((address / granule) as usize)?.take()?;
        Some((chunk, (address % granule) as usize))
    }

    /// Takes frames that have arrived, until `burst` has `most`.
    #[inline]
    pub(super) fn receive(&mut self, pool: &mut Pool<'mem>, burst: &mut Vec<Frame<'mem>>, most: usize) {
        let before = self.lent;
        while burst.len() < most {
            let Some(piece) = self.rings.receive.take() else { break };
            self.lent = self.lent.saturating_sub(1);
            let Some((chunk, at)) = self.release(piece.addr) else { continue };
            let mut frame = Frame::new(chunk);
            frame.reset(at);
            frame.set_len(piece.len as usize);
            let is_last = !piece.options.contains(XdpDescOptions::XDP_PKT_CONTD);
            if is_last && matches!(self.joining, Joining::Nothing) {
                burst.push(frame);
            } else if let Some(whole) = self.join(frame, is_last, pool) {
                burst.push(whole);
            }
        }
        if self.lent != before {
            self.rings.receive.release();
        }
    }

    /// Joins the pieces of a frame in one long chunk. Gives it back once it is whole.
    #[cold]
    fn join(&mut self, piece: Frame<'mem>, is_last: bool, pool: &mut Pool<'mem>) -> Option<Frame<'mem>> {
        let joined = match std::mem::replace(&mut self.joining, Joining::Lost) {
            Joining::Nothing => pool.take(piece.headroom()),
            Joining::Frame(frame) => Some(frame),
            Joining::Lost => None,
        };
        let joined = joined.and_then(|mut frame| {
            let fits = frame.append(piece.bytes());
            if fits {
                return Some(frame);
            }
            pool.put(frame);
            None
        });
        pool.put(piece);
        match (joined, is_last) {
            (whole, true) => {
                self.joining = Joining::Nothing;
                self.lost += u64::from(whole.is_none());
                return whole;
            }
            (Some(frame), false) => self.joining = Joining::Frame(frame),
            (None, false) => {}
        }
        None
    }

    /// Takes back the chunks of frames that have been sent.
    #[inline]
    pub(super) fn reap(&mut self, pool: &mut Pool<'mem>) {
        let mut any = false;
        while let Some(address) = self.rings.completion.take() {
            any = true;
            if let Some((chunk, _)) = self.release(address) {
                pool.put_chunk(chunk);
            }
        }
        if any {
            self.rings.completion.release();
        }
    }

    /// Sends these frames.
    #[inline]
    pub(super) fn send(&mut self, pool: &mut Pool<'mem>, frames: &mut Vec<Frame<'mem>>) -> Sent {
        let mut sent = Sent::default();
        self.reap(pool);
        if self.down && self.rings.send.untaken() > 0 {
            // The device may be up again. If not, what waits is old enough.
            self.kick();
            if self.down {
                sent.down += frames.len() as u32;
                frames.drain(..).for_each(|frame| pool.put(frame));
                return sent;
            }
        }
        for frame in frames.drain(..) {
            let len = frame.len() as u64;
            match self.queue(frame) {
                Ok(()) => {
                    sent.frames += 1;
                    sent.bytes += len;
                }
                Err((frame, refusal)) => {
                    pool.put(frame);
                    match refusal {
                        Refusal::Busy => sent.busy += 1,
                        Refusal::TooBig => sent.too_big += 1,
                    }
                }
            }
        }
        self.rings.send.publish();
        self.kick();
        sent
    }

    /// Writes a frame into the ring: as it lies, in as many pieces as it touches granules.
    #[inline]
    fn queue(&mut self, frame: Frame<'mem>) -> Result<(), (Frame<'mem>, Refusal)> {
        let granule = u64::from(self.umem.granule());
        let len = frame.len() as u64;
        let Some(first) = self.umem.place(frame.bytes()).filter(|_| len > 0) else {
            return Err((frame, Refusal::TooBig));
        };
        let last = (first + len - 1) / granule;
        let pieces = (last - first / granule + 1) as usize;
        if pieces > 1 && (!self.umem.frags() || pieces > MOST_PIECES) {
            return Err((frame, Refusal::TooBig));
        }
        if !self.rings.send.has_room(pieces as u32) {
            return Err((frame, Refusal::Busy));
        }
        let (mut addr, end) = (first, first + len);
        while addr < end {
            let next = ((addr / granule + 1) * granule).min(end);
            let options = if next < end { XdpDescOptions::XDP_PKT_CONTD } else { XdpDescOptions::empty() };
            self.rings.send.put(XdpDesc { addr, len: (next - addr) as u32, options });
            addr = next;
        }
        if let Some(slot) = self.held.get_mut(last as usize) {
            *slot = Some(frame.into_chunk());
        }
        Ok(())
    }

    /// Wakes the kernel to send what is in the ring, if it asks for that.
    #[inline]
    pub(super) fn kick(&mut self) {
        if !self.rings.send.needs_wakeup() {
            return;
        }
        let mut left = self.rings.send.untaken();
        while left > 0 {
            match send(self.socket.as_fd(), &[], SendFlags::DONTWAIT) {
                Ok(_) => {
                    self.down = false;
                    self.rings.send.untaken();
                    return;
                }
                // It has sent as much as it does at once, or can do no more now.
                Err(Errno::AGAIN) => self.down = false,
                Err(Errno::NETDOWN | Errno::NXIO | Errno::NODEV) => {
                    self.down = true;
                    return;
                }
                // Later: the next breath kicks again.
                Err(_) => return,
            }
            let before = std::mem::replace(&mut left, self.rings.send.untaken());
            if left >= before {
                return;
            }
        }
    }

    /// Whether something is still to be sent that the kernel has not looked at.
    #[inline]
    pub(super) fn is_waiting(&mut self) -> bool {
        self.rings.send.untaken() > 0
    }

    /// Whether the kernel could send no more when it was last woken; it does not report when it can again.
    pub(super) const fn is_stuck(&self) -> bool {
        self.rings.send.was_untaken() && !self.down
    }

    /// How many frames came in pieces and could not be joined.
    pub(super) const fn lost(&self) -> u64 {
        self.lost
    }

    /// What the kernel has counted.
    pub(super) fn statistics(&self) -> io::Result<XdpStatistics> {
        Ok(sockopt::xdp_statistics(&*self.socket)?)
    }

    /// Closes the socket and gives every chunk back.
    pub(super) fn close(self, pool: &mut Pool<'mem>) {
        let Self { socket, umem, rings, held, joining, .. } = self;
        drop(rings);
        umem.close(socket);
        held.into_iter().flatten().for_each(|chunk| pool.put_chunk(chunk));
        if let Joining::Frame(frame) = joining {
            pool.put(frame);
        }
    }
}
