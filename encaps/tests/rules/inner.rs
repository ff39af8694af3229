//! What is read of a tenant's frame: IPv4 with options, IPv6 with extension headers, and what may stand before them.

use std::net::IpAddr;

use proptest::prelude::*;
use transload_encaps::inner::{Ending, Extensions, Fragment, Inner, IpPacket};
use transload_encaps::{ecn, flow};

use crate::packet::{ethernet, ipv4, ipv6, seal};
use crate::support::{chunk, frame};
use crate::tagged;

const TCP: u8 = 6;
/// What stands for a TCP header: ports 1001 and 80, and no matter what.
const SEGMENT: [u8; 20] = [3, 0xe9, 0, 80, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 2, 0x20, 0, 0, 0, 0, 0];
const MPLS: u16 = 0x8847;
const MPLS_UPSTREAM: u16 = 0x8848;
const PPPOE: u16 = 0x8864;

fn packet(frame: &[u8]) -> IpPacket {
    Inner::of(frame).expect("it has a type").packet().expect("it is an IP packet")
}

/// An extension header of this type and length, before what is of type `next`.
pub(crate) fn extension(kind: u8, next: u8, len: usize) -> Vec<u8> {
    let units = match kind {
        44 => 0,
        51 => len / 4 - 2,
        _ => len / 8 - 1,
    };
    let mut header = vec![next, units as u8];
    header.resize(len, 0);
    header
}

/// A fragment header (RFC 8200 §4.5): the offset in units of 8 bytes, and whether more follow.
fn fragment(next: u8, offset: u16, more: bool) -> Vec<u8> {
    let [o1, o2] = (offset << 3 | u16::from(more)).to_be_bytes();
    // The second byte is reserved, and no length.
    vec![next, 0xff, o1, o2, 0, 0, 0, 1]
}

/// A frame of a TCP segment behind these extension headers, each with its length.
pub(crate) fn behind(extensions: &[(u8, usize)], segment: &[u8]) -> Vec<u8> {
    let types: Vec<u8> = extensions.iter().map(|&(kind, _)| kind).chain([TCP]).collect();
    let headers = extensions.iter().zip(&types[1..]).map(|(&(kind, len), &next)| extension(kind, next, len));
    ethernet(0x86dd, &ipv6(types[0], &[headers.collect::<Vec<_>>().concat(), segment.to_vec()].concat()))
}

/// A label stack entry (RFC 3032 §2.1) with a TTL of 64.
pub(crate) fn label(label: u32, is_bottom: bool) -> [u8; 4] {
    (label << 12 | u32::from(is_bottom) << 8 | 64).to_be_bytes()
}

/// These labels before a payload, the last one at the bottom.
pub(crate) fn labelled(labels: &[u32], payload: &[u8]) -> Vec<u8> {
    let entries = (1..).zip(labels).flat_map(|(n, &value)| label(value, n == labels.len()));
    ethernet(MPLS, &entries.chain(payload.iter().copied()).collect::<Vec<_>>())
}

/// A `PPPoE` session packet (RFC 2516 §4) that carries this PPP protocol.
pub(crate) fn in_session(id: u16, protocol: &[u8], payload: &[u8]) -> Vec<u8> {
    let len = (protocol.len() + payload.len()) as u16;
    let header = [&[0x11, 0][..], &id.to_be_bytes(), &len.to_be_bytes()].concat();
    ethernet(PPPOE, &[&header, protocol, payload].concat())
}

#[test]
fn an_ipv4_packet_is_found_behind_tags_and_options_and_ends_before_the_padding() {
    let stacks: [&[(u16, u16)]; 3] = [&[], &[(0x8100, 7)], &[(0x88a8, 100), (0x8100, 7)]];
    for tags in stacks {
        for options in [0, 4, 40] {
            let mut bytes = tagged(&ethernet(0x0800, &ipv4(TCP, &vec![1; options], &SEGMENT)), tags);
            let (at, end) = (14 + 4 * tags.len(), bytes.len());
            bytes.extend([0; 6]);
            let expected = IpPacket {
                at,
                l4: Some(at + 20 + options),
                end,
                ending: Ending::Stated,
                protocol: TCP,
                src: IpAddr::from([192, 0, 2, 1]),
                dst: IpAddr::from([192, 0, 2, 2]),
                dont_fragment: false,
                fragment: None,
                extensions: Extensions::Options,
            };
            assert_eq!(packet(&bytes), expected);
        }
    }
}

