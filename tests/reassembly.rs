//! Tunnel packets that arrive in fragments, at an endpoint that puts them together.

mod common;

use std::net::IpAddr;

use common::Lab;
use common::wire::{self, BROADCAST, mac};

const UP: [u8; 6] = [2, 0, 0, 0, 1, 1];
const SECOND: u64 = 1_000_000_000;

fn gateway(reassemble: &str) -> Lab {
    Lab::new(&format!(
        r#"
version: 1
ports:
  up: {{ device: eth1, mac: "02:00:00:00:01:01" }}
  access: {{ device: eth2 }}
endpoints:
  v4: {{ address: 192.0.2.1, ports: [up]{reassemble} }}
  v6: {{ address: "2001:db8::1", ports: [up]{reassemble} }}
peers:
  four: {{ address: 192.0.2.9, encap: vxlan }}
  gre: {{ address: 192.0.2.10, encap: gre }}
  six: {{ address: "2001:db8::9", encap: vxlan }}
tenants:
  t:
    limits: {{ bum: unlimited }}
    loop_guard: off
    attachments:
      four: {{ peer: four, vni: 100, split_horizon: far }}
      gre: {{ peer: gre, key: 100, split_horizon: far }}
      six: {{ peer: six, vni: 100, split_horizon: far }}
      ce: {{ port: access, untagged: true }}
"#
    ))
}

const ON: &str = ", reassemble: { most: 4, timeout: 2s }";

/// A tenant's frame of this length.
fn inner(len: usize) -> Vec<u8> {
    let payload: Vec<u8> = (0..len - 14).map(|n| (n * 7 + n / 251) as u8).collect();
    wire::ethernet(BROADCAST, mac(5), 0x88b5, &payload)
}

/// The payload of an IP packet, cut before these multiples of 8, as the fragments of a datagram.
fn fragments(src: &str, number: u32, protocol: u8, payload: &[u8], cuts: &[usize]) -> Vec<Vec<u8>> {
    let ends = cuts.iter().copied().chain([payload.len()]);
    let starts = [0].into_iter().chain(cuts.iter().copied());
    starts
        .zip(ends)
        .map(|(from, to)| part(src, number, protocol, &payload[from..to], from, to < payload.len()))
        .collect()
}

fn part(src: &str, number: u32, protocol: u8, part: &[u8], offset: usize, more: bool) -> Vec<u8> {
    let src: IpAddr = src.parse().unwrap();
    if src.is_ipv4() {
        let mut frame = wire::outer((UP, mac(0xee)), (src, "192.0.2.1".parse().unwrap()), 0, protocol, part);
        frame[18..20].copy_from_slice(&(number as u16).to_be_bytes());
        frame[20..22].copy_from_slice(&((offset / 8) as u16 | u16::from(more) << 13).to_be_bytes());
        seal(&mut frame);
        return frame;
    }
    let word = (offset as u16 | u16::from(more)).to_be_bytes();
    let header = [&[protocol, 0, word[0], word[1]][..], &number.to_be_bytes(), part].concat();
    wire::outer((UP, mac(0xee)), (src, "2001:db8::1".parse().unwrap()), 0, 44, &header)
}

/// Writes the IPv4 header's checksum.
fn seal(frame: &mut [u8]) {
    frame[24..26].fill(0);
    let sum = wire::sum(&[&frame[14..34]]);
    frame[24..26].copy_from_slice(&sum.to_be_bytes());
}

fn vxlan(src: &str, frame: &[u8]) -> Vec<u8> {
    let mut packet = wire::udp(50_000, 4789, &wire::vxlan(100, frame));
    if let (IpAddr::V6(src), IpAddr::V6(dst)) = (src.parse().unwrap(), "2001:db8::1".parse().unwrap()) {
        let len = (packet.len() as u32).to_be_bytes();
        let sum = wire::sum(&[&src.octets(), &dst.octets(), &len, &[0, 0, 0, 17], &packet]);
        packet[6..8].copy_from_slice(&sum.to_be_bytes());
    }
    packet
}

/// What leaves by the access port for all of these together.
fn sent(lab: &mut Lab, frames: &[Vec<u8>]) -> Vec<Vec<u8>> {
    frames.iter().flat_map(|frame| lab.send("up", frame.clone())).map(|(_, bytes)| bytes).collect()
}

fn drops(lab: &Lab) -> Vec<(&'static str, u64)> {
    lab.drops().into_iter().collect()
}

#[test]
fn fragments_of_either_family_in_any_order_make_the_packet_that_was_sent() {
    let frame = inner(3000);
    for src in ["192.0.2.9", "2001:db8::9"] {
        let all = fragments(src, 7, 17, &vxlan(src, &frame), &[8, 1480, 2048]);
        for order in [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]] {
            let mut lab = gateway(ON);
            assert_eq!(
                sent(&mut lab, &order.map(|at| all[at].clone())),
                std::slice::from_ref(&frame),
                "{src} {order:?}"
            );
            assert!(drops(&lab).is_empty(), "{:?}", drops(&lab));
            assert!(lab.gateway.is_whole());
        }
    }
    let mut lab = gateway(ON);
    let gre = fragments("192.0.2.10", 7, 47, &wire::gre(Some(100), &frame), &[16, 2000]);
    assert_eq!(sent(&mut lab, &gre), [frame]);
}

