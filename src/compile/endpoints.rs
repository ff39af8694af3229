//! Endpoints: our own tunnel addresses, and which one a peer is reached from.

use std::collections::HashMap;
use std::net::IpAddr;

use transload_encaps::Carrier;

use super::address_kind::AddressKind;
use super::context::Context;
use super::findings::Findings;
use super::origins::Noun;
use super::ports::PortSection;
use super::table::{Declared, Table};
use crate::config::{Address, At, Endpoint, Io, Name, Named, Port, Reassemble, Span, Switch, Ttl};
use crate::forwarding::{self, EndpointId, PortId, Reassembly, Slab};

/// An endpoint of the file, checked.
#[derive(Debug, Clone)]
pub(super) struct OwnEndpoint<'c> {
    pub(super) name: &'c str,
    pub(super) id: EndpointId,
    pub(super) address: IpAddr,
    pub(super) ports: Vec<PortId>,
    pub(super) vlan: Option<u16>,
    pub(super) ttl: u8,
    reassembly: Option<Reassembly>,
}

pub(super) struct EndpointSection<'c> {
    pub(super) table: Table<'c, OwnEndpoint<'c>>,
    pub(super) forwarding: Slab<EndpointId, forwarding::Endpoint>,
}

/// RFC 1700's default TTL, as Linux sends; RFC 7348 names none.
const DEFAULT_TTL: u8 = 64;
const DEFAULT_DATAGRAMS: usize = 256;
/// Seconds: an underlay brings fragments one right after the other.
const DEFAULT_TIMEOUT: u64 = 1;

pub(super) fn compile<'c>(
    endpoints: &'c Named<Endpoint>,
    ports: &mut PortSection<'c>,
    context: &mut Context<'_>,
) -> EndpointSection<'c> {
    let mut all = EndpointSection { table: Table::new("endpoint"), forwarding: Slab::new() };
    if endpoints.len() > usize::from(u16::MAX) {
        context.findings.error(Span::default(), "more than 65535 endpoints", "use fewer");
        return all;
    }
    let mut listeners = HashMap::new();
    for (name, config) in endpoints.iter() {
        let id = context.numbers.endpoint(name.text);
        let row = config.and_then(|config| endpoint(id, name, config, ports, context));
        if let Some(row) = &row {
            one_endpoint_per_wire(&mut listeners, name, row, &mut context.findings);
            for &port in &row.ports {
                ports.forwarding.get_or_default(port).endpoints.push(id);
            }
            let (address, vlan, reassembly) = (row.address, row.vlan, row.reassembly);
            let row = forwarding::Endpoint { address, vlan, carriers: Vec::new(), multicast: Vec::new(), reassembly };
            all.forwarding.insert(id, row);
        }
        all.table.add(name, row, &mut context.findings);
    }
    all
}

fn endpoint<'c>(
    id: EndpointId,
    name: Name<'c>,
    config: &Endpoint,
    ports: &PortSection<'_>,
    context: &mut Context<'_>,
) -> Option<OwnEndpoint<'c>> {
    note(id, name, config, context);
    let address = tunnel_address(&config.address, &mut context.findings);
    let ports = own_ports(name, config, ports, &mut context.findings);
    if let (Some(address), Some(ports)) = (address, &ports) {
        one_link(name, address, ports, config.ports.span, &mut context.findings);
    }
    let vlan = config.vlan.as_ref().and_then(At::value).map(|vid| vid.0 as u16);
    let ttl = ttl(config.ttl.as_ref(), DEFAULT_TTL);
    let reassembly = reassembly(config.reassemble.as_ref().and_then(At::get), &mut context.findings);
    Some(OwnEndpoint { name: name.text, id, address: address?, ports: ports?, vlan, ttl, reassembly })
}

/// Whether fragments are put together, and within which limits.
fn reassembly(stated: Option<&Switch<Reassemble>>, findings: &mut Findings) -> Option<Reassembly> {
    let Some(Switch::On(Reassemble { most, timeout })) = stated else { return None };
    let most = most.as_ref().and_then(At::value).map_or(DEFAULT_DATAGRAMS, |most| most.0 as usize);
    let seconds = match timeout.as_ref().and_then(|at| Some((at, at.value()?.0))) {
        None => DEFAULT_TIMEOUT,
        // RFC 8200 §4.5 waits a minute.
        Some((_, seconds @ 1..=60)) => seconds,
        Some((at, _)) => {
            findings.error(at.span, "fragments are waited for at least 1 and at most 60 seconds", "write 1s to 60s");
            DEFAULT_TIMEOUT
        }
    };
    Some(Reassembly { most, timeout: seconds * 1_000_000_000 })
}

