//! What a tap sees is what happens: every frame that comes and every copy that leaves, whole, under one number; and
//! nothing changes because it looks on.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use common::Lab;
use common::wire::{self, BROADCAST, mac};
use proptest::prelude::*;
use proptest::sample::select;
use transload::compile;
use transload::config;
use transload::dataplane::Verdict;
use transload::dataplane::tap::{Tap, TapFilter, TapPoint, TapPoints, TapReader, TapRecord, TapTotals};
use transload::io::memory::Packet;
use transload::rib::facts::{DeviceFact, DeviceState};
use transload_encaps::{Checksum, Common, Gso, GsoKind, Mac};

const FILE: &str = r#"version: 1
ports:
  up: { device: eth1, mac: "02:00:00:00:00:aa", mtu: 1500 }
  access: { device: eth2, mtu: 1500 }
endpoints: { e: { address: 192.0.2.1, ports: [up], reassemble: on } }
peers:
  vx: { address: 192.0.2.9, encap: vxlan }
  nv: { address: 192.0.2.10, encap: nvgre }
groups: { many: { encap: vxlan, members: [10.1.0.1-10.1.0.90] } }
tenants:
  red:
    attachments:
      vx: { peer: vx, vni: 1 }
      nv: { peer: nv, vsid: 5000 }
      ce: { port: access, vid: 1 }
  alone: { attachments: { vx: { peer: vx, vni: 3 } } }
  blue:
    limits: { bum: 1000000 }
    attachments:
      many: { group: many, vni: 2 }
      ce: { port: access, vid: 2 }
mappings: { m: { from: { peer: vx, vni: 100-200 }, to: { port: access, vid: "id" } } }
"#;

const EVERYTHING: TapFilter = TapFilter {
    tenant: None,
    peer: None,
    port: None,
    mac: None,
    reason: None,
    dropped: false,
    points: TapPoints::ALL,
    sample: 1,
    snaplen: usize::MAX,
};

type Seen = (TapRecord, Vec<u8>);

struct Watching {
    lab: Lab,
    reader: TapReader,
    totals: Arc<TapTotals>,
}

impl Watching {
    fn new(lab: Lab, filter: &TapFilter, frames: u64) -> Self {
        let totals = Arc::new(TapTotals::new(frames));
        let tap = |worker| Tap::new(filter.clone(), Arc::clone(&totals), worker);
        let reader = lab.gateway.shared().taps.install(tap).expect("no other capture").remove(0);
        Self { lab, reader, totals }
    }

    fn seen(&mut self) -> Vec<Seen> {
        std::iter::from_fn(|| self.reader.read(|record, bytes| (*record, bytes.to_vec()))).collect()
    }
}

fn tunnelled(from: u8, payload: &[u8], protocol: u8) -> Vec<u8> {
    wire::outer((mac(0xaa), mac(1)), ([192, 0, 2, from].into(), [192, 0, 2, 1].into()), 0, protocol, payload)
}

fn vxlan(vni: u32, frame: &[u8]) -> Vec<u8> {
    tunnelled(9, &wire::udp(5, 4789, &wire::vxlan(vni, frame)), 17)
}

fn nvgre(vsid: u32, frame: &[u8]) -> Vec<u8> {
    tunnelled(10, &wire::nvgre(vsid, 0, frame), 47)
}

fn of_length(to: [u8; 6], from: [u8; 6], len: usize) -> Vec<u8> {
    let packet = wire::ipv4([10, 0, 0, 1].into(), [10, 0, 0, 2].into(), 0, 17, &wire::udp(5, 7, &vec![0x5a; len]));
    wire::ethernet(to, from, wire::IPV4, &packet)
}

/// A lab in which both hosts of red are known: 0x11 behind vx, 0x22 behind nv.
fn known() -> Lab {
    let mut lab = Lab::new(FILE);
    lab.send("up", nvgre(5000, &wire::tenant_frame(BROADCAST, mac(0x22), 0)));
    lab.send("up", vxlan(1, &wire::tenant_frame(BROADCAST, mac(0x11), 0)));
    lab
}

#[test]
fn a_frame_is_seen_whole_at_every_point_under_one_number() {
    let mut watching = Watching::new(known(), &EVERYTHING, u64::MAX);
    let inner = of_length(mac(0x22), mac(0x11), 100);
    let arrived = vxlan(1, &inner);
    let sent = watching.lab.send("up", arrived.clone());
    let seen = watching.seen();
    let points: Vec<_> = seen.iter().map(|(record, _)| record.point).collect();
    assert_eq!(points, [TapPoint::Receive, TapPoint::Decap, TapPoint::Bridge, TapPoint::Transmit]);
    let bytes: Vec<_> = seen.iter().map(|(_, bytes)| bytes.clone()).collect();
    assert_eq!(bytes, [arrived, inner.clone(), inner, sent[0].1.clone()]);
    assert!(seen.iter().all(|(record, _)| record.frame == seen[0].0.frame && record.verdict == Verdict::Sent));
    assert_eq!(seen[3].0.exit, Some(watching.lab.port("up")));
}