#[test]
fn every_extension_header_is_passed_by_its_own_length() {
    let rows = [
        (0, [8, 24], Extensions::Options),
        (60, [8, 2048], Extensions::Options),
        (43, [8, 40], Extensions::Routing),
        // RFC 8200 §4.5: always eight bytes.
        (44, [8, 8], Extensions::Other),
        // RFC 4302 §2.2: in words of four bytes.
        (51, [16, 24], Extensions::Other),
        (135, [8, 16], Extensions::Other),
        (139, [40, 48], Extensions::Other),
        (140, [8, 16], Extensions::Other),
    ];
    for (kind, lengths, extensions) in rows {
        for len in lengths {
            let found = packet(&behind(&[(kind, len)], &SEGMENT));
            let passed = (found.protocol, found.l4, found.extensions);
            assert_eq!(passed, (TCP, Some(14 + 40 + len), extensions), "type {kind}, {len} bytes");
        }
    }
}

#[test]
fn the_worst_of_several_extension_headers_counts() {
    let found = |kinds: &[(u8, usize)]| packet(&behind(kinds, &SEGMENT)).extensions;
    assert_eq!(found(&[(0, 8), (60, 8)]), Extensions::Options);
    assert_eq!(found(&[(0, 8), (43, 24), (60, 8)]), Extensions::Routing);
    assert_eq!(found(&[(51, 24), (60, 8)]), Extensions::Other);
}

#[test]
fn what_is_no_extension_header_ends_the_walk() {
    // ESP, ICMPv6, "nothing follows", SCTP, and the two for experiments.
    for protocol in [50, 58, 59, 132, 253, 254] {
        let bytes = ethernet(0x86dd, &ipv6(60, &[extension(60, protocol, 16), vec![9; 30]].concat()));
        let found = packet(&bytes);
        assert_eq!((found.protocol, found.l4), (protocol, Some(14 + 40 + 16)));
    }
}

#[test]
fn eight_extension_headers_are_passed_and_no_ninth() {
    let found = packet(&behind(&[(60, 8); 8], &SEGMENT));
    assert_eq!((found.protocol, found.l4), (TCP, Some(14 + 40 + 64)));
    let found = packet(&behind(&[(60, 8); 9], &SEGMENT));
    assert_eq!((found.protocol, found.l4), (60, None));
}

#[test]
fn behind_a_header_that_is_cut_short_there_is_no_transport() {
    let whole = behind(&[(0, 8), (60, 16)], &[]);
    assert_eq!(packet(&whole).l4, Some(whole.len()));
    for len in 14 + 40 + 8..whole.len() {
        let found = packet(&whole[..len]);
        assert_eq!((found.protocol, found.l4, found.ending), (60, None, Ending::Cut), "{len} bytes");
    }
    let options = ethernet(0x0800, &ipv4(TCP, &[1; 8], &[]));
    assert_eq!(packet(&options).l4, Some(42));
    assert_eq!(packet(&options[..41]).l4, None);
}

#[test]
fn only_the_first_fragment_has_a_transport_header() {
    let v4 = |flags: u16| {
        let mut bytes = ipv4(TCP, &[], &SEGMENT);
        bytes[6..8].copy_from_slice(&flags.to_be_bytes());
        let found = packet(&ethernet(0x0800, &bytes));
        (found.fragment, found.l4, found.dont_fragment)
    };
    assert_eq!(v4(0x4000), (None, Some(34), true));
    assert_eq!(v4(0x2000), (Some(Fragment::First), Some(34), false));
    assert_eq!(v4(0x2001), (Some(Fragment::Later), None, false));
    assert_eq!(v4(0x0001), (Some(Fragment::Later), None, false));

    let v6 = |header: Vec<u8>| {
        let found = packet(&ethernet(0x86dd, &ipv6(44, &[header, SEGMENT.to_vec()].concat())));
        (found.fragment, found.l4, found.protocol)
    };
    assert_eq!(v6(fragment(TCP, 0, true)), (Some(Fragment::First), Some(62), TCP));
    assert_eq!(v6(fragment(TCP, 0, false)), (Some(Fragment::First), Some(62), TCP));
    assert_eq!(v6(fragment(TCP, 1, true)), (Some(Fragment::Later), None, TCP));
    // Where it would be the next extension header, there is payload.
    assert_eq!(v6(fragment(60, 1, false)), (Some(Fragment::Later), None, 60));
}

