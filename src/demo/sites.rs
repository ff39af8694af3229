//! The four sites of the demonstration: what each speaks, and how it is wired to the gateway.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use transload_encaps::Mac;

/// The configuration of the gateway between the sites.
pub(super) const GATEWAY: &str = include_str!("configs/gateway.yaml");
/// The gateway's tunnel address.
pub(super) const ENDPOINT_V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
/// The gateway's other tunnel address.
pub(super) const ENDPOINT_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
/// The tenant's network.
pub(super) const TENANT_PREFIX: u8 = 24;
/// What the tenant's hosts may send; as everywhere.
pub(super) const TENANT_MTU: u32 = 1500;
/// What the underlay carries: the tenant's packets and every header around them.
pub(super) const UNDERLAY_MTU: u32 = 1600;
/// The device that joins a site to the gateway, seen from the site.
pub(super) const WIRE: &str = "wire";
/// The device that is the tenant's host.
pub(super) const TENANT: &str = "tenant";

/// A site with one host of the tenant.
#[derive(Debug, Clone, Copy)]
pub(super) struct Site {
    /// Its number, from 1.
    pub(super) number: u8,
    /// Its name: a port of the gateway's configuration.
    pub(super) name: &'static str,
    /// The name of its encapsulation.
    pub(super) title: &'static str,
    /// The tenant's ID there, for people.
    pub(super) id: &'static str,
    /// How the tenant's frames travel.
    pub(super) carriage: Carriage,
    /// The addresses of the cable between the gateway and the site; none where there is no underlay.
    pub(super) cable: Option<Cable>,
    /// What a second transload runs that speaks for the host.
    pub(super) configuration: &'static str,
}

/// How a tenant's frames travel, and under which ID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Carriage {
    /// RFC 7348.
    Vxlan {
        /// The segment.
        vni: u32,
    },
    /// RFC 7637, or GRE with a key; to Linux they are one.
    Gre {
        /// The whole key: for NVGRE, the VSID and a flow ID.
        key: u32,
        /// Whether packets carry a checksum.
        checksum: bool,
    },
    /// IEEE 802.1ad.
    QinQ {
        /// The outer tag.
        s_vid: u16,
        /// The inner tag.
        c_vid: u16,
    },
}

/// An underlay link.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cable {
    /// The gateway's end.
    pub(super) near: IpAddr,
    /// The site's end, which is the site's tunnel address.
    pub(super) far: IpAddr,
    /// The length of the prefix they share.
    pub(super) prefix: u8,
    /// The gateway's tunnel address that the site speaks to.
    pub(super) endpoint: IpAddr,
}

/// How many sites there are. A number of its own: to take it from `SITES` in a type is a cycle to an optimising build.
pub(super) const COUNT: usize = 4;

/// The sites, in the order of their numbers.
pub(super) const SITES: [Site; COUNT] = [
    Site {
        number: 1,
        name: "vxlan",
        title: "VXLAN",
        id: "VNI 777216",
        carriage: Carriage::Vxlan { vni: 777_216 },
        cable: Some(v4(1)),
        configuration: include_str!("configs/vxlan.yaml"),
    },
    Site {
        number: 2,
        name: "nvgre",
        title: "NVGRE",
        id: "VSID 5100",
        carriage: Carriage::Gre { key: 5100 << 8, checksum: false },
        cable: Some(v4(5)),
        configuration: include_str!("configs/nvgre.yaml"),
    },
    Site {
        number: 3,
        name: "gre",
        title: "GRE",
        id: "key 0xbeef",
        carriage: Carriage::Gre { key: 0xbeef, checksum: true },
        cable: Some(Cable {
            near: IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 3, 0, 0, 0, 0, 1)),
            far: IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 3, 0, 0, 0, 0, 2)),
            prefix: 64,
            endpoint: IpAddr::V6(ENDPOINT_V6),
        }),
        configuration: include_str!("configs/gre.yaml"),
    },
    Site {
        number: 4,
        name: "qinq",
        title: "QinQ",
        id: "S 100, C 7",
        carriage: Carriage::QinQ { s_vid: 100, c_vid: 7 },
        cable: None,
        configuration: include_str!("configs/qinq.yaml"),
    },
];

/// The gateway's end has this last byte, the site's end the next one.
const fn v4(near: u8) -> Cable {
    Cable {
        near: IpAddr::V4(Ipv4Addr::new(198, 51, 100, near)),
        far: IpAddr::V4(Ipv4Addr::new(198, 51, 100, near + 1)),
        prefix: 30,
        endpoint: IpAddr::V4(ENDPOINT_V4),
    }
}

impl Site {
    /// The host's address in the tenant's network.
    pub(super) const fn tenant(&self) -> Ipv4Addr {
        Ipv4Addr::new(10, 10, 10, self.number)
    }

    /// The host's MAC address.
    pub(super) const fn tenant_mac(&self) -> Mac {
        Mac([2, 0, 0, 0, 0, self.number])
    }

    /// The gateway's end of the cable.
    pub(super) fn device(&self) -> String {
        format!("to-{}", self.name)
    }

    /// Its MAC address.
    pub(super) const fn near_mac(&self) -> Mac {
        Mac([2, 0, 0, 0, 1, self.number])
    }

    /// The MAC address of the site's end.
    pub(super) const fn far_mac(&self) -> Mac {
        Mac([2, 0, 0, 0, 2, self.number])
    }
}