#[test]
fn a_drop_has_its_reason_and_the_frame_as_it_was() {
    let mut watching = Watching::new(known(), &EVERYTHING, u64::MAX);
    let unknown = vxlan(77, &of_length(mac(0x22), mac(0x11), 0));
    watching.lab.send("up", unknown.clone());
    let too_big = of_length(mac(0x22), mac(0x11), 1460);
    watching.lab.send("access", wire::tag(&too_big, 0x8100, 1));
    let seen = watching.seen();
    let drops: Vec<_> = seen.iter().filter(|(record, _)| record.point == TapPoint::Drop).collect();
    let reasons: Vec<_> = drops.iter().map(|(record, _)| record.reason.unwrap()).collect();
    assert_eq!(reasons, [Common::UnknownSegment.into(), Common::TooBig.into()]);
    assert_eq!((&drops[0].1, &drops[1].1), (&unknown, &too_big));
    assert_eq!(drops[1].0.verdict, Verdict::Dropped(Common::TooBig.into()));
}

#[test]
fn a_filter_lets_the_frames_pass_that_have_all_of_it() {
    let lab = known();
    let names = lab.gateway.names();
    let peer = |name: &str| names.peers().find(|(_, known)| *known == name).unwrap().0;
    let everything = || EVERYTHING.clone();
    let (red, blue) = (names.domain_id("red"), names.domain_id("blue"));
    let (vx, nv) = (peer("vx"), peer("nv"));
    let access = names.port_id("access");
    let mapping: Vec<_> = names.mappings().map(|(id, _)| id).collect();
    let cases = [
        (everything(), 5),
        (TapFilter { tenant: red, ..everything() }, 2),
        (TapFilter { tenant: blue, ..everything() }, 1),
        (TapFilter { peer: Some((nv, vec![])), ..everything() }, 2),
        (TapFilter { peer: Some((vx, mapping)), ..everything() }, 4),
        (TapFilter { port: access, ..everything() }, 3),
        (TapFilter { mac: Some(Mac(mac(0x11))), ..everything() }, 4),
        (TapFilter { mac: Some(Mac(mac(0x44))), ..everything() }, 0),
        (TapFilter { dropped: true, ..everything() }, 1),
        (TapFilter { reason: Some(Common::UnknownSegment.into()), ..everything() }, 1),
        (TapFilter { reason: Some(Common::TooBig.into()), ..everything() }, 0),
        (TapFilter { tenant: red, dropped: true, ..everything() }, 0),
        (TapFilter { sample: 2, ..everything() }, 3),
    ];
    for (filter, frames) in cases {
        let mut watching = Watching::new(known(), &filter, u64::MAX);
        let lab = &mut watching.lab;
        lab.send("up", vxlan(1, &of_length(mac(0x22), mac(0x11), 0)));
        lab.send("up", vxlan(1, &of_length(mac(0x33), mac(0x11), 0)));
        lab.send("access", wire::tag(&of_length(BROADCAST, mac(0x55), 0), 0x8100, 2));
        lab.send("up", vxlan(150, &of_length(mac(0x22), mac(0x11), 0)));
        lab.send("up", vxlan(77, &of_length(mac(0x22), mac(0x11), 0)));
        let mut seen: Vec<_> = watching.seen().iter().map(|(record, _)| record.frame).collect();
        seen.dedup();
        assert_eq!(seen.len(), frames, "{filter:?}");
    }
}

#[test]
fn bounds_hold_and_what_is_not_asked_for_is_left_out() {
    let filter = TapFilter { points: TapPoints::of(&[TapPoint::Receive, TapPoint::Drop]), snaplen: 60, ..EVERYTHING };
    let mut watching = Watching::new(known(), &filter, 3);
    for _ in 0..10 {
        watching.lab.send("up", vxlan(1, &of_length(mac(0x22), mac(0x11), 0)));
    }
    let seen = watching.seen();
    assert!(seen.iter().all(|(record, bytes)| record.point == TapPoint::Receive && bytes.len() == 60));
    assert!(seen.iter().all(|(record, _)| record.len as usize == vxlan(1, &of_length(mac(1), mac(2), 0)).len()));
    assert_eq!((seen.len(), watching.totals.has_all(), watching.totals.missed()), (3, true, 0));
}

