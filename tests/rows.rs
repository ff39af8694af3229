//! One vocabulary: `docs/ROWS.md` lists the keys of every row as they are written, and no object that a verb prints has
//! a key twice.
//!
//! With `REWRITE=1` in the environment the page is written anew from the comments of `src/report/rows.rs`.

mod common;

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;

use assert_cmd::Command;
use common::Lab;
use common::ordered::Ordered;
use common::wire::{self, BROADCAST, mac};
use schemars::{JsonSchema, Schema, schema_for};
use serde::Serialize;
use sha2::{Digest, Sha256};
use transload::forwarding::PortId;
use transload::io::pcap::CaptureWriter;
use transload::logging::EventRow;
use transload::offline::captured::Captured;
use transload::report::measure::Measure;
use transload::report::metrics::catalogue::{field_measure, row_measure, sample_name};
use transload::report::rows::{
    AttachmentRow, BumRow, DropRow, DropSampleRow, FdbRow, GatewayRow, HandedOver, HopRow, LogRow, LoopRow, MappingRow,
    MoveRow, PathMtuRow, PeerDetailRow, PeerRow, PortRow, RatesRow, ReloadRow, Reloaded, ServedRow, StatusRow, Summary,
    TenantDetailRow, TenantRow, TroubleRow, UnreachableRow, WorkerRow,
};
use transload::report::{PortState, TunnelState};
use transload::rib::activity::Activity;
use transload::rib::facts::{QuotedTunnel, Unreachable};
use transload::rib::path_reports::{PathReport, ReportedMtu, ReportedUnreachable};
use transload_encaps::Carrier;

const INTRODUCTION: &str = "# Rows

What `show WHAT --json`, `replay` and the admin socket say is made of the same rows, and the heads of `show`'s tables are
their keys. The meaning of a number begins with its unit. Counts are from the start of the gateway on. A value that is
not there is `null`.

The same numbers are metrics for Prometheus, and are called there as the last column says. What is marked as a label tells
the metrics of one row from those of others, also of the rows in it.
";

/// Where a row is found, and its keys.
fn rows() -> Vec<(&'static str, Schema)> {
    vec![
        ("`fdb`: MAC addresses", schema_for!(FdbRow)),
        ("`last_move` of `fdb`", schema_for!(MoveRow)),
        ("`tenants`", schema_for!(TenantRow)),
        ("`attachments` of `tenants`", schema_for!(AttachmentRow)),
        ("`loops` of `tenants`, and of `replay`", schema_for!(LoopRow)),
        ("`mappings`", schema_for!(MappingRow)),
        ("`peers`", schema_for!(PeerRow)),
        ("`next_hops` of `peers`", schema_for!(HopRow)),
        ("`path_mtu_report` of `peers`", schema_for!(PathMtuRow)),
        ("`unreachable` of `peers`", schema_for!(UnreachableRow)),
        ("`ports`", schema_for!(PortRow)),
        (
            "`rates` of `ports`, `peers`, `tenants` and `attachments`: over the last three to six seconds",
            schema_for!(RatesRow),
        ),
        ("`peer?name=NAME`: one peer in detail", schema_for!(PeerDetailRow)),
        ("`serves` of a peer in detail", schema_for!(ServedRow)),
        ("`tenant?name=NAME`: one tenant in detail", schema_for!(TenantDetailRow)),
        ("`bum` of a tenant in detail", schema_for!(BumRow)),
        ("`workers`: the threads that move frames", schema_for!(WorkerRow)),
        ("`drops`", schema_for!(DropRow)),
        ("`gateway`: the gateway as a whole", schema_for!(GatewayRow)),
        ("`last_reload` of `gateway`", schema_for!(ReloadRow)),
        ("`samples` of `drops`, and of one peer or tenant: frames that were dropped", schema_for!(DropSampleRow)),
        ("`status`: how the gateway is, on one page", schema_for!(StatusRow)),
        ("`troubles` of `status`", schema_for!(TroubleRow)),
        ("`log`: lines that are not in it", schema_for!(LogRow)),
        (
            "What `transload events`, `/events` and the log as JSON have, a line each; `docs/EVENTS.md` has the fields of each event",
            schema_for!(EventRow),
        ),
        ("What `replay` prints: lists of these rows", schema_for!(Summary)),
        ("`captured` of `replay`: frames of the captures that are not what they seem", schema_for!(Captured)),
        ("What `POST /reload` answers", schema_for!(Reloaded)),
        ("What `POST /successor` answers", schema_for!(HandedOver)),
    ]
}

