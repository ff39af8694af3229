//! What `explain` tells: every stage with the line that decided, where FDB entries come from, what has been written
//! into which bytes; and the verb around it.

mod common;

use std::path::Path;
use std::process::Output;

use assert_cmd::Command;
use common::wire::{self, BROADCAST, mac, tag};
use transload::compile::compile_with_origins;
use transload::config;
use transload::explain::{self, Explanation, Said};
use transload::io::pcap::CaptureWriter;
use transload::offline::{self, Offline};

const SECOND: u64 = 1_000_000_000;

const GATEWAY: &str = r#"version: 1
ports:
  up: { device: up, mac: "02:aa:00:00:00:01" }
  access: { device: access }
endpoints:
  fabric: { address: 192.0.2.1, ports: [up] }
peers:
  hyperv: { address: 192.0.2.77, encap: nvgre }
groups:
  leafs: { encap: vxlan, members: [192.0.2.11-192.0.2.12] }
tenants:
  blue:
    attachments:
      leafs: { group: leafs, vni: 10100 }
      hyperv: { peer: hyperv, vsid: 5100 }
      ce: { port: access, s_vid: 100, c_vid: 7 }
    static:
      - { mac: "02:00:00:00:00:07", via: hyperv }
"#;

/// A tenant's frame from the first leaf.
fn from_leaf(dst: [u8; 6]) -> Vec<u8> {
    let packet = wire::udp(50_000, 4789, &wire::vxlan(10100, &wire::tenant_frame(dst, mac(1), 1)));
    wire::outer(([2, 0xaa, 0, 0, 0, 1], mac(0xbb)), ([192, 0, 2, 11].into(), [192, 0, 2, 1].into()), 0, 17, &packet)
}

fn from_ce(dst: [u8; 6], src: [u8; 6]) -> Vec<u8> {
    tag(&tag(&wire::tenant_frame(dst, src, 1), 0x8100, 7), 0x88a8, 100)
}

/// The explanation of the last of these frames.
fn explained(frames: &[(&str, Vec<u8>)]) -> Explanation {
    explained_by(GATEWAY, frames)
}

fn explained_by(file: &str, frames: &[(&str, Vec<u8>)]) -> Explanation {
    let config = config::parse("gw.yaml", file).unwrap();
    let (plan, origins) = compile_with_origins(&config).unwrap_or_else(|problems| panic!("{problems}"));
    let mut arena = offline::arena();
    let mut gateway = Offline::new(plan, &mut arena);
    let mut told = None;
    for (port, frame) in frames {
        let port = gateway.names().port_id(port).unwrap();
        told = Some(explain::explain(&mut gateway, &origins, port, frame.clone(), SECOND));
    }
    told.unwrap()
}

fn said(told: &Explanation, stage: &str) -> Vec<String> {
    let report = told.stages.iter().find(|report| report.stage == stage).unwrap_or_else(|| panic!("no stage {stage}"));
    let with_line = |Said { text, line }: &Said| match line {
        Some(line) => format!("{text} [{}]", line.line),
        None => text.clone(),
    };
    report.steps.iter().map(with_line).collect()
}

#[test]
fn every_stage_says_what_it_asked_and_which_line_answered() {
    let told = explained(&[("up", from_leaf(mac(7)))]);
    let stages: Vec<_> = told.stages.iter().map(|report| report.stage).collect();
    assert_eq!(stages, ["receive", "classify", "decap", "bridge", "encap"]);
    assert_eq!(
        said(&told, "classify"),
        [
            "to endpoint fabric (192.0.2.1) [6]",
            "outer headers are whole: UDP port 4789 (VXLAN) from 192.0.2.11",
            "sender 192.0.2.11, UDP port 4789 (VXLAN), to endpoint fabric: peer leafs/192.0.2.11 [10]",
        ]
    );
    assert_eq!(
        said(&told, "decap"),
        ["VXLAN header off, vni 10100 of peer leafs/192.0.2.11: tenant blue (attachment leafs) [14]"]
    );
    assert_eq!(
        said(&told, "bridge"),
        [
            "source 02:00:00:00:00:01: learned at leafs (peer leafs/192.0.2.11, vni 10100)",
            "destination 02:00:00:00:00:07: hyperv (peer hyperv, vsid 5100) (static) [18]",
        ]
    );
    assert_eq!(
        said(&told, "encap"),
        [
            "to hyperv (peer hyperv, vsid 5100) [15]",
            "next hop 02:74:6e:00:00:00 by port up",
            &format!("leaves by port up: {} bytes [3]", told.outputs[0].frame.len),
        ]
    );
}

