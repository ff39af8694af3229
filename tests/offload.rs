//! What a sender left to its device comes out right: judged by `pnet_packet`, which shares no code with us.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use pnet_packet::{ipv4, tcp, udp};
use proptest::prelude::*;
use transload::dataplane::offload::{finish, segments};
use transload::io::Pool;
use transload::io::memory::Packet;
use transload_encaps::{Checksum, Common, Frame, Gso, GsoKind};

const CHUNK: usize = 70_000;
const HEADROOM: usize = 96;
const V4: (IpAddr, IpAddr) = (IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2)));
const V6: (IpAddr, IpAddr) =
    (IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1)), IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2)));
const FIN_PSH_ACK_CWR: u8 = 0x01 | 0x08 | 0x10 | 0x80;

/// A host's super-frame as a veth hands it over.
#[derive(Debug, Clone)]
struct Super {
    tags: usize,
    kind: GsoKind,
    v6: bool,
    options: usize,
    hop_by_hop: bool,
    id: u16,
    seq: u32,
    size: u16,
    payload: Vec<u8>,
}

impl Super {
    fn addresses(&self) -> (IpAddr, IpAddr) {
        if self.v6 { V6 } else { V4 }
    }

    fn is_tcp(&self) -> bool {
        self.kind != GsoKind::Udp
    }

    fn ip_at(&self) -> usize {
        14 + 4 * self.tags
    }

    fn l4_at(&self) -> usize {
        self.ip_at() + if self.v6 { 40 + if self.hop_by_hop { 8 } else { 0 } } else { 20 }
    }

    fn l4_len(&self) -> usize {
        if self.is_tcp() { 20 + self.options } else { 8 }
    }

    fn l4_header(&self) -> Vec<u8> {
        let mut l4 = vec![0x9c, 0x41, 0x14, 0x51];
        if self.is_tcp() {
            l4.extend(self.seq.to_be_bytes());
            l4.extend([0, 0, 0, 9, (self.l4_len() * 4) as u8, FIN_PSH_ACK_CWR, 0xff, 0xff, 0, 0, 0, 0]);
            l4.extend(vec![1; self.options]);
        } else {
            l4.extend(((8 + self.payload.len()) as u16).to_be_bytes());
            l4.extend([0, 0]);
        }
        l4
    }

    fn network_header(&self, len: usize) -> Vec<u8> {
        let protocol = if self.is_tcp() { 6 } else { 17 };
        let mut ip = Vec::new();
        match self.addresses() {
            (IpAddr::V4(src), IpAddr::V4(dst)) => {
                ip.extend([0x45, 0x02]);
                ip.extend(((20 + len) as u16).to_be_bytes());
                ip.extend(self.id.to_be_bytes());
                ip.extend([0x40, 0, 64, protocol, 0, 0]);
                ip.extend(src.octets());
                ip.extend(dst.octets());
            }
            (IpAddr::V6(src), IpAddr::V6(dst)) => {
                let extension = if self.hop_by_hop { 8 } else { 0 };
                ip.extend([0x60, 0, 0, 0]);
                ip.extend(((extension + len) as u16).to_be_bytes());
                ip.extend([if self.hop_by_hop { 0 } else { protocol }, 64]);
                ip.extend(src.octets());
                ip.extend(dst.octets());
                if self.hop_by_hop {
                    ip.extend([protocol, 0, 1, 4, 0, 0, 0, 0]);
                }
            }
            _ => unreachable!("both addresses are of one family"),
        }
        ip
    }

    fn packet(&self) -> Packet {
        let mut bytes = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];
        for tag in 0..self.tags {
            bytes.extend([[0x88, 0xa8, 0x60, 0x64], [0x81, 0x00, 0xa0, 0x07], [0x81, 0x00, 0, 9]][tag]);
        }
        bytes.extend(if self.v6 { [0x86, 0xdd] } else { [0x08, 0x00] });
        bytes.extend(self.network_header(self.l4_len() + self.payload.len()));
        bytes.extend(self.l4_header());
        bytes.extend(&self.payload);
        let offset = if self.is_tcp() { 16 } else { 6 };
        Packet {
            bytes,
            checksum: Checksum::Partial { start: self.l4_at() as u32, offset },
            gso: Some(Gso { kind: self.kind, size: self.size }),
            cut: false,
        }
    }
}

