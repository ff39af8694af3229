//! Too big for the way out: who is told, what, and that a host that obeys gets through.

mod common;

use std::net::{Ipv4Addr, Ipv6Addr};

use common::Lab;
use common::places::{ALL, PLACES, from, inner_of, learn};
use common::wire::{self, BROADCAST, IPV4, IPV6, mac};
use transload::io::Caps;
use transload::io::memory::Packet;
use transload_encaps::{Checksum, Gso, GsoKind};

const HOST: u8 = 1;
const FAR: u8 = 2;
const DF: u8 = 0x40;

/// [`ALL`] with the MTU of an ordinary underlay, and of a narrower access.
fn lab() -> Lab {
    let yaml =
        ALL.replace("device: up,", "device: up, mtu: 1500,").replace("device: access }", "device: access, mtu: 1400 }");
    Lab::new(&yaml)
}

fn v4(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, last)
}

fn v6(last: u8) -> Ipv6Addr {
    Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, last.into())
}

/// An IPv4 packet of so many bytes from the host to the far one, with these flags and this protocol.
fn packet4(len: usize, flags: [u8; 2], protocol: u8) -> Vec<u8> {
    let payload: Vec<u8> = (0..len - 20).map(|n| n as u8).collect();
    let mut packet = wire::ipv4(v4(HOST), v4(FAR), 0, protocol, &payload);
    packet[6..8].copy_from_slice(&flags);
    packet[10..12].fill(0);
    let sum = wire::sum(&[&packet[..20]]).to_be_bytes();
    packet[10..12].copy_from_slice(&sum);
    packet
}

fn packet6(len: usize, protocol: u8) -> Vec<u8> {
    let payload: Vec<u8> = (0..len - 40).map(|n| (n + 128) as u8).collect();
    wire::ipv6(v6(HOST), v6(FAR), 0, protocol, &payload)
}

fn to_far(ether_type: u16, packet: &[u8]) -> Vec<u8> {
    wire::ethernet(mac(FAR), mac(HOST), ether_type, packet)
}

fn big4() -> Vec<u8> {
    to_far(IPV4, &packet4(1490, [DF, 0], 17))
}

/// What the tenant's host is told, out of the frame that came back to its place: the MTU, after everything else in
/// the answer has been checked against the packet that was refused.
fn told(answer: &[u8], refused: &[u8]) -> usize {
    let tags = answer[12..].iter().zip(&refused[12..]).take_while(|(a, b)| a == b).count();
    let ip_at = if answer[12] == 0x81 { 18 } else { 14 };
    assert!(tags >= ip_at - 12, "the tags and the type are those of the frame");
    assert_eq!(answer[..6], mac(HOST), "to the host");
    assert_eq!(answer[6] & 3, 2, "from an address of our own making");
    let (ip, original) = (&answer[ip_at..], &refused[ip_at..]);
    if ip[0] >> 4 == 4 {
        assert_eq!(wire::sum(&[&ip[..20]]), 0);
        assert_eq!(ip[1], 0xc0, "RFC 1812 §4.3.2.5");
        assert_eq!(ip[9], 1);
        assert_eq!(
            (&ip[12..16], &ip[16..20]),
            (&original[16..20], &original[12..16]),
            "from where the packet was going"
        );
        assert_eq!(ip.len(), usize::from(u16::from_be_bytes([ip[2], ip[3]])));
        assert_eq!(ip.len(), 576.min(28 + original.len()), "RFC 1812 §4.3.2.3");
        assert_eq!((wire::sum(&[&ip[20..]]), &ip[20..22], &ip[24..26]), (0, &[3, 4][..], &[0, 0][..]));
        assert_eq!(ip[28..], original[..ip.len() - 28]);
        usize::from(u16::from_be_bytes([ip[26], ip[27]]))
    } else {
        assert_eq!((ip[0] >> 4, ip[6]), (6, 58));
        assert_eq!((&ip[8..24], &ip[24..40]), (&original[24..40], &original[8..24]));
        assert_eq!(ip.len(), 40 + usize::from(u16::from_be_bytes([ip[4], ip[5]])));
        assert_eq!(ip.len(), 1280.min(48 + original.len()), "RFC 4443 §3.2");
        let pseudo = [&ip[8..40], &((ip.len() - 40) as u32).to_be_bytes(), &[0, 0, 0, 58]].concat();
        assert_eq!((wire::sum(&[&pseudo, &ip[40..]]), &ip[40..42]), (0, &[2, 0][..]));
        assert_eq!(ip[48..], original[..ip.len() - 48]);
        u32::from_be_bytes([ip[44], ip[45], ip[46], ip[47]]) as usize
    }
}

