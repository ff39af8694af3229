//! The plan: what a configuration compiles to, tables and the rest.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use transload_encaps::outer::UdpRules;
use transload_encaps::qinq::{FirstTag, UNTAGGED, first_tag};
use transload_encaps::underlay::UnderlaySpec;
use transload_encaps::{Mac, Segment};

use super::names::Names;
use super::numbers::Numbers;
use crate::config::{NamePatterns, Polling, Problem, Seccomp, SourceText, Span};
use crate::forwarding::{Claim, DomainId, EndpointId, FileTables, GroupId, PeerId, Port, PortId, Target};
use crate::io::Backend;

/// What a configuration compiles to. The default is that of no file at all. A clone shares the tables and most names.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// The file it was compiled from, for messages that point into it.
    pub source: SourceText,
    /// The tables of the data plane, as far as the file decides them.
    pub tables: Arc<FileTables>,
    /// The names of the numbers.
    pub names: Names,
    /// The numbers of all names, those that are retired included.
    pub numbers: Numbers,
    /// The static addresses.
    pub statics: Vec<Static>,
    /// The attachments to which the file gives one ID to receive and another to send with.
    pub ids_apart: BTreeSet<Claim>,
    /// The ports to open.
    pub ports: Vec<PortPlan>,
    /// The tunnels to find next hops for.
    pub tunnels: Vec<TunnelPlan>,
    /// The peers whose address is a DNS name.
    pub named: Vec<NamedPeer>,
    /// The groups that learn their members.
    pub learning: Vec<LearningGroup>,
    /// What the file sets for the whole gateway.
    pub settings: Settings,
    /// Warnings, in the order of the file.
    pub warnings: Vec<Problem>,
}

/// A static address of a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Static {
    /// The tenant.
    pub domain: DomainId,
    /// The address.
    pub mac: Mac,
    /// The attachment and the peer it is behind.
    pub target: Target,
}

/// A port to open.
#[derive(Debug, Clone)]
pub struct PortPlan {
    /// Its number.
    pub id: PortId,
    /// Its name.
    pub name: String,
    /// The I/O back-end that moves its frames.
    pub backend: Backend,
    /// A MAC address that overrides the device's.
    pub mac: Option<Mac>,
    /// An MTU that overrides the device's.
    pub mtu: Option<u32>,
    /// Static neighbours, by tunnel address.
    pub next_hops: Vec<(IpAddr, Mac)>,
    /// Where the file names it.
    pub span: Span,
    /// The device's name in the file, if it is an alternative one.
    pub written: Option<String>,
}

/// A tunnel to find next hops for.
#[derive(Debug, Clone)]
pub struct TunnelPlan {
    /// The peer at its far end: the row of [`Forwarding::hops`](crate::forwarding::Forwarding::hops) to fill.
    pub peer: PeerId,
    /// The peer's name: `GROUP/ADDRESS` for a member of a group.
    pub name: String,
    /// The name of our endpoint.
    pub endpoint: String,
    /// Our address.
    pub local: IpAddr,
    /// The peer's address.
    pub remote: IpAddr,
    /// The ports it may leave by.
    pub ports: Vec<PortId>,
    /// The VLAN our endpoint lives in.
    pub vlan: Option<u16>,
    /// Where the file gives the peer's address.
    pub span: Span,
}

/// A peer whose address is a DNS name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedPeer {
    /// Its number.
    pub peer: PeerId,
    /// Its name in the file.
    pub name: String,
    /// The DNS name.
    pub host: String,
    /// The name of our endpoint.
    pub endpoint: String,
    /// The address that it has.
    pub address: Option<IpAddr>,
    /// What is wrong with the name or its answer, in words.
    pub complaint: Option<String>,
    /// Where the file gives the DNS name.
    pub span: Span,
}

/// A group that learns its members: all that a new one needs but its address.
#[derive(Debug, Clone)]
pub struct LearningGroup {
    /// The group.
    pub group: GroupId,
    /// Its name.
    pub name: String,
    /// The peer that senders count as until they have a number of their own.
    pub anonymous: PeerId,
    /// The endpoint that members' packets come to.
    pub endpoint: EndpointId,
    /// The outer headers; `dst` is the member's.
    pub underlay: UnderlaySpec,
    /// Rules for UDP checksums of received packets.
    pub udp: UdpRules,
    /// The multicast group that members' packets may come to.
    pub multicast_group: Option<IpAddr>,
    /// The tunnel to find next hops for, towards anybody: `peer`, `name` and `remote` are the member's.
    pub tunnel: TunnelPlan,
    /// Most members that are learned at a time.
    pub most: usize,
    /// How many attachments of tenants share them.
    pub attachments: usize,
}

