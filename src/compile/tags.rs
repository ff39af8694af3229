//! The tags of ports, as something that tenants attach to.

use std::collections::HashMap;

use transload_encaps::outer::UdpRules;
use transload_encaps::{Spec, qinq};

use super::names::{Names, slot};
use super::numbers::Numbers;
use super::peers::Peers;
use super::ports::Ports;
use super::report::{Report, Table};
use super::sides::Side;
use super::specs;
use crate::config::{Name, Port};
use crate::forwarding::{self, Exit, Members, PortId};

/// Every port's tags. They are peers of their own, under the port's name.
pub(super) struct Tags<'c> {
    pub(super) table: Table<'c, Side>,
}

pub(super) fn compile<'c>(
    ports: &Ports<'c>,
    peers: &mut Peers<'_>,
    numbers: &mut Numbers,
    report: &mut Report,
) -> Tags<'c> {
    let mut table = Table::new("port");
    for row in ports.table.rows() {
        let side = row.thing.as_ref().and_then(|port| side(row.name, port.id, port.config, peers, numbers, report));
        table.add_unchecked(row.name, side);
    }
    Tags { table }
}

fn side(
    name: Name<'_>,
    port: PortId,
    config: &Port,
    peers: &mut Peers<'_>,
    numbers: &mut Numbers,
    report: &mut Report,
) -> Option<Side> {
    let label = format!("port `{}`", name.text);
    let spec = spec(config)?;
    let compiled = spec.compile();
    let compiled = compiled.map_err(|error| {
        let (tpids, emit) = (config.tpids.as_ref().map(|at| at.span), config.emit_tpid.as_ref().map(|at| at.span));
        let span = if error.field == "emit_tpid" { emit } else { tpids };
        specs::tell(span.unwrap_or(name.span), &error, report);
    });
    let id = numbers.peer(&label);
    let scope = numbers.scope(&label);
    let peer = forwarding::Peer {
        compiled: compiled.ok()?,
        scope,
        exit: Exit::Port(port),
        udp: UdpRules { zero6: false },
        multicast_group: None,
        is_anonymous: false,
    };
    *slot(&mut peers.forwarding, id.0 as usize) = Some(peer);
    let (members, by_address) = (Members::One(id), HashMap::new());
    Some(Side { label, kind: spec.kind(), spec, scope, members, peers: vec![id], by_address, path: None })
}

/// How the port speaks tags; `None` when the file has it broken.
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

impl Tags<'_> {
    /// Takes the ports that no tenant is attached to out of the tables, and tells the rest of their tags.
    pub(super) fn settle(&self, ports: &mut Ports<'_>, peers: &mut Peers<'_>, names: &mut Names) {
        for row in self.table.rows() {
            let Some(side) = &row.thing else { continue };
            let Members::One(id) = side.members else { continue };
            let peer = slot(&mut peers.forwarding, id.0 as usize);
            if !row.is_used() {
                *peer = None;
            } else if let Some(forwarding::Peer { exit: Exit::Port(port), .. }) = peer {
                slot(&mut ports.forwarding, usize::from(port.0)).tags = Some(id);
                names.set_peer(id, row.name.text.to_owned());
            }
        }
    }
}
