//! What a device puts in front of an IP packet: an Ethernet header, or nothing.
//!
//! `WireGuard`, PPP, tun and the kernel's IP tunnels carry bare IP packets. The pipeline sees Ethernet all the same: a port
//! on such a device puts a header in front of what it receives and takes it off what it sends (`ip_device.rs`), with the
//! two addresses here.

use std::net::IpAddr;

use transload_encaps::ethernet::{IPV4, IPV6};
use transload_encaps::outer::ip_destination;
use transload_encaps::{Frame, Mac};

/// The MAC address of a port on a device without Ethernet.
pub const OWN_MAC: Mac = Mac([0x02, 0x74, 0x6c, 0x69, 0x70, 0x01]);
/// The MAC address of whoever is behind such a device.
pub const FAR_MAC: Mac = Mac([0x02, 0x74, 0x6c, 0x69, 0x70, 0x02]);

/// What a device's packets begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkLayer {
    /// An Ethernet header.
    Ethernet,
    /// The IP header.
    Ip,
    /// Something else, such as InfiniBand's: the kernel's number of it (`ARPHRD_*`).
    Other(u16),
}

impl LinkLayer {
    /// By the kernel's number (`linux/if_arp.h`).
    #[must_use]
    pub const fn of(hardware: u16) -> Self {
        const PPP: u16 = 512;
        const RAW_IP: u16 = 519;
        const TUNNEL: u16 = 768;
        const TUNNEL6: u16 = 769;
        const SIT: u16 = 776;
        const GRE: u16 = 778;
        const GRE6: u16 = 823;
        const NONE: u16 = 0xfffe;
        match hardware {
            // The loopback's frames have an Ethernet header too, with addresses of zero.
            libc::ARPHRD_ETHER | libc::ARPHRD_LOOPBACK => Self::Ethernet,
            PPP | RAW_IP | TUNNEL | TUNNEL6 | SIT | GRE | GRE6 | NONE => Self::Ip,
            other => Self::Other(other),
        }
    }

    /// The MAC address of a port on such a device, which has this hardware address.
    #[must_use]
    pub fn mac(self, hardware: &[u8]) -> Option<Mac> {
        match self {
            Self::Ethernet => hardware.try_into().ok().map(Mac),
            Self::Ip => Some(OWN_MAC),
            Self::Other(_) => None,
        }
    }
}

/// Puts an Ethernet header in front of a received IP packet: to the port, or to the multicast group that it is for.
/// What is neither IPv4 nor IPv6 counts as IPv4, and is found to be none later.
pub(super) fn put_header(frame: &mut Frame<'_>) {
    let is_v6 = frame.bytes().first().is_some_and(|byte| byte >> 4 == 6);
    let [high, low] = if is_v6 { IPV6 } else { IPV4 }.to_be_bytes();
    let group = ip_destination(frame.bytes(), 0).filter(IpAddr::is_multicast);
    let Mac([d0, d1, d2, d3, d4, d5]) = group.map_or(OWN_MAC, Mac::of_group);
    let Mac([s0, s1, s2, s3, s4, s5]) = FAR_MAC;
    // Ports receive behind enough headroom.
    let _ = frame.prepend(&[d0, d1, d2, d3, d4, d5, s0, s1, s2, s3, s4, s5, high, low]);
}

#[cfg(test)]
mod tests {
    use transload_encaps::ethernet::HEADER_LEN;

    use super::*;

    /// A packet that begins so, to this address, behind its Ethernet header.
    fn headed(version: u8, to: IpAddr) -> Vec<u8> {
        let mut packet = vec![0; 60];
        packet[0] = version << 4;
        match to {
            IpAddr::V4(to) => packet[16..20].copy_from_slice(&to.octets()),
            IpAddr::V6(to) => packet[24..40].copy_from_slice(&to.octets()),
        }
        let mut chunk = [0; 200];
        let mut frame = Frame::new(&mut chunk);
        assert!(frame.fill(HEADER_LEN, &packet));
        put_header(&mut frame);
        assert_eq!(frame.bytes()[HEADER_LEN..], packet);
        frame.bytes()[..HEADER_LEN].to_vec()
    }

    #[test]
    fn a_packet_gets_the_header_that_it_would_have_had_on_ethernet() {
        let own = [0x02, 0x74, 0x6c, 0x69, 0x70, 0x01, 0x02, 0x74, 0x6c, 0x69, 0x70, 0x02];
        assert_eq!(headed(4, [192, 0, 2, 1].into()), [&own[..], &[0x08, 0x00]].concat());
        assert_eq!(headed(6, "2001:db8::1".parse().unwrap()), [&own[..], &[0x86, 0xdd]].concat());
        assert_eq!(headed(4, [239, 1, 2, 3].into())[..6], [0x01, 0x00, 0x5e, 1, 2, 3]);
        assert_eq!(headed(6, "ff05::1:2".parse().unwrap())[..6], [0x33, 0x33, 0, 1, 0, 2]);
    }

    #[test]
    fn what_a_device_carries_is_told_by_the_kernels_number() {
        for (number, layer) in [(1, LinkLayer::Ethernet), (772, LinkLayer::Ethernet), (32, LinkLayer::Other(32))] {
            assert_eq!(LinkLayer::of(number), layer);
        }
        // PPP, raw IP, ipip, ip6tnl, sit, gre, ip6gre, and tun, WireGuard and xfrm.
        for number in [512, 519, 768, 769, 776, 778, 823, 0xfffe] {
            assert_eq!(LinkLayer::of(number), LinkLayer::Ip);
        }
    }
}
