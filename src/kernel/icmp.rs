//! ICMP errors of the underlay about tunnel packets, as facts for the RIB, which judges what to believe of them.
//!
//! RFC 792, RFC 4443 §3: each quotes the packet that it is about, the IP header and at least eight bytes behind it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use etherparse::icmpv4::{DestUnreachableHeader, TimeExceededCode as TimeExceededV4};
use etherparse::icmpv6::{DestUnreachableCode, ParameterProblemCode, TimeExceededCode as TimeExceededV6};
use etherparse::{Icmpv4Slice, Icmpv4Type, Icmpv6Slice, Icmpv6Type, Ipv4HeaderSlice, Ipv6HeaderSlice};
use transload_encaps::ip::{IPV6_LEN, UDP, UDP_LEN};
use transload_encaps::{Carrier, checksum};

use crate::io::icmp::IcmpSocket;
use crate::logging::LogEvent;
use crate::rib::facts::{IcmpError, PacketFate, QuotedTunnel, Unreachable};

/// Most errors to one endpoint that are looked at in one go; the others wait, and those that there is no room for are
/// lost.
const MOST: usize = 32;
/// Bytes of the longest message that is read. RFC 1812 §4.3.2.3 and RFC 4443 §2.4 (c) have much shorter ones.
const LONGEST: usize = 1 << 14;

/// What is heard at our endpoints.
#[derive(Debug, Default)]
pub struct IcmpListener {
    endpoints: BTreeMap<IpAddr, ListeningPost>,
    /// The endpoints that cannot be listened at, which the log has.
    refused: BTreeSet<IpAddr>,
}

#[derive(Debug)]
struct ListeningPost {
    socket: IcmpSocket,
    /// How many lost errors the log has.
    told: u32,
}

impl IcmpListener {
    /// Listens at these endpoints and no others.
    pub fn listen(&mut self, endpoints: &BTreeSet<IpAddr>) {
        self.endpoints.retain(|address, _| endpoints.contains(address));
        self.refused.retain(|address| endpoints.contains(address));
        for &address in endpoints {
            if self.endpoints.contains_key(&address) || self.refused.contains(&address) {
                continue;
            }
            match IcmpSocket::open(address) {
                Ok(socket) => drop(self.endpoints.insert(address, ListeningPost { socket, told: 0 })),
                Err(error) => {
                    self.refused.insert(address);
                    LogEvent::IcmpUnavailable { address, why: &error.to_string() }.tell();
                }
            }
        }
    }

    /// What has been heard since the last call.
    pub fn hear(&mut self) -> Vec<IcmpError> {
        let mut heard = Vec::new();
        let mut room = [0; LONGEST];
        for (address, post) in &mut self.endpoints {
            for _ in 0..MOST {
                let Some((message, from)) = post.socket.receive(&mut room) else { break };
                let error = if from.is_ipv4() { icmp(message) } else { icmpv6(message, from) };
                // The error came to the endpoint, and has to be about what the endpoint sent.
                heard.extend(error.filter(|error| error.tunnel.local == *address));
            }
            post.tell_lost(*address);
        }
        heard
    }
}

impl ListeningPost {
    /// Logs how many errors were lost, and again when there are twice as many.
    fn tell_lost(&mut self, address: IpAddr) {
        let lost = self.socket.lost();
        if lost > self.told.saturating_mul(2) {
            LogEvent::IcmpLost { address, count: lost.into() }.tell();
            self.told = lost;
        }
    }
}

/// What an ICMP packet says, from its IPv4 header on.
fn icmp(packet: &[u8]) -> Option<IcmpError> {
    let ip = Ipv4HeaderSlice::from_slice(packet).ok()?;
    let message = packet.get(ip.slice().len()..)?;
    // The kernel verifies ICMP's checksum only for itself.
    if checksum::of(message) != 0 {
        return None;
    }
    let icmp = Icmpv4Slice::from_slice(message).ok()?;
    let fate = match icmp.icmp_type() {
        Icmpv4Type::DestinationUnreachable(why) => fate(&why)?,
        Icmpv4Type::TimeExceeded(TimeExceededV4::TtlExceededInTransit) => PacketFate::Unreachable(Unreachable::Expired),
        _ => return None,
    };
    let quoted = Ipv4HeaderSlice::from_slice(icmp.payload()).ok()?;
    if quoted.fragments_offset().value() != 0 {
        return None;
    }
    let header_len = quoted.slice().len();
    let len = usize::from(quoted.total_len());
    let behind = icmp.payload().get(header_len..)?;
    let carrier = carrier(quoted.protocol().0, behind, len.checked_sub(header_len)?, quoted.more_fragments())?;
    let tunnel = QuotedTunnel { local: quoted.source_addr().into(), remote: quoted.destination_addr().into(), carrier };
    let may_be_fragmented = !quoted.dont_fragment();
    Some(IcmpError { from: ip.source_addr().into(), tunnel, len: len as u32, may_be_fragmented, fate })
}

