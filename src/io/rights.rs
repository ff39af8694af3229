//! The rights that ports need while they are open, and to be opened again when their device comes back.

use rustix::thread::CapabilitySet;

use super::Backend;
use crate::bpf;
use crate::rights::{Call, Rights};

/// Sending, receiving, and what is asked of sockets.
const SOCKETS: [Call; 10] = [
    Call::Any(libc::SYS_bind),
    Call::Any(libc::SYS_getsockname),
    Call::Any(libc::SYS_getsockopt),
    Call::Any(libc::SYS_recvfrom),
    Call::Any(libc::SYS_recvmmsg),
    Call::Any(libc::SYS_recvmsg),
    Call::Any(libc::SYS_sendmmsg),
    Call::Any(libc::SYS_sendmsg),
    Call::Any(libc::SYS_sendto),
    Call::Any(libc::SYS_setsockopt),
];

/// Packet sockets, what keeps the machine quiet, multicast memberships and ICMP errors, and questions about devices.
const DEVICES: [Call; 10] = [
    Call::socket(libc::AF_INET),
    Call::socket(libc::AF_INET6),
    Call::socket(libc::AF_NETLINK),
    Call::socket(libc::AF_PACKET),
    Call::socket(libc::AF_UNIX),
    Call::ioctl(libc::SIOCETHTOOL as u32),
    Call::ioctl(libc::SIOCGIFFLAGS as u32),
    Call::ioctl(libc::SIOCGIFHWADDR as u32),
    Call::ioctl(libc::SIOCGIFINDEX as u32),
    Call::ioctl(libc::SIOCGIFMTU as u32),
];

/// A TAP that is gone is made again.
const TAPS: [Call; 3] = [
    Call::ioctl(libc::SIOCSIFFLAGS as u32),
    Call::ioctl(libc::TUNSETIFF as u32),
    Call::ioctl(libc::TUNSETOFFLOAD as u32),
];

/// The rights of a port with this back-end, on XDP sockets or not.
#[must_use]
pub fn rights_of(backend: &Backend, on_xdp: bool) -> Rights {
    let sockets = Rights::calls(SOCKETS);
    let devices = || {
        let calls = Rights::calls(DEVICES);
        calls.with(CapabilitySet::NET_RAW | CapabilitySet::NET_ADMIN, "a port on a network device")
    };
    match backend {
        Backend::Unix { .. } => sockets,
        Backend::Tap { .. } => [sockets, devices(), Rights::calls(TAPS)].into_iter().collect(),
        Backend::Auto { .. } | Backend::AfPacket { .. } | Backend::AfXdp { .. } if !on_xdp => {
            [sockets, devices()].into_iter().collect()
        }
        Backend::Auto { .. } | Backend::AfPacket { .. } | Backend::AfXdp { .. } => {
            let xdp = Rights::calls([Call::socket(libc::AF_XDP)]).with(CapabilitySet::IPC_LOCK, "XDP sockets");
            [sockets, devices(), xdp, bpf::rights()].into_iter().collect()
        }
    }
}

/// The rights that listening on a UDP port takes.
#[must_use]
pub fn rights_of_udp(port: u16) -> Rights {
    // ip(7): ports below this number take a capability, unless the machine says otherwise.
    const FIRST_FREE: u16 = 1024;
    let rights = Rights::default();
    if port < FIRST_FREE { rights.with(CapabilitySet::NET_BIND_SERVICE, format!("UDP port {port}")) } else { rights }
}