/// Sends a frame from a place, which must come to nothing but an answer there; gives back the MTU.
fn refused(lab: &mut Lab, place: &str, frame: &[u8]) -> usize {
    lab.clock += 20_000_000;
    let (port, packet) = from(place, frame);
    let sent = lab.send(port, packet);
    assert_eq!(sent.len(), 1, "one answer: {sent:02x?}");
    let answer = inner_of(place, &sent[0].1).unwrap_or_else(|| panic!("not to {place}: {:02x?}", sent[0].1));
    told(&answer, frame)
}

/// The label of what is dropped without a word.
fn silent(lab: &mut Lab, place: &str, frame: &[u8]) -> &'static str {
    let (port, packet) = from(place, frame);
    lab.dropped_for(port, packet)
}

/// What a way leaves of its MTU, by hand: RFC 7348 §5, RFC 7637 §3.2, RFC 2890 §2; IEEE 802.1Q.
fn mtu_of(place: &str) -> usize {
    match place {
        "vxlan4" | "vxlan4b" => 1500 - 20 - 8 - 8 - 14,
        "nvgre4" | "nvgre4b" | "gre4" => 1500 - 20 - 8 - 14,
        "gre4b" => 1500 - 20 - 4 - 14,
        "vxlan6" => 1500 - 40 - 8 - 8 - 14,
        "nvgre6" | "gre6" => 1500 - 40 - 8 - 14,
        // Two tags, or one that is not 0x8100, take from the port's MTU; a single 0x8100 tag does not.
        "both" => 1400 - 8,
        "outer" => 1400 - 4,
        _ => 1400,
    }
}

#[test]
fn a_host_that_obeys_gets_through_and_a_byte_more_does_not() {
    let mut lab = lab();
    for (number, place) in PLACES.iter().enumerate() {
        learn(&mut lab, place, 100 + number as u8);
    }
    for a in PLACES {
        for (number, b) in PLACES.iter().enumerate().filter(|(_, b)| **b != a) {
            let to = |ether_type, packet: &[u8]| wire::ethernet(mac(100 + number as u8), mac(HOST), ether_type, packet);
            let mtu = refused(&mut lab, a, &to(IPV4, &packet4(1600, [DF, 0], 17)));
            assert_eq!(mtu, mtu_of(b), "{a} to {b}");
            assert_eq!(refused(&mut lab, a, &to(IPV6, &packet6(1600, 17))), mtu, "{a} to {b}");
            for (ether_type, fitting, longer) in [
                (IPV4, packet4(mtu, [DF, 0], 17), packet4(mtu + 1, [DF, 0], 17)),
                (IPV6, packet6(mtu, 17), packet6(mtu + 1, 17)),
            ] {
                let (port, packet) = from(a, &to(ether_type, &fitting));
                let sent = lab.send(port, packet);
                assert_eq!(inner_of(b, &sent[0].1), Some(to(ether_type, &fitting)), "{a} to {b}");
                assert_eq!(refused(&mut lab, a, &to(ether_type, &longer)), mtu, "{a} to {b}");
            }
        }
    }
    assert!(lab.gateway.is_whole());
}

#[test]
fn tags_that_are_kept_take_from_the_mtu_and_come_back_with_the_answer() {
    let mut lab = lab();
    learn(&mut lab, "gre4", FAR);
    let tagged = |frame: &[u8]| wire::tag(frame, 0x8100, 0xa04d);
    for (ether_type, packet) in [(IPV4, packet4(1490, [DF, 0], 17)), (IPV6, packet6(1490, 17))] {
        assert_eq!(refused(&mut lab, "vxlan4", &tagged(&to_far(ether_type, &packet))), mtu_of("gre4") - 4);
    }
    let fitting = tagged(&to_far(IPV4, &packet4(mtu_of("gre4") - 4, [DF, 0], 17)));
    let (port, packet) = from("vxlan4", &fitting);
    assert_eq!(inner_of("gre4", &lab.send(port, packet)[0].1), Some(fitting));
}

#[test]
fn tags_that_are_stripped_on_the_way_out_take_nothing() {
    let yaml = ALL
        .replace("device: up,", "device: up, mtu: 1500,")
        .replace("gre4:    { peer: gre4, key: 7 }", "gre4: { peer: gre4, key: 7, inner_tags: strip }");
    let mut lab = Lab::new(&yaml);
    learn(&mut lab, "gre4", FAR);
    let tagged = |len| wire::tag(&to_far(IPV4, &packet4(len, [DF, 0], 17)), 0x8100, 77);
    assert_eq!(refused(&mut lab, "vxlan4", &tagged(1490)), mtu_of("gre4"));
    let (port, packet) = from("vxlan4", &tagged(mtu_of("gre4")));
    assert_eq!(lab.send(port, packet).len(), 1);
}