fn note(id: EndpointId, name: Name<'_>, config: &Endpoint, context: &mut Context<'_>) {
    if let Some(origins) = &mut context.origins {
        origins.name_endpoint(id, name.text);
    }
    context.note(Noun::Endpoint(id), name.span);
    context.note_stated(Noun::EndpointVlan(id), config.vlan.as_ref());
}

pub(super) fn ttl(ttl: Option<&At<Ttl>>, default: u8) -> u8 {
    ttl.and_then(At::value).map_or(default, |ttl| ttl.0 as u8)
}

fn own_ports(
    name: Name<'_>,
    config: &Endpoint,
    ports: &PortSection<'_>,
    findings: &mut Findings,
) -> Option<Vec<PortId>> {
    let list = config.ports.get()?;
    if list.is_empty() {
        let message = format!("endpoint `{}` has no ports", name.text);
        findings.error(
            config.ports.span,
            message,
            "name the ports its tunnel packets arrive at and leave by: `ports: [up1]`",
        );
    }
    let mut found = Vec::new();
    for port in list {
        let Some(row) = ports.table.find(port, findings) else { continue };
        warn_of_lost_fragments(config, port, row.config, findings);
        if found.contains(&row.id) {
            findings.error(port.span, "this port is already in the list", "remove it here");
        } else {
            found.push(row.id);
        }
    }
    (!found.is_empty()).then_some(found)
}

/// Warns where fragments are to be put together that a port never gets.
fn warn_of_lost_fragments(config: &Endpoint, at: &At<String>, port: &Port, findings: &mut Findings) {
    let is_xdp = port.io.as_ref().and_then(At::get) == Some(&Io::AfXdp);
    let is_on = matches!(config.reassemble.as_ref().and_then(At::get), Some(Switch::On(_)));
    if is_xdp && is_on {
        let message =
            "XDP sockets do not get the later fragments of UDP packets, so `reassemble` has no effect on VXLAN here";
        findings.warning(at.span, message, "write `io: af_packet` at the port");
    }
}

/// Refuses a link-local address on several ports: it is another one on each.
fn one_link(name: Name<'_>, address: IpAddr, ports: &[PortId], span: Span, findings: &mut Findings) {
    if AddressKind::of(address) == AddressKind::LinkLocal && ports.len() > 1 {
        let message = format!("endpoint `{}` has {address}, an address of one link, and several ports", name.text);
        findings.error(
            span,
            message,
            "name the port whose device has the address, and add an endpoint for every other",
        );
    }
}

/// Refuses two endpoints with the same address on one wire: a packet could be for either.
fn one_endpoint_per_wire<'c>(
    listeners: &mut HashMap<(PortId, Option<u16>, IpAddr), Name<'c>>,
    name: Name<'c>,
    row: &OwnEndpoint<'_>,
    findings: &mut Findings,
) {
    for &port in &row.ports {
        if let Some(first) = listeners.insert((port, row.vlan, row.address), name) {
            let line = findings.line(first.span, name.span);
            let message = format!(
                "endpoints `{}` ({line}) and `{}` have the same address, {}, on the same port",
                first.text, name.text, row.address
            );
            let help = "use one endpoint, or give each a VLAN or ports of its own";
            findings.conflict(name.span, first.span, "the first", message, help);
            return;
        }
    }
}

/// An address that tunnel packets can come from and go to.
pub(super) fn tunnel_address(at: &At<Address>, findings: &mut Findings) -> Option<IpAddr> {
    let Address(address) = at.value()?;
    is_tunnel_address(address, at.span, findings).then_some(address)
}

pub(super) fn is_tunnel_address(address: IpAddr, span: Span, findings: &mut Findings) -> bool {
    if let IpAddr::V6(v6) = address
        && let Some(v4) = v6.to_ipv4_mapped()
    {
        findings.error(span, format!("{address} is an IPv4 address written as IPv6"), format!("write {v4}"));
        return false;
    }
    let Some(wrong) = not_a_tunnels(address) else { return true };
    findings.error(span, format!("{address} {wrong}"), "write a unicast address that the underlay routes");
    false
}

