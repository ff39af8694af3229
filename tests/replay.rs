//! `transload replay` as a user runs it: captures in, captures and a summary out, and nothing at all on bad input.

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use serde_json::Value;
use tempfile::TempDir;
use transload::io::pcap::{Capture, CaptureWriter, Record};

#[path = "common/wire.rs"]
#[expect(dead_code, unreachable_pub, reason = "every test binary uses its own part of this")]
mod wire;

use wire::{BROADCAST, mac};

const YAML: &str = r"
version: 1
ports:
  up:     { device: not-there }
  access: { device: nor-there }
endpoints:
  fabric: { address: 192.0.2.1, ports: [up] }
peers:
  leaf: { address: 192.0.2.9, encap: vxlan }
tenants:
  blue:
    ageing: 10s
    attachments:
      leaf: { peer: leaf, vni: 100 }
      ce:   { port: access, s_vid: 7 }
";

struct Case {
    dir: TempDir,
}

impl Case {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        fs::write(dir.path().join("gateway.yaml"), YAML).unwrap();
        Self { dir }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    fn capture(&self, name: &str, frames: &[(u64, Vec<u8>)]) {
        let mut writer = CaptureWriter::create(&self.path(name)).unwrap();
        for (stamp, frame) in frames {
            writer.write(*stamp, frame).unwrap();
        }
        writer.finish().unwrap();
    }

    fn replay(&self, inputs: &[&str], out: &str) -> std::process::Output {
        let mut command = Command::cargo_bin("transload").unwrap();
        command.current_dir(self.dir.path()).args(["replay", "gateway.yaml", "--out", out]);
        for input in inputs {
            command.args(["--in", input]);
        }
        command.output().unwrap()
    }
}

fn records(path: &Path) -> Vec<Record> {
    Capture::open(path).unwrap().map(Result::unwrap).collect()
}

fn from_leaf(frame: &[u8]) -> Vec<u8> {
    let ends = ("192.0.2.9".parse().unwrap(), "192.0.2.1".parse().unwrap());
    wire::outer((mac(0xaa), mac(0xbb)), ends, 0, 17, &wire::udp(50_000, 4789, &wire::vxlan(100, frame)))
}

fn summary(output: &std::process::Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The row of a port.
fn port<'s>(summary: &'s Value, name: &str) -> &'s Value {
    summary["ports"].as_array().unwrap().iter().find(|row| row["port"] == name).unwrap()
}

/// The reasons for drops, and how many frames.
fn drops(summary: &Value) -> Vec<(&str, u64)> {
    let rows = summary["drops"].as_array().unwrap().iter();
    rows.map(|row| (row["reason"].as_str().unwrap(), row["dropped"].as_u64().unwrap())).collect()
}

#[test]
fn frames_cross_at_the_time_they_came_and_the_summary_counts_them() {
    let case = Case::new();
    let hello = wire::tenant_frame(BROADCAST, mac(1), 0);
    let answer = wire::tenant_frame(mac(1), mac(2), 0);
    case.capture("up.pcap", &[(5_000_000_001, from_leaf(&hello)), (7_000_000_000, vec![0; 60])]);
    case.capture("access.pcap", &[(6_000_000_007, wire::tag(&answer, 0x88a8, 7))]);
    let output = case.replay(&["up=up.pcap", "access=access.pcap"], "out");
    let summary = summary(&output);
    let (up, access) = (port(&summary, "up"), port(&summary, "access"));
    assert_eq!((&up["rx_frames"], &up["tx_frames"], &access["tx_frames"]), (&2.into(), &1.into(), &1.into()));
    assert_eq!(drops(&summary), [("not_for_us", 1)]);
    let known = summary["fdb"].as_array().unwrap().iter();
    let known: Vec<_> = known.map(|row| (row["via"].as_str().unwrap(), row["age"].as_u64().unwrap())).collect();
    assert_eq!(known, [("leaf", 2), ("access", 1)], "aged by the captures' clock, which ends at 7 s");

    let access = records(&case.path("out/access.pcap"));
    assert_eq!((access[0].stamp, &access[0].bytes), (5_000_000_001, &wire::tag(&hello, 0x88a8, 7)));
    let up = records(&case.path("out/up.pcap"));
    assert_eq!(up[0].stamp, 6_000_000_007);
    assert_eq!(up[0].bytes[50..], answer);
    assert_ne!(up[0].bytes[..6], up[0].bytes[6..12], "two different placeholders");
}

#[test]
fn two_runs_are_bit_identical() {
    let case = Case::new();
    let frames: Vec<_> = (0..200_u16)
        .map(|n| (u64::from(n) * 1_000, from_leaf(&wire::tenant_frame(BROADCAST, mac(n as u8 | 1), n))))
        .collect();
    case.capture("up.pcap", &frames);
    let (first, second) = (case.replay(&["up=up.pcap"], "one"), case.replay(&["up=up.pcap"], "two"));
    assert_eq!(first.stdout, second.stdout);
    assert_eq!(fs::read(case.path("one/access.pcap")).unwrap(), fs::read(case.path("two/access.pcap")).unwrap());
}