#[test]
fn there_is_one_capture_at_a_time_and_none_once_it_is_removed() {
    let mut watching = Watching::new(known(), &EVERYTHING, u64::MAX);
    let totals = Arc::new(TapTotals::new(1));
    let tap = |worker| Tap::new(EVERYTHING, Arc::clone(&totals), worker);
    assert!(watching.lab.gateway.shared().taps.install(tap).is_none());
    watching.lab.gateway.shared().taps.remove();
    watching.lab.send("up", vxlan(1, &of_length(mac(0x22), mac(0x11), 0)));
    assert!(watching.seen().is_empty());
    assert!(watching.lab.gateway.shared().taps.install(tap).is_some());
}

#[test]
fn what_nobody_reads_is_counted_and_the_frames_go_on() {
    let mut watching = Watching::new(known(), &EVERYTHING, u64::MAX);
    let frame = vxlan(1, &of_length(mac(0x22), mac(0x11), 1300));
    let sent: usize = (0..2000).map(|_| watching.lab.send("up", frame.clone()).len()).sum();
    assert_eq!(sent, 2000);
    let seen = watching.seen().len() as u64;
    assert_eq!(seen + watching.totals.missed(), 4 * 2000);
    assert!(watching.totals.missed() > 0);
    watching.lab.send("up", frame);
    assert_eq!(watching.seen().len(), 4, "and once it is read, it goes on");
}

#[test]
fn copies_that_had_to_wait_have_the_number_of_their_frame() {
    let mut watching = Watching::new(known(), &EVERYTHING, u64::MAX);
    let sent = watching.lab.send("access", wire::tag(&of_length(BROADCAST, mac(0x55), 0), 0x8100, 2));
    assert_eq!(sent.len(), 90);
    let seen = watching.seen();
    let first = seen[0].0.frame;
    let copies: Vec<_> = seen.iter().filter(|(record, _)| record.point == TapPoint::Transmit).collect();
    assert_eq!(copies.len(), 90);
    assert!(copies.iter().all(|(record, _)| record.frame == first && record.to.is_some()));
}

#[test]
fn nothing_is_missed_of_what_nobody_asked_for() {
    let lab = known();
    let blue = lab.gateway.names().domain_id("blue");
    let up = lab.port("up");
    let mut watching = Watching::new(lab, &TapFilter { tenant: blue, ..EVERYTHING }, u64::MAX);
    // More bytes than a tap keeps of one burst, as soon as they are seen at two points.
    let long = vxlan(1, &of_length(mac(0x22), mac(0x11), 60_000));
    for _ in 0..40 {
        watching.lab.gateway.port(up).unwrap().inject(long.clone());
    }
    watching.lab.send("access", wire::tag(&of_length(BROADCAST, mac(0x55), 0), 0x8100, 2));
    assert_eq!(watching.totals.missed(), 0);
    assert!(watching.seen().iter().any(|(record, _)| record.point == TapPoint::Transmit));
}

/// The reasons for which frames, or copies of them, were dropped.
fn counted(lab: &Lab) -> BTreeSet<String> {
    let rows = lab.gateway.state(lab.clock).drops().into_iter();
    rows.filter(|row| row.dropped + row.left + row.copies > 0).map(|row| row.reason).collect()
}

/// Those of which there is a sample.
fn sampled(lab: &Lab) -> BTreeSet<String> {
    let rows = lab.gateway.state(lab.clock).drops().into_iter();
    rows.filter(|row| !row.samples.is_empty()).map(|row| row.reason).collect()
}

/// Those of which a tap has seen a drop.
fn sighted(seen: &[Seen]) -> BTreeSet<String> {
    seen.iter().filter_map(|(record, _)| record.reason).map(|reason| reason.label().to_owned()).collect()
}

/// Something that has frames dropped, and the reasons.
type Death = (fn(&mut Lab), &'static [&'static str]);

const DEATHS: &[Death] = &[
    (|lab| drop(lab.send("up", vxlan(77, &of_length(mac(0x22), mac(0x11), 0)))), &["unknown_segment"]),
    (|lab| drop(lab.send("up", vxlan(3, &of_length(BROADCAST, mac(0x11), 0)))), &["no_targets"]),
    (|lab| drop(lab.send("up", vxlan(3, &of_length([1, 0x80, 0xc2, 0, 0, 2], mac(0x11), 0)))), &["l2_control"]),
    (a_copy_is_too_big, &["too_big"]),
    (a_super_frame_cannot_be_cut, &["unsegmentable"]),
    (there_is_no_room_for_segments, &["no_buffer"]),
    (a_train_cannot_be_cut, &["unsegmentable"]),
    (a_port_is_down, &["port_down"]),
    (fragments_stay_alone, &["reassembly_timeout"]),
    (fragments_overlap, &["fragment_overlap"]),
    (floods_have_no_place, &["flood_backlog"]),
    (a_waiting_flood_loses_its_tenant, &["unknown_segment"]),
];

