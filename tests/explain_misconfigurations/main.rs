//! Known misconfigurations: a configuration, a frame, and the first line of what `explain` says about it.
//!
//! A row names one thing that is wrong, at the peer or in the file. Read the lines as the person would who has to mend
//! it.

#[path = "../common/mod.rs"]
mod common;
mod overlay;
mod tenants;
mod underlay;

use std::fmt::Write;
use std::net::IpAddr;
use std::sync::Arc;

use common::wire::{self, BROADCAST, mac, tag};
use transload::compile::compile_with_origins;
use transload::config;
use transload::explain::{self, Explanation};
use transload::io::memory::Packet;
use transload::offline::{self, Offline};
use transload::rib::facts::{PathFact, Tunnel};

const UP_MAC: [u8; 6] = [2, 0xaa, 0, 0, 0, 1];
const PEER_MAC: [u8; 6] = [2, 0xbb, 0, 0, 0, 1];
const SECOND: u64 = 1_000_000_000;

/// Everything around the peers and tenants of a row. Its lines 2 to 11 come before those of the row.
const HOUSE: &str = r#"version: 1
ports:
  up:     { device: up, mac: "02:aa:00:00:00:01" }
  up2:    { device: up2, mac: "02:aa:00:00:00:02" }
  access: { device: access }
endpoints:
  fabric: { address: 192.0.2.1, ports: [up] }
  tagged: { address: 192.0.2.3, ports: [up], vlan: 30 }
  v6:     { address: "2001:db8::1", ports: [up] }
  other:  { address: 198.51.100.1, ports: [up2] }
"#;

/// A peer of every encapsulation, and tenants on them.
const ALL: &str = r#"
peers:
  leaf: { address: 192.0.2.9, encap: vxlan, endpoint: fabric }
  nve:  { address: 192.0.2.77, encap: nvgre, endpoint: fabric }
  site: { address: 192.0.2.99, encap: gre, endpoint: fabric }
  six:  { address: "2001:db8::9", encap: vxlan, udp_checksum: { rx_zero: drop } }
  far:  { address: 198.51.100.9, encap: vxlan, endpoint: other }
  flag: { address: 192.0.2.30, encap: vxlan, endpoint: tagged }
groups:
  mesh: { encap: vxlan, members: [192.0.2.11-192.0.2.14], endpoint: fabric }
tenants:
  blue: { attachments: {
    leaf: { peer: leaf, vni: 10100 },
    nve:  { peer: nve, vsid: 5001 },
    site: { peer: site, key: 5001 },
    six:  { peer: six, vni: 66 },
    far:  { peer: far, vni: 77 },
    flag: { peer: flag, vni: 88 },
    mesh: { group: mesh, vni: 20100 },
    ce:   { port: access, s_vid: 100, c_vid: 7 } } }
"#;

/// Strict about every reserved bit; a GRE peer with checksum and sequence numbers.
const STRICT: &str = "
peers:
  leaf: { address: 192.0.2.9, encap: { vxlan: { reserved: strict } }, endpoint: fabric }
  nve:  { address: 192.0.2.77, encap: { nvgre: { reserved: strict } }, endpoint: fabric }
  site: { address: 192.0.2.99, encap: { gre: { reserved: strict, sequence: true } }, endpoint: fabric }
tenants:
  blue: { attachments: {
    leaf: { peer: leaf, vni: 10100 },
    nve:  { peer: nve, vsid: 5001 },
    site: { peer: site, key: 5001 } } }
";

/// A group that learns its members and floods by multicast, and a peer beside it.
const LEARNING: &str = "
peers:
  leaf: { address: 192.0.2.9, encap: vxlan, endpoint: fabric }
groups:
  roam: { encap: vxlan, learn_from: 10.9.0.0/24, bum: 239.1.1.1, endpoint: fabric }
tenants:
  blue: { attachments: {
    leaf: { peer: leaf, vni: 10100 },
    roam: { group: roam, vni: 3000 } } }
";

/// A GRE peer with this `key`, or none.
fn gre_key(key: &str) -> String {
    format!(
        "peers:\n  site: {{ address: 192.0.2.99, encap: gre, endpoint: fabric }}\ntenants:\n  blue: {{ attachments: {{\n    site: {{ peer: site{key} }},\n    ce: {{ port: access, s_vid: 100 }} }} }}\n"
    )
}

