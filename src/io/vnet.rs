//! The virtio-net header: what a frame's sender left to its device, as the kernel states it to us and we to it.
//!
//! ```text
//!  0       1          2         4          6            8             10
//! | flags | gso type | hdr len | gso size | csum start | csum offset |   in the machine's byte order
//! ```
//!
//! The legacy form of ten bytes (virtio 1.2 §5.1.6), as packet sockets and TAPs use it. Offsets count from the frame's
//! first byte as the kernel hands it over, that is, without a tag the kernel has stripped. A tunnelled super-frame
//! comes with the place and kind of its *inner* TCP: after decapsulation nothing has to change.

use transload_encaps::outer::UDP_CHECKSUM;
use transload_encaps::{Checksum, Frame, Gso, GsoKind};

/// Bytes of the header.
pub(super) const LEN: usize = 10;

const NEEDS_CSUM: u8 = 1;
const DATA_VALID: u8 = 2;

const GSO_TCP4: u8 = 1;
const GSO_TCP6: u8 = 4;
const GSO_UDP: u8 = 5;
/// The super-frame's TCP header has CWR set, which only its first segment may keep.
const GSO_ECN: u8 = 0x80;

const UDP_LEN: u16 = 8;
const TCP_FLAGS: usize = 13;
const TCP_CWR: u8 = 0x80;

/// Writes down in the frame what the header says of it. The frame must begin where the kernel's did.
pub(super) fn apply(header: [u8; LEN], frame: &mut Frame<'_>) {
    let [flags, gso_type, _, _, g1, g2, s1, s2, o1, o2] = header;
    frame.meta.checksum = if flags & NEEDS_CSUM != 0 {
        let start = frame.chunk_offset(u16::from_ne_bytes([s1, s2]).into());
        Checksum::Partial { start, offset: u16::from_ne_bytes([o1, o2]) }
    } else if flags & DATA_VALID != 0 {
        Checksum::Valid
    } else {
        Checksum::Unknown
    };
    let kind = match gso_type & !GSO_ECN {
        GSO_TCP4 => Some(GsoKind::Tcp4),
        GSO_TCP6 => Some(GsoKind::Tcp6),
        GSO_UDP => Some(GsoKind::Udp),
        _ => None,
    };
    frame.meta.gso = kind.map(|kind| Gso { kind, size: u16::from_ne_bytes([g1, g2]) });
}

/// The header that tells the kernel what is left to do for this frame.
pub(super) fn of(frame: &Frame<'_>) -> [u8; LEN] {
    let mut header = [0; LEN];
    let mut l4 = None;
    if let Checksum::Partial { start, offset } = frame.meta.checksum
        // A checksum in headers that are gone is nobody's.
        && let Some(at) = frame.frame_offset(start)
        && let Ok(start) = u16::try_from(at)
    {
        let ([s1, s2], [o1, o2]) = (start.to_ne_bytes(), offset.to_ne_bytes());
        [header[0], header[6], header[7], header[8], header[9]] = [NEEDS_CSUM, s1, s2, o1, o2];
        l4 = Some(at);
    }
    if let Some(gso) = frame.meta.gso {
        let (gso_type, len) = super_frame(gso.kind, frame.bytes(), l4);
        [header[1], header[2], header[3]] = [gso_type, len.to_ne_bytes()[0], len.to_ne_bytes()[1]];
        [header[4], header[5]] = gso.size.to_ne_bytes();
    }
    header
}

/// The header of UDP datagrams that leave as one, each of `size` bytes but the last; their UDP header begins at `udp`.
pub(super) fn segmented(udp: u16, size: u16) -> [u8; LEN] {
    let ([l1, l2], [g1, g2]) = ((udp + UDP_LEN).to_ne_bytes(), size.to_ne_bytes());
    let ([s1, s2], [o1, o2]) = (udp.to_ne_bytes(), UDP_CHECKSUM.to_ne_bytes());
    [NEEDS_CSUM, GSO_UDP, l1, l2, g1, g2, s1, s2, o1, o2]
}

