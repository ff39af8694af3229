//! Where the tenants' frames come from, and what they look like on the wire there.

use std::net::IpAddr;

use transload::io::memory::Packet;

use crate::common::wire::{self, BROADCAST, mac};

/// A frame on the wire of a port.
pub(crate) type Wire = (&'static str, Packet);

/// The MAC address of every underlay router.
pub(crate) const ROUTER: [u8; 6] = [2, 0xbb, 0, 0, 0, 1];
/// Where the outer IP header begins in an untagged packet, and what comes after it in one over IPv4.
pub(crate) const IP: usize = 14;
pub(crate) const UDP: usize = IP + 20;
pub(crate) const VXLAN: usize = UDP + 8;
/// The same over IPv6.
pub(crate) const UDP6: usize = IP + 40;

/// An attachment, as its frames look on the wire.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) name: &'static str,
    link: Link,
}

#[derive(Debug, Clone, Copy)]
enum Link {
    /// Inside IP, from this address to that one of ours.
    Tunnel { from: &'static str, to: &'static str, header: Header },
    /// Behind these tags, the outer one first.
    Tags { port: &'static str, tags: &'static [(u16, u16)] },
}

#[derive(Debug, Clone, Copy)]
enum Header {
    Vxlan(u32),
    /// To another UDP port.
    Moved(u16, u32),
    Nvgre(u32),
    Gre(Option<u32>),
    /// With checksum, key and sequence number.
    FullGre(u32),
}

const fn tunnel(name: &'static str, from: &'static str, to: &'static str, header: Header) -> Place {
    Place { name, link: Link::Tunnel { from, to, header } }
}

const fn tags(name: &'static str, port: &'static str, tags: &'static [(u16, u16)]) -> Place {
    Place { name, link: Link::Tags { port, tags } }
}

use Header::{FullGre, Gre, Moved, Nvgre, Vxlan};

/// The attachments of the file, and some more members of its groups. Each has a host, whose address is its number.
pub(crate) const PLACES: &[Place] = &[
    tunnel("vxlan4", "192.0.2.9", "192.0.2.1", Vxlan(100)),
    tunnel("vxlan4b", "192.0.2.9", "192.0.2.1", Vxlan(101)),
    tunnel("strips4", "192.0.2.9", "192.0.2.1", Vxlan(102)),
    tunnel("drops4", "192.0.2.9", "192.0.2.1", Vxlan(103)),
    tunnel("strict4", "192.0.2.10", "192.0.2.1", Vxlan(100)),
    tunnel("sum4", "192.0.2.11", "192.0.2.1", Vxlan(100)),
    tunnel("marks4", "192.0.2.12", "192.0.2.1", Vxlan(100)),
    tunnel("moved4", "192.0.2.9", "192.0.2.1", Moved(8472, 100)),
    tunnel("nvgre4", "192.0.2.77", "192.0.2.1", Nvgre(5000)),
    tunnel("gre4", "192.0.2.99", "192.0.2.1", Gre(Some(7))),
    tunnel("bare4", "192.0.2.99", "192.0.2.1", Gre(None)),
    tunnel("full4", "192.0.2.98", "192.0.2.1", FullGre(9)),
    tunnel("vxlan6", "2001:db8::9", "2001:db8::1", Vxlan(100)),
    tunnel("zero6", "2001:db8::11", "2001:db8::1", Vxlan(100)),
    tunnel("strict6", "2001:db8::10", "2001:db8::1", Vxlan(100)),
    tunnel("nvgre6", "2001:db8::77", "2001:db8::1", Nvgre(5000)),
    tunnel("gre6", "2001:db8::99", "2001:db8::1", Gre(Some(7))),
    tunnel("slim4", "192.0.2.40", "192.0.2.2", Vxlan(100)),
    tunnel("slim6", "2001:db8::40", "2001:db8::2", Gre(Some(7))),
    tunnel("tagged4", "192.0.2.41", "192.0.2.3", Vxlan(100)),
    tunnel("inside4", "192.0.2.42", "192.0.2.4", Vxlan(100)),
    tunnel("wide4", "192.0.2.50", "192.0.2.5", Vxlan(100)),
    tunnel("wide6", "2001:db8::50", "2001:db8::5", Nvgre(5000)),
    tunnel("nobody4", "192.0.2.60", "192.0.2.1", Vxlan(100)),
    tunnel("mesh-20", "192.0.2.20", "192.0.2.1", Vxlan(100)),
    tunnel("mesh-21", "192.0.2.21", "192.0.2.1", Vxlan(100)),
    tunnel("ring-a", "192.0.2.9", "192.0.2.1", Vxlan(104)),
    tunnel("ring-b", "192.0.2.77", "192.0.2.1", Nvgre(5004)),
    tags("both", "access", &[(0x88a8, 100), (0x8100, 7)]),
    tags("outer", "access", &[(0x88a8, 200)]),
    tags("single", "access", &[(0x8100, 300)]),
    tags("strips", "access", &[(0x8100, 301)]),
    tags("drops", "access", &[(0x8100, 302)]),
    tags("none", "access", &[]),
    tags("thin", "thin", &[(0x88a8, 100)]),
    tags("thin-c", "thin", &[(0x8100, 100)]),
    tags("dead", "dead", &[(0x88a8, 100)]),
    tags("mixed-c", "mixed", &[(0x8100, 30)]),
    tags("mixed-s", "mixed", &[(0x88a8, 40)]),
    tunnel("red-v", "192.0.2.9", "192.0.2.1", Vxlan(200)),
    tunnel("red-n", "192.0.2.77", "192.0.2.1", Nvgre(5200)),
    tunnel("red-slim", "192.0.2.40", "192.0.2.2", Vxlan(200)),
    tags("red-ce", "access", &[(0x88a8, 250)]),
    tags("red-thin", "thin", &[(0x88a8, 250)]),
    tunnel("green-v", "192.0.2.9", "192.0.2.1", Vxlan(300)),
    tunnel("green-g", "2001:db8::99", "2001:db8::1", Gre(Some(300))),
    tags("green-ce", "access", &[(0x88a8, 260)]),
    tunnel("white-20", "192.0.2.20", "192.0.2.1", Vxlan(500)),
    tunnel("white-30", "192.0.2.30", "192.0.2.1", Vxlan(500)),
    tunnel("white-31", "192.0.2.31", "192.0.2.1", Vxlan(500)),
    tags("white-ce", "access", &[(0x88a8, 270)]),
    tunnel("late4", "192.0.2.95", "192.0.2.1", Gre(Some(7))),
];

