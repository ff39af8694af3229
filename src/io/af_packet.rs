//! A network device through packet sockets: the back-end that works on every Linux device.
//!
//! The kernel takes the outer VLAN tag out of what it delivers; it is put back here, or stacked tags would be lost.
//! Senders on a veth, a TAP or a bridge leave checksums and segmentation to their device; the virtio-net header in
//! front of each frame says so, both ways, so that super-frames pass whole where they leave without an outer IP header.
//!
//! `PACKET_QDISC_BYPASS` is left off on purpose: on that path the kernel drops super-frames the device cannot cut,
//! and the operator's traffic control would not see our frames.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with, sockopt};
use socket2::{SockFilter, SockRef};
use transload_encaps::ethernet::TAG_LEN;
use transload_encaps::{Frame, HEADROOM};

use super::gso::GsoBatch;
use super::sys::{self, Arrival, BATCH};
use super::{Caps, Pool, Port, Sent, ethtool, vnet};

/// Bytes each direction may queue in the kernel; it doubles the number for its own bookkeeping.
const SOCKET_BUFFER: usize = 16 << 20;
/// Since Linux 6.2; before it, members of a fanout group saw what the machine itself sent.
const FANOUT_FLAG_IGNORE_OUTGOING: i32 = 0x4000;

/// One worker's view of a network device.
#[derive(Debug)]
pub struct AfPacketPort {
    socket: OwnedFd,
    arrivals: Box<[Arrival; BATCH]>,
    /// The GSO batches of the present call of the kernel, laid out before each; kept so that none allocates.
    gso_batches: Vec<GsoBatch>,
    /// Whether a device, or the kernel for it, completes tunnel packets and cuts GSO batches of them. On a veth
    /// nothing does: they would arrive as they are, at a receiver that may not expect it.
    is_hardware: bool,
    /// Whether frames are joined to GSO batches.
    is_batching: bool,
    lost: u64,
    /// The device is no more. The kernel says so only once.
    gone: bool,
}

impl AfPacketPort {
    /// Opens a device for this many workers. Each flow goes to one of them, chosen by the kernel's hash.
    ///
    /// # Errors
    /// Without the right to open packet sockets (`CAP_NET_RAW`), or when there is no such device.
    pub fn open(device: &str, ifindex: u32, workers: usize) -> io::Result<Vec<Self>> {
        let mut ports = Self::open_by_software(ifindex, workers, &NOT_OUTGOING)?;
        // One that only software makes is on no bus.
        let is_hardware = ethtool::driver(device).is_ok_and(|driver| !driver.bus.is_empty());
        for port in &mut ports {
            (port.is_hardware, port.is_batching) = (is_hardware, is_hardware);
        }
        Ok(ports)
    }

    /// Opens a device that completes nothing of what is sent by it, for what this filter lets through.
    pub(super) fn open_by_software(ifindex: u32, workers: usize, filter: &[SockFilter]) -> io::Result<Vec<Self>> {
        let mut ports = Vec::new();
        let mut group = None;
        for _ in 0..workers.max(1) {
            let port = Self::bound(ifindex)?;
            if workers > 1 {
                group = Some(join_fanout(port.socket.as_fd(), group)?);
            }
            ports.push(port);
        }
        // Until the last one had joined, a frame would have come to several.
        for port in &ports {
            SockRef::from(&port.socket).attach_filter(filter)?;
        }
        Ok(ports)
    }

