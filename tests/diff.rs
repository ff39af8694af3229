//! What changes from one file to another, by name, and which frames of a capture are handled differently and why.

mod common;

use std::path::PathBuf;

use assert_cmd::Command;
use common::wire::{self, BROADCAST, mac};
use serde_json::Value;
use transload::io::pcap::CaptureWriter;

const OLD: &str = r"
version: 1
ports:
  up:     { device: eth1 }
  access: { device: eth2 }
endpoints: { vtep: { address: 192.0.2.1, ports: [up] } }
peers:
  leaf: { address: 192.0.2.9, encap: vxlan }
  gone: { address: 192.0.2.10, encap: gre }
groups: { mesh: { encap: nvgre, members: [192.0.2.20-192.0.2.21] } }
tenants:
  red:  { attachments: { leaf: { peer: leaf, vni: 1 }, mesh: { group: mesh, vsid: 5000 }, ce: { port: access, vid: 7 } } }
  blue: { attachments: { leaf: { peer: leaf, vni: 2 }, gone: { peer: gone }, ce: { port: access, vid: 8 } } }
";

struct Files(tempfile::TempDir);

impl Files {
    fn new(new: &str) -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        std::fs::write(files.at("old.yaml"), OLD).unwrap();
        std::fs::write(files.at("new.yaml"), new).unwrap();
        files
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn capture(&self, name: &str, frames: &[Vec<u8>]) {
        let mut writer = CaptureWriter::create(&self.at(name)).unwrap();
        for (n, frame) in frames.iter().enumerate() {
            writer.write(n as u64 * 1_000_000, frame).unwrap();
        }
        writer.finish().unwrap();
    }

    fn diff(&self, args: &[&str]) -> (Option<i32>, String, String) {
        let output = Command::cargo_bin("transload")
            .unwrap()
            .current_dir(self.0.path())
            .args(["diff", "old.yaml", "new.yaml"])
            .args(args)
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    }
}

fn frame_of_leaf(vni: u32) -> Vec<u8> {
    let inner = wire::ethernet(BROADCAST, mac(1), 0x88b5, &[0; 46]);
    let ends = ([192, 0, 2, 9].into(), [192, 0, 2, 1].into());
    wire::outer(([2, 0, 0, 0, 0, 9], [2, 0, 0, 0, 0, 8]), ends, 0, 17, &wire::udp(9, 4789, &wire::vxlan(vni, &inner)))
}

#[test]
fn files_that_mean_the_same_do_not_differ_however_they_are_written() {
    let same = OLD.replace("encap: vxlan", "encap: { vxlan: { udp_port: 4789 } }").replace("vni: 2", "vni: 0x2");
    let (code, out, err) = Files::new(&same).diff(&[]);
    assert_eq!((code, out.as_str(), err.as_str()), (Some(0), "the two files mean the same\n", ""));
}

#[test]
fn everything_that_changes_is_named_with_what_it_was_and_what_it_is() {
    let new = OLD
        .replace("{ device: eth2 }", "{ device: eth2, mtu: 1600 }")
        .replace("  gone: { address: 192.0.2.10, encap: gre }\n", "  here: { address: 192.0.2.11, encap: gre }\n")
        .replace(", gone: { peer: gone }", ", here: { peer: here, key: 5 }")
        .replace("vni: 1", "vni: 3")
        .replace("192.0.2.20-192.0.2.21", "192.0.2.20")
        .replace("  blue: {", "  green: { attachments: {} }\n  blue: { ageing: 1m,");
    let (code, out, err) = Files::new(&new).diff(&[]);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert_eq!(
        out,
        "\
~ port access: mtu not set -> 1600
- peer gone: address 192.0.2.10, checksum false, encap gre, from 192.0.2.1, reserved ignore, sequence false
+ peer here: address 192.0.2.11, checksum false, encap gre, from 192.0.2.1, reserved ignore, sequence false
- peer mesh/192.0.2.21: address 192.0.2.21, encap nvgre, flow_id flow, from 192.0.2.1, reserved ignore
~ tenant blue: ageing 300s -> 60s
+ tenant green: ageing 300s, bum 100000, duplicates 5 moves within 180s, held for 180s, learning true, loop_guard 60s, macs 65536, mss_clamp false, unknown_unicast flood
- attachment blue/gone: inner_tags keep, key none, l2cp drop, to peer gone
+ attachment blue/here: inner_tags keep, key 5, l2cp drop, to peer here
~ attachment red/leaf: vni 1 -> 3
- tunnel blue/gone -> gone: address 192.0.2.10, encap gre, from 192.0.2.1, segment no key
+ tunnel blue/here -> here: address 192.0.2.11, encap gre, from 192.0.2.1, segment key 0x5
~ tunnel red/leaf -> leaf: segment vni 1 -> vni 3
- tunnel red/mesh -> mesh/192.0.2.21: address 192.0.2.21, encap nvgre, from 192.0.2.1, segment vsid 5000
"
    );
}