fn super_frames() -> impl Strategy<Value = Super> {
    let shape = (0..4_usize, 0..2_usize, any::<bool>(), 0..11_usize, any::<bool>());
    let numbers = (any::<u16>(), any::<u32>(), 100..2000_u16);
    (shape, numbers, proptest::collection::vec(any::<u8>(), 0..20_000)).prop_map(|(shape, numbers, payload)| {
        let (tags, is_udp, v6, words, hop_by_hop) = shape;
        let kind = match (is_udp, v6) {
            (1, _) => GsoKind::Udp,
            (_, false) => GsoKind::Tcp4,
            (_, true) => GsoKind::Tcp6,
        };
        let (id, seq, size) = numbers;
        Super { tags, kind, v6, options: words * 4, hop_by_hop, id, seq, size, payload }
    })
}

/// Cuts a packet with an arena of this many chunks; also returns how many of them are free afterwards.
fn cut(packet: &Packet, chunks: usize) -> (Result<Vec<Packet>, String>, usize) {
    let mut arena = vec![0; CHUNK * chunks];
    let mut pool = Pool::new(&mut arena, CHUNK);
    let mut frame = pool.take(0).expect("a chunk for the super-frame");
    assert!(packet.load(&mut frame));
    let mut out = Vec::new();
    let result = segments(&frame, &mut pool, HEADROOM, |segment| {
        assert_eq!(segment.headroom(), HEADROOM);
        assert_eq!(segment.meta.gso, None);
        out.push(Packet::from(&segment));
    });
    (result.map(|()| out).map_err(|reason| reason.label().to_owned()), pool.free())
}

