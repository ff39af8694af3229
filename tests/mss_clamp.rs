//! MSS clamp: what TCP hosts allow each other fits the ways in both directions.

mod common;

use common::Lab;
use common::places::{ALL, PLACES, from, inner_of, learn};
use common::wire::{self, IPV4, IPV6, mac};
use transload::io::memory::Packet;
use transload_encaps::Checksum;

const SYN: u8 = 0x02;
const ACK: u8 = 0x10;
const NOP: u8 = 1;

fn lab(clamp: &str) -> Lab {
    let yaml = ALL
        .replace("device: up,", "device: up, mtu: 1500,")
        .replace("device: access }", "device: access, mtu: 1400 }")
        .replace("  blue:\n", &format!("  blue:\n    duplicates: off\n    loop_guard: off\n    mss_clamp: {clamp}\n"));
    Lab::new(&yaml)
}

fn pseudo_header(packet: &[u8], tcp_len: usize) -> Vec<u8> {
    let addresses = if packet[0] >> 4 == 4 { &packet[12..20] } else { &packet[8..40] };
    [addresses, &[0, 6], &(tcp_len as u16).to_be_bytes()].concat()
}

/// Where TCP begins in an IP packet of these tests.
fn tcp_at(packet: &[u8]) -> usize {
    match (packet[0] >> 4, packet[6]) {
        (4, _) => usize::from(packet[0] & 15) * 4,
        (_, 60) => 48,
        _ => 40,
    }
}

/// Whether the TCP checksum of a frame is right.
fn is_right(frame: &[u8]) -> bool {
    let packet = &frame[ip_at(frame)..];
    let tcp = &packet[tcp_at(packet)..];
    wire::sum(&[&pseudo_header(packet, tcp.len()), tcp]) == 0
}

fn ip_at(frame: &[u8]) -> usize {
    if frame[12] == 0x81 { 18 } else { 14 }
}

/// A TCP segment from host 1 to host 2 with these flags and options, and a right checksum.
fn segment(ether_type: u16, flags: u8, options: &[u8]) -> Vec<u8> {
    let mut tcp = vec![0x9c, 0x41, 0, 80, 1, 2, 3, 4, 5, 6, 7, 8, ((20 + options.len()) * 4) as u8, flags, 0xff, 0xff];
    tcp.extend([0, 0, 0, 0]);
    tcp.extend(options);
    let mut packet = if ether_type == IPV4 {
        wire::ipv4([10, 0, 0, 1].into(), [10, 0, 0, 2].into(), 0, 6, &tcp)
    } else {
        wire::ipv6("fd00::1".parse().unwrap(), "fd00::2".parse().unwrap(), 0, 6, &tcp)
    };
    let at = tcp_at(&packet);
    let sum = wire::sum(&[&pseudo_header(&packet, tcp.len()), &packet[at..]]);
    packet[at + 16..at + 18].copy_from_slice(&sum.to_be_bytes());
    wire::ethernet(mac(2), mac(1), ether_type, &packet)
}

fn mss(value: u16) -> [u8; 4] {
    let [high, low] = value.to_be_bytes();
    [2, 4, high, low]
}

/// Sends a frame from one place to another and gives back what arrives there.
fn carried(lab: &mut Lab, a: &str, b: &str, frame: &[u8]) -> Vec<u8> {
    learn(lab, b, 2);
    let (port, packet) = from(a, frame);
    let sent = lab.send(port, packet);
    inner_of(b, &sent[0].1).unwrap_or_else(|| panic!("{a} to {b}: {sent:02x?}"))
}

fn mss_of(frame: &[u8]) -> u16 {
    let packet = &frame[ip_at(frame)..];
    let tcp = &packet[tcp_at(packet)..];
    let at = (20..tcp.len() - 3).find(|at| tcp[*at..*at + 2] == [2, 4]).expect("an MSS option");
    u16::from_be_bytes([tcp[at + 2], tcp[at + 3]])
}