#[test]
fn the_answer_goes_back_behind_the_tags_and_in_the_priority_it_came_with() {
    let mut lab = lab();
    learn(&mut lab, "gre6", FAR);
    let sent = lab.send("access", wire::tag(&wire::tag(&big4(), 0x8100, 0x6007), 0x88a8, 0xb064));
    assert_eq!(sent[0].0, "access");
    assert_eq!(sent[0].1[12..20], [0x88, 0xa8, 0xb0, 100, 0x81, 0, 0x60, 7]);
}

#[test]
fn who_may_not_be_told_is_dropped_in_silence_by_name() {
    // RFC 1122 §3.2.2, RFC 1812 §4.3.2.7.
    let mut lab = lab();
    learn(&mut lab, "vxlan4", FAR);
    let with = |at: usize, bytes: &[u8]| {
        let mut frame = big4();
        frame[14 + at..14 + at + bytes.len()].copy_from_slice(bytes);
        frame
    };
    let icmp = |kind: u8| {
        let mut packet = packet4(1490, [DF, 0], 1);
        packet[20] = kind;
        to_far(IPV4, &packet)
    };
    let mut cases = vec![
        ("without DF", to_far(IPV4, &packet4(1490, [0, 0], 17)), "too_big_no_df"),
        ("first fragment without DF", to_far(IPV4, &packet4(1490, [0x20, 0], 17)), "too_big_no_df"),
        ("a later fragment", to_far(IPV4, &packet4(1490, [DF, 1], 17)), "too_big"),
        ("a later fragment of many", to_far(IPV4, &packet4(1490, [DF | 0x3f, 0xff], 17)), "too_big"),
        ("from no address", with(12, &[0; 4]), "too_big"),
        ("from loopback", with(12, &[127, 0, 0, 1]), "too_big"),
        ("from multicast", with(12, &[224, 0, 0, 1]), "too_big"),
        ("from class E", with(12, &[240, 0, 0, 1]), "too_big"),
        ("from broadcast", with(12, &[255; 4]), "too_big"),
        ("to multicast", with(16, &[239, 0, 0, 1]), "too_big"),
        ("to broadcast", with(16, &[255; 4]), "too_big"),
        ("an impossible header length", with(0, &[0x44]), "too_big"),
        ("another version", with(0, &[0x65]), "too_big"),
        ("a length beyond the frame", with(2, &[0xff, 0xff]), "too_big"),
        ("ARP", to_far(wire::ARP, &[0; 1490]), "too_big_not_ip"),
        ("a type nobody knows", to_far(0x88b5, &[0; 1490]), "too_big_not_ip"),
        ("802.3 with LLC", to_far(1490, &[0; 1490]), "too_big_not_ip"),
        ("behind a label", to_far(0x8847, &[&[0, 6, 0x41, 64][..], &big4()[14..]].concat()), "too_big_not_ip"),
    ];
    for kind in [3, 4, 5, 11, 12, 40, 255] {
        cases.push(("an ICMP error", icmp(kind), "too_big"));
    }
    for (what, frame, label) in cases {
        for tags in [0, 1] {
            let frame = if tags == 0 { frame.clone() } else { wire::tag(&frame, 0x8100, 9) };
            assert_eq!(silent(&mut lab, "gre4", &frame), label, "{what}");
        }
    }
    for kind in [0, 8, 13, 14] {
        refused(&mut lab, "gre4", &icmp(kind));
    }
    // RFC 1812 §4.3.2.7: the first fragment is answered.
    refused(&mut lab, "gre4", &to_far(IPV4, &packet4(1490, [DF | 0x20, 0], 17)));
}