fn be16(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

/// `pnet_packet` gives the sum alone: a UDP sum of zero is sent as all ones (RFC 768), since zero says "no checksum".
fn of_udp(sum: u16) -> u16 {
    if sum == 0 { 0xffff } else { sum }
}

fn l4_checksum_is_right(whole: &Super, l4: &[u8]) -> bool {
    match (whole.addresses(), whole.is_tcp()) {
        ((IpAddr::V4(src), IpAddr::V4(dst)), true) => {
            let packet = tcp::TcpPacket::new(l4).unwrap();
            tcp::ipv4_checksum(&packet, &src, &dst) == packet.get_checksum()
        }
        ((IpAddr::V6(src), IpAddr::V6(dst)), true) => {
            let packet = tcp::TcpPacket::new(l4).unwrap();
            tcp::ipv6_checksum(&packet, &src, &dst) == packet.get_checksum()
        }
        ((IpAddr::V4(src), IpAddr::V4(dst)), false) => {
            let packet = udp::UdpPacket::new(l4).unwrap();
            of_udp(udp::ipv4_checksum(&packet, &src, &dst)) == packet.get_checksum()
        }
        ((IpAddr::V6(src), IpAddr::V6(dst)), false) => {
            let packet = udp::UdpPacket::new(l4).unwrap();
            of_udp(udp::ipv6_checksum(&packet, &src, &dst)) == packet.get_checksum()
        }
        _ => unreachable!("both addresses are of one family"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn segments_are_whole_packets_that_join_to_the_payload(whole in super_frames()) {
        let (result, _) = cut(&whole.packet(), 202);
        let parts = result.expect("a super-frame is cut");
        let (ip, l4, size) = (whole.ip_at(), whole.l4_at(), usize::from(whole.size));
        let mut joined: Vec<u8> = Vec::new();
        for (index, part) in parts.iter().enumerate() {
            let bytes = &part.bytes;
            let (first, last) = (index == 0, index + 1 == parts.len());
            let head = l4 + whole.l4_len();
            prop_assert_eq!(&bytes[..ip], &whole.packet().bytes[..ip], "addresses and tags");
            prop_assert!(bytes.len() - head == size || last && bytes.len() - head <= size);
            if whole.v6 {
                prop_assert_eq!(usize::from(be16(bytes, ip + 4)), bytes.len() - ip - 40);
            } else {
                prop_assert_eq!(usize::from(be16(bytes, ip + 2)), bytes.len() - ip);
                prop_assert_eq!(be16(bytes, ip + 4), whole.id.wrapping_add(index as u16));
                let header = ipv4::Ipv4Packet::new(&bytes[ip..]).unwrap();
                prop_assert_eq!(ipv4::checksum(&header), header.get_checksum());
            }
            if whole.is_tcp() {
                let header = tcp::TcpPacket::new(&bytes[l4..]).unwrap();
                prop_assert_eq!(header.get_sequence(), whole.seq.wrapping_add((index * size) as u32));
                prop_assert_eq!(header.get_flags() & 0x80 != 0, first, "CWR");
                prop_assert_eq!(header.get_flags() & 0x09 == 0x09, last, "FIN and PSH");
                prop_assert_eq!(header.get_flags() & 0x10, 0x10, "ACK");
            } else {
                prop_assert_eq!(usize::from(be16(bytes, l4 + 4)), bytes.len() - l4);
            }
            prop_assert!(l4_checksum_is_right(&whole, &bytes[l4..]));
            prop_assert_eq!(part.checksum, Checksum::Valid);
            joined.extend(&bytes[head..]);
        }
        prop_assert_eq!(joined, whole.payload);
    }

    #[test]
    fn nothing_panics_and_no_chunk_is_lost(
        mut bytes in proptest::collection::vec(any::<u8>(), 0..400),
        ether_type in prop_oneof![Just(0x0800_u16), Just(0x86dd), Just(0x8100), any::<u16>()],
        first in prop_oneof![Just(0x45_u8), Just(0x60), any::<u8>()],
        kind in prop_oneof![Just(GsoKind::Tcp4), Just(GsoKind::Tcp6), Just(GsoKind::Udp)],
        size in any::<u16>(),
        start in 0..500_u32,
        offset in any::<u16>(),
        partial in any::<bool>(),
    ) {
        if let Some(header) = bytes.get_mut(12..15) {
            header.copy_from_slice(&[(ether_type >> 8) as u8, ether_type as u8, first]);
        }
        let checksum = if partial { Checksum::Partial { start, offset } } else { Checksum::Unknown };
        let packet = Packet { bytes, checksum, gso: Some(Gso { kind, size }), cut: false };
        let (result, free) = cut(&packet, 8);
        prop_assert_eq!(result.map_or(0, |parts| parts.len()) + free, 7);
        let mut arena = vec![0; CHUNK];
        let mut frame = Frame::new(&mut arena);
        prop_assert!(packet.load(&mut frame));
        let before = frame.bytes().to_vec();
        if finish(&mut frame).is_err() {
            prop_assert_eq!(frame.bytes(), before);
        }
    }
}

fn tcp4(payload: usize) -> Super {
    let payload = (0..payload).map(|n| n as u8).collect();
    let (kind, v6, hop_by_hop) = (GsoKind::Tcp4, false, false);
    Super { tags: 0, kind, v6, options: 12, hop_by_hop, id: 0xffff, seq: u32::MAX - 9, size: 1448, payload }
}

/// What a sender puts into the field: the pseudo-header's sum, not inverted.
fn with_pseudo_header(whole: &Super) -> Packet {
    let mut packet = whole.packet();
    packet.gso = None;
    let len = whole.l4_len() + whole.payload.len();
    let protocol = if whole.is_tcp() { 6 } else { 17 };
    let (src, dst) = whole.addresses();
    let sum = transload_encaps::outer::pseudo_header(src, dst, protocol, len);
    let at = whole.l4_at() + if whole.is_tcp() { 16 } else { 6 };
    packet.bytes[at..at + 2].copy_from_slice(&transload_encaps::checksum::fold(sum).to_be_bytes());
    packet
}

/// Two bytes of payload that make the sum zero: all ones in UDP, where zero would say that there is none; zero in TCP.
#[test]
fn a_sum_of_zero_is_all_ones_in_udp_only() {
    for v6 in [false, true] {
        for kind in [GsoKind::Udp, if v6 { GsoKind::Tcp6 } else { GsoKind::Tcp4 }] {
            let mut whole = Super { v6, kind, options: 0, ..tcp4(300) };
            let at = |whole: &Super| whole.l4_at() + if whole.is_tcp() { 16 } else { 6 };
            let first = |whole: &Super| cut(&whole.packet(), 10).0.unwrap().swap_remove(0).bytes;
            whole.payload[..2].fill(0);
            let sum = be16(&first(&whole), at(&whole));
            whole.payload[..2].copy_from_slice(&sum.to_be_bytes());
            assert_eq!(be16(&first(&whole), at(&whole)), if whole.is_tcp() { 0 } else { 0xffff });
        }
    }
}

#[test]
fn an_unfinished_checksum_is_finished_in_place() {
    for v6 in [false, true] {
        for kind in [GsoKind::Udp, if v6 { GsoKind::Tcp6 } else { GsoKind::Tcp4 }] {
            let whole = Super { v6, kind, tags: 2, ..tcp4(999) };
            let mut arena = vec![0; CHUNK];
            let mut frame = Frame::new(&mut arena);
            assert!(with_pseudo_header(&whole).load(&mut frame));
            finish(&mut frame).unwrap();
            assert_eq!(frame.meta.checksum, Checksum::Valid);
            assert!(l4_checksum_is_right(&whole, &frame.bytes()[whole.l4_at()..]));
        }
    }
}

#[test]
fn the_place_of_a_checksum_survives_pushes_and_pulls() {
    let whole = tcp4(500);
    let mut arena = vec![0; CHUNK];
    let mut frame = Frame::new(&mut arena);
    assert!(with_pseudo_header(&whole).load(&mut frame));
    frame.push_tag(0x88a8, 100).unwrap();
    frame.prepend(&[0xaa; 50]).unwrap();
    finish(&mut frame).unwrap();
    assert!(l4_checksum_is_right(&whole, &frame.bytes()[54 + whole.l4_at()..]));
}

#[test]
fn a_checksum_in_stripped_headers_is_nobodys() {
    let mut arena = vec![0; 200];
    let mut frame = Frame::new(&mut arena);
    assert!(frame.fill(0, &[0x55; 100]));
    frame.meta.checksum = Checksum::Partial { start: 10, offset: 6 };
    frame.advance(50).unwrap();
    finish(&mut frame).unwrap();
    assert_eq!(frame.meta.checksum, Checksum::Unknown);
    assert_eq!(frame.bytes(), [0x55; 50]);
}

#[test]
fn a_super_frame_is_cut_whole_or_not_at_all() {
    let (result, free) = cut(&tcp4(14_480).packet(), 10);
    assert_eq!((result, free), (Err(transload_encaps::DropReason::from(Common::NoBuffer).label().to_owned()), 9));
    let (result, free) = cut(&tcp4(14_480).packet(), 11);
    assert_eq!((result.map(|parts| parts.len()), free), (Ok(10), 0));
}

#[test]
fn a_tunnel_inside_the_tenants_frame_is_not_cut_at_the_wrong_header() {
    let mut packet = tcp4(5000).packet();
    packet.checksum = Checksum::Partial { start: 84, offset: 16 };
    assert_eq!(cut(&packet, 20), (Err("unsegmentable".to_owned()), 19));
}

#[test]
fn only_behind_options_is_a_super_frame_cut() {
    let whole = Super { kind: GsoKind::Tcp6, v6: true, hop_by_hop: true, ..tcp4(5000) };
    let mut packet = whole.packet();
    // Hop-by-hop and destination options; then routing, fragment, mobility, host identity, shim6.
    for (extension, is_cut) in
        [(0, true), (60, true), (43, false), (44, false), (135, false), (139, false), (140, false)]
    {
        packet.bytes[20] = extension;
        assert_eq!(cut(&packet, 20).0.is_ok(), is_cut, "type {extension}");
    }
}

#[test]
fn a_udp_sender_without_checksums_gets_none() {
    let whole = Super { kind: GsoKind::Udp, ..tcp4(5000) };
    let packet = Packet { checksum: Checksum::Unknown, ..whole.packet() };
    let (result, _) = cut(&packet, 20);
    assert!(result.unwrap().iter().all(|part| be16(&part.bytes, whole.l4_at() + 6) == 0));
}

#[test]
fn a_frame_that_is_no_super_frame_is_copied_and_finished() {
    let whole = tcp4(700);
    let (result, _) = cut(&with_pseudo_header(&whole), 2);
    let parts = result.unwrap();
    assert_eq!((parts.len(), parts[0].bytes.len()), (1, whole.packet().bytes.len()));
    assert!(l4_checksum_is_right(&whole, &parts[0].bytes[whole.l4_at()..]));
}
