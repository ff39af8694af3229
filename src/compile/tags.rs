//! The tags of ports, as something that tenants attach to.

use std::collections::HashMap;

use transload_encaps::outer::UdpRules;
use transload_encaps::{Spec, qinq};

use super::context::Context;
use super::endpoints::EndpointSection;
use super::peers::PeerSection;
use super::ports::PortSection;
use super::sides::FarSide;
use super::specs;
use super::table::Table;
use crate::config::{Name, Port};
use crate::forwarding::{self, Exit, Members, PortId};

/// Every port's tags. They are peers of their own, under the port's name: in the tables from the start, since tenants
/// claim their segments, and after [`settle`](PortTags::settle) only as far as they are used.
pub(super) struct PortTags<'c> {
    pub(super) table: Table<'c, FarSide>,
}

pub(super) fn compile<'c>(
    ports: &PortSection<'c>,
    peers: &mut PeerSection<'_>,
    context: &mut Context<'_>,
) -> PortTags<'c> {
    let mut table = Table::new("port");
    for row in ports.table.rows() {
        let side = row.thing.as_ref().and_then(|port| side(row.name, port.id, port.config, peers, context));
        table.add_unchecked(row.name, side);
    }
    PortTags { table }
}

fn side(
    name: Name<'_>,
    port: PortId,
    config: &Port,
    peers: &mut PeerSection<'_>,
    context: &mut Context<'_>,
) -> Option<FarSide> {
    let label = format!("port `{}`", name.text);
    let spec = spec(config)?;
    let id = context.numbers.peer(&label);
    let scope = context.numbers.scope(&label);
    let compiled = match spec.compile() {
        Ok(compiled) => compiled,
        Err(error) => {
            let (tpids, emit) = (config.tpids.as_ref().map(|at| at.span), config.emit_tpid.as_ref().map(|at| at.span));
            let span = if error.field == "emit_tpid" { emit } else { tpids };
            specs::report(span.unwrap_or(name.span), &error, &mut context.findings);
            return None;
        }
    };
    let peer = forwarding::Peer {
        compiled: compiled.for_new_peer(),
        scope,
        exit: Exit::Port(port),
        udp: UdpRules { zero6: false, unverified: false },
        multicast_group: None,
        is_anonymous: false,
        ids: None,
    };
    peers.forwarding.insert(id, peer);
    let (members, by_address) = (Members::One(id), HashMap::new());
    let (kind, peers) = (spec.kind(), vec![id]);
    Some(FarSide { label, kind, spec, compiled, scope, members, peers, flooded: 1, by_address, path: None })
}

/// The options of the port's tags; `None` when the file has them broken.
fn spec(config: &Port) -> Option<Spec> {
    let mut spec = qinq::Spec::default();
    if let Some(tpids) = &config.tpids {
        spec.tpids.clone_from(tpids.get()?);
    }
    spec.emit_tpid = match &config.emit_tpid {
        Some(tpid) => Some(tpid.value()?),
        None => None,
    };
    Some(Spec::QinQ(spec))
}

impl PortTags<'_> {
    /// Once tenants and mappings are known: takes the tags of ports that none of them is attached to out of the
    /// tables, and enters the others at their ports. These keep out of the endpoints' VLANs, so that no tag inside a
    /// tenant's frame makes it a tunnel packet.
    pub(super) fn settle(
        &self,
        endpoints: &EndpointSection<'_>,
        ports: &mut PortSection<'_>,
        peers: &mut PeerSection<'_>,
        context: &mut Context<'_>,
    ) {
        for row in self.table.rows() {
            let Some(side) = &row.thing else { continue };
            let Members::One(id) = side.members else { continue };
            if !row.is_used() {
                peers.forwarding.remove(id);
            } else if let Some(forwarding::Peer { exit: Exit::Port(port), compiled, .. }) = peers.forwarding.get_mut(id)
            {
                let port = ports.forwarding.get_or_default(*port);
                port.tags = Some(id);
                context.names.set_peer(id, row.name.text.to_owned());
                let endpoints = port.endpoints.iter().filter_map(|&id| endpoints.forwarding.get(id));
                for vlan in endpoints.filter_map(|endpoint| endpoint.vlan) {
                    // It is only refused where a tenant has it, which the check of forgery reports.
                    let _ = compiled.claim(qinq::single(vlan));
                }
            }
        }
    }
}