#[test]
fn icmpv6_keeps_silent_as_rfc_4443_asks() {
    let mut lab = lab();
    learn(&mut lab, "vxlan4", FAR);
    let with = |at: usize, bytes: &[u8]| {
        let mut frame = to_far(IPV6, &packet6(1490, 17));
        frame[14 + at..14 + at + bytes.len()].copy_from_slice(bytes);
        frame
    };
    // §2.4 (e.1), (e.2): an ICMPv6 message of this type, also behind extension headers.
    let chains: [&[u8]; 6] = [&[], &[0], &[60, 43], &[0, 44, 60], &[51], &[135, 139, 140]];
    let message = |kind: u8, chain: &[u8]| {
        let mut packet = packet6(1490, *chain.first().unwrap_or(&58));
        for (n, _) in chain.iter().enumerate() {
            packet[40 + 8 * n..48 + 8 * n].copy_from_slice(&[*chain.get(n + 1).unwrap_or(&58), 0, 0, 0, 0, 0, 0, 0]);
        }
        packet[40 + 8 * chain.len()] = kind;
        to_far(IPV6, &packet)
    };
    for chain in chains {
        for kind in [1, 2, 3, 4, 100, 127, 137] {
            assert_eq!(silent(&mut lab, "gre4", &message(kind, chain)), "too_big", "type {kind} behind {chain:?}");
        }
        for kind in [128, 129, 135, 136] {
            refused(&mut lab, "gre4", &message(kind, chain));
        }
    }
    // A later fragment hides which message it is of.
    let mut fragment = message(128, &[44]);
    fragment[14 + 42] = 1;
    assert_eq!(silent(&mut lab, "gre4", &fragment), "too_big");
    // (e.6): sources that are no host, and destinations that could not answer for themselves.
    let mut loopback = [0; 16];
    loopback[15] = 1;
    for at in [8, 24] {
        assert_eq!(silent(&mut lab, "gre4", &with(at, &[0; 16])), "too_big");
        assert_eq!(silent(&mut lab, "gre4", &with(at, &loopback)), "too_big");
        assert_eq!(silent(&mut lab, "gre4", &with(at, &[0xff, 2])), "too_big");
    }
    assert_eq!(silent(&mut lab, "gre4", &with(4, &[0xff, 0xff])), "too_big", "longer than the frame");
    refused(&mut lab, "gre4", &with(0, &[0x60]));
}

#[test]
fn padding_that_is_too_long_is_no_packet_that_is() {
    let mut lab = lab();
    learn(&mut lab, "vxlan4", FAR);
    let frame = [to_far(IPV4, &packet4(100, [DF, 0], 17)), vec![0; 1400]].concat();
    assert_eq!(silent(&mut lab, "gre4", &frame), "too_big");
}

#[test]
fn an_unknown_destination_is_flooded_where_it_fits_and_the_narrowest_way_is_told_once() {
    let mut lab = lab();
    let frame = to_far(IPV4, &packet4(1450, [DF, 0], 17));
    let (port, packet) = from("nvgre4", &frame);
    let sent = lab.send(port, packet);
    let reached =
        |place: &str| sent.iter().filter(|(_, bytes)| inner_of(place, bytes).as_ref() == Some(&frame)).count();
    for place in PLACES.iter().filter(|place| **place != "nvgre4") {
        assert_eq!(reached(place), usize::from(mtu_of(place) >= 1450), "{place}");
    }
    let answers: Vec<_> = sent.iter().filter_map(|(_, bytes)| inner_of("nvgre4", bytes)).collect();
    assert_eq!(answers.len(), 1);
    assert_eq!(told(&answers[0], &frame), PLACES.map(mtu_of).into_iter().min().unwrap());
}

#[test]
fn what_goes_to_several_is_never_answered() {
    let mut lab = lab();
    for destination in [BROADCAST, [1, 0, 0x5e, 0, 0, 1], [0x33, 0x33, 0, 0, 0, 1]] {
        for (ether_type, packet) in [(IPV4, packet4(1600, [DF, 0], 17)), (IPV6, packet6(1600, 17))] {
            let (port, packet) = from("gre4", &wire::ethernet(destination, mac(HOST), ether_type, &packet));
            assert_eq!(lab.dropped_for(port, packet), "too_big");
        }
    }
}

#[test]
fn answers_are_a_hundred_a_second_for_each_tenant() {
    let mut lab = lab();
    learn(&mut lab, "vxlan4", FAR);
    let (port, packet) = from("gre4", &big4());
    let answered =
        |lab: &mut Lab, frames: usize| (0..frames).map(|_| lab.send(port, packet.clone()).len()).sum::<usize>();
    assert_eq!(answered(&mut lab, 150), 100);
    lab.clock += 100_000_000;
    assert_eq!(answered(&mut lab, 50), 10);
    assert_eq!(lab.drops()["too_big"], 200);
}