#[test]
fn time_is_that_of_the_captures_and_never_runs_backwards() {
    let case = Case::new();
    let second = 1_000_000_000;
    let known = wire::tag(&wire::tenant_frame(mac(1), mac(2), 0), 0x88a8, 7);
    case.capture("up.pcap", &[(100 * second, from_leaf(&wire::tenant_frame(BROADCAST, mac(1), 0)))]);
    case.capture("access.pcap", &[(105 * second, known.clone()), (50 * second, known.clone()), (120 * second, known)]);
    let output = case.replay(&["up=up.pcap", "access=access.pcap"], "out");
    assert_eq!(summary(&output)["fdb"].as_array().unwrap().len(), 1, "MAC 1 has aged, MAC 2 has not");
    let stamps: Vec<_> = records(&case.path("out/up.pcap")).iter().map(|record| record.stamp / second).collect();
    assert_eq!(stamps, [105, 105, 120]);
}

/// The frame with its outer UDP checksum (IPv4, no options) as Linux leaves it to a device, plus `wrong`.
fn left_to_the_device(mut frame: Vec<u8>, wrong: u16) -> Vec<u8> {
    let pseudo = !wire::sum(&[&frame[26..34], &[0, 17], &frame[38..40]]);
    frame[40..42].copy_from_slice(&(pseudo + wrong).to_be_bytes());
    frame
}

#[test]
fn a_checksum_that_a_device_was_to_fill_in_drops_nothing_and_a_wrong_one_does() {
    let case = Case::new();
    let plain = from_leaf(&wire::tenant_frame(BROADCAST, mac(1), 0));
    case.capture("up.pcap", &[(1, left_to_the_device(plain.clone(), 0)), (2, left_to_the_device(plain, 1))]);
    let output = case.replay(&["up=up.pcap"], "out");
    let found = summary(&output);
    assert_eq!(port(&found, "access")["tx_frames"], 1);
    assert_eq!(drops(&found), [("udp_checksum", 1)]);
    assert_eq!(found["captured"]["unfinished"], 1);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("1 frame was captured before its sender's device had filled in the checksum"), "{told}");
}

/// A tenant's TCP segment whose checksum is left to a device, and the same with it filled in.
fn segment(payload: usize) -> (Vec<u8>, Vec<u8>) {
    let (src, dst) = ([10, 0, 0, 1], [10, 0, 0, 2]);
    let mut tcp =
        [&[0x13, 0x88, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x10, 1, 0, 0, 0, 0, 0][..], &vec![7; payload]].concat();
    let length = (tcp.len() as u16).to_be_bytes();
    let frame =
        |tcp: &[u8]| wire::ethernet(BROADCAST, mac(1), wire::IPV4, &wire::ipv4(src.into(), dst.into(), 0, 6, tcp));
    let right = wire::sum(&[&src, &dst, &[0, 6], &length, &tcp]);
    tcp[16..18].copy_from_slice(&(!wire::sum(&[&src, &dst, &[0, 6], &length])).to_be_bytes());
    let left = frame(&tcp);
    tcp[16..18].copy_from_slice(&right.to_be_bytes());
    (left, frame(&tcp))
}

#[test]
fn a_tenants_unfinished_checksum_is_filled_in_where_the_frame_leaves() {
    let case = Case::new();
    let (left, filled) = segment(100);
    let mut packet = from_leaf(&left);
    // The outer checksum is the one that is right once the inner one is.
    let finished = from_leaf(&filled);
    let outer = wire::sum(&[&finished[26..34], &[0, 17], &finished[38..40], &finished[34..]]);
    packet[40..42].copy_from_slice(&outer.to_be_bytes());
    let mut wrong = packet.clone();
    wrong[41] ^= 1;
    case.capture("up.pcap", &[(1, packet), (2, wrong)]);
    let found = summary(&case.replay(&["up=up.pcap"], "out"));
    assert_eq!(drops(&found), [("udp_checksum", 1)]);
    let access = records(&case.path("out/access.pcap"));
    assert_eq!((access.len(), &access[0].bytes), (1, &wire::tag(&filled, 0x88a8, 7)));
}

