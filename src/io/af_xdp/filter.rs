//! Which frames of a port are the gateway's: what the redirect program is made from.

use std::net::IpAddr;

use transload_encaps::{Carrier, Mac};

/// Which frames of a port are the gateway's. All others stay with the kernel.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// The port's MAC address, which tunnel packets are sent to; `None` takes them to any.
    pub mac: Option<Mac>,
    /// Our tunnel addresses that are reached by the port.
    pub entrances: Vec<Entrance>,
    /// The tags that belong to tenants.
    pub tags: Tags,
    /// The addresses of all of the gateway's endpoints. What is sent to one of them, and is not the gateway's, is counted.
    pub own: Vec<IpAddr>,
    /// What other tunnels ride on, ours elsewhere or unknown ones: traffic to it is neither taken nor called the machine's
    /// own.
    pub other_tunnels: Vec<Carrier>,
    /// What no tunnel rides on, even if it comes from a peer.
    pub no_tunnels: Vec<Carrier>,
}

/// One of our tunnel addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entrance {
    /// The address.
    pub address: IpAddr,
    /// The 802.1Q tag its packets have, and no other; `None` for none.
    pub vlan: Option<u16>,
    /// The multicast groups that its packets may be sent to besides.
    pub multicast: Vec<IpAddr>,
    /// What tunnels ride on.
    pub carriers: Vec<Carrier>,
    /// The senders it takes them from.
    pub senders: AllowedSenders,
}

/// Whom tunnel packets are taken from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AllowedSenders {
    /// From whoever sends them.
    Anyone,
    /// From those that are known, and those that may become so.
    Known {
        /// Peers, and what their tunnels ride on.
        peers: Vec<(Carrier, IpAddr)>,
        /// The first and the last address of prefixes that peers are learned from.
        learners: Vec<(Carrier, IpAddr, IpAddr)>,
    },
}

/// The tags that belong to tenants.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Tags {
    /// No tag belongs to a tenant.
    #[default]
    None,
    /// Those that are claimed.
    Some(Claims),
    /// Every frame with a VLAN ID, after a tag of 0x8100 or of one of these TPIDs: only tagged tenants are behind the
    /// port.
    Tagged(Vec<u16>),
    /// Every frame: only tenants are behind the port.
    All,
}

/// The first tags that tenants claim.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Claims {
    /// The TPIDs that [`outer`](Self::outer) may have.
    pub tpids: Vec<u16>,
    /// VLAN IDs of outer tags, in order. What stands behind one is the gateway's whatever it is.
    pub outer: Vec<u16>,
    /// VLAN IDs of 0x8100 tags that stand alone, in order.
    pub single: Vec<u16>,
    /// Whether frames without a VLAN ID are claimed.
    pub untagged: bool,
}