/// RFC 792, RFC 1122 §3.2.2.1, RFC 1812 §5.2.7.1.
fn fate(why: &DestUnreachableHeader) -> Option<PacketFate> {
    use DestUnreachableHeader as Why;
    Some(PacketFate::Unreachable(match why {
        // RFC 1191 §4: zero is from a router that does not know of this field.
        Why::FragmentationNeeded { next_hop_mtu } => {
            return Some(PacketFate::TooBig { mtu: Some((*next_hop_mtu).into()).filter(|mtu| *mtu != 0) });
        }
        Why::Network | Why::NetworkUnknown | Why::TosNetwork => Unreachable::Network,
        Why::Host | Why::HostUnknown | Why::TosHost | Why::Isolated => Unreachable::Host,
        Why::Protocol => Unreachable::Protocol,
        Why::Port => Unreachable::Port,
        Why::NetworkProhibited
        | Why::HostProhibited
        | Why::FilterProhibited
        | Why::HostPrecedenceViolation
        | Why::PrecedenceCutoff => Unreachable::Prohibited,
        // No packet of ours has a source route.
        Why::SourceRouteFailed => return None,
    }))
}

/// What an `ICMPv6` message says.
fn icmpv6(message: &[u8], from: IpAddr) -> Option<IcmpError> {
    let icmp = Icmpv6Slice::from_slice(message).ok()?;
    let fate = match icmp.icmp_type() {
        Icmpv6Type::PacketTooBig { mtu } => PacketFate::TooBig { mtu: Some(mtu) },
        Icmpv6Type::DestinationUnreachable(code) => PacketFate::Unreachable(fate_v6(code)),
        Icmpv6Type::TimeExceeded(TimeExceededV6::HopLimitExceeded) => PacketFate::Unreachable(Unreachable::Expired),
        // RFC 4443 §3.4: what ICMP calls an unreachable protocol. The pointer is to the field that names it.
        Icmpv6Type::ParameterProblem(problem)
            if problem.code == ParameterProblemCode::UnrecognizedNextHeader && problem.pointer == 6 =>
        {
            PacketFate::Unreachable(Unreachable::Protocol)
        }
        _ => return None,
    };
    let quoted = Ipv6HeaderSlice::from_slice(icmp.payload()).ok()?;
    let payload = usize::from(quoted.payload_length());
    let carrier = carrier(quoted.next_header().0, icmp.payload().get(IPV6_LEN..)?, payload, false)?;
    let tunnel = QuotedTunnel { local: quoted.source_addr().into(), remote: quoted.destination_addr().into(), carrier };
    Some(IcmpError { from, tunnel, len: (IPV6_LEN + payload) as u32, may_be_fragmented: false, fate })
}

/// RFC 4443 §3.1.
const fn fate_v6(code: DestUnreachableCode) -> Unreachable {
    use DestUnreachableCode as Code;
    match code {
        Code::NoRoute | Code::BeyondScope => Unreachable::Network,
        Code::Address => Unreachable::Host,
        Code::Port => Unreachable::Port,
        Code::Prohibited | Code::SourceAddressFailedPolicy | Code::RejectRoute => Unreachable::Prohibited,
    }
}

