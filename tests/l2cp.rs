//! Bridges' control frames, 01:80:c2:00:00:00 to :0f: dropped, or carried between attachments that say so; those of
//! customers' bridges also where a whole S-VLAN is bridged.

mod common;

use common::Lab;
use common::wire::{self, mac};

fn gateway(a: &str, b: &str, c: &str) -> Lab {
    Lab::new(&format!(
        "version: 1
ports:
  a: {{ device: a }}
  b: {{ device: b }}
  c: {{ device: c }}
tenants:
  blue:
    attachments:
      a: {{ port: a, untagged: true{a} }}
      b: {{ port: b, untagged: true{b} }}
      c: {{ port: c, untagged: true{c} }}
"
    ))
}

const TUNNEL: &str = ", l2cp: tunnel";

fn control_frame(last: u8) -> Vec<u8> {
    wire::ethernet([1, 0x80, 0xc2, 0, 0, last], mac(1), 0x88cc, &[last; 46])
}

#[test]
fn they_are_dropped_unless_told_otherwise() {
    for policy in ["", ", l2cp: drop"] {
        let mut lab = gateway(policy, TUNNEL, TUNNEL);
        for last in 0..16 {
            assert_eq!(lab.dropped_for("a", control_frame(last)), "l2_control");
        }
        assert!(lab.fdb().is_empty(), "and teach nothing");
    }
}

#[test]
fn they_go_from_where_they_are_tunnelled_to_where_they_are_unchanged() {
    let mut lab = gateway(TUNNEL, TUNNEL, "");
    for last in 0..16 {
        let sent = lab.send("a", control_frame(last));
        assert_eq!(sent, [("b".to_owned(), control_frame(last))], "not to c");
    }
}

#[test]
fn with_nowhere_to_go_they_are_dropped_by_their_name() {
    let mut lab = gateway(TUNNEL, "", "");
    assert_eq!(lab.dropped_for("a", control_frame(2)), "l2_control");
}

#[test]
fn what_comes_after_the_sixteen_is_multicast_like_any_other() {
    let mut lab = gateway("", "", "");
    assert_eq!(lab.send("a", control_frame(16)).len(), 2);
}

/// IEEE 802.1Q table 8-2 does not have these: they are customers' bridges'.
const OF_CUSTOMERS: [u8; 5] = [0x00, 0x0b, 0x0c, 0x0d, 0x0f];

/// Two S-VLANs, a tunnel, and a place where C-VLANs end.
fn provider(s1: &str, v: &str) -> Lab {
    Lab::new(&format!(
        "version: 1
ports:
  up: {{ device: up }}
  a: {{ device: a }}
  b: {{ device: b }}
  c: {{ device: c }}
endpoints:
  local: {{ address: 192.0.2.1, ports: [up] }}
peers:
  leaf: {{ address: 192.0.2.9, encap: vxlan }}
tenants:
  blue:
    attachments:
      s1: {{ port: a, s_vid: 100{s1} }}
      s2: {{ port: b, s_vid: 200 }}
      v:  {{ peer: leaf, vni: 10100{v} }}
      c1: {{ port: c, s_vid: 100, c_vid: 7 }}
      c2: {{ port: c, vid: 8 }}
      c3: {{ port: c, untagged: true }}
"
    ))
}

fn ports_of(sent: &[(String, Vec<u8>)]) -> Vec<&str> {
    let mut ports: Vec<_> = sent.iter().map(|(port, _)| port.as_str()).collect();
    ports.sort_unstable();
    ports
}

fn from_leaf(frame: &[u8]) -> Vec<u8> {
    let packet = wire::udp(50_000, 4789, &wire::vxlan(10100, frame));
    wire::outer(([2, 0, 0, 0, 0, 1], mac(9)), ([192, 0, 2, 9].into(), [192, 0, 2, 1].into()), 0, 17, &packet)
}

#[test]
fn customers_control_frames_pass_between_s_vlans_and_the_tunnels_beside_them() {
    for last in 0..16 {
        let mut lab = provider("", "");
        let from_s = wire::tag(&control_frame(last), 0x88a8, 100);
        if OF_CUSTOMERS.contains(&last) {
            assert_eq!(ports_of(&lab.send("a", from_s)), ["b", "up"], "{last}");
            assert_eq!(ports_of(&lab.send("up", from_leaf(&control_frame(last)))), ["a", "b"], "and back, {last}");
        } else {
            assert_eq!(lab.dropped_for("a", from_s), "l2_control", "{last}");
            assert_eq!(lab.dropped_for("up", from_leaf(&control_frame(last))), "l2_control", "{last}");
        }
    }
}

#[test]
fn customers_control_frames_stop_where_c_vlans_end_and_where_the_file_says_so() {
    let bpdu = control_frame(0);
    let mut lab = provider("", "");
    let with_c_tag = wire::tag(&wire::tag(&bpdu, 0x8100, 7), 0x88a8, 100);
    for frame in [with_c_tag, wire::tag(&bpdu, 0x8100, 8), bpdu.clone()] {
        assert_eq!(lab.dropped_for("c", frame), "l2_control");
    }
    let mut lab = provider(", l2cp: drop", "");
    assert_eq!(lab.dropped_for("a", wire::tag(&bpdu, 0x88a8, 100)), "l2_control");
    assert_eq!(ports_of(&lab.send("b", wire::tag(&bpdu, 0x88a8, 200))), ["up"]);
    let mut lab = provider("", ", l2cp: drop");
    assert_eq!(ports_of(&lab.send("a", wire::tag(&bpdu, 0x88a8, 100))), ["b"]);
    let mut lab = provider("", ", l2cp: tunnel");
    assert_eq!(lab.dropped_for("up", from_leaf(&control_frame(2))), "l2_control", "nobody else takes LACP");
}

#[test]
fn a_tunnel_without_an_s_vlan_beside_it_carries_none() {
    let mut lab = Lab::new(
        "version: 1
ports:
  up: { device: up }
  a: { device: a }
endpoints:
  local: { address: 192.0.2.1, ports: [up] }
peers:
  leaf: { address: 192.0.2.9, encap: vxlan }
tenants:
  blue: { attachments: { v: { peer: leaf, vni: 10100 }, a: { port: a, vid: 7 } } }
",
    );
    assert_eq!(lab.dropped_for("up", from_leaf(&control_frame(0))), "l2_control");
    assert_eq!(lab.dropped_for("a", wire::tag(&control_frame(0), 0x8100, 7)), "l2_control");
}
