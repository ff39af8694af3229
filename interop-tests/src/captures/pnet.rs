//! What `pnet_packet` sees: a second independent dissector, which is always there.

use std::collections::BTreeSet;
use std::net::IpAddr;

use pnet_packet::Packet;
use pnet_packet::gre::GrePacket;
use pnet_packet::icmp::destination_unreachable::DestinationUnreachablePacket;
use pnet_packet::icmp::{self, IcmpPacket, IcmpTypes};
use pnet_packet::icmpv6::{self, Icmpv6Packet, Icmpv6Types};
use pnet_packet::ipv4::{self, Ipv4Packet};
use pnet_packet::ipv6::{ExtensionPacket, Ipv6Packet};
use pnet_packet::tcp::{self, TcpOptionNumbers, TcpPacket};
use pnet_packet::udp::{self, UdpPacket};
use pnet_packet::util::checksum;
use pnet_packet::vlan::VlanPacket;
use pnet_packet::vxlan::VxlanPacket;

use super::seen::{Checksum, Ip, Seen, Shim, Tag, Tenant};

const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
const ARP: u16 = 0x0806;
const TEB: u16 = 0x6558;
/// What may stand where an `EtherType` does and is a tag's TPID.
const TPIDS: [u16; 4] = [0x8100, 0x88a8, 0x9100, 0x9200];

/// All of these frames, in their order; `ports` are UDP ports that are VXLAN's. `None` is one that it cannot read.
#[must_use]
pub(super) fn dissect(frames: &[Vec<u8>], ports: &BTreeSet<u16>) -> Vec<Option<Seen>> {
    frames.iter().map(|frame| seen(frame, ports)).collect()
}

fn seen(frame: &[u8], ports: &BTreeSet<u16>) -> Option<Seen> {
    let (tags, untagged) = untag(frame)?;
    if let Some((outer, shim, inner)) = tunnel(&untagged, ports) {
        let (inner_tags, bytes) = untag(&inner)?;
        return Some(Seen { tags, tunnel: Some((outer, shim)), tenant: tenant(inner_tags, bytes) });
    }
    Some(Seen { tags, tunnel: None, tenant: tenant(Vec::new(), untagged) })
}

/// The tags of a frame, and the frame without them.
fn untag(frame: &[u8]) -> Option<(Vec<Tag>, Vec<u8>)> {
    let mut tags = Vec::new();
    let mut at = 12;
    loop {
        let tpid = word(frame, at)?;
        if !TPIDS.contains(&tpid) {
            return Some((tags, [frame.get(..12)?, &frame[at..]].concat()));
        }
        let tag = VlanPacket::new(frame.get(at + 2..)?)?;
        tags.push(Tag {
            tpid,
            pcp: tag.get_priority_code_point().0,
            dei: tag.get_drop_eligible_indicator() == 1,
            vid: tag.get_vlan_identifier(),
        });
        at += 4;
    }
}

fn word(frame: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(frame.get(at..at + 2)?.try_into().ok()?))
}

/// An IP packet: its header, the protocol number behind it, and that protocol's bytes.
fn ip(frame: &[u8]) -> Option<(Ip, u8, Vec<u8>)> {
    let packet = frame.get(14..)?;
    match word(frame, 12)? {
        IPV4 => {
            let packet = Ipv4Packet::new(packet)?;
            let header = Ip {
                from: packet.get_source().into(),
                to: packet.get_destination().into(),
                class: packet.get_dscp() << 2 | packet.get_ecn(),
                ttl: packet.get_ttl(),
                checksum: verdict(ipv4::checksum(&packet) == packet.get_checksum()),
            };
            Some((header, packet.get_next_level_protocol().0, packet.payload().to_vec()))
        }
        IPV6 => {
            let packet = Ipv6Packet::new(packet)?;
            let header = Ip {
                from: packet.get_source().into(),
                to: packet.get_destination().into(),
                class: packet.get_traffic_class(),
                ttl: packet.get_hop_limit(),
                checksum: Checksum::Absent,
            };
            let (protocol, bytes) = behind_options(packet.get_next_header().0, packet.payload())?;
            Some((header, protocol, bytes.to_vec()))
        }
        _ => None,
    }
}

/// What follows an IPv6 header's hop-by-hop and destination options.
fn behind_options(mut protocol: u8, mut bytes: &[u8]) -> Option<(u8, &[u8])> {
    while protocol == 0 || protocol == 60 {
        let options = ExtensionPacket::new(bytes)?;
        protocol = options.get_next_header().0;
        bytes = bytes.get(8 * (1 + usize::from(options.get_hdr_ext_len()))..)?;
    }
    Some((protocol, bytes))
}

