//! Ports: the plan to open them by, and their rows in the tables.

use std::collections::HashMap;
use std::net::IpAddr;

use transload_encaps::Mac;

use super::context::Context;
use super::findings::Findings;
use super::origins::Noun;
use super::plan::PortPlan;
use super::table::Table;
use crate::config::{At, Io, MacAddress, Name, Named, Port, Span};
use crate::forwarding::{self, PortId, Slab};
use crate::io::Backend;

/// A port of the file with its number.
#[derive(Debug)]
pub(super) struct NumberedPort<'c> {
    pub(super) id: PortId,
    pub(super) config: &'c Port,
}

pub(super) struct PortSection<'c> {
    pub(super) table: Table<'c, NumberedPort<'c>>,
    pub(super) plans: Vec<PortPlan>,
    pub(super) forwarding: Slab<PortId, forwarding::Port>,
}

pub(super) fn compile<'c>(ports: &'c Named<Port>, context: &mut Context<'_>) -> PortSection<'c> {
    let mut all = PortSection { table: Table::new("port"), plans: Vec::new(), forwarding: Slab::new() };
    if ports.len() > usize::from(u16::MAX) {
        context.findings.error(Span::default(), "more than 65535 ports", "use fewer");
        return all;
    }
    let mut devices = HashMap::new();
    for (name, config) in ports.iter() {
        let id = context.numbers.port(name.text);
        all.table.add(name, config.map(|config| NumberedPort { id, config }), &mut context.findings);
        let Some(config) = config else { continue };
        let mac = own_mac(config.mac.as_ref(), &mut context.findings);
        let mtu = config.mtu.as_ref().and_then(At::value).map(|mtu| mtu.0 as u32);
        all.forwarding.insert(id, forwarding::Port { mac, mtu, ..Default::default() });
        if let Some(backend) = backend(name, config, &mut context.findings) {
            one_port_per_device(&mut devices, name, config, &mut context.findings);
            let next_hops = next_hops(config, &mut context.findings);
            all.plans.push(PortPlan {
                id,
                name: name.text.to_owned(),
                backend,
                mac,
                mtu,
                next_hops,
                span: name.span,
                written: None,
            });
            context.names.set_port(id, name.text);
        }
        note(id, name, config, context);
    }
    all
}

fn note(id: PortId, name: Name<'_>, config: &Port, context: &mut Context<'_>) {
    context.note(Noun::Port(id), name.span);
    context.note_stated(Noun::PortMac(id), config.mac.as_ref());
    context.note_stated(Noun::PortMtu(id), config.mtu.as_ref());
    context.note_stated(Noun::PortTpids(id), config.tpids.as_ref());
}

fn own_mac(mac: Option<&At<MacAddress>>, findings: &mut Findings) -> Option<Mac> {
    let (span, MacAddress(mac)) = (mac?.span, mac?.value()?);
    unicast(mac, span, findings).then_some(mac)
}

/// Whether one device can have this address.
pub(super) fn unicast(mac: Mac, span: Span, findings: &mut Findings) -> bool {
    if mac.is_group() {
        let message = format!("{mac} is a group address, which no single device has");
        findings.error(span, message, "the lowest bit of the first byte must be 0, as in \"02:00:00:00:00:07\"");
    } else if mac == Mac::default() {
        findings.error(
            span,
            format!("{mac} cannot be a device's address"),
            "write a unicast address, such as \"02:00:00:00:00:07\"",
        );
    } else {
        return true;
    }
    false
}

fn backend(name: Name<'_>, config: &Port, findings: &mut Findings) -> Option<Backend> {
    let io = config.io.as_ref();
    let kind = match io {
        None => &Io::Auto,
        Some(io) => io.get()?,
    };
    if let Io::Unix(socket) = kind {
        if let Some(device) = &config.device {
            findings.error(device.span, "a Unix socket has no device", "remove `device`, or write `io: auto`");
            return None;
        }
        for path in [Some(&socket.local), socket.remote.as_ref()].into_iter().flatten() {
            super::socket_path(path, io.map_or(name.span, |io| io.span), findings);
        }
        return Some(Backend::Unix { local: socket.local.clone(), remote: socket.remote.clone() });
    }
    let Some(device) = &config.device else {
        // A field that is misspelt has been reported, and may be this one.
        if !findings.has_errors_in(name.extent) {
            let message = format!("port `{}` has no device", name.text);
            findings.error(name.span, message, "add `device: eth1`, or `io: { unix: { local: PATH, remote: PATH } }`");
        }
        return None;
    };
    let device = checked_device(device, kind, findings)?;
    match kind {
        Io::Auto => Some(Backend::Auto { device }),
        Io::AfPacket => Some(Backend::AfPacket { device }),
        Io::AfXdp => Some(Backend::AfXdp { device }),
        Io::Tap => Some(Backend::Tap { device }),
        // It has returned above.
        Io::Unix(_) => None,
    }
}

/// Linux names a device with up to 15 bytes and no blank or slash. An alternative name may have up to 127.
fn checked_device(device: &At<String>, kind: &Io, findings: &mut Findings) -> Option<String> {
    let name = device.get()?;
    let most = if matches!(kind, Io::Tap) { 15 } else { 127 };
    let fits = (1..=most).contains(&name.len()) && !matches!(name.as_str(), "." | "..");
    let message = format!("`{name}` cannot be a network device");
    if name.starts_with(['“', '”', '„', '‘', '’']) {
        findings.error(device.span, message, "these are not YAML quotes; write \", or leave them out");
        return None;
    }
    if fits && !name.contains(|c: char| c == '/' || c == ':' || c.is_whitespace()) {
        return Some(name.clone());
    }
    let what = if matches!(kind, Io::Tap) { "names of TAPs" } else { "device names" };
    let help = format!("{what} have at most {most} characters and no space, `/` or `:`");
    findings.error(device.span, message, help);
    None
}

fn one_port_per_device<'c>(
    devices: &mut HashMap<&'c str, Name<'c>>,
    name: Name<'c>,
    config: &'c Port,
    findings: &mut Findings,
) {
    let Some((device, text)) = config.device.as_ref().and_then(|device| Some((device, device.get()?))) else { return };
    if let Some(first) = devices.insert(text, name) {
        let line = findings.line(first.span, device.span);
        let message = format!("device `{text}` is already port `{}` ({line})", first.text);
        let help = "one device is one port; an endpoint and tenants can share it";
        findings.conflict(device.span, first.span, "has the device", message, help);
    }
}

fn next_hops(config: &Port, findings: &mut Findings) -> Vec<(IpAddr, Mac)> {
    let mut hops: Vec<(IpAddr, Mac)> = Vec::new();
    for (name, mac) in config.next_hops.iter() {
        let Ok(address) = name.text.parse::<IpAddr>() else {
            let message = format!("`{}` is not an IP address", name.text);
            findings.error(name.span, message, "next_hops maps a peer's tunnel address to a MAC address");
            continue;
        };
        let Some(&MacAddress(mac)) = mac else { continue };
        if hops.iter().any(|&(known, _)| known == address) {
            findings.error(name.span, format!("{address} already has a next hop on this port"), "keep one of the two");
        } else if unicast(mac, name.span, findings) {
            hops.push((address, mac));
        }
    }
    hops
}