impl LearningGroup {
    /// Whether there is room for one more of a tenant's, beside `all` that are learned and the tenant's `own`: of a
    /// quarter of the room, every attachment is sure of an equal part.
    #[must_use]
    pub fn has_room(&self, all: usize, own: usize) -> bool {
        let sharers = self.attachments.max(1);
        let reserve = self.most / 4 / sharers;
        let others = reserve * (sharers - 1);
        all < self.most && (own < reserve || all < self.most - others)
    }
}

/// What the file sets for the whole gateway.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settings {
    /// Most addresses in the FDB.
    pub fdb_capacity: usize,
    /// Number of threads that move frames.
    pub workers: usize,
    /// What the threads do while nothing arrives.
    pub polling: Polling,
    /// The socket that `show` asks, if the file names one.
    pub admin: Option<PathBuf>,
    /// The user that the gateway becomes, if it is to be another.
    pub user: Option<String>,
    /// Whether the kernel refuses system calls that it does not need.
    pub seccomp: Seccomp,
    /// What is written down for the next start, if anything.
    pub state: Option<StatePlan>,
    /// Metrics for Prometheus.
    pub metrics: MetricsPlan,
}

/// Metrics: where they are served, and what they tell apart.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MetricsPlan {
    /// Where they are served, besides the admin socket.
    pub serving: Option<Serving>,
    /// The tenants that have none of their own.
    pub leave_out: NamePatterns,
}

/// A TCP port that something is served on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Serving {
    /// The address and the port.
    pub at: SocketAddr,
    /// Where the file names it.
    pub span: Span,
}

/// How what is known survives a restart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatePlan {
    /// The state file, if the gateway's file names one.
    pub file: Option<PathBuf>,
    /// Seconds between two writings.
    pub interval: u64,
}

impl TunnelPlan {
    /// Whether its packets take the same path as another's.
    #[must_use]
    pub fn is_alike(&self, other: &Self) -> bool {
        (self.local, self.remote, &self.ports, self.vlan) == (other.local, other.remote, &other.ports, other.vlan)
    }
}

impl Plan {
    /// Replaces the alternative names of devices; `own_name` gives that of a port's device, if it has another.
    pub fn name_devices(&mut self, own_name: impl Fn(&PortPlan, &str) -> Option<String>) {
        for port in &mut self.ports {
            let name = port.backend.network_device().and_then(|written| own_name(port, written));
            if let (Some(name), Some(device)) = (name, port.backend.network_device_mut()) {
                port.written = Some(std::mem::replace(device, name));
            }
        }
    }

    /// Whether any of our tunnel addresses is reached through a port.
    #[must_use]
    pub fn has_endpoints(&self, port: PortId) -> bool {
        self.port(port).is_some_and(|port| !port.endpoints.is_empty())
    }

    /// Whether a tenant or a mapping is attached to tags of this port.
    #[must_use]
    pub fn has_tags(&self, port: PortId) -> bool {
        self.port(port).is_some_and(|port| port.tags.is_some())
    }

    /// The device of a port behind which are only tenants: it has tags and no endpoint.
    #[must_use]
    pub fn tenant_device<'p>(&self, port: &'p PortPlan) -> Option<&'p str> {
        let device = port.backend.network_device()?;
        (self.has_tags(port.id) && !self.has_endpoints(port.id)).then_some(device)
    }

    /// Whether a tenant or a mapping is attached to the frames of this port that have no VLAN ID.
    #[must_use]
    pub fn has_untagged(&self, port: PortId) -> bool {
        let tags = self.port(port).and_then(|port| self.tables.peer(port.tags?));
        tags.is_some_and(|tags| {
            let sides = self.tables.mappings.by_scope.get(tags.scope).into_iter().flatten();
            let mut mapped = sides.filter_map(|&(id, side)| self.tables.mappings.get(id)?.ids.sides.get(side));
            self.tables.segments.contains_key(&(tags.scope, UNTAGGED))
                || mapped.any(|side| first_tag(Segment(side.base)) == FirstTag::None)
        })
    }

    /// `3 ports, 2 tunnel peers, 1 tenant`
    #[must_use]
    pub fn summary(&self) -> String {
        let plural = |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
        let tenants = self.tables.domains.values().count();
        [plural(self.ports.len(), "port"), plural(self.tunnels.len(), "tunnel peer"), plural(tenants, "tenant")]
            .join(", ")
    }

    fn port(&self, id: PortId) -> Option<&Port> {
        self.tables.ports.get(id)
    }
}
