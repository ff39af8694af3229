//! Others' carriers: what rides on an IP protocol or a UDP port that this gateway does not speak.

use crate::encap::Carrier;

/// A protocol that is not spoken here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Other {
    /// Its name.
    pub name: &'static str,
    /// Whether it carries somebody's packets or frames, as an encapsulation does. The others are for the machine's own
    /// stack and its programs.
    pub is_tunnel: bool,
}

impl Carrier {
    /// What is known to ride on it that this gateway does not speak, from IANA's registries and what is usual.
    #[must_use]
    pub const fn other(self) -> Option<Other> {
        match self {
            Self::Udp(port) => of_udp(port),
            Self::Ip(protocol) => of_ip(protocol),
            Self::Port => None,
        }
    }

    /// All of which something is known to ride that this gateway does not speak.
    pub fn others() -> impl Iterator<Item = (Self, Other)> {
        let carriers = (0..=u8::MAX).map(Self::Ip).chain((0..=u16::MAX).map(Self::Udp));
        carriers.filter_map(|carrier| Some((carrier, carrier.other()?)))
    }
}

const fn tunnel(name: &'static str) -> Other {
    Other { name, is_tunnel: true }
}

const fn own(name: &'static str) -> Other {
    Other { name, is_tunnel: false }
}

const fn of_udp(port: u16) -> Option<Other> {
    Some(match port {
        4754 => tunnel("GRE in UDP"),
        4755 => tunnel("GRE in UDP with DTLS"),
        4790 => tunnel("VXLAN-GPE"),
        6081 => tunnel("Geneve"),
        6635 => tunnel("MPLS in UDP"),
        6636 => tunnel("MPLS in UDP with DTLS"),
        1701 => tunnel("L2TP"),
        2152 => tunnel("GTP-U"),
        3544 => tunnel("Teredo"),
        4341 => tunnel("LISP"),
        5247 => tunnel("CAPWAP"),
        // RFC 5881, RFC 5883, RFC 7130, RFC 7881.
        3784 => own("BFD"),
        3785 => own("BFD echo"),
        4784 => own("multihop BFD"),
        6784 => own("BFD on LAG members"),
        7784 => own("seamless BFD"),
        53 => own("DNS"),
        67 | 68 => own("DHCP"),
        123 => own("NTP"),
        161 | 162 => own("SNMP"),
        319 | 320 => own("PTP"),
        443 => own("QUIC"),
        500 => own("IKE"),
        514 => own("syslog"),
        520 => own("RIP"),
        546 | 547 => own("DHCPv6"),
        646 => own("LDP"),
        862 => own("TWAMP"),
        1194 => own("OpenVPN"),
        1812 | 1813 => own("RADIUS"),
        1985 => own("HSRP"),
        2055 => own("NetFlow"),
        2123 => own("GTP-C"),
        3222 => own("GLBP"),
        3503 => own("MPLS echo"),
        4342 => own("LISP control"),
        4500 => own("IPsec through NAT"),
        4739 => own("IPFIX"),
        5246 => own("CAPWAP control"),
        5353 => own("multicast DNS"),
        6343 => own("sFlow"),
        8805 => own("PFCP"),
        51820 => own("WireGuard"),
        _ => return None,
    })
}

const fn of_ip(protocol: u8) -> Option<Other> {
    Some(match protocol {
        4 => tunnel("IPv4 in IP"),
        41 => tunnel("IPv6 in IP"),
        97 => tunnel("EtherIP, or MikroTik's EoIPv6"),
        115 => tunnel("L2TPv3"),
        137 => tunnel("MPLS in IP"),
        1 => own("ICMP"),
        2 => own("IGMP"),
        6 => own("TCP"),
        50 => own("IPsec ESP"),
        51 => own("IPsec AH"),
        58 => own("ICMPv6"),
        88 => own("EIGRP"),
        89 => own("OSPF"),
        103 => own("PIM"),
        112 => own("VRRP"),
        132 => own("SCTP"),
        _ => return None,
    })
}
