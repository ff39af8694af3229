//! Known misconfigurations: a configuration, a frame, and the first line of what `explain` says about it.
//!
//! A row names one thing that is wrong, at the peer or in the file. Read the lines as the person would who has to mend
//! it.

mod common;

use std::fmt::Write;
use std::net::IpAddr;

use common::wire::{self, BROADCAST, mac, tag};
use transload::config;
use transload::control::compile::{compile_with_origins, placeholder_hops};
use transload::control::explain::{self, Explanation};
use transload::control::offline::{self, Offline};
use transload::io::memory::Packet;

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
const STRICT: &str = r#"
peers:
  leaf: { address: 192.0.2.9, encap: { vxlan: { reserved: strict } }, endpoint: fabric }
  nve:  { address: 192.0.2.77, encap: { nvgre: { reserved: strict } }, endpoint: fabric }
  site: { address: 192.0.2.99, encap: { gre: { reserved: strict, sequence: true } }, endpoint: fabric }
tenants:
  blue: { attachments: {
    leaf: { peer: leaf, vni: 10100 },
    nve:  { peer: nve, vsid: 5001 },
    site: { peer: site, key: 5001 } } }
"#;

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
    let (mut plan, origins) =
        compile_with_origins(&config).unwrap_or_else(|problems| panic!("{}: {problems}", row.name));
    if row.resolved {
        placeholder_hops(&mut plan);
    }
    let port = |name: &str| plan.names.port_id(name).unwrap_or_else(|| panic!("no port {name}"));
    let before: Vec<_> = row.before.iter().map(|(name, frame)| (port(name), frame.clone())).collect();
    let at = port(row.frame.0);
    let mut arena = offline::arena();
    let mut gateway = Offline::new(plan, &mut arena);
    for (port, frame) in before {
        gateway.receive(port, frame, SECOND);
    }
    explain::explain(&mut gateway, &origins, at, row.frame.1.clone(), SECOND)
}

