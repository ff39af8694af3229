//! Mappings: cross-connects of up to 2^24 IDs, one-to-one, in no memory to speak of.

mod common;

use common::Lab;
use common::wire::{self, BROADCAST, mac};
use transload::compile::{self, Numbers, Plan};
use transload::config;
use transload::forwarding::{Connection, MappingId};
use transload::mapping::Miss;
use transload_encaps::Segment;

const UP_MAC: [u8; 6] = [2, 0xaa, 0, 0, 0, 1];
const PEER_MAC: [u8; 6] = [2, 0xbb, 0, 0, 0, 1];

const HEAD: &str = r#"
version: 1
ports:
  up:     { device: up, mac: "02:aa:00:00:00:01", mtu: 1500, next_hops: {
            192.0.2.9: "02:bb:00:00:00:01", 192.0.2.77: "02:bb:00:00:00:01", 192.0.2.99: "02:bb:00:00:00:01" } }
  access: { device: access }
endpoints:
  fabric: { address: 192.0.2.1, ports: [up] }
peers:
  leaf-9:   { address: 192.0.2.9, encap: vxlan }
  hyperv-7: { address: 192.0.2.77, encap: nvgre }
  site-b:   { address: 192.0.2.99, encap: gre }
"#;

const WHOLESALE: &str = r#"
mappings:
  wholesale:
    from: { peer: leaf-9, vni: 0-0xffffff }
    to:   { port: access, s_vid: "id[23:12]", c_vid: "id[11:0]" }
"#;

fn plan(rest: &str) -> Plan {
    let config = config::parse("mappings.yaml", &format!("{HEAD}{rest}")).expect("it is YAML");
    compile::compile(&config, &Numbers::default(), None).unwrap_or_else(|problems| panic!("{problems}"))
}

fn only(plan: &Plan) -> &Connection {
    plan.tables.mappings.get(MappingId::new(0)).expect("there is a mapping")
}

fn lab(rest: &str) -> Lab {
    Lab::new(&format!("{HEAD}{rest}"))
}

fn from_leaf(vni: u32, frame: &[u8]) -> Vec<u8> {
    let ends = ("192.0.2.9".parse().unwrap(), "192.0.2.1".parse().unwrap());
    wire::outer((UP_MAC, PEER_MAC), ends, 0, 17, &wire::udp(50_000, 4789, &wire::vxlan(vni, frame)))
}

fn tagged(s_vid: u16, c_vid: u16, frame: &[u8]) -> Vec<u8> {
    wire::tag(&wire::tag(frame, 0x8100, c_vid), 0x88a8, s_vid)
}

/// Walks IDs both ways; gives back how many have a counterpart. The oracle says which segment that is.
fn walk(connection: &Connection, ids: impl Iterator<Item = u64>, oracle: impl Fn(u64) -> Option<u64>) -> usize {
    let mut usable = 0;
    for id in ids {
        match (connection.ids.across(0, Segment(id)), oracle(id)) {
            (Some(Ok(there)), Some(expected)) => {
                assert_eq!(there.0, expected, "{id:#x}");
                assert_eq!(connection.ids.across(1, there), Some(Ok(Segment(id))), "{id:#x} on the way back");
                usable += 1;
            }
            (Some(Err(_)), None) => {}
            (found, expected) => panic!("{id:#x}: {found:?}, not {expected:x?}"),
        }
    }
    usable
}

/// `QinQ` as its file lays it out: two tags, 12 bits each.
fn two_tags(id: u64) -> Option<u64> {
    let (s_vid, c_vid) = (id >> 12, id & 0xfff);
    let usable = |vid| (1..=4094).contains(&vid);
    (usable(s_vid) && usable(c_vid)).then_some(3 << 24 | id)
}

#[test]
fn all_of_16777216_vnis_go_to_a_pair_of_tags_and_back_but_for_16380() {
    let plan = plan(WHOLESALE);
    let quarter = &|n: u64| walk(only(&plan), n << 22..(n + 1) << 22, two_tags);
    let usable: usize = std::thread::scope(|scope| {
        let walkers: Vec<_> = (0..4).map(|n| scope.spawn(move || quarter(n))).collect();
        walkers.into_iter().map(|walker| walker.join().expect("no ID is wrong")).sum()
    });
    assert_eq!(usable, 4094 * 4094);
    let holes = only(&plan).ids.holes();
    let all: u64 = holes.iter().map(|(first, last)| last - first + 1).sum();
    assert_eq!(all as usize, (1 << 24) - usable);
    assert_eq!(all, 16_380);
    assert_eq!(holes[..2], [(0, 0x1000), (0x1fff, 0x2000)]);
    assert!(holes.iter().all(|&(first, last)| (first..=last).all(|id| two_tags(id).is_none())));
}

#[test]
fn the_whole_space_takes_less_than_a_kilobyte() {
    let plan = plan(WHOLESALE);
    let mapping = &only(&plan).ids;
    let fields = mapping.sides.iter().flat_map(|side| &side.fields);
    let heap: usize =
        fields.map(|field| size_of_val(field) + size_of_val(&*field.moves) + size_of_val(&*field.reserved)).sum();
    assert!(size_of::<Connection>() + heap < 1024, "{heap}");
    assert!(plan.tables.segments.is_empty());
}

