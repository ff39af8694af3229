//! BUM: whether a frame may go to everyone, by the [limits of its tenant](crate::forwarding::BumLimits).

use transload_encaps::inner::Inner;
use transload_encaps::{Mac, ethernet, ip};

use super::{Now, rate};
use crate::forwarding::{Attachment, BumClass, Domain};

/// `ICMPv6` types of router and neighbour solicitations and advertisements, and redirects (RFC 4861 §4).
const ND_TYPES: std::ops::RangeInclusive<u8> = 133..=137;

/// How much more unknown unicast than its limit a tenant may send while the gateway starts.
const AT_THE_START: u64 = 10;

/// Whether so many copies may be made of a frame that came in by this attachment; they are then used up.
pub(super) fn is_within_limits(
    (frame, destination): (&[u8], Mac),
    copies: u64,
    domain: &Domain,
    attachment: &Attachment,
    is_starting: bool,
    now: Now,
) -> bool {
    let (class, due) = (BumClass::of(destination), &*attachment.bum_due);
    let from_reserve =
        || is_neighbour_discovery(frame) && rate::are_within(&due.neighbours, domain.bum.broadcast, copies, now);
    let mut interval = domain.bum.of(class);
    if is_starting && class == BumClass::UnknownUnicast {
        interval = interval.div_ceil(AT_THE_START);
    }
    copies == 0 || from_reserve() || rate::are_within(due.of(class), interval, copies, now)
}

/// Whether hosts find each other by this frame: ARP or ND.
fn is_neighbour_discovery(frame: &[u8]) -> bool {
    let Some(inner) = Inner::of(frame) else { return false };
    if inner.ether_type == ethernet::ARP {
        return true;
    }
    let packet = inner.packet().filter(|packet| packet.protocol == ip::ICMPV6 && packet.src.is_ipv6());
    let kind = packet.and_then(|packet| frame.get(packet.l4?));
    kind.is_some_and(|kind| ND_TYPES.contains(kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn icmpv6(kind: u8) -> Vec<u8> {
        let mut frame = vec![0x33, 0x33, 0, 0, 0, 1, 2, 0, 0, 0, 0, 1, 0x86, 0xdd];
        frame.extend([0x60, 0, 0, 0, 0, 8, 58, 255]);
        frame.extend([9; 32]);
        frame.extend([kind, 0, 0, 0, 0, 0, 0, 0]);
        frame
    }

    #[test]
    fn arp_and_nd_are_told_from_the_rest_behind_tags_too() {
        let tagged = |frame: &[u8]| [&frame[..12], &[0x81, 0, 0, 5], &frame[12..]].concat();
        let arp = [&[0xff; 6][..], &[2, 0, 0, 0, 0, 1, 8, 6], &[0; 28]].concat();
        for kind in 133..=137 {
            assert!(is_neighbour_discovery(&icmpv6(kind)) && is_neighbour_discovery(&tagged(&icmpv6(kind))));
        }
        assert!(is_neighbour_discovery(&arp) && is_neighbour_discovery(&tagged(&arp)));
        assert!(!is_neighbour_discovery(&icmpv6(128)), "an echo");
        assert!(!is_neighbour_discovery(&icmpv6(143)), "an MLD report");
        for len in 0..icmpv6(135).len() - 8 {
            assert!(!is_neighbour_discovery(&icmpv6(135)[..len]), "cut after {len} bytes");
        }
    }
}
