//! The redirect program over golden frames, run by the kernel without any device (`BPF_PROG_TEST_RUN`).

use std::net::IpAddr;

use transload_encaps::{Carrier, DropReason, Mac};

use super::filter::{AllowedSenders, Claims, Entrance, Filter, Tags};
use super::program::{self, CommonMaps, PASS};
use super::rows::REASONS;
use crate::bpf::{Program, ProgramKind};

/// What the program answers here for a frame that it would hand to a socket: `XDP_TX`, which it answers for no other.
const TAKEN: u32 = 3;
/// `XDP_DROP`.
const DROPPED: u32 = 1;

const OURS: [u8; 6] = [2, 0, 0, 0, 0, 1];
const OTHERS: [u8; 6] = [2, 0, 0, 0, 0, 9];
const LOCAL4: &str = "192.0.2.1";
const LOCAL6: &str = "2001:db8::1";

/// A loaded program, and what it counts; `None`, said loudly, where none may be loaded.
struct Loaded(Program, CommonMaps);

impl Loaded {
    fn new(test: &str, filter: &Filter) -> Option<Self> {
        match Self::load(filter) {
            Ok(loaded) => Some(loaded),
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                eprintln!("SKIPPED: {test}: loading XDP programs: {error}");
                None
            }
            Err(error) => panic!("{error}"),
        }
    }

    fn load(filter: &Filter) -> std::io::Result<Self> {
        let shared = CommonMaps::new(1)?;
        Ok(Self(program::load(filter, &shared, ProgramKind::Xdp, TAKEN)?, shared))
    }

    fn verdict(&self, frame: &[u8]) -> u32 {
        self.0.answer(frame).expect("runs")
    }

    fn takes(&self, frame: &[u8]) -> bool {
        let verdict = self.verdict(frame);
        assert!([PASS, TAKEN].contains(&verdict), "verdict {verdict}");
        verdict == TAKEN
    }

    /// What is counted, by reason: frames and bytes.
    fn counted(&self) -> Vec<(&'static str, u64, u64)> {
        let mut by_cpu = self.1.left.room();
        let mut count = |key: u32| {
            self.1.left.get_all(&key, &mut by_cpu).expect("a row");
            by_cpu.iter().fold((0, 0), |(frames, bytes), cpu| (frames + cpu.frames, bytes + cpu.bytes))
        };
        let all = (0..).zip(REASONS).map(|(key, reason)| (DropReason::from(reason).label(), count(key)));
        all.filter(|(_, (frames, _))| *frames > 0).map(|(label, (frames, bytes))| (label, frames, bytes)).collect()
    }

    /// What becomes of one more frame, and as what it is counted.
    fn fate(&self, frame: &[u8]) -> (u32, &'static str) {
        let before = self.counted();
        let verdict = self.verdict(frame);
        let mut after = self.counted();
        after.retain(|row| !before.contains(row));
        match after.as_slice() {
            [] => (verdict, ""),
            [(label, frames, bytes)] => {
                let (_, had, bytes_before) = before.iter().find(|(of, ..)| of == label).unwrap_or(&("", 0, 0));
                assert_eq!((frames - had, bytes - bytes_before), (1, frame.len() as u64));
                (verdict, label)
            }
            several => panic!("one frame counted as {several:?}"),
        }
    }
}

/// A loaded program, or a return from the test that needs it.
macro_rules! program {
    ($test:literal, $filter:expr) => {{
        let Some(program) = Loaded::new($test, &$filter) else { return };
        program
    }};
}

fn entrance(address: &str, vlan: Option<u16>) -> Entrance {
    let carriers = vec![Carrier::Udp(4789), Carrier::Udp(8472), Carrier::Ip(47)];
    Entrance { address: address.parse().unwrap(), vlan, multicast: vec![], carriers, senders: AllowedSenders::Anyone }
}

