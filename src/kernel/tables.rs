//! What we know of the kernel's links, routes and neighbours: a copy, kept up to date by [`crate::kernel::netlink`].

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use transload_encaps::Mac;

use crate::forwarding::Map;
use crate::kernel::device_kinds::DeviceKind;

/// A kernel's interface index.
pub type LinkIndex = u32;

/// The part of the kernel's tables that next hops depend on.
#[derive(Debug, Clone, Default)]
pub struct Kernel {
    /// Its devices.
    pub links: Map<LinkIndex, Link>,
    /// The routes that were asked for.
    pub routes: Map<Flow, Route>,
    /// Its neighbours, IPv4 and IPv6.
    pub neighbours: Map<(LinkIndex, IpAddr), Neighbour>,
    /// Tunnel addresses of ours that no device has.
    pub missing: BTreeSet<IpAddr>,
}

/// What a route is looked up for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Flow {
    /// Our tunnel address: routing rules may look at it.
    pub src: IpAddr,
    /// The peer's.
    pub dst: IpAddr,
    /// The VRF whose table is looked into.
    pub vrf: Option<LinkIndex>,
}

/// A device.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Link {
    /// Its name.
    pub name: String,
    /// The kind of device.
    pub kind: DeviceKind,
    /// The MAC address of a port on it, if one can be.
    pub mac: Option<Mac>,
    /// Most bytes an IP packet may have on it.
    pub mtu: u32,
    /// Whether it carries frames.
    pub state: LinkState,
    /// For a VLAN device: the device under it, and the tag.
    pub vlan: Option<(LinkIndex, u16)>,
    /// Whether an XDP program is attached to it.
    pub has_xdp: bool,
    /// Its alternative names.
    pub other_names: Vec<String>,
    /// The device it is a member of, and of which kind that is: `bridge`, `bond`, `vrf` or another.
    pub master: Option<(LinkIndex, String)>,
}

/// Whether a device carries frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum LinkState {
    /// It is switched on and has a carrier.
    Up,
    /// It is switched on, but the kernel drops what is sent by it.
    NoCarrier,
    /// It is switched off.
    #[default]
    Down,
}

impl fmt::Display for LinkState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Up => "is up",
            Self::NoCarrier => "has no carrier: the other end of the cable is down",
            Self::Down => "is down",
        })
    }
}

/// Where the kernel would send a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// Out, by any of these next hops at equal cost.
    Out(Vec<NextHop>),
    /// To itself: the address is one of this host's own.
    Local,
    /// Nowhere: there is no route, or one that refuses.
    None,
}

/// One of a route's next hops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NextHop {
    /// The device it leaves by.
    pub link: LinkIndex,
    /// The address of the next router, of either family; `None` when the destination is on the link itself.
    pub gateway: Option<IpAddr>,
    /// The route's own MTU, if it has one.
    pub mtu: Option<u32>,
}

/// An entry of the kernel's neighbour table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Neighbour {
    /// Its MAC address; `None` while the kernel asks, or when there was no answer.
    pub mac: Option<Mac>,
    /// Set by hand: it never expires and must not be probed, which would make it expire.
    pub fixed: bool,
    /// The kernel asked, and nobody answered.
    pub has_failed: bool,
}

/// How many neighbours the kernel's tables hold (`gc_thresh3`); `None` where it does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NeighbourRoom {
    /// That of IPv4.
    pub v4: Option<u32>,
    /// That of IPv6.
    pub v6: Option<u32>,
}

impl Link {
    /// Whether it carries frames.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.state == LinkState::Up
    }
}

impl Kernel {
    /// The device of this name.
    #[must_use]
    pub fn link_named(&self, name: &str) -> Option<(LinkIndex, &Link)> {
        self.links.iter().find(|(_, link)| link.name == name).map(|(index, link)| (*index, link))
    }

    /// The device by which the machine's own stack has what comes in by the device of this name with this tag: itself, or a
    /// VLAN device above.
    #[must_use]
    pub fn link_in_vlan(&self, name: &str, vlan: Option<u16>) -> Option<LinkIndex> {
        let (lower, _) = self.link_named(name)?;
        let Some(vlan) = vlan else { return Some(lower) };
        self.links.iter().find(|(_, link)| link.vlan == Some((lower, vlan))).map(|(index, _)| *index)
    }

    /// The VRF that a device is in.
    #[must_use]
    pub fn vrf_of(&self, link: LinkIndex) -> Option<LinkIndex> {
        let (master, kind) = self.links.get(&link)?.master.as_ref()?;
        (kind == "vrf").then_some(*master)
    }

    /// Whether a neighbour on the device of this name has a MAC address.
    #[must_use]
    pub fn has_answered(&self, device: &str, address: IpAddr) -> bool {
        let neighbour = self.link_named(device).and_then(|(index, _)| self.neighbours.get(&(index, address)));
        neighbour.is_some_and(|neighbour| neighbour.mac.is_some())
    }

    /// The name of a device; of one that has gone, words that say so.
    #[must_use]
    pub fn link_name(&self, index: LinkIndex) -> String {
        self.links.get(&index).map_or_else(|| format!("device {index}, which is gone"), |link| link.name.clone())
    }
}