#[test]
fn frames_that_are_handled_differently_are_shown_with_the_change_that_did_it() {
    let files = Files::new(&OLD.replace("vni: 1", "vni: 3").replace("vid: 8", "vid: 9"));
    files.capture("up.pcap", &[frame_of_leaf(1), frame_of_leaf(2), frame_of_leaf(4), frame_of_leaf(3)]);
    let (code, out, err) = files.diff(&["--in", "up=up.pcap"]);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    let (_, frames) = out.split_once("\n\n").expect("frames follow");
    assert_eq!(
        frames,
        "\
3 of 4 frames are handled differently
frame 1 on up
    was sent on access with vid 7, sent on up to mesh/192.0.2.20 with vsid 5000, sent on up to mesh/192.0.2.21 with vsid 5000 (tenant red)
    now dropped: unknown_segment
    because attachment red/leaf: vni 1 -> 3
frame 2 on up
    was sent on access with vid 8, sent on up to gone with no key (tenant blue)
    now sent on access with vid 9, sent on up to gone with no key (tenant blue)
    because attachment blue/ce: vid 8 -> 9
frame 4 on up
    was dropped: unknown_segment
    now sent on access with vid 7, sent on up to mesh/192.0.2.20 with vsid 5000, sent on up to mesh/192.0.2.21 with vsid 5000 (tenant red)
    because attachment red/leaf: vni 1 -> 3
"
    );
}

#[test]
fn frames_whose_checksum_was_left_to_a_device_are_handled_differently_as_others_are() {
    let files = Files::new(&OLD.replace("vni: 1", "vni: 3"));
    let mut frame = frame_of_leaf(1);
    let pseudo = !wire::sum(&[&frame[26..34], &[0, 17], &frame[38..40]]);
    frame[40..42].copy_from_slice(&pseudo.to_be_bytes());
    files.capture("up.pcap", &[frame]);
    let (_, out, _) = files.diff(&["--in", "up=up.pcap"]);
    assert!(out.contains("1 of 1 frame is handled differently"), "{out}");
    assert!(out.contains("1 frame was captured before its sender's device had filled in the checksum"), "{out}");
}

#[test]
fn a_frame_that_goes_the_same_way_in_other_headers_is_one_that_changes() {
    let files = Files::new(&OLD.replace("encap: nvgre,", "encap: nvgre, ttl: 9,"));
    files.capture("up.pcap", &[frame_of_leaf(1), frame_of_leaf(2)]);
    let (_, out, _) = files.diff(&["--in", "up=up.pcap"]);
    assert!(out.contains("1 of 2 frames is handled differently"), "{out}");
    assert!(out.contains("now sent by the same path, with other headers"), "{out}");
    assert!(out.contains("because group mesh: ttl not set -> 9"), "{out}");
}