fn tunnels() -> Filter {
    let entrances = vec![entrance(LOCAL4, None), entrance(LOCAL6, None), entrance("192.0.2.2", Some(100))];
    Filter { mac: Some(Mac(OURS)), entrances, ..Filter::default() }
}

/// Ethernet from somebody to this MAC, behind these tags, with this `EtherType` and payload.
fn ethernet(to: [u8; 6], tags: &[(u16, u16)], ether_type: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = [to, [2, 0, 0, 0, 0, 7]].concat();
    for (tpid, tci) in tags {
        frame.extend([tpid.to_be_bytes(), tci.to_be_bytes()].concat());
    }
    frame.extend(ether_type.to_be_bytes());
    frame.extend(payload);
    frame.resize(frame.len().max(60), 0);
    frame
}

/// An IP packet to this address; `fragment` is the word of flags and offset that IPv4 has.
fn ip(to: &str, protocol: u8, fragment: u16, options: usize, payload: &[u8]) -> (u16, Vec<u8>) {
    match to.parse().unwrap() {
        IpAddr::V4(to) => {
            let mut header = vec![0x45 + options as u8 / 4, 0, 0, 0, 0, 0, 0, 0, 64, protocol, 0, 0, 192, 0, 2, 77];
            header[6..8].copy_from_slice(&fragment.to_be_bytes());
            header.extend(to.octets());
            header.extend(vec![1; options]);
            (0x0800, [header.as_slice(), payload].concat())
        }
        IpAddr::V6(to) => {
            let mut header = vec![0x60, 0, 0, 0, 0, 0, protocol, 64];
            header.extend([0x20; 16]);
            header.extend(to.octets());
            (0x86dd, [header.as_slice(), payload].concat())
        }
    }
}

fn udp(port: u16) -> Vec<u8> {
    let [high, low] = port.to_be_bytes();
    vec![0xc0, 0, high, low, 0, 50, 0, 0, 8, 0, 0, 0, 0, 0, 100, 0]
}

fn packet(to: &str, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let (ether_type, packet) = ip(to, protocol, 0, 0, payload);
    ethernet(OURS, &[], ether_type, &packet)
}

#[test]
fn tunnel_packets_to_our_addresses_are_taken_over_ipv4_and_ipv6() {
    let program = program!("tunnel_packets_to_our_addresses_are_taken", tunnels());
    for to in [LOCAL4, LOCAL6] {
        for taken in [packet(to, 17, &udp(4789)), packet(to, 17, &udp(8472)), packet(to, 47, &[0x20, 0, 0x65, 0x58])] {
            assert!(program.takes(&taken), "{to}: {taken:02x?}");
        }
    }
}

#[test]
fn the_hosts_own_traffic_stays_with_the_kernel() {
    let program = program!("the_hosts_own_traffic_stays_with_the_kernel", tunnels());
    let arp = ethernet([0xff; 6], &[], 0x0806, &[0, 1, 8, 0, 6, 4, 0, 1]);
    let lldp = ethernet([1, 0x80, 0xc2, 0, 0, 0xe], &[], 0x88cc, &[2, 7, 4]);
    let (ether_type, other) = ip("192.0.2.9", 17, 0, 0, &udp(4789));
    let forwarded = ethernet(OURS, &[], ether_type, &other);
    for (what, frame) in [("ARP", arp), ("LLDP", lldp), ("another address's VXLAN", forwarded)] {
        assert!(!program.takes(&frame), "{what}");
    }
    for to in [LOCAL4, LOCAL6] {
        for (what, protocol, payload) in [
            ("BGP", 6, vec![0, 179, 0, 179, 0, 0, 0, 0]),
            ("SSH", 6, vec![0x12, 0xb5, 0, 22, 0, 0, 0, 0]),
            ("TCP to the port of VXLAN", 6, vec![0, 22, 0x12, 0xb5, 0, 0, 0, 0]),
            ("ping", 1, vec![8, 0, 0, 0, 0, 0, 0, 0]),
            ("neighbour discovery", 58, vec![135, 0, 0, 0, 0, 0, 0, 0]),
            ("DNS", 17, udp(53)),
            ("BFD", 17, udp(3784)),
            ("VXLAN's port as the source", 17, vec![0x12, 0xb5, 0, 53, 0, 8, 0, 0]),
        ] {
            assert!(!program.takes(&packet(to, protocol, &payload)), "{what} to {to}");
        }
    }
}

