//! The frames that are sent: a tenant's UDP datagram inside a side's encapsulation.
//!
//! ```text
//! outer Ethernet .. encapsulation | Ethernet 14 | IPv4 20 | UDP 8 | mark 8 | time 8 | zeros
//!                                 ^ inner
//! ```

use transload_encaps::checksum;

use crate::path::{Encapsulation, Side};

/// What the sink knows our frames by.
pub const MARK: u64 = u64::from_le_bytes(*b"transld!");
/// Offsets into the tenant's frame.
pub const SOURCE_PORT: usize = 34;
/// Where the mark is.
pub const MARK_AT: usize = 42;
/// Where the time of sending is, in nanoseconds of the monotonic clock and this machine's byte order.
pub const TIME_AT: usize = 50;
/// The shortest tenant's frame that holds all this.
pub const MIN: usize = 58;

const VXLAN_PORT: u16 = 4789;
/// First of the ports that tunnels draw entropy from (RFC 7348 §5).
pub const ENTROPY: u16 = 0xc000;

/// A frame as it is on the cable.
#[derive(Debug, Clone)]
pub struct Packet {
    /// The whole frame, from the outer Ethernet header on.
    pub bytes: Vec<u8>,
    /// Where the tenant's frame begins. A doubly tagged frame has its tags behind the tenant's addresses, so what lies behind
    /// those begins later.
    pub inner: usize,
    /// Where the tenant's MAC addresses are.
    pub addresses: usize,
    /// Where the outer UDP source port is, if there is one.
    pub entropy: Option<usize>,
}

/// Bytes on the cable in front of the tenant's frame, or, for tags, inside of it.
#[must_use]
pub fn overhead(encap: Encapsulation) -> usize {
    match encap {
        Encapsulation::Vxlan { .. } => 50,
        Encapsulation::Nvgre { .. } | Encapsulation::Gre { .. } => 42,
        Encapsulation::QinQ { .. } => 8,
    }
}

/// What every frame of this encapsulation has at certain places: what a sink checks.
#[must_use]
pub fn signature(encap: Encapsulation) -> Vec<(usize, [u8; 4])> {
    match encap {
        Encapsulation::Vxlan { vni } => vec![(34 + 12, (vni << 8).to_be_bytes())],
        // The last byte is the `FlowID`, the gateway's to choose: the word is read one byte earlier.
        Encapsulation::Nvgre { vsid } => vec![(34, [0x20, 0, 0x65, 0x58]), (37, (0x5800_0000 | vsid).to_be_bytes())],
        Encapsulation::Gre { key } => vec![(34, [0x20, 0, 0x65, 0x58]), (38, key.to_be_bytes())],
        Encapsulation::QinQ { s_vid, c_vid } => {
            let tag = |tpid: u16, vid: u16| (u32::from(tpid) << 16 | u32::from(vid)).to_be_bytes();
            vec![(12, tag(0x88a8, s_vid)), (16, tag(0x8100, c_vid))]
        }
    }
}

/// A tenant's frame of `len` bytes without FCS, at least [`MIN`], between host 0 of either side.
#[must_use]
pub fn tenant(from: &Side, to: &Side, len: usize) -> Vec<u8> {
    let mut frame = vec![0; len];
    frame[..6].copy_from_slice(&to.host_mac(0));
    frame[6..12].copy_from_slice(&from.host_mac(0));
    frame[12..14].copy_from_slice(&[8, 0]);
    let datagram = len as u16 - 34;
    frame[14..34].copy_from_slice(&ipv4(17, datagram, [10, 0, 0, from.number], [10, 0, 0, to.number]));
    frame[36..38].copy_from_slice(&9_u16.to_be_bytes());
    frame[38..40].copy_from_slice(&datagram.to_be_bytes());
    frame[MARK_AT..MARK_AT + 8].copy_from_slice(&MARK.to_ne_bytes());
    frame
}