#[test]
fn a_packet_ends_where_its_header_says_as_far_as_the_frame_goes() {
    let ending = |bytes: &[u8]| {
        let found = packet(bytes);
        (found.end, found.ending)
    };
    let mut v4 = ethernet(0x0800, &ipv4(TCP, &[], &SEGMENT));
    let mut v6 = ethernet(0x86dd, &ipv6(TCP, &SEGMENT));
    assert_eq!([ending(&v4), ending(&v6)], [(54, Ending::Stated), (74, Ending::Stated)]);
    assert_eq!([ending(&v4[..53]), ending(&v6[..73])], [(53, Ending::Cut), (73, Ending::Cut)]);
    // A jumbogram, and Linux's super-frames of more than 64 KB.
    v4[16..18].fill(0);
    v6[18..20].fill(0);
    assert_eq!([ending(&v4), ending(&v6)], [(54, Ending::Open), (74, Ending::Open)]);
}

#[test]
fn what_is_no_ip_header_is_no_packet() {
    let (mut v4, mut v6) = (ethernet(0x0800, &ipv4(TCP, &[], &[])), ethernet(0x86dd, &ipv6(TCP, &[])));
    let is_packet = |bytes: &[u8]| Inner::of(bytes).is_some_and(|inner| inner.packet().is_some());
    assert!(is_packet(&v4) && is_packet(&v6));
    assert!(!is_packet(&v4[..33]) && !is_packet(&v6[..53]), "cut inside the header");
    (v4[14], v6[14]) = (0x44, 0x40);
    assert!(!is_packet(&v4) && !is_packet(&v6), "a header of 16 bytes, a false version");
    assert!(Inner::of(&v4[..13]).is_none(), "no type");
}

/// Frames whose IP packet is another network's, or a subscriber's.
fn carried() -> Vec<Vec<u8>> {
    let packets = [ipv4(TCP, &[], &SEGMENT), ipv6(TCP, &SEGMENT)];
    let frames = packets.iter().zip([[0x00, 0x21], [0x00, 0x57]]);
    frames.flat_map(|(packet, protocol)| [labelled(&[100], packet), in_session(7, &protocol, packet)]).collect()
}

#[test]
fn behind_labels_and_sessions_nothing_is_marked_and_no_class_is_taken() {
    const CE: u8 = 3;
    for bytes in carried() {
        let inner = Inner::of(&bytes).unwrap();
        assert_eq!((inner.packet(), inner.traffic_class()), (None, None));
        let mut chunk = chunk();
        let mut frame = frame(&mut chunk, &bytes);
        assert_eq!(ecn::decap(&mut frame, CE), Ok(()));
        assert_eq!(frame.bytes(), bytes);
    }
}

#[test]
fn a_label_stack_is_read_down_to_what_it_carries() {
    for (ether_type, tags) in [(MPLS, &[][..]), (MPLS_UPSTREAM, &[(0x8100, 7)])] {
        for carried in [ipv4(TCP, &[1; 4], &SEGMENT), ipv6(TCP, &SEGMENT)] {
            let mut bytes = tagged(&labelled(&[0xf_ffff, 3, 16], &carried), tags);
            let at = 14 + 4 * tags.len();
            bytes[at - 2..at].copy_from_slice(&ether_type.to_be_bytes());
            let stack = Inner::of(&bytes).unwrap().label_stack().unwrap();
            assert_eq!(stack.ordinary_labels().collect::<Vec<_>>(), [0xf_ffff, 16]);
            assert_eq!(stack.entropy_label(), None);
            let found = stack.packet().expect("it carries an IP packet");
            assert_eq!((found.at, found.end), (at + 12, bytes.len()));
            assert_eq!((found.protocol, found.l4), (TCP, Some(bytes.len() - SEGMENT.len())));
        }
    }
}