fn place(name: &str) -> (u8, Place) {
    let at = PLACES.iter().position(|place| place.name == name).unwrap_or_else(|| panic!("no place {name}"));
    (at as u8 + 1, PLACES[at])
}

/// The host behind a place.
pub(crate) fn host(name: &str) -> [u8; 6] {
    mac(place(name).0)
}

/// Hosts that no place has, but that may turn up anywhere: of 16.
pub(crate) fn roamer(n: u8) -> [u8; 6] {
    mac(0x90 | n & 0xf)
}

/// A port that a tunnel address of ours is reached by, its MAC address, and the VLAN there.
fn port_of(ours: &str) -> (&'static str, [u8; 6], Option<u16>) {
    let (port, last, vlan) = match ours {
        "192.0.2.2" | "2001:db8::2" => ("narrow", 3, None),
        "192.0.2.3" => ("up", 1, Some(5)),
        "192.0.2.4" => ("mixed", 4, None),
        _ => ("up", 1, None),
    };
    (port, [2, 0xaa, 0, 0, 0, last], vlan)
}

/// A tunnel packet: what IP carries, from an address to one of ours.
pub(crate) fn packet(from: &str, to: &str, class: u8, protocol: u8, payload: &[u8]) -> Wire {
    let (port, ours, vlan) = port_of(to);
    let ends: (IpAddr, IpAddr) = (from.parse().unwrap(), to.parse().unwrap());
    let bytes = wire::outer((ours, ROUTER), ends, class, protocol, payload);
    let bytes = vlan.map_or_else(|| bytes.clone(), |vlan| wire::tag(&bytes, 0x8100, vlan));
    (port, bytes.into())
}

/// A tenant's frame as it arrives from a place.
pub(crate) fn at(name: &str, frame: &[u8]) -> Wire {
    marked(name, 0, 0, frame)
}

