//! The rights that answering takes.

use crate::rights::{Call, Rights};

/// Taking connections on the admin socket.
#[must_use]
pub fn rights() -> Rights {
    Rights::calls([
        Call::socket(libc::AF_UNIX),
        // Whether a client has sent something.
        Call::ioctl(libc::FIONREAD as u32),
        Call::Any(libc::SYS_accept4),
        Call::Any(libc::SYS_connect),
        Call::Any(libc::SYS_getpeername),
        Call::Any(libc::SYS_getsockname),
        Call::Any(libc::SYS_getsockopt),
        Call::Any(libc::SYS_recvfrom),
        Call::Any(libc::SYS_sendto),
        Call::Any(libc::SYS_sendmsg),
        Call::Any(libc::SYS_shutdown),
    ])
}
