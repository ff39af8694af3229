//! What is translated into what, and where each side's tunnel ends are.

use std::net::Ipv4Addr;

/// A tenant's encapsulation on one side, with its ID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encapsulation {
    /// RFC 7348, to UDP port 4789.
    Vxlan {
        /// 24 bits.
        vni: u32,
    },
    /// RFC 7637.
    Nvgre {
        /// 24 bits.
        vsid: u32,
    },
    /// RFC 2784 with a key (RFC 2890).
    Gre {
        /// All 32 bits.
        key: u32,
    },
    /// IEEE 802.1ad: an S-tag and a C-tag.
    QinQ {
        /// The outer tag's.
        s_vid: u16,
        /// The inner tag's.
        c_vid: u16,
    },
}

impl Encapsulation {
    /// As people call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Vxlan { .. } => "VXLAN",
            Self::Nvgre { .. } => "NVGRE",
            Self::Gre { .. } => "GRE",
            Self::QinQ { .. } => "QinQ",
        }
    }
}

/// One side of the gateway: its device, its far end, and what is spoken there.
#[derive(Debug, Clone, Copy)]
pub struct Side {
    /// The gateway's device.
    pub device: &'static str,
    /// The device at the other end of the cable, where traffic is made and counted.
    pub outside: &'static str,
    /// The gateway's address.
    pub gateway: Ipv4Addr,
    /// The far tunnel end.
    pub peer: Ipv4Addr,
    /// The encapsulation that is spoken there.
    pub encap: Encapsulation,
    /// Tells the two sides apart in MAC addresses.
    pub number: u8,
}

impl Side {
    /// MAC of the gateway's device.
    #[must_use]
    pub fn gateway_mac(&self) -> [u8; 6] {
        [2, 0xaa, 0, 0, 0, self.number]
    }

    /// MAC of the far tunnel end.
    #[must_use]
    pub fn peer_mac(&self) -> [u8; 6] {
        [2, 0xbb, 0, 0, 0, self.number]
    }

    /// The same cable as its far end sees it.
    #[must_use]
    pub fn mirrored(&self) -> Self {
        let Self { device, outside, gateway, peer, .. } = *self;
        Self { device: outside, outside: device, gateway: peer, peer: gateway, ..*self }
    }

    /// The tenant's host number `host` on this side.
    #[must_use]
    pub fn host_mac(&self, host: u32) -> [u8; 6] {
        let [a, b, c, d] = host.to_be_bytes();
        [2, self.number, a, b, c, d]
    }
}

/// As `ip` and configuration files write a MAC.
#[must_use]
pub fn text(mac: [u8; 6]) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}

/// A translation: frames come in at one side and leave at the other.
#[derive(Debug, Clone, Copy)]
pub struct Path {
    /// Where the measured traffic comes from.
    pub from: Side,
    /// The side that frames leave by.
    pub to: Side,
}

impl Path {
    /// The path between sides of these two encapsulations.
    #[must_use]
    pub fn new(from: Encapsulation, to: Encapsulation) -> Self {
        let side = |number: u8, device, outside, network: [u8; 3], encap| {
            let [a, b, c] = network;
            Side { device, outside, gateway: Ipv4Addr::new(a, b, c, 1), peer: Ipv4Addr::new(a, b, c, 9), encap, number }
        };
        Self { from: side(1, "up1", "far1", [192, 0, 2], from), to: side(2, "up2", "far2", [198, 51, 100], to) }
    }

    /// `VXLAN→NVGRE` and the like.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}→{}", self.from.encap.name(), self.to.encap.name())
    }

    /// One for each way out: what TCP goes through.
    #[must_use]
    pub fn ways_out() -> [Self; 4] {
        let [vxlan, nvgre, gre, qinq] = Self::measured();
        [vxlan, nvgre, gre, Self::new(qinq.to.encap, qinq.from.encap)]
    }

    /// The four that are measured.
    #[must_use]
    pub fn measured() -> [Self; 4] {
        let vxlan = |vni| Encapsulation::Vxlan { vni };
        [
            Self::new(vxlan(100), vxlan(200)),
            Self::new(vxlan(100), Encapsulation::Nvgre { vsid: 5001 }),
            Self::new(vxlan(100), Encapsulation::Gre { key: 3 }),
            Self::new(Encapsulation::QinQ { s_vid: 100, c_vid: 7 }, vxlan(200)),
        ]
    }
}
