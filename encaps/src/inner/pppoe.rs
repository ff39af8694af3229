//! `PPPoE` session packets (RFC 2516 §4).
//!
//! ```text
//! | version 1, type 1 | code 0 | session ID, 16 bits | length, 16 bits | PPP protocol, 16 bits | IP ...
//! ```

use super::IpPacket;

/// Version, type and code of every packet of a session (RFC 2516 §6).
const SESSION: [u8; 2] = [0x11, 0];
const HEADER_LEN: usize = 6;
/// PPP's protocol numbers of IPv4 (RFC 1332 §2) and IPv6 (RFC 5072 §2).
const IP: [u16; 2] = [0x0021, 0x0057];

/// A subscriber's session, and its packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Session {
    /// The session ID, unique between two MAC addresses.
    pub id: u16,
    /// The IP packet, if PPP carries one here.
    pub packet: Option<IpPacket>,
}

impl Session {
    pub(super) fn at(frame: &[u8], at: usize) -> Option<Self> {
        let [version, code, i1, i2, _, _, p1, p2] = *frame.get(at..)?.first_chunk()?;
        if [version, code] != SESSION {
            return None;
        }
        // RFC 1661 §6.5: compressed, the protocol is its second byte alone, which is odd as no first byte is.
        let (protocol, len) = if p1 & 1 == 1 { (p1.into(), 1) } else { (u16::from_be_bytes([p1, p2]), 2) };
        let packet = IP.contains(&protocol).then(|| IpPacket::of(frame, at + HEADER_LEN + len)).flatten();
        Some(Self { id: u16::from_be_bytes([i1, i2]), packet })
    }
}
