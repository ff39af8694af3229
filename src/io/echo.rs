//! ICMP echo of a chosen length, as ping sends it: whether a host answers, and how long packets may be on the way there and
//! back.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::net::sockopt::{Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery, set_ip_mtu_discover, set_ipv6_mtu_discover};
use rustix::net::{RecvFlags, SendFlags, recv, send};
use socket2::{Domain, Protocol, Socket, Type};
use transload_encaps::checksum;
use transload_encaps::ip::{IPV4_LEN, IPV6_LEN};

/// RFC 792, RFC 4443 §4: the header of an echo.
const HEADER_LEN: usize = 8;
const ECHO: u8 = 8;
const ECHO_REPLY: u8 = 0;
const ECHO_V6: u8 = 128;
const ECHO_REPLY_V6: u8 = 129;
/// Bytes of the longest IP packet.
const LONGEST: usize = 1 << 16;

/// Asks one host.
#[derive(Debug)]
pub struct Echo {
    socket: Socket,
    is_ipv6: bool,
    /// By which our echoes are told from those of others.
    id: u16,
    sequence: u16,
}

/// What came of an echo.
#[derive(Debug)]
pub enum EchoOutcome {
    /// The host has answered, after so long.
    Answered(Duration),
    /// The packet was too long for a link on the way, as its router said or this machine knows.
    TooLong,
    /// Somebody on the way, or this machine, says that it does not get there.
    Unreachable(io::Error),
    /// Nothing came.
    Silence,
}

impl Echo {
    /// Prepares to ask, from this address of the machine, and by this device alone if one is named: an address of a VRF, and
    /// one that is local to a link, is known only there.
    ///
    /// # Errors
    /// Without the right to open raw sockets (`CAP_NET_RAW`), an address of the machine, or a route.
    pub fn open(from: Option<IpAddr>, to: IpAddr, device: Option<&str>) -> io::Result<Self> {
        let (domain, protocol) = match to {
            IpAddr::V4(_) => (Domain::IPV4, Protocol::ICMPV4),
            IpAddr::V6(_) => (Domain::IPV6, Protocol::ICMPV6),
        };
        let socket = Socket::new(domain, Type::RAW, Some(protocol))?;
        // No router may fragment it, and what this machine has heard of path MTUs does not count.
        if to.is_ipv4() {
            set_ip_mtu_discover(socket.as_fd(), Ipv4PathMtuDiscovery::PROBE)?;
        } else {
            set_ipv6_mtu_discover(socket.as_fd(), Ipv6PathMtuDiscovery::PROBE)?;
        }
        if let Some(device) = device {
            // Which gives the addresses below their scope, too.
            socket.bind_device(Some(device.as_bytes()))?;
        }
        if let Some(from) = from {
            socket.bind(&SocketAddr::new(from, 0).into())?;
        }
        // Errors come to a connected socket only.
        socket.connect(&SocketAddr::new(to, 0).into())?;
        let id = std::process::id().to_le_bytes();
        Ok(Self { socket, is_ipv6: to.is_ipv6(), id: u16::from_le_bytes([id[0], id[1]]), sequence: 0 })
    }

    /// Asks by an IP packet of this length, at least that of its headers, and waits for the answer.
    ///
    /// # Errors
    /// When the machine's network does not work.
    pub fn ask(&mut self, len: usize, patience: Duration) -> io::Result<EchoOutcome> {
        self.sequence = self.sequence.wrapping_add(1);
        let began = Instant::now();
        if let Err(error) = send(self.socket.as_fd(), &self.message(len), SendFlags::empty()) {
            return of_error(error.into());
        }
        let mut room = vec![0; LONGEST];
        while let Some(left) = patience.checked_sub(began.elapsed()).filter(|left| !left.is_zero()) {
            self.socket.set_read_timeout(Some(left))?;
            match recv(self.socket.as_fd(), &mut *room, RecvFlags::empty()) {
                Ok((got, _)) if self.is_answer(room.get(..got).unwrap_or_default()) => {
                    return Ok(EchoOutcome::Answered(began.elapsed()));
                }
                Ok(_) => {}
                Err(error) => match io::Error::from(error) {
                    error if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                    error => return of_error(error),
                },
            }
        }
        Ok(EchoOutcome::Silence)
    }

