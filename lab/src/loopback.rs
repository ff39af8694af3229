//! The first thing that an empty network namespace wants.

use std::io;

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with};

/// `RTM_NEWLINK` of rtnetlink(7).
const NEW_LINK: u16 = 16;
/// `NLM_F_REQUEST` and `NLM_F_ACK` of netlink(7).
const REQUEST_AND_ACK: u16 = 1 | 4;
/// The kernel gives the loopback device the first number of every namespace.
const LOOPBACK: u32 = 1;
/// `IFF_UP` of netdevice(7).
const UP: u32 = 1;
/// Bytes of netlink's header; its answer has the error, a negative number or 0, behind that.
const HEADER: usize = 16;

/// Sets the loopback of the calling thread's network namespace up: one message, which needs neither a program nor a
/// runtime.
///
/// # Errors
/// Without the right to.
pub(crate) fn set_up() -> io::Result<()> {
    // No protocol is NETLINK_ROUTE.
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
    send(&socket, &request(), SendFlags::empty())?;
    let mut answer = [0; 64];
    let (len, _) = recv(&socket, &mut answer[..], RecvFlags::empty())?;
    let error = answer[..len].get(HEADER..HEADER + 4).and_then(|bytes| bytes.try_into().ok()).map(i32::from_ne_bytes);
    match error {
        Some(0) => Ok(()),
        Some(error) => Err(io::Error::from_raw_os_error(-error)),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// `struct nlmsghdr` (length, type, flags, sequence, port) and `struct ifinfomsg` (family and kind, index, flags, and
/// which of them to change).
fn request() -> Vec<u8> {
    let mut message = Vec::with_capacity(2 * HEADER);
    message.extend((2 * HEADER as u32).to_ne_bytes());
    message.extend(NEW_LINK.to_ne_bytes());
    message.extend(REQUEST_AND_ACK.to_ne_bytes());
    for word in [0, 0, 0, LOOPBACK, UP, UP] {
        message.extend(u32::to_ne_bytes(word));
    }
    message
}
