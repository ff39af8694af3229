//! The longest packet that IP can hold, where no MTU is in the way: what fits exactly is sent, a byte more is dropped
//! once, and the frames around it are unharmed; by fast paths and without.

mod common;

use std::collections::BTreeMap;

use common::twins::{Arenas, Twins};
use common::wire::{self, BROADCAST, mac};
use transload::io::memory::Packet;

/// Longer than any packet, with room for headers.
const CHUNK_LEN: usize = 70_000;

const FILE: &str = r#"version: 1
fdb: { capacity: 1000 }
ports:
  up:     { device: up, mac: "02:aa:00:00:00:01" }
  north:  { device: north, mac: "02:aa:00:00:00:02" }
  access: { device: access }
endpoints:
  v4:     { address: 192.0.2.1, ports: [up] }
  v6:     { address: "2001:db8::1", ports: [up] }
  tagged: { address: 192.0.2.3, ports: [up], vlan: 5 }
  wide:   { address: 192.0.2.5, ports: [up, north] }
peers:
  vxlan4:  { address: 192.0.2.9, endpoint: v4, encap: vxlan }
  sum4:    { address: 192.0.2.11, endpoint: v4, encap: vxlan, udp_checksum: { tx: compute } }
  nvgre4:  { address: 192.0.2.77, endpoint: v4, encap: nvgre }
  gre4:    { address: 192.0.2.99, endpoint: v4, encap: gre }
  full4:   { address: 192.0.2.98, endpoint: v4, encap: { gre: { checksum: true, sequence: true } } }
  tagged4: { address: 192.0.2.41, endpoint: tagged, encap: vxlan }
  wide4:   { address: 192.0.2.50, endpoint: wide, encap: vxlan }
  vxlan6:  { address: "2001:db8::9", endpoint: v6, encap: vxlan }
  zero6:   { address: "2001:db8::11", endpoint: v6, encap: vxlan, udp_checksum: { tx: zero } }
  nvgre6:  { address: "2001:db8::77", endpoint: v6, encap: nvgre }
  gre6:    { address: "2001:db8::99", endpoint: v6, encap: gre }
mappings:
  leased: { from: { port: access, s_vid: 9, c_vid: 1-100 }, to: { peer: vxlan4, vni: id } }
tenants:
  blue:
    learning: false
    limits: { bum: unlimited }
    attachments:
      vxlan4:  { peer: vxlan4, vni: 1000 }
      sum4:    { peer: sum4, vni: 1000 }
      nvgre4:  { peer: nvgre4, vsid: 5000 }
      gre4:    { peer: gre4, key: 7 }
      bare4:   { peer: gre4 }
      full4:   { peer: full4, key: 7 }
      tagged4: { peer: tagged4, vni: 1000 }
      wide4:   { peer: wide4, vni: 1000 }
      vxlan6:  { peer: vxlan6, vni: 1000 }
      zero6:   { peer: zero6, vni: 1000 }
      nvgre6:  { peer: nvgre6, vsid: 5000 }
      gre6:    { peer: gre6, key: 7 }
      ce:      { port: access, vid: 300 }
    static:
"#;

/// An attachment of the tenant.
struct Place {
    name: &'static str,
    /// Bytes before the tenant's frame on the wire, and where in them IP begins.
    overhead: usize,
    ip_at: usize,
    /// The longest frame of the tenant, in bytes: RFC 791 §3.1 and RFC 8200 §3 have 16 bits for a length, which counts
    /// the header over IPv4 only.
    most: usize,
}

const fn over_v4(name: &'static str, header: usize, ip_at: usize) -> Place {
    Place { name, overhead: ip_at + 20 + header, ip_at, most: 65_535 - 20 - header }
}

const fn over_v6(name: &'static str, header: usize) -> Place {
    Place { name, overhead: 14 + 40 + header, ip_at: 14, most: 65_535 - header }
}

const PLACES: [Place; 12] = [
    over_v4("vxlan4", 16, 14),
    over_v4("sum4", 16, 14),
    over_v4("nvgre4", 8, 14),
    over_v4("gre4", 8, 14),
    over_v4("bare4", 4, 14),
    over_v4("full4", 16, 14),
    over_v4("tagged4", 16, 18),
    over_v4("wide4", 16, 14),
    over_v6("vxlan6", 16),
    over_v6("zero6", 16),
    over_v6("nvgre6", 8),
    over_v6("gre6", 8),
];

fn host(place: &Place) -> [u8; 6] {
    mac(1 + PLACES.iter().position(|other| other.name == place.name).unwrap() as u8)
}

fn file() -> String {
    let pin =
        |place: &Place| format!("      - {{ mac: \"02:00:00:00:00:{:02x}\", via: {} }}\n", host(place)[5], place.name);
    [FILE.to_owned()].into_iter().chain(PLACES.iter().map(pin)).collect()
}

/// A frame of so many bytes, no two alike.
fn frame(dst: [u8; 6], len: usize, number: u8) -> Vec<u8> {
    let payload: Vec<u8> = (0..len - 14).map(|n| n as u8 ^ number).collect();
    wire::ethernet(dst, mac(200), 0x88b5, &payload)
}

fn from_ce(frame: &[u8]) -> (&'static str, Packet) {
    ("access", wire::tag(frame, 0x8100, 300).into())
}

