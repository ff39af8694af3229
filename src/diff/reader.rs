//! Reads frames as a configuration understands them: who they are from, or where they go, under which ID.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;

use transload_encaps::outer::{self, Outer};
use transload_encaps::{Carrier, Frame, HEADROOM, Segment};

use crate::compile::Plan;
use crate::forwarding::{Claim, MappingId, PeerId, PortId, Sender};

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
    /// The address it was sent to, if it is an endpoint's.
    pub(super) endpoint: Option<IpAddr>,
    pub(super) peer: Option<PeerId>,
    pub(super) claim: Option<Claim>,
    /// The mapping that has its ID, as a hole or not.
    pub(super) mapping: Option<MappingId>,
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
            .segment(peer, bytes, outer.as_ref())
            .and_then(|segment| Some(self.plan.tables.peer(peer)?.compiled.kind().ids(segment).to_string()));
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
            let mut origin = Origin { endpoint: Some(endpoint.address), ..Origin::default() };
            if let Ok(outer) = outer::walk(bytes, at) {
                let sender = Sender { endpoint: id, address: outer.src, carrier: outer.carrier };
                origin.peer = tables
                    .senders
                    .get(&sender)
                    .copied()
                    .or_else(|| tables.learner(&sender).map(|learner| learner.peer));
                (origin.claim, origin.mapping) = self.owner(origin.peer, bytes, Some(&outer));
            }
            return origin;
        }
        let (claim, mapping) = self.owner(row.tags, bytes, None);
        Origin { endpoint: None, peer: row.tags, claim, mapping }
    }

    /// The tenant's attachment or the mapping that a frame belongs to.
    fn owner(&self, peer: Option<PeerId>, bytes: &[u8], outer: Option<&Outer>) -> (Option<Claim>, Option<MappingId>) {
        let tables = &self.plan.tables;
        let place = peer.and_then(|peer| Some((tables.peer(peer)?.scope, self.segment(peer, bytes, outer)?)));
        let claim = place.and_then(|place| tables.segments.get(&place).copied());
        let found = place.filter(|_| claim.is_none()).and_then(|(scope, segment)| tables.mappings.find(scope, segment));
        (claim, found.map(|found| found.map_or_else(|hole| hole, |crossing| crossing.mapping)))
    }

    fn segment(&self, peer: PeerId, bytes: &[u8], outer: Option<&Outer>) -> Option<Segment> {
        let mut chunk = vec![0; HEADROOM + bytes.len()];
        let mut frame = Frame::new(&mut chunk);
        if !frame.fill(HEADROOM, bytes) {
            return None;
        }
        if let Some(outer) = outer {
            frame.truncate(outer.end as usize);
            frame.advance(outer.at.into()).ok()?;
        }
        Some(self.plan.tables.peer(peer)?.compiled.decap(&mut frame).ok()?.segment)
    }

    /// The plan it reads by.
    pub(super) const fn plan(&self) -> &Plan {
        &self.plan
    }
}