    fn bound(ifindex: u32) -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        // Protocol 0: nothing arrives before the socket is bound to the device.
        let socket = socket_with(AddressFamily::PACKET, SocketType::RAW, flags, None)?;
        let fd = socket.as_fd();
        sys::set_packet_option(fd, libc::PACKET_VNET_HDR, 1)?;
        sys::set_packet_option(fd, libc::PACKET_AUXDATA, 1)?;
        sys::set_packet_option(fd, libc::PACKET_IGNORE_OUTGOING, 1)?;
        set_buffers(fd)?;
        SockRef::from(&socket).attach_filter(&super::quiet::DROP_ALL)?;
        sys::bind_packet(fd, ifindex)?;
        sys::set_promiscuous(fd, ifindex)?;
        let (arrivals, gso_batches) = (Box::new([Arrival::default(); BATCH]), Vec::with_capacity(BATCH));
        Ok(Self { socket, arrivals, gso_batches, is_hardware: false, is_batching: false, lost: 0, gone: false })
    }

    /// Receives one batch into these empty frames, and says how many came; one that cannot be completed stays empty.
    fn receive(&mut self, slots: &mut [Frame<'_>]) -> io::Result<usize> {
        let received = match sys::receive(self.socket.as_fd(), slots, self.arrivals.as_mut_slice()) {
            Ok(received) => received,
            Err(error) => return self.port_error(&error).map_or(Ok(0), Err),
        };
        for (frame, arrival) in slots.iter_mut().zip(self.arrivals.iter()).take(received) {
            if !complete(frame, arrival) {
                frame.set_len(0);
                self.lost += 1;
            }
        }
        Ok(received)
    }

    /// Lays out the GSO batches of the next call.
    fn lay_out(&mut self, frames: &[Frame<'_>]) {
        self.gso_batches.clear();
        let mut rest = frames.get(..BATCH).unwrap_or(frames);
        while let Some(first) = rest.first() {
            let batch = Some(rest).filter(|_| self.is_batching).and_then(GsoBatch::of);
            let batch = batch.unwrap_or_else(|| GsoBatch::single(first));
            rest = rest.get(batch.segments..).unwrap_or_default();
            self.gso_batches.push(batch);
        }
    }

    fn begins_with_segments(&self) -> bool {
        self.gso_batches.first().is_some_and(|batch| batch.segments > 1)
    }

    /// The error if it is one of the port, not of one frame.
    fn port_error(&mut self, error: &io::Error) -> Option<io::Error> {
        match Errno::from_io_error(error) {
            Some(Errno::AGAIN | Errno::INTR) => None,
            // A super-frame of a kind that the virtio-net header has no word for (SCTP). It is gone.
            Some(Errno::INVAL) => {
                self.lost += 1;
                None
            }
            errno => {
                self.gone = !sys::is_bound(self.socket.as_fd());
                Some(errno.unwrap_or(Errno::IO).into())
            }
        }
    }
}

/// Lets through what comes in and not what this machine sends: `ld pkttype; jeq #PACKET_OUTGOING; ret 0; ret -1`.
const NOT_OUTGOING: [SockFilter; 4] = [
    SockFilter::new(0x28, 0, 0, (libc::SKF_AD_OFF + libc::SKF_AD_PKTTYPE).cast_unsigned()),
    SockFilter::new(0x15, 0, 1, libc::PACKET_OUTGOING as u32),
    SockFilter::new(0x06, 0, 0, 0),
    SockFilter::new(0x06, 0, 0, u32::MAX),
];

/// Joins a fanout group, or a new one, whose number is returned. The group must not reassemble fragments, and not
/// spill over into other queues, which would reorder flows.
fn join_fanout(socket: BorrowedFd<'_>, group: Option<u16>) -> io::Result<u16> {
    let join = |flags: i32| {
        let (id, unique) = match group {
            Some(id) => (id.into(), 0),
            None => (0, libc::PACKET_FANOUT_FLAG_UNIQUEID.cast_signed()),
        };
        let mode = libc::PACKET_FANOUT_HASH.cast_signed() | flags | unique;
        sys::set_packet_option(socket, libc::PACKET_FANOUT, id | mode << 16)
    };
    join(FANOUT_FLAG_IGNORE_OUTGOING).or_else(|_| join(0))?;
    let [low, high, ..] = sys::packet_option(socket, libc::PACKET_FANOUT)?.to_le_bytes();
    Ok(u16::from_le_bytes([low, high]))
}

/// Big buffers, beyond the system's limit where we may.
pub(super) fn set_buffers(socket: BorrowedFd<'_>) -> io::Result<()> {
    if sockopt::set_socket_recv_buffer_size_force(socket, SOCKET_BUFFER).is_err() {
        sockopt::set_socket_recv_buffer_size(socket, SOCKET_BUFFER)?;
    }
    if sockopt::set_socket_send_buffer_size_force(socket, SOCKET_BUFFER).is_err() {
        sockopt::set_socket_send_buffer_size(socket, SOCKET_BUFFER)?;
    }
    Ok(())
}

/// Completes a received frame: its length, what the kernel knew, and the tag it took out. False if there is no place
/// for the tag.
fn complete(frame: &mut Frame<'_>, arrival: &Arrival) -> bool {
    frame.set_len(arrival.len);
    vnet::apply(arrival.header, frame);
    frame.meta.cut = arrival.truncated;
    arrival.tag.is_none_or(|(tpid, tci)| frame.push_tag(tpid, tci).is_ok())
}

/// How many of the frames still to send an error strikes: a full or dead device takes none of them.
pub(super) fn refused(error: &io::Error, left: usize) -> (usize, Option<Errno>) {
    let error = Errno::from_io_error(error).unwrap_or(Errno::IO);
    let all = matches!(error, Errno::AGAIN | Errno::NETDOWN | Errno::NXIO | Errno::NODEV);
    (if all { left } else { 1 }, Some(error))
}

impl<'mem> Port<'mem> for AfPacketPort {
    fn rx_burst(&mut self, pool: &mut Pool<'mem>, burst: &mut Vec<Frame<'mem>>, limit: usize) -> io::Result<()> {
        if self.gone {
            return Err(Errno::NODEV.into());
        }
        let mut left = limit;
        while left > 0 {
            let first = burst.len();
            let wanted = left.min(BATCH);
            burst.extend(std::iter::from_fn(|| pool.take(HEADROOM + TAG_LEN)).take(wanted));
            let received = self.receive(burst.get_mut(first..).unwrap_or_default());

            // What nothing came for goes back, and what was not completed.
            let came = *received.as_ref().unwrap_or(&0);
            burst.drain(first + came..).for_each(|frame| pool.put(frame));
            while let Some(at) = burst.iter().skip(first).position(Frame::is_empty) {
                pool.put(burst.remove(first + at));
            }
            left -= received?;
            if came < wanted {
                break;
            }
        }
        Ok(())
    }

    fn tx_burst(&mut self, pool: &mut Pool<'mem>, frames: &mut Vec<Frame<'mem>>) -> Sent {
        let mut sent = Sent::default();
        let mut rest = frames.as_mut_slice();
        while !rest.is_empty() {
            self.lay_out(rest);
            let (batches, error) = match sys::send(self.socket.as_fd(), rest, &mut self.gso_batches) {
                Ok(taken) => (taken, None),
                // A kernel before 6.2, where a frame for itself would go.
                Err(error) if self.begins_with_segments() && Errno::from_io_error(&error) == Some(Errno::INVAL) => {
                    self.is_batching = false;
                    continue;
                }
                Err(error) => refused(&error, self.gso_batches.len()),
            };
            let done = self.gso_batches.iter().take(batches).map(|batch| batch.segments).sum();
            let (head, tail) = rest.split_at_mut_checked(done).unwrap_or_default();
            match error {
                None => {
                    sent.frames += head.len() as u32;
                    sent.bytes += head.iter().map(|frame| frame.len() as u64).sum::<u64>();
                }
                Some(error) => sent.refuse(head.len() as u32, error),
            }
            rest = tail;
        }
        frames.drain(..).for_each(|frame| pool.put(frame));
        sent
    }

    fn caps(&self) -> Caps {
        Caps { checksum: true, gso: true, outer_checksum: self.is_hardware }
    }

    fn readable(&self) -> Option<BorrowedFd<'_>> {
        Some(self.socket.as_fd())
    }

    fn kernel_drops(&mut self) -> u64 {
        self.lost += u64::from(sys::packet_drops(self.socket.as_fd()).unwrap_or_default());
        self.lost
    }
}
