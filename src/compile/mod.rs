//! The compiler: from a gateway's file to the frozen tables, noun by noun.
//!
//! Ports, endpoints, peers and groups first, then the tags of ports as one more kind of peer, then tenants, which
//! claim segments of all of these. Every pass reports what it finds and goes on, so that one run shows everything.

mod address_kind;
mod attachments;
mod bits;
mod bum_limits;
mod claims;
mod context;
mod control;
mod domains;
mod drafts;
mod endpoints;
mod findings;
mod forgery;
mod groups;
mod horizons;
mod learners;
mod mappings;
mod metrics;
mod named_peers;
mod names;
mod narrow;
mod numbers;
mod origins;
mod patterns;
mod peers;
mod plan;
mod policies;
mod ports;
mod reserves;
mod room;
mod sent;
mod sides;
mod specs;
mod statics;
mod table;
mod tags;
mod wire;
mod written;

use std::collections::HashSet;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

pub use names::Names;
pub use narrow::{mtu_place, narrow};
pub use numbers::{Freed, Numbers};
pub use origins::{Line, Noun, Origins};
pub use plan::{
    LearningGroup, MetricsPlan, NamedPeer, Plan, PortPlan, Serving, Settings, StatePlan, Static, TunnelPlan,
};

use crate::config::{At, Config, File, Problems, Span, Switch};
use crate::fdb;
use crate::forwarding::{Domain, DomainId, FileTables, GroupId, Map, Members, Peer, PeerId, Slab};
use context::Context;
use domains::{TenantPass, TenantSection};
use endpoints::EndpointSection;
use findings::Findings;
use mappings::{MappingPass, MappingSection};
use peers::PeerSection;
use ports::PortSection;
use room::Room;
use sides::FarSides;
use tags::PortTags;

/// Compiles a file. Names keep the numbers that they have in `numbers`, and what `previous` counted goes on.
///
/// # Errors
/// Everything that is wrong with the file, in its order.
pub fn compile(config: &Config, numbers: &Numbers, previous: Option<&FileTables>) -> Result<Plan, Problems> {
    attempt(config, numbers.next(), previous, None)
}

/// Compiles a file, and keeps where everything in the tables comes from.
///
/// # Errors
/// Everything that is wrong with the file, in its order.
pub fn compile_with_origins(config: &Config) -> Result<(Plan, Origins), Problems> {
    let mut origins = Origins::new(config);
    let plan = attempt(config, Numbers::default().next(), None, Some(&mut origins))?;
    Ok((plan, origins))
}

/// Everything that the sections of a file declare, compiled.
struct Sections<'c> {
    ports: PortSection<'c>,
    endpoints: EndpointSection<'c>,
    peers: PeerSection<'c>,
    tags: PortTags<'c>,
    domains: TenantSection<'c>,
    mappings: MappingSection<'c>,
}

impl<'c> Sections<'c> {
    /// Each section in terms of those before it; then what only all tenants and mappings together decide: which ports'
    /// tags are used, and whether one of them could forge a tunnel.
    fn compile(config: &'c Config, previous: Option<&FileTables>, context: &mut Context<'_>) -> Self {
        let file = &config.file;
        let mut ports = ports::compile(&file.ports, context);
        let mut endpoints = endpoints::compile(&file.endpoints, &mut ports, context);
        let mut peers = peers::compile(config, &mut endpoints, context);
        let tags = tags::compile(&ports, &mut peers, context);
        let sides = FarSides { peers: &peers.single, groups: &peers.groups, ports: &tags.table };
        let room = &mut Room::of(&ports);
        let rows = &mut peers.forwarding;
        let domains = TenantPass { sides, peers: rows, room, sent: Vec::new(), previous, context }.compile(file);
        let pass = MappingPass { sides, peers: rows, room, segments: &domains.segments, context };
        let mappings = pass.compile(&file.mappings);
        tags.settle(&endpoints, &mut ports, &mut peers, context);
        forgery::check(&endpoints, &ports, &peers, &domains.segments, &mappings, context);
        Self { ports, endpoints, peers, tags, domains, mappings }
    }

    /// Warns about what nothing uses; what an error hides may well use it.
    fn warn_of_unused(&self, file: &File, findings: &mut Findings) {
        if findings.has_errors() {
            return;
        }
        warn_of_unused_ports(&self.ports, &self.tags, findings);
        warn_of_idle_next_hops(file, &self.peers.tunnels, findings);
        self.endpoints.table.warn_of_unused("remove it, or reach a peer from it", findings);
        self.peers.single.warn_of_unused("attach a tenant to it, or remove it", findings);
        self.peers.groups.warn_of_unused("attach a tenant to it, or remove it", findings);
    }
}