#[test]
fn without_reassemble_fragments_are_dropped_and_a_whole_packet_is_not() {
    let frame = inner(300);
    for option in ["", ON] {
        let mut lab = gateway(option);
        let whole = part("2001:db8::9", 7, 17, &vxlan("2001:db8::9", &frame), 0, false);
        assert_eq!(sent(&mut lab, &[whole]), std::slice::from_ref(&frame), "an atomic fragment (RFC 6946)");
    }
    let mut lab = gateway(", reassemble: off");
    for src in ["192.0.2.9", "2001:db8::9"] {
        for part in fragments(src, 7, 17, &vxlan(src, &frame), &[160]) {
            assert_eq!(lab.dropped_for("up", part), "outer_fragment");
        }
    }
}

#[test]
fn datagrams_are_told_apart_and_a_duplicate_does_no_harm() {
    let mut lab = gateway(ON);
    let (one, two) = (inner(700), inner(900));
    let a = fragments("192.0.2.9", 1, 17, &vxlan("192.0.2.9", &one), &[400]);
    let b = fragments("192.0.2.9", 2, 17, &vxlan("192.0.2.9", &two), &[400]);
    let mixed = [a[0].clone(), b[1].clone(), a[0].clone(), a[1].clone(), b[0].clone()];
    assert_eq!(sent(&mut lab, &mixed), [one, two]);
    assert_eq!(drops(&lab), [("duplicate_fragment", 1)]);
}

#[test]
fn an_overlap_ends_the_datagram_with_what_is_still_to_come() {
    for src in ["192.0.2.9", "2001:db8::9"] {
        let mut lab = gateway(ON);
        let payload = vxlan(src, &inner(700));
        let all = fragments(src, 1, 17, &payload, &[400]);
        let overlap = part(src, 1, 17, &payload[392..480], 392, true);
        assert!(sent(&mut lab, &[all[0].clone(), overlap, all[1].clone(), all[0].clone()]).is_empty());
        assert_eq!(drops(&lab), [("fragment_overlap", 4)], "{src}");
        // Its number is free again once its time is over.
        lab.sleep(3);
        assert_eq!(sent(&mut lab, &all).len(), 1);
        assert!(lab.gateway.is_whole());
    }
    // Two last parts that do not agree, and a part behind the end.
    for (offset, more) in [(480, false), (800, true)] {
        let mut lab = gateway(ON);
        let payload = vxlan("192.0.2.9", &inner(700));
        let all = fragments("192.0.2.9", 1, 17, &payload, &[400]);
        let odd = part("192.0.2.9", 1, 17, &[7; 16], offset, more);
        assert!(sent(&mut lab, &[all[1].clone(), odd, all[0].clone()]).is_empty());
        assert_eq!(drops(&lab), [("fragment_overlap", 3)]);
    }
}

#[test]
fn what_stays_incomplete_is_given_up_in_time_and_what_is_too_many_at_once() {
    let mut lab = gateway(ON);
    let payload = vxlan("192.0.2.9", &inner(700));
    let all: Vec<_> = (0..6).map(|n| fragments("192.0.2.9", n, 17, &payload, &[400])).collect();
    let firsts: Vec<_> = all.iter().map(|parts| parts[0].clone()).collect();
    assert!(sent(&mut lab, &firsts).is_empty());
    assert_eq!(drops(&lab), [("reassembly_full", 2)], "at most four at a time");
    assert_eq!(sent(&mut lab, &[all[0][1].clone()]).len(), 1);
    lab.clock += 2 * SECOND;
    lab.gateway.step(lab.clock);
    assert_eq!(drops(&lab), [("reassembly_full", 2), ("reassembly_timeout", 3)]);
    assert!(lab.gateway.is_whole());
    assert!(sent(&mut lab, &[all[1][1].clone()]).is_empty(), "it is too late");
}

#[test]
fn nobody_unknown_takes_memory_and_what_can_be_no_part_is_dropped() {
    let mut lab = gateway(ON);
    let stranger = part("192.0.2.77", 1, 17, &[0; 16], 0, true);
    assert_eq!(lab.dropped_for("up", stranger), "unknown_peer");
    for (len, offset, more) in [(15, 0, true), (0, 8, true), (16, 65_528, false)] {
        assert_eq!(lab.dropped_for("up", part("192.0.2.9", 1, 17, &vec![0; len], offset, more)), "bad_fragment");
    }
    assert!(lab.gateway.is_whole());
}

#[test]
fn congestion_marks_of_all_parts_count() {
    let frame = wire::tenant_frame(BROADCAST, mac(5), 1);
    let mut marked = frame.clone();
    marked[15] = 2;
    seal(&mut marked);
    for (classes, passes) in [([2, 3], Some(3)), ([2, 2], Some(2)), ([0, 3], None), ([0, 2], None)] {
        let mut lab = gateway(ON);
        let mut all = fragments("192.0.2.9", 1, 17, &vxlan("192.0.2.9", &marked), &[40]);
        for (part, class) in all.iter_mut().zip(classes) {
            part[15] = class;
            seal(part);
        }
        let sent = sent(&mut lab, &all);
        assert_eq!(sent.first().map(|frame| frame[15]), passes, "{classes:?}");
        assert_eq!(drops(&lab), if passes.is_none() { vec![("bad_fragment", 2)] } else { vec![] });
        assert!(lab.gateway.is_whole());
    }
}
