//! What tshark sees: an independent dissector of everything that a case says must be sent.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use transload::io::pcap::CaptureWriter;
use transload_lab::host::output;

use super::seen::{Checksum, Ip, Seen, Shim, Tag, Tenant};

/// All of these frames, in their order; `ports` are UDP ports that are VXLAN's. `None` is one that it finds
/// malformed.
///
/// # Errors
/// When tshark cannot be run.
pub(super) fn dissect(frames: &[Vec<u8>], ports: &BTreeSet<u16>) -> io::Result<Vec<Option<Seen>>> {
    let directory = tempfile::tempdir()?;
    let capture = directory.path().join("frames.pcap");
    let mut writer = CaptureWriter::create(&capture)?;
    for (at, frame) in frames.iter().enumerate() {
        writer.write(at as u64, frame)?;
    }
    writer.finish()?;
    let packets = run(&capture, ports)?;
    if packets.len() != frames.len() {
        return Err(io::Error::other(format!("tshark shows {} of {} frames", packets.len(), frames.len())));
    }
    Ok(packets.iter().zip(frames).map(|(packet, frame)| seen(&layers(packet), frame)).collect())
}

fn run(capture: &Path, ports: &BTreeSet<u16>) -> io::Result<Vec<Value>> {
    let mut command = Command::new("tshark");
    command.arg("-r").arg(capture).args(["-n", "-T", "json", "-x", "--no-duplicate-keys"]);
    for checked in ["ip", "udp", "tcp"] {
        command.args(["-o", &format!("{checked}.check_checksum:TRUE")]);
    }
    // Every frame is looked at by itself.
    command.args(["-o", "ip.defragment:FALSE", "-o", "ipv6.defragment:FALSE"]);
    for port in ports {
        command.args(["-d", &format!("udp.port=={port},vxlan")]);
    }
    serde_json::from_str(&output(&mut command)?).map_err(io::Error::other)
}

/// One protocol's part of a frame.
#[derive(Clone, Copy)]
struct Layer<'a> {
    at: usize,
    name: &'a str,
    value: &'a Value,
}

/// The layers of a packet, outermost first. tshark groups them by protocol; `X_raw` says where each begins.
fn layers(packet: &Value) -> Vec<Layer<'_>> {
    let Some(all) = packet["_source"]["layers"].as_object() else { return Vec::new() };
    let mut found = Vec::new();
    for (name, value) in all {
        let Some(raw) = all.get(&format!("{name}_raw")) else { continue };
        let repeated = raw[0].is_array();
        for n in 0..if repeated { raw.as_array().map_or(0, Vec::len) } else { 1 } {
            let (raw, value) = if repeated { (&raw[n], &value[n]) } else { (raw, value) };
            found.push(Layer { at: raw[1].as_u64().unwrap_or(0) as usize, name, value });
        }
    }
    found.retain(|layer| layer.name != "frame");
    found.sort_by_key(|layer| layer.at);
    found
}

impl Layer<'_> {
    /// A field's text, wherever in the layer it is.
    fn text(&self, field: &str) -> Option<&str> {
        find(self.value, field)
    }

    /// A field's number, written in decimal or as 0x.
    fn number(&self, field: &str) -> Option<u32> {
        let text = self.text(field)?;
        match text.strip_prefix("0x") {
            Some(hex) => u32::from_str_radix(hex, 16).ok(),
            None => text.parse().ok(),
        }
    }

    /// What a checksum's status says: 0 bad, 1 good, anything else not there or not to be verified.
    fn checksum(&self) -> Checksum {
        match self.text(&format!("{}.checksum.status", self.name)) {
            Some("0") => Checksum::Bad,
            Some("1") => Checksum::Good,
            _ => Checksum::Absent,
        }
    }

    fn is_tag(&self) -> bool {
        matches!(self.name, "vlan" | "ieee8021ad")
    }
}

fn find<'a>(value: &'a Value, field: &str) -> Option<&'a str> {
    let map = value.as_object()?;
    map.get(field).and_then(Value::as_str).or_else(|| map.values().find_map(|below| find(below, field)))
}

