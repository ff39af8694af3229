//! Ports and endpoints: where frames come from, and our own tunnel addresses.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use super::addresses::Address;
use super::at::{At, Named, section};
use super::numbers::{Ttl, Vid, Whole};
use super::switch::Switch;
use super::values::{MacAddress, Seconds};

/// A port: a network device or a socket that frames come from and go to.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Port {
    /// The network device, by its name or an alternative one of its names; a TAP gets this name. Tunnels also run over
    /// devices without Ethernet, such as `WireGuard`.
    pub device: Option<At<String>>,
    /// The I/O back-end that moves its frames; `auto` if left out.
    pub io: Option<At<Io>>,
    /// Overrides the device's MAC address. Without one, `replay` accepts tunnel packets to any MAC address.
    pub mac: Option<At<MacAddress>>,
    /// Overrides the device's MTU, in bytes of an IP packet or of a tagged frame's payload.
    pub mtu: Option<At<Mtu>>,
    /// TPIDs accepted on the outer tag; 0x88a8 if left out.
    pub tpids: Option<At<Vec<u16>>>,
    /// TPID written on the outer tag; the first of `tpids` if left out.
    pub emit_tpid: Option<At<u16>>,
    /// Static neighbours: the MAC address behind which a peer's tunnel address is reached.
    #[serde(default, deserialize_with = "section")]
    #[schemars(with = "std::collections::BTreeMap<String, MacAddress>")]
    pub next_hops: Named<MacAddress>,
}

/// An MTU: from the least of every IPv4 host (RFC 791) to the greatest length of an IP packet.
pub type Mtu = Whole<68, 65535>;

/// The I/O back-end of a port.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Io {
    /// XDP sockets on a network card that has a queue for every worker, else packet sockets; the log says which and
    /// why.
    Auto,
    /// Packet sockets: they work on every device, with Ethernet or without, and packets with offloaded checksum,
    /// segmentation or VLAN tag arrive complete.
    AfPacket,
    /// XDP sockets: the fastest, on Ethernet devices. Every worker needs a queue of the device. Packets with offloaded
    /// checksum, segmentation or VLAN tag arrive incomplete: on a veth, turn the far end's offloads off (`ethtool -K DEVICE
    /// tx off tso off gso off txvlan off`).
    AfXdp,
    /// A TAP device that the gateway creates.
    Tap,
    /// A Unix socket, one frame per datagram.
    Unix(UnixSocket),
}

/// A Unix datagram socket as User-Mode Linux and QEMU speak it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UnixSocket {
    /// The socket to bind.
    pub local: PathBuf,
    /// The socket to send to; if left out, the last sender.
    pub remote: Option<PathBuf>,
}

/// One of our own tunnel addresses (VTEP, NVE). It may live on a loopback.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// The address. A link-local IPv6 one is that of the device of its only port; its peers have link-local addresses too.
    pub address: At<Address>,
    /// The ports its tunnel packets arrive at and leave by.
    pub ports: At<Vec<At<String>>>,
    /// The VLAN its packets are tagged with; if left out they are untagged, or have a priority tag (VLAN ID 0).
    pub vlan: Option<At<Vid>>,
    /// TTL or hop limit of its packets, unless the peer says otherwise; 64 if left out.
    pub ttl: Option<At<Ttl>>,
    /// What happens where an IPsec policy of the machine would block or protect its packets, which pass beside IPsec;
    /// `refuse` if left out.
    pub ipsec: Option<At<Ipsec>>,
    /// Whether its packets that arrive in fragments are put together again; off if left out, and they are dropped. All
    /// fragments of a packet must reach the same worker, and its port must be one of packet sockets (`io: af_packet`):
    /// XDP sockets do not get later fragments of UDP. A network card with several queues must spread UDP by addresses
    /// alone (`ethtool -N DEVICE rx-flow-hash udp4 sd`).
    pub reassemble: Option<At<Switch<Reassemble>>>,
}

/// What the gateway does where an IPsec policy of the machine blocks or protects packets between an endpoint and its
/// peers. Tunnel packets do not pass through IPsec: they would travel in clear.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ipsec {
    /// `run` and `reload` refuse the file; of a policy that comes later the log warns.
    #[default]
    Refuse,
    /// The packets travel in clear.
    Ignore,
}

/// Limits of the packets that are put together from fragments.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reassemble {
    /// Most packets at a time on each worker, each in 64 KiB of its memory; 256 if left out, which is also the most of all
    /// endpoints together.
    pub most: Option<At<MostDatagrams>>,
    /// Time after the first fragment in which the others must come; 1s if left out.
    pub timeout: Option<At<Seconds>>,
}

/// A number of datagrams.
pub type MostDatagrams = Whole<1, 256>;
