//! What is shown of a dropped frame is what arrived, wherever it was dropped and whatever was taken off before.

mod common;

use std::net::IpAddr;

use common::Lab;
use common::wire::{self, BROADCAST, mac};
use proptest::prelude::*;
use proptest::sample::select;
use transload::report::rows::DropSampleRow;

const FILE: &str = r#"version: 1
ports:
  up: { device: eth1, mtu: 1500 }
  access: { device: eth2, mtu: 1500 }
endpoints:
  v4: { address: 192.0.2.1, ports: [up], reassemble: on }
  v6: { address: "2001:db8::1", ports: [up], vlan: 7 }
peers:
  vx: { address: 192.0.2.9, accept_from: [192.0.2.19], endpoint: v4, encap: vxlan }
  nv: { address: 192.0.2.10, endpoint: v4, encap: nvgre }
  gr: { address: 192.0.2.11, endpoint: v4, encap: gre }
  v6: { address: "2001:db8::9", endpoint: v6, encap: vxlan }
tenants:
  red:
    attachments:
      vx: { peer: vx, vni: 100 }
      nv: { peer: nv, vsid: 5000, inner_tags: drop }
      gr: { peer: gr, key: 9 }
      v6: { peer: v6, vni: 100 }
      ce: { port: access, s_vid: 5 }
"#;

/// A frame that arrives in a tunnel, and what is to be read of it.
#[derive(Debug, Clone)]
struct Arrival {
    bytes: Vec<u8>,
    source: IpAddr,
    destination: IpAddr,
    carrier: &'static str,
    id: String,
    macs: [[u8; 6]; 2],
    vlan: Option<u16>,
}

fn arrival(encap: u8, id: u32, last: u8, macs: [[u8; 6]; 2], vlan: Option<u16>, len: usize) -> Arrival {
    let packet = wire::ipv4([10, 0, 0, 1].into(), [10, 0, 0, 2].into(), 0, 17, &wire::udp(5, 7, &vec![0x5a; len]));
    let inner = wire::ethernet(macs[1], macs[0], wire::IPV4, &packet);
    let inner = vlan.map_or(inner.clone(), |vlan| wire::tag(&inner, 0x8100, vlan));
    let v6 = encap == 3;
    let ends: (IpAddr, IpAddr) = if v6 {
        (format!("2001:db8::{last:x}").parse().unwrap(), "2001:db8::1".parse().unwrap())
    } else {
        ([192, 0, 2, last].into(), [192, 0, 2, 1].into())
    };
    let (protocol, carrier, id, payload) = match encap {
        0 | 3 => (17, "UDP port 4789", format!("vni {id}"), wire::udp(5, 4789, &wire::vxlan(id, &inner))),
        1 => (47, "IP protocol 47", format!("vsid {id}"), wire::nvgre(id, 3, &inner)),
        _ => (47, "IP protocol 47", format!("key {id:#010x}"), wire::gre(Some(id), &inner)),
    };
    let bytes = wire::outer((mac(1), mac(9)), ends, 0, protocol, &payload);
    let bytes = if v6 { wire::tag(&bytes, 0x8100, 7) } else { bytes };
    Arrival { bytes, source: ends.0, destination: ends.1, carrier, id, macs, vlan }
}

fn samples(lab: &Lab) -> Vec<DropSampleRow> {
    let drops = lab.gateway.state(lab.clock).drops();
    let mut all: Vec<_> = drops.into_iter().flat_map(|row| row.samples).collect();
    all.sort_by(|a, b| b.at.cmp(&a.at));
    all
}

