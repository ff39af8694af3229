//! Entropy: a hash of the inner flow, the same on every machine and in every release.
//!
//! It fills the UDP source port, NVGRE's `FlowID` and the IPv6 flow label, and picks among equal-cost next hops.
//! Hash maps of the language promise no stability, so this is our own: two folded multiplications.

use std::net::IpAddr;

use crate::ethernet;
use crate::inner::{Inner, IpPacket, LabelStack, Session};
use crate::ip::{self, SCTP, TCP, UDP};

const SEED: u64 = 0x9e37_79b9_7f4a_7c15;
const SPREAD: u64 = 0xd6e8_feb8_6659_fd93;

/// What the outer headers say of a tenant's frame: the hash of its flow, and the traffic class of its IP packet, 0 if it
/// is none ([`hash`], [`Inner::traffic_class`]).
#[must_use]
#[inline]
pub fn inner(frame: &[u8]) -> (u32, u8) {
    match frame.first_chunk() {
        // Most frames are IPv4 without tags, options and fragments, and then everything is in its place.
        Some(head) if is_plain(head) => (plain(head), head[ethernet::HEADER_LEN + 1]),
        _ => any(frame),
    }
}

#[inline(never)]
fn any(frame: &[u8]) -> (u32, u8) {
    Inner::of(frame).map_or((0, 0), |inner| (of(&inner), inner.traffic_class().unwrap_or(0)))
}

/// Ethernet, IPv4, and the ports behind it or what is in their place.
type Plain = [u8; ethernet::HEADER_LEN + ip::IPV4_LEN + 4];

#[inline]
const fn is_plain(head: &Plain) -> bool {
    let [.., t1, t2, version, _, _, _, _, _, f1, f2, _, protocol, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = *head;
    let [i1, i2] = ethernet::IPV4.to_be_bytes();
    let is_ipv4 = u32::from_ne_bytes([t1, t2, version, 0]) == u32::from_ne_bytes([i1, i2, 0x45, 0]);
    let is_whole = u16::from_ne_bytes([f1, f2]) & u16::from_ne_bytes([0x3f, 0xff]) == 0;
    is_ipv4 && is_whole && matches!(protocol, TCP | UDP)
}

/// [`hash`] of such a frame.
#[inline]
fn plain(head: &Plain) -> u32 {
    let [.., protocol, _, _, a1, a2, a3, a4, a5, a6, a7, a8, p1, p2, p3, p4] = *head;
    let addresses = u64::from_be_bytes([a1, a2, a3, a4, a5, a6, a7, a8]);
    let ports = u32::from_be_bytes([p1, p2, p3, p4]);
    short(mix(mix(SEED, addresses), u64::from(protocol) << 32 | u64::from(ports)))
}

#[inline]
const fn short(hash: u64) -> u32 {
    (hash ^ hash >> 32) as u32
}

/// A hash of the frame's flow: addresses, protocol and ports of IP, else MAC addresses and type.
///
/// IP may also be behind MPLS labels or in a `PPPoE` session; labels and session ID count as well. Every fragment of a
/// datagram hashes alike, since ports of fragments are not looked at.
#[must_use]
pub fn hash(frame: &[u8]) -> u32 {
    Inner::of(frame).map_or(0, |inner| of(&inner))
}

#[inline]
fn of(inner: &Inner<'_>) -> u32 {
    let hash = match inner.packet() {
        Some(packet) => network(SEED, inner.frame(), &packet),
        None => beneath(inner),
    };
    short(hash)
}

/// The hash of a frame that has no IP right behind its tags.
fn beneath(inner: &Inner<'_>) -> u64 {
    let link = link(inner.frame(), inner.ether_type);
    if let Some(stack) = inner.label_stack() {
        return labelled(link, inner.frame(), &stack);
    }
    match inner.session() {
        None => link,
        Some(Session { id, packet: None }) => mix(link, id.into()),
        Some(Session { id, packet: Some(packet) }) => network(mix(link, id.into()), inner.frame(), &packet),
    }
}

fn labelled(link: u64, frame: &[u8], stack: &LabelStack<'_>) -> u64 {
    if let Some(label) = stack.entropy_label() {
        return mix(link, label.into());
    }
    let labels = stack.ordinary_labels().fold(link, |hash, label| mix(hash, label.into()));
    stack.packet().map_or(labels, |packet| network(labels, frame, &packet))
}

fn link(frame: &[u8], ether_type: u16) -> u64 {
    let [a, b] = frame.first_chunk::<16>().map_or([0, 0], halves);
    mix(mix(SEED, a), b >> 32 << 32 | u64::from(ether_type))
}

/// The hash of an IP packet, on top of that of what carries it.
#[inline]
fn network(hash: u64, frame: &[u8], packet: &IpPacket) -> u64 {
    let hash = match (packet.src, packet.dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => mix(hash, u64::from(src.to_bits()) << 32 | u64::from(dst.to_bits())),
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            let ([a, b], [c, d]) = (halves(&src.octets()), halves(&dst.octets()));
            mix(mix(mix(mix(hash, a), b), c), d)
        }
        _ => hash,
    };
    // Of two fragments the protocols behind the fragment header may differ (RFC 8200 §4.5).
    let is_part = packet.fragment.is_some();
    let protocol = if is_part && packet.src.is_ipv6() { ip::FRAGMENT } else { packet.protocol };
    let ports = if is_part { 0 } else { ports(protocol, packet.l4.and_then(|l4| frame.get(l4..))) };
    mix(hash, u64::from(protocol) << 32 | u64::from(ports))
}