#[test]
fn the_gateways_own_address_is_derived_never_learned_and_takes_nothing() {
    let mut lab = lab();
    learn(&mut lab, "vxlan4", FAR);
    let (port, packet) = from("gre4", &big4());
    let own: [u8; 6] = inner_of("gre4", &lab.send(port, packet)[0].1).unwrap()[6..12].try_into().unwrap();

    let rows = lab.fdb().len();
    assert_eq!(silent(&mut lab, "gre4", &wire::tenant_frame(mac(FAR), own, 0)), "from_own_mac");
    assert_eq!(silent(&mut lab, "vxlan4", &wire::tenant_frame(own, mac(FAR), 0)), "to_own_mac");
    assert_eq!(lab.fdb().len(), rows);

    // Another tenant's and another gateway's are others; this one's stays over a restart.
    let of = |yaml: &str| Lab::new(yaml).tables().own_macs.domains.values().next().unwrap().0;
    assert_eq!(of(ALL), own);
    assert_ne!(of(&ALL.replace("blue:", "green:")), own);
    assert_ne!(of(&ALL.replace("address: 192.0.2.1,", "address: 192.0.2.3,")), own);
}

/// A TCP super-frame whose segments carry so many bytes.
fn super_frame(size: u16, place: &str) -> (&'static str, Packet) {
    let mut tcp = vec![0; 20 + 20_000];
    tcp[12] = 0x50;
    let frame = to_far(IPV4, &wire::ipv4(v4(HOST), v4(FAR), 0, 6, &tcp));
    let (port, bytes) = from(place, &frame);
    let start = (bytes.len() - tcp.len()) as u32;
    let gso = Some(Gso { kind: GsoKind::Tcp4, size });
    (port, Packet { bytes, checksum: Checksum::Partial { start, offset: 16 }, gso, cut: false })
}

#[test]
fn super_frames_are_judged_by_their_segments() {
    for (egress, caps) in [
        ("vxlan4", Caps::default()),
        ("both", Caps::default()),
        ("outer", Caps { checksum: true, gso: true, ..Caps::default() }),
    ] {
        let lab = lab();
        lab.gateway.port(lab.port("access")).unwrap().set_caps(caps);
        let mut lab = relearn(lab, egress);
        let fitting = (mtu_of(egress) - 40) as u16;
        let (port, packet) = super_frame(fitting, "single");
        assert!(!lab.send(port, packet).is_empty(), "{egress}");
        assert_eq!(lab.drops().get("too_big"), None, "{egress}");
        let (port, packet) = super_frame(fitting + 1, "single");
        let sent = lab.send(port, packet);
        let answers: Vec<_> =
            sent.iter().filter_map(|(_, bytes)| inner_of("single", bytes)).filter(|frame| frame[23] == 1).collect();
        assert_eq!(answers.len(), 1, "{egress}");
        assert_eq!(usize::from(u16::from_be_bytes([answers[0][40], answers[0][41]])), mtu_of(egress), "{egress}");
        assert!(lab.gateway.is_whole());
    }
}

fn relearn(mut lab: Lab, place: &str) -> Lab {
    learn(&mut lab, place, FAR);
    lab
}

#[test]
fn a_mapping_answers_as_a_tenant_does() {
    let yaml = r#"
version: 1
ports:
  up:     { device: up, mtu: 1500 }
  access: { device: access, mtu: 1400, tpids: [0x88a8] }
endpoints:
  v4: { address: 192.0.2.1, ports: [up] }
peers:
  vxlan4: { address: 192.0.2.9, encap: vxlan }
mappings:
  wholesale:
    from: { peer: vxlan4, vni: 0x100000-0x1fffff }
    to:   { port: access, s_vid: "id[23:12]", c_vid: "id[11:0]" }
"#;
    let mut lab = Lab::new(yaml);
    let there = (wire::vxlan(0x10_0064, &big4()), wire::tag(&wire::tag(&big4(), 0x8100, 0x064), 0x88a8, 0x100));
    let ends = ("192.0.2.9".parse().unwrap(), "192.0.2.1".parse().unwrap());
    let packet = wire::outer((mac(9), mac(8)), ends, 0, 17, &wire::udp(5, 4789, &there.0));
    let sent = lab.send("up", packet);
    assert_eq!((sent.len(), sent[0].0.as_str()), (1, "up"));
    assert_eq!(sent[0].1[42..50], there.0[..8], "under the VNI it came with");
    assert_eq!(told(&sent[0].1[50..], &big4()), 1392);

    let longer = wire::tag(&wire::tag(&to_far(IPV4, &packet4(1470, [DF, 0], 17)), 0x8100, 0x064), 0x88a8, 0x100);
    let sent = lab.send("access", longer.clone());
    assert_eq!((sent.len(), &sent[0].1[12..20]), (1, &longer[12..20]));
    let answer = [&sent[0].1[..12], &sent[0].1[20..]].concat();
    assert_eq!(told(&answer, &[&longer[..12], &longer[20..]].concat()), 1450);
    assert_eq!(lab.drops()["too_big"], 2);
    assert!(lab.gateway.is_whole());
}