/// Sends a frame of its own second; returns what is shown if it was dropped.
fn sample_of(lab: &mut Lab, port: &str, bytes: Vec<u8>) -> Option<DropSampleRow> {
    lab.clock += 1_000_000_000;
    lab.send(port, bytes);
    samples(lab).into_iter().next().filter(|sample| sample.ago == 0)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_shown_is_what_arrived(
        arrivals in prop::collection::vec(
            (
                0..4_u8,
                select(&[100_u32, 101, 5000, 9][..]),
                select(&[9_u8, 10, 11, 19, 77][..]),
                select(vec![mac(0x11), mac(0x22), BROADCAST]),
                select(vec![mac(0x22), mac(0x33), BROADCAST]),
                prop_oneof![3 => Just(None), 1 => (1..4095_u16).prop_map(Some)],
                select(&[0_usize, 100, 1400, 1440][..]),
            ),
            1..12,
        ),
    ) {
        let mut lab = Lab::new(FILE);
        for (encap, id, last, from, to, vlan, len) in arrivals {
            let arrival = arrival(encap, id, last, [from, to], vlan, len);
            let before: u64 = lab.gateway.drops().map(|(_, count)| count).sum();
            let sample = sample_of(&mut lab, "up", arrival.bytes.clone());
            let count = lab.gateway.drops().map(|(_, count)| count).sum::<u64>() - before;
            prop_assert_eq!(count > 0, sample.is_some());
            let Some(sample) = sample else { continue };
            let text = |mac: [u8; 6]| mac.map(|byte| format!("{byte:02x}")).join(":");
            prop_assert_eq!(sample.source, Some(arrival.source.to_string()));
            prop_assert_eq!(sample.destination, Some(arrival.destination.to_string()));
            prop_assert_eq!(sample.carrier, Some(arrival.carrier.to_owned()));
            prop_assert_eq!(sample.len as usize, arrival.bytes.len());
            // A header is read as its sender's encapsulation has it.
            let sender = match last {
                9 | 19 => [0, 3],
                10 => [1, 1],
                _ => [2, 2],
            };
            if sample.via.is_some() && sender.contains(&encap) {
                prop_assert_eq!(sample.id, Some(arrival.id));
            }
            prop_assert_eq!(sample.port, "up");
            prop_assert_eq!(sample.source_mac, Some(text(arrival.macs[0])));
            prop_assert_eq!(sample.destination_mac, Some(text(arrival.macs[1])));
            prop_assert_eq!(sample.vlan, arrival.vlan);
        }
    }
}

#[test]
fn a_frame_that_nobody_claims_shows_its_tags() {
    let mut lab = Lab::new(FILE);
    let frame = wire::tag(&wire::tenant_frame(mac(2), mac(1), 0), 0x88a8, 6);
    let sample = sample_of(&mut lab, "access", frame).unwrap();
    assert_eq!((sample.reason.as_str(), sample.id.as_deref()), ("unclaimed_tags", Some("s_vid 6")));
    assert_eq!((sample.port.as_str(), sample.via.as_deref()), ("access", Some("access")));
    assert_eq!(sample.source_mac.as_deref(), Some("02:00:00:00:00:01"));
}

#[test]
fn a_tenants_frame_that_is_dropped_shows_whose_it_is() {
    let mut lab = Lab::new(FILE);
    // To itself.
    let frame = wire::tag(&wire::tenant_frame(mac(2), mac(2), 0), 0x88a8, 5);
    let sample = sample_of(&mut lab, "access", frame).unwrap();
    assert_eq!((sample.tenant.as_deref(), sample.attachment.as_deref()), (Some("red"), Some("ce")));
    assert_eq!(sample.id.as_deref(), Some("s_vid 5"));
    let state = lab.gateway.state(lab.clock);
    let red = state.tenant_detail(state.tenant(Some("red")).unwrap().unwrap()).unwrap();
    assert_eq!(red.samples, [sample]);
    assert_eq!(state.samples_from("vx"), []);
    assert!(state.drops_counted().iter().all(|row| row.samples.is_empty()));
}