#[test]
fn a_peer_on_a_port_of_its_own_is_known_by_its_address_and_other_datagrams_stay_closed() {
    let case = Case::new();
    let moved = YAML.replace("encap: vxlan", "encap: { vxlan: { udp_port: 9999 } }");
    fs::write(case.path("gateway.yaml"), moved).unwrap();
    let (left, filled) = segment(100);
    let to = |port: u16| {
        let mut packet = from_leaf(&left);
        packet[36..38].copy_from_slice(&port.to_be_bytes());
        packet
    };
    case.capture("up.pcap", &[(1, to(9999)), (2, to(9998))]);
    let found = summary(&case.replay(&["up=up.pcap"], "out"));
    assert_eq!(found["captured"]["unfinished"], 1, "the other one is no tunnel packet");
    let access = records(&case.path("out/access.pcap"));
    assert_eq!((access.len(), &access[0].bytes), (1, &wire::tag(&filled, 0x88a8, 7)));
}

#[test]
fn a_captured_super_frame_leaves_in_segments() {
    let case = Case::new();
    let (left, _) = segment(4_000);
    case.capture("up.pcap", &[(1, left_to_the_device(from_leaf(&left), 0))]);
    let found = summary(&case.replay(&["up=up.pcap"], "out"));
    assert_eq!((&found["captured"]["super_frames"], drops(&found)), (&1.into(), vec![]));
    // 1500 less the headers of the underlay, VXLAN and the tenant.
    let lengths: Vec<_> =
        records(&case.path("out/access.pcap")).iter().map(|record| record.bytes.len() - 4 - 54).collect();
    assert_eq!(lengths, [1410, 1410, 1180]);
}

/// The packet with its IPv4 header checksum as senders leave it to a card that fills it in.
fn without_ip_checksum(mut packet: Vec<u8>) -> Vec<u8> {
    packet[24..26].fill(0);
    packet
}

#[test]
fn an_ip_checksum_that_a_device_was_to_fill_in_drops_nothing_and_a_wrong_one_does() {
    let case = Case::new();
    let hello = wire::tenant_frame(BROADCAST, mac(1), 0);
    let mut wrong = from_leaf(&hello);
    wrong[25] ^= 1;
    case.capture("up.pcap", &[(1, without_ip_checksum(from_leaf(&hello))), (2, wrong)]);
    let output = case.replay(&["up=up.pcap"], "out");
    let found = summary(&output);
    assert_eq!((drops(&found), &found["captured"]["unfinished"]), (vec![("bad_ip_checksum", 1)], &1.into()));
    assert_eq!(records(&case.path("out/access.pcap"))[0].bytes, wire::tag(&hello, 0x88a8, 7));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("1 frame was captured before its sender's device had filled in the checksum"), "{told}");
    let explained = Command::cargo_bin("transload")
        .unwrap()
        .current_dir(case.dir.path())
        .args(["explain", "gateway.yaml", "--port", "up", "--pcap", "up.pcap", "--packet", "1"])
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&explained.stdout).starts_with("sent: tenant blue"), "{explained:?}");
    assert!(String::from_utf8_lossy(&explained.stderr).contains("had filled in the checksum"), "{explained:?}");
}

#[test]
fn a_super_frame_whose_device_was_to_fill_in_lengths_and_all_checksums_leaves_in_segments() {
    let case = Case::new();
    let (mut left, _) = segment(4_000);
    left[16..18].fill(0);
    left[24..26].fill(0);
    let mut packet = without_ip_checksum(from_leaf(&left));
    packet[16..18].fill(0);
    packet[38..40].fill(0);
    case.capture("up.pcap", &[(1, packet)]);
    let found = summary(&case.replay(&["up=up.pcap"], "out"));
    assert_eq!((&found["captured"]["super_frames"], drops(&found)), (&1.into(), vec![]));
    let sent = records(&case.path("out/access.pcap"));
    assert_eq!(sent.iter().map(|record| record.bytes.len() - 4 - 54).collect::<Vec<_>>(), [1410, 1410, 1180]);
}

#[test]
fn a_super_frame_that_no_port_takes_is_dropped_by_its_name_and_said_to_be_too_long() {
    let case = Case::new();
    // The longest frame that a port takes may still be more IP than a header can tell.
    for len in [65_520, 65_600, 70_000] {
        let mut packet = from_leaf(&wire::tenant_frame(BROADCAST, mac(1), 0));
        packet.resize(len, 0);
        packet[16..18].fill(0);
        packet[38..40].fill(0);
        packet[24..26].fill(0);
        let sum = wire::sum(&[&packet[14..34]]);
        packet[24..26].copy_from_slice(&sum.to_be_bytes());
        case.capture("up.pcap", &[(1, packet)]);
        let output = case.replay(&["up=up.pcap"], "out");
        let found = summary(&output);
        let is_too_long = len > 65_535 + 14;
        assert_eq!(found["captured"]["too_long"], u64::from(is_too_long), "{len}");
        let expected = if is_too_long { vec![("super_frame_too_long", 1)] } else { Vec::new() };
        assert_eq!(drops(&found), expected, "{len}");
        assert_eq!(port(&found, "up")["rx_frames"], 1, "{len}");
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(told.contains("1 frame is a super-frame longer than a port takes"), is_too_long, "{told}");
    }
    let explained = Command::cargo_bin("transload")
        .unwrap()
        .current_dir(case.dir.path())
        .args(["explain", "gateway.yaml", "--port", "up", "--pcap", "up.pcap", "--packet", "1"])
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&explained.stdout).starts_with("dropped (super_frame_too_long)"), "{explained:?}");
    assert!(String::from_utf8_lossy(&explained.stderr).contains("longer than a port takes"), "{explained:?}");
}

