//! Reads frames as a configuration understands them: who they are from, or where they go, under which ID.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;

use transload_encaps::outer::{self, Outer};
use transload_encaps::{Carrier, Frame, HEADROOM, Mac, Segment};

use crate::compile::Plan;
use crate::forwarding::{Attachment, Claim, DomainId, MappingId, PeerId, PortId, Sender};

/// A plan of its own to read by, since what is read moves sequence numbers.
pub(super) struct Reader {
    plan: Plan,
    /// By our address, the peer's, and the carrier.
    tunnels: HashMap<(IpAddr, IpAddr, Carrier), PeerId>,
    vlans: BTreeSet<Option<u16>>,
}

/// How a frame came in.
#[derive(Debug, Default)]
pub(super) struct Origin {
    /// The address and the VLAN that it was sent to, if they are an endpoint's.
    pub(super) endpoint: Option<(IpAddr, Option<u16>)>,
    pub(super) peer: Option<PeerId>,
    pub(super) claim: Option<Claim>,
    /// The mapping that has its ID, as a hole or not.
    pub(super) mapping: Option<MappingId>,
    /// Destination and source of the tenant's frame.
    pub(super) macs: Option<[Mac; 2]>,
}

impl Reader {
    pub(super) fn new(plan: Plan) -> Self {
        let carrier = |peer| plan.tables.peer(peer).map(|peer| peer.compiled.carrier());
        let tunnels = plan
            .tunnels
            .iter()
            .filter_map(|tunnel| Some(((tunnel.local, tunnel.remote, carrier(tunnel.peer)?), tunnel.peer)));
        let (tunnels, vlans) = (tunnels.collect(), plan.tunnels.iter().map(|tunnel| tunnel.vlan).collect());
        Self { plan, tunnels, vlans }
    }

    /// The peer, or the port's tags, that a frame was sent to, and the ID it has there.
    pub(super) fn sent(&self, port: PortId, bytes: &[u8]) -> (String, String) {
        let tunnel = self.vlans.iter().find_map(|&vlan| {
            let outer = outer::walk(bytes, outer::ip_start(bytes, vlan)?).ok()?;
            Some((*self.tunnels.get(&(outer.src, outer.dst, outer.carrier))?, Some(outer)))
        });
        let tags = || Some((self.plan.tables.ports.get(port)?.tags?, None));
        let Some((peer, outer)) = tunnel.or_else(tags) else { return (String::new(), String::new()) };
        let ids = self
            .inside(peer, bytes, outer.as_ref())
            .and_then(|(segment, _)| Some(self.plan.tables.peer(peer)?.compiled.kind().ids(segment).to_string()));
        (self.plan.names.peer(peer).into_owned(), ids.unwrap_or_default())
    }

    /// How a frame comes in, as far as it does.
    pub(super) fn received(&self, port: PortId, bytes: &[u8]) -> Origin {
        let tables = &self.plan.tables;
        let Some(row) = tables.ports.get(port) else { return Origin::default() };
        for &id in &row.endpoints {
            let Some(endpoint) = tables.endpoints.get(id) else { continue };
            let Some(at) = outer::ip_start(bytes, endpoint.vlan) else { continue };
            let Some(to) = outer::ip_destination(bytes, at) else { continue };
            if to != endpoint.address && !endpoint.multicast.contains(&to) {
                continue;
            }
            let mut origin = Origin { endpoint: Some((endpoint.address, endpoint.vlan)), ..Origin::default() };
            if let Ok(outer) = outer::walk(bytes, at) {
                let sender = Sender { endpoint: id, address: outer.src, carrier: outer.carrier };
                origin.peer = tables
                    .senders
                    .get(&sender)
                    .copied()
                    .or_else(|| tables.learner(&sender).map(|learner| learner.peer));
                self.read_inside(&mut origin, bytes, Some(&outer));
            }
            return origin;
        }
        let mut origin = Origin { peer: row.tags, ..Origin::default() };
        self.read_inside(&mut origin, bytes, None);
        origin
    }

    /// The names of the endpoints with this address in this VLAN that peers are reached from.
    pub(super) fn endpoints_at(&self, (local, vlan): (IpAddr, Option<u16>)) -> impl Iterator<Item = String> {
        let here = self.plan.tunnels.iter().filter(move |tunnel| tunnel.local == local && tunnel.vlan == vlan);
        here.map(|tunnel| tunnel.endpoint.clone())
    }

    /// The name of the endpoint that a peer is reached from.
    pub(super) fn endpoint_of(&self, peer: &str) -> Option<&str> {
        self.plan.tunnels.iter().find(|tunnel| tunnel.name == peer).map(|tunnel| &*tunnel.endpoint)
    }

    /// An attachment, as `tenant/attachment`.
    pub(super) fn attachment_name(&self, claim: Claim) -> String {
        let names = &self.plan.names;
        format!("{}/{}", names.domain(claim.domain), names.attachment(claim.domain, claim.attachment))
    }

    /// The attachments of a tenant by which frames go to a peer, or by a port's tags, under this ID.
    pub(super) fn attachments_to(&self, domain: DomainId, via: &str, ids: &str) -> Vec<String> {
        let tables = &self.plan.tables;
        let rows = tables.domain(domain).into_iter().flat_map(|domain| domain.attachments.iter());
        let leads_there = |row: &Attachment| {
            let members = tables.members(&row.members);
            members.iter().any(|peer| {
                let kind = tables.peer(*peer).map(|peer| peer.compiled.kind());
                self.plan.names.peer(*peer) == via && kind.is_some_and(|kind| kind.ids(row.segment).to_string() == ids)
            })
        };
        let found = rows.filter(|(_, row)| leads_there(row));
        found.map(|(attachment, _)| self.attachment_name(Claim { domain, attachment })).collect()
    }

    /// The tenant's attachment or the mapping that a frame belongs to, and the tenant's addresses.
    fn read_inside(&self, origin: &mut Origin, bytes: &[u8], outer: Option<&Outer>) {
        let tables = &self.plan.tables;
        let Some(peer) = origin.peer else { return };
        let Some((scope, (segment, macs))) =
            tables.peer(peer).map(|row| row.scope).zip(self.inside(peer, bytes, outer))
        else {
            return;
        };
        origin.macs = macs;
        origin.claim = tables.segments.get(&(scope, segment)).copied();
        if origin.claim.is_none() {
            let found = tables.mappings.find(scope, segment);
            origin.mapping = found.map(|found| found.map_or_else(|hole| hole, |crossing| crossing.mapping));
        }
    }

    /// The tenant ID of a packet, and destination and source of the frame in it.
    fn inside(&self, peer: PeerId, bytes: &[u8], outer: Option<&Outer>) -> Option<(Segment, Option<[Mac; 2]>)> {
        let mut chunk = vec![0; HEADROOM + bytes.len()];
        let mut frame = Frame::new(&mut chunk);
        if !frame.fill(HEADROOM, bytes) {
            return None;
        }
        if let Some(outer) = outer {
            frame.truncate(outer.end as usize);
            frame.advance(outer.at.into()).ok()?;
        }
        let segment = self.plan.tables.peer(peer)?.compiled.decap(&mut frame).ok()?.segment;
        let macs = outer::destination(frame.bytes()).zip(frame.bytes().get(6..).and_then(outer::destination));
        Some((segment, macs.map(|(dst, src)| [dst, src])))
    }

    /// The plan it reads by.
    pub(super) const fn plan(&self) -> &Plan {
        &self.plan
    }
}
