//! An S-VID as a whole, ranges of its C-VIDs and single C-VIDs beside each other, through the whole gateway.

mod common;

use common::Lab;
use common::wire::{self, BROADCAST, mac, tag};
use transload::compile::compile_with_origins;
use transload::config;
use transload::explain;
use transload::io::memory::Packet;
use transload::offline::{self, Offline};

const GATEWAY: &str = r"version: 1
ports:
  access: { device: access }
  one: { device: one }
  some: { device: some }
  rest: { device: rest }
tenants:
  one:  { attachments: { ce: { port: access, s_vid: 100, c_vid: 8 }, out: { port: one, vid: 1 } } }
  some: { attachments: { ce: { port: access, s_vid: 100, c_vid: [7-9, 20] }, out: { port: some, s_vid: 2 } } }
  rest: { attachments: { ce: { port: access, s_vid: 100 }, out: { port: rest, s_vid: 3 } } }
";

/// Tags of a frame, the outermost first: TPID and VLAN ID.
type Tags = &'static [(u16, u16)];

const S: u16 = 0x88a8;
const C: u16 = 0x8100;

fn inner(src: u8) -> Vec<u8> {
    wire::tenant_frame(BROADCAST, mac(src), 1)
}

fn stacked(tags: &[(u16, u16)], frame: &[u8]) -> Vec<u8> {
    tags.iter().rev().fold(frame.to_vec(), |frame, &(tpid, vid)| tag(&frame, tpid, vid))
}

#[test]
fn the_longest_match_decides_and_the_c_tag_of_a_range_stays_in_the_frame() {
    let mut lab = Lab::new(GATEWAY);
    let cases: [(Tags, &str, Tags); 7] = [
        (&[(S, 100), (C, 8)], "one", &[(C, 1)]),
        (&[(S, 100), (C, 7)], "some", &[(S, 2), (C, 7)]),
        (&[(S, 100), (C, 9)], "some", &[(S, 2), (C, 9)]),
        (&[(S, 100), (C, 20)], "some", &[(S, 2), (C, 20)]),
        (&[(S, 100), (C, 10)], "rest", &[(S, 3), (C, 10)]),
        (&[(S, 100)], "rest", &[(S, 3)]),
        (&[(S, 100), (S, 8)], "rest", &[(S, 3), (S, 8)]),
    ];
    for (tags, port, left) in cases {
        let sent = lab.send("access", stacked(tags, &inner(1)));
        assert_eq!(sent, [(port.to_owned(), stacked(left, &inner(1)))], "{tags:x?}");
        // And back the same way.
        let back = lab.send(port, stacked(left, &inner(2)));
        assert_eq!(back, [("access".to_owned(), stacked(tags, &inner(2)))], "{tags:x?}");
    }
}

#[test]
fn all_c_vids_of_a_range_are_one_broadcast_domain() {
    let mut lab = Lab::new(GATEWAY);
    lab.send("access", stacked(&[(S, 100), (C, 7)], &inner(1)));
    lab.send("access", stacked(&[(S, 100), (C, 20)], &inner(1)));
    let rows: Vec<_> = lab.fdb().into_iter().map(|row| format!("{row:?}")).collect();
    assert_eq!(rows.len(), 1, "one address behind one attachment: {rows:?}");
}

#[test]
fn a_frame_leaves_by_a_range_only_with_a_c_tag_of_it() {
    let mut lab = Lab::new(GATEWAY);
    for tags in [&[(S, 2)][..], &[(S, 2), (C, 10)], &[(S, 2), (C, 8)], &[(S, 2), (S, 7)]] {
        assert_eq!(lab.dropped_for("some", stacked(tags, &inner(1))), "qinq_outside_range", "{tags:x?}");
    }
    for c_vid in [7, 8, 20] {
        let forged = stacked(&[(S, 3), (C, c_vid)], &inner(1));
        assert_eq!(lab.dropped_for("rest", forged), "qinq_foreign_tag", "C-VID {c_vid} is another tenant's");
    }
}

#[test]
fn explain_says_what_a_range_wants() {
    let told = |port: &str, frame: Vec<u8>| {
        let config = config::parse("gw.yaml", GATEWAY).unwrap();
        let (plan, origins) = compile_with_origins(&config).unwrap_or_else(|problems| panic!("{problems}"));
        let port = plan.names.port_id(port).unwrap();
        let mut arena = offline::arena();
        let mut gateway = Offline::new(plan, &mut arena);
        let told = explain::explain(&mut gateway, &origins, port, Packet::from(frame), 1_000_000_000_000);
        serde_json::to_string(&told).unwrap()
    };
    let text = told("some", stacked(&[(S, 2)], &inner(1)));
    assert!(text.contains("qinq_outside_range"), "{text}");
    assert!(text.contains("brings no tag, and on port access"), "{text}");
    assert!(text.contains("s_vid 100, c_vid 7-9 and s_vid 100, c_vid 20-20"), "{text}");
    let text = told("access", stacked(&[(S, 100), (C, 9)], &inner(1)));
    assert!(text.contains("s_vid 100, c_vid 7-9"), "{text}");
}

#[test]
fn a_pattern_has_ranges_beside_its_offsets() {
    let mut lab = Lab::new(
        r#"version: 1
ports: { access: { device: access }, core: { device: core } }
patterns:
  "t-{n}":
    for: { n: 1-20 }
    attachments:
      ce: { port: access, s_vid: "100+n", c_vid: [0x10-0x1f, 40] }
      up: { port: core, s_vid: "n" }
      x:  { port: access, s_vid: "100+n", c_vid: "200+n" }
"#,
    );
    let sent = lab.send("access", stacked(&[(S, 107), (C, 0x1f)], &inner(1)));
    assert_eq!(sent.iter().filter(|(port, _)| port == "core").count(), 1);
    assert!(sent.contains(&("core".to_owned(), stacked(&[(S, 7), (C, 0x1f)], &inner(1)))), "{sent:02x?}");
    let sent = lab.send("access", stacked(&[(S, 107), (C, 207)], &inner(2)));
    assert!(sent.contains(&("core".to_owned(), stacked(&[(S, 7)], &inner(2)))), "{sent:02x?}");
}

#[test]
fn the_rows_of_a_tenant_have_the_whole_list() {
    let lab = Lab::new(GATEWAY);
    let rows = lab.gateway.state(lab.clock).tenants(Some("some")).unwrap();
    let ce = rows[0].attachments.iter().find(|row| row.attachment == "ce").unwrap();
    assert_eq!(ce.segment, "s_vid 100, c_vid 7-9 and s_vid 100, c_vid 20-20");
}
