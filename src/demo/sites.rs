//! The four sites of the demonstration: what each speaks, and how it is wired to the gateway.

use std::fs::OpenOptions;
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
/// Its other end, where it is no TAP.
pub(super) const TENANT_PORT: &str = "tenant-port";

/// A site with one host of the tenant.
#[derive(Debug, Clone, Copy)]
pub(super) struct Site {
    /// Its number, from 1.
    pub number: u8,
    /// Its name: a port of the gateway's configuration.
    pub name: &'static str,
    /// What it speaks.
    pub title: &'static str,
    /// The tenant's ID there.
    pub id: &'static str,
    /// The addresses of the cable between the gateway and the site; none where there is no underlay.
    pub cable: Option<Cable>,
    /// Who speaks for the host.
    pub speaker: Speaker,
}

/// An underlay link.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cable {
    /// The gateway's end.
    pub near: IpAddr,
    /// The site's end, which is the site's tunnel address.
    pub far: IpAddr,
    /// The length of the prefix they share.
    pub prefix: u8,
    /// The gateway's tunnel address that the site speaks to.
    pub endpoint: IpAddr,
}

/// Who puts a host's frames into tunnels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Speaker {
    /// The running kernel's own VXLAN, with this ID.
    Kernel {
        /// The segment.
        vni: u32,
    },
    /// A second transload with a TAP and this configuration.
    Transload(&'static str),
}

/// How a second transload is joined to the host it speaks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Joint {
    /// The host is a TAP.
    Tap,
    /// The host is one end of a virtual cable, for want of a TAP.
    Veth,
}

impl Joint {
    /// A TAP where we may have one: some systems keep `/dev/net/tun` to root.
    pub(super) fn find() -> Self {
        let tun = OpenOptions::new().read(true).write(true).open("/dev/net/tun");
        if tun.is_ok() { Self::Tap } else { Self::Veth }
    }

    /// A site's configuration, which is written for a TAP.
    pub(super) fn adapt(self, configuration: &str) -> String {
        match self {
            Self::Tap => configuration.to_owned(),
            Self::Veth => configuration.replace("{ device: tenant, io: tap }", "{ device: tenant-port }"),
        }
    }
}

/// The sites, in the order of their numbers.
pub(super) const SITES: [Site; 4] = [
    Site {
        number: 1,
        name: "vxlan",
        title: "VXLAN",
        id: "VNI 777216",
        cable: Some(v4(1)),
        speaker: Speaker::Kernel { vni: 777_216 },
    },
    Site {
        number: 2,
        name: "nvgre",
        title: "NVGRE",
        id: "VSID 5100",
        cable: Some(v4(5)),
        speaker: Speaker::Transload(include_str!("configs/nvgre.yaml")),
    },
    Site {
        number: 3,
        name: "gre",
        title: "GRE",
        id: "key 0xbeef",
        cable: Some(Cable {
            near: IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 3, 0, 0, 0, 0, 1)),
            far: IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 3, 0, 0, 0, 0, 2)),
            prefix: 64,
            endpoint: IpAddr::V6(ENDPOINT_V6),
        }),
        speaker: Speaker::Transload(include_str!("configs/gre.yaml")),
    },
    Site {
        number: 4,
        name: "qinq",
        title: "QinQ",
        id: "S 100, C 7",
        cable: None,
        speaker: Speaker::Transload(include_str!("configs/qinq.yaml")),
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
    #[must_use]
    pub(super) const fn tenant(&self) -> Ipv4Addr {
        Ipv4Addr::new(10, 10, 10, self.number)
    }

    /// The host's MAC address.
    #[must_use]
    pub(super) const fn tenant_mac(&self) -> Mac {
        Mac([2, 0, 0, 0, 0, self.number])
    }

    /// The gateway's end of the cable.
    #[must_use]
    pub(super) fn device(&self) -> String {
        format!("to-{}", self.name)
    }

    /// Its MAC address.
    #[must_use]
    pub(super) const fn near_mac(&self) -> Mac {
        Mac([2, 0, 0, 0, 1, self.number])
    }

    /// The MAC address of the site's end.
    #[must_use]
    pub(super) const fn far_mac(&self) -> Mac {
        Mac([2, 0, 0, 0, 2, self.number])
    }

    /// Who speaks for the host, in words.
    pub(super) const fn speaker_words(&self, joint: Joint) -> &'static str {
        match (self.speaker, joint) {
            (Speaker::Kernel { .. }, _) => "Linux kernel",
            (Speaker::Transload(_), Joint::Tap) => "transload, TAP",
            (Speaker::Transload(_), Joint::Veth) => "transload,veth",
        }
    }
}