#[test]
fn special_labels_and_what_extends_them_tell_no_flows_apart() {
    let all: Vec<u32> = (0..18).chain([15, 1000, 2000, 15, 7]).collect();
    let bytes = labelled(&all[16..], &[]);
    let labels = |bytes: &[u8]| Inner::of(bytes).unwrap().label_stack().unwrap().ordinary_labels().collect::<Vec<_>>();
    assert_eq!(labels(&bytes), [16, 17, 2000]);
    assert_eq!(labels(&labelled(&all[..15], &[])), [0; 0]);
}

#[test]
fn the_topmost_entropy_label_is_the_one_behind_its_indicator() {
    let entropy = |labels: &[u32]| Inner::of(&labelled(labels, &[])).unwrap().label_stack().unwrap().entropy_label();
    assert_eq!(entropy(&[100, 7, 4711, 200, 7, 4712]), Some(4711));
    assert_eq!(entropy(&[100, 4711]), None);
    // RFC 6790 §4.2: the indicator is never at the bottom.
    assert_eq!(entropy(&[100, 7]), None);
}

#[test]
fn a_stack_without_a_bottom_carries_nothing() {
    let endless: Vec<u8> = (0..40).flat_map(|n| label(100 + n, false)).collect();
    for len in 0..endless.len() {
        let bytes = ethernet(MPLS, &endless[..len]);
        let stack = Inner::of(&bytes).unwrap().label_stack().unwrap();
        assert_eq!(stack.ordinary_labels().count(), (len / 4).min(16), "sixteen are enough");
        assert_eq!(stack.packet(), None);
    }
    let deep = labelled(&[100; 17], &ipv4(TCP, &[], &SEGMENT));
    assert_eq!(Inner::of(&deep).unwrap().label_stack().unwrap().packet(), None);
}

#[test]
fn a_pseudowires_frame_is_not_taken_for_an_ip_packet() {
    let carries_ip = |bytes: &[u8]| Inner::of(bytes).unwrap().label_stack().unwrap().packet().is_some();
    let inside = ethernet(0x0800, &ipv4(TCP, &[], &[9; 100]));
    // RFC 4385 §3: with a control word it begins with a nibble of 0.
    assert!(!carries_ip(&labelled(&[100], &[&[0; 4][..], &inside].concat())));
    // Without one, with the destination's MAC address, of which the last bytes look like a length.
    for first in [0x45, 0x60] {
        let mut inside = inside.clone();
        inside[0] = first;
        let [l1, l2] = (inside.len() as u16).to_be_bytes();
        (inside[2], inside[3]) = (l1, l2);
        assert!(!carries_ip(&labelled(&[100], &inside)), "{first:#x}");
    }
    // IPv4 whose header checksum is wrong, and IPv6 that ends too early for a frame of this length.
    let mut v4 = ipv4(TCP, &[], &[9; 100]);
    assert!(carries_ip(&labelled(&[100], &v4)));
    v4[8] -= 1;
    assert!(!carries_ip(&labelled(&[100], &v4)));
    seal(&mut v4);
    assert!(carries_ip(&labelled(&[100], &v4)));
    let v6 = ipv6(TCP, &[9; 100]);
    assert!(carries_ip(&labelled(&[100], &v6)));
    assert!(!carries_ip(&labelled(&[100], &[&v6[..], &[0]].concat())));
}

#[test]
fn a_short_packet_behind_labels_may_be_padded() {
    let mut bytes = labelled(&[100], &ipv4(17, &[], &[0, 7, 0, 7, 0, 8, 0, 0]));
    let end = bytes.len();
    bytes.resize(60, 0);
    let found = Inner::of(&bytes).unwrap().label_stack().unwrap().packet().expect("it is an IP packet");
    assert_eq!(found.end, end);
}

