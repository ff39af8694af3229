//! Ours, from a file as an operator would write it.

use transload_lab::Gateway;

use crate::lab::Lab;
use crate::path::{Encapsulation, Path, Side};

use super::{Holder, Io, Running, Why};

pub(super) fn start(lab: &Lab, path: &Path, io: Io) -> Result<Running, Why> {
    lab.address(path)?;
    match Gateway::start(&lab.gateway, &configuration(path, io)) {
        Ok(gateway) => Ok(Running { processes: vec![gateway.process()], _holder: Holder::Gateway(gateway) }),
        Err(error) if io == Io::AfXdp && error.to_string().contains("af_xdp") => {
            Err(Why::NotAvailable(format!("transload does not take AF_XDP here: {}", reason(&error.to_string()))))
        }
        Err(error) => Err(Why::Failed(error)),
    }
}

/// The line that says so.
fn reason(log: &str) -> &str {
    log.lines().find(|line| line.contains("af_xdp")).unwrap_or(log).trim()
}

/// The gateway's file for a path.
#[must_use]
pub fn configuration(path: &Path, io: Io) -> String {
    let io = if io == Io::AfXdp { "af_xdp" } else { "af_packet" };
    let mut ports = String::new();
    let mut endpoints = String::new();
    let mut peers = String::new();
    let mut attachments = String::new();
    for side in [&path.from, &path.to] {
        let Side { device, gateway, peer, number, .. } = side;
        let (encap, id) = match side.encap {
            Encapsulation::Vxlan { vni } => ("vxlan", format!("vni: {vni}")),
            Encapsulation::Nvgre { vsid } => ("nvgre", format!("vsid: {vsid}")),
            Encapsulation::Gre { key } => ("gre", format!("key: {key}")),
            Encapsulation::QinQ { s_vid, c_vid } => {
                ports += &format!("  {device}: {{ device: {device}, io: {io}, tpids: [0x88a8] }}\n");
                attachments += &format!("      a{number}: {{ port: {device}, s_vid: {s_vid}, c_vid: {c_vid} }}\n");
                continue;
            }
        };
        ports += &format!("  {device}: {{ device: {device}, io: {io} }}\n");
        endpoints += &format!("  e{number}: {{ address: {gateway}, ports: [{device}] }}\n");
        peers += &format!("  p{number}: {{ address: {peer}, endpoint: e{number}, encap: {encap} }}\n");
        attachments += &format!("      a{number}: {{ peer: p{number}, {id} }}\n");
    }
    format!(
        "version: 1\nports:\n{ports}endpoints:\n{endpoints}peers:\n{peers}tenants:\n  bench:\n    attachments:\n\
         {attachments}    limits: {{ macs: 1000000 }}\n"
    )
}