/// Why tunnel packets cannot come from or go to an address: "is a multicast address".
pub(super) fn not_a_tunnels(address: IpAddr) -> Option<&'static str> {
    Some(match address {
        IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some() => "is an IPv4 address written as IPv6",
        _ if address.is_unspecified() => "is the unspecified address",
        _ if address.is_multicast() => "is a multicast address",
        _ if address.is_loopback() => "is a loopback address, which never leaves a host",
        IpAddr::V4(v4) if v4.is_broadcast() => "is the broadcast address",
        IpAddr::V4(v4) if v4.octets()[0] == 0 => "is in 0.0.0.0/8, which no host has",
        _ => return None,
    })
}

/// Words behind a help, where one address is of one link: it reaches no other.
fn beyond(address: IpAddr) -> &'static str {
    match AddressKind::of(address) {
        AddressKind::LinkLocal => "; an address of one link reaches no other",
        AddressKind::V4 | AddressKind::V6 => "",
    }
}

impl<'c> EndpointSection<'c> {
    /// The endpoint a peer of this address family is reached from.
    pub(super) fn choose(
        &self,
        stated: Option<&At<String>>,
        who: &str,
        address: IpAddr,
        span: Span,
        findings: &mut Findings,
    ) -> Option<&OwnEndpoint<'c>> {
        let kind = AddressKind::of(address);
        let words = kind.words();
        if let Some(reference) = stated {
            let row = self.table.find(reference, findings)?;
            if AddressKind::of(row.address) == kind {
                return Some(row);
            }
            let name = reference.get().map_or("", String::as_str);
            let message = format!("{who} has {words} address, endpoint `{name}` has {}", row.address);
            findings.error(
                reference.span,
                message,
                format!("name an endpoint with {words} address{}", beyond(row.address)),
            );
            return None;
        }
        // It may be a broken one, or the whole section; that has been reported.
        let nothing_to_choose_from = self.table.rows().next().is_none() && findings.has_errors();
        if nothing_to_choose_from || self.table.rows().any(|row| row.thing.is_none()) {
            return None;
        }
        let mut fitting = self
            .table
            .rows()
            .filter(|row| row.thing.as_ref().is_some_and(|endpoint| AddressKind::of(endpoint.address) == kind));
        match (fitting.next(), fitting.next()) {
            (Some(row), None) => {
                row.mark_used();
                row.thing.as_ref()
            }
            (None, _) => {
                let message = format!("{who} has {words} address, but no endpoint has one");
                findings.error(span, message, format!("add an endpoint with {words} address{}", beyond(address)));
                None
            }
            (Some(first), Some(second)) => {
                let candidates: Vec<_> =
                    [first, second].into_iter().chain(fitting).map(|row| format!("`{}`", row.name.text)).collect();
                let message = format!("{who} can be reached from several endpoints: {}", candidates.join(", "));
                findings.error(span, message, format!("say which: `endpoint: {}`", first.name.text));
                None
            }
        }
    }

    /// For each endpoint, whether its address is an IPv4 one.
    pub(super) fn families(&self) -> impl Iterator<Item = bool> + '_ {
        self.table.rows().filter_map(|row| Some(row.thing.as_ref()?.address.is_ipv4()))
    }

    /// An endpoint gets tunnel packets of this carrier.
    pub(super) fn add_carrier(&mut self, id: EndpointId, carrier: Carrier) {
        let Some(endpoint) = self.forwarding.get_mut(id) else { return };
        if !endpoint.carriers.contains(&carrier) {
            endpoint.carriers.push(carrier);
        }
    }

    /// An endpoint gets packets to this multicast group.
    pub(super) fn add_multicast_group(&mut self, id: EndpointId, group: IpAddr) {
        let Some(endpoint) = self.forwarding.get_mut(id) else { return };
        if !endpoint.multicast.contains(&group) {
            endpoint.multicast.push(group);
        }
    }

    /// Our own endpoint that has this address where endpoint `place` is, if there is one.
    pub(super) fn with_address(&self, address: IpAddr, place: EndpointId) -> Option<&Declared<'c, OwnEndpoint<'c>>> {
        let is_one_link = AddressKind::of(address) == AddressKind::LinkLocal;
        let has_it = |own: &OwnEndpoint<'_>| own.address == address && (own.id == place || !is_one_link);
        self.table.rows().find(|row| row.thing.as_ref().is_some_and(has_it))
    }
}