/// The tunnel that a frame is, and what it carries.
fn tunnel(frame: &[u8], ports: &BTreeSet<u16>) -> Option<(Ip, Shim, Vec<u8>)> {
    let (outer, protocol, bytes) = ip(frame)?;
    match protocol {
        17 => {
            let udp = UdpPacket::new(&bytes).filter(|udp| ports.contains(&udp.get_destination()))?;
            let vxlan = VxlanPacket::new(udp.payload())?;
            let shim = Shim::Vxlan {
                port: udp.get_destination(),
                checksum: udp_checksum(&udp, &outer),
                flags: u16::from(vxlan.get_flags()) << 8 | (vxlan.get_reserved1() >> 8) as u16,
                vni: vxlan.get_vni(),
            };
            Some((outer, shim, vxlan.payload().to_vec()))
        }
        47 => {
            // Its reader panics on RFC 1701's source routing.
            let gre = GrePacket::new(&bytes).filter(|_| bytes[0] & 0x40 == 0)?;
            let shim = Shim::Gre {
                flags: word(&bytes, 0)?,
                checksum: match word(gre.get_checksum_raw(), 0) {
                    // Word 2 is the checksum itself.
                    Some(sum) => verdict(checksum(&bytes, 2) == sum),
                    None => Checksum::Absent,
                },
                key: gre.get_key_raw().first_chunk().copied().map(u32::from_be_bytes),
                sequence: gre.get_sequence_raw().first_chunk().copied().map(u32::from_be_bytes),
            };
            (gre.get_protocol_type() == TEB).then(|| (outer, shim, gre.payload().to_vec()))
        }
        _ => None,
    }
}

fn verdict(good: bool) -> Checksum {
    if good { Checksum::Good } else { Checksum::Bad }
}

fn udp_checksum(udp: &UdpPacket<'_>, ip: &Ip) -> Checksum {
    let right = match (ip.from, ip.to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => udp::ipv4_checksum(udp, &from, &to),
        (IpAddr::V6(from), IpAddr::V6(to)) => udp::ipv6_checksum(udp, &from, &to),
        _ => return Checksum::Bad,
    };
    // A sum of zero is sent as its other form, since zero means none (RFC 768).
    let right = if right == 0 { 0xffff } else { right };
    if udp.get_checksum() == 0 { Checksum::Absent } else { verdict(udp.get_checksum() == right) }
}

fn tenant(tags: Vec<Tag>, bytes: Vec<u8>) -> Tenant {
    let inner = ip(&bytes);
    let what = inner.as_ref().and_then(|(ip, protocol, bytes)| content(ip, *protocol, bytes));
    let ether_type = word(&bytes, 12).unwrap_or_default();
    let other = || if ether_type == ARP { "arp".to_owned() } else { format!("type {ether_type:04x}") };
    let (content, checksum) = what.unwrap_or_else(|| (other(), Checksum::Absent));
    Tenant { tags, ip: inner.map(|(ip, ..)| ip), content, checksum, bytes }
}

fn content(ip: &Ip, protocol: u8, bytes: &[u8]) -> Option<(String, Checksum)> {
    match (protocol, ip.from, ip.to) {
        (17, ..) => UdpPacket::new(bytes).map(|udp| ("udp".to_owned(), udp_checksum(&udp, ip))),
        (6, from, to) => {
            let segment = TcpPacket::new(bytes)?;
            let right = match (from, to) {
                (IpAddr::V4(from), IpAddr::V4(to)) => tcp::ipv4_checksum(&segment, &from, &to),
                (IpAddr::V6(from), IpAddr::V6(to)) => tcp::ipv6_checksum(&segment, &from, &to),
                _ => return None,
            };
            let mss = segment.get_options_iter().find(|option| option.get_number() == TcpOptionNumbers::MSS);
            let mss =
                mss.and_then(|option| word(option.payload(), 0)).map_or(String::new(), |mss| format!(" mss {mss}"));
            Some((format!("tcp{mss}"), verdict(right == segment.get_checksum())))
        }
        (1, ..) => {
            let message = IcmpPacket::new(bytes)?;
            let mtu = (message.get_icmp_type() == IcmpTypes::DestinationUnreachable && message.get_icmp_code().0 == 4)
                .then(|| DestinationUnreachablePacket::new(bytes))
                .flatten()
                .map_or(String::new(), |message| format!(" mtu {}", message.get_next_hop_mtu()));
            let right = icmp::checksum(&message) == message.get_checksum();
            Some((format!("icmp {}/{}{mtu}", message.get_icmp_type().0, message.get_icmp_code().0), verdict(right)))
        }
        (58, IpAddr::V6(from), IpAddr::V6(to)) => {
            let message = Icmpv6Packet::new(bytes)?;
            let mtu = (message.get_icmpv6_type() == Icmpv6Types::PacketTooBig)
                .then(|| message.payload().first_chunk())
                .flatten()
                .map_or(String::new(), |mtu| format!(" mtu {}", u32::from_be_bytes(*mtu)));
            let right = icmpv6::checksum(&message, &from, &to) == message.get_checksum();
            Some((
                format!("icmpv6 {}/{}{mtu}", message.get_icmpv6_type().0, message.get_icmpv6_code().0),
                verdict(right),
            ))
        }
        _ => None,
    }
}