/// Puts a tenant's frame into what is spoken on this side, as its peer sends it to the gateway.
#[must_use]
pub fn encapsulate(side: &Side, tenant: &[u8]) -> Packet {
    let header = match side.encap {
        Encapsulation::QinQ { .. } => {
            let tags: Vec<u8> = signature(side.encap).into_iter().flat_map(|(_, tag)| tag).collect();
            let bytes = [&tenant[..12], &tags, &tenant[12..]].concat();
            return Packet { bytes, inner: tags.len(), addresses: 0, entropy: None };
        }
        Encapsulation::Vxlan { vni } => {
            let [a, b, c, d] = (vni << 8).to_be_bytes();
            let len = (16 + tenant.len()) as u16;
            let udp = [ENTROPY.to_be_bytes(), VXLAN_PORT.to_be_bytes(), len.to_be_bytes(), [0, 0]];
            [&udp.concat()[..], &[8, 0, 0, 0, a, b, c, d]].concat()
        }
        Encapsulation::Nvgre { vsid } => keyed(vsid << 8),
        Encapsulation::Gre { key } => keyed(key),
    };
    let is_udp = matches!(side.encap, Encapsulation::Vxlan { .. });
    let protocol = if is_udp { 17 } else { 47 };
    let ethernet = [&side.gateway_mac()[..], &side.peer_mac(), &[8, 0]].concat();
    let len = (header.len() + tenant.len()) as u16;
    let ip = ipv4(protocol, len, side.peer.octets(), side.gateway.octets());
    let bytes = [&ethernet[..], &ip, &header, tenant].concat();
    let inner = overhead(side.encap);
    Packet { bytes, inner, addresses: inner, entropy: is_udp.then_some(34) }
}

/// GRE with a key, carrying Ethernet.
pub(super) fn keyed(key: u32) -> Vec<u8> {
    [&[0x20, 0, 0x65, 0x58][..], &key.to_be_bytes()].concat()
}

pub(super) fn ipv4(protocol: u8, carried: u16, from: [u8; 4], to: [u8; 4]) -> [u8; 20] {
    let [high, low] = (20 + carried).to_be_bytes();
    let mut header = [0x45, 0, high, low, 0, 0, 0x40, 0, 64, protocol, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    header[12..16].copy_from_slice(&from);
    header[16..20].copy_from_slice(&to);
    let sum = checksum::of(&header).to_be_bytes();
    header[10..12].copy_from_slice(&sum);
    header
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::Path;

    const LEN: usize = 200;

    fn packets() -> Vec<(Side, Packet)> {
        let sides = Path::measured().into_iter().flat_map(|path| [(path.from, path.to), (path.to, path.from)]);
        sides.map(|(from, to)| (from, encapsulate(&from, &tenant(&from, &to, LEN)))).collect()
    }

    #[test]
    fn a_frame_carries_what_its_sink_looks_for() {
        for (side, packet) in packets() {
            assert_eq!(packet.bytes.len(), overhead(side.encap) + LEN, "{side:?}");
            for (at, word) in signature(side.encap) {
                assert_eq!(packet.bytes[at..at + 4], word, "{side:?} at {at}");
            }
            let mark = packet.inner + MARK_AT;
            assert_eq!(packet.bytes[mark..mark + 8], *b"transld!", "{side:?}");
        }
    }

    #[test]
    fn lengths_and_checksums_of_both_ip_headers_are_right() {
        for (side, packet) in packets() {
            let outer = (!matches!(side.encap, Encapsulation::QinQ { .. })).then_some(14);
            for at in outer.into_iter().chain([packet.inner + 14]) {
                let header = &packet.bytes[at..at + 20];
                assert_eq!(checksum::of(header), 0, "{side:?} at {at}");
                assert_eq!(
                    usize::from(u16::from_be_bytes([header[2], header[3]])),
                    packet.bytes.len() - at,
                    "{side:?}"
                );
            }
        }
    }

    #[test]
    fn the_tenants_addresses_are_where_they_are_patched() {
        for (side, packet) in packets() {
            let source = packet.addresses + 6;
            assert_eq!(packet.bytes[source..source + 6], side.host_mac(0), "{side:?}");
        }
    }

    #[test]
    fn nvgre_puts_the_vsid_above_the_flow_id() {
        let path = Path::new(Encapsulation::Nvgre { vsid: 0x00_1389 }, Encapsulation::Vxlan { vni: 1 });
        let packet = encapsulate(&path.from, &tenant(&path.from, &path.to, LEN));
        assert_eq!(packet.bytes[34..42], [0x20, 0, 0x65, 0x58, 0, 0x13, 0x89, 0]);
    }
}
