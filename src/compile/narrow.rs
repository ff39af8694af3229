//! Narrow paths: ports whose MTU leaves tenants too little, although everything can be built. Of the MTUs that the file
//! states, and with `check --host` of those that devices have.

use std::collections::{HashMap, HashSet};

use transload_encaps::Segment;
use transload_encaps::ethernet::{C_TAG, HEADER_LEN, TAG_LEN};

use super::plan::{Plan, PortPlan};
use crate::config::{Config, Problem, Span};
use crate::forwarding::{Attachment, Domain, Exit, PeerId, PortId};

/// What every IPv6 link must carry (RFC 8200 §5).
const LEAST_IPV6: usize = 1280;
/// The room that two attachments of a tenant have may differ by the headers of a tunnel, in bytes: Ethernet with two tags,
/// IPv6, UDP or GRE with all its fields.
const MOST_HEADERS: usize = HEADER_LEN + 2 * TAG_LEN + 40 + 16;

/// A port by which tenants' frames leave.
#[derive(Debug, Clone, Copy)]
struct NarrowPath {
    port: PortId,
    /// Most bytes of an IP packet on it.
    mtu: usize,
    /// Most bytes that a tenant's IP packet may have there.
    room: usize,
}

/// Warnings about MTUs, of the ports for which there is one.
#[must_use]
pub fn narrow(config: &Config, plan: &Plan, mtu: impl Fn(&PortPlan) -> Option<u32>) -> Vec<Problem> {
    let mtus: HashMap<_, _> = plan.ports.iter().filter_map(|port| Some((port.id, mtu(port)? as usize))).collect();
    if mtus.is_empty() {
        return Vec::new();
    }
    let mut search = Search { config, plan, ports: ports(plan), mtus, reported: HashSet::new(), found: Vec::new() };
    for (id, domain) in plan.tables.domains.iter() {
        let name = plan.names.domain(id);
        for (number, attachment) in domain.attachments.iter() {
            let who = || format!("attachment `{}` of tenant `{name}`", plan.names.attachment(id, number));
            search.paths_of(attachment).into_iter().for_each(|path| search.ipv6(path, &who));
        }
        search.mixed(&name, domain);
    }
    for (id, connection) in plan.tables.mappings.all.iter() {
        for (end, side) in connection.ends.iter().zip(&connection.ids.sides) {
            let who = || format!("mapping `{}`", plan.names.mapping(id));
            search.paths(end.peer, Segment(side.base)).into_iter().for_each(|path| search.ipv6(path, &who));
        }
    }
    search.found
}

/// The ports that packets to tunnel peers leave by.
fn ports(plan: &Plan) -> HashMap<PeerId, &[PortId]> {
    let named = plan.tunnels.iter().map(|tunnel| (tunnel.peer, &*tunnel.ports));
    named.chain(plan.learning.iter().map(|group| (group.anonymous, &*group.tunnel.ports))).collect()
}

struct Search<'a> {
    config: &'a Config,
    plan: &'a Plan,
    ports: HashMap<PeerId, &'a [PortId]>,
    mtus: HashMap<PortId, usize>,
    /// The ports, and pairs of them, that were warned about.
    reported: HashSet<[PortId; 2]>,
    found: Vec<Problem>,
}

impl Search<'_> {
    fn paths_of(&self, attachment: &Attachment) -> Vec<NarrowPath> {
        let speaker = self.plan.tables.speaker(&attachment.members);
        speaker.map_or_else(Vec::new, |peer| self.paths(peer, attachment.segment))
    }

    /// The ports by which frames of a segment leave towards a peer, as far as their MTU is known.
    fn paths(&self, peer: PeerId, segment: Segment) -> Vec<NarrowPath> {
        let Some(row) = self.plan.tables.peer(peer) else { return Vec::new() };
        let overhead = row.compiled.overhead(segment);
        let path = |port: PortId, free: usize, taken: usize| {
            let mtu = *self.mtus.get(&port)?;
            Some(NarrowPath { port, mtu, room: (mtu + free).saturating_sub(taken) })
        };
        match &row.exit {
            Exit::Tunnel(underlay) => {
                let taken = underlay.ip_overhead() + overhead + HEADER_LEN;
                let ports = self.ports.get(&peer).copied().unwrap_or_default();
                ports.iter().filter_map(|port| path(*port, 0, taken)).collect()
            }
            Exit::Port(port) => {
                // Not counted on any Linux device.
                let free = if row.compiled.outer_tag(segment) == Some(C_TAG) { TAG_LEN } else { 0 };
                path(*port, free, overhead).into_iter().collect()
            }
        }
    }

    /// Warns of a port that leaves IPv6 too little.
    fn ipv6(&mut self, path: NarrowPath, who: &impl Fn() -> String) {
        let NarrowPath { port, mtu, room } = path;
        if room >= LEAST_IPV6 || !self.reported.insert([port, port]) {
            return;
        }
        let least = mtu + LEAST_IPV6 - room;
        let message = format!(
            "an MTU of {mtu} leaves {room} bytes to {}: IPv6 needs {LEAST_IPV6} (RFC 8200 §5) and will not work by port `{}`",
            who(),
            self.plan.names.port(port)
        );
        self.warn(port, message, format!("{least} or more is enough, if the network carries it"));
    }

    /// Warns of a tenant with attachments of which one has far more room than another.
    fn mixed(&mut self, tenant: &str, domain: &Domain) {
        let paths = || domain.attachments.values().flat_map(|attachment| self.paths_of(attachment));
        let (least, most) = (paths().min_by_key(|path| path.room), paths().max_by_key(|path| path.room));
        let Some((least, most)) = least.zip(most) else { return };
        if most.room - least.room <= MOST_HEADERS || !self.reported.insert([least.port, most.port]) {
            return;
        }
        let [narrow, wide] = [least.port, most.port].map(|port| self.plan.names.port(port).into_owned());
        let message = format!(
            "hosts of tenant `{tenant}` may send packets of {} bytes by port `{wide}`, but port `{narrow}` has room for {}: \
             longer ones are dropped there, and only senders of IPv6 and of IPv4 with DF are told",
            most.room, least.room
        );
        self.warn(
            most.port,
            message,
            format!("give all ports of a tenant one MTU, or its hosts one of {}", least.room),
        );
    }

    /// Adds a warning about the MTU of a port.
    fn warn(&mut self, port: PortId, message: String, help: String) {
        let Some(port) = self.plan.ports.iter().find(|plan| plan.id == port) else { return };
        let problem = Problem::warning(&self.plan.source, mtu_place(self.config, port), message);
        self.found.push(problem.help(help));
    }
}

/// Where the MTU of a port stands in the file, or else the port.
#[must_use]
pub fn mtu_place(config: &Config, port: &PortPlan) -> Span {
    let written = config.file.ports.iter().find(|(name, _)| name.text == port.name);
    written.and_then(|(_, port)| port?.mtu.as_ref()).map_or(port.span, |at| at.span)
}