/// The keys of a row in the order of the source, with the description and the schema of each.
fn keys(schema: &Schema) -> impl Iterator<Item = (&String, String, &serde_json::Value)> {
    let properties = schema.get("properties").and_then(|properties| properties.as_object()).expect("a row has keys");
    properties.iter().map(|(key, value)| {
        let about = value["description"].as_str().expect("every key is explained");
        (key, about.split_whitespace().collect::<Vec<_>>().join(" "), value)
    })
}

/// The metric that a key of a row is, or how it is part of others, or why it is none; empty if nobody would ask.
fn metric(schema: &Schema, key: &str, field: &serde_json::Value) -> String {
    let Some(row) = row_measure(schema.as_value()) else { return String::new() };
    if row.without.iter().any(|without| without == key) {
        return format!("none: {}", row.why_not);
    }
    if row.subject.is_none() {
        return if is_number(field) { format!("none: {}", row.why_not) } else { String::new() };
    }
    let Some(measure) = field_measure(field) else { return String::new() };
    let name = sample_name(&row, &measure);
    match measure {
        Measure::Label => "label".to_owned(),
        Measure::None(why) => format!("none: {why}"),
        Measure::Info(_) => format!("label of `{}`", name.unwrap()),
        Measure::Counter(named) if named.label.is_some() => {
            let (label, value) = named.label.unwrap();
            format!("`{}{{{label}=\"{value}\"}}`", name.unwrap())
        }
        _ => format!("`{}`", name.unwrap()),
    }
}

#[test]
fn every_number_of_a_row_is_a_metric_or_says_why_not() {
    for (title, schema) in
        rows().into_iter().filter(|(title, _)| !title.contains("`replay`") || title.contains("and of"))
    {
        let Some(row) = row_measure(schema.as_value()) else {
            assert!(
                title.contains("POST") || keys(&schema).all(|(.., field)| !is_number(field)),
                "{title} says nothing"
            );
            continue;
        };
        for (key, _, field) in keys(&schema).filter(|(.., field)| is_number(field)) {
            let is_left_out = row.subject.is_none() || row.without.iter().any(|without| without == key);
            let says_why = is_left_out && !row.why_not.is_empty();
            assert!(says_why || field_measure(field).is_some(), "{key} of {title} is no metric, and does not say why");
        }
    }
}

fn is_number(field: &serde_json::Value) -> bool {
    let kind = field["type"].to_string();
    kind.contains("integer") || field["additionalProperties"]["type"] == "integer"
}

fn page() -> String {
    let mut page = INTRODUCTION.to_owned();
    for (title, schema) in rows() {
        // Writing into a string does not fail.
        let _ = writeln!(page, "\n## {title}\n\n| key | meaning | metric |\n|---|---|---|");
        for (key, about, field) in keys(&schema) {
            let _ = writeln!(page, "| `{key}` | {about} | {} |", metric(&schema, key, field));
        }
    }
    page
}

#[test]
fn the_page_lists_every_key_of_every_row() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/ROWS.md");
    if std::env::var_os("REWRITE").is_some() {
        std::fs::write(&file, page()).unwrap();
    }
    let written = std::fs::read_to_string(file).unwrap();
    assert!(written == page(), "docs/ROWS.md is not what src/report/rows.rs says; REWRITE=1 writes it anew");
}

