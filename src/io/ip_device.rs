//! A network device that carries IP packets and no Ethernet (tun, `WireGuard`, PPP, IP tunnels), by packet sockets, as a
//! port that has Ethernet headers like every other.
//!
//! Two sockets, since packets are received as on any device, with the virtio-net header that tells of super-frames, while
//! sending takes a socket that states what each packet is (`SOCK_DGRAM`), which has no such header.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use socket2::SockFilter;
use transload_encaps::Frame;
use transload_encaps::ethernet::{HEADER_LEN, IPV4, IPV6, be16};

use super::af_packet::{AfPacketPort, refused, set_buffers};
use super::link_layer::put_header;
use super::sys::{self, BATCH};
use super::{Caps, Pool, Port, Sent};

/// One worker's view of such a device.
#[derive(Debug)]
pub(super) struct IpDevicePort {
    receiver: AfPacketPort,
    sender: OwnedFd,
    ifindex: u32,
}

/// Lets through IP packets that come in: `ld pkttype; jeq #PACKET_OUTGOING, drop; ld proto; jeq #IPV4, take; jeq #IPV6,
/// take; drop: ret 0; take: ret -1`.
const INCOMING_IP: [SockFilter; 7] = [
    SockFilter::new(0x28, 0, 0, (libc::SKF_AD_OFF + libc::SKF_AD_PKTTYPE).cast_unsigned()),
    SockFilter::new(0x15, 3, 0, libc::PACKET_OUTGOING as u32),
    SockFilter::new(0x28, 0, 0, (libc::SKF_AD_OFF + libc::SKF_AD_PROTOCOL).cast_unsigned()),
    SockFilter::new(0x15, 2, 0, IPV4 as u32),
    SockFilter::new(0x15, 1, 0, IPV6 as u32),
    SockFilter::new(0x06, 0, 0, 0),
    SockFilter::new(0x06, 0, 0, u32::MAX),
];

impl IpDevicePort {
    /// Opens a device for this many workers.
    ///
    /// # Errors
    /// Without the right to open packet sockets (`CAP_NET_RAW`), or when there is no such device.
    pub(super) fn open(ifindex: u32, workers: usize) -> io::Result<Vec<Self>> {
        let receivers = AfPacketPort::open_by_software(ifindex, workers, &INCOMING_IP)?;
        receivers.into_iter().map(|receiver| Ok(Self { receiver, sender: sender()?, ifindex })).collect()
    }
}

/// A socket that nothing arrives at.
fn sender() -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::PACKET, SocketType::DGRAM, flags, None)?;
    set_buffers(socket.as_fd())?;
    Ok(socket)
}

/// The type of a frame's packet, and the packet.
fn packet<'f>(frame: &'f mut Frame<'_>) -> (u16, &'f mut [u8]) {
    let ether_type = be16(frame.bytes(), HEADER_LEN - 2).unwrap_or_default();
    (ether_type, frame.bytes_mut().get_mut(HEADER_LEN..).unwrap_or_default())
}

impl<'mem> Port<'mem> for IpDevicePort {
    fn rx_burst(&mut self, pool: &mut Pool<'mem>, burst: &mut Vec<Frame<'mem>>, limit: usize) -> io::Result<()> {
        let first = burst.len();
        let received = self.receiver.rx_burst(pool, burst, limit);
        // Of the headroom, since what arrives here is a tunnel packet, which loses more than this before it gets anything.
        burst.iter_mut().skip(first).for_each(put_header);
        received
    }

    fn tx_burst(&mut self, pool: &mut Pool<'mem>, frames: &mut Vec<Frame<'mem>>) -> Sent {
        let mut sent = Sent::default();
        let mut rest = frames.as_mut_slice();
        while !rest.is_empty() {
            let batch = rest.len().min(BATCH);
            let packets = rest.iter_mut().take(batch).map(packet);
            let (taken, error) = match sys::send_packets(self.sender.as_fd(), self.ifindex, packets) {
                Ok(taken) => (taken, None),
                Err(error) => refused(&error, batch),
            };
            let (head, tail) = rest.split_at_mut_checked(taken).unwrap_or_default();
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
        Caps::default()
    }

    fn readable(&self) -> Option<BorrowedFd<'_>> {
        self.receiver.readable()
    }

    fn kernel_drops(&mut self) -> u64 {
        self.receiver.kernel_drops()
    }
}