/// A tenant on these tags of the access port.
fn tags(ids: &str) -> String {
    format!(
        "peers:\n  leaf: {{ address: 192.0.2.9, encap: vxlan, endpoint: fabric }}\ntenants:\n  blue: {{ attachments: {{\n    leaf: {{ peer: leaf, vni: 10100 }},\n    ce: {{ port: access, {ids} }} }} }}\n"
    )
}

/// A mapping of a VXLAN peer's VNIs to VSIDs.
fn mapping() -> String {
    let more = "mappings:\n  moved:\n    from: { peer: leaf, vni: 0-0xffff }\n    to: { peer: nve, vsid: id }\n";
    format!(
        "{}{more}",
        ALL.replace("leaf: { peer: leaf, vni: 10100 }", "leaf: { peer: leaf, vni: 0x20000 }")
            .replace("vsid: 5001", "vsid: 0x20000")
    )
}

/// A tenant between two ports with these options.
fn pair(options: &str) -> String {
    format!(
        "peers:\n  leaf: {{ address: 192.0.2.9, encap: vxlan, endpoint: fabric }}\ntenants:\n  blue:\n    attachments:\n      leaf: {{ peer: leaf, vni: 10100 }}\n      ce: {{ port: access, s_vid: 100 }}\n{options}"
    )
}

