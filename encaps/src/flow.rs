//! Entropy: a hash of the inner flow, the same on every machine and in every release.
//!
//! It fills the UDP source port, NVGRE's `FlowID` and the IPv6 flow label, and picks among equal-cost next hops.
//! Hash maps of the language promise no stability, so this is our own: two folded multiplications.

use crate::{ecn, ethernet};

const SEED: u64 = 0x9e37_79b9_7f4a_7c15;
const SPREAD: u64 = 0xd6e8_feb8_6659_fd93;

const TCP: u8 = 6;
const UDP: u8 = 17;
const SCTP: u8 = 132;

/// What the outer headers say of a tenant's frame: the hash of its flow, and the traffic class of its IP packet if it
/// is one ([`hash`], [`traffic_class`](crate::ecn::traffic_class)).
#[must_use]
#[inline]
pub fn inner(frame: &[u8]) -> (u32, Option<u8>) {
    match frame.first_chunk() {
        // Most frames are IPv4 without tags, options and fragments, and then everything is in its place.
        Some(head) if is_plain(head) => (plain(head), Some(head[ethernet::HEADER_LEN + 1])),
        _ => (hash(frame), ecn::traffic_class(frame)),
    }
}

/// Ethernet, IPv4, and the ports behind it or what is in their place.
type Plain = [u8; ethernet::HEADER_LEN + 20 + 4];

#[inline]
const fn is_plain(head: &Plain) -> bool {
    let [.., t1, t2, version, _, _, _, _, _, f1, f2, _, protocol, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = *head;
    u16::from_be_bytes([t1, t2]) == ethernet::IPV4
        && version == 0x45
        && f1 & 0x3f | f2 == 0
        && matches!(protocol, TCP | UDP)
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
/// Every fragment of a datagram hashes alike, since ports of fragments are not looked at.
#[must_use]
pub fn hash(frame: &[u8]) -> u32 {
    let Some((ether_type, at)) = ethernet::payload(frame) else { return 0 };
    let l3 = frame.get(at..).unwrap_or_default();
    let hash = match ether_type {
        ethernet::IPV4 => ipv4(l3),
        ethernet::IPV6 => ipv6(l3),
        _ => None,
    };
    short(hash.unwrap_or_else(|| link(frame, ether_type)))
}

fn link(frame: &[u8], ether_type: u16) -> u64 {
    let [a, b] = frame.first_chunk::<16>().map_or([0, 0], halves);
    mix(mix(SEED, a), b >> 32 << 32 | u64::from(ether_type))
}

fn ipv4(l3: &[u8]) -> Option<u64> {
    let header = l3.first_chunk::<20>()?;
    let addresses = u64::from_be_bytes(*header.last_chunk()?);
    let fragment = u16::from_be_bytes([header[6], header[7]]) & 0x3fff != 0;
    let at = usize::from(header[0] & 0x0f) * 4;
    let ports = if fragment { 0 } else { ports(header[9], l3.get(at..)) };
    Some(mix(mix(SEED, addresses), u64::from(header[9]) << 32 | u64::from(ports)))
}

fn ipv6(l3: &[u8]) -> Option<u64> {
    let header = l3.first_chunk::<40>()?;
    let [a, b] = halves(header.get(8..24)?.first_chunk()?);
    let [c, d] = halves(header.get(24..40)?.first_chunk()?);
    let ports = ports(header[6], l3.get(40..));
    let hash = mix(mix(mix(mix(SEED, a), b), c), d);
    Some(mix(hash, u64::from(header[6]) << 32 | u64::from(ports)))
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
            assert_eq!(inner(&frame), (hash(&frame), ecn::traffic_class(&frame)), "{frame:02x?}");
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
