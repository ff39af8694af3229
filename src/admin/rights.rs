//! The rights that answering takes, on the admin socket and by TCP.

use crate::rights::{Call, Rights};

/// Taking connections on the admin socket, and on a TCP port that a reload may name; and standing back behind others.
#[must_use]
pub fn rights() -> Rights {
    Rights::calls([
        Call::socket(libc::AF_UNIX),
        Call::socket(libc::AF_INET),
        Call::socket(libc::AF_INET6),
        // Whether a client has sent something.
        Call::ioctl(libc::FIONREAD as u32),
        Call::Any(libc::SYS_accept4),
        Call::Any(libc::SYS_bind),
        Call::Any(libc::SYS_connect),
        Call::Any(libc::SYS_getpeername),
        Call::Any(libc::SYS_getsockname),
        Call::Any(libc::SYS_getsockopt),
        Call::Any(libc::SYS_listen),
        Call::Any(libc::SYS_recvfrom),
        Call::Any(libc::SYS_sendto),
        Call::Any(libc::SYS_sendmsg),
        Call::Any(libc::SYS_setpriority),
        Call::Any(libc::SYS_setsockopt),
        Call::Any(libc::SYS_shutdown),
    ])
}