/// One misconfiguration.
struct Row {
    name: &'static str,
    config: String,
    /// Arrives first.
    before: Vec<(&'static str, Vec<u8>)>,
    frame: (&'static str, Packet),
    resolved: bool,
    house: String,
    line: &'static str,
}

impl Row {
    fn before(mut self, port: &'static str, frame: Vec<u8>) -> Self {
        self.before.push((port, frame));
        self
    }

    /// This port has this MTU.
    fn mtu(self, port: &str, mtu: u16) -> Self {
        let device = format!("device: {port}");
        Self { house: self.house.replacen(&device, &format!("{device}, mtu: {mtu}"), 1), ..self }
    }

    fn unresolved(self) -> Self {
        Self { resolved: false, ..self }
    }
}

fn row(
    name: &'static str,
    config: impl Into<String>,
    port: &'static str,
    frame: impl Into<Packet>,
    line: &'static str,
) -> Row {
    let frame = (port, frame.into());
    Row { name, config: config.into(), before: Vec::new(), frame, resolved: true, house: HOUSE.to_owned(), line }
}

fn explained(row: &Row) -> Explanation {
    let yaml = format!("{}{}", row.house, row.config.trim_start());
    let config = config::parse("gw.yaml", &yaml).unwrap_or_else(|problems| panic!("{}: {problems}", row.name));
    let (plan, origins) = compile_with_origins(&config).unwrap_or_else(|problems| panic!("{}: {problems}", row.name));
    let port = |name: &str| plan.names.port_id(name).unwrap_or_else(|| panic!("no port {name}"));
    let before: Vec<_> = row.before.iter().map(|(name, frame)| (port(name), frame.clone())).collect();
    let at = port(row.frame.0);
    let mut arena = offline::arena();
    let mut gateway = Offline::new(plan, &mut arena);
    if !row.resolved {
        gateway.change(|rib| {
            let lost = |tunnel: Tunnel| PathFact { peer: tunnel.peer, hops: Arc::default(), complaints: Vec::new() };
            let lost: Vec<_> = rib.tunnels().map(lost).collect();
            rib.resolved(lost);
        });
    }
    for (port, frame) in before {
        gateway.receive(port, frame, SECOND);
    }
    explain::explain(&mut gateway, &origins, at, row.frame.1.clone(), SECOND)
}

fn rows() -> Vec<Row> {
    let underlay = [underlay::carriers(), underlay::senders(), underlay::outers()];
    let overlay = [overlay::ids(), overlay::headers()];
    let tenants = [tenants::stacks(), tenants::bridges(), tenants::exits()];
    underlay.into_iter().chain(overlay).chain(tenants).flatten().collect()
}

#[test]
fn every_misconfiguration_is_named_in_the_first_line() {
    let rows = rows();
    let mut failures = String::new();
    for row in &rows {
        let told = explained(row);
        let text = explain::text(&told);
        let line = text.lines().next().unwrap_or_default();
        assert_eq!(line, told.headline, "the first line is the headline");
        if line != row.line {
            let _ = writeln!(failures, "== {}\n-- expected\n{}\n-- told\n{line}", row.name, row.line);
        }
    }
    assert!(rows.len() >= 60, "only {} rows", rows.len());
    assert!(failures.is_empty(), "{failures}");
}

#[test]
fn whoever_follows_the_advice_about_a_udp_port_carries_the_frame() {
    for port in [8472, 4790, 5000, 14789, 32_000] {
        let frame = udp(port, &wire::vxlan(10100, &inner()));
        let before = row("", ALL, "up", frame.clone(), "");
        let told = explained(&before).headline;
        let advice = format!("write `encap: {{ vxlan: {{ udp_port: {port} }} }}`");
        assert!(told.contains(&advice), "{told}");
        let stated = format!("{}, endpoint: fabric", advice.trim_start_matches("write `").trim_end_matches('`'));
        let after = row("", ALL.replacen("encap: vxlan, endpoint: fabric", &stated, 1), "up", frame, "");
        assert!(explained(&after).dropped.is_none(), "{}", explained(&after).headline);
    }
}

#[test]
fn every_row_is_another_misconfiguration() {
    let mut names: Vec<_> = rows().into_iter().map(|row| row.name).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count, "a name is there twice");
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// From this address to one of ours.
fn packet_to(src: &str, dst: &str, protocol: u8, payload: &[u8]) -> Vec<u8> {
    wire::outer((UP_MAC, PEER_MAC), (address(src), address(dst)), 0, protocol, payload)
}

/// A VXLAN packet to a multicast group of the underlay, from here.
fn to_group(src: &str, group: [u8; 4]) -> Vec<u8> {
    let [_, b, c, d] = group;
    let macs = ([1, 0, 0x5e, b, c, d], PEER_MAC);
    wire::outer(macs, (address(src), group.into()), 0, 17, &wire::udp(50_000, 4789, &wire::vxlan(3000, &inner())))
}

fn packet(src: &str, protocol: u8, payload: &[u8]) -> Vec<u8> {
    packet_to(src, "192.0.2.1", protocol, payload)
}

fn inner() -> Vec<u8> {
    wire::tenant_frame(BROADCAST, mac(1), 1)
}

fn to(dst: [u8; 6]) -> Vec<u8> {
    wire::tenant_frame(dst, mac(1), 1)
}

/// From `leaf` to this UDP port.
fn udp(port: u16, payload: &[u8]) -> Vec<u8> {
    packet("192.0.2.9", 17, &wire::udp(50_000, port, payload))
}

fn vxlan(vni: u32, frame: &[u8]) -> Vec<u8> {
    udp(4789, &wire::vxlan(vni, frame))
}

/// A VXLAN packet with these eight bytes for a header.
fn vxlan_header(header: [u8; 8]) -> Vec<u8> {
    udp(4789, &[&header[..], &inner()].concat())
}

fn nvgre(header: &[u8]) -> Vec<u8> {
    packet("192.0.2.77", 47, &[header, &inner()].concat())
}

fn gre(header: &[u8]) -> Vec<u8> {
    packet("192.0.2.99", 47, &[header, &inner()].concat())
}

fn key(key: u32) -> Vec<u8> {
    gre(&[&[0x20, 0, 0x65, 0x58][..], &key.to_be_bytes()].concat())
}

fn changed(mut frame: Vec<u8>, at: usize, byte: u8) -> Vec<u8> {
    frame[at] = byte;
    frame
}

/// The same with a right IPv4 header checksum.
fn summed(mut frame: Vec<u8>) -> Vec<u8> {
    frame[24..26].fill(0);
    let sum = wire::sum(&[&frame[14..34]]).to_be_bytes();
    frame[24..26].copy_from_slice(&sum);
    frame
}

fn two(outer: (u16, u16), inner: (u16, u16)) -> Vec<u8> {
    tag(&tag(&self::inner(), inner.0, inner.1), outer.0, outer.1)
}
