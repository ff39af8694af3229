//! Membership of multicast groups: the kernel says by IGMP or MLD that this machine wants their packets, and has the
//! device take them. What comes is read by packet sockets; the sockets here receive nothing.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};

use super::quiet::DROP_ALL;

/// Membership of one group on one device, until dropped.
#[derive(Debug)]
pub struct Membership {
    _socket: Socket,
}

impl Membership {
    /// Joins a group on the device with this index.
    ///
    /// # Errors
    /// When the device is gone, or has no multicast, or the group is none.
    pub fn join(group: IpAddr, device: u32) -> io::Result<Self> {
        // One socket each: a socket may be in a limited number of groups (`igmp_max_memberships`).
        let domain = if group.is_ipv4() { Domain::IPV4 } else { Domain::IPV6 };
        let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
        socket.attach_filter(&DROP_ALL)?;
        match group {
            IpAddr::V4(group) => join_v4(&socket, group, device)?,
            IpAddr::V6(group) => join_v6(&socket, group, device)?,
        }
        Ok(Self { _socket: socket })
    }
}

fn join_v4(socket: &Socket, group: Ipv4Addr, device: u32) -> io::Result<()> {
    socket.join_multicast_v4_n(&group, &InterfaceIndexOrAddress::Index(device))
}

fn join_v6(socket: &Socket, group: Ipv6Addr, device: u32) -> io::Result<()> {
    socket.join_multicast_v6(&group, device)
}
