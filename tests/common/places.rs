//! One tenant that has every encapsulation, and what its frames look like on the wire of each.

use std::net::IpAddr;

use super::Lab;
use super::wire::{self, BROADCAST, mac};

pub const UP_MAC: [u8; 6] = [2, 0xaa, 0, 0, 0, 1];
pub const PEER_MAC: [u8; 6] = [2, 0xbb, 0, 0, 0, 1];
pub const OURS: [&str; 2] = ["192.0.2.1", "2001:db8::1"];

/// One tenant with one attachment of every encapsulation twice, over IPv4 and over IPv6 where it has an underlay.
pub const ALL: &str = r#"
version: 1
ports:
  up:     { device: up, mac: "02:aa:00:00:00:01", next_hops: {
            192.0.2.9: "02:bb:00:00:00:01", 192.0.2.77: "02:bb:00:00:00:01", 192.0.2.99: "02:bb:00:00:00:01",
            "2001:db8::9": "02:bb:00:00:00:01", "2001:db8::77": "02:bb:00:00:00:01", "2001:db8::99": "02:bb:00:00:00:01" } }
  access: { device: access }
endpoints:
  v4: { address: 192.0.2.1, ports: [up] }
  v6: { address: "2001:db8::1", ports: [up] }
peers:
  vxlan4: { address: 192.0.2.9,  encap: vxlan }
  nvgre4: { address: 192.0.2.77, encap: nvgre }
  gre4:   { address: 192.0.2.99, encap: gre }
  vxlan6: { address: "2001:db8::9",  encap: vxlan }
  nvgre6: { address: "2001:db8::77", encap: nvgre }
  gre6:   { address: "2001:db8::99", encap: gre }
tenants:
  blue:
    attachments:
      vxlan4:  { peer: vxlan4, vni: 100 }
      vxlan4b: { peer: vxlan4, vni: 101 }
      nvgre4:  { peer: nvgre4, vsid: 5000 }
      nvgre4b: { peer: nvgre4, vsid: 5001 }
      gre4:    { peer: gre4, key: 7 }
      gre4b:   { peer: gre4 }
      vxlan6:  { peer: vxlan6, vni: 100 }
      nvgre6:  { peer: nvgre6, vsid: 5000 }
      gre6:    { peer: gre6, key: 7 }
      both:    { port: access, s_vid: 100, c_vid: 7 }
      outer:   { port: access, s_vid: 200 }
      single:  { port: access, vid: 300 }
      none:    { port: access, untagged: true }
"#;

/// The attachments of [`ALL`]: how a frame looks on the wire of each.
pub const PLACES: [&str; 13] = [
    "vxlan4", "vxlan4b", "nvgre4", "nvgre4b", "gre4", "gre4b", "vxlan6", "nvgre6", "gre6", "both", "outer", "single",
    "none",
];

pub fn peer_address(place: &str) -> IpAddr {
    let number = match &place[..3] {
        "vxl" => "9",
        "nvg" => "77",
        _ => "99",
    };
    if place.contains('6') { format!("2001:db8::{number}") } else { format!("192.0.2.{number}") }.parse().unwrap()
}

fn header_of(place: &str, frame: &[u8]) -> (u8, Vec<u8>) {
    match place {
        "vxlan4" | "vxlan6" => (17, wire::udp(55_555, 4789, &wire::vxlan(100, frame))),
        "vxlan4b" => (17, wire::udp(55_555, 4789, &wire::vxlan(101, frame))),
        "nvgre4" | "nvgre6" => (47, wire::nvgre(5000, 0x5a, frame)),
        "nvgre4b" => (47, wire::nvgre(5001, 0, frame)),
        "gre4b" => (47, wire::gre(None, frame)),
        _ => (47, wire::gre(Some(7), frame)),
    }
}

/// The frame as it arrives from a place, and the port.
pub fn from(place: &str, frame: &[u8]) -> (&'static str, Vec<u8>) {
    from_marked(place, 0, frame)
}

/// The same with this traffic class outside, where there is an outer IP header.
pub fn from_marked(place: &str, class: u8, frame: &[u8]) -> (&'static str, Vec<u8>) {
    match place {
        "both" => ("access", wire::tag(&wire::tag(frame, 0x8100, 7), 0x88a8, 100)),
        "outer" => ("access", wire::tag(frame, 0x88a8, 200)),
        "single" => ("access", wire::tag(frame, 0x8100, 300)),
        "none" => ("access", frame.to_vec()),
        _ => {
            let (protocol, packet) = header_of(place, frame);
            let peer = peer_address(place);
            let ours = OURS[usize::from(peer.is_ipv6())].parse().unwrap();
            ("up", wire::outer((UP_MAC, PEER_MAC), (peer, ours), class, protocol, &packet))
        }
    }
}

/// The tenant's frame out of what left towards a place; `None` when it left towards another.
pub fn inner_of(place: &str, sent: &[u8]) -> Option<Vec<u8>> {
    if !place.contains(['4', '6']) {
        let with_tags = match place {
            "both" => Some((8, [0x88, 0xa8, 0, 100, 0x81, 0, 0, 7].to_vec())),
            "outer" => Some((4, [0x88, 0xa8, 0, 200].to_vec())),
            "single" => Some((4, [0x81, 0, 300_u16.to_be_bytes()[0], 300_u16.to_be_bytes()[1]].to_vec())),
            _ => None,
        };
        return match with_tags {
            Some((len, tags)) => {
                (sent.len() > 12 + len && sent[12..12 + len] == tags).then(|| [&sent[..12], &sent[12 + len..]].concat())
            }
            None => matches!(sent[12..14], [8, 0] | [0x86, 0xdd]).then(|| sent.to_vec()),
        };
    }
    let peer = peer_address(place);
    let ip_len = match peer {
        IpAddr::V4(peer) => (sent[12..14] == [8, 0] && sent[30..34] == peer.octets()).then_some(20)?,
        IpAddr::V6(peer) => (sent[12..14] == [0x86, 0xdd] && sent[38..54] == peer.octets()).then_some(40)?,
    };
    assert_eq!(sent[..12], [PEER_MAC, UP_MAC].concat());
    let carried = &sent[14 + ip_len..];
    let (header, inner): (&[u8], usize) = match place {
        "vxlan4" | "vxlan6" => (&[8, 0, 0, 0, 0, 0, 100, 0], 8),
        "vxlan4b" => (&[8, 0, 0, 0, 0, 0, 101, 0], 8),
        "nvgre4" | "nvgre6" => (&[0x20, 0, 0x65, 0x58, 0, 0x13, 0x88], 8),
        "nvgre4b" => (&[0x20, 0, 0x65, 0x58, 0, 0x13, 0x89], 8),
        "gre4b" => (&[0, 0, 0x65, 0x58], 4),
        _ => (&[0x20, 0, 0x65, 0x58, 0, 0, 0, 7], 8),
    };
    let tunnel = if place.starts_with("vxlan") { &carried[8..] } else { carried };
    tunnel.starts_with(header).then(|| tunnel[inner..].to_vec())
}

/// A frame that makes the gateway learn `host` at a place.
pub fn learn(lab: &mut Lab, place: &str, host: u8) {
    let (port, packet) = from(place, &wire::tenant_frame(BROADCAST, mac(host), 0));
    lab.send(port, packet);
}