    fn message(&self, len: usize) -> Vec<u8> {
        let ip_len = if self.is_ipv6 { IPV6_LEN } else { IPV4_LEN };
        let mut message = vec![0; len.saturating_sub(ip_len).max(HEADER_LEN)];
        let ([id1, id2], [n1, n2]) = (self.id.to_be_bytes(), self.sequence.to_be_bytes());
        let kind = if self.is_ipv6 { ECHO_V6 } else { ECHO };
        message.splice(..HEADER_LEN, [kind, 0, 0, 0, id1, id2, n1, n2]);
        if !self.is_ipv6 {
            // Over IPv6 the kernel fills it in.
            let sum = checksum::of(&message).to_be_bytes();
            message.splice(2..4, sum);
        }
        message
    }

    /// Whether what came, over IPv4 from the IP header on, answers the last echo.
    fn is_answer(&self, packet: &[u8]) -> bool {
        let (at, kind) = match packet.first() {
            Some(first) if !self.is_ipv6 => (usize::from(first & 15) * 4, ECHO_REPLY),
            _ => (0, ECHO_REPLY_V6),
        };
        let ([id1, id2], [n1, n2]) = (self.id.to_be_bytes(), self.sequence.to_be_bytes());
        matches!(packet.get(at..at + HEADER_LEN), Some([found, 0, _, _, rest @ ..]) if *found == kind && rest == [id1, id2, n1, n2])
    }
}

fn of_error(error: io::Error) -> io::Result<EchoOutcome> {
    match error.raw_os_error() {
        Some(libc::EMSGSIZE) => Ok(EchoOutcome::TooLong),
        Some(
            libc::EHOSTUNREACH
            | libc::ENETUNREACH
            | libc::ECONNREFUSED
            | libc::EACCES
            | libc::EPERM
            | libc::EHOSTDOWN
            | libc::EPROTO
            | libc::ENOPROTOOPT,
        ) => Ok(EchoOutcome::Unreachable(error)),
        _ => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn echo(is_ipv6: bool) -> Option<Echo> {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).ok()?;
        Some(Echo { socket, is_ipv6, id: 0x1234, sequence: 7 })
    }

    #[test]
    fn only_the_answer_to_the_last_echo_is_one() {
        let Some(echo) = echo(false) else { return };
        let ip = |body: &[u8]| [&[0x45; IPV4_LEN], body].concat();
        assert!(echo.is_answer(&ip(&[0, 0, 9, 9, 0x12, 0x34, 0, 7, 1])));
        for other in [[8, 0, 9, 9, 0x12, 0x34, 0, 7], [0, 0, 9, 9, 0x12, 0x35, 0, 7], [0, 0, 9, 9, 0x12, 0x34, 0, 6]] {
            assert!(!echo.is_answer(&ip(&other)), "{other:?}");
        }
        assert!(!echo.is_answer(&[0x45]) && !echo.is_answer(&[]));
        assert!(Echo { is_ipv6: true, ..echo }.is_answer(&[129, 0, 9, 9, 0x12, 0x34, 0, 7]));
    }

    #[test]
    fn an_echo_makes_a_packet_of_the_length_that_is_asked_for() {
        let Some(echo) = echo(false) else { return };
        let message = echo.message(1500);
        assert_eq!((message.len(), checksum::of(&message)), (1480, 0));
        assert_eq!(echo.message(0).len(), HEADER_LEN);
        assert_eq!(Echo { is_ipv6: true, ..echo }.message(1500).len(), 1460);
    }
}
