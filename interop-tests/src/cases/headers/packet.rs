//! A tunnel packet from a cable, and what can be turned over in it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use pnet_packet::ip::IpNextHeaderProtocols;
use pnet_packet::util::{checksum, ipv4_checksum, ipv6_checksum};

const ETHERNET: usize = 14;
const UDP: u8 = 17;
const GRE: u8 = 47;

/// A packet that a tunnel endpoint sent.
#[derive(Debug, Clone)]
pub(super) struct Packet {
    /// All of it, from the outer Ethernet header on.
    pub(super) bytes: Vec<u8>,
    /// Where UDP or GRE begins.
    shim: usize,
    protocol: u8,
}

impl Packet {
    /// `None` for what is no tunnel packet.
    pub(super) fn of(bytes: &[u8]) -> Option<Self> {
        let ip = bytes.get(ETHERNET..)?;
        let (mut protocol, mut shim) = match ip.first()? >> 4 {
            4 => (*ip.get(9)?, ETHERNET + 4 * usize::from(ip[0] & 0xf)),
            6 => (*ip.get(6)?, ETHERNET + 40),
            _ => return None,
        };
        // Hop-by-hop and destination options: Linux's ip6gretap writes the latter.
        while protocol == 0 || protocol == 60 {
            protocol = *bytes.get(shim)?;
            shim += 8 * (1 + usize::from(*bytes.get(shim + 1)?));
        }
        let is_tunnel = protocol == UDP || protocol == GRE;
        (is_tunnel && bytes.len() > shim + 16).then(|| Self { bytes: bytes.to_vec(), shim, protocol })
    }

    /// The tunnel's header: behind UDP, or GRE's own.
    pub(super) fn header(&mut self) -> &mut [u8] {
        let at = if self.protocol == UDP { self.shim + 8 } else { self.shim };
        &mut self.bytes[at..]
    }

    /// The tenant's frame.
    pub(super) fn tenant(&self) -> &[u8] {
        let at = self.shim;
        let gre = || 4 + 4 * (self.bytes[at] & 0xb0).count_ones() as usize;
        &self.bytes[at + if self.protocol == UDP { 16 } else { gre() }..]
    }

    fn is_v4(&self) -> bool {
        self.bytes[ETHERNET] >> 4 == 4
    }

    /// Outer source and destination.
    pub(super) fn ends(&self) -> (IpAddr, IpAddr) {
        let ip = &self.bytes[ETHERNET..];
        let v4 = |at: usize| Ipv4Addr::from(*ip[at..].first_chunk().unwrap_or(&[0; 4])).into();
        let v6 = |at: usize| Ipv6Addr::from(*ip[at..].first_chunk().unwrap_or(&[0; 16])).into();
        if self.is_v4() { (v4(12), v4(16)) } else { (v6(8), v6(24)) }
    }

    /// Writes another outer source, by turning over its last bits.
    pub(super) fn turn_source(&mut self, bits: u8) {
        let last = ETHERNET + if self.is_v4() { 15 } else { 23 };
        self.bytes[last] ^= bits;
        self.finish();
    }

    /// Outer DSCP and ECN.
    pub(super) fn class(&self) -> u8 {
        let ip = &self.bytes[ETHERNET..];
        if self.is_v4() { ip[1] } else { ip[0] << 4 | ip[1] >> 4 }
    }

    /// Marks the packet as a congested router does: CE.
    pub(super) fn mark(&mut self) {
        self.set_ecn(3);
    }

    /// Writes other ECN bits.
    pub(super) fn set_ecn(&mut self, ecn: u8) {
        let (at, shift) = (ETHERNET + 1, if self.is_v4() { 0 } else { 4 });
        self.bytes[at] = self.bytes[at] & !(3 << shift) | ecn << shift;
        self.finish();
    }

    /// UDP's checksum.
    pub(super) fn udp_checksum(&self) -> u16 {
        u16::from_be_bytes([self.bytes[self.shim + 6], self.bytes[self.shim + 7]])
    }

    /// Writes UDP's checksum as it is given; `None` computes it.
    pub(super) fn set_udp_checksum(&mut self, sum: Option<u16>) {
        let right = self.right_udp_checksum();
        let sum = sum.unwrap_or(if right == 0 { 0xffff } else { right });
        self.bytes[self.shim + 6..self.shim + 8].copy_from_slice(&sum.to_be_bytes());
    }

    fn right_udp_checksum(&self) -> u16 {
        let udp = &self.bytes[self.shim..];
        match self.ends() {
            (IpAddr::V4(from), IpAddr::V4(to)) => ipv4_checksum(udp, 3, &[], &from, &to, IpNextHeaderProtocols::Udp),
            (IpAddr::V6(from), IpAddr::V6(to)) => ipv6_checksum(udp, 3, &[], &from, &to, IpNextHeaderProtocols::Udp),
            _ => 0,
        }
    }

    /// Takes bytes out of the tunnel's header and puts others there.
    pub(super) fn splice(&mut self, at: usize, out: usize, put: &[u8]) {
        let at = self.shim + at;
        self.bytes.splice(at..at + out, put.iter().copied());
        let length = ETHERNET + if self.is_v4() { 2 } else { 4 };
        let old = u16::from_be_bytes([self.bytes[length], self.bytes[length + 1]]);
        let new = old + put.len() as u16 - out as u16;
        self.bytes[length..length + 2].copy_from_slice(&new.to_be_bytes());
    }

    /// Makes every checksum right that is there: IPv4's, UDP's, GRE's.
    pub(super) fn finish(&mut self) {
        if self.is_v4() {
            let sum = checksum(&self.bytes[ETHERNET..ETHERNET + 20], 5);
            self.bytes[ETHERNET + 10..ETHERNET + 12].copy_from_slice(&sum.to_be_bytes());
        }
        if self.protocol == UDP && self.udp_checksum() != 0 {
            self.set_udp_checksum(None);
        }
        if self.protocol == GRE && self.bytes[self.shim] & 0x80 != 0 {
            let sum = checksum(&self.bytes[self.shim..], 2);
            self.bytes[self.shim + 4..self.shim + 6].copy_from_slice(&sum.to_be_bytes());
        }
    }
}
