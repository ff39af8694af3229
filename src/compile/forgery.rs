//! Forgery: no tenant's frames may look like tunnel packets to an endpoint on the same port.

use transload_encaps::{Compiled, Ids, Segment, qinq};

use super::claims::Segments;
use super::context::Context;
use super::endpoints::EndpointSection;
use super::mappings::MappingSection;
use super::peers::PeerSection;
use super::ports::PortSection;

/// Refuses a tenant whose frames look like tunnel packets to an endpoint on the same port, when they arrive or when
/// they leave: it could forge a tunnel.
pub(super) fn check(
    endpoints: &EndpointSection<'_>,
    ports: &PortSection<'_>,
    peers: &PeerSection<'_>,
    segments: &Segments<'_>,
    mappings: &MappingSection<'_>,
    context: &mut Context<'_>,
) {
    for row in endpoints.table.rows() {
        let Some(endpoint) = &row.thing else { continue };
        for &port in &endpoint.ports {
            let tags = ports.forwarding.get(port).and_then(|port| port.tags);
            let peer = tags.and_then(|tags| peers.forwarding.get(tags));
            let Some(peer) = peer else { continue };
            let found = segments_of_tunnel_packets(&peer.compiled, endpoint.vlan);
            let names = &context.names;
            let tenant = found.iter().find_map(|&segment| segments.holder(peer.scope, segment, names));
            let tenant = tenant.map(|holder| (format!("tenant `{}`", names.domain(holder.domain)), holder.span));
            let mapping = || found.iter().find_map(|&segment| mappings.holder(peer.scope, segment));
            let mapping = || mapping().map(|name| (format!("mapping `{}`", name.text), name.span));
            let Some((holder, span)) = tenant.or_else(mapping) else { continue };
            let line = context.findings.line(row.name.span, span);
            let how = endpoint.vlan.map_or("without a tag".to_owned(), |vlan| format!("with VLAN ID {vlan}"));
            let message = format!(
                "{holder} and endpoint `{}` ({line}) both take frames {how} on this port: the tenant could forge \
                 tunnel packets",
                row.name.text
            );
            let help = "give the tenant or the endpoint a VLAN of its own, or another port";
            context.findings.conflict(span, row.name.span, "the endpoint", message, help);
        }
    }
}

/// What the port's tags take a tunnel packet to the endpoint for, and what they send that looks like one.
fn segments_of_tunnel_packets(tags: &Compiled, vlan: Option<u16>) -> Vec<Segment> {
    let fields: &[_] = match vlan.map(u64::from) {
        Some(vlan) => &[[("vid", vlan)], [("s_vid", vlan)]],
        None => &[[("untagged", 1)]],
    };
    let packet = qinq::wire_id_of_vlan(vlan);
    let segments = fields.iter().filter_map(|fields| tags.kind().segment(&Ids::of(fields)).ok());
    segments.filter(|&segment| tags.rx_ids(segment).contains(packet) || tags.tx_ids(segment).contains(packet)).collect()
}