#[test]
fn a_packet_to_another_mac_is_not_ours_and_without_a_mac_all_are() {
    let (ether_type, inside) = ip(LOCAL4, 17, 0, 0, &udp(4789));
    let frame = ethernet(OTHERS, &[], ether_type, &inside);
    assert!(!program!("a_packet_to_another_mac_is_not_ours", tunnels()).takes(&frame));
    let any = Filter { mac: None, ..tunnels() };
    assert!(program!("a_packet_to_another_mac_is_not_ours", any).takes(&frame));
}

#[test]
fn an_endpoint_has_exactly_its_own_tag() {
    let program = program!("an_endpoint_has_exactly_its_own_tag", tunnels());
    let tagged = |tags: &[(u16, u16)], to: &str| {
        let (ether_type, inside) = ip(to, 17, 0, 0, &udp(4789));
        ethernet(OURS, tags, ether_type, &inside)
    };
    assert!(program.takes(&tagged(&[(0x8100, 100)], "192.0.2.2")));
    assert!(program.takes(&tagged(&[(0x8100, 0xa064)], "192.0.2.2")), "whatever the priority");
    for (tags, to) in [
        (vec![], "192.0.2.2"),
        (vec![(0x8100, 101)], "192.0.2.2"),
        (vec![(0x88a8, 100)], "192.0.2.2"),
        (vec![(0x8100, 100), (0x8100, 100)], "192.0.2.2"),
        (vec![(0x8100, 100)], LOCAL4),
        (vec![(0x8100, 0)], "192.0.2.2"),
        (vec![(0x9100, 0)], LOCAL4),
        (vec![(0x8100, 0), (0x8100, 0)], LOCAL4),
        (vec![(0x8100, 0), (0x8100, 100)], "192.0.2.2"),
    ] {
        assert!(!program.takes(&tagged(&tags, to)), "{tags:?} {to}");
    }
    for (tag, to) in [((0x8100, 0), LOCAL4), ((0x8100, 0xe000), LOCAL6), ((0x88a8, 0x6000), LOCAL4)] {
        assert!(program.takes(&tagged(&[tag], to)), "a priority and no VLAN: {tag:?} {to}");
    }
}

#[test]
fn of_fragments_only_what_says_its_port_is_taken() {
    let program = program!("of_fragments_only_what_says_its_port_is_taken", tunnels());
    let fragment = |protocol, word| {
        let (ether_type, inside) = ip(LOCAL4, protocol, word, 0, &udp(4789));
        ethernet(OURS, &[], ether_type, &inside)
    };
    assert!(program.takes(&fragment(17, 0x2000)), "the first piece");
    assert!(program.takes(&fragment(17, 0x4000)), "one not to be fragmented");
    assert!(!program.takes(&fragment(17, 0x2001)), "a later piece");
    assert!(!program.takes(&fragment(17, 0x0010)), "the last piece");
    assert!(program.takes(&fragment(47, 0x0010)), "GRE has no port to miss");
    let piece = |next: u8, word: u16, port| {
        packet(LOCAL6, 44, &[&[next, 0][..], &word.to_be_bytes(), &[0, 0, 0, 1], &udp(port)].concat())
    };
    assert!(program.takes(&piece(17, 1, 4789)), "the first piece, over IPv6");
    assert!(!program.takes(&piece(17, 1, 53)), "the first piece of another's datagram");
    assert!(!program.takes(&piece(17, 8 | 1, 4789)), "a later piece");
    assert!(!program.takes(&piece(17, 0xfff8, 4789)), "the last piece");
    assert!(program.takes(&piece(47, 8, 0)), "GRE has no port to miss");
    assert!(!program.takes(&piece(58, 1, 0)), "a ping");
    let optioned = [&[44, 0, 1, 4, 0, 0, 0, 0, 17, 0, 0, 1, 0, 0, 0, 1][..], &udp(4789)].concat();
    assert!(program.takes(&packet(LOCAL6, 60, &optioned)), "behind options");
}

