//! Every directory of `cases/`, and that a case which promises something wrong is found out.

use std::fs;
use std::path::Path;

use tempfile::TempDir;
use transload::io::pcap::{Capture, CaptureWriter, Record};
use transload_interop_tests::captures::{self, Case, Outcome};
use transload_lab::{need, skip};

#[test]
fn every_case_comes_to_what_it_says_and_dissectors_see_that() {
    let outcomes = captures::run_all(&captures::directory()).unwrap();
    let failed: Vec<_> = outcomes.iter().filter(|outcome| !outcome.faults.is_empty()).collect();
    let lines = failed.iter().map(|Outcome { case, faults, .. }| format!("{}: {}", case.name, faults.join("\n")));
    assert!(failed.is_empty(), "{} cases fail:\n{}", failed.len(), lines.collect::<Vec<_>>().join("\n"));
    if let Some(missing) = outcomes.iter().find_map(|outcome| outcome.skipped.as_ref()) {
        skip::say("captures: every case as tshark sees it", missing);
    }
}

#[test]
fn a_case_says_what_it_shows_where_that_is_written_and_who_made_its_frames() {
    for case in Case::all(&captures::directory()).unwrap() {
        assert!(case.shows.ends_with('.') && !case.section.is_empty(), "{}", case.name);
        assert!(case.makers.values().all(|maker| maker.contains("recipe cases_")), "{}", case.name);
    }
}

/// A copy of a case that tests may spoil.
struct Copy {
    directory: TempDir,
}

impl Copy {
    fn of(name: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        copy(&captures::directory().join(name), &directory.path().join(name));
        Self { directory }
    }

    fn spoil(&self, file: &str, change: impl FnOnce(String) -> String) {
        let path = fs::read_dir(self.directory.path()).unwrap().next().unwrap().unwrap().path().join(file);
        fs::write(&path, change(fs::read_to_string(&path).unwrap())).unwrap();
    }

    /// Why it fails.
    fn faults(&self) -> String {
        captures::run_all(self.directory.path()).unwrap().remove(0).faults.join("\n")
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

#[test]
fn a_frame_that_differs_in_one_byte_fails_its_case() {
    let copy = Copy::of("vxlan-to-qinq");
    assert_eq!(copy.faults(), "");
    let capture = copy.directory.path().join("vxlan-to-qinq/out/access.pcap");
    let records: Vec<Record> = Capture::open(&capture).unwrap().map(Result::unwrap).collect();
    let mut writer = CaptureWriter::create(&capture).unwrap();
    for (at, mut record) in records.into_iter().enumerate() {
        record.bytes[20] ^= u8::from(at == 1);
        writer.write(record.stamp, &record.bytes).unwrap();
    }
    writer.finish().unwrap();
    assert!(copy.faults().contains("access: frame 2 differs from byte 20 on"), "{}", copy.faults());
}

#[test]
fn a_drop_that_is_not_counted_fails_its_case() {
    let copy = Copy::of("gre-wrong-key");
    copy.spoil("out/summary.txt", |text| text.replace("dropped 2 unknown_segment", "dropped 1 unknown_segment"));
    assert!(copy.faults().contains("dropped 2 unknown_segment"), "{}", copy.faults());
}

#[test]
fn each_dissector_by_itself_fails_a_case_that_says_what_is_not_there() {
    need!(tshark);
    let copy = Copy::of("vxlan-to-nvgre");
    copy.spoil("out/up.txt", |text| text.replacen("key 0013ec", "key 0013ed", 1));
    let faults = copy.faults();
    assert!(faults.contains("pnet_packet sees at up") && faults.contains("tshark sees at up"), "{faults}");
}

#[test]
fn recording_writes_what_was_there_already() {
    need!(tshark);
    let copy = Copy::of("too-big");
    let case = Case::open(&copy.directory.path().join("too-big")).unwrap();
    let before = fs::read(case.file("out", "access", "pcap")).unwrap();
    fs::remove_dir_all(case.directory.join("out")).unwrap();
    let shown = captures::record(&case).unwrap();
    assert!(shown.contains("icmp 3/4 mtu 1450") && shown.contains("dropped 1 too_big_no_df"), "{shown}");
    assert_eq!(fs::read(case.file("out", "access", "pcap")).unwrap(), before);
    assert_eq!(copy.faults(), "");
}