#[test]
fn a_frame_check_sequence_is_cut_off_and_remarked_on() {
    let case = Case::new();
    let tagged = wire::tag(&wire::tenant_frame(BROADCAST, mac(1), 0), 0x88a8, 7);
    case.capture("access.pcap", &[(1, [&tagged[..], &[0xde, 0xad, 0xbe, 0xef]].concat())]);
    let mut file = fs::read(case.path("access.pcap")).unwrap();
    file[23] = 0x24;
    fs::write(case.path("access.pcap"), file).unwrap();
    let output = case.replay(&["access=access.pcap"], "out");
    assert_eq!(summary(&output)["captured"]["fcs"], 1);
    assert_eq!(
        records(&case.path("out/up.pcap"))[0].bytes[50..],
        tagged[..12].iter().chain(&tagged[16..]).copied().collect::<Vec<_>>()
    );
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("1 frame was captured with its frame check sequence"), "{told}");
}

#[test]
fn what_the_gateway_itself_had_sent_is_counted_apart() {
    let case = Case::new();
    let ends = ("192.0.2.1".parse().unwrap(), "192.0.2.9".parse().unwrap());
    let inner = wire::tenant_frame(BROADCAST, mac(1), 0);
    let ours = wire::outer((mac(0xbb), mac(0xaa)), ends, 0, 17, &wire::udp(50_000, 4789, &wire::vxlan(100, &inner)));
    case.capture("up.pcap", &[(1, ours)]);
    let found = summary(&case.replay(&["up=up.pcap"], "out"));
    assert_eq!((&found["captured"]["leaving"], drops(&found)), (&1.into(), vec![]));
    let explained = Command::cargo_bin("transload")
        .unwrap()
        .current_dir(case.dir.path())
        .args(["explain", "gateway.yaml", "--port", "up", "--pcap", "up.pcap", "--packet", "1"])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&explained.stdout);
    assert!(told.contains("this packet is leaving: its source is our endpoint fabric (192.0.2.1)"), "{told}");
}

#[test]
fn a_port_that_sent_nothing_has_no_file_not_even_an_old_one() {
    let case = Case::new();
    fs::create_dir(case.path("out")).unwrap();
    fs::write(case.path("out/up.pcap"), "old").unwrap();
    case.capture("up.pcap", &[(1, vec![0; 60])]);
    summary(&case.replay(&["up=up.pcap"], "out"));
    assert_eq!(fs::read_dir(case.path("out")).unwrap().count(), 0);
}

#[test]
fn a_broken_capture_is_an_error_before_anything_is_written() {
    let case = Case::new();
    case.capture("good.pcap", &[(1, from_leaf(&wire::tenant_frame(BROADCAST, mac(1), 0)))]);
    let whole = fs::read(case.path("good.pcap")).unwrap();
    fs::write(case.path("cut.pcap"), &whole[..whole.len() - 3]).unwrap();
    let mut other = whole;
    other[20] = 101;
    fs::write(case.path("raw-ip.pcap"), other).unwrap();
    fs::write(case.path("text.pcap"), "not a capture").unwrap();
    for broken in ["cut.pcap", "raw-ip.pcap", "text.pcap", "missing.pcap"] {
        let output = case.replay(&["up=good.pcap", &format!("access={broken}")], "out");
        assert_eq!(output.status.code(), Some(1), "{broken}");
        assert!(String::from_utf8_lossy(&output.stderr).contains(broken), "{broken} is not named");
        assert!(output.stdout.is_empty() && !case.path("out").exists(), "{broken} left something behind");
    }
}

#[test]
fn a_replay_never_overwrites_what_it_reads() {
    let case = Case::new();
    let frames = [(1, from_leaf(&wire::tenant_frame(BROADCAST, mac(1), 0)))];
    case.capture("up.pcap", &frames);
    let output = case.replay(&["up=up.pcap"], ".");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(records(&case.path("up.pcap")).len(), 1);
}

#[test]
fn a_port_that_is_not_there_is_an_error_and_a_word_that_is_no_port_a_wrong_command() {
    let case = Case::new();
    case.capture("up.pcap", &[]);
    let output = case.replay(&["upp=up.pcap"], "out");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("up, access"));
    assert_eq!(case.replay(&["up.pcap"], "out").status.code(), Some(2));
}