#[test]
fn a_storm_does_not_hide_what_else_is_dropped_and_no_more_than_four_are_kept() {
    let mut lab = Lab::new(FILE);
    for second in 0..10_u8 {
        lab.clock += 1_000_000_000;
        for n in 0..200 {
            lab.send("up", arrival(0, 100, 77, [mac(n), mac(2)], None, 0).bytes);
        }
        lab.send("up", arrival(0, 555, 9, [mac(second), mac(2)], None, 0).bytes);
    }
    let samples = samples(&lab);
    let of = |reason: &str| samples.iter().filter(|sample| sample.reason == reason).count();
    assert_eq!((of("unknown_peer"), of("unknown_segment")), (4, 4));
    let drops = lab.gateway.state(lab.clock).drops();
    let row = drops.iter().find(|row| row.reason == "unknown_segment").unwrap();
    assert_eq!((row.dropped, row.samples.len()), (10, 4));
    assert_eq!(row.samples.iter().map(|sample| sample.ago).collect::<Vec<_>>(), [0, 1, 2, 3]);
}

#[test]
fn fragments_that_stay_alone_show_who_sent_them() {
    let mut lab = Lab::new(FILE);
    // Of eight bytes, as all but the last one must be.
    let mut bytes = arrival(0, 100, 9, [mac(1), mac(2)], None, 102).bytes;
    // More fragments follow (RFC 791 section 3.1), and the header's checksum is that of the other flags.
    bytes[20] = 0x20;
    bytes[24..26].fill(0);
    let sum = wire::sum(&[&bytes[14..34]]);
    bytes[24..26].copy_from_slice(&sum.to_be_bytes());
    lab.send("up", bytes);
    lab.clock += 60_000_000_000;
    lab.gateway.step(lab.clock);
    lab.gateway.step(lab.clock);
    let sample = sample_of(&mut lab, "access", wire::tag(&wire::tenant_frame(mac(2), mac(2), 0), 0x88a8, 5));
    assert!(sample.is_some());
    let samples = samples(&lab);
    let lost =
        samples.iter().find(|sample| sample.reason == "reassembly_timeout").unwrap_or_else(|| panic!("{samples:?}"));
    assert_eq!((lost.source.as_deref(), lost.destination.as_deref()), (Some("192.0.2.9"), Some("192.0.2.1")));
}

#[test]
fn a_flood_that_had_to_wait_shows_its_own_headers() {
    let file = FILE.replace(
        "tenants:\n",
        "groups: { many: { endpoint: v4, encap: vxlan, members: [10.1.0.1-10.1.0.90] } }\ntenants:\n",
    );
    let file = file.replace("      vx: {", "      many: { group: many, vni: 100 }\n      vx: {");
    let mut lab = Lab::with_short_chunks(&file);
    let up = lab.port("up");
    let too_big = |encap, id, last| arrival(encap, id, last, [mac(1), BROADCAST], None, 1460);
    // The first one has more copies than go out at once, so that the second one waits.
    lab.gateway.port(up).unwrap().inject(too_big(1, 5000, 10).bytes);
    let waits = too_big(0, 100, 9);
    lab.send("up", waits.bytes.clone());
    let samples = lab.gateway.state(lab.clock).samples_from("vx");
    assert_eq!(samples.len(), 1, "{samples:?}");
    assert_eq!(samples[0].reason, "too_big");
    assert_eq!((samples[0].source.as_deref(), samples[0].id.as_deref()), (Some("192.0.2.9"), Some("vni 100")));
    assert_eq!(samples[0].len as usize, waits.bytes.len());
}

#[test]
fn a_stranger_who_storms_hides_no_other() {
    let mut lab = Lab::new(FILE);
    lab.clock += 1_000_000_000;
    for _ in 0..200 {
        lab.send("up", arrival(0, 100, 77, [mac(1), mac(2)], None, 0).bytes);
    }
    lab.send("up", arrival(0, 100, 78, [mac(1), mac(2)], None, 0).bytes);
    let samples = samples(&lab);
    let sources: Vec<_> = samples.iter().filter_map(|sample| sample.source.as_deref()).collect();
    assert!(sources.len() == 2 && sources.contains(&"192.0.2.78"), "{sources:?}");
}
