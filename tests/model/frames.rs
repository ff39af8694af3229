//! Frames as they arrive and as they leave, written and read by hand.

use std::net::{IpAddr, Ipv4Addr};

use crate::common::wire::{self, BROADCAST, mac};
use crate::settings::{Far, HOSTS, Host};

/// A tenant's frame, no two alike. It carries the ID under which it arrives. Beyond the hosts there are one that nobody
/// has heard of, and a group.
pub(crate) fn tenants(dst: u8, src: Host, id: u16, number: u32) -> Vec<u8> {
    let dst = match dst {
        0 => BROADCAST,
        group if group == HOSTS + 2 => [1, 0, 0x5e, 0, 0, 1],
        host => mac(host),
    };
    wire::ethernet(dst, mac(src), 0x88b5, &[&number.to_be_bytes()[..], &id.to_be_bytes(), &[0x55; 40]].concat())
}

/// A frame on the wire of a port.
pub(crate) type Wire = (&'static str, Vec<u8>);

/// Who sends a frame to the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speaker {
    /// Somebody behind the port with the tags.
    Port,
    /// Whoever has this tunnel address: 77 and 78 speak NVGRE, 99 speaks GRE, all others VXLAN.
    Tunnel(Far),
}

impl Speaker {
    /// The port its frames come in by.
    pub(crate) const fn port(self) -> &'static str {
        match self {
            Self::Port => "access",
            Self::Tunnel(_) => "up",
        }
    }

    /// A tenant's frame as it arrives from here.
    pub(crate) fn sends(self, id: u16, frame: &[u8]) -> Vec<u8> {
        let number = u32::from(id) + 5000;
        match self {
            Self::Port => wire::tag(&wire::tag(frame, 0x8100, id + 1), 0x88a8, 100),
            Self::Tunnel(far @ (77 | 78)) => tunnel(far, 47, &wire::nvgre(number, 7, frame)),
            Self::Tunnel(far @ 99) => tunnel(far, 47, &wire::gre(Some(id.into()), frame)),
            Self::Tunnel(far) => tunnel(far, 17, &wire::udp(9, 4789, &wire::vxlan(number, frame))),
        }
    }
}

fn tunnel(from: Far, protocol: u8, packet: &[u8]) -> Vec<u8> {
    let (link, ours) = (([2, 0xaa, 0, 0, 0, 1], [2, 0xbb, 0, 0, 0, 1]), Ipv4Addr::new(192, 0, 2, 1));
    wire::outer(link, (IpAddr::V4(Ipv4Addr::new(192, 0, 2, from)), ours.into()), 0, protocol, packet)
}

/// The first stretch of a way to a tunnel peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct NextHop {
    pub(crate) port: &'static str,
    /// The last byte of its MAC address.
    pub(crate) mac: u8,
}

/// A frame that left: to whom, under which ID, and the tenant's own bytes; and how.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Delivery {
    /// 0 for the port with the tags.
    pub(crate) to: Far,
    pub(crate) id: u16,
    pub(crate) frame: Vec<u8>,
    /// The next hop, or those of which it may be any; none for the port with the tags.
    pub(crate) by: Vec<NextHop>,
}

impl Delivery {
    /// What a frame says that has left.
    pub(crate) fn read(port: &'static str, sent: &[u8]) -> Self {
        let delivery = if port == "access" { behind_tags(sent) } else { in_tunnel(port, sent) };
        let arrived_as = number(&delivery.frame[18..20]);
        assert_eq!(arrived_as, u32::from(delivery.id), "a frame of one tenant leaves as another's: {sent:02x?}");
        delivery
    }

    /// Whether this one, which has left, is the `expected` one.
    pub(crate) fn is(&self, expected: &Self) -> bool {
        let is_way = |by: &NextHop| expected.by.contains(by);
        (self.to, self.id, &self.frame) == (expected.to, expected.id, &expected.frame)
            && self.by.is_empty() == expected.by.is_empty()
            && self.by.iter().all(is_way)
    }
}

fn behind_tags(sent: &[u8]) -> Delivery {
    assert_eq!(sent[12..17], [0x88, 0xa8, 0, 100, 0x81], "{sent:02x?}");
    let frame = [&sent[..12], &sent[20..]].concat();
    Delivery { to: 0, id: number(&sent[18..20]) as u16 - 1, frame, by: Vec::new() }
}

fn in_tunnel(port: &'static str, sent: &[u8]) -> Delivery {
    let ours = if port == "up" { 1 } else { 2 };
    assert_eq!((&sent[..5], &sent[6..12]), (&mac(0)[..5], &[2, 0xaa, 0, 0, 0, ours][..]), "{sent:02x?}");
    assert_eq!((&sent[26..30], &sent[30..33]), (&[192, 0, 2, 1][..], &[192, 0, 2][..]), "{sent:02x?}");
    let (id, at) = match (sent[23], sent[33]) {
        (17, _) => (number(&sent[46..49]) - 5000, 50),
        (47, 77 | 78) => (number(&sent[38..41]) - 5000, 42),
        (47, 99) => (number(&sent[38..42]), 42),
        other => panic!("{other:?}: {sent:02x?}"),
    };
    let by = vec![NextHop { port, mac: sent[5] }];
    Delivery { to: sent[33], id: id as u16, frame: sent[at..].to_vec(), by }
}

fn number(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte))
}