/// To two places, one of which it fits.
fn a_copy_is_too_big(lab: &mut Lab) {
    assert_eq!(lab.send("up", vxlan(1, &of_length(BROADCAST, mac(0x11), 1450))).len(), 1);
}

fn super_frame(kind: GsoKind, len: usize) -> Packet {
    let gso = Some(Gso { kind, size: 1 });
    Packet { bytes: wire::tag(&of_length(mac(0x22), mac(0x55), len), 0x8100, 1), gso, ..Packet::default() }
}

fn a_super_frame_cannot_be_cut(lab: &mut Lab) {
    // It says that TCP is in it.
    lab.send("access", super_frame(GsoKind::Tcp4, 3000));
}

fn there_is_no_room_for_segments(lab: &mut Lab) {
    lab.send("access", super_frame(GsoKind::Udp, 60_000));
}

fn a_train_cannot_be_cut(lab: &mut Lab) {
    let mut bytes = vxlan(1, &of_length(mac(0x22), mac(0x11), 0));
    let checksum = Checksum::Partial { start: 34, offset: 6 };
    bytes[40..42].copy_from_slice(&[1, 1]);
    lab.send("up", Packet { bytes, checksum, gso: Some(Gso { kind: GsoKind::Udp, size: 0 }), cut: false });
}

fn a_port_is_down(lab: &mut Lab) {
    let port = lab.port("access");
    let state = DeviceState { mac: None, mtu: None, is_down: true };
    lab.gateway.change(|rib| rib.devices([DeviceFact { port, state: Some(state), failure: None }]));
    lab.send("up", vxlan(150, &of_length(mac(0x22), mac(0x11), 0)));
}

/// A fragment from this multiple of 8 bytes on, more of which follow.
fn fragment(at: u16) -> Vec<u8> {
    let mut frame = tunnelled(9, &[0; 64], 17);
    frame[20..22].copy_from_slice(&((at / 8) | (1 << 13)).to_be_bytes());
    frame[24..26].fill(0);
    let sum = wire::sum(&[&frame[14..34]]);
    frame[24..26].copy_from_slice(&sum.to_be_bytes());
    frame
}

fn fragments_stay_alone(lab: &mut Lab) {
    // Not even the first one comes.
    lab.send("up", fragment(64));
    lab.send("up", fragment(640));
    lab.sleep(60);
    lab.send("up", vxlan(1, &of_length(mac(0x22), mac(0x11), 0)));
}

fn fragments_overlap(lab: &mut Lab) {
    lab.send("up", fragment(0));
    lab.send("up", fragment(32));
}

fn to_many(lab: &Lab, frames: usize) {
    for _ in 0..frames {
        let frame = wire::tag(&of_length(BROADCAST, mac(0x55), 0), 0x8100, 2);
        lab.gateway.port(lab.port("access")).unwrap().inject(frame);
    }
}

fn floods_have_no_place(lab: &mut Lab) {
    to_many(lab, 300);
    lab.gateway.step(lab.clock);
}

fn a_waiting_flood_loses_its_tenant(lab: &mut Lab) {
    // The first one has got some copies then, the second one none.
    to_many(lab, 2);
    lab.gateway.breathe(lab.clock);
    let file = FILE.replace("  blue:", "  newcomer:");
    let config = config::parse("lab.yaml", &file).unwrap_or_else(|problems| panic!("{problems}"));
    let before = lab.gateway.rib().plan();
    let plan = compile::compile(&config, &before.numbers, Some(&before.tables)).unwrap();
    lab.gateway.reload(plan, lab.clock);
    // A sample is heard with the next frame.
    lab.send("up", vxlan(1, &of_length(mac(0x22), mac(0x11), 0)));
}

#[test]
fn whatever_is_dropped_leaves_a_sample_and_a_sighting() {
    for (at, (happens, reasons)) in DEATHS.iter().enumerate() {
        let mut watched = Watching::new(known(), &EVERYTHING, u64::MAX);
        let mut plain = known();
        happens(&mut watched.lab);
        happens(&mut plain);
        let reasons: BTreeSet<_> = reasons.iter().map(|&reason| reason.to_owned()).collect();
        for lab in [&watched.lab, &plain] {
            assert_eq!((counted(lab), sampled(lab)), (reasons.clone(), reasons.clone()), "{at}");
        }
        let seen = watched.seen();
        assert_eq!(sighted(&seen), reasons, "{at}");
        let dropped = seen.iter().filter(|(record, _)| record.reason.is_some());
        assert!(dropped.clone().all(|(_, bytes)| !bytes.is_empty()), "{at}");
    }
}

