//! A TAP: a network device of this machine whose wire is the gateway.
//!
//! The machine's side leaves checksums and segmentation to us, as it would to a network card; the virtio-net header
//! in front of each frame says so, both ways.

use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;

use rustix::fs::OFlags;
use rustix::io::{Errno, readv, writev};
use transload_encaps::{Frame, HEADROOM};

use super::{Caps, Pool, Port, Sent, sys, vnet};

/// What the machine's side may leave to us: checksums, TCP segmentation with ECN, and UDP segmentation.
const OFFLOADS: u32 = libc::TUN_F_CSUM | libc::TUN_F_TSO4 | libc::TUN_F_TSO6 | libc::TUN_F_TSO_ECN;
/// Since Linux 6.2.
const UDP_OFFLOADS: u32 = libc::TUN_F_USO4 | libc::TUN_F_USO6;

/// One worker's queue of a TAP. The device is gone with the last one, unless it was made persistent before.
#[derive(Debug)]
pub struct TapPort {
    queue: File,
}

impl TapPort {
    /// Creates a TAP of this name, or joins one that is there, brings it up, and opens a queue per worker.
    ///
    /// # Errors
    /// Without the right (`CAP_NET_ADMIN`), without `/dev/net/tun`, or when the name belongs to something else.
    pub fn open(name: &str, workers: usize) -> io::Result<Vec<Self>> {
        let queues = (0..workers.max(1)).map(|_| Self::queue(name, workers > 1)).collect::<io::Result<_>>()?;
        sys::bring_up(name)?;
        Ok(queues)
    }

    fn queue(name: &str, one_of_many: bool) -> io::Result<Self> {
        let flags = OFlags::NONBLOCK.bits().cast_signed();
        let queue = OpenOptions::new().read(true).write(true).custom_flags(flags).open("/dev/net/tun")?;
        sys::attach_tap(queue.as_fd(), name, one_of_many)?;
        if sys::set_tap_offloads(queue.as_fd(), OFFLOADS | UDP_OFFLOADS).is_err() {
            sys::set_tap_offloads(queue.as_fd(), OFFLOADS)?;
        }
        Ok(Self { queue })
    }

    /// Receives one frame.
    fn receive(&self, frame: &mut Frame<'_>) -> Result<(), Errno> {
        let mut header = [0; vnet::LEN];
        let space = frame.space();
        let room = space.len();
        let len = readv(&self.queue, &mut [IoSliceMut::new(&mut header), IoSliceMut::new(space)])?;
        let len = len.saturating_sub(vnet::LEN);
        frame.set_len(len);
        vnet::apply(header, frame);
        // The kernel cuts to what fits without a word, so a full chunk is taken for a cut frame.
        frame.meta.cut = len >= room;
        Ok(())
    }

    fn send(&self, frame: &Frame<'_>) -> Result<usize, Errno> {
        writev(&self.queue, &[IoSlice::new(&vnet::of(frame)), IoSlice::new(frame.bytes())])
    }
}

impl<'mem> Port<'mem> for TapPort {
    fn rx_burst(&mut self, pool: &mut Pool<'mem>, burst: &mut Vec<Frame<'mem>>, limit: usize) -> io::Result<()> {
        for _ in 0..limit {
            let Some(mut frame) = pool.take(HEADROOM) else { break };
            match self.receive(&mut frame) {
                Ok(()) if !frame.is_empty() => burst.push(frame),
                Ok(()) => pool.put(frame),
                Err(error) => {
                    pool.put(frame);
                    return if matches!(error, Errno::AGAIN | Errno::INTR) { Ok(()) } else { Err(error.into()) };
                }
            }
        }
        Ok(())
    }

    fn tx_burst(&mut self, pool: &mut Pool<'mem>, frames: &mut Vec<Frame<'mem>>) -> Sent {
        let mut sent = Sent::default();
        for frame in frames.drain(..) {
            match self.send(&frame) {
                Ok(_) => {
                    sent.frames += 1;
                    sent.bytes += frame.len() as u64;
                }
                Err(error) => sent.refuse(1, error),
            }
            pool.put(frame);
        }
        sent
    }

    fn caps(&self) -> Caps {
        Caps { checksum: true, gso: true, outer_checksum: false }
    }

    fn readable(&self) -> Option<BorrowedFd<'_>> {
        Some(self.queue.as_fd())
    }
}