#[test]
fn options_and_extension_headers_are_stepped_over() {
    let program = program!("options_and_extension_headers_are_stepped_over", tunnels());
    for options in [4, 40] {
        let (ether_type, inside) = ip(LOCAL4, 17, 0, options, &udp(4789));
        assert!(program.takes(&ethernet(OURS, &[], ether_type, &inside)), "{options} bytes of options");
    }
    let extended = |kinds: &[u8]| {
        let mut payload = Vec::new();
        for next in kinds.iter().skip(1).chain([&17]) {
            payload.extend([*next, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        }
        payload.extend(udp(4789));
        packet(LOCAL6, kinds[0], &payload)
    };
    assert!(program.takes(&extended(&[0])));
    assert!(program.takes(&extended(&[60])));
    assert!(program.takes(&extended(&[0, 43, 60, 60])));
    assert!(!program.takes(&extended(&[0, 43, 60, 60, 60])), "more than the gateway reads");
    assert!(!program.takes(&extended(&[51])), "an authentication header");
}

#[test]
fn what_is_cut_short_or_broken_stays_with_the_kernel() {
    let program = program!("what_is_cut_short_or_broken_stays_with_the_kernel", tunnels());
    let whole = packet(LOCAL4, 17, &udp(4789));
    for len in 14..38 {
        assert!(!program.takes(&whole[..len]), "{len} bytes");
    }
    assert!(program.takes(&whole[..38]), "up to the UDP port");
    let mut broken = whole;
    broken[14] = 0x44;
    assert!(!program.takes(&broken), "a header of 16 bytes");
}

fn tagged(tags: &[(u16, u16)]) -> Vec<u8> {
    ethernet([0xff; 6], tags, 0x0806, &[0, 1, 8, 0, 6, 4, 0, 1])
}

#[test]
fn claimed_tags_are_taken_and_other_ones_left_to_the_host() {
    let claims = Claims { tpids: vec![0x88a8, 0x9100], outer: vec![1, 100, 4094], single: vec![300], untagged: false };
    let program = program!(
        "claimed_tags_are_taken_and_other_ones_left_to_the_host",
        Filter { tags: Tags::Some(claims), ..tunnels() }
    );
    for taken in [
        &[(0x88a8, 100), (0x8100, 7)][..],
        &[(0x9100, 100)],
        &[(0x88a8, 1)],
        &[(0x88a8, 4094)],
        &[(0x88a8, 0xe064)],
        &[(0x8100, 300)],
    ] {
        assert!(program.takes(&tagged(taken)), "{taken:04x?}");
    }
    for left in [&[][..], &[(0x88a8, 101)], &[(0x8100, 100)], &[(0x88a8, 300)], &[(0x9200, 100)], &[(0x8100, 0)]] {
        assert!(!program.takes(&tagged(left)), "{left:04x?}");
    }
    assert!(program.takes(&packet(LOCAL4, 17, &udp(4789))), "tunnels as before");
    assert!(!program.takes(&packet(LOCAL4, 17, &udp(53))));
}

#[test]
fn where_0x8100_is_an_outer_tpid_too_its_tags_may_be_either() {
    let claims = Claims { tpids: vec![0x8100], outer: vec![100], single: vec![300], untagged: false };
    let program = program!(
        "where_0x8100_is_an_outer_tpid_too_its_tags_may_be_either",
        Filter { tags: Tags::Some(claims), ..tunnels() }
    );
    assert!(program.takes(&tagged(&[(0x8100, 100), (0x8100, 7)])));
    assert!(program.takes(&tagged(&[(0x8100, 300)])));
    assert!(!program.takes(&tagged(&[(0x8100, 101)])));
}

#[test]
fn untagged_frames_are_taken_with_and_without_a_priority_where_they_are_claimed() {
    let claims = Claims { tpids: vec![0x88a8], untagged: true, ..Claims::default() };
    let program = program!(
        "untagged_frames_are_taken_with_and_without_a_priority",
        Filter { tags: Tags::Some(claims), ..tunnels() }
    );
    assert!(program.takes(&tagged(&[])));
    assert!(program.takes(&tagged(&[(0x8100, 0xe000)])));
    assert!(!program.takes(&tagged(&[(0x8100, 5)])));
    assert!(!program.takes(&packet(LOCAL4, 6, &[0, 179, 0, 179])), "our own address is nobody's tag");
}

#[test]
fn where_only_tenants_are_everything_is_taken() {
    let program =
        program!("where_only_tenants_are_everything_is_taken", Filter { tags: Tags::All, ..Filter::default() });
    for frame in [tagged(&[]), tagged(&[(0x8100, 1)]), tagged(&[(0x1234, 1)]), packet(LOCAL4, 6, &[0; 20])] {
        assert!(program.takes(&frame));
    }
}

#[test]
fn where_only_tagged_tenants_are_untagged_frames_are_left_to_the_host() {
    let program = program!(
        "where_only_tagged_tenants_are_untagged_frames_are_left_to_the_host",
        Filter { tags: Tags::Tagged(vec![0x88a8, 0x9100]), ..Filter::default() }
    );
    for taken in [&[(0x8100, 7)][..], &[(0x8100, 0xe001)], &[(0x88a8, 0), (0x8100, 7)], &[(0x9100, 4094)]] {
        assert!(program.takes(&tagged(taken)), "{taken:04x?}");
    }
    for left in [tagged(&[]), tagged(&[(0x8100, 0xe000)]), packet(LOCAL4, 6, &[0; 20])] {
        assert!(!program.takes(&left));
    }
}

#[test]
fn a_port_without_anything_of_ours_passes_everything() {
    let program = program!("a_port_without_anything_of_ours_passes_everything", Filter::default());
    assert!(!program.takes(&packet(LOCAL4, 17, &udp(4789))));
}

#[test]
fn a_thousand_addresses_are_still_a_program() {
    let entrances = (0..1000).map(|n| entrance(&format!("2001:db8::{n:x}"), None)).collect();
    let program = program!("a_thousand_addresses_are_still_a_program", Filter { entrances, ..tunnels() });
    assert!(program.takes(&packet("2001:db8::3e7", 47, &[0x20, 0, 0x65, 0x58])));
    assert!(!program.takes(&packet("2001:db8::3e8", 47, &[0x20, 0, 0x65, 0x58])));
}

/// Tunnels from two peers, and from whoever is in a prefix.
fn peers() -> Filter {
    let known = |peers: &[&str], learners: &[(&str, &str)]| AllowedSenders::Known {
        peers: peers.iter().map(|peer| (Carrier::Udp(4789), peer.parse().unwrap())).collect(),
        learners: learners
            .iter()
            .map(|(first, last)| (Carrier::Udp(4789), first.parse().unwrap(), last.parse().unwrap()))
            .collect(),
    };
    let four =
        Entrance { senders: known(&["192.0.2.77"], &[("198.51.100.0", "198.51.100.255")]), ..entrance(LOCAL4, None) };
    let six = Entrance {
        senders: known(&["2001:db8::77"], &[("2001:db8:1::", "2001:db8:1:0:ffff:ffff:ffff:ffff")]),
        ..entrance(LOCAL6, None)
    };
    let tagged = Entrance { senders: known(&["192.0.2.77"], &[]), ..entrance("192.0.2.2", Some(100)) };
    Filter {
        mac: Some(Mac(OURS)),
        entrances: vec![four, six, tagged],
        own: [LOCAL4, LOCAL6, "192.0.2.2", "192.0.2.3"].map(|own| own.parse().unwrap()).into(),
        other_tunnels: vec![Carrier::Udp(6081), Carrier::Udp(4789), Carrier::Ip(47)],
        no_tunnels: vec![Carrier::Udp(3784)],
        ..Filter::default()
    }
}

/// The same packet from somebody else.
fn from(sender: &str, mut frame: Vec<u8>) -> Vec<u8> {
    match sender.parse().unwrap() {
        IpAddr::V4(address) => frame[26..30].copy_from_slice(&address.octets()),
        IpAddr::V6(address) => frame[22..38].copy_from_slice(&address.octets()),
    }
    frame
}

#[test]
fn tunnel_packets_are_taken_from_peers_and_from_where_peers_are_learned_and_end_here_from_others() {
    let program = program!("tunnel_packets_are_taken_from_peers", peers());
    let vxlan = |to, sender: &str| from(sender, packet(to, 17, &udp(4789)));
    for (to, sender) in [
        (LOCAL4, "192.0.2.77"),
        (LOCAL4, "198.51.100.0"),
        (LOCAL4, "198.51.100.255"),
        (LOCAL6, "2001:db8::77"),
        (LOCAL6, "2001:db8:1::5"),
        (LOCAL4, "192.0.2.3"),
    ] {
        assert_eq!(program.fate(&vxlan(to, sender)), (TAKEN, ""), "{sender}");
    }
    for (to, sender) in
        [(LOCAL4, "192.0.2.78"), (LOCAL4, "198.51.101.0"), (LOCAL6, "2001:db8::78"), (LOCAL6, "2001:db8:1:1::5")]
    {
        assert_eq!(program.fate(&vxlan(to, sender)), (DROPPED, "unknown_peer"), "{sender}");
    }
    let gre = packet(LOCAL4, 47, &[0x20, 0, 0x65, 0x58]);
    assert_eq!(program.fate(&gre), (DROPPED, "unknown_peer"), "the peer's tunnel is another one");
    let (ether_type, inside) = ip(LOCAL4, 17, 0x2000, 0, &udp(4789));
    let piece = from("192.0.2.78", ethernet(OURS, &[], ether_type, &inside));
    assert_eq!(program.fate(&piece), (DROPPED, "outer_fragment"));
}

#[test]
fn what_came_to_an_endpoint_and_is_left_to_the_host_is_counted_by_name() {
    let program = program!("what_came_to_an_endpoint_and_is_left_to_the_host_is_counted_by_name", peers());
    let fragment = |protocol, word, payload: &[u8]| {
        let (ether_type, inside) = ip(LOCAL4, protocol, word, 0, payload);
        ethernet(OURS, &[], ether_type, &inside)
    };
    let piece = |next: u8, word: u16| {
        packet(LOCAL6, 44, &[&[next, 0][..], &word.to_be_bytes(), &[0, 0, 0, 1], &udp(4789)].concat())
    };
    let tagged = |tags: &[(u16, u16)], to, port| {
        let (ether_type, inside) = ip(to, 17, 0, 0, &udp(port));
        ethernet(OURS, tags, ether_type, &inside)
    };
    let (ether_type, vxlan) = ip(LOCAL4, 17, 0, 0, &udp(4789));
    let mut broken = packet(LOCAL4, 17, &udp(4789));
    broken[14] = 0x44;
    let many = [&[0, 0, 0, 0, 0, 0, 0, 0].repeat(5)[..], &udp(4789)].concat();
    for (what, frame, reason) in [
        ("SSH", packet(LOCAL4, 6, &[0x12, 0xb5, 0, 22]), "host_traffic"),
        ("a ping", packet(LOCAL4, 1, &[8, 0, 0, 0]), "host_traffic"),
        ("a piece of a long ping", fragment(1, 0x2010, &[8, 0, 0, 0]), "host_traffic"),
        ("a piece of a long ping over IPv6", piece(58, 8), "host_traffic"),
        ("neighbour discovery", packet(LOCAL6, 58, &[135, 0, 0, 0]), "host_traffic"),
        ("DNS", packet(LOCAL4, 17, &udp(53)), "host_traffic"),
        ("BFD of a peer", packet(LOCAL4, 17, &udp(3784)), "host_traffic"),
        ("an answer of a peer", packet(LOCAL4, 17, &udp(40_000)), "host_traffic"),
        ("a tunnel's port of somebody else", from("192.0.2.9", packet(LOCAL4, 17, &udp(5789))), "host_traffic"),
        ("a peer's tunnel to any port", packet(LOCAL4, 17, &udp(5789)), "not_for_us"),
        ("one that may be learned", from("198.51.100.9", packet(LOCAL4, 17, &udp(5789))), "not_for_us"),
        ("Geneve", packet(LOCAL4, 17, &udp(6081)), "not_for_us"),
        ("a later piece of a tunnel packet", fragment(17, 0x0010, &udp(4789)), "outer_fragment"),
        ("the same over IPv6", piece(17, 8), "outer_fragment"),
        ("a first piece to another port", fragment(17, 0x2000, &udp(5789)), "outer_fragment"),
        ("another MAC address", ethernet(OTHERS, &[], ether_type, &vxlan), "not_our_mac"),
        ("a broken header", broken, "bad_ip_header"),
        ("too many headers", packet(LOCAL6, 0, &many), "extension_headers"),
        ("a tag too many", tagged(&[(0x8100, 5)], LOCAL4, 4789), "not_for_us"),
        ("two", tagged(&[(0x88a8, 5), (0x8100, 5)], LOCAL4, 4789), "not_for_us"),
        ("another tag", tagged(&[(0x8100, 101)], "192.0.2.2", 4789), "not_for_us"),
        ("none", tagged(&[], "192.0.2.2", 4789), "not_for_us"),
        ("another port's endpoint", tagged(&[], "192.0.2.3", 4789), "not_for_us"),
        ("the machine's own, in a VLAN", tagged(&[(0x8100, 5)], LOCAL4, 53), "host_traffic"),
        ("to nobody here", packet("192.0.2.9", 17, &udp(4789)), ""),
        ("ARP", ethernet([0xff; 6], &[], 0x0806, &[0, 1, 8, 0, 6, 4, 0, 1]), ""),
    ] {
        assert_eq!(program.fate(&frame), (PASS, reason), "{what}");
    }
    let claims = Claims { tpids: vec![0x88a8], outer: vec![100], single: vec![300], untagged: false };
    let shared = program!("what_came_to_an_endpoint", Filter { tags: Tags::Some(claims), ..peers() });
    assert_eq!(shared.fate(&tagged(&[(0x8100, 5)], LOCAL4, 4789)), (PASS, "unclaimed_tags"));
    assert_eq!(shared.fate(&tagged(&[(0x8100, 300)], LOCAL4, 4789)), (TAKEN, ""), "a tenant's");
}

#[test]
fn packets_to_a_multicast_group_of_an_endpoint_have_the_groups_mac() {
    let group: IpAddr = "239.1.1.1".parse().unwrap();
    let entrance = Entrance { multicast: vec![group], ..entrance(LOCAL4, None) };
    let program = program!(
        "packets_to_a_multicast_group_of_an_endpoint_have_the_groups_mac",
        Filter { entrances: vec![entrance], ..peers() }
    );
    let (ether_type, inside) = ip("239.1.1.1", 17, 0, 0, &udp(4789));
    assert_eq!(program.fate(&ethernet(Mac::of_group(group).0, &[], ether_type, &inside)), (TAKEN, ""));
    assert_eq!(program.fate(&ethernet(OURS, &[], ether_type, &inside)), (PASS, "not_our_mac"));
}
