//! Limits of broadcast, unknown-unicast and multicast frames: what a healthy tenant sends passes by default, a storm
//! does not, and takes nothing from anybody else.

mod common;

use std::ops::Range;

use common::Lab;
use common::wire::{BROADCAST, mac, tag, tenant_frame};
use transload::dataplane::Now;
use transload::report::rows::TenantRow;

const SECOND: u64 = 1_000_000_000;
/// A group address of IPv4 multicast.
const VIDEO: [u8; 6] = [0x01, 0x00, 0x5e, 1, 1, 1];

/// A tenant with two tagged places, a group of so many members, and these limits.
fn gateway(members: u8, limits: &str) -> Lab {
    Lab::new(&file(members, limits))
}

fn file(members: u8, limits: &str) -> String {
    format!(
        r#"
version: 1
ports:
  up: {{ device: eth1, mac: "02:00:00:00:01:01" }}
  access: {{ device: eth2 }}
endpoints:
  e: {{ address: 192.0.2.1, ports: [up] }}
groups:
  leafs: {{ encap: vxlan, members: [198.51.100.1-198.51.100.{members}] }}
tenants:
  t:
    {limits}
    loop_guard: off
    attachments:
      leafs: {{ group: leafs, vni: 100 }}
      one: {{ port: access, vid: 1, split_horizon: ports }}
      two: {{ port: access, vid: 2, split_horizon: ports }}
"#
    )
}

/// An ARP request, tagged as on the access port.
fn arp(vid: u16) -> Vec<u8> {
    [&BROADCAST[..], &mac(7), &[0x81, 0, 0, vid as u8, 8, 6], &[0; 28]].concat()
}

fn neighbour_solicitation(vid: u16) -> Vec<u8> {
    let ipv6 = [&[0x60, 0, 0, 0, 0, 24, 58, 255][..], &[0xfe; 32], &[135, 0, 0, 0], &[0; 20]].concat();
    [&[0x33, 0x33, 0xff, 0, 0, 1][..], &mac(7), &[0x81, 0, 0, vid as u8, 0x86, 0xdd], &ipv6].concat()
}

fn row(lab: &Lab) -> TenantRow {
    lab.gateway.state(lab.clock).tenants(None).unwrap().remove(0)
}

/// A tenant's frame to this address, tagged as on the access port.
fn tagged(vid: u16, to: [u8; 6]) -> Vec<u8> {
    tag(&tenant_frame(to, mac(vid as u8), 0), 0x8100, vid)
}

/// How many copies leave if a frame comes so often in a second, evenly, for some seconds.
fn copies(lab: &mut Lab, frame: &[u8], rate: u64, seconds: Range<u64>) -> usize {
    let start = lab.clock;
    let mut sent = 0;
    for n in seconds.start * rate..seconds.end * rate {
        lab.clock = start + n * SECOND / rate;
        sent += lab.send("access", frame.to_vec()).len();
    }
    lab.clock = start + seconds.end * SECOND;
    sent
}

#[test]
fn a_video_and_the_arp_beside_it_pass_by_default() {
    let mut lab = gateway(10, "");
    let video = tagged(1, VIDEO);
    let (mut frames, start) = (0, lab.clock);
    // 10,000 frames of video a second, and an ARP request and a solicitation after every tenth.
    for n in 0..20_000 {
        lab.clock = start + n * SECOND / 10_000;
        assert_eq!(lab.send("access", video.clone()).len(), 10);
        frames += 1;
        if n % 10 == 0 {
            assert_eq!(lab.send("access", arp(1)).len(), 10);
            assert_eq!(lab.send("access", neighbour_solicitation(1)).len(), 10);
            frames += 2;
        }
    }
    assert_eq!((row(&lab).flooded, row(&lab).copies_dropped), (frames, 0));
}