#[test]
fn the_meaning_of_a_number_begins_with_its_unit() {
    let units = [
        "Seconds",
        "Microseconds",
        "Frames",
        "Bytes",
        "Bits",
        "MAC addresses",
        "IDs",
        "Times",
        "Lines",
        "Parts",
        "Events",
        "VLAN ID",
        "Peers",
        "Troubles",
        "Attachments",
    ];
    for (title, schema) in rows() {
        for (key, about, value) in keys(&schema) {
            let is_number = is_number(value);
            let begins = units.iter().any(|unit| about.split(&[' ', ','][..]).next() == unit.split(' ').next());
            assert!(begins || !is_number, "{key} of {title}: {about}");
        }
    }
}

const GATEWAY: &str = r#"
version: 1
ports:
  up:     { device: up }
  access: { device: access, tpids: [0x88a8] }
endpoints: { vtep: { address: 192.0.2.1, ports: [up] } }
peers:
  leaf: { address: 192.0.2.9, encap: vxlan }
mappings:
  wholesale: { from: { peer: leaf, vni: 0x1000-0x1fff }, to: { port: access, s_vid: 7, c_vid: "id[11:0]" } }
tenants:
  blue:
    attachments: { leaf: { peer: leaf, vni: 1 }, ce: { port: access, s_vid: 8 } }
    static: [{ mac: "02:00:00:00:00:07", via: ce }]
"#;

fn frame_of_leaf(vni: u32, source: u8) -> Vec<u8> {
    let ends = ([192, 0, 2, 9].into(), [192, 0, 2, 1].into());
    let inner = wire::tenant_frame(BROADCAST, mac(source), 0);
    wire::outer((mac(0xaa), mac(0xbb)), ends, 0, 17, &wire::udp(50_000, 4789, &wire::vxlan(vni, &inner)))
}

/// That serde writes the keys that the schema has, of the first row of some.
fn agree<T: Serialize + JsonSchema>(rows: &[T]) {
    let row = serde_json::to_value(rows.first().expect("there is a row")).unwrap();
    let written: BTreeSet<_> = row.as_object().unwrap().keys().cloned().collect();
    let known: BTreeSet<_> = keys(&schema_for!(T)).map(|(key, ..)| key.clone()).collect();
    assert_eq!(written, known);
}

#[test]
fn rows_are_written_with_the_keys_that_the_page_has() {
    let mut lab = Lab::new(GATEWAY);
    lab.send("up", frame_of_leaf(1, 1));
    lab.sleep(5);
    lab.send("access", wire::tag(&wire::tenant_frame(BROADCAST, mac(1), 0), 0x88a8, 8));
    let peer = lab.tables().senders.values().copied().next().unwrap();
    let mut state = lab.gateway.state(lab.clock);
    state.ports.insert(PortId::new(0), PortState { io: "af_packet eth0", failure: Some("eth0 is gone") });
    let remote = "192.0.2.9".parse().unwrap();
    let tunnel = QuotedTunnel { local: "192.0.2.1".parse().unwrap(), remote, carrier: Carrier::Udp(4789) };
    let report = PathReport {
        tunnel,
        mtu: Some(ReportedMtu { mtu: 1300, from: remote, at: 0 }),
        unreachable: Some(ReportedUnreachable { why: Unreachable::Port, from: remote, at: 0 }),
    };
    let report = Some(&report);
    let address = remote.to_string();
    state.tunnels = vec![TunnelState { peer, endpoint: "vtep", address, learned: Some(0), failures: vec![], report }];
    agree(&state.fdb(None).unwrap());
    agree(&state.tenants(None).unwrap());
    agree(&state.tenants(None).unwrap()[0].attachments);
    agree(&state.mappings());
    agree(&state.peers(None).unwrap());
    agree(&state.peers(None).unwrap()[0].next_hops);
    agree(state.peers(None).unwrap()[0].path_mtu_report.as_slice());
    agree(state.peers(None).unwrap()[0].unreachable.as_slice());
    let detail = state.peer_detail(peer).unwrap();
    agree(&detail.serves);
    agree(&[detail]);
    let detail = state.tenant_detail(state.tenant(Some("blue")).unwrap().unwrap()).unwrap();
    agree(&detail.bum);
    agree(&[detail]);
    agree(&state.ports());
    let crews = [vec![PortId::new(0), PortId::new(1)]];
    let activity = Activity::default();
    (state.activity, state.crews) = (Some(&activity), &crews);
    agree(&state.workers());
    agree(state.ports()[0].rates.as_slice());
    agree(&state.drops());
    agree(&[state.summary()]);
    let moved = state.fdb(Some("blue")).unwrap().into_iter().find_map(|row| row.last_move).unwrap();
    assert_eq!((moved.from_via.as_str(), moved.to_via.as_str(), moved.ago), ("leaf", "access", 0));
    agree(&[moved]);
    assert!(state.fdb(Some("red")).is_err_and(|missing| missing.to_string() == "there is no tenant `red`"));
}