#[test]
fn every_misconfiguration_is_named_in_the_first_line() {
    let rows: Vec<_> = [carriers(), senders(), outers(), ids(), headers(), stacks(), bridges(), exits()]
        .into_iter()
        .flatten()
        .collect();
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
fn every_row_is_another_misconfiguration() {
    let mut names: Vec<_> = [carriers(), senders(), outers(), ids(), headers(), stacks(), bridges(), exits()]
        .into_iter()
        .flatten()
        .map(|row| row.name)
        .collect();
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

fn carriers() -> Vec<Row> {
    let old = ALL.replace(
        "encap: vxlan, endpoint: fabric }\n  nve",
        "encap: { vxlan: { udp_port: 8472 } }, endpoint: fabric }\n  nve",
    );
    vec![
        row(
            "Linux's old VXLAN port",
            ALL,
            "up",
            udp(8472, &wire::vxlan(10100, &inner())),
            "dropped (not_for_us): 192.0.2.9 is peer leaf: it sends to UDP port 8472 (Linux's old VXLAN port), the configuration says UDP port 4789 (VXLAN): write `encap: { vxlan: { udp_port: 8472 } }` (gw.yaml:12)",
        ),
        row(
            "IANA's port to a peer on Linux's old one",
            old,
            "up",
            vxlan(10100, &inner()),
            "dropped (unknown_peer): 192.0.2.9 is peer leaf: it sends to UDP port 4789 (VXLAN), the configuration says UDP port 8472 (Linux's old VXLAN port): write `encap: { vxlan: { udp_port: 4789 } }` (gw.yaml:12)",
        ),
        row(
            "VXLAN-GPE's port",
            ALL,
            "up",
            udp(4790, &wire::vxlan(10100, &inner())),
            "dropped (not_for_us): 192.0.2.9 is peer leaf: it sends to UDP port 4790 (VXLAN-GPE), the configuration says UDP port 4789: let it speak plain VXLAN (gw.yaml:12)",
        ),
        row(
            "Geneve's port",
            ALL,
            "up",
            udp(6081, &[&[0, 0, 0x65, 0x58, 0, 0x27, 0x74, 0][..], &inner()].concat()),
            "dropped (not_for_us): 192.0.2.9 is peer leaf: it speaks Geneve (UDP port 6081), the configuration says vxlan (UDP port 4789) (gw.yaml:12)",
        ),
        row(
            "VXLAN from an NVGRE peer",
            ALL,
            "up",
            packet("192.0.2.77", 17, &wire::udp(9, 4789, &wire::vxlan(5001, &inner()))),
            "dropped (unknown_peer): 192.0.2.77 is peer nve: it speaks VXLAN (UDP port 4789), the configuration says NVGRE (IP protocol 47) (gw.yaml:13)",
        ),
        row(
            "GRE from a VXLAN peer",
            ALL,
            "up",
            packet("192.0.2.9", 47, &wire::gre(Some(10100), &inner())),
            "dropped (unknown_peer): 192.0.2.9 is peer leaf: it speaks GRE or NVGRE (IP protocol 47), the configuration says VXLAN (UDP port 4789) (gw.yaml:12)",
        ),
        row(
            "IP in IP from a VXLAN peer",
            ALL,
            "up",
            packet("192.0.2.9", 4, &inner()),
            "dropped (not_for_us): 192.0.2.9 is peer leaf: it sends IP protocol 4 (IPv4 in IP), the configuration says VXLAN (UDP port 4789) (gw.yaml:12)",
        ),
        row(
            "GRE in UDP from a GRE peer",
            ALL,
            "up",
            packet("192.0.2.99", 17, &wire::udp(9, 4754, &wire::gre(Some(5001), &inner()))),
            "dropped (not_for_us): 192.0.2.99 is peer site: it sends UDP port 4754 (GRE in UDP), the configuration says GRE (IP protocol 47) (gw.yaml:14)",
        ),
    ]
}

fn senders() -> Vec<Row> {
    let from = |src: &str, dst: &str| packet_to(src, dst, 17, &wire::udp(9, 4789, &wire::vxlan(10100, &inner())));
    let mut to_other_port = from("198.51.100.9", "198.51.100.1");
    to_other_port[..6].copy_from_slice(&UP_MAC);
    vec![
        row(
            "a neighbour of a peer",
            ALL,
            "up",
            from("192.0.2.10", "192.0.2.1"),
            "dropped (unknown_peer): 192.0.2.10 is no peer's address, but 192.0.2.9 is peer leaf: if it is the same one, add it to `accept_from` of peer leaf (gw.yaml:12)",
        ),
        row(
            "one behind a group's range",
            ALL,
            "up",
            from("192.0.2.15", "192.0.2.1"),
            "dropped (unknown_peer): 192.0.2.15 is no peer's address, but 192.0.2.14 is peer mesh/192.0.2.14: add it to the `members` of group mesh (gw.yaml:19)",
        ),
        row(
            "an address from elsewhere",
            ALL,
            "up",
            from("203.0.113.5", "192.0.2.1"),
            "dropped (unknown_peer): 203.0.113.5 is no peer's address at endpoint fabric (192.0.2.1), nor near one: add a peer, or name it in `accept_from` or the `members` of a group (gw.yaml:7)",
        ),
        row(
            "a peer at another endpoint",
            ALL,
            "up",
            tag(&from("192.0.2.9", "192.0.2.3"), 0x8100, 30),
            "dropped (unknown_peer): 192.0.2.9 is peer leaf, but at endpoint fabric (192.0.2.1); this packet is to endpoint tagged (192.0.2.3) (gw.yaml:12)",
        ),
        row(
            "an endpoint by another port",
            ALL,
            "up",
            to_other_port,
            "dropped (not_for_us): endpoint other (198.51.100.1) is reached by up2, not by port up (gw.yaml:10)",
        ),
        row(
            "an address that is not ours",
            ALL,
            "up",
            from("192.0.2.9", "192.0.2.2"),
            "dropped (not_for_us): 192.0.2.2 is none of our tunnel addresses; the nearest is endpoint fabric (192.0.2.1) (gw.yaml:7)",
        ),
        row(
            "IPv6 where the endpoint is IPv4",
            pair(""),
            "up2",
            packet_to("2001:db8::9", "2001:db8::5", 17, &wire::udp(9, 4789, &wire::vxlan(1, &inner()))),
            "dropped (not_for_us): the packet is IPv6 (to 2001:db8::5), and endpoint other (198.51.100.1) of port up2 is IPv4: the peer's tunnel has the other address family (gw.yaml:10)",
        ),
        row(
            "an IPv6 peer that nobody named",
            ALL,
            "up",
            packet_to("2001:db8::a", "2001:db8::1", 17, &wire::udp(9, 4789, &wire::vxlan(1, &inner()))),
            "dropped (unknown_peer): 2001:db8::a is no peer's address, but 2001:db8::9 is peer six: if it is the same one, add it to `accept_from` of peer six (gw.yaml:15)",
        ),
        row(
            "an outer tag where none is expected",
            ALL,
            "up",
            tag(&from("192.0.2.9", "192.0.2.1"), 0x8100, 30),
            "dropped (not_for_us): the packet to endpoint fabric (192.0.2.1) has VLAN 30, but the endpoint takes untagged packets: write `vlan: 30` at the endpoint (gw.yaml:7)",
        ),
        row(
            "no outer tag where one is expected",
            ALL,
            "up",
            from("192.0.2.30", "192.0.2.3"),
            "dropped (not_for_us): the packet to endpoint tagged (192.0.2.3) has no VLAN tag, but the endpoint lives in VLAN 30: tag the underlay, or remove `vlan` from the endpoint (gw.yaml:8)",
        ),
        row(
            "another outer tag",
            ALL,
            "up",
            tag(&from("192.0.2.30", "192.0.2.3"), 0x8100, 31),
            "dropped (not_for_us): the packet to endpoint tagged (192.0.2.3) has VLAN 31, but the endpoint lives in VLAN 30, as one 802.1Q tag: make the two agree (gw.yaml:8)",
        ),
        row(
            "the outer tag under another TPID",
            ALL,
            "up",
            tag(&from("192.0.2.30", "192.0.2.3"), 0x88a8, 30),
            "dropped (not_for_us): the packet to endpoint tagged (192.0.2.3) has VLAN 30 under TPID 0x88a8, but the endpoint lives in VLAN 30, as one 802.1Q tag: make the two agree (gw.yaml:8)",
        ),
        row(
            "another device's MAC",
            ALL,
            "up",
            changed(from("192.0.2.9", "192.0.2.1"), 5, 9),
            "dropped (not_our_mac): the packet to endpoint fabric (192.0.2.1) is for MAC 02:aa:00:00:00:09, but port up has 02:aa:00:00:00:01: the sender's ARP or neighbour entry is stale, or a switch floods it (gw.yaml:3)",
        ),
        row(
            "the MAC of our other port",
            ALL,
            "up",
            changed(from("192.0.2.9", "192.0.2.1"), 5, 2),
            "dropped (not_our_mac): the packet to endpoint fabric (192.0.2.1) is for MAC 02:aa:00:00:00:02, but port up has 02:aa:00:00:00:01: that is port up2 (gw.yaml:3)",
        ),
        row(
            "a tenant's frame on a port for tunnels",
            ALL,
            "up",
            inner(),
            "dropped (not_for_us): port up takes tunnel packets only, and this is none: no attachment claims tags of this port (gw.yaml:3)",
        ),
    ]
}

fn outers() -> Vec<Row> {
    let good = vxlan(10100, &inner());
    let six = |sum: [u8; 2]| {
        let mut datagram = wire::udp(9, 4789, &wire::vxlan(66, &inner()));
        datagram[6..8].copy_from_slice(&sum);
        packet_to("2001:db8::9", "2001:db8::1", 17, &datagram)
    };
    let cut = Packet { bytes: good[..40].to_vec(), cut: true, ..Packet::default() };
    let mut ce_inside_not_ect = good.clone();
    ce_inside_not_ect[15] = 3;
    vec![
        row(
            "an IP header checksum that is wrong",
            ALL,
            "up",
            changed(good.clone(), 24, 0),
            "dropped (bad_ip_checksum): the outer IPv4 header checksum is 0x0079 and should be 0xb679: something on the way changed the header, or the sender's offload is broken",
        ),
        row(
            "an IP header shorter than one can be",
            ALL,
            "up",
            changed(good.clone(), 14, 0x44),
            "dropped (bad_ip_header): the outer IP header says version 4 and a length of 16 bytes",
        ),
        row(
            "an IP length beyond the frame",
            ALL,
            "up",
            changed(good.clone(), 16, 0x40),
            "dropped (bad_length): the outer IP header says 16489 bytes, the frame holds 105: it was cut, or captured short",
        ),
        row(
            "a UDP length beyond the packet",
            ALL,
            "up",
            changed(good.clone(), 38, 0x40),
            "dropped (bad_length): the outer UDP header says 16469 bytes, the IP packet holds 85",
        ),
        row(
            "the first outer fragment",
            ALL,
            "up",
            summed(changed(good.clone(), 20, 0x20)),
            "dropped (outer_fragment): the tunnel packet is the first fragment, offset 0: the underlay's MTU is smaller than the peer believes; raise it by the tunnel's headers, or lower the MTU of the peer's tenants",
        ),
        row(
            "a later outer fragment",
            ALL,
            "up",
            summed(changed(changed(good.clone(), 20, 0), 21, 0xb9)),
            "dropped (outer_fragment): the tunnel packet is a later fragment, offset 1480: the underlay's MTU is smaller than the peer believes; raise it by the tunnel's headers, or lower the MTU of the peer's tenants",
        ),
        row(
            "a UDP checksum that is wrong",
            ALL,
            "up",
            changed(good.clone(), 40, 0x12),
            "dropped (udp_checksum): the outer UDP checksum is 0x1200 and should be 0x676c: the underlay changed the packet, or it was captured before the sender's device filled it in",
        ),
        row(
            "no UDP checksum over IPv6",
            ALL,
            "up",
            six([0, 0]),
            "dropped (udp_zero_checksum): the UDP checksum from peer six is zero over IPv6: write `udp_checksum: { rx_zero: accept }`, or let the peer compute it (gw.yaml:15)",
        ),
        row(
            "a capture with a short snapshot length",
            ALL,
            "up",
            cut,
            "dropped (truncated): the capture holds only the first 40 bytes of the frame: capture with a longer snapshot length",
        ),
        row(
            "congestion marked on a packet that is not ECN-capable",
            ALL,
            "up",
            summed(ce_inside_not_ect),
            "dropped (ecn_dropped): the underlay marked the packet from peer leaf as congested (CE), but the tenant's packet inside is not ECN-capable: the far end must not copy ECT to its outer header for it (gw.yaml:12)",
        ),
        row(
            "an inner frame that is cut off",
            ALL,
            "up",
            vxlan(10100, &inner()[..9]),
            "dropped (inner_truncated): 17 bytes are too few for the VXLAN header and an Ethernet header behind it",
        ),
    ]
}

fn ids() -> Vec<Row> {
    let swapped = 10100_u32.swap_bytes() >> 8;
    vec![
        row(
            "the VNI in the wrong byte order",
            ALL,
            "up",
            vxlan(swapped, &inner()),
            "dropped (unknown_segment): VNI 7612160 (0x742700) is unknown, but VNI 10100 would be tenant blue (attachment leaf): the peer writes the VNI in the wrong byte order (gw.yaml:22)",
        ),
        row(
            "the VNI in the low three bytes",
            ALL,
            "up",
            vxlan_header([8, 0, 0, 0, 0, 0, 0x27, 0x74]),
            "dropped (unknown_segment): VNI 39 (0x000027) is unknown, but VNI 10100 would be tenant blue (attachment leaf): the peer writes the VNI eight bits too low, into the reserved byte (gw.yaml:22)",
        ),
        row(
            "the VNI shifted by 8",
            ALL,
            "up",
            vxlan(10100 << 8, &inner()),
            "dropped (unknown_segment): VNI 2585600 (0x277400) is unknown, but VNI 10100 would be tenant blue (attachment leaf): the peer writes the VNI shifted by 8 (gw.yaml:22)",
        ),
        row(
            "the VNI read as hexadecimal",
            ALL,
            "up",
            vxlan(0x10100, &inner()),
            "dropped (unknown_segment): VNI 65792 (0x10100) is unknown, but VNI 10100 (0x2774) would be tenant blue (attachment leaf): one side reads it as decimal, the other as hexadecimal (gw.yaml:22)",
        ),
        row(
            "another peer's VNI",
            ALL,
            "up",
            vxlan(20100, &inner()),
            "dropped (unknown_segment): vni 20100 is tenant blue (attachment mesh), but of group mesh, not of peer leaf (gw.yaml:28)",
        ),
        row(
            "a VNI that nobody has",
            ALL,
            "up",
            vxlan(10101, &inner()),
            "dropped (unknown_segment): vni 10101 of peer leaf is nobody's; it has vni 10100 (tenant blue) (gw.yaml:22)",
        ),
        row(
            "a peer without a tenant",
            "peers:\n  leaf: { address: 192.0.2.9, encap: vxlan, endpoint: fabric }\n  nve: { address: 192.0.2.77, encap: nvgre, endpoint: fabric }\ntenants:\n  blue: { attachments: { nve: { peer: nve, vsid: 5001 }, ce: { port: access, vid: 5 } } }\n",
            "up",
            vxlan(5, &inner()),
            "dropped (unknown_segment): no tenant is attached to peer leaf, which sends vni 5 (gw.yaml:12)",
        ),
        row(
            "NVGRE to a GRE peer",
            ALL,
            "up",
            key(5001 << 8 | 7),
            "dropped (unknown_segment): key 0x00138907 is unknown, but VSID 0x001389 with FlowID 0x07 would be tenant blue (attachment site): the peer speaks NVGRE, the configuration says gre (gw.yaml:14)",
        ),
        row(
            "a FlowID towards a key that is a shifted VSID",
            gre_key(", key: 0x138900"),
            "up",
            key(0x0013_8907),
            "dropped (unknown_segment): key 0x00138907 is unknown, but key 0x00138900 would be tenant blue (attachment site): the low byte 0x07 is an NVGRE FlowID; write `encap: nvgre` and `vsid: 5001` (gw.yaml:15)",
        ),
        row(
            "a plain key where a shifted VSID is configured",
            gre_key(", key: 0x138900"),
            "up",
            key(0x1389),
            "dropped (unknown_segment): key 0x00001389 is unknown, but key 0x00138900 would be tenant blue (attachment site): that is an NVGRE VSID shifted by 8, and the peer sends the plain number; write `key: 5001` (gw.yaml:15)",
        ),
        row(
            "GRE to an NVGRE peer",
            ALL,
            "up",
            nvgre(&[0x20, 0, 0x65, 0x58, 0, 0, 0x13, 0x89]),
            "dropped (unknown_segment): VSID 19 (0x000013) with FlowID 0x89 is unknown, but the whole key 5001 (0x00001389) would be tenant blue (attachment nve): the peer speaks GRE, the configuration says nvgre (gw.yaml:13)",
        ),
        row(
            "no key where key 0 is configured",
            gre_key(", key: 0"),
            "up",
            gre(&[0, 0, 0x65, 0x58]),
            "dropped (unknown_segment): the packet has no key, and key 0 would be tenant blue (attachment site): no key and key 0 are two tunnels; remove `key` there, or give the peer key 0 (gw.yaml:15)",
        ),
        row(
            "key 0 where no key is configured",
            gre_key(""),
            "up",
            key(0),
            "dropped (unknown_segment): key 0 is unknown, but no key at all would be tenant blue (attachment site): they are two tunnels; write `key: 0`, or remove the key at the peer (gw.yaml:15)",
        ),
        row(
            "a key where no key is configured",
            gre_key(""),
            "up",
            key(7),
            "dropped (unknown_segment): key 0x00000007 is unknown, but a packet without a key would be tenant blue (attachment site): remove the key at the peer, or write `key: 7` (gw.yaml:15)",
        ),
        row(
            "the key in the wrong byte order",
            gre_key(", key: 5001"),
            "up",
            key(5001_u32.swap_bytes()),
            "dropped (unknown_segment): key 0x89130000 is unknown, but key 0x00001389 would be tenant blue (attachment site): the peer writes the key in the wrong byte order (gw.yaml:15)",
        ),
        row(
            "the VSID in the wrong byte order",
            ALL,
            "up",
            nvgre(&[0x20, 0, 0x65, 0x58, 0x89, 0x13, 0, 0]),
            "dropped (unknown_segment): VSID 8983296 (0x891300) with FlowID 0x00 is unknown, but VSID 5001 would be tenant blue (attachment nve): the peer writes the VSID in the wrong byte order (gw.yaml:23)",
        ),
    ]
}

fn headers() -> Vec<Row> {
    let vni = [0, 0x27, 0x74, 0];
    let vx = |flags: [u8; 4]| {
        let [a, b, c, d] = flags;
        let [e, f, g, h] = vni;
        vxlan_header([a, b, c, d, e, f, g, h])
    };
    let sequence = |number: u32| gre(&[&[0x30, 0, 0x65, 0x58, 0, 0, 0x13, 0x89][..], &number.to_be_bytes()].concat());
    let tagged = tag(&inner(), 0x8100, 42);
    vec![
        row("a VXLAN header without the I flag", ALL, "up", vx([0, 0, 0, 0]), "dropped (vxlan_vni_flag_clear): the I flag (0x08) of the header from peer leaf is not set (flags 0x00), so its VNI 10100 does not count (gw.yaml:12)"),
        row("a Geneve header on VXLAN's port", ALL, "up", vx([0, 0, 0x65, 0x58]), "dropped (vxlan_vni_flag_clear): the header from peer leaf is Geneve's, sent to VXLAN's port: let it speak VXLAN (gw.yaml:12)"),
        row("VXLAN flags in the wrong byte order", ALL, "up", vx([0, 0, 0, 8]), "dropped (vxlan_vni_flag_clear): the I flag of the header from peer leaf is in the fourth byte: the sender writes its flags in the wrong byte order (gw.yaml:12)"),
        row("GBP bits with strict", STRICT, "up", vx([0x88, 0, 0, 5]), "dropped (vxlan_reserved_bits): the header from peer leaf has the G bit of VXLAN-GBP, with group policy 5, and `reserved: strict` refuses that (gw.yaml:12)"),
        row("the GPE P bit with strict", STRICT, "up", vx([0x0c, 0, 0, 3]), "dropped (vxlan_reserved_bits): the header from peer leaf has the P bit of VXLAN-GPE, with next protocol 3 (Ethernet), and `reserved: strict` refuses that (gw.yaml:12)"),
        row("reserved VXLAN bits with strict", STRICT, "up", vx([0x08, 0, 1, 0]), "dropped (vxlan_reserved_bits): the header from peer leaf has reserved bits set (flags 0x08, reserved 000100 and 00), and `reserved: strict` refuses that (gw.yaml:12)"),
        row("GPE with IP inside", ALL, "up", udp(4789, &[&[0x0c, 0, 0, 1, 0, 0x27, 0x74, 0][..], &[0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0]].concat()), "sent: tenant blue, from peer leaf to 10 places; the header from peer leaf has the P bit of VXLAN-GPE, with next protocol 1 (IPv4): ignored, counted as vxlan_reserved_bits, and what follows is taken for Ethernet (gw.yaml:12)"),
        row("GBP bits that are ignored", ALL, "up", vx([0x88, 0, 0, 5]), "sent: tenant blue, from peer leaf to 10 places; the header from peer leaf has the G bit of VXLAN-GBP, with group policy 5: ignored, counted as vxlan_reserved_bits, and what follows is taken for Ethernet (gw.yaml:12)"),
        row("IP instead of Ethernet in GRE", ALL, "up", gre(&[0x20, 0, 0x08, 0, 0, 0, 0x13, 0x89]), "dropped (unknown_payload): the GRE payload of peer site is type 0x0800, IPv4: it has a `gre` tunnel (layer 3), and needs a `gretap` one; bridging needs 0x6558 (gw.yaml:14)"),
        row("ERSPAN in GRE", ALL, "up", gre(&[0x20, 0, 0x88, 0xbe, 0, 0, 0x13, 0x89]), "dropped (unknown_payload): the GRE payload of peer site is type 0x88be, a mirrored frame (ERSPAN); bridging needs 0x6558 (gw.yaml:14)"),
        row("a GRE checksum that is wrong", ALL, "up", gre(&[0xa0, 0, 0x65, 0x58, 0x12, 0x34, 0, 0, 0, 0, 0x13, 0x89]), "dropped (gre_checksum): the GRE checksum from peer site is 0x1234 and should be 0x257e: the underlay changed the packet (gw.yaml:14)"),
        row("PPTP's GRE version 1", ALL, "up", gre(&[0x20, 1, 0x88, 0x0b, 0, 0, 0x13, 0x89]), "dropped (gre_version): the header from peer site is GRE version 1: PPTP's enhanced GRE, which carries no Ethernet (gw.yaml:14)"),
        row("GRE routing bits", ALL, "up", gre(&[0x60, 0, 0x65, 0x58, 0, 0, 0x13, 0x89]), "dropped (gre_routing_bits): the header from peer site has bits of RFC 1701 that RFC 2784 took out: R (routing) (gw.yaml:14)"),
        row("reserved GRE bits with strict", STRICT, "up", gre(&[0x20, 8, 0x65, 0x58, 0, 0, 0x13, 0x89]), "dropped (gre_reserved_bits): the header from peer site has reserved bits set (0x0008), and `reserved: strict` refuses that (gw.yaml:14)"),
        row("a GRE sequence number out of order", STRICT, "up", sequence(7), "dropped (gre_out_of_order): sequence number 7 from peer site is not newer than one seen before: the underlay reorders or duplicates; without `sequence: true` numbers are not looked at (gw.yaml:14)").before("up", sequence(9)),
        row("NVGRE with a checksum", ALL, "up", nvgre(&[0xa0, 0, 0x65, 0x58, 0, 0x13, 0x89, 0, 0, 0, 0, 0]), "dropped (nvgre_bad_flags): the header from peer nve has a checksum (C is set), which NVGRE does not allow: the peer speaks GRE, the configuration says nvgre (gw.yaml:13)"),
        row("NVGRE with a sequence number", ALL, "up", nvgre(&[0x30, 0, 0x65, 0x58, 0, 0x13, 0x89, 0, 0, 0, 0, 1]), "dropped (nvgre_bad_flags): the header from peer nve has a sequence number (S is set), which NVGRE does not allow: the peer speaks GRE, the configuration says nvgre (gw.yaml:13)"),
        row("keyless GRE to an NVGRE peer", ALL, "up", nvgre(&[0, 0, 0x65, 0x58, 0, 0, 0, 0]), "dropped (nvgre_bad_flags): the header from peer nve has no key (K is clear), which NVGRE does not allow: the peer speaks GRE, the configuration says nvgre (gw.yaml:13)"),
        row("a VLAN tag inside NVGRE", ALL, "up", packet("192.0.2.77", 47, &wire::nvgre(5001, 0, &tagged)), "dropped (nvgre_inner_tag): the tenant's frame from peer nve carries VLAN 42 inside NVGRE, which RFC 7637 forbids: give that VLAN a VSID of its own at the peer (gw.yaml:13)"),
        row("reserved NVGRE bits with strict", STRICT, "up", nvgre(&[0x20, 8, 0x65, 0x58, 0, 0x13, 0x89, 0]), "dropped (nvgre_reserved_bits): the header from peer nve has reserved bits set (0x0008), and `reserved: strict` refuses that (gw.yaml:13)"),
    ]
}

fn stacks() -> Vec<Row> {
    let (s, c) = (0x88a8, 0x8100);
    let both = tags("s_vid: 100, c_vid: 7");
    vec![
        row(
            "an outer tag under 0x8100",
            both.clone(),
            "access",
            two((c, 100), (c, 7)),
            "dropped (qinq_tag_shape): VLAN 100 under 0x8100 and VLAN 7 under 0x8100 is unclaimed, but VLAN 100 under 0x88a8 and VLAN 7 under 0x8100 would be tenant blue (attachment ce): the sender writes TPID 0x8100; change it there, or add it to the port's `tpids` (gw.yaml:16)",
        ),
        row(
            "an outer tag under 0x9100",
            both.clone(),
            "access",
            two((0x9100, 100), (c, 7)),
            "dropped (qinq_wrong_tpid): VLAN 100 under 0x9100 and VLAN 7 under 0x8100 is unclaimed, but VLAN 100 under 0x88a8 and VLAN 7 under 0x8100 would be tenant blue (attachment ce): the sender writes TPID 0x9100; change it there, or add it to the port's `tpids` (gw.yaml:16)",
        ),
        row(
            "an inner tag under 0x88a8",
            both.clone(),
            "access",
            two((s, 100), (s, 7)),
            "dropped (qinq_tag_shape): VLAN 100 under 0x88a8 and VLAN 7 under 0x88a8 is unclaimed, but VLAN 100 under 0x88a8 and VLAN 7 under 0x8100 would be tenant blue (attachment ce): the inner tag must be 0x8100, not 0x88a8 (gw.yaml:16)",
        ),
        row(
            "S-VID and C-VID swapped",
            both.clone(),
            "access",
            two((s, 7), (c, 100)),
            "dropped (unclaimed_tags): VLAN 7 under 0x88a8 and VLAN 100 under 0x8100 is unclaimed, but VLAN 100 under 0x88a8 and VLAN 7 under 0x8100 would be tenant blue (attachment ce): S-VID and C-VID are swapped (gw.yaml:16)",
        ),
        row(
            "an S-VID claimed only with a C-VID",
            both.clone(),
            "access",
            tag(&inner(), s, 100),
            "dropped (unclaimed_tags): S-VID 100 alone is unclaimed: tenant blue (attachment ce) takes it with C-VID 7; the frame has one tag where two are needed (gw.yaml:16)",
        ),
        row(
            "an S-VID with another C-VID",
            both.clone(),
            "access",
            two((s, 100), (c, 8)),
            "dropped (unclaimed_tags): S-VID 100 with C-VID 8 is unclaimed: tenant blue (attachment ce) takes it with C-VID 7 (gw.yaml:16)",
        ),
        row(
            "a single tag under 0x88a8",
            tags("vid: 100"),
            "access",
            tag(&inner(), s, 100),
            "dropped (unclaimed_tags): VLAN 100 under 0x88a8 is unclaimed, but VLAN 100 under 0x8100 would be tenant blue (attachment ce): `vid` is a tag under 0x8100; change it at the sender, or write `s_vid: 100` (gw.yaml:16)",
        ),
        row(
            "a single tag under 0x8100",
            tags("s_vid: 100"),
            "access",
            tag(&inner(), c, 100),
            "dropped (unclaimed_tags): VLAN 100 under 0x8100 is unclaimed, but VLAN 100 under 0x88a8 would be tenant blue (attachment ce): the sender writes TPID 0x8100; change it there, or add it to the port's `tpids` (gw.yaml:16)",
        ),
        row(
            "two tags where one is claimed",
            tags("vid: 100"),
            "access",
            two((s, 9), (c, 100)),
            "dropped (unclaimed_tags): VLAN 9 under 0x88a8 and VLAN 100 under 0x8100 is unclaimed, but VLAN 100 under 0x8100 would be tenant blue (attachment ce): there is one tag too many, the outer one (gw.yaml:16)",
        ),
        row(
            "VLAN 4095",
            both.clone(),
            "access",
            two((s, 4095), (c, 7)),
            "dropped (qinq_reserved_vid): a tag on port access has VLAN ID 4095, which IEEE 802.1Q reserves: VLAN 4095 under 0x88a8 and VLAN 7 under 0x8100 (gw.yaml:5)",
        ),
        row(
            "a priority tag where none is claimed",
            both.clone(),
            "access",
            tag(&inner(), c, 5 << 13),
            "dropped (unclaimed_tags): VLAN 0 under 0x8100 on port access is nobody's; `untagged: true` would take it; the port has s_vid 100, c_vid 7 (tenant blue) (gw.yaml:16)",
        ),
        row(
            "no tag where one is claimed",
            both.clone(),
            "access",
            inner(),
            "dropped (unclaimed_tags): no tag on port access is nobody's; `untagged: true` would take it; the port has s_vid 100, c_vid 7 (tenant blue) (gw.yaml:16)",
        ),
        row(
            "the VLAN next door",
            tags("vid: 100"),
            "access",
            tag(&inner(), c, 101),
            "dropped (unclaimed_tags): VLAN 101 under 0x8100 on port access is nobody's; the port has vid 100 (tenant blue) (gw.yaml:16)",
        ),
        row(
            "the right tags on another port",
            tags("vid: 100").replace("ce: {", "u: { port: up, vid: 101 },\n    ce: {"),
            "up",
            tag(&inner(), c, 100),
            "dropped (unclaimed_tags): VLAN 100 under 0x8100 would be tenant blue (attachment ce) on port access, but came in by port up (gw.yaml:17)",
        ),
        row(
            "a tunnel packet on a port for tenants",
            both,
            "access",
            vxlan(10100, &inner()),
            "dropped (unclaimed_tags): endpoint fabric (192.0.2.1) is reached by up, not by port access (gw.yaml:7)",
        ),
    ]
}

fn bridges() -> Vec<Row> {
    let from = |member: u8, dst: [u8; 6], src: [u8; 6]| {
        let frame = wire::tenant_frame(dst, src, 1);
        packet(&format!("192.0.2.{member}"), 17, &wire::udp(9, 4789, &wire::vxlan(20100, &frame)))
    };
    let control = |last: u8| vxlan(10100, &wire::tenant_frame([1, 0x80, 0xc2, 0, 0, last], mac(1), 1));
    let horizon = pair("")
        .replace("vni: 10100", "vni: 10100, split_horizon: core")
        .replace("s_vid: 100", "s_vid: 100, split_horizon: core");
    let third = format!("{horizon}      third: {{ port: access, s_vid: 101 }}\n");
    let fixed = pair("    static: [{ mac: \"02:00:00:00:00:01\", via: ce }]\n");
    vec![
        row("a member of a mesh to another", ALL, "up", from(11, mac(5), mac(1)), "dropped (split_horizon): 02:00:00:00:00:05 lives at peer mesh/192.0.2.12, another member of the mesh the frame came from: members of group mesh reach each other without the gateway; the sender has not learned the address (gw.yaml:28)").before("up", from(12, BROADCAST, mac(5))),
        row("two attachments of one split horizon", third.clone(), "up", vxlan(10100, &to(mac(5))), "dropped (split_horizon): 02:00:00:00:00:05 lives at ce (port access, s_vid 100), which is in the same split horizon as leaf (gw.yaml:16)")
            .before("access", tag(&wire::tenant_frame(BROADCAST, mac(5), 1), 0x88a8, 100)),
        row("a destination where the frame came from", pair(""), "up", vxlan(10100, &to(mac(5))), "dropped (same_attachment): 02:00:00:00:00:05 lives where the frame came from, at leaf (peer leaf, vni 10100): its network floods what it could have delivered itself, or the address has moved (gw.yaml:16)")
            .before("up", vxlan(10100, &wire::tenant_frame(BROADCAST, mac(5), 1))),
        row("unknown unicast that is switched off", pair("    unknown_unicast: drop\n"), "up", vxlan(10100, &to(mac(5))), "dropped (unknown_unicast_off): 02:00:00:00:00:05 was never heard in tenant blue, which says `unknown_unicast: drop`: a frame from it, a static entry or `flood` would let this pass (gw.yaml:18)"),
        row("more BUM than allowed", pair("    limits: { bum: 1 }\n"), "up", vxlan(10100, &inner()), "dropped (bum_limit): tenant blue has used up its 1 broadcast, unknown and multicast frames a second: look for a loop, or raise `limits: { bum: .. }` (gw.yaml:18)").before("up", vxlan(10100, &inner())),
        row("more addresses than allowed", pair("    limits: { macs: 1 }\n"), "up", vxlan(10100, &wire::tenant_frame(BROADCAST, mac(2), 1)), "sent: tenant blue, from peer leaf to ce (port access, s_vid 100) by port access; the source 02:00:00:00:00:02 is not learned: tenant blue has its 1 addresses already (`limits: { macs: .. }`) (gw.yaml:18)")
            .before("up", vxlan(10100, &inner())),
        row("an address that is static elsewhere", fixed, "up", vxlan(10100, &inner()), "sent: tenant blue, from peer leaf to ce (port access, s_vid 100) by port access; the source 02:00:00:00:00:01 is not learned at leaf (peer leaf, vni 10100): it is static elsewhere (gw.yaml:18)"),
        row("an address that has moved", pair(""), "access", tag(&inner(), 0x88a8, 100), "sent: tenant blue, from port access to leaf (peer leaf, vni 10100) by port up; the source 02:00:00:00:00:01 has moved from leaf (peer leaf, vni 10100) to ce (port access, s_vid 100) (gw.yaml:16)").before("up", vxlan(10100, &inner())),
        row("spanning tree", pair(""), "up", control(0), "dropped (l2_control): 01:80:c2:00:00:00 is spanning tree, which stops at every bridge; switch it off on the link, or expect this (gw.yaml:16)"),
        row("LACP", pair(""), "up", control(2), "dropped (l2_control): 01:80:c2:00:00:02 is LACP or another slow protocol, which stops at every bridge; switch it off on the link, or expect this (gw.yaml:16)"),
        row("LLDP", pair(""), "up", control(14), "dropped (l2_control): 01:80:c2:00:00:0e is LLDP, which stops at every bridge; switch it off on the link, or expect this (gw.yaml:16)"),
        row("a source that is a group", pair(""), "up", vxlan(10100, &wire::tenant_frame(BROADCAST, [3, 0, 0, 0, 0, 1], 1)), "dropped (bad_source): the tenant's frame comes from 03:00:00:00:00:01, a group address: no host sends that; the inner frame begins elsewhere, or is damaged"),
        row("a source of zeros", pair(""), "up", vxlan(10100, &wire::tenant_frame(BROADCAST, [0; 6], 1)), "dropped (bad_source): the tenant's frame comes from 00:00:00:00:00:00, no address: no host sends that; the inner frame begins elsewhere, or is damaged"),
        row("a tenant with nobody else", "peers:\n  leaf: { address: 192.0.2.9, encap: vxlan, endpoint: fabric }\ntenants:\n  blue: { attachments: { leaf: { peer: leaf, vni: 10100 } } }\n", "up", vxlan(10100, &inner()), "dropped (no_targets): tenant blue has nobody else: its only attachment is the one the frame came in by (gw.yaml:14)"),
        row("a tenant that is all one split horizon", horizon, "up", vxlan(10100, &inner()), "dropped (no_targets): tenant blue has nobody else to flood to: its other attachments are behind the same split horizon (gw.yaml:14)"),
    ]
}

fn exits() -> Vec<Row> {
    let long = |src: [u8; 6]| wire::ethernet(BROADCAST, src, 0x88b5, &[7; 1500]);
    let keeps = pair("").replace("s_vid: 100 }", "s_vid: 100, inner_tags: drop }");
    let nvgre = pair("")
        .replace("tenants:", "  nve: { address: 192.0.2.77, encap: nvgre, endpoint: fabric }\ntenants:")
        .replace("ce: { port: access, s_vid: 100 }", "nve: { peer: nve, vsid: 5001 }");
    vec![
        row("an underlay MTU too small for the tenant", pair(""), "access", tag(&long(mac(1)), 0x88a8, 100), "dropped (too_big): towards leaf (peer leaf, vni 10100) the frame of 1514 bytes becomes a packet of 1550, and port up carries 1500: raise that MTU, or let the tenant use 1450 (gw.yaml:3)").mtu("up", 1500),
        row("a port's MTU too small for one tag", tags("vid: 100"), "up", vxlan(10100, &wire::ethernet(BROADCAST, mac(1), 0x88b5, &[7; 1501])), "dropped (too_big): towards ce (port access, vid 100) the frame of 1515 bytes becomes a packet of 1501, and port access carries 1500: raise that MTU, or let the tenant use 1500 (gw.yaml:5)").mtu("access", 1500),
        row("a port's MTU too small for the tenant", pair(""), "up", vxlan(10100, &wire::ethernet(BROADCAST, mac(1), 0x88b5, &[7; 1600])), "dropped (too_big): towards ce (port access, s_vid 100) the frame of 1614 bytes becomes a packet of 1604, and port access carries 1500: raise that MTU, or let the tenant use 1496 (gw.yaml:5)").mtu("access", 1500),
        row("no next hop", pair(""), "access", tag(&inner(), 0x88a8, 100), "dropped (no_next_hop): the next hop of peer leaf is not known: no route to its address leaves by a port of its endpoint, or its neighbour does not answer; `next_hops` of the port can state it (gw.yaml:12)").unresolved(),
        row("a tag towards an attachment that drops them", keeps.clone(), "up", vxlan(10100, &tag(&inner(), 0x8100, 42)), "dropped (inner_tags): the tenant's frame carries VLAN 42, and attachment ce says `inner_tags: drop`: write `inner_tags: keep` or `strip` (gw.yaml:17)"),
        row("a tag towards NVGRE", nvgre, "up", vxlan(10100, &tag(&inner(), 0x8100, 42)), "dropped (inner_tags): the tenant's frame carries VLAN 42, and attachment nve drops tags, as NVGRE does by default: write `inner_tags: strip` (gw.yaml:18)"),
        row("a tag from an attachment that drops them", pair("").replace("vni: 10100 }", "vni: 10100, inner_tags: drop }"), "up", vxlan(10100, &tag(&inner(), 0x8100, 42)), "dropped (inner_tags): the tenant's frame carries VLAN 42, and attachment leaf says `inner_tags: drop`: write `inner_tags: keep` or `strip` (gw.yaml:16)"),
    ]
}