#[test]
fn the_gateways_own_answer_leaves_no_sample_and_no_drop() {
    // Its way back has gone down since.
    let mut watched = Watching::new(known(), &EVERYTHING, u64::MAX);
    let lab = &mut watched.lab;
    lab.send("access", wire::tag(&of_length(mac(0x22), mac(0x55), 0), 0x8100, 1));
    a_port_is_down(lab);
    let before = counted(lab);
    lab.send("access", wire::tag(&of_length(mac(0x22), mac(0x55), 1460), 0x8100, 1));
    let samples: Vec<_> = lab.gateway.state(lab.clock).drops().into_iter().flat_map(|row| row.samples).collect();
    let of_answer = samples.iter().find(|sample| sample.destination_mac.as_deref() == Some("02:00:00:00:00:55"));
    assert_eq!(of_answer, None);
    assert_eq!(before.len(), 1);
    let seen = watched.seen();
    let last = seen.iter().rfind(|(record, _)| record.reason.is_some()).unwrap();
    assert_eq!(last.0.reason, Some(Common::TooBig.into()));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn everything_that_is_counted_is_seen(
        frames in prop::collection::vec(
            (
                0..6_u8,
                select(&[1_u32, 2, 3, 77, 150, 5000][..]),
                select(vec![mac(0x11), mac(0x22), mac(0x33), BROADCAST]),
                select(vec![mac(0x11), mac(0x22), mac(0x44), BROADCAST]),
                select(&[0_usize, 100, 1400, 1460, 3000][..]),
            ),
            1..20,
        ),
    ) {
        let mut watched = Watching::new(known(), &EVERYTHING, u64::MAX);
        let mut plain = known();
        let totals = |lab: &Lab| {
            let state = lab.gateway.state(lab.clock);
            let ports = state.ports();
            (
                ports.iter().map(|port| port.traffic.rx_frames).sum::<u64>(),
                ports.iter().map(|port| port.traffic.tx_frames).sum::<u64>(),
                state.drops().iter().map(|row| row.dropped + row.left).sum::<u64>(),
            )
        };
        let before = totals(&plain);
        for (how, id, to, from, len) in frames {
            let inner = of_length(to, from, len);
            let (port, bytes) = match how {
                0 | 1 => ("up", vxlan(id, &inner)),
                2 => ("up", nvgre(id, &inner)),
                3 | 4 => ("access", wire::tag(&inner, 0x8100, id as u16 & 0xfff)),
                _ => ("up", inner),
            };
            let sent = watched.lab.send(port, bytes.clone());
            prop_assert_eq!(sent, plain.send(port, bytes), "nothing changes since somebody looks on");
        }
        let (after, seen) = (totals(&plain), watched.seen());
        prop_assert_eq!(counted(&watched.lab), sighted(&seen));
        prop_assert_eq!(sampled(&watched.lab), sampled(&plain));
        // Two reasons may have one bit in a second, which leaves a sample of the first one only.
        prop_assert!(sampled(&plain).is_subset(&counted(&plain)));
        prop_assert_eq!(totals(&watched.lab), after);
        prop_assert_eq!(watched.totals.missed(), 0);
        let at = |point| seen.iter().filter(|(record, _)| record.point == point).count() as u64;
        prop_assert_eq!((at(TapPoint::Receive), at(TapPoint::Transmit)), (after.0 - before.0, after.1 - before.1));
        let mut fates: BTreeMap<u64, (bool, bool, bool)> = BTreeMap::new();
        for (record, _) in &seen {
            let fate = fates.entry(record.frame).or_default();
            fate.0 |= record.point == TapPoint::Receive && matches!(record.verdict, Verdict::Dropped(_));
            fate.1 |= record.point == TapPoint::Drop;
            fate.2 |= record.point == TapPoint::Transmit && !record.is_answer;
        }
        // Of a frame whose copies waited, the last one decides.
        let dropped = fates.values().filter(|(_, _, is_sent)| !is_sent).count() as u64;
        prop_assert_eq!(dropped, after.2 - before.2);
        prop_assert!(fates.values().all(|(is_dropped, is_seen, is_sent)| *is_seen || *is_sent && !*is_dropped), "no fate");
    }
}