#[test]
fn what_a_gateway_says_of_its_ports_and_peers_is_in_their_rows() {
    let lab = Lab::new(GATEWAY);
    let peer = lab.tables().senders.values().copied().next().unwrap();
    let mut state = lab.gateway.state(90_000_000_000);
    assert_eq!((state.ports()[0].io.as_deref(), state.peers(None).unwrap().len()), (None, 0));
    let failures = vec!["no route to 192.0.2.9".to_owned()];
    let address = "192.0.2.9".to_owned();
    state.ports.insert(PortId::new(0), PortState { io: "tap up", failure: None });
    let learned = Some(30_000_000_000);
    state.tunnels = vec![TunnelState { peer, endpoint: "vtep", address, learned, failures, report: None }];
    let row = state.peers(Some("blue")).unwrap().remove(0);
    assert_eq!((row.source.to_string().as_str(), row.learned_ago), ("learned", Some(60)));
    assert_eq!((row.failures, row.next_hops.len()), (vec!["no route to 192.0.2.9".to_owned()], 1));
    assert_eq!(state.ports()[0].io.as_deref(), Some("tap up"));
}

/// What a verb prints, read with its keys as they are written.
fn printed(directory: &Path, args: &[&str]) -> Ordered {
    let mut command = Command::cargo_bin("transload").unwrap();
    let output = command.current_dir(directory).args(args).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{args:?}: {error}\n{told}"))
}

#[test]
fn no_object_that_is_printed_has_a_key_twice_and_the_hash_of_the_proof_can_be_computed_again() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    std::fs::write(at.join("gateway.yaml"), GATEWAY).unwrap();
    std::fs::write(at.join("other.yaml"), GATEWAY.replace("vni: 1,", "vni: 2,").replace("vni: 1 }", "vni: 2 }"))
        .unwrap();
    let mut capture = CaptureWriter::create(&at.join("up.pcap")).unwrap();
    for (stamp, frame) in [(1, frame_of_leaf(1, 1)), (2, frame_of_leaf(0x1003, 2)), (3, frame_of_leaf(99, 3))] {
        capture.write(stamp, &frame).unwrap();
    }
    capture.finish().unwrap();
    printed(at, &["check", "--json", "gateway.yaml"]);
    printed(at, &["replay", "gateway.yaml", "--in", "up=up.pcap", "--out", "out"]);
    printed(at, &["diff", "--json", "gateway.yaml", "other.yaml", "--in", "up=up.pcap"]);
    printed(at, &["explain", "gateway.yaml", "--json", "--port", "up", "--pcap", "up.pcap", "--packet", "2"]);
    printed(at, &["schema"]);
    let isolation = printed(at, &["isolation", "--json", "gateway.yaml"]);
    let proof = serde_json::to_vec(isolation.get("proof").unwrap()).unwrap();
    let hash = Sha256::digest(&proof).iter().fold(String::from("sha256:"), |text, byte| text + &format!("{byte:02x}"));
    assert!(matches!(isolation.get("hash"), Some(Ordered::Text(printed)) if *printed == hash));
}

#[test]
fn a_key_that_is_there_twice_is_seen() {
    assert!(serde_json::from_str::<Ordered>(r#"{"id":"vni 1","mapping":"m","id":1}"#).is_err());
    assert!(serde_json::from_str::<Ordered>(r#"{"b":1,"a":[{"b":null}]}"#).is_ok());
}
