//! Frames as they arrive and as they leave, written and read by hand.

use std::net::{IpAddr, Ipv4Addr};

use crate::common::wire::{self, BROADCAST, mac};
use crate::settings::Side;

/// A tenant's host, by the last byte of its address. All tenants have the same ones.
pub(crate) type Host = u8;
/// The highest of them.
pub(crate) const HOSTS: Host = 5;

/// A frame that left: which way, under which ID, and the tenant's own bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Delivery {
    pub(crate) port: String,
    /// The last byte of the far tunnel address.
    pub(crate) to: u8,
    pub(crate) id: u16,
    pub(crate) frame: Vec<u8>,
}

/// A tenant's frame, no two alike. Beyond the hosts there are one that nobody has heard of, and a group.
pub(crate) fn tenants(dst: u8, src: Host, number: u32) -> Vec<u8> {
    let dst = match dst {
        0 => BROADCAST,
        group if group == HOSTS + 2 => [1, 0, 0x5e, 0, 0, 1],
        host => mac(host),
    };
    wire::ethernet(dst, mac(src), 0x88b5, &[&number.to_be_bytes()[..], &[0x55; 42]].concat())
}

/// The frame as it arrives.
pub(crate) fn arriving(side: Side, id: u16, member: u8, frame: &[u8]) -> Vec<u8> {
    let (link, ours) = (([2, 0xaa, 0, 0, 0, 1], [2, 0xbb, 0, 0, 0, 1]), Ipv4Addr::new(192, 0, 2, 1));
    let tunnel = |protocol, packet: &[u8]| {
        let theirs = Ipv4Addr::new(192, 0, 2, side.host(member));
        wire::outer(link, (IpAddr::V4(theirs), ours.into()), 0, protocol, packet)
    };
    let number = u32::from(id) + 5000;
    match side {
        Side::Vxlan | Side::Vxlan2 | Side::Mesh => tunnel(17, &wire::udp(9, 4789, &wire::vxlan(number, frame))),
        Side::Nvgre => tunnel(47, &wire::nvgre(number, 7, frame)),
        Side::Gre => tunnel(47, &wire::gre(Some(id.into()), frame)),
        Side::Tags => wire::tag(&wire::tag(frame, 0x8100, id + 1), 0x88a8, 100),
    }
}

/// What a frame says that has left.
pub(crate) fn read(port: &str, sent: &[u8]) -> Delivery {
    let number = |bytes: &[u8]| bytes.iter().fold(0_u32, |number, byte| number << 8 | u32::from(*byte));
    let (to, id, frame) = if port == "access" {
        assert_eq!(sent[12..17], [0x88, 0xa8, 0, 100, 0x81], "{sent:02x?}");
        (0, number(&sent[18..20]) - 1, [&sent[..12], &sent[20..]].concat())
    } else {
        let (id, at) = match (sent[23], sent[33]) {
            (17, _) => (number(&sent[46..49]) - 5000, 50),
            (47, 77) => (number(&sent[38..41]) - 5000, 42),
            (47, 99) => (number(&sent[38..42]), 42),
            other => panic!("{other:?}: {sent:02x?}"),
        };
        assert_eq!(sent[30..33], [192, 0, 2], "{sent:02x?}");
        (sent[33], id, sent[at..].to_vec())
    };
    Delivery { port: port.to_owned(), to, id: id as u16, frame }
}
