//! Three tenants that could hardly be closer, and how to tell from a frame's bytes whose it is.

use std::net::IpAddr;

use super::wire;

/// Three tenants that use the same MACs and touch each other's IDs as closely as they can.
pub const THREE: &str = r#"
version: 1
ports:
  up:     { device: up, mac: "02:aa:00:00:00:01" }
  access: { device: access, tpids: [0x88a8, 0x9100] }
endpoints:
  fabric: { address: 192.0.2.1, ports: [up] }
peers:
  vxlan: { address: 192.0.2.9,  encap: vxlan }
  nvgre: { address: 192.0.2.77, encap: nvgre }
  gre:   { address: 192.0.2.99, encap: gre }
tenants:
  a: { limits: { bum: 1000000 }, attachments: {
        v: { peer: vxlan, vni: 5000 }, n: { peer: nvgre, vsid: 5000 }, g: { peer: gre }, p: { port: access, s_vid: 1, c_vid: 1 } } }
  b: { limits: { bum: 1000000 }, attachments: {
        v: { peer: vxlan, vni: 5001 }, n: { peer: nvgre, vsid: 5001 }, g: { peer: gre, key: 0 }, p: { port: access, s_vid: 1, c_vid: 2 } } }
  c: { limits: { bum: 1000000 }, attachments: {
        v: { peer: vxlan, vni: 5002 }, n: { peer: nvgre, vsid: 5002 }, g: { peer: gre, key: 1 }, p: { port: access, s_vid: 2 },
        q: { port: access, vid: 1 }, u: { port: access, untagged: true } } }
"#;

pub const LINK: ([u8; 6], [u8; 6]) = ([2, 0xaa, 0, 0, 0, 1], [2, 0xbb, 0, 0, 0, 1]);

/// What every frame of a tenant carries in its payload.
pub fn marker(tenant: u8) -> [u8; 16] {
    [b'a' + tenant; 16]
}

pub fn inner(tenant: u8, dst: [u8; 6], src: [u8; 6]) -> Vec<u8> {
    wire::ethernet(dst, src, 0x88b5, &[&marker(tenant)[..], &[0; 30]].concat())
}

/// A frame of a tenant as it arrives by one of its attachments, and the port.
pub fn arriving(tenant: u8, way: u8, frame: &[u8]) -> (&'static str, Vec<u8>) {
    let ours: IpAddr = [192, 0, 2, 1].into();
    let tunnel = |peer: u8, protocol, packet: &[u8]| {
        ("up", wire::outer(LINK, ([192, 0, 2, peer].into(), ours), 0, protocol, packet))
    };
    let id = 5000 + u32::from(tenant);
    match (way, tenant) {
        (0, _) => tunnel(9, 17, &wire::udp(9, 4789, &wire::vxlan(id, frame))),
        (1, _) => tunnel(77, 47, &wire::nvgre(id, tenant, frame)),
        (2, _) => tunnel(99, 47, &wire::gre(u32::from(tenant).checked_sub(1), frame)),
        (_, 2) => ("access", wire::tag(frame, 0x88a8, 2)),
        _ => ("access", wire::tag(&wire::tag(frame, 0x8100, u16::from(tenant) + 1), 0x88a8, 1)),
    }
}

/// The tenant whose ID a frame carries on the wire, read from its bytes alone.
pub fn tenant_on_the_wire(port: &str, sent: &[u8]) -> u8 {
    if port == "access" {
        return match (&sent[12..16], &sent[16..20]) {
            ([0x88, 0xa8, 0, 1], [0x81, 0, 0, vid]) => vid - 1,
            _ => 2,
        };
    }
    match sent[23] {
        17 => (u32::from_be_bytes([0, sent[46], sent[47], sent[48]]) - 5000) as u8,
        _ if sent[33] == 77 => (u32::from_be_bytes([0, sent[38], sent[39], sent[40]]) - 5000) as u8,
        _ if sent[34] & 0x20 == 0 => 0,
        _ => sent[41] + 1,
    }
}

/// The tenants whose frames these are by what is inside, though not by the ID they leave under.
pub fn strays<'a>(port: &'a str, sent: &'a [u8]) -> impl Iterator<Item = u8> + 'a {
    (0..3).filter(move |&tenant| is_marked(sent, tenant) && tenant_on_the_wire(port, sent) != tenant)
}

/// Whether a tenant's frame, or most of one, is in there.
pub fn is_marked(bytes: &[u8], tenant: u8) -> bool {
    bytes.windows(16).any(|window| window == marker(tenant))
}