/// The tenant's MTU by way of each place, by hand.
fn mtu_of(place: &str) -> u16 {
    match place {
        "vxlan4" | "vxlan4b" => 1450,
        "nvgre4" | "nvgre4b" | "gre4" => 1458,
        "gre4b" => 1462,
        "vxlan6" => 1430,
        "nvgre6" | "gre6" => 1438,
        "both" => 1392,
        "outer" => 1396,
        _ => 1400,
    }
}

#[test]
fn both_ends_keep_to_the_narrower_of_both_ways() {
    // RFC 9293 §3.7.1: the MTU less 40 bytes over IPv4 and 60 over IPv6.
    let mut lab = lab("true");
    for a in PLACES {
        for b in PLACES.into_iter().filter(|b| *b != a) {
            let mtu = mtu_of(a).min(mtu_of(b));
            for (ether_type, headers) in [(IPV4, 40), (IPV6, 60)] {
                for flags in [SYN, SYN | ACK, SYN | 0xc0] {
                    let after = carried(&mut lab, a, b, &segment(ether_type, flags, &mss(9000)));
                    assert_eq!(mss_of(&after), mtu - headers, "{a} to {b}");
                    assert!(is_right(&after));
                }
            }
        }
    }
}

#[test]
fn a_stated_number_of_bytes_holds_for_both_ip_versions() {
    let mut lab = lab("1234");
    for ether_type in [IPV4, IPV6] {
        let after = carried(&mut lab, "gre4", "vxlan4", &segment(ether_type, SYN, &mss(1460)));
        assert_eq!((mss_of(&after), is_right(&after)), (1234, true));
    }
}

#[test]
fn the_checksum_stays_right_wherever_the_option_stands_and_whatever_it_held() {
    let mut lab = lab("true");
    for ether_type in [IPV4, IPV6] {
        for offset in 0..8_usize {
            for value in [1419, 1420, 1461, 8960, 0xff00, 0x00ff_u16.swap_bytes(), 0xffff] {
                let mut options = vec![NOP; offset];
                options.extend(mss(value));
                options.resize(12, 0);
                let before = segment(ether_type, SYN, &options);
                let after = carried(&mut lab, "nvgre4", "vxlan4", &before);
                let most = if ether_type == IPV4 { 1410 } else { 1390 };
                assert_eq!(mss_of(&after), value.min(most));
                assert!(is_right(&after), "{value} at {offset}");
            }
        }
    }
}

#[test]
fn options_before_it_are_walked_over() {
    let mut lab = lab("true");
    let timestamps = [8, 10, 2, 4, 0xff, 0xff, 2, 4, 0xff, 0xff];
    let options = [&timestamps[..], &[NOP, NOP], &mss(1460)].concat();
    let after = carried(&mut lab, "gre4", "vxlan4", &segment(IPV4, SYN, &options));
    assert_eq!(after[54..64], timestamps, "which look like the option, and are not");
    assert_eq!((after[66..70].to_vec(), is_right(&after)), (mss(1410).to_vec(), true));
}

#[test]
fn behind_a_kept_tag_it_counts_too() {
    let mut lab = lab("true");
    for (ether_type, headers) in [(IPV4, 40), (IPV6, 60)] {
        let syn = wire::tag(&segment(ether_type, SYN, &mss(1460)), 0x8100, 5);
        let after = carried(&mut lab, "gre4", "vxlan4", &syn);
        assert_eq!((mss_of(&after), is_right(&after)), (1450 - 4 - headers, true));
    }
}

#[test]
fn behind_ipv6_options_it_is_found() {
    let mut lab = lab("true");
    let plain = segment(IPV6, SYN, &mss(1460));
    let mut syn = [&plain[..54], &[6, 0, 1, 4, 0, 0, 0, 0], &plain[54..]].concat();
    syn[20] = 60;
    syn[19] += 8;
    let after = carried(&mut lab, "gre4", "vxlan4", &syn);
    assert_eq!((mss_of(&after), is_right(&after)), (1390, true));
}

