//! What `isolation`, `explain` and `diff` tell of groups that learn their members, as a user asks them.

use std::fs;

use assert_cmd::Command;
use serde_json::Value;
use tempfile::TempDir;

#[path = "common/wire.rs"]
#[expect(dead_code, unreachable_pub, reason = "every test binary uses its own part of this")]
mod wire;

use transload::io::pcap::CaptureWriter;
use wire::{BROADCAST, mac};

const UP: [u8; 6] = [2, 0xaa, 0, 0, 0, 1];

const GATEWAY: &str = r#"version: 1
ports:
  up:     { device: up, mac: "02:aa:00:00:00:01" }
  access: { device: access }
endpoints:
  fabric: { address: 192.0.2.1, ports: [up] }
groups:
  leafs:
    encap: vxlan
    learn_from: 198.51.100.0/24
    bum: 239.1.1.1
tenants:
  blue: { attachments: { leafs: { group: leafs, vni: 100 }, ce: { port: access, s_vid: 7 } } }
  red:  { attachments: { leafs: { group: leafs, vni: 200 }, ce: { port: access, s_vid: 8 } } }
"#;

/// What a verb prints about files in a folder of its own: exit code and standard output.
fn told(files: &[(&str, &str)], frames: &[Vec<u8>], args: &[&str]) -> (Option<i32>, String) {
    let folder = TempDir::new().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let mut capture = CaptureWriter::create(&folder.path().join("up.pcap")).unwrap();
    for (n, frame) in frames.iter().enumerate() {
        capture.write(n as u64 * 1_000_000_000, frame).unwrap();
    }
    capture.finish().unwrap();
    let mut command = Command::cargo_bin("transload").unwrap();
    let output = command.current_dir(folder.path()).args(args).output().unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

/// A VXLAN packet with a broadcast of a tenant's host.
fn packet(link: [u8; 6], from: [u8; 4], to: [u8; 4], vni: u32) -> Vec<u8> {
    let inner = wire::tenant_frame(BROADCAST, mac(1), 1);
    let packet = wire::udp(50_000, 4789, &wire::vxlan(vni, &inner));
    wire::outer((link, mac(0xbb)), (from.into(), to.into()), 0, 17, &packet)
}

/// A packet of someone inside the prefix, or of someone else.
fn from(sender: [u8; 4]) -> Vec<u8> {
    packet(UP, sender, [192, 0, 2, 1], 100)
}

fn isolation(file: &str) -> (Option<i32>, Value) {
    let (code, out) = told(&[("gw.yaml", file)], &[], &["isolation", "gw.yaml"]);
    (code, serde_json::from_str(&out).expect("it is JSON"))
}

#[test]
fn tenants_of_a_group_that_learns_are_isolated_and_who_is_trusted_is_an_assumption() {
    let (code, found) = isolation(GATEWAY);
    assert_eq!((code, &found["isolated"]), (Some(0), &Value::Bool(true)));
    let assumptions = found["proof"]["assumptions"].as_array().expect("a list");
    let learners = assumptions.iter().find(|assumption| assumption["name"] == "learn_from").expect("it is told");
    assert_eq!(learners["here"], serde_json::json!(["group leafs: 198.51.100.0 to 198.51.100.255, UDP port 4789"]));
    let wider = isolation(&GATEWAY.replace("198.51.100.0/24", "198.51.0.0/16")).1;
    assert_ne!(found["hash"], wider["hash"], "who may be learned is part of what is proved");
}

#[test]
fn tenants_that_two_groups_send_to_one_multicast_address_with_one_id_meet() {
    let shared = GATEWAY
        .replace("tenants:", "  spines: { encap: vxlan, learn_from: 203.0.113.0/24, bum: 239.1.1.1 }\ntenants:")
        .replace("group: leafs, vni: 200", "group: spines, vni: 100");
    let (code, found) = isolation(&shared);
    assert_eq!((code, &found["isolated"]), (Some(1), &Value::Bool(false)));
    let meeting = &found["meetings"][0];
    assert_eq!((&meeting["from"]["tenant"], &meeting["to"]["tenant"]), (&"blue".into(), &"red".into()));
    let apart = shared.replacen("239.1.1.1", "239.1.1.2", 1);
    assert_eq!(isolation(&apart).0, Some(0), "with addresses of their own they do not");
}

fn explained(frames: &[Vec<u8>]) -> String {
    let packet = frames.len().to_string();
    let args = ["explain", "gw.yaml", "--port", "up", "--pcap", "up.pcap", "--packet", &packet];
    told(&[("gw.yaml", GATEWAY)], frames, &args).1
}

#[test]
fn explain_says_by_which_prefix_a_stranger_came_in_and_where_a_learned_one_lives() {
    let stranger = explained(&[from([198, 51, 100, 7])]);
    assert!(stranger.contains("inside 198.51.100.0 to 198.51.100.255"), "{stranger}");
    assert!(stranger.contains("gw.yaml:10"), "the line of `learn_from`: {stranger}");
    assert!(stranger.contains("not learned yet, since 198.51.100.7 has no number"), "{stranger}");
    let known = explained(&[from([198, 51, 100, 7]), from([198, 51, 100, 7])]);
    assert!(known.contains("learned at leafs (peer leafs/198.51.100.7, vni 100)"), "{known}");
}

#[test]
fn explain_says_that_a_sender_is_outside_the_prefix_or_not_in_the_multicast_group() {
    let outside = explained(&[from([198, 51, 101, 7])]);
    assert!(outside.starts_with("dropped (unknown_peer): "), "{outside}");
    assert!(outside.lines().next().unwrap().contains("198.51.101.7"), "{outside}");
    let group = [0x01, 0x00, 0x5e, 1, 1, 1];
    let heard = explained(&[packet(group, [198, 51, 100, 7], [239, 1, 1, 1], 200)]);
    assert!(heard.contains("tenant red"), "{heard}");
}

fn diff(new: &str, frames: &[Vec<u8>]) -> String {
    let args = ["diff", "gw.yaml", "new.yaml", "--in", "up=up.pcap"];
    let (code, out) = told(&[("gw.yaml", GATEWAY), ("new.yaml", new)], frames, &args);
    assert_eq!(code, Some(0));
    out
}

#[test]
fn diff_names_the_prefix_and_the_multicast_address_that_change_and_the_frames_that_lose_their_way() {
    let new = GATEWAY.replace("198.51.100.0/24", "198.51.100.0/25").replace("239.1.1.1", "239.1.1.2");
    let frames = [from([198, 51, 100, 7]), from([198, 51, 100, 200])];
    let told = diff(&new, &frames);
    assert!(told.contains("~ group leafs: "), "{told}");
    assert!(told.contains("learn_from 198.51.100.0/24 -> 198.51.100.0/25"), "{told}");
    assert!(told.contains("bum 239.1.1.1 -> 239.1.1.2"), "{told}");
    assert!(told.contains("1 of 2 frames is handled differently"), "{told}");
    assert!(told.contains("frame 2 on up") && told.contains("now dropped: unknown_peer"), "{told}");
    assert!(told.contains("because group leafs: "), "{told}");
}
