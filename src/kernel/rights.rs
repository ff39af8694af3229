//! The rights that asking Linux takes.

use crate::rights::{Call, Rights};

/// Netlink: routes, neighbours, devices, policies. The capability to ask for neighbours comes with the ports on devices.
#[must_use]
pub fn rights() -> Rights {
    Rights::calls([
        Call::socket(libc::AF_NETLINK),
        Call::Any(libc::SYS_bind),
        Call::Any(libc::SYS_getsockname),
        Call::Any(libc::SYS_recvfrom),
        Call::Any(libc::SYS_recvmsg),
        Call::Any(libc::SYS_sendmsg),
        Call::Any(libc::SYS_sendto),
        Call::Any(libc::SYS_setsockopt),
    ])
}