fn seen(layers: &[Layer<'_>], frame: &[u8]) -> Option<Seen> {
    if frame.len() < 14 || layers.iter().any(|layer| layer.name == "_ws.malformed") {
        return None;
    }
    let inner = layers.iter().enumerate().skip(1).find(|(_, layer)| layer.name == "eth").map(|(at, _)| at);
    let tunnel = inner.and_then(|inner| {
        let outer = &layers[..inner];
        let ip = outer.iter().rev().find_map(ip)?;
        Some((ip, shim(outer)?))
    });
    let (outer, own) = match inner {
        Some(at) if tunnel.is_some() => layers.split_at(at),
        _ => (&layers[..0], layers),
    };
    let start = own.first().map_or(0, |layer| layer.at);
    let mut tenant = tenant(own, &frame[start..], start);
    let tags = if tunnel.is_some() { tags(outer, frame) } else { std::mem::take(&mut tenant.tags) };
    Some(Seen { tags, tunnel, tenant })
}

fn tags(layers: &[Layer<'_>], frame: &[u8]) -> Vec<Tag> {
    let tags = layers.iter().filter(|layer| layer.is_tag());
    let tag = |layer: &Layer<'_>| {
        let field = |name: &str| layer.number(&format!("{}.{name}", layer.name));
        Tag {
            tpid: u16::from_be_bytes([frame[layer.at - 2], frame[layer.at - 1]]),
            pcp: field("priority").unwrap_or_default() as u8,
            dei: field("dei") == Some(1),
            vid: field("id").unwrap_or_default() as u16,
        }
    };
    tags.map(tag).collect()
}

fn ip(layer: &Layer<'_>) -> Option<Ip> {
    let [from, to, class, ttl] = match layer.name {
        "ip" => ["ip.src", "ip.dst", "ip.dsfield", "ip.ttl"],
        "ipv6" => ["ipv6.src", "ipv6.dst", "ipv6.tclass", "ipv6.hlim"],
        _ => return None,
    };
    Some(Ip {
        from: layer.text(from)?.parse().ok()?,
        to: layer.text(to)?.parse().ok()?,
        class: layer.number(class)? as u8,
        ttl: layer.number(ttl)? as u8,
        checksum: layer.checksum(),
    })
}

fn shim(outer: &[Layer<'_>]) -> Option<Shim> {
    let named = |name: &str| outer.iter().find(|layer| layer.name == name);
    if let (Some(udp), Some(vxlan)) = (named("udp"), named("vxlan")) {
        return Some(Shim::Vxlan {
            port: udp.number("udp.dstport")? as u16,
            checksum: udp.checksum(),
            flags: vxlan.number("vxlan.flags")? as u16,
            vni: vxlan.number("vxlan.vni")?,
        });
    }
    let gre = named("gre")?;
    Some(Shim::Gre {
        flags: gre.number("gre.flags_and_version")? as u16,
        checksum: gre.checksum(),
        key: gre.number("gre.key"),
        sequence: gre.number("gre.sequence_number"),
    })
}

/// The tenant's frame: these layers, whose bytes begin at `start` of the whole frame.
fn tenant(layers: &[Layer<'_>], frame: &[u8], start: usize) -> Tenant {
    let own: Vec<_> = layers.iter().map(|layer| Layer { at: layer.at - start, ..*layer }).collect();
    let tags = tags(&own, frame);
    let mut bytes = frame.to_vec();
    bytes.drain(12..12 + 4 * tags.len());
    let payload = own.iter().find(|layer| content(layer).is_some());
    Tenant {
        tags,
        ip: own.iter().find_map(ip),
        content: payload.and_then(content).unwrap_or_else(|| format!("type {:02x}{:02x}", bytes[12], bytes[13])),
        checksum: payload.map(Layer::checksum).unwrap_or_default(),
        bytes,
    }
}

fn content(layer: &Layer<'_>) -> Option<String> {
    let with = |field: &str, word: &str| layer.number(field).map_or(String::new(), |n| format!(" {word} {n}"));
    Some(match layer.name {
        "arp" => "arp".to_owned(),
        "udp" => "udp".to_owned(),
        "tcp" => format!("tcp{}", with("tcp.options.mss_val", "mss")),
        name @ ("icmp" | "icmpv6") => {
            let field = |field: &str| layer.number(&format!("{name}.{field}"));
            let mtu = if name == "icmp" { with("icmp.mtu", "mtu") } else { with("icmpv6.mtu", "mtu") };
            format!("{name} {}/{}{mtu}", field("type")?, field("code")?)
        }
        _ => return None,
    })
}
