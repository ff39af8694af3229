//! Keeps this machine's own network stack from answering what is the gateway's.
//!
//! Packet sockets see a copy; the stack goes on with the original. It answers a tunnel packet with an ICMP
//! unreachable, since nobody listens, and takes a tenant's frame for its own. So for tunnels there are listeners
//! that receive nothing: sockets whose filter drops every packet. And on tenants' devices everything is dropped behind
//! the packet sockets' tap.
//!
//! All of it is bound to descriptors held here, and gone with them, however the process ends.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::net::{IpAddr, SocketAddr};

use socket2::{Domain, Protocol, SockFilter, Socket, Type};

use super::ingress::Ingress;

/// A socket filter that lets nothing through: `ret #0`.
pub(super) const DROP_ALL: [SockFilter; 1] = [SockFilter::new(0x06, 0, 0, 0)];

/// A UDP port that the machine must not answer from.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UdpListener {
    /// The address, whether the machine has it or not, and the port.
    pub address: SocketAddr,
    /// The only device that its packets come by, by index and name: that of a link-local address, or a VRF.
    pub device: Option<(u32, String)>,
}

/// What a socket listens to, so that nobody else answers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Listener {
    Udp(UdpListener),
    Ip { protocol: u8, v6: bool },
}

/// What the machine does not hear of what comes in by a tenants' device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unheard {
    /// Nothing of it.
    Everything,
    /// What has a VLAN ID: the tenants have tags, and the rest is the machine's.
    Tagged,
}

/// What is kept quiet, until dropped. What is quiet already stays so.
#[derive(Debug, Default)]
pub struct Quiet {
    sockets: HashMap<Listener, Socket>,
    ingress: Option<Ingress>,
}

impl Quiet {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// No "port unreachable" for UDP packets to this address and port.
    ///
    /// True if the port is ours now; false if another socket, such as a kernel tunnel device's, has it already: then
    /// there is no ICMP either, but that socket receives the same packets.
    ///
    /// # Errors
    /// When the socket cannot be made or bound.
    pub fn udp(&mut self, wanted: &UdpListener) -> io::Result<bool> {
        let listener = Listener::Udp(wanted.clone());
        if self.sockets.contains_key(&listener) {
            return Ok(true);
        }
        let UdpListener { address, device } = wanted;
        let socket = Socket::new(Domain::for_address(*address), Type::DGRAM, Some(Protocol::UDP))?;
        match address.ip() {
            IpAddr::V4(_) => socket.set_freebind_v4(true)?,
            IpAddr::V6(_) => {
                socket.set_freebind_v6(true)?;
                socket.set_only_v6(true)?;
            }
        }
        if let Some((_, name)) = device {
            socket.bind_device(Some(name.as_bytes()))?;
        }
        socket.attach_filter(&DROP_ALL)?;
        match socket.bind(&(*address).into()) {
            Ok(()) => {
                self.sockets.insert(listener, socket);
                Ok(true)
            }
            Err(e) if e.kind() == io::ErrorKind::AddrInUse => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// No "protocol unreachable" for packets of this protocol over IPv4 or IPv6, to whatever address.
    ///
    /// # Errors
    /// Without the right to open raw sockets (`CAP_NET_RAW`).
    pub fn ip(&mut self, protocol: u8, v6: bool) -> io::Result<()> {
        let listener = Listener::Ip { protocol, v6 };
        if self.sockets.contains_key(&listener) {
            return Ok(());
        }
        let domain = if v6 { Domain::IPV6 } else { Domain::IPV4 };
        let socket = Socket::new(domain, Type::RAW, Some(Protocol::from(i32::from(protocol))))?;
        socket.attach_filter(&DROP_ALL)?;
        self.sockets.insert(listener, socket);
        Ok(())
    }

    /// Lets go of the UDP ports that are not among these.
    pub fn keep_udp(&mut self, wanted: &BTreeSet<UdpListener>) {
        self.sockets.retain(|listener, _| !matches!(listener, Listener::Udp(udp) if !wanted.contains(udp)));
    }

    /// The machine neither answers nor forwards this of what comes in by a device; packet sockets still see it.
    /// For devices that only tenants are behind: ARP, neighbour discovery and routing stop there too. Said again, it
    /// takes the place of what was said before.
    ///
    /// # Errors
    /// Without the right (`CAP_NET_ADMIN`), or when the kernel has no netfilter tables.
    pub fn device(&mut self, device: &str, unheard: Unheard) -> io::Result<()> {
        let ingress = match &mut self.ingress {
            Some(ingress) => ingress,
            none => none.insert(Ingress::new()?),
        };
        ingress.drop(device, unheard)
    }
}
