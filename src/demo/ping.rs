//! Ping: an ICMP echo request of our own, and the time until its answer.

use std::io::{self, ErrorKind, Read};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};
use transload_encaps::checksum;

const ECHO_REQUEST: u8 = 8;
const ECHO_REPLY: u8 = 0;
const HEADER_LEN: usize = 8;
const IPV4_LEN: usize = 20;
/// As `ping` sends them: 64 bytes of ICMP.
const PAYLOAD: [u8; 56] = *b"freight is moved from one carriage to another, unopened.";
/// A request that was lost, to a flood or to ARP, is repeated after this.
const REPEAT: Duration = Duration::from_millis(250);

/// Pings from the calling thread's namespace until one request is answered; the time that took is of that request.
///
/// # Errors
/// `TimedOut` when none is answered within `patience`, or when there is no raw socket to be had.
pub(super) fn ping(to: Ipv4Addr, patience: Duration) -> io::Result<Duration> {
    let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4))?;
    socket.set_read_timeout(Some(REPEAT))?;
    let id = to.octets()[3].into();
    let started = Instant::now();
    for sequence in 0.. {
        let sent = Instant::now();
        // Unreachable, yet, is only one more way of not being answered.
        let _ = socket.send_to(&echo(ECHO_REQUEST, id, sequence), &SocketAddrV4::new(to, 0).into());
        while sent.elapsed() < REPEAT {
            if is_reply(&socket, id, sequence)? {
                return Ok(sent.elapsed());
            }
        }
        if started.elapsed() > patience {
            break;
        }
    }
    Err(ErrorKind::TimedOut.into())
}

fn is_reply(mut socket: &Socket, id: u16, sequence: u16) -> io::Result<bool> {
    let mut packet = [0; 256];
    match socket.read(&mut packet) {
        Ok(len) => Ok(packet.get(IPV4_LEN..len).is_some_and(|icmp| *icmp == echo(ECHO_REPLY, id, sequence))),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(false),
        Err(error) => Err(error),
    }
}

/// RFC 792: type, code, checksum, identifier, sequence number, and what is to be echoed.
fn echo(kind: u8, id: u16, sequence: u16) -> [u8; HEADER_LEN + PAYLOAD.len()] {
    let mut message = [0; HEADER_LEN + PAYLOAD.len()];
    message[0] = kind;
    message[4..6].copy_from_slice(&id.to_be_bytes());
    message[6..8].copy_from_slice(&sequence.to_be_bytes());
    message[HEADER_LEN..].copy_from_slice(&PAYLOAD);
    let sum = !checksum::fold(checksum::add(0, &message));
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    message
}
