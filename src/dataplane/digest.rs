//! What of a tenant's frame makes it the same frame after a trip through tunnels.
//!
//! On such a trip a router may mark congestion (and mend the IPv4 header's checksum), an attachment may strip VLAN
//! tags, and a link may pad. All that is left out. What else may change, a TCP option that is clamped or a checksum
//! that was left unfinished, changes on the first trip only, and the digest is that of every later one.

use transload_encaps::ethernet::{self, ADDRESSES_LEN};
use transload_encaps::inner::{Ending, Inner};
use transload_encaps::ip::IPV6_LEN;

/// Length of an ARP packet about IPv4 over Ethernet (RFC 826).
const ARP_LEN: usize = 28;
/// RFC 3168 §5: the lower two bits of the IPv4 TOS octet; of the IPv6 traffic class they are bits 4 and 5 of the
/// second octet (RFC 8200 §3).
const IPV4_ECN: u8 = 0x03;
const IPV6_ECN: u8 = 0x30;

/// A hash of the frame, the same on every machine.
pub(super) fn digest(frame: &[u8]) -> u64 {
    let addresses = frame.get(..ADDRESSES_LEN).unwrap_or_default();
    let hash = absorb(0, addresses);
    let Some(inner) = Inner::of(frame) else { return absorb(hash, frame.get(ADDRESSES_LEN..).unwrap_or_default()) };
    let hash = mix(hash ^ u64::from(inner.ether_type));
    let packet = without_padding(&inner);
    match (inner.ether_type, packet) {
        (ethernet::IPV4, [version, tos, rest @ ..]) => {
            let hash = absorb(hash, &[*version, tos & !IPV4_ECN]);
            // The checksum is in octets 10 and 11 of the header.
            let hash = absorb(hash, rest.get(..8).unwrap_or(rest));
            absorb(hash, rest.get(10..).unwrap_or_default())
        }
        (ethernet::IPV6, [first, second, rest @ ..]) => absorb(absorb(hash, &[*first, second & !IPV6_ECN]), rest),
        _ => absorb(hash, packet),
    }
}

/// What the frame carries behind its tags, as far as it is known to reach.
fn without_padding<'f>(inner: &Inner<'f>) -> &'f [u8] {
    let rest = inner.frame().get(inner.at..).unwrap_or_default();
    let len = match inner.packet() {
        // A header alone, or a jumbogram's, which tells it from others as well.
        Some(packet) if packet.ending == Ending::Open && packet.src.is_ipv6() => IPV6_LEN,
        Some(packet) => packet.end - packet.at,
        None if inner.ether_type == ethernet::ARP => ARP_LEN,
        None => rest.len(),
    };
    rest.get(..len).unwrap_or(rest)
}

fn absorb(mut hash: u64, bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        hash = mix(hash ^ u64::from_le_bytes(*word));
    }
    let tail = rest.iter().fold(rest.len() as u64, |tail, byte| tail << 8 | u64::from(*byte));
    mix(hash ^ tail)
}

/// Multiply and fold, so that every bit reaches every other.
#[inline]
fn mix(word: u64) -> u64 {
    let product = u128::from(word ^ 0x9e37_79b9_7f4a_7c15) * 0xd6e8_feb8_6659_fd93;
    product as u64 ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ipv4(class: u8, checksum: u8, last: u8) -> Vec<u8> {
        let mut frame = vec![0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 8, 0];
        frame.extend([0x45, class, 0, 24, 0, 0, 0, 0, 64, 17, checksum, 7, 10, 0, 0, 1, 10, 0, 0, 255, 1, 2, 3, last]);
        frame
    }

    fn ipv6(class: u8) -> Vec<u8> {
        let mut frame = vec![0x33, 0x33, 0, 0, 0, 1, 2, 0, 0, 0, 0, 1, 0x86, 0xdd];
        frame.extend([0x60 | class >> 4, class << 4, 0, 0, 0, 0, 58, 255]);
        frame.extend([9; 32]);
        frame
    }

    fn tagged(frame: &[u8]) -> Vec<u8> {
        [&frame[..12], &[0x81, 0, 0, 5], &frame[12..]].concat()
    }

    #[test]
    fn what_a_trip_through_tunnels_may_change_is_left_out() {
        let original = digest(&ipv4(0, 1, 4));
        assert_eq!(digest(&ipv4(3, 9, 4)), original, "congestion marked, checksum mended");
        assert_eq!(digest(&tagged(&ipv4(0, 1, 4))), original, "a tag more");
        assert_eq!(digest(&[&ipv4(0, 1, 4)[..], &[0; 22]].concat()), original, "padded");
        assert_eq!(digest(&ipv6(0x03)), digest(&ipv6(0x00)));
        assert_eq!(digest(&[&ipv6(0)[..], &[0; 6]].concat()), digest(&ipv6(0)));
    }

    #[test]
    fn every_other_byte_counts() {
        for (frame, ignored) in [(ipv4(0, 1, 4), vec![24, 25]), (ipv6(0), vec![])] {
            let original = digest(&frame);
            for at in (0..frame.len()).filter(|at| !ignored.contains(at)) {
                let mut other = frame.clone();
                other[at] ^= 0x40;
                assert_ne!(digest(&other), original, "byte {at}");
            }
        }
    }

    #[test]
    fn a_frame_cut_anywhere_has_a_digest() {
        for frame in [ipv4(0, 1, 4), ipv6(0), tagged(&ipv4(0, 0, 0))] {
            for len in 0..frame.len() {
                digest(&frame[..len]);
            }
        }
    }
}