#[test]
fn a_storm_meets_the_default_and_takes_nothing_from_another_attachment_nor_class() {
    let mut lab = gateway(4, "");
    let [one, two] = [1, 2].map(|vid| tagged(vid, BROADCAST));
    let sent = copies(&mut lab, &one, 40_000, 0..3);
    assert!((300_000..=400_004).contains(&sent), "100,000 copies a second and one second's worth saved up: {sent}");
    assert_eq!(row(&lab).copies_dropped + sent as u64, 4 * 120_000, "what was not made is counted");
    assert_eq!(lab.dropped_for("access", one), "bum_limit");
    assert_eq!(lab.send("access", two).len(), 4, "from the other attachment");
    for other in [VIDEO, mac(0x77)] {
        assert_eq!(lab.send("access", tagged(1, other)).len(), 4, "of another class");
    }
}

#[test]
fn arp_and_nd_go_last() {
    let mut lab = gateway(1, "limits: { bum: 100 }");
    for storm in [BROADCAST, VIDEO] {
        let storm = tagged(1, storm);
        assert_eq!((0..1_000).map(|_| lab.send("access", storm.clone()).len()).sum::<usize>(), 100);
    }
    let asked =
        (0..200).map(|_| lab.send("access", arp(1)).len() + lab.send("access", neighbour_solicitation(1)).len());
    assert_eq!(asked.sum::<usize>(), 100, "they have as many copies again for themselves");
    // What is left of their class is theirs too.
    let mut fresh = gateway(1, "limits: { bum: 100 }");
    assert_eq!((0..300).map(|_| fresh.send("access", arp(1)).len()).sum::<usize>(), 200);
}

#[test]
fn each_class_has_the_limit_that_the_file_says_in_copies() {
    let mut lab = gateway(5, "limits: { bum: { broadcast: 20/s, multicast: 50, unknown_unicast: unlimited } }");
    for (to, passed) in [(BROADCAST, 4), (VIDEO, 10), (mac(0x77), 1_000)] {
        let frame = tagged(1, to);
        let sent: usize = (0..1_000).map(|_| lab.send("access", frame.clone()).len()).sum();
        assert_eq!(sent, passed * 5, "{to:02x?}");
    }
    let mut off = gateway(5, "limits: { bum: unlimited }");
    let frame = tagged(1, BROADCAST);
    assert_eq!((0..30_000).map(|_| off.send("access", frame.clone()).len()).sum::<usize>(), 150_000);
}

#[test]
fn a_frame_with_more_copies_than_a_second_allows_passes_now_and_then() {
    let mut lab = gateway(50, "limits: { bum: 10 }");
    let frame = tagged(1, BROADCAST);
    assert_eq!(copies(&mut lab, &frame, 100, 0..50), 550, "50 copies every five seconds, and one second saved up");
}

#[test]
fn a_reload_gives_nobody_a_new_budget() {
    let mut lab = gateway(1, "limits: { bum: 100 }");
    let frame = tagged(1, BROADCAST);
    assert_eq!((0..200).map(|_| lab.send("access", frame.clone()).len()).sum::<usize>(), 100);
    let config = transload::config::parse("lab.yaml", &file(2, "limits: { bum: 100 }")).unwrap();
    let before = lab.gateway.rib().plan();
    let plan = transload::compile::compile(&config, &before.numbers, Some(&before.tables)).unwrap();
    lab.gateway.reload(plan, lab.clock);
    assert_eq!(lab.send("access", frame).len(), 0);
}

#[test]
fn while_the_gateway_starts_ten_times_as_much_unknown_unicast_passes_and_then_the_limit() {
    let mut lab = gateway(1, "limits: { bum: 100 }");
    let now = |lab: &Lab, seconds| Now { nanos: lab.clock + seconds * SECOND };
    let until = now(&lab, 10);
    lab.gateway.change(|rib| rib.starts_until(until));
    let (silent, everyone) = (tagged(1, mac(0x77)), tagged(2, BROADCAST));
    let sent = copies(&mut lab, &silent, 2_000, 0..5);
    assert!((5_000..=6_001).contains(&sent), "1,000 a second and one second's worth saved up: {sent}");
    let sent = copies(&mut lab, &everyone, 2_000, 0..5);
    assert!((500..=601).contains(&sent), "broadcasts are as limited as ever: {sent}");
    lab.sleep(2);
    let sent = copies(&mut lab, &silent, 2_000, 0..5);
    assert!((500..=601).contains(&sent), "it has started: {sent}");
}