#[inline]
fn ports(protocol: u8, l4: Option<&[u8]>) -> u32 {
    match (protocol, l4.and_then(|l4| l4.first_chunk())) {
        (TCP | UDP | SCTP, Some(ports)) => u32::from_be_bytes(*ports),
        _ => 0,
    }
}

#[inline]
fn halves(bytes: &[u8; 16]) -> [u64; 2] {
    let both = u128::from_be_bytes(*bytes);
    [(both >> 64) as u64, both as u64]
}

#[inline]
const fn mix(hash: u64, word: u64) -> u64 {
    let product = ((hash ^ word) as u128) * (SPREAD as u128);
    (product >> 64) as u64 ^ product as u64 ^ SEED
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ecn;

    fn tcp(source_port: u16) -> Vec<u8> {
        let mut frame = vec![0; 14 + 20 + 20];
        frame[12..14].copy_from_slice(&ethernet::IPV4.to_be_bytes());
        frame[14] = 0x45;
        frame[23] = TCP;
        frame[34..36].copy_from_slice(&source_port.to_be_bytes());
        frame
    }

    #[test]
    fn the_hash_never_changes_between_releases() {
        assert_eq!(hash(&tcp(1)), hash(&tcp(1)));
        assert_eq!([hash(&tcp(1)), hash(&tcp(2))], [PINNED_1, PINNED_2]);
    }
    const PINNED_1: u32 = 3_603_140_628;
    const PINNED_2: u32 = 3_550_994_347;

    #[test]
    fn a_thousand_flows_fill_a_hundred_and_twenty_eight_buckets_evenly() {
        let mut buckets = [0_u32; 128];
        for port in 0..12_800 {
            buckets[(hash(&tcp(port)) & 127) as usize] += 1;
        }
        assert!(buckets.iter().all(|&n| (50..150).contains(&n)), "{buckets:?}");
    }

    #[test]
    fn the_common_frame_hashes_as_every_other() {
        let mut frames = vec![tcp(7); 7];
        frames[1][23] = UDP;
        frames[2][23] = 1;
        frames[3][14] = 0x46;
        frames[4][20] = 0x20;
        frames[5].truncate(37);
        frames[6][12] = 0x86;
        for mut frame in frames {
            frame[15] = 0xb9;
            assert_eq!(inner(&frame), (hash(&frame), ecn::traffic_class(&frame).unwrap_or(0)), "{frame:02x?}");
        }
    }

    #[test]
    fn fragments_of_one_datagram_hash_alike() {
        let (mut first, mut rest) = (tcp(7), tcp(9));
        first[20] = 0x20;
        rest[21] = 0x10;
        assert_eq!(hash(&first), hash(&rest));
    }
}