/// The kind of a super-frame and how long its headers are, 0 where that is not known.
fn super_frame(kind: GsoKind, frame: &[u8], l4: Option<usize>) -> (u8, u16) {
    let tcp = l4.and_then(|at| Some((at, frame.get(at..)?.first_chunk::<{ TCP_FLAGS + 1 }>()?)));
    let ecn = match tcp {
        Some((_, header)) if header[TCP_FLAGS] & TCP_CWR != 0 => GSO_ECN,
        _ => 0,
    };
    let tcp_end = tcp.map_or(0, |(at, header)| at + usize::from(header[TCP_FLAGS - 1] >> 4) * 4);
    let (gso_type, end) = match kind {
        GsoKind::Tcp4 => (GSO_TCP4 | ecn, tcp_end),
        GsoKind::Tcp6 => (GSO_TCP6 | ecn, tcp_end),
        GsoKind::Udp => (GSO_UDP, l4.map_or(0, |at| at + 8)),
    };
    // The kernel refuses headers that are longer than the frame.
    (gso_type, if end <= frame.len() { end as u16 } else { 0 })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn header(flags: u8, gso_type: u8, size: u16, start: u16, offset: u16) -> [u8; LEN] {
        let mut header = [flags, gso_type, 0, 0, 0, 0, 0, 0, 0, 0];
        header[4..6].copy_from_slice(&size.to_ne_bytes());
        header[6..8].copy_from_slice(&start.to_ne_bytes());
        header[8..10].copy_from_slice(&offset.to_ne_bytes());
        header
    }

    #[test]
    fn a_kernels_tunnelled_super_frame_is_the_inner_frames_once_decapsulated() {
        // As a kernel vxlan device sent it over a veth: TCP over IPv4 at 84, the outer headers taking 50 bytes.
        let mut chunk = vec![0; 10_000];
        let mut frame = Frame::new(&mut chunk);
        assert!(frame.fill(96, &[0; 9902]));
        apply(header(NEEDS_CSUM, GSO_TCP4, 1398, 84, 16), &mut frame);
        frame.advance(50).unwrap();
        assert_eq!(frame.meta.gso, Some(Gso { kind: GsoKind::Tcp4, size: 1398 }));
        assert_eq!(frame.meta.checksum, Checksum::Partial { start: 96 + 84, offset: 16 });
        assert_eq!(of(&frame)[..2], [NEEDS_CSUM, GSO_TCP4]);
        assert_eq!(of(&frame)[4..], header(0, 0, 1398, 34, 16)[4..]);
    }

    #[test]
    fn what_the_kernel_verified_stays_verified() {
        let mut chunk = [0; 100];
        let mut frame = Frame::new(&mut chunk);
        apply(header(DATA_VALID, 0, 0, 0, 0), &mut frame);
        assert_eq!((frame.meta.checksum, frame.meta.gso), (Checksum::Valid, None));
        apply(header(0, 0, 0, 0, 0), &mut frame);
        assert_eq!(frame.meta.checksum, Checksum::Unknown);
    }

    #[test]
    fn a_tag_moves_the_place_of_the_checksum_on_the_way_out() {
        let mut chunk = vec![0; 2000];
        let mut frame = Frame::new(&mut chunk);
        assert!(frame.fill(96, &[0; 1500]));
        apply(header(NEEDS_CSUM, 0, 0, 34, 16), &mut frame);
        frame.push_tag(0x88a8, 100).unwrap();
        assert_eq!(of(&frame), header(NEEDS_CSUM, 0, 0, 38, 16));
    }

    proptest! {
        #[test]
        fn how_long_headers_are_and_whether_congestion_was_told_is_not_believed_but_read(
            header in any::<[u8; LEN]>(),
            bytes in prop::collection::vec(any::<u8>(), 0..200),
            (hdr_len, ecn) in any::<([u8; 2], bool)>(),
        ) {
            let told = |header: [u8; LEN]| {
                let mut chunk = [0; 300];
                let mut frame = Frame::new(&mut chunk);
                assert!(frame.fill(96, &bytes));
                apply(header, &mut frame);
                (frame.meta.gso, frame.meta.checksum, of(&frame))
            };
            let other = [header[0], header[1] & !GSO_ECN | if ecn { GSO_ECN } else { 0 }, hdr_len[0], hdr_len[1]];
            let (gso, checksum, out) = told(header);
            prop_assert_eq!((gso, checksum, out), told([&other[..], &header[4..]].concat().try_into().unwrap()));
            // The kernel takes nothing else.
            prop_assert!(usize::from(u16::from_ne_bytes([out[2], out[3]])) <= bytes.len());
            prop_assert_eq!(out[1] != 0, gso.is_some());
        }
    }

    #[test]
    fn headers_are_measured_and_congestion_is_told() {
        let mut bytes = vec![0; 5000];
        bytes[34 + 12] = 0x80;
        bytes[34 + 13] = TCP_CWR | 0x10;
        let mut chunk = vec![0; 6000];
        let mut frame = Frame::new(&mut chunk);
        assert!(frame.fill(96, &bytes));
        apply(header(NEEDS_CSUM, GSO_TCP4, 1448, 34, 16), &mut frame);
        let told = of(&frame);
        assert_eq!((told[1], u16::from_ne_bytes([told[2], told[3]])), (GSO_TCP4 | GSO_ECN, 34 + 32));
    }
}
