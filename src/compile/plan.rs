//! What a configuration comes to: the frozen tables, and what control does with the rest.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use transload_encaps::Mac;
use transload_encaps::outer::UdpRules;
use transload_encaps::underlay::UnderlaySpec;

use super::names::Names;
use super::numbers::Numbers;
use crate::config::{Polling, Problem, Source, Span};
use crate::forwarding::{DomainId, EndpointId, FileTables, GroupId, PeerId, Port, PortId, Target};
use crate::io::Backend;

/// What a configuration comes to. The default is that of no file at all.
#[derive(Debug, Default)]
pub struct Plan {
    /// The file it was compiled from, for messages that point into it.
    pub source: Source,
    /// The tables of the data plane, as far as the file decides them.
    pub tables: Arc<FileTables>,
    /// What the numbers are called.
    pub names: Names,
    /// The numbers of all names, those that are retired included.
    pub numbers: Numbers,
    /// The static addresses.
    pub statics: Vec<Static>,
    /// The ports to open.
    pub ports: Vec<PortPlan>,
    /// The tunnels to find next hops for.
    pub tunnels: Vec<TunnelPlan>,
    /// The groups that learn their members.
    pub learning: Vec<LearningGroup>,
    /// Sizes and paths.
    pub settings: Settings,
    /// What somebody should look at, in the order of the file.
    pub warnings: Vec<Problem>,
}

/// A static address of a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Static {
    /// The tenant.
    pub domain: DomainId,
    /// The address.
    pub mac: Mac,
    /// Where it lives.
    pub target: Target,
}

/// A port to open.
#[derive(Debug, Clone)]
pub struct PortPlan {
    /// Its number.
    pub id: PortId,
    /// Its name.
    pub name: String,
    /// What moves its frames.
    pub backend: Backend,
    /// A MAC address that overrides the device's.
    pub mac: Option<Mac>,
    /// An MTU that overrides the device's.
    pub mtu: Option<u32>,
    /// Static neighbours, by tunnel address.
    pub next_hops: Vec<(IpAddr, Mac)>,
    /// Where the file names it.
    pub span: Span,
}

/// A tunnel to find next hops for.
#[derive(Debug, Clone)]
pub struct TunnelPlan {
    /// The peer at its far end: the row of [`Forwarding::hops`](crate::forwarding::Forwarding::hops) to fill.
    pub peer: PeerId,
    /// The name of our endpoint, for messages.
    pub endpoint: String,
    /// Our address.
    pub local: IpAddr,
    /// The peer's.
    pub remote: IpAddr,
    /// The ports it may leave by.
    pub ports: Vec<PortId>,
    /// The VLAN our endpoint lives in.
    pub vlan: Option<u16>,
    /// Where the file gives the peer's address.
    pub span: Span,
}

/// A group that learns its members: all that a new one needs but its address.
#[derive(Debug, Clone)]
pub struct LearningGroup {
    /// The group.
    pub group: GroupId,
    /// Its name.
    pub name: String,
    /// Who its senders count as until they have a number.
    pub anonymous: PeerId,
    /// The endpoint they come to.
    pub endpoint: EndpointId,
    /// The outer headers, towards anybody.
    pub underlay: UnderlaySpec,
    /// What it makes of UDP checksums.
    pub udp: UdpRules,
    /// The multicast group that members send to.
    pub hears: Option<IpAddr>,
    /// The tunnel to find next hops for, towards anybody.
    pub tunnel: TunnelPlan,
    /// How many members may be learned.
    pub most: usize,
}

/// Sizes and paths.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settings {
    /// How many addresses the FDB holds.
    pub fdb_capacity: usize,
    /// How many threads move frames.
    pub workers: usize,
    /// What they do while nothing arrives.
    pub polling: Polling,
    /// The socket that `show` asks, if the file names one.
    pub admin: Option<PathBuf>,
}

impl TunnelPlan {
    /// Whether it leads the same way as another one.
    #[must_use]
    pub fn is_alike(&self, other: &Self) -> bool {
        (self.local, self.remote, &self.ports, self.vlan) == (other.local, other.remote, &other.ports, other.vlan)
    }
}

impl Plan {
    /// Whether any of our tunnel addresses is reached through a port.
    #[must_use]
    pub fn has_endpoints(&self, port: PortId) -> bool {
        self.port(port).is_some_and(|port| !port.endpoints.is_empty())
    }

    /// Whether attachments claim tags of a port.
    #[must_use]
    pub fn has_tags(&self, port: PortId) -> bool {
        self.port(port).is_some_and(|port| port.tags.is_some())
    }

    /// The device of a port that only tenants are behind.
    #[must_use]
    pub fn tenant_device<'p>(&self, port: &'p PortPlan) -> Option<&'p str> {
        let device = port.backend.network_device()?;
        (self.has_tags(port.id) && !self.has_endpoints(port.id)).then_some(device)
    }

    /// `3 ports, 2 tunnel peers, 1 tenant`
    #[must_use]
    pub fn summary(&self) -> String {
        let plural = |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
        let tenants = self.tables.domains.iter().flatten().count();
        [plural(self.ports.len(), "port"), plural(self.tunnels.len(), "tunnel peer"), plural(tenants, "tenant")]
            .join(", ")
    }

    fn port(&self, id: PortId) -> Option<&Port> {
        self.tables.ports.get(usize::from(id.0))
    }
}