fn attempt(
    config: &Config,
    mut numbers: Numbers,
    previous: Option<&FileTables>,
    origins: Option<&mut Origins>,
) -> Result<Plan, Problems> {
    let file = &config.file;
    if config.is_part {
        return Err(Problems::sorted(config.problems.clone()));
    }
    let mut context = Context::new(config, &mut numbers, origins);
    let sections = Sections::compile(config, previous, &mut context);
    sections.warn_of_unused(file, &mut context.findings);
    let settings = settings(file, &sections.domains, &context.names, &mut context.findings);
    let Context { names, findings, .. } = context;
    let warnings = findings.finish()?;

    let Sections { ports, endpoints, mut peers, mut domains, mappings, .. } = sections;
    let common_macs = reserves::share(&mut domains.forwarding, domains.statics.len(), settings.fdb_capacity);
    count_sharers(&mut peers.learning, &domains.forwarding);
    carry_state(&mut peers.forwarding, previous);
    let tables = FileTables {
        ports: ports.forwarding,
        endpoints: endpoints.forwarding,
        peers: peers.forwarding,
        groups: peers.members,
        senders: peers.senders.table,
        learners: peers.learners.table(),
        segments: domains.segments.table,
        domains: domains.forwarding,
        common_macs,
        mappings: mappings.forwarding,
    };
    let mut plan = Plan {
        source: config.source.clone(),
        tables: Arc::new(tables),
        names,
        numbers,
        statics: domains.statics,
        ids_apart: domains.ids_apart,
        ports: ports.plans,
        tunnels: peers.tunnels,
        named: peers.named,
        learning: peers.learning,
        settings,
        warnings,
    };
    let narrow = narrow(config, &plan, |port| port.mtu);
    if !narrow.is_empty() {
        plan.warnings.extend(narrow);
        plan.warnings = Problems::sorted(plan.warnings).0;
    }
    Ok(plan)
}

/// Counts the attachments that share what a group may learn.
fn count_sharers(groups: &mut [LearningGroup], domains: &Slab<DomainId, Domain>) {
    if groups.is_empty() {
        return;
    }
    let mut sharers = Map::<GroupId, usize>::default();
    for attachment in domains.values().flat_map(|domain| domain.attachments.values()) {
        if let Members::Group(group) = attachment.members {
            *sharers.entry(group).or_default() += 1;
        }
    }
    for group in groups {
        group.attachments = sharers.get(&group.group).copied().unwrap_or(0);
    }
}

/// Sequence numbers and identifications go on across a reload, as far as the peer is the same.
fn carry_state(peers: &mut Slab<PeerId, Peer>, previous: Option<&FileTables>) {
    for (id, peer) in peers.iter_mut() {
        let before = previous.and_then(|previous| previous.peer(id));
        peer.compiled.carry_state(before.map(|peer| &peer.compiled));
        peer.carry_ids(before);
    }
}

fn settings(file: &File, domains: &TenantSection<'_>, names: &Names, findings: &mut Findings) -> Settings {
    let capacity = file.fdb.capacity.as_ref();
    let fdb_capacity = capacity.and_then(At::value).map_or(fdb::DEFAULT_CAPACITY, |macs| macs.0 as usize);
    let statics = domains.statics.len();
    if let Some(at) = capacity.filter(|_| statics > fdb_capacity) {
        let message = format!("the file has {statics} static addresses, more than the FDB holds");
        findings.error(at.span, message, format!("write {statics} or more"));
    }
    reserves::warn(file, domains, fdb_capacity, findings);
    let workers = file.workers.as_ref().and_then(At::value).map_or(1, |workers| workers.0 as usize);
    if let Some((at, path)) = file.admin.as_ref().and_then(|at| Some((at, at.get()?))) {
        socket_path(path, at.span, findings);
    }
    let polling = file.polling.as_ref().and_then(At::value).unwrap_or_default();
    let admin = file.admin.as_ref().and_then(At::get).cloned();
    let user = file.user.as_ref().and_then(At::get).cloned();
    let seccomp = file.seccomp.as_ref().and_then(At::value).unwrap_or_default();
    let (state, metrics) = (state(file, findings), metrics::of(file, names, findings));
    Settings { fdb_capacity, workers, polling, admin, user, seccomp, state, metrics }
}

fn state(file: &File, findings: &mut Findings) -> Option<StatePlan> {
    const INTERVAL: u64 = 60;
    let Some(written) = file.state.as_ref().and_then(At::get) else {
        return Some(StatePlan { file: None, interval: INTERVAL });
    };
    let Switch::On(state) = written else { return None };
    let interval = state.interval.as_ref().and_then(|at| Some((at.span, at.value()?.0)));
    if let Some((span, 0)) = interval {
        findings.error(span, "the state cannot be written every 0 seconds", "write 1s or more, or `state: off`");
    }
    let path = state.file.as_ref().and_then(At::get).cloned();
    Some(StatePlan { file: path, interval: interval.map_or(INTERVAL, |(_, seconds)| seconds.max(1)) })
}

/// Refuses a path that no Unix socket can have: `sun_path` has 108 bytes, and the last is zero.
fn socket_path(path: &Path, span: Span, findings: &mut Findings) {
    const MOST: usize = 107;
    let len = path.as_os_str().len();
    if len > MOST {
        let message = format!("the path has {len} bytes, and that of a Unix socket at most {MOST}");
        findings.error(span, message, "write a shorter path, such as one in /run");
    }
}

fn warn_of_unused_ports(ports: &PortSection<'_>, tags: &PortTags<'_>, findings: &mut Findings) {
    for (port, tags) in ports.table.rows().zip(tags.table.rows()) {
        if !port.is_used() && !tags.is_used() {
            let message = format!("nothing uses port `{}`", port.name.text);
            findings.warning(port.name.span, message, "attach a tenant or an endpoint to it, or remove it");
        }
    }
}

fn warn_of_idle_next_hops(file: &File, tunnels: &[TunnelPlan], findings: &mut Findings) {
    let remotes: HashSet<_> = tunnels.iter().map(|tunnel| tunnel.remote).collect();
    for (_, port) in file.ports.iter() {
        for (name, _) in port.into_iter().flat_map(|port| port.next_hops.iter()) {
            let Ok(address) = name.text.parse::<IpAddr>() else { continue };
            if !remotes.contains(&address) {
                let message = format!("{address} is not the address of any peer");
                findings.warning(name.span, message, "next_hops maps a peer's tunnel address to a MAC address");
            }
        }
    }
}
