//! Peers that are learned from their packets (`learn_from`), and flooding by a multicast group of the underlay (`bum`).

mod common;

use std::net::IpAddr;

use common::Lab;
use common::wire::{self, BROADCAST, mac};

const UP: [u8; 6] = [2, 0xaa, 0, 0, 0, 1];
const ROUTER: [u8; 6] = [2, 0xbb, 0, 0, 0, 1];
const OURS: &str = "192.0.2.1";

/// A tenant between a group like this and a port.
fn gateway(group: &str) -> Lab {
    with_ids(group, "vni: 100")
}

fn with_ids(group: &str, ids: &str) -> Lab {
    Lab::new(&format!(
        "version: 1
fdb: {{ capacity: 1000 }}
ports:
  up:     {{ device: up, mac: \"02:aa:00:00:00:01\" }}
  access: {{ device: access }}
endpoints:
  v4: {{ address: 192.0.2.1, ports: [up] }}
  v6: {{ address: \"2001:db8::1\", ports: [up] }}
groups:
  leafs: {{ {group} }}
peers:
  other: {{ address: 192.0.2.250, encap: vxlan }}
tenants:
  blue:
    ageing: 30s
    attachments:
      leafs: {{ group: leafs, {ids} }}
      ce:    {{ port: access, s_vid: 7 }}
  red:
    attachments:
      other: {{ peer: other, vni: 200 }}
      ce:    {{ port: access, s_vid: 8 }}
"
    ))
}

/// A VXLAN packet from an address to another.
fn packet(link: [u8; 6], from: &str, to: &str, vni: u32, frame: &[u8]) -> Vec<u8> {
    let ends: (IpAddr, IpAddr) = (from.parse().unwrap(), to.parse().unwrap());
    wire::outer((link, ROUTER), ends, 0, 17, &wire::udp(50_000, 4789, &wire::vxlan(vni, frame)))
}

/// A host behind a leaf says something to everybody.
fn speak(lab: &mut Lab, leaf: &str, host: u8) -> Vec<(String, Vec<u8>)> {
    lab.clock += 1_000_000;
    lab.send("up", packet(UP, leaf, OURS, 100, &wire::tenant_frame(BROADCAST, mac(host), lab.clock as u16 >> 8)))
}

/// The tenant's host behind the port says something.
fn answer(lab: &mut Lab, to: [u8; 6]) -> Vec<IpAddr> {
    lab.clock += 1_000_000;
    let frame = wire::tenant_frame(to, mac(99), lab.clock as u16 >> 8);
    let sent = lab.send("access", wire::tag(&frame, 0x88a8, 7));
    sent.iter().map(|(_, bytes)| destination(bytes)).collect()
}

fn destination(bytes: &[u8]) -> IpAddr {
    match bytes[12] {
        8 => <[u8; 4]>::try_from(&bytes[30..34]).unwrap().into(),
        _ => <[u8; 16]>::try_from(&bytes[38..54]).unwrap().into(),
    }
}

fn addresses(list: &[&str]) -> Vec<IpAddr> {
    list.iter().map(|address| address.parse().unwrap()).collect()
}

fn via(lab: &Lab, host: u8) -> Option<String> {
    let wanted = transload_encaps::Mac(mac(host)).to_string();
    lab.fdb().into_iter().find(|row| row.mac == wanted).map(|row| row.via)
}

#[test]
fn the_first_frame_of_a_stranger_is_carried_and_the_next_one_is_learned() {
    let mut lab = gateway("encap: vxlan, learn_from: 198.51.100.0/24");
    let sent = speak(&mut lab, "198.51.100.7", 1);
    assert_eq!(sent.len(), 1, "not lost");
    assert_eq!(sent[0].0, "access");
    assert_eq!(via(&lab, 1), None, "there is no number yet to learn it by");
    speak(&mut lab, "198.51.100.7", 1);
    assert_eq!(via(&lab, 1).as_deref(), Some("leafs/198.51.100.7"));
    assert_eq!(answer(&mut lab, mac(1)), addresses(&["198.51.100.7"]));
}

#[test]
fn whoever_is_outside_the_prefix_stays_outside() {
    let mut lab = gateway("encap: vxlan, learn_from: [198.51.100.0/25, 203.0.113.8/32]");
    for stranger in ["198.51.100.128", "203.0.113.9", "198.51.99.255"] {
        let frame = packet(UP, stranger, OURS, 100, &wire::tenant_frame(BROADCAST, mac(1), 1));
        assert_eq!(lab.dropped_for("up", frame), "unknown_peer", "{stranger}");
    }
    for edge in ["198.51.100.0", "198.51.100.127", "203.0.113.8"] {
        assert_eq!(speak(&mut lab, edge, 1).len(), 1, "{edge}");
    }
}

#[test]
fn a_tenant_id_that_nobody_has_teaches_no_peer() {
    let mut lab = gateway("encap: vxlan, learn_from: 198.51.100.0/24");
    let frame = packet(UP, "198.51.100.7", OURS, 666, &wire::tenant_frame(BROADCAST, mac(1), 1));
    assert_eq!(lab.dropped_for("up", frame), "unknown_segment");
    assert_eq!(lab.gateway.learned().rows().count(), 0);
}

#[test]
fn learned_peers_are_one_mesh_with_those_that_are_named() {
    let mut lab = gateway("encap: vxlan, members: [192.0.2.9], learn_from: 198.51.100.0/24");
    for (leaf, host) in [("198.51.100.7", 1), ("198.51.100.8", 2), ("192.0.2.9", 3)] {
        for _ in 0..2 {
            let sent = speak(&mut lab, leaf, host);
            assert!(sent.iter().all(|(port, _)| port == "access"), "from {leaf} to the port only");
        }
    }
    let across = packet(UP, "198.51.100.7", OURS, 100, &wire::tenant_frame(mac(3), mac(1), 9));
    assert_eq!(lab.dropped_for("up", across), "split_horizon");
    let everyone = addresses(&["192.0.2.9", "198.51.100.7", "198.51.100.8"]);
    assert_eq!(answer(&mut lab, BROADCAST), everyone, "each gets its copy");
}

#[test]
fn a_stranger_cannot_reach_a_member_of_the_mesh_with_its_first_frame_either() {
    let mut lab = gateway("encap: vxlan, members: [192.0.2.9], learn_from: 198.51.100.0/24");
    speak(&mut lab, "192.0.2.9", 3);
    let across = packet(UP, "198.51.100.7", OURS, 100, &wire::tenant_frame(mac(3), mac(1), 9));
    assert_eq!(lab.dropped_for("up", across), "split_horizon");
}

#[test]
fn what_is_flooded_goes_once_to_the_multicast_group() {
    let mut lab = gateway("encap: vxlan, learn_from: 198.51.100.0/24, bum: 239.1.129.3, ttl: 9");
    let frame = wire::tag(&wire::tenant_frame(BROADCAST, mac(99), 1), 0x88a8, 7);
    let sent = lab.send("access", frame);
    let [(port, bytes)] = sent.as_slice() else { panic!("{} frames", sent.len()) };
    assert_eq!(port, "up");
    assert_eq!(bytes[..6], [0x01, 0x00, 0x5e, 0x01, 0x81, 0x03], "RFC 1112: the low 23 bits");
    assert_eq!(bytes[6..12], UP);
    assert_eq!((destination(bytes), bytes[22]), ("239.1.129.3".parse().unwrap(), 9), "the group's TTL");
    assert_eq!(bytes[20] & 0x40, 0x40, "DF");
    for _ in 0..2 {
        speak(&mut lab, "198.51.100.7", 1);
    }
    assert_eq!(answer(&mut lab, BROADCAST), addresses(&["239.1.129.3"]), "no copy besides for who is learned");
    assert_eq!(answer(&mut lab, mac(77)), addresses(&["239.1.129.3"]), "unknown unicast likewise");
    assert_eq!(answer(&mut lab, mac(1)), addresses(&["198.51.100.7"]), "known unicast goes straight");
}

#[test]
fn over_ipv6_it_is_the_same() {
    let mut lab = gateway("encap: vxlan, endpoint: v6, learn_from: \"2001:db8:7::/64\", bum: \"ff05::8472:1\"");
    for _ in 0..2 {
        lab.clock += 1_000_000;
        let frame = wire::tenant_frame(BROADCAST, mac(1), lab.clock as u16 >> 8);
        let group = [0x33, 0x33, 0x84, 0x72, 0, 1];
        let sent = lab.send("up", packet(group, "2001:db8:7::5", "ff05::8472:1", 100, &frame));
        assert_eq!(sent.len(), 1);
    }
    assert_eq!(answer(&mut lab, BROADCAST), addresses(&["ff05::8472:1"]));
    assert_eq!(answer(&mut lab, mac(1)), addresses(&["2001:db8:7::5"]));
}

#[test]
fn only_the_groups_own_members_are_heard_by_its_multicast_address() {
    let mut lab = gateway("encap: vxlan, learn_from: 198.51.100.0/24, members: [192.0.2.9], bum: 239.1.1.1");
    let group = [0x01, 0x00, 0x5e, 1, 1, 1];
    let frame = wire::tenant_frame(BROADCAST, mac(1), 1);
    for member in ["198.51.100.7", "192.0.2.9"] {
        assert_eq!(lab.send("up", packet(group, member, "239.1.1.1", 100, &frame)).len(), 1, "{member}");
    }
    let red = wire::tenant_frame(BROADCAST, mac(5), 1);
    let from_red = packet(group, "192.0.2.250", "239.1.1.1", 200, &red);
    assert_eq!(lab.dropped_for("up", from_red), "other_group", "another peer of ours, which has no part in it");
    let outsider = packet(group, "203.0.113.9", "239.1.1.1", 100, &frame);
    assert_eq!(lab.dropped_for("up", outsider), "unknown_peer");
    let to_our_mac = packet(UP, "198.51.100.7", "239.1.1.1", 100, &frame);
    assert_eq!(lab.dropped_for("up", to_our_mac), "not_our_mac");
    let unicast_by_group_mac = packet(group, "198.51.100.7", OURS, 100, &frame);
    assert_eq!(lab.dropped_for("up", unicast_by_group_mac), "not_our_mac");
    let elsewhere = packet([0x01, 0x00, 0x5e, 1, 1, 2], "198.51.100.7", "239.1.1.2", 100, &frame);
    assert_eq!(lab.dropped_for("up", elsewhere), "not_for_us", "nobody uses that group");
}

#[test]
fn our_own_packets_do_not_come_back() {
    let mut lab = gateway("encap: vxlan, learn_from: 0.0.0.0/0, bum: 239.1.1.1");
    let sent = lab.send("access", wire::tag(&wire::tenant_frame(BROADCAST, mac(99), 1), 0x88a8, 7));
    assert_eq!(lab.dropped_for("up", sent[0].1.clone()), "own_packet");
    assert_eq!(lab.gateway.learned().rows().count(), 0);
}

#[test]
fn no_more_are_learned_than_the_group_allows_and_the_others_are_counted() {
    let mut lab = gateway("encap: vxlan, learn_from: 198.51.100.0/24, max_learned: 2");
    for host in 1..=4 {
        for _ in 0..2 {
            assert_eq!(speak(&mut lab, &format!("198.51.100.{host}"), host).len(), 1, "what they say is carried");
        }
    }
    assert_eq!(lab.gateway.learned().rows().count(), 2);
    let group = lab.gateway.learned().refused(transload::forwarding::GroupId::new(0));
    assert_eq!(group, 4, "two strangers, twice");
    assert_eq!((via(&lab, 2).is_some(), via(&lab, 3)), (true, None));
}

#[test]
fn a_silent_peer_is_forgotten_with_its_last_address_and_its_number_is_free() {
    let mut lab = gateway("encap: vxlan, learn_from: 198.51.100.0/24");
    for _ in 0..2 {
        speak(&mut lab, "198.51.100.7", 1);
    }
    let first = lab.gateway.learned().rows().next().unwrap().id;
    lab.sleep(20);
    assert_eq!(lab.gateway.learned().rows().count(), 1, "its address is young");
    for _ in 0..10 {
        lab.sleep(20);
    }
    assert_eq!((lab.gateway.learned().rows().count(), via(&lab, 1)), (0, None));
    assert!(lab.tables().peer(first).is_none());
    for _ in 0..2 {
        speak(&mut lab, "198.51.100.8", 2);
    }
    assert_eq!(lab.gateway.learned().rows().next().unwrap().id, first, "nobody holds it any more");
    assert_eq!(answer(&mut lab, mac(2)), addresses(&["198.51.100.8"]));
}

#[test]
fn a_peer_that_sends_is_not_forgotten() {
    let mut lab = gateway("encap: vxlan, learn_from: 198.51.100.0/24");
    for _ in 0..12 {
        speak(&mut lab, "198.51.100.7", 1);
        lab.sleep(20);
    }
    assert_eq!(lab.gateway.learned().rows().count(), 1);
}

#[test]
fn a_peer_that_the_file_names_is_itself_though_it_is_inside_the_prefix() {
    let mut lab = gateway("encap: vxlan, learn_from: 192.0.2.0/24");
    let red = packet(UP, "192.0.2.250", OURS, 200, &wire::tenant_frame(BROADCAST, mac(5), 1));
    assert_eq!(lab.send("up", red).len(), 1);
    let blue = packet(UP, "192.0.2.250", OURS, 100, &wire::tenant_frame(BROADCAST, mac(5), 1));
    assert_eq!(lab.dropped_for("up", blue), "unknown_segment", "it is not of the group");
    assert_eq!(lab.gateway.learned().rows().count(), 0);
}

#[test]
fn nvgre_and_gre_peers_are_learned_too() {
    for (encap, ids, header) in [
        ("nvgre", "vsid: 5000", wire::nvgre as fn(u32, u8, &[u8]) -> Vec<u8>),
        ("{ gre: { sequence: true } }", "key: 5000", |key, _, frame: &[u8]| {
            [&[0x30, 0, 0x65, 0x58][..], &key.to_be_bytes(), &[0; 4], frame].concat()
        }),
    ] {
        let mut lab = with_ids(&format!("encap: {encap}, learn_from: 198.51.100.0/24, bum: 239.1.1.1"), ids);
        for _ in 0..2 {
            lab.clock += 1_000_000;
            let inner = wire::tenant_frame(BROADCAST, mac(1), lab.clock as u16 >> 8);
            let ends = ("198.51.100.7".parse().unwrap(), OURS.parse().unwrap());
            let packet = wire::outer((UP, ROUTER), ends, 0, 47, &header(5000, 0, &inner));
            assert_eq!(lab.send("up", packet).len(), 1, "{encap}");
        }
        assert_eq!(answer(&mut lab, mac(1)), addresses(&["198.51.100.7"]), "{encap}");
        assert_eq!(answer(&mut lab, BROADCAST), addresses(&["239.1.1.1"]), "{encap}");
    }
}