#[test]
fn bits_may_be_exchanged_joined_with_constants_and_offset() {
    let plan = plan(
        r#"
mappings:
  crossed:
    from: { peer: leaf-9, vni: 0x10000-0x1ffff }
    to:   { peer: site-b, key: "0x1000 + {4'0xa, id[7:0], 3'0, id[15:8]}" }
"#,
    );
    let oracle = |id: u64| Some(0x1000 + (0xa << 19 | (id & 0xff) << 11 | id >> 8 & 0xff));
    assert_eq!(walk(only(&plan), 0x10000..=0x1ffff, oracle), 0x10000);
    for stranger in [0x0_u64, 0xffff, 0x20000, 0x11_0000] {
        assert_eq!(only(&plan).ids.across(0, Segment(stranger)), None, "{stranger:#x}");
    }
    // On the way back, constants are looked at.
    let good = oracle(0x12345).unwrap();
    assert_eq!(only(&plan).ids.across(1, Segment(good)), Some(Ok(Segment(0x12345))));
    for bit in [19, 20, 21, 22, 23, 31] {
        assert_eq!(only(&plan).ids.across(1, Segment(good ^ 1 << bit)), None, "bit {bit}");
    }
}

#[test]
fn a_range_that_is_no_power_of_two_ends_where_it_says() {
    let plan = plan(
        r#"
mappings:
  some:
    from: { peer: leaf-9, vni: 1000-1999 }
    to:   { peer: hyperv-7, vsid: "id+0x1000" }
"#,
    );
    assert_eq!(walk(only(&plan), 1000..=1999, |id| Some(id + 0x1000)), 1000);
    for (side, stranger) in [(0, 999), (0, 2000), (1, 0x1000 + 999), (1, 0x1000 + 2000), (1, 1500)] {
        assert_eq!(only(&plan).ids.across(side, Segment(stranger)), None, "{side}: {stranger}");
    }
}

#[test]
fn reserved_vsids_are_holes_of_either_side() {
    let holes = |rest: &str| only(&plan(rest)).ids.holes();
    let to = "mappings: { m: { from: { peer: leaf-9, vni: 0-0xffffff }, to: { peer: hyperv-7, vsid: id } } }";
    let from = "mappings: { m: { from: { peer: hyperv-7, vsid: 0-0xffffff }, to: { peer: leaf-9, vni: id } } }";
    assert_eq!(holes(to), [(0, 0xfff), (0xff_ffff, 0xff_ffff)]);
    assert_eq!(holes(from), [(0, 0xfff), (0xff_ffff, 0xff_ffff)]);
}

#[test]
fn a_pair_of_tags_can_be_the_side_that_ids_are_given_for() {
    let plan = plan(
        r#"
mappings:
  pairs:
    from: { port: access, s_vid: 100-199, c_vid: 1-4094 }
    to:   { peer: leaf-9, vni: "id" }
"#,
    );
    let mapping = &only(&plan).ids;
    assert_eq!(mapping.count(), 100 * 4094);
    assert_eq!(mapping.holes(), []);
    let segment = |s_vid: u64, c_vid: u64| Segment(3 << 24 | s_vid << 12 | c_vid);
    assert_eq!(mapping.across(0, segment(150, 7)), Some(Ok(Segment(150 << 12 | 7))));
    assert_eq!(mapping.across(1, Segment(150 << 12 | 7)), Some(Ok(segment(150, 7))));
    assert_eq!(mapping.across(1, Segment(150 << 12)), None);
    assert_eq!(mapping.across(0, segment(200, 7)), None);
}

#[test]
fn a_frame_crosses_in_both_directions_and_nothing_is_learned() {
    let mut lab = lab(WHOLESALE);
    for frame in [wire::tenant_frame(mac(2), mac(1), 1), wire::tenant_frame(BROADCAST, mac(1), 2)] {
        let sent = lab.send("up", from_leaf(0x123_456, &frame));
        assert_eq!(sent, [("access".into(), tagged(0x123, 0x456, &frame))]);
        let sent = lab.send("access", tagged(0x123, 0x456, &frame));
        let [(port, packet)] = &sent[..] else { panic!("{sent:?}") };
        assert_eq!((port.as_str(), &packet[42..]), ("up", &wire::vxlan(0x123_456, &frame)[..]));
        assert_eq!(packet[..6], PEER_MAC);
    }
    assert_eq!(lab.fdb(), []);
}

#[test]
fn even_bridges_own_frames_and_bad_sources_cross() {
    let mut lab = lab(WHOLESALE);
    for frame in [wire::tenant_frame([1, 0x80, 0xc2, 0, 0, 0], mac(1), 1), wire::tenant_frame(mac(2), BROADCAST, 1)] {
        assert_eq!(lab.send("up", from_leaf(0x123_456, &frame)).len(), 1);
    }
}