#[test]
fn an_fdb_entry_is_static_with_its_line_or_learned_or_unknown() {
    let learned = explained(&[("access", from_ce(BROADCAST, mac(5))), ("up", from_leaf(mac(5)))]);
    assert!(said(&learned, "bridge")[1].ends_with("(port access, s_vid 100, c_vid 7) (learned)"), "{learned:?}");
    let unknown = explained(&[("up", from_leaf(mac(5)))]);
    assert_eq!(said(&unknown, "bridge")[1], "destination 02:00:00:00:00:05: unknown");
}

#[test]
fn the_bytes_that_are_not_marked_are_the_tenants_and_those_that_are_are_not() {
    let arrived = from_leaf(BROADCAST);
    let told = explained(&[("up", arrived.clone())]);
    let ports: Vec<_> = told.outputs.iter().map(|output| output.port.as_str()).collect();
    assert_eq!(ports, ["up", "access"]);
    let (nvgre, tagged) = (&told.outputs[0], &told.outputs[1]);
    assert_eq!(nvgre.changed, vec![0..42], "outer Ethernet, IPv4 and NVGRE");
    assert_eq!(nvgre.bytes()[42..], arrived[50..]);
    assert_eq!(tagged.changed, vec![12..20], "two tags");
    assert_eq!(tagged.bytes()[20..], arrived[62..]);
}

#[test]
fn headers_are_shown_by_name_and_value() {
    let told = explained(&[("up", from_leaf(mac(7)))]);
    let names = |told: &explain::FrameReport| told.decoded.layers.iter().map(|layer| layer.name).collect::<Vec<_>>();
    assert_eq!(names(&told.frame), ["Ethernet", "IPv4", "UDP", "VXLAN", "Ethernet", "IPv4", "UDP"]);
    assert_eq!(names(&told.outputs[0].frame), ["Ethernet", "IPv4", "NVGRE", "Ethernet", "IPv4", "UDP"]);
    let nvgre = &told.outputs[0].frame.decoded.layers[2];
    assert!(nvgre.fields.contains(&("vsid", "5100".to_owned())), "{nvgre:?}");
}

#[test]
fn a_drop_says_who_is_responsible_and_stops_the_story_there() {
    let mut frame = from_leaf(BROADCAST);
    frame[48] = 9;
    let told = explained(&[("up", frame)]);
    let dropped = told.dropped.as_ref().unwrap();
    assert_eq!((dropped.reason, dropped.stage, dropped.responsible), ("unknown_segment", "decap", "config"));
    assert_eq!(told.stages.last().unwrap().stage, "decap");
    assert!(told.outputs.is_empty() && !told.near.is_empty());
}

#[test]
fn a_frame_of_a_mapping_goes_across_without_a_tenant() {
    let told = explained_by(
        &format!(
            "{GATEWAY}mappings:\n  moved:\n    from: {{ peer: hyperv, vsid: 0x10000-0x1ffff }}\n    to: {{ port: access, s_vid: \"0x200 + id[15:12]\", c_vid: \"id[11:0]\" }}\n"
        ),
        &[("access", tag(&tag(&wire::tenant_frame(mac(7), mac(1), 1), 0x8100, 5), 0x88a8, 0x203))],
    );
    assert_eq!(told.headline, "sent: mapping moved, from port access to peer hyperv, vsid 77829 by port up");
    assert_eq!(
        said(&told, "decap"),
        [
            "802.1ad (QinQ) header off, s_vid 515, c_vid 5 of port access: no tenant's",
            "mapping moved, to peer hyperv with vsid 77829 [20]",
        ]
    );
    assert_eq!(told.outputs[0].changed, vec![0..42]);
}

