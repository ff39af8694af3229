//! Packets written by hand, header by header, so that no test asks the code under test what is right.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub const IPV4: u16 = 0x0800;
pub const IPV6: u16 = 0x86dd;
pub const ARP: u16 = 0x0806;
pub const TEB: u16 = 0x6558;
pub const BROADCAST: [u8; 6] = [0xff; 6];

pub fn sum(parts: &[&[u8]]) -> u16 {
    let bytes: Vec<u8> = parts.concat();
    let mut total: u32 =
        bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0))).sum();
    while total > 0xffff {
        total = (total & 0xffff) + (total >> 16);
    }
    !(total as u16)
}

pub fn mac(last: u8) -> [u8; 6] {
    [2, 0, 0, 0, 0, last]
}

pub fn ethernet(dst: [u8; 6], src: [u8; 6], ether_type: u16, payload: &[u8]) -> Vec<u8> {
    [&dst[..], &src, &ether_type.to_be_bytes(), payload].concat()
}

/// Puts a tag behind the MAC addresses.
pub fn tag(frame: &[u8], tpid: u16, tci: u16) -> Vec<u8> {
    [&frame[..12], &tpid.to_be_bytes(), &tci.to_be_bytes(), &frame[12..]].concat()
}

/// A length, or 0 where the field is too small for it, as Linux writes super-frames of more than 64 KB.
fn length(len: usize) -> [u8; 2] {
    u16::try_from(len).unwrap_or(0).to_be_bytes()
}

pub fn ipv4(src: Ipv4Addr, dst: Ipv4Addr, class: u8, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut header = vec![0x45, class];
    header.extend(length(20 + payload.len()));
    header.extend([0, 0, 0x40, 0, 64, protocol, 0, 0]);
    header.extend(src.octets());
    header.extend(dst.octets());
    let checksum = sum(&[&header]).to_be_bytes();
    header[10..12].copy_from_slice(&checksum);
    header.extend(payload);
    header
}

pub fn ipv6(src: Ipv6Addr, dst: Ipv6Addr, class: u8, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = (6_u32 << 28 | u32::from(class) << 20).to_be_bytes().to_vec();
    packet.extend(length(payload.len()));
    packet.extend([protocol, 64]);
    packet.extend(src.octets());
    packet.extend(dst.octets());
    packet.extend(payload);
    packet
}

pub fn udp(src_port: u16, dst_port: u16, payload: &[u8]) -> Vec<u8> {
    let mut packet = [src_port.to_be_bytes(), dst_port.to_be_bytes(), length(8 + payload.len()), [0; 2]].concat();
    packet.extend(payload);
    packet
}

/// A packet of either family inside Ethernet.
pub fn outer(link: ([u8; 6], [u8; 6]), ends: (IpAddr, IpAddr), class: u8, protocol: u8, payload: &[u8]) -> Vec<u8> {
    match ends {
        (IpAddr::V4(src), IpAddr::V4(dst)) => ethernet(link.0, link.1, IPV4, &ipv4(src, dst, class, protocol, payload)),
        (IpAddr::V6(src), IpAddr::V6(dst)) => ethernet(link.0, link.1, IPV6, &ipv6(src, dst, class, protocol, payload)),
        _ => panic!("two families"),
    }
}

pub fn vxlan(vni: u32, frame: &[u8]) -> Vec<u8> {
    [&[8, 0, 0, 0][..], &(vni << 8).to_be_bytes(), frame].concat()
}

pub fn nvgre(vsid: u32, flow_id: u8, frame: &[u8]) -> Vec<u8> {
    [&[0x20, 0, 0x65, 0x58][..], &(vsid << 8 | u32::from(flow_id)).to_be_bytes(), frame].concat()
}

pub fn gre(key: Option<u32>, frame: &[u8]) -> Vec<u8> {
    match key {
        Some(key) => [&[0x20, 0, 0x65, 0x58][..], &key.to_be_bytes(), frame].concat(),
        None => [&[0, 0, 0x65, 0x58][..], frame].concat(),
    }
}

/// A tenant's UDP datagram between two hosts 10.0.0.x, its number in ports and payload.
pub fn tenant_frame(dst: [u8; 6], src: [u8; 6], number: u16) -> Vec<u8> {
    let host = |mac: [u8; 6]| Ipv4Addr::new(10, 0, 0, mac[5]);
    let datagram = udp(1000 + number, 7, format!("number {number:>20}").as_bytes());
    ethernet(dst, src, IPV4, &ipv4(host(src), host(dst), 0, 17, &datagram))
}
