//! Whether things fit together on a port: headers into its MTU, and tenants beside our own tunnels.

use std::collections::HashSet;

use transload_encaps::{Compiled, Ids, Segment, ethernet, qinq};

use super::claims::Segments;
use super::endpoints::Endpoints;
use super::mappings::Connections;
use super::names::Names;
use super::peers::Peers;
use super::ports::Ports;
use super::report::Report;
use super::sides::Side;
use crate::config::{At, Mtu};
use crate::forwarding::PortId;

/// What every IPv4 host must be able to receive in one piece (RFC 791 §3.2).
const LEAST_IPV4: usize = 68;
/// What every IPv6 link must carry (RFC 8200 §5).
const LEAST_IPV6: usize = 1280;

/// Refuses ports whose MTU cannot hold the headers of the tunnels that leave by them. Each is reported once.
#[derive(Default)]
pub(super) struct Room {
    told: HashSet<PortId>,
}

impl Room {
    pub(super) fn check(
        &mut self,
        side: &Side,
        segment: Segment,
        compiled: &Compiled,
        ports: &Ports<'_>,
        report: &mut Report,
    ) {
        let Some(path) = &side.path else { return };
        let headers = path.ip_overhead + compiled.overhead(segment) + ethernet::HEADER_LEN;
        for &port in &path.ports {
            let Some((name, mtu)) = stated_mtu(ports, port) else { continue };
            let Some(bytes) = mtu.value().map(|mtu| mtu.0 as usize) else { continue };
            let least = headers + LEAST_IPV4;
            if path.is_ipv6 && bytes < LEAST_IPV6 && self.told.insert(port) {
                let message = format!("port `{name}` carries an IPv6 endpoint, and {bytes} is less than IPv6 allows");
                report.error(mtu.span, message, format!("write {LEAST_IPV6} or more"));
            } else if bytes < least && self.told.insert(port) {
                let message = format!(
                    "{bytes} cannot hold the headers towards {}: they take {headers} bytes, and the tenant's packet \
                     needs {LEAST_IPV4}",
                    side.label
                );
                report.error(
                    mtu.span,
                    message,
                    format!("write {least} or more; 1500 leaves the tenant {}", 1500 - headers),
                );
            }
        }
    }
}

fn stated_mtu<'c>(ports: &Ports<'c>, id: PortId) -> Option<(&'c str, &'c At<Mtu>)> {
    ports.table.rows().find_map(|row| {
        let port = row.thing.as_ref().filter(|port| port.id == id)?;
        Some((row.name.text, port.config.mtu.as_ref()?))
    })
}

/// Refuses a tenant whose frames look like tunnel packets to an endpoint on the same port, when they arrive or when they
/// leave: it could forge a tunnel. And tells the tags of the port of the endpoint's, so that no tag inside a tenant's
/// frame makes it a tunnel packet.
pub(super) fn check_forgery(
    endpoints: &Endpoints<'_>,
    ports: &Ports<'_>,
    peers: &mut Peers<'_>,
    segments: &Segments<'_>,
    mappings: &Connections<'_>,
    names: &Names,
    report: &mut Report,
) {
    for row in endpoints.table.rows() {
        let Some(endpoint) = &row.thing else { continue };
        for &port in &endpoint.ports {
            let tags = ports.forwarding.get(usize::from(port.0)).and_then(|port| port.tags);
            let peer = tags.and_then(|tags| peers.forwarding.get_mut(tags.0 as usize)?.as_mut());
            let Some(peer) = peer else { continue };
            let found = segments_of_tunnel_packets(&peer.compiled, endpoint.vlan);
            if let Some(vlan) = endpoint.vlan {
                // Should a tenant have it, that is told below.
                let _ = peer.compiled.claim(qinq::single(vlan));
            }
            let tenant = found.iter().find_map(|&segment| segments.holder(peer.scope, segment, names));
            let tenant = tenant.map(|holder| (format!("tenant `{}`", names.domain(holder.domain)), holder.span));
            let mapping = || found.iter().find_map(|&segment| mappings.holder(peer.scope, segment));
            let mapping = || mapping().map(|name| (format!("mapping `{}`", name.text), name.span));
            let Some((holder, span)) = tenant.or_else(mapping) else { continue };
            let line = report.line(row.name.span, span);
            let how = endpoint.vlan.map_or("without a tag".to_owned(), |vlan| format!("with VLAN ID {vlan}"));
            let message = format!(
                "{holder} and endpoint `{}` ({line}) both take frames {how} on this port: the tenant could forge \
                 tunnel packets",
                row.name.text
            );
            let help = "give the tenant or the endpoint a VLAN of its own, or another port";
            report.conflict(span, row.name.span, "the endpoint", message, help);
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
    segments.filter(|&segment| tags.taken(segment).contains(packet) || tags.written(segment).contains(packet)).collect()
}
