//! Congestion marks across a tunnel: RFC 6040, and RFC 9601 for tunnels with a shim header.

use crate::checksum;
use crate::drops::{Common, DropReason};
use crate::frame::Frame;
use crate::inner::Inner;
use crate::ip::IPV4_LEN;

/// The two ECN bits of a traffic class.
pub const MASK: u8 = 0b11;
/// The sender does not understand marks.
pub const NOT_ECT: u8 = 0b00;
/// ECN-capable, codepoint 1.
pub const ECT_1: u8 = 0b01;
/// ECN-capable, codepoint 0.
pub const ECT_0: u8 = 0b10;
/// Congestion experienced.
pub const CE: u8 = 0b11;

/// RFC 6040 §4.2: what leaves a tunnel that carried `inner` inside `outer`; `None` is a drop.
#[must_use]
pub const fn combine(inner: u8, outer: u8) -> Option<u8> {
    match (inner & MASK, outer & MASK) {
        (NOT_ECT, CE) => None,
        (NOT_ECT, _) => Some(NOT_ECT),
        (CE, _) | (_, CE) => Some(CE),
        (ECT_0, ECT_1) => Some(ECT_1),
        (inner, _) => Some(inner),
    }
}

/// The traffic class of the IP packet inside an Ethernet frame, also behind VLAN tags; `None` if there is none.
#[must_use]
#[inline]
pub fn traffic_class(frame: &[u8]) -> Option<u8> {
    Inner::of(frame)?.traffic_class()
}

/// Writes the result of decapsulation into the inner IP header. A frame without one is left alone.
///
/// # Errors
/// `EcnDropped` when the outer header was marked and the inner sender does not understand marks.
#[inline]
pub fn decap(frame: &mut Frame<'_>, outer: u8) -> Result<(), DropReason> {
    // RFC 6040 figure 4: an outer Not-ECT changes nothing.
    if outer & MASK == NOT_ECT {
        return Ok(());
    }
    let Some(inner) = Inner::of(frame.bytes()) else { return Ok(()) };
    let Some(class) = inner.traffic_class() else { return Ok(()) };
    let ecn = class & MASK;
    let combined = combine(ecn, outer).ok_or(Common::EcnDropped)?;
    if combined != ecn {
        let at = inner.at;
        set(frame.bytes_mut().get_mut(at..).unwrap_or_default(), combined);
    }
    Ok(())
}

/// Sets the ECN bits of an IP packet, keeping an IPv4 header checksum right.
fn set(packet: &mut [u8], ecn: u8) {
    if packet.first().is_some_and(|first| first >> 4 == 6) {
        if let Some(second) = packet.get_mut(1) {
            *second = *second & !(MASK << 4) | ecn << 4;
        }
    } else if let Some(header) = packet.first_chunk_mut::<IPV4_LEN>() {
        let old = u16::from_be_bytes([header[0], header[1]]);
        header[1] = header[1] & !MASK | ecn;
        let new = u16::from_be_bytes([header[0], header[1]]);
        let sum = checksum::update(u16::from_be_bytes([header[10], header[11]]), old, new);
        [header[10], header[11]] = sum.to_be_bytes();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_rfc_6040_figure_4() {
        let outers = [NOT_ECT, ECT_0, ECT_1, CE];
        let rows = [
            (NOT_ECT, [Some(NOT_ECT), Some(NOT_ECT), Some(NOT_ECT), None]),
            (ECT_0, [Some(ECT_0), Some(ECT_0), Some(ECT_1), Some(CE)]),
            (ECT_1, [Some(ECT_1), Some(ECT_1), Some(ECT_1), Some(CE)]),
            (CE, [Some(CE); 4]),
        ];
        for (inner, results) in rows {
            for (outer, result) in outers.into_iter().zip(results) {
                assert_eq!(combine(inner, outer), result, "inner {inner:02b} outer {outer:02b}");
            }
        }
    }
}