#[test]
fn a_change_that_has_nothing_to_do_with_a_frame_is_not_called_its_cause() {
    const BEFORE: &str = r#"version: 1
ports:
  up: { device: eth1 }
  access: { device: eth2, mtu: 9000 }
endpoints:
  fabric: { address: 192.0.2.1, ports: [up] }
  other: { address: 192.0.2.2, ports: [up] }
peers:
  leaf: { address: 192.0.2.9, encap: vxlan, endpoint: fabric }
  far: { address: 192.0.2.10, encap: vxlan, endpoint: fabric }
  third: { address: 192.0.2.11, encap: vxlan, endpoint: other }
tenants:
  red:
    attachments:
      leaf: { peer: leaf, vni: 1 }
      far: { peer: far, vni: 7 }
      ce: { port: access, vid: 8 }
    static: [{ mac: "02:00:00:00:00:07", via: ce }, { mac: "02:00:00:00:00:08", via: ce }]
  blue:
    attachments: { third: { peer: third, vni: 2 }, ce: { port: access, vid: 9 } }
"#;
    let after = BEFORE
        .replace("endpoint: fabric }\n  far", "endpoint: fabric, ttl: 9 }\n  far")
        .replace("192.0.2.10", "192.0.2.12")
        .replace("ports: [up] }\npeers", "ports: [up], ttl: 9 }\npeers")
        .replace("vid: 9", "vid: 10")
        .replace("\"02:00:00:00:00:08\", via: ce", "\"02:00:00:00:00:08\", via: far")
        .replace("red:\n", "red:\n    limits: { bum: 5 }\n")
        .replace("device: eth2, mtu: 9000", "device: eth3, mtu: 9000")
        .replace("leaf, vni: 1 }", "leaf, vni: 3 }");
    let files = Files::new(&after);
    std::fs::write(files.at("old.yaml"), BEFORE).unwrap();
    let inner = wire::tenant_frame(mac(7), mac(1), 1);
    let ends = ([192, 0, 2, 9].into(), [192, 0, 2, 1].into());
    let packet = wire::udp(9, 4789, &wire::vxlan(1, &inner));
    files.capture("up.pcap", &[wire::outer(([2, 0, 0, 0, 0, 9], [2, 0, 0, 0, 0, 8]), ends, 0, 17, &packet)]);
    let (_, out, err) = files.diff(&["--in", "up=up.pcap"]);
    let because: Vec<_> = out.lines().filter(|line| line.contains("because")).collect();
    assert_eq!(because, ["    because attachment red/leaf: vni 1 -> 3"], "{out}{err}");
}

#[test]
fn the_order_of_the_file_changes_no_frame() {
    let (head, tenants) = OLD.split_once("tenants:\n").unwrap();
    let (red, blue) = tenants.split_once('\n').unwrap();
    let head = head.replace(
        "  up:     { device: eth1 }\n  access: { device: eth2 }\n",
        "  access: { device: eth2 }\n  up:     { device: eth1 }\n",
    );
    let files = Files::new(&format!("{head}tenants:\n{}\n{red}\n", blue.trim_end()));
    files.capture("up.pcap", &[frame_of_leaf(1), frame_of_leaf(2)]);
    let (code, out, _) = files.diff(&["--in", "up=up.pcap"]);
    assert_eq!(
        (code, out.as_str()),
        (Some(0), "the two files mean the same\n\n0 of 2 frames are handled differently\n")
    );
}

#[test]
fn json_is_the_same_as_data() {
    let files = Files::new(&OLD.replace("vni: 1", "vni: 3"));
    files.capture("up.pcap", &[frame_of_leaf(1)]);
    let (code, out, _) = files.diff(&["--json", "--in", "up=up.pcap"]);
    let found: Value = serde_json::from_str(&out).expect("it is JSON");
    assert_eq!(code, Some(0));
    let change = &found["changes"][0];
    assert_eq!((&change["thing"], &change["name"]), (&"attachment".into(), &"red/leaf".into()));
    assert_eq!(change["changed"]["vni"], serde_json::json!(["1", "3"]));
    let frame = &found["frames"]["changed"][0];
    assert_eq!((&frame["old"]["tenant"], &frame["new"]["dropped"][0]), (&"red".into(), &"unknown_segment".into()));
}