/// The same with this traffic class outside, where there is an outer IP header, and a number that becomes the UDP source
/// port, the `FlowID` or the sequence number.
pub(crate) fn marked(name: &str, class: u8, number: u8, frame: &[u8]) -> Wire {
    let (from, to, header) = match place(name).1.link {
        Link::Tunnel { from, to, header } => (from, to, header),
        Link::Tags { port, tags } => {
            let tagged = |frame: Vec<u8>, &(tpid, vid): &(u16, u16)| wire::tag(&frame, tpid, vid);
            return (port, tags.iter().rev().fold(frame.to_vec(), tagged).into());
        }
    };
    let source = 50_000 + u16::from(number);
    let (protocol, payload) = match header {
        Vxlan(vni) => (17, wire::udp(source, 4789, &wire::vxlan(vni, frame))),
        Moved(udp_port, vni) => (17, wire::udp(source, udp_port, &wire::vxlan(vni, frame))),
        Nvgre(vsid) => (47, wire::nvgre(vsid, number, frame)),
        Gre(key) => (47, wire::gre(key, frame)),
        FullGre(key) => (47, full_gre(key, number.into(), frame)),
    };
    packet(from, to, class, protocol, &payload)
}

/// GRE with a right checksum, a key and a sequence number.
pub(crate) fn full_gre(key: u32, sequence: u32, frame: &[u8]) -> Vec<u8> {
    let (key, sequence) = (key.to_be_bytes(), sequence.to_be_bytes());
    let mut packet = [&[0xb0, 0, 0x65, 0x58, 0, 0, 0, 0], &key[..], &sequence, frame].concat();
    let sum = wire::sum(&[&packet]).to_be_bytes();
    packet[4..6].copy_from_slice(&sum);
    packet
}

/// What the host of a place says to that of another.
pub(crate) fn say(from: &str, to: &str, n: u8) -> Wire {
    at(from, &wire::tenant_frame(host(to), host(from), n.into()))
}

/// What the host of a place says to everybody.
pub(crate) fn shout(from: &str, n: u8) -> Wire {
    at(from, &wire::tenant_frame(BROADCAST, host(from), n.into()))
}

/// The same packet, changed, its IPv4 header checksum right again.
pub(crate) fn edit((port, mut packet): Wire, change: impl FnOnce(&mut Vec<u8>)) -> Wire {
    change(&mut packet.bytes);
    resum(&mut packet.bytes);
    (port, packet)
}

/// The same packet, changed, and its checksums as they were.
pub(crate) fn spoil((port, mut packet): Wire, change: impl FnOnce(&mut Vec<u8>)) -> Wire {
    change(&mut packet.bytes);
    (port, packet)
}

/// The same packet, and what its port knows of it.
pub(crate) fn known((port, mut packet): Wire, know: impl FnOnce(&mut Packet)) -> Wire {
    know(&mut packet);
    (port, packet)
}

/// Makes the checksum of an untagged IPv4 header right.
fn resum(bytes: &mut [u8]) {
    if bytes.len() < IP + 20 || bytes[12..14] != [8, 0] {
        return;
    }
    let end = (IP + usize::from(bytes[IP] & 15) * 4).min(bytes.len());
    if end < IP + 12 {
        return;
    }
    bytes[IP + 10..IP + 12].fill(0);
    let sum = wire::sum(&[&bytes[IP..end]]).to_be_bytes();
    bytes[IP + 10..IP + 12].copy_from_slice(&sum);
}

/// Gives an untagged packet a right UDP checksum.
pub(crate) fn with_udp_sum((port, mut packet): Wire) -> Wire {
    let bytes = &mut packet.bytes;
    let (udp, addresses) = if bytes[12] == 8 { (UDP, IP + 12..IP + 20) } else { (UDP6, IP + 8..IP + 40) };
    let len = (bytes.len() - udp) as u16;
    bytes[udp + 6..udp + 8].fill(0);
    let pseudo = [&bytes[addresses], &[0, 17], &len.to_be_bytes()].concat();
    let sum = match wire::sum(&[&pseudo, &bytes[udp..]]) {
        0 => 0xffff,
        sum => sum,
    };
    bytes[udp + 6..udp + 8].copy_from_slice(&sum.to_be_bytes());
    (port, packet)
}