#[test]
fn behind_what_authenticates_or_divides_it_is_left_alone() {
    let mut lab = lab("true");
    let plain = segment(IPV6, SYN, &mss(1460));
    // A fragment header, an authentication header, mobility, host identity, shim6: eight bytes long, each by its rule.
    for extension in [44, 51, 135, 139, 140] {
        let mut syn = [&plain[..54], &[6, 0, 0, 0, 0, 0, 0, 0], &plain[54..]].concat();
        syn[20] = extension;
        syn[19] += 8;
        assert_eq!(carried(&mut lab, "gre4", "vxlan4", &syn), syn, "type {extension}");
    }
}

#[test]
fn behind_labels_and_in_sessions_it_is_left_alone() {
    let mut lab = lab("true");
    let plain = segment(IPV4, SYN, &mss(1460));
    for (ether_type, header) in
        [([0x88, 0x47], &[0, 6, 0x41, 64][..]), ([0x88, 0x64], &[0x11, 0, 0, 7, 0, 46, 0, 0x21])]
    {
        let syn = [&plain[..12], &ether_type, header, &plain[14..]].concat();
        assert_eq!(carried(&mut lab, "gre4", "vxlan4", &syn), syn);
    }
}

#[test]
fn an_unfinished_checksum_is_finished_over_the_new_value() {
    for place in ["vxlan4", "both"] {
        let mut lab = lab("true");
        learn(&mut lab, place, 2);
        let mut bytes = segment(IPV4, SYN, &mss(1460));
        let sum = !wire::sum(&[&pseudo_header(&bytes[14..], 24)]);
        bytes[50..52].copy_from_slice(&sum.to_be_bytes());
        let (port, bytes) = from("single", &bytes);
        let checksum = Checksum::Partial { start: 38, offset: 16 };
        let sent = lab.send(port, Packet { bytes, checksum, gso: None, cut: false });
        let after = inner_of(place, &sent[0].1).unwrap();
        assert_eq!(mss_of(&after), mtu_of(place).min(1400) - 40);
        assert!(is_right(&after));
    }
}

#[test]
fn what_is_no_syn_or_has_no_option_or_allows_less_is_left_alone() {
    let mut lab = lab("true");
    let mut later = segment(IPV4, SYN, &mss(9000));
    later[21] = 1;
    let mut udp = segment(IPV4, SYN, &mss(9000));
    udp[23] = 17;
    for frame in [
        segment(IPV4, ACK, &mss(9000)),
        segment(IPV4, SYN, &[]),
        segment(IPV4, SYN, &[0, 2, 4, 0xff]),
        segment(IPV4, SYN, &[2, 5, 0xff, 0xff, 0xff, 0, 0, 0]),
        segment(IPV4, SYN, &[NOP, 2, 4, 0xff]),
        segment(IPV4, SYN, &[8, 0, 2, 4, 0xff, 0xff, 0, 0]),
        segment(IPV4, SYN, &mss(1410)),
        segment(IPV6, SYN, &mss(536)),
        later,
        udp,
    ] {
        assert_eq!(carried(&mut lab, "gre4", "vxlan4", &frame), frame);
    }
}

#[test]
fn nobody_is_clamped_unasked() {
    let mut lab = lab("false");
    let syn = segment(IPV4, SYN, &mss(9000));
    assert_eq!(carried(&mut lab, "gre4", "vxlan4", &syn), syn);
}

#[test]
fn without_an_mtu_there_is_nothing_to_clamp_to() {
    let mut lab = Lab::new(&ALL.replace("  blue:\n", "  blue:\n    mss_clamp: true\n"));
    let syn = segment(IPV4, SYN, &mss(9000));
    assert_eq!(carried(&mut lab, "gre4", "vxlan4", &syn), syn);
}
