//! The compiler: from a gateway's file to the frozen tables, noun by noun.
//!
//! Ports, endpoints, peers and groups first, then the tags of ports as one more kind of peer, then tenants, which
//! claim segments of all of these. Every pass reports what it finds and goes on, so that one run shows everything.

mod attachments;
mod bits;
mod claims;
mod domains;
mod drafts;
mod endpoints;
mod fit;
mod groups;
mod identity;
mod learners;
mod mappings;
mod names;
mod numbers;
mod origins;
mod patterns;
mod peers;
mod plan;
mod policies;
mod ports;
mod report;
mod sides;
mod specs;
mod statics;
mod tags;
mod wire;
mod written;

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;

pub use names::Names;
pub use numbers::{Freed, Numbers};
pub use origins::{Line, Noun, Origins};
pub use plan::{
    LearningGroup, Plan, PortPlan, Settings, Static, TunnelPlan, placeholder_hops, placeholder_next_hop,
    placeholder_port, placeholders,
};

use crate::config::{At, Config, File, Problems};
use crate::fdb;
use crate::forwarding::{Forwarding, Peer};
use domains::Domains;
use fit::Room;
pub use identity::own_macs;
use ports::Ports;
use report::Report;
use sides::Sides;
use tags::Tags;

/// Compiles a file. Numbers keep their meaning from `previous`, and what it counted goes on.
///
/// # Errors
/// Everything that is wrong with the file, in its order; `numbers` is then as it was.
pub fn compile(config: &Config, numbers: &mut Numbers, previous: Option<&Forwarding>) -> Result<Plan, Problems> {
    let mut draft = numbers.clone();
    draft.begin();
    let plan = attempt(config, &mut draft, previous, None)?;
    *numbers = draft;
    Ok(plan)
}

/// Compiles a file, and keeps where everything in the tables comes from.
///
/// # Errors
/// Everything that is wrong with the file, in its order.
pub fn compile_with_origins(config: &Config) -> Result<(Plan, Origins), Problems> {
    let mut numbers = Numbers::default();
    numbers.begin();
    let mut origins = Origins::new(config);
    let plan = attempt(config, &mut numbers, None, Some(&mut origins))?;
    Ok((plan, origins))
}

fn attempt(
    config: &Config,
    numbers: &mut Numbers,
    previous: Option<&Forwarding>,
    origins: Option<&mut Origins>,
) -> Result<Plan, Problems> {
    let file = &config.file;
    let (mut report, mut names) = (Report::new(config.source.clone(), config.problems.clone()), Names::default());

    let mut ports = ports::compile(&file.ports, numbers, &mut report);
    let mut endpoints = endpoints::compile(&file.endpoints, &mut ports, numbers, &mut report);
    let mut peers = peers::compile(file, &mut endpoints, numbers, &mut names, &mut report);
    let tags = tags::compile(&ports, &mut peers, numbers, &mut report);
    let domains = domains::Pass {
        ports: &ports,
        sides: Sides { peers: &peers.single, groups: &peers.groups, ports: &tags.table },
        peers: &mut peers.forwarding,
        previous,
        numbers,
        names: &mut names,
        report: &mut report,
        room: Room::default(),
    }
    .compile(&file.tenants, &file.patterns);

    let mappings = mappings::Pass {
        ports: &ports,
        sides: Sides { peers: &peers.single, groups: &peers.groups, ports: &tags.table },
        peers: &mut peers.forwarding,
        segments: &domains.segments,
        numbers,
        names: &mut names,
        report: &mut report,
        room: Room::default(),
    }
    .compile(&file.mappings);

    tags.settle(&mut ports, &mut peers, &mut names);
    fit::check_forgery(&endpoints, &ports, &mut peers, &domains.segments, &mappings, &names, &mut report);
    // What an error hides may well use them.
    if !report.has_errors() {
        warn_of_unused(&ports, &tags, &mut report);
        warn_of_idle_next_hops(file, &peers.tunnels, &mut report);
        endpoints.table.warn_of_unused("remove it, or reach a peer from it", &mut report);
        peers.single.warn_of_unused("attach a tenant to it, or remove it", &mut report);
        peers.groups.warn_of_unused("attach a tenant to it, or remove it", &mut report);
    }
    let settings = settings(file, &domains, &mut report);
    let warnings = report.finish()?;

    carry_state(&mut peers.forwarding, previous);
    for plan in &ports.plans {
        names.set_port(plan.id, &plan.name);
    }
    if let Some(origins) = origins {
        origins.fill(file, &names, &endpoints, &peers, &domains, &mappings);
    }
    let hops = vec![Vec::new(); peers.forwarding.len()];
    let mut forwarding = Forwarding {
        ports: ports.forwarding,
        endpoints: endpoints.forwarding,
        peers: Arc::new(peers.forwarding),
        groups: Arc::new(peers.members),
        senders: Arc::new(peers.senders.table),
        learners: Arc::new(peers.learners.table()),
        learned: Arc::default(),
        segments: Arc::new(domains.segments.table),
        domains: Arc::new(domains.forwarding),
        mappings: Arc::new(mappings.forwarding),
        hops,
    };
    own_macs(&mut forwarding, &names);
    let (ports, tunnels, statics) = (ports.plans, peers.tunnels, domains.statics);
    let learning = peers.learning;
    let source = config.source.clone();
    let mut plan = Plan {
        source,
        forwarding,
        names,
        statics,
        ports,
        tunnels,
        learning,
        generation: numbers.generation(),
        settings,
        warnings,
    };
    for tunnel in &plan.tunnels {
        let hops = plan.static_hops(tunnel);
        if let Some(row) = plan.forwarding.hops.get_mut(tunnel.peer.0 as usize) {
            *row = hops;
        }
    }
    Ok(plan)
}