#[test]
fn a_wrong_file_or_port_is_exit_1() {
    assert_eq!(Files::new("version: 2").diff(&[]).0, Some(1));
    let files = Files::new(OLD);
    files.capture("up.pcap", &[]);
    let (code, _, err) = files.diff(&["--in", "nowhere=up.pcap"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("neither file has a port `nowhere`"), "{err}");
}

const MAPPED: &str = r#"
version: 1
ports:
  up:     { device: eth1 }
  access: { device: eth2 }
endpoints: { vtep: { address: 192.0.2.1, ports: [up] } }
peers:
  leaf: { address: 192.0.2.9, encap: vxlan }
  site: { address: 192.0.2.10, encap: gre }
mappings:
  wholesale: { from: { peer: leaf, vni: 0x1000-0x1fff }, to: { port: access, s_vid: "7", c_vid: "id[11:0]" } }
  gone:      { from: { peer: leaf, vni: 5 }, to: { peer: site, key: 5 } }
"#;

/// The differences between [`MAPPED`] and another, and the frames that are handled differently.
fn mapped(new: &str, frames: &[Vec<u8>]) -> String {
    let files = Files::new(new);
    std::fs::write(files.at("old.yaml"), MAPPED).unwrap();
    files.capture("up.pcap", frames);
    let (code, out, err) = files.diff(&["--in", "up=up.pcap"]);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    out
}

#[test]
fn mappings_differ_by_what_they_mean_and_frames_of_theirs_say_why() {
    let new = MAPPED
        .replace("0x1000-0x1fff", "0x1000-0x17ff")
        .replace("c_vid: \"id[11:0]\"", "c_vid: \"{id[0], id[11:1]}\"")
        .replace("gone: ", "here: ");
    let frames = [0x1003, 0x1802, 5, 0x1001].map(frame_of_leaf);
    let wholesale =
        "mapping wholesale: from vni 0x1000-0x1fff -> 0x1000-0x17ff, to c_vid id[11:0] -> {id[0], id[11:1]}";
    assert_eq!(
        mapped(&new, &frames),
        format!(
            "- mapping gone: from peer leaf, from inner_tags keep, from vni 0x5, to peer site, to inner_tags keep, to key 0x5\n\
             + mapping here: from peer leaf, from inner_tags keep, from vni 0x5, to peer site, to inner_tags keep, to key 0x5\n\
             ~ {wholesale}\n\
             \n4 of 4 frames are handled differently\n\
             frame 1 on up\n    \
                 was sent on access with s_vid 7, c_vid 3 (mapping wholesale)\n    \
                 now sent on access with s_vid 7, c_vid 2049 (mapping wholesale)\n    \
                 because {wholesale}\n\
             frame 2 on up\n    \
                 was sent on access with s_vid 7, c_vid 2050 (mapping wholesale)\n    \
                 now dropped: unknown_segment\n    \
                 because {wholesale}\n\
             frame 3 on up\n    \
                 was sent on up to site with key 0x5 (mapping gone)\n    \
                 now sent on up to site with key 0x5 (mapping here)\n    \
                 because mapping gone: is removed\n    \
                 because mapping here: is added\n\
             frame 4 on up\n    \
                 was sent on access with s_vid 7, c_vid 1 (mapping wholesale)\n    \
                 now sent on access with s_vid 7, c_vid 2048 (mapping wholesale)\n    \
                 because {wholesale}\n"
        )
    );
}

#[test]
fn mappings_that_are_only_spelt_otherwise_do_not_differ() {
    let same = MAPPED
        .replace("0x1000-0x1fff", "4096-8191")
        .replace("\"7\"", "0x7")
        .replace("\"id[11:0]\"", "\"{ id[11:0] }\"");
    assert!(mapped(&same, &[]).starts_with("the two files mean the same\n"));
}
