//! A site: one tunnel to one peer, and behind it a host of each tenant. The rows and columns of the matrix.

use std::fmt;

use serde::Deserialize;

use super::stack::Stack;

/// How a peer is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Encap {
    /// RFC 7348.
    Vxlan,
    /// RFC 2784 with a key of RFC 2890.
    Gre,
    /// The same with checksums and sequence numbers.
    GreChecked,
    /// RFC 7637, from a peer that compares all 32 bits of the key: `FlowID` 0.
    NvgreZero,
    /// RFC 7637 with `FlowID`s.
    Nvgre,
    /// IEEE 802.1ad: a service tag and a customer tag.
    #[serde(rename = "qinq")]
    QinQ,
    /// IEEE 802.1Q: one tag.
    Vlan,
}

/// The four encapsulations of the any-to-any table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// VXLAN.
    Vxlan,
    /// NVGRE.
    Nvgre,
    /// GRE.
    Gre,
    /// Tags on a port.
    Tags,
}

impl Family {
    /// All encapsulations.
    pub const ALL: [Self; 4] = [Self::Vxlan, Self::Nvgre, Self::Gre, Self::Tags];
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Vxlan => "VXLAN",
            Self::Nvgre => "NVGRE",
            Self::Gre => "GRE",
            Self::Tags => "QinQ",
        })
    }
}

/// What a tunnel rides on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Underlay {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
    /// Nothing but the cable.
    Cable,
}

/// Two tenants with the same addresses, who must never meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tenant {
    /// The one that most cases are about.
    Blue,
    /// The other.
    Red,
}

impl Tenant {
    /// Both tenants.
    pub const ALL: [Self; 2] = [Self::Blue, Self::Red];

    /// Its name in the gateway's file.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Blue => "blue",
            Self::Red => "red",
        }
    }
}

/// One tunnel to one peer.
#[derive(Debug, Clone)]
pub struct Site {
    /// Such as `uml-gre6`; also its name in the gateway's file.
    pub name: String,
    /// The peer stack at the far end.
    pub stack: Stack,
    /// The encapsulation between it and the gateway.
    pub encap: Encap,
    /// What the tunnel rides on.
    pub underlay: Underlay,
    /// Its place among the sites, from 1: the last number of its addresses.
    pub number: u8,
    /// Our tunnel address, and the peer's; empty where there is no IP.
    pub addresses: (String, String),
}

impl Site {
    /// The column of the 4 × 4 table.
    #[must_use]
    pub fn family(&self) -> Family {
        match self.encap {
            Encap::Vxlan => Family::Vxlan,
            Encap::Gre | Encap::GreChecked => Family::Gre,
            Encap::NvgreZero | Encap::Nvgre => Family::Nvgre,
            Encap::QinQ | Encap::Vlan => Family::Tags,
        }
    }

    /// The host's IPv4 address; the same for both tenants.
    #[must_use]
    pub fn v4(&self) -> String {
        format!("10.1.0.{}", self.number)
    }

    /// The host's IPv6 address.
    #[must_use]
    pub fn v6(&self) -> String {
        format!("fd10::{:x}", self.number)
    }

    /// The host's MAC address.
    #[must_use]
    pub fn mac(&self) -> String {
        format!("02:00:00:00:aa:{:02x}", self.number)
    }

    /// The tenant ID: VNI, VSID, key, C-VID or VID.
    #[must_use]
    pub fn id(&self, tenant: Tenant) -> u32 {
        let number = u32::from(self.number);
        let (blue, red) = match self.encap {
            Encap::Vxlan | Encap::Gre | Encap::GreChecked => (1000, 2000),
            // Below 4096 they are reserved.
            Encap::NvgreZero | Encap::Nvgre => (5000, 6000),
            Encap::QinQ => return if tenant == Tenant::Blue { 7 } else { 8 },
            Encap::Vlan => (300, 600),
        };
        number + if tenant == Tenant::Blue { blue } else { red }
    }

    /// The service tag of a site with two.
    #[must_use]
    pub fn s_vid(&self) -> u32 {
        100 + u32::from(self.number)
    }

    /// Bytes of an IP packet that the site's hosts may send over its cable of 1500.
    #[must_use]
    pub fn mtu(&self) -> u16 {
        let has_option = self.encap == Encap::Gre && self.underlay == Underlay::V6 && self.stack != Stack::Ovs;
        // Linux's tunnel encapsulation limit (RFC 2473 §4.1.1), which the gateway does not send.
        self.way_mtu() - if has_option { 8 } else { 0 }
    }

    /// Bytes of an IP packet that the gateway gets through to the site.
    #[must_use]
    pub fn way_mtu(&self) -> u16 {
        let ip = match self.underlay {
            Underlay::V4 => 20,
            Underlay::V6 => 40,
            Underlay::Cable => 0,
        };
        let header = match self.encap {
            Encap::Gre | Encap::NvgreZero | Encap::Nvgre => 8 + 14,
            Encap::Vxlan | Encap::GreChecked => 16 + 14,
            // A cable's 1500 bytes are behind a customer's tag, not behind a service tag.
            Encap::QinQ => 8,
            Encap::Vlan => 0,
        };
        1500 - ip - header
    }

    /// The attachment of a tenant, as the gateway's file has it.
    #[must_use]
    pub fn attachment(&self, tenant: Tenant) -> String {
        let (name, id) = (&self.name, self.id(tenant));
        match self.encap {
            Encap::Vxlan => format!("{{ peer: {name}, vni: {id} }}"),
            Encap::Gre | Encap::GreChecked => format!("{{ peer: {name}, key: {id} }}"),
            Encap::NvgreZero | Encap::Nvgre => format!("{{ peer: {name}, vsid: {id} }}"),
            Encap::QinQ => format!("{{ port: {}, s_vid: {}, c_vid: {id} }}", self.stack.tagged_port(), self.s_vid()),
            Encap::Vlan => format!("{{ port: {}, vid: {id} }}", self.stack.tagged_port()),
        }
    }

    /// The peer, as the gateway's file has it; none where there are only tags.
    #[must_use]
    pub fn peer(&self) -> Option<String> {
        let encap = match self.encap {
            Encap::Vxlan => "vxlan",
            Encap::Gre => "gre",
            Encap::GreChecked => "{ gre: { checksum: true, sequence: true } }",
            Encap::NvgreZero => "{ nvgre: { flow_id: zero } }",
            Encap::Nvgre => "nvgre",
            Encap::QinQ | Encap::Vlan => return None,
        };
        let (address, endpoint) = (&self.addresses.1, self.endpoint());
        Some(format!("{{ address: \"{address}\", endpoint: {endpoint}, encap: {encap} }}"))
    }

    /// The gateway's endpoint for it.
    #[must_use]
    pub fn endpoint(&self) -> String {
        match (self.underlay, self.stack) {
            (Underlay::V6, Stack::Ovs) => format!("{}-endpoint", self.name),
            (Underlay::V6, _) => format!("{}6", self.stack),
            _ => format!("{}4", self.stack),
        }
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}