/// What carries a tunnel, by what stands behind the IP header of its packet, which has so many bytes there.
fn carrier(protocol: u8, behind: &[u8], len: usize, is_fragment: bool) -> Option<Carrier> {
    if protocol != UDP {
        return Some(Carrier::Ip(protocol));
    }
    let [_, _, d1, d2, l1, l2, _, _] = *behind.first_chunk::<UDP_LEN>()?;
    // RFC 5927 §4: a length that no packet of ours has.
    let is_whole = usize::from(u16::from_be_bytes([l1, l2])) == len;
    (is_whole || is_fragment).then(|| Carrier::Udp(u16::from_be_bytes([d1, d2])))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An IPv4 packet from 192.0.2.1 to 192.0.2.9 of 1500 bytes, with DF, and what a router may quote of it.
    fn quoted(protocol: u8, behind: &[u8]) -> Vec<u8> {
        let header = [0x45, 0, 0x05, 0xdc, 0, 0, 0x40, 0, 60, protocol, 0, 0, 192, 0, 2, 1, 192, 0, 2, 9];
        [&header[..], behind].concat()
    }

    const VXLAN: [u8; 8] = [0xc0, 0x01, 0x12, 0xb5, 0x05, 0xc8, 0, 0];

    /// An ICMP packet of 198.51.100.1.
    fn packet(kind: u8, code: u8, rest: [u8; 4], quoted: &[u8]) -> Vec<u8> {
        let ip = [0x45, 0, 0, 0, 0, 0, 0, 0, 64, 1, 0, 0, 198, 51, 100, 1, 192, 0, 2, 1];
        let mut message = [&[kind, code, 0, 0], &rest[..], quoted].concat();
        let sum = checksum::of(&message).to_be_bytes();
        message[2..4].copy_from_slice(&sum);
        [&ip[..], &message].concat()
    }

    fn fate_of(kind: u8, code: u8, rest: [u8; 4]) -> Option<PacketFate> {
        icmp(&packet(kind, code, rest, &quoted(UDP, &VXLAN))).map(|error| error.fate)
    }

    #[test]
    fn an_error_says_who_is_told_what_about_which_packet() {
        let tunnel = |carrier| QuotedTunnel {
            local: "192.0.2.1".parse().unwrap(),
            remote: "192.0.2.9".parse().unwrap(),
            carrier,
        };
        let from = "198.51.100.1".parse().unwrap();
        let fate = PacketFate::TooBig { mtu: Some(1300) };
        let expected =
            IcmpError { from, tunnel: tunnel(Carrier::Udp(4789)), len: 1500, may_be_fragmented: false, fate };
        assert_eq!(icmp(&packet(3, 4, [0, 0, 5, 20], &quoted(UDP, &VXLAN))), Some(expected));
        let gre = IcmpError { tunnel: tunnel(Carrier::Ip(47)), ..expected };
        assert_eq!(icmp(&packet(3, 4, [0, 0, 5, 20], &quoted(47, &[0x20, 0, 0x65, 0x58, 0, 0, 0, 7]))), Some(gre));
    }

    #[test]
    fn codes_mean_what_the_rfcs_say() {
        use Unreachable::{Expired, Host, Network, Port, Prohibited, Protocol};
        let of = [Network, Host, Protocol, Port].map(|why| Some(PacketFate::Unreachable(why)));
        assert_eq!([0, 1, 2, 3].map(|code| fate_of(3, code, [0; 4])), of);
        let prohibited = Some(PacketFate::Unreachable(Prohibited));
        assert!([9, 10, 13, 14, 15].iter().all(|code| fate_of(3, *code, [0; 4]) == prohibited));
        assert_eq!(fate_of(3, 4, [0; 4]), Some(PacketFate::TooBig { mtu: None }), "RFC 1191 §4: an old router");
        assert_eq!(fate_of(11, 0, [0; 4]), Some(PacketFate::Unreachable(Expired)));
        for (kind, code) in [(3, 5), (3, 16), (11, 1), (8, 0), (5, 1)] {
            assert_eq!(fate_of(kind, code, [0; 4]), None, "type {kind}, code {code}");
        }
    }

    #[test]
    fn what_is_cut_broken_or_of_another_length_says_nothing() {
        let good = packet(3, 3, [0; 4], &quoted(UDP, &VXLAN));
        for len in 0..good.len() {
            assert_eq!(icmp(&good[..len]), None, "cut to {len} bytes");
        }
        let mut broken = good;
        broken[30] ^= 1;
        assert_eq!(icmp(&broken), None, "the checksum");
        let longer = [0xc0, 0x01, 0x12, 0xb5, 0x05, 0xc9, 0, 0];
        assert_eq!(icmp(&packet(3, 3, [0; 4], &quoted(UDP, &longer))), None, "UDP's length");
        let mut later = quoted(UDP, &VXLAN);
        later[7] = 1;
        assert_eq!(icmp(&packet(3, 3, [0; 4], &later)), None, "a later fragment has no port");
    }

    #[test]
    fn errors_of_ipv6_are_read_from_their_own_header_on() {
        let [local, remote]: [std::net::Ipv6Addr; 2] = ["2001:db8::1", "2001:db8::9"].map(|ip| ip.parse().unwrap());
        let quoted = |next: u8, behind: &[u8]| {
            let header = [0x60, 0, 0, 0, 0x05, 0xc8, next, 64];
            [&header[..], &local.octets(), &remote.octets(), behind].concat()
        };
        let said = |kind: u8, code: u8, rest: [u8; 4], quoted: &[u8]| {
            icmpv6(&[&[kind, code, 0, 0], &rest[..], quoted].concat(), remote.into())
        };
        let too_big = said(2, 0, [0, 0, 5, 0], &quoted(UDP, &VXLAN)).unwrap();
        let tunnel = QuotedTunnel { local: local.into(), remote: remote.into(), carrier: Carrier::Udp(4789) };
        assert_eq!((too_big.fate, too_big.tunnel), (PacketFate::TooBig { mtu: Some(1280) }, tunnel));
        assert_eq!((too_big.len, too_big.may_be_fragmented), (1520, false));
        let why = |kind, code, rest, next| said(kind, code, rest, &quoted(next, &VXLAN)).map(|error| error.fate);
        assert_eq!(why(1, 4, [0; 4], UDP), Some(PacketFate::Unreachable(Unreachable::Port)));
        assert_eq!(why(1, 1, [0; 4], UDP), Some(PacketFate::Unreachable(Unreachable::Prohibited)));
        assert_eq!(why(3, 0, [0; 4], UDP), Some(PacketFate::Unreachable(Unreachable::Expired)));
        assert_eq!(why(4, 1, [0, 0, 0, 6], 47), Some(PacketFate::Unreachable(Unreachable::Protocol)));
        assert_eq!(why(4, 1, [0, 0, 0, 40], 47), None, "a problem of something further inside");
        assert_eq!(why(128, 0, [0; 4], UDP), None);
    }
}