#[test]
fn a_session_is_read_with_its_packet() {
    let session = |bytes: &[u8]| Inner::of(bytes).unwrap().session();
    let (v4, v6) = (ipv4(TCP, &[], &SEGMENT), ipv6(TCP, &SEGMENT));
    // RFC 1661 §6.5: the last two have the protocol in one byte.
    let rows: [(&[u8], &[u8]); 4] = [(&[0, 0x21], &v4), (&[0, 0x57], &v6), (&[0x21], &v4), (&[0x57], &v6)];
    for (protocol, carried) in rows {
        let found = session(&in_session(0x1234, protocol, carried)).expect("it is a session's");
        assert_eq!(found.id, 0x1234);
        assert_eq!(found.packet.map(|packet| packet.at), Some(14 + 6 + protocol.len()));
    }
    // LCP is the session's own business.
    let found = session(&in_session(7, &[0xc0, 0x21], &v4)).expect("it is a session's");
    assert_eq!((found.id, found.packet), (7, None));
}

#[test]
fn what_is_no_session_packet_is_none() {
    let good = in_session(7, &[0, 0x21], &ipv4(TCP, &[], &SEGMENT));
    // RFC 2516 §5: discovery's codes, another version; then discovery's Ethernet type.
    for (at, value) in [(15, 0x09), (15, 0xa7), (14, 0x21), (13, 0x63)] {
        let mut bad = good.clone();
        bad[at] = value;
        assert_eq!(Inner::of(&bad).unwrap().session(), None);
    }
    assert_eq!(Inner::of(&good[..21]).unwrap().session(), None);
}

/// Bytes among which the numbers that readers look for are common.
fn rubbish() -> impl Strategy<Value = Vec<u8>> {
    let telling =
        prop::sample::select(vec![0_u8, 1, 6, 7, 17, 0x21, 43, 44, 0x45, 0x4f, 51, 0x57, 58, 60, 0x60, 135, 140]);
    prop::collection::vec(prop_oneof![3 => telling, 1 => any::<u8>()], 0..160)
}

/// A frame of some type, perhaps tagged, that begins as that type should, and goes on as it may.
fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let starts: Vec<(u16, Vec<u8>)> = vec![
        (0x0800, vec![0x45]),
        (0x86dd, vec![0x60]),
        (MPLS, label(100, true).to_vec()),
        (MPLS_UPSTREAM, [label(100, false), label(7, false), label(101, true)].concat()),
        (PPPOE, vec![0x11, 0, 0, 7, 0, 20, 0, 0x21, 0x45]),
        (PPPOE, vec![0x11, 0, 0, 7, 0, 20, 0, 0x57, 0x60]),
        (0x0800, vec![]),
        (0x86dd, vec![]),
        (0x88b5, vec![]),
    ];
    let tags = prop::collection::vec((prop::sample::select(vec![0x8100_u16, 0x88a8, 0x9100]), any::<u16>()), 0..10);
    (prop::sample::select(starts), tags, rubbish(), 0..260_usize).prop_map(|((ether_type, start), tags, rest, len)| {
        let mut bytes = tagged(&ethernet(ether_type, &[start, rest].concat()), &tags);
        bytes.truncate(len);
        bytes
    })
}

fn is_within(bytes: &[u8], packet: &IpPacket) -> bool {
    let header_len = if packet.src.is_ipv4() { 20 } else { 40 };
    let version = bytes[packet.at] >> 4;
    let is_filled = packet.ending == Ending::Stated || packet.end == bytes.len();
    version == if packet.src.is_ipv4() { 4 } else { 6 }
        && packet.at + header_len <= bytes.len()
        && (packet.at..=bytes.len()).contains(&packet.end)
        && packet.l4.is_none_or(|l4| (packet.at + header_len..=bytes.len()).contains(&l4))
        && is_filled
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn every_offset_is_inside_the_frame(bytes in any_frame()) {
        let Some(inner) = Inner::of(&bytes) else { return Ok(()) };
        prop_assert!(inner.at <= bytes.len());
        let stack = inner.label_stack();
        let carried = [inner.packet(), stack.and_then(|stack| stack.packet()), inner.session().and_then(|s| s.packet)];
        for packet in carried.into_iter().flatten() {
            prop_assert!(is_within(&bytes, &packet), "{packet:?}");
        }
        prop_assert!(stack.is_none_or(|stack| stack.ordinary_labels().all(|label| (16..1 << 20).contains(&label))));
        prop_assert_eq!(flow::inner(&bytes), (flow::hash(&bytes), inner.traffic_class().unwrap_or(0)));
    }
}