fn drops(labels: &[(&'static str, u64)]) -> BTreeMap<&'static str, u64> {
    labels.iter().copied().collect()
}

/// Whether what left carries this frame to this place, behind headers that say how long it is.
fn carries(place: &Place, sent: &[u8], frame: &[u8]) -> bool {
    let ip = &sent[place.ip_at..];
    let be16 = |at: usize| usize::from(u16::from_be_bytes([ip[at], ip[at + 1]]));
    let (len, protocol, header) = if ip[0] >> 4 == 4 { (be16(2), ip[9], 20) } else { (be16(4) + 40, ip[6], 40) };
    let is_summed = header == 40 || wire::sum(&[&ip[..20]]) == 0;
    let is_udp_right = protocol != 17 || be16(header + 4) == ip.len() - header;
    is_summed && is_udp_right && len == ip.len() && sent.len() == place.overhead + frame.len() && sent.ends_with(frame)
}

#[test]
fn what_fits_exactly_is_sent_and_a_byte_more_is_dropped_once() {
    for place in &PLACES {
        for len in [place.most - 1, place.most, place.most + 1, place.most + 8, place.most + 16, 69_000] {
            let fits = len <= place.most;
            let mut arenas = Arenas::new(64, CHUNK_LEN);
            let mut twins = Twins::new(&file(), &mut arenas);
            let frames: Vec<_> = (0..7).map(|n| frame(host(place), if n % 3 == 1 { len } else { 100 }, n)).collect();
            let sent = twins.receive(&frames.iter().map(|frame| from_ce(frame)).collect::<Vec<_>>());
            let expected: Vec<_> = frames.iter().filter(|frame| fits || frame.len() == 100).collect();
            assert_eq!(sent.len(), expected.len(), "{} bytes to {}", len, place.name);
            for ((_, packet), frame) in sent.iter().zip(expected) {
                assert!(
                    carries(place, &packet.bytes, frame),
                    "{len} bytes to {}: {:02x?}",
                    place.name,
                    &packet.bytes[..80]
                );
            }
            let dropped = if fits { drops(&[]) } else { drops(&[("too_big", 2)]) };
            assert_eq!(twins.drops(), dropped, "{len} bytes to {}", place.name);
        }
    }
}

#[test]
fn a_frame_to_everybody_reaches_those_whom_it_fits() {
    for len in [65_499, 65_500, 65_507, 65_508, 65_511, 65_512, 65_519, 65_520, 65_527, 65_528, 69_000] {
        let mut arenas = Arenas::new(64, CHUNK_LEN);
        let mut twins = Twins::new(&file(), &mut arenas);
        let frames = [frame(host(&PLACES[0]), 100, 1), frame(BROADCAST, len, 2), frame(host(&PLACES[0]), 100, 3)];
        let sent = twins.receive(&frames.iter().map(|frame| from_ce(frame)).collect::<Vec<_>>());
        let fitting = PLACES.iter().filter(|place| len <= place.most).count();
        let reached = sent.iter().filter(|(_, packet)| packet.bytes.ends_with(&frames[1])).count();
        assert_eq!((reached, sent.len()), (fitting, fitting + 2), "{len} bytes");
        let lost = (PLACES.len() - fitting) as u64;
        assert_eq!(twins.drops(), if lost == 0 { drops(&[]) } else { drops(&[("too_big", lost)]) }, "{len} bytes");
    }
}

#[test]
fn what_a_tunnel_over_ipv6_brings_may_be_too_long_for_one_over_ipv4() {
    let (from, to) = (&PLACES[11], &PLACES[0]);
    let ends = ("2001:db8::99".parse().unwrap(), "2001:db8::1".parse().unwrap());
    let arriving = |frame: &[u8]| {
        let bytes = wire::outer(([2, 0xaa, 0, 0, 0, 1], mac(0xbb)), ends, 0, 47, &wire::gre(Some(7), frame));
        ("up", Packet::from(bytes))
    };
    let mut arenas = Arenas::new(64, CHUNK_LEN);
    let mut twins = Twins::new(&file(), &mut arenas);
    let frames: Vec<_> = [100, to.most, 100, to.most + 1, from.most, 100].into_iter().zip(0..).collect();
    let frames: Vec<_> = frames.into_iter().map(|(len, number)| frame(host(to), len, number)).collect();
    let sent = twins.receive(&frames.iter().map(|frame| arriving(frame)).collect::<Vec<_>>());
    let expected: Vec<_> = frames.iter().filter(|frame| frame.len() <= to.most).collect();
    assert_eq!(sent.len(), expected.len());
    assert!(sent.iter().zip(expected).all(|((_, packet), frame)| carries(to, &packet.bytes, frame)));
    assert_eq!(twins.drops(), drops(&[("too_big", 2)]));
}

#[test]
fn a_mapping_drops_what_is_too_long_as_a_tenant_does() {
    let to = &PLACES[0];
    let mut arenas = Arenas::new(64, CHUNK_LEN);
    let mut twins = Twins::new(&file(), &mut arenas);
    let frames: Vec<_> = [100, to.most, to.most + 1, 100].into_iter().zip(0..).collect();
    let frames: Vec<_> = frames.into_iter().map(|(len, number)| frame(mac(1), len, number)).collect();
    let leased = |frame: &Vec<u8>| ("access", Packet::from(wire::tag(&wire::tag(frame, 0x8100, 7), 0x88a8, 9)));
    let sent = twins.receive(&frames.iter().map(leased).collect::<Vec<_>>());
    let expected: Vec<_> = frames.iter().filter(|frame| frame.len() <= to.most).collect();
    assert_eq!(sent.len(), expected.len());
    assert!(sent.iter().zip(expected).all(|((_, packet), frame)| carries(to, &packet.bytes, frame)));
    assert_eq!(twins.drops(), drops(&[("too_big", 1)]));
}
