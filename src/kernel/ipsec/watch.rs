//! Changes of the machine's IPsec policies, as the kernel tells them.

use std::io;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::netlink::{self, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, bind, recv, socket_with};

/// The bit of `XFRMNLGRP_POLICY`.
const POLICIES: u32 = 1 << 3;

/// Hears of every change.
#[derive(Debug)]
pub struct PolicyWatch(OwnedFd);

impl PolicyWatch {
    /// Listens from now on.
    ///
    /// # Errors
    /// Without the right to (`CAP_NET_ADMIN`), or where the kernel has no IPsec.
    pub fn open() -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, Some(netlink::XFRM))?;
        bind(&socket, &SocketAddrNetlink::new(0, POLICIES))?;
        Ok(Self(socket))
    }

    /// Whether policies have changed since the last call, be it once or often.
    ///
    /// # Errors
    /// When the kernel tells nothing any more.
    pub fn has_changed(&self) -> io::Result<bool> {
        let mut buffer = [0; 1 << 12];
        let mut has_changed = false;
        loop {
            match recv(&self.0, &mut buffer, RecvFlags::empty()) {
                // What there was no room for is a change, too.
                Ok(_) | Err(Errno::NOBUFS) => has_changed = true,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(has_changed),
                Err(error) => return Err(error.into()),
            }
        }
    }
}