/// Sequence numbers go on across a reload, as far as the peer is the same.
fn carry_state(peers: &mut [Option<Peer>], previous: Option<&Forwarding>) {
    let before = previous.map_or(&[][..], |previous| previous.peers.as_slice());
    for (n, peer) in peers.iter_mut().enumerate() {
        if let Some(peer) = peer {
            let before = before.get(n).and_then(Option::as_ref);
            peer.compiled.carry_state(before.map(|peer| &peer.compiled));
        }
    }
}

fn settings(file: &File, domains: &Domains<'_>, report: &mut Report) -> Settings {
    let capacity = file.fdb.capacity.as_ref();
    let fdb_capacity = capacity.and_then(At::value).map_or(fdb::DEFAULT_CAPACITY, |macs| macs.0 as usize);
    let statics = domains.statics.len();
    if let Some(at) = capacity.filter(|_| statics > fdb_capacity) {
        let message = format!("the file has {statics} static addresses, more than the FDB holds");
        report.error(at.span, message, format!("write {statics} or more"));
    }
    let limits = file.tenants.iter().filter_map(|(_, tenant)| Some(&tenant?.limits));
    let limits = limits.chain(file.patterns.iter().filter_map(|(_, pattern)| Some(&pattern?.limits)));
    for (at, macs) in limits.filter_map(|limits| limits.macs.as_ref()).filter_map(|at| Some((at, at.value()?))) {
        if macs.0 > fdb_capacity as u64 {
            let message = format!("all tenants together have {fdb_capacity} addresses (fdb.capacity)");
            report.warning(at.span, message, "lower this limit, or raise `fdb: { capacity: .. }`");
        }
    }
    let workers = file.workers.as_ref().and_then(At::value).map_or(1, |workers| workers.0 as usize);
    let polling = file.polling.as_ref().and_then(At::value).unwrap_or_default();
    Settings { fdb_capacity, workers, polling, admin: file.admin.as_ref().and_then(At::get).cloned() }
}

fn warn_of_unused(ports: &Ports<'_>, tags: &Tags<'_>, report: &mut Report) {
    for (port, tags) in ports.table.rows().zip(tags.table.rows()) {
        if !port.is_used() && !tags.is_used() {
            let message = format!("nothing uses port `{}`", port.name.text);
            report.warning(port.name.span, message, "attach a tenant or an endpoint to it, or remove it");
        }
    }
}

fn warn_of_idle_next_hops(file: &File, tunnels: &[TunnelPlan], report: &mut Report) {
    let remotes: HashSet<_> = tunnels.iter().map(|tunnel| tunnel.remote).collect();
    for (_, port) in file.ports.iter() {
        for (name, _) in port.into_iter().flat_map(|port| port.next_hops.iter()) {
            let Ok(address) = name.text.parse::<IpAddr>() else { continue };
            if !remotes.contains(&address) {
                let message = format!("{address} is not the address of any peer");
                report.warning(name.span, message, "next_hops maps a peer's tunnel address to a MAC address");
            }
        }
    }
}