fn run(folder: &Path, args: &[&str]) -> Output {
    std::fs::write(folder.join("gw.yaml"), GATEWAY).unwrap();
    Command::cargo_bin("transload")
        .unwrap()
        .current_dir(folder)
        .arg("explain")
        .arg("gw.yaml")
        .args(args)
        .output()
        .unwrap()
}

fn hex(frame: &[u8]) -> String {
    frame.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}

fn first_line(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().to_owned()
}

#[test]
fn the_verb_prints_the_answer_first_and_the_same_as_json() {
    let folder = tempfile::tempdir().unwrap();
    let frame = hex(&from_leaf(mac(7)));
    let text = run(folder.path(), &["--port", "up", "--frame", &frame]);
    let line = "sent: tenant blue, from peer leafs/192.0.2.11 to hyperv (peer hyperv, vsid 5100) by port up";
    assert_eq!(first_line(&text), line);
    let json = run(folder.path(), &["--port", "up", "--frame", &frame, "--json"]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["headline"], line);
    assert_eq!(json["stages"][3]["steps"][1]["line"]["line"], 18);
    assert_eq!(json["outputs"][0]["frame"]["decoded"]["layers"][2]["fields"]["vsid"], "5100");
}

#[test]
fn a_packet_of_a_capture_finds_what_those_before_it_taught() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = CaptureWriter::create(&folder.path().join("access.pcap")).unwrap();
    writer.write(SECOND, &from_ce(BROADCAST, mac(5))).unwrap();
    writer.write(2 * SECOND, &from_ce(mac(5), mac(6))).unwrap();
    writer.finish().unwrap();
    let packet = |more: &[&str]| {
        run(folder.path(), &[&["--port", "access", "--pcap", "access.pcap", "--packet", "2"], more].concat())
    };
    assert!(
        first_line(&packet(&[]))
            .starts_with("dropped (same_attachment): 02:00:00:00:00:05 lives where the frame came from")
    );
    assert_eq!(first_line(&packet(&["--alone"])), "sent: tenant blue, from port access to 3 places");
    let none = run(folder.path(), &["--port", "access", "--pcap", "access.pcap", "--packet", "3"]);
    assert!(String::from_utf8_lossy(&none.stderr).contains("access.pcap has 2 packets, so there is no packet 3"));
    assert_eq!(none.status.code(), Some(1));
}

#[test]
fn an_address_can_be_taken_for_learned() {
    let folder = tempfile::tempdir().unwrap();
    let frame = hex(&from_leaf(mac(5)));
    let learned = |what| run(folder.path(), &["--port", "up", "--frame", &frame, "--learned", what]);
    let line = first_line(&learned("blue/02:00:00:00:00:05=ce"));
    assert!(line.ends_with("to ce (port access, s_vid 100, c_vid 7) by port access"), "{line}");
    let line = first_line(&learned("blue/02:00:00:00:00:05=leafs/192.0.2.12"));
    assert!(line.starts_with("dropped (split_horizon)"), "{line}");
    let wrong = [
        ("blue", "`blue` says no learned address"),
        ("bleu/02:00:00:00:00:05=ce", "the configuration has no tenant `bleu`"),
        ("blue/02:00:00:00:00:05=cd", "tenant `blue` has no attachment `cd`"),
        ("blue/02:00:00:00:00:05=leafs", "attachment `leafs` has 2 members, and this names none of them"),
    ];
    for (what, message) in wrong {
        let output = learned(what);
        assert_eq!(output.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&output.stderr).contains(message), "{what}: {output:?}");
    }
}

#[test]
fn an_unknown_port_is_answered_with_the_known_ones() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(folder.path(), &["--port", "down", "--frame", "00"]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("no port `down`") && told.contains("its ports: up, access"), "{told}");
}