#[test]
fn a_hole_and_a_stranger_are_dropped_by_name() {
    let mut lab = lab(r#"
mappings:
  part:
    from: { peer: leaf-9, vni: 0x100000-0x1fffff }
    to:   { port: access, s_vid: "id[23:12]", c_vid: "id[11:0]" }
"#);
    let frame = wire::tenant_frame(mac(2), mac(1), 1);
    assert_eq!(lab.dropped_for("up", from_leaf(0x100_000, &frame)), "mapping_hole");
    assert_eq!(lab.dropped_for("up", from_leaf(0x0ff_fff, &frame)), "unknown_segment");
    assert_eq!(lab.dropped_for("access", tagged(0x200, 1, &frame)), "unclaimed_tags");
}

#[test]
fn a_stranger_is_not_taken_for_the_hole_that_looks_like_it() {
    let plan = plan(
        r#"
mappings:
  fours:
    from: { peer: leaf-9, vni: 0-1 }
    to:   { port: access, vid: "{id[0], 2'0}" }
"#,
    );
    let tag = |vid: u64| Segment(1 << 24 | vid << 12);
    assert_eq!(only(&plan).ids.across(1, tag(0)), Some(Err(Miss::Hole)));
    assert_eq!(only(&plan).ids.across(1, tag(4)), Some(Ok(Segment(1))));
    assert_eq!(only(&plan).ids.across(1, tag(3)), None, "neither 0 nor 4");
}

#[test]
fn only_the_tags_that_a_mapping_has_are_taken_from_others_on_the_port() {
    let beside = |vid: u16| {
        format!(
            r#"
mappings:
  fours:
    from: {{ peer: leaf-9, vni: 0-1 }}
    to:   {{ port: trunk, vid: "{{id[0], 1'1, 1'0}}" }}
tenants:
  blue: {{ attachments: {{ t: {{ port: trunk, s_vid: {vid} }} }} }}
"#
        )
    };
    let head = HEAD.replace("  access:", "  trunk: { device: trunk, tpids: [0x8100] }\n  access:");
    let compiles = |vid| {
        let config = config::parse("mappings.yaml", &format!("{head}{}", beside(vid))).expect("it is YAML");
        compile::compile(&config, &Numbers::default(), None).is_ok()
    };
    assert_eq!([2, 3, 4, 5, 6].map(compiles), [false, true, true, true, false]);
}

#[test]
fn tenants_and_mappings_share_a_peer() {
    let mut lab = lab(r#"
tenants:
  blue:
    attachments:
      nine: { peer: leaf-9, vni: 7 }
      ce:   { port: access, s_vid: 7, c_vid: 7 }
mappings:
  part:
    from: { peer: leaf-9, vni: 0x100000-0x1fffff }
    to:   { port: access, s_vid: "id[23:12]", c_vid: "id[11:0]" }
"#);
    let frame = wire::tenant_frame(mac(2), mac(1), 1);
    assert_eq!(lab.send("up", from_leaf(7, &frame)), [("access".into(), tagged(7, 7, &frame))]);
    assert_eq!(lab.send("up", from_leaf(0x100_007, &frame)), [("access".into(), tagged(0x100, 7, &frame))]);
    assert_eq!(lab.fdb().len(), 1, "blue's host only");
}

#[test]
fn the_mtu_and_the_tags_inside_are_looked_at() {
    let mut lab = lab(r#"
mappings:
  tagged:
    from: { peer: leaf-9, vni: 0x1000-0x1fff, inner_tags: strip }
    to:   { peer: hyperv-7, vsid: "id" }
"#);
    let frame = wire::tenant_frame(mac(2), mac(1), 1);
    let [(_, packet)] = &lab.send("up", from_leaf(0x1234, &wire::tag(&frame, 0x8100, 5)))[..] else { panic!() };
    assert!(packet.ends_with(&frame));
    let long = wire::ethernet(mac(2), mac(1), 0x88b5, &[0; 1480]);
    assert_eq!(lab.dropped_for("up", from_leaf(0x1234, &long)), "too_big_not_ip");
}

#[test]
fn congestion_marks_come_across() {
    let mut lab = lab("mappings: { m: { from: { peer: leaf-9, vni: 0x1000 }, to: { peer: hyperv-7, vsid: 0x1000 } } }");
    let host = std::net::Ipv4Addr::new(10, 0, 0, 1);
    let frame = wire::ethernet(mac(2), mac(1), wire::IPV4, &wire::ipv4(host, host, 2, 17, &wire::udp(1, 2, b"marked")));
    let ends = ("192.0.2.9".parse().unwrap(), "192.0.2.1".parse().unwrap());
    let vxlan = wire::udp(50_000, 4789, &wire::vxlan(0x1000, &frame));
    let [(_, packet)] = &lab.send("up", wire::outer((UP_MAC, PEER_MAC), ends, 3, 17, &vxlan))[..] else { panic!() };
    assert_eq!(packet[packet.len() - frame.len() + 15] & 3, 3, "RFC 6040: CE of the outer header comes inward");
}
