//! The ICMP errors that come to one of the machine's addresses, as the kernel hands them to a raw socket: whatever port
//! and back-end they came in by, and at no cost to other packets.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;

use rustix::net::{RecvFlags, recvfrom};
use socket2::{Domain, Protocol, SockFilter, Socket, Type};

use super::sys;

/// Bytes that wait to be read, by the kernel's count: some hundred errors.
const WAITING: usize = 1 << 16;

const LOAD_BYTE: u16 = 0x30;
const LOAD_BYTE_BEHIND_X: u16 = 0x50;
const X_IS_HEADER_LEN: u16 = 0xb1;
const IS_EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;

/// Of ICMP, behind the IPv4 header that a raw socket has before it: destination unreachable (3), time exceeded (11).
const ERRORS: [SockFilter; 6] = [
    SockFilter::new(X_IS_HEADER_LEN, 0, 0, 0),
    SockFilter::new(LOAD_BYTE_BEHIND_X, 0, 0, 0),
    SockFilter::new(IS_EQUAL, 1, 0, 3),
    SockFilter::new(IS_EQUAL, 0, 1, 11),
    SockFilter::new(RETURN, 0, 0, u32::MAX),
    SockFilter::new(RETURN, 0, 0, 0),
];
/// Of `ICMPv6`: destination unreachable (1), packet too big (2), time exceeded (3), parameter problem (4).
const ERRORS_V6: [SockFilter; 7] = [
    SockFilter::new(LOAD_BYTE, 0, 0, 0),
    SockFilter::new(IS_EQUAL, 3, 0, 1),
    SockFilter::new(IS_EQUAL, 2, 0, 2),
    SockFilter::new(IS_EQUAL, 1, 0, 3),
    SockFilter::new(IS_EQUAL, 0, 1, 4),
    SockFilter::new(RETURN, 0, 0, u32::MAX),
    SockFilter::new(RETURN, 0, 0, 0),
];

/// Receives the ICMP errors that come to an address.
#[derive(Debug)]
pub struct IcmpSocket(Socket);

impl IcmpSocket {
    /// Listens from now on, whether the machine has the address already or not.
    ///
    /// # Errors
    /// Without the right to open raw sockets (`CAP_NET_RAW`).
    pub fn open(address: IpAddr) -> io::Result<Self> {
        let (domain, protocol) = match address {
            IpAddr::V4(_) => (Domain::IPV4, Protocol::ICMPV4),
            IpAddr::V6(_) => (Domain::IPV6, Protocol::ICMPV6),
        };
        let socket = Socket::new(domain, Type::RAW, Some(protocol))?;
        if address.is_ipv4() {
            socket.attach_filter(&ERRORS)?;
            socket.set_freebind_v4(true)?;
        } else {
            socket.attach_filter(&ERRORS_V6)?;
            socket.set_freebind_v6(true)?;
        }
        socket.set_nonblocking(true)?;
        socket.set_recv_buffer_size(WAITING)?;
        // RFC 4007 §6: a link-local address names nothing without its link. What comes to any address is received then.
        if !matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local()) {
            socket.bind(&SocketAddr::new(address, 0).into())?;
        }
        Ok(Self(socket))
    }

    /// Reads one that waits: from the IP header of an ICMP packet on, or from the header of an `ICMPv6` one, whose
    /// checksum the kernel has verified. Returns it with its sender.
    pub fn receive<'b>(&self, room: &'b mut [u8]) -> Option<(&'b [u8], IpAddr)> {
        let (len, _, sender) = recvfrom(self.0.as_fd(), &mut *room, RecvFlags::empty()).ok()?;
        let sender = SocketAddr::try_from(sender?).ok()?;
        Some((room.get(..len)?, sender.ip()))
    }

    /// How many came so far that there was no room for.
    #[must_use]
    pub fn lost(&self) -> u32 {
        sys::socket_drops(self.0.as_fd()).unwrap_or(0)
    }
}
