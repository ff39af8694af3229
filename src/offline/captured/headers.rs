//! IP headers that a sender's device had still to complete: without a checksum, and of super-frames without a length.
//!
//! Network cards that cut super-frames fill in the IPv4 header checksum too, and some senders (Windows) leave it to
//! them as zero. A length of zero is what a super-frame of more than 64 KB has (Linux "BIG TCP"), which no header can
//! tell; some senders write it in shorter ones, too.

use transload_encaps::ip::{IPV4_LEN, IPV6_LEN, TCP, UDP, is_extension};
use transload_encaps::{checksum, ethernet};

use super::{MOST_LAYERS, inside, packet};
use crate::forwarding::Forwarding;

/// Where IPv4's total length, IPv6's payload length and UDP's length are in their headers.
const TOTAL_LEN: usize = 2;
const PAYLOAD_LEN: usize = 4;
const UDP_DATAGRAM_LEN: usize = 4;
/// Where IPv4's header checksum is.
const HEADER_CHECKSUM: usize = 10;

/// A super-frame that is longer than its headers can tell.
pub(super) struct TooLong;

/// Completes the outer IP header, and those inside it as long as they are incomplete, too. Returns whether there was one.
///
/// # Errors
/// When a header states no length, and the true one does not fit its field.
pub(super) fn complete(tables: &Forwarding, frame: &mut [u8], mtu: u32) -> Result<bool, TooLong> {
    let (mut any, mut from) = (false, Some(0));
    for _ in 0..MOST_LAYERS {
        let Some(begin) = from else { break };
        if !header(frame, begin, mtu as usize)? {
            break;
        }
        any = true;
        from = packet(frame, begin).and_then(|packet| inside(tables, frame, &packet));
    }
    Ok(any)
}

/// Completes the IP header in the Ethernet frame that begins here. Returns whether anything was missing.
fn header(frame: &mut [u8], begin: usize, mtu: usize) -> Result<bool, TooLong> {
    let found = frame.get(begin..).and_then(ethernet::payload);
    let Some((ether_type, at)) = found else { return Ok(false) };
    let Some(ip) = frame.get_mut(begin + at..) else { return Ok(false) };
    let is_long = ip.len() > mtu;
    match (ether_type, ip.first().map_or(0, |first| first >> 4)) {
        (ethernet::IPV4, 4) => v4(ip, is_long),
        (ethernet::IPV6, 6) if is_long => v6(ip),
        _ => Ok(false),
    }
}

fn v4(ip: &mut [u8], is_long: bool) -> Result<bool, TooLong> {
    let header_len = ip.first().map_or(0, |first| usize::from(first & 0x0f) * 4);
    if header_len < IPV4_LEN || header_len > ip.len() {
        return Ok(false);
    }
    let has_no_len = is_long && ethernet::be16(ip, TOTAL_LEN) == Some(0);
    if has_no_len {
        let len = u16::try_from(ip.len()).map_err(|_| TooLong)?;
        put(ip, TOTAL_LEN, len);
        datagram(ip, header_len, ip.get(9).copied().unwrap_or(0));
    }
    let header = ip.get_mut(..header_len).unwrap_or_default();
    let is_unsummed = ethernet::be16(header, HEADER_CHECKSUM) == Some(0) && checksum::of(header) != 0;
    // A length that was not there is in no sum.
    if is_unsummed || has_no_len {
        put(header, HEADER_CHECKSUM, 0);
        let sum = checksum::of(header);
        put(header, HEADER_CHECKSUM, sum);
    }
    Ok(is_unsummed || has_no_len)
}

fn v6(ip: &mut [u8]) -> Result<bool, TooLong> {
    let next = ip.get(6).copied().unwrap_or(0);
    let has_payload = matches!(next, TCP | UDP) || is_extension(next);
    if ip.len() < IPV6_LEN || ethernet::be16(ip, PAYLOAD_LEN) != Some(0) || !has_payload {
        return Ok(false);
    }
    let len = u16::try_from(ip.len() - IPV6_LEN).map_err(|_| TooLong)?;
    put(ip, PAYLOAD_LEN, len);
    datagram(ip, IPV6_LEN, next);
    Ok(true)
}

/// Completes the length of the UDP header at `at`, if this is the protocol and it has none.
fn datagram(ip: &mut [u8], at: usize, protocol: u8) {
    let udp = ip.get_mut(at..).unwrap_or_default();
    if protocol == UDP && ethernet::be16(udp, UDP_DATAGRAM_LEN) == Some(0) {
        put(udp, UDP_DATAGRAM_LEN, u16::try_from(udp.len()).unwrap_or(0));
    }
}

fn put(bytes: &mut [u8], at: usize, value: u16) {
    if let Some(field) = bytes.get_mut(at..).and_then(|rest| rest.first_chunk_mut()) {
        *field = value.to_be_bytes();
    }
}
