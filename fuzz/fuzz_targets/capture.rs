//! The capture reader: any file is a capture or an error, and what was read can be written and read again.
#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use transload::io::pcap::{Capture, CaptureWriter, Record};

/// The seconds of a pcap file's stamps are 32 bits.
const END_OF_TIME: u64 = (u32::MAX as u64) * 1_000_000_000 + 999_999_999;

fuzz_target!(|input: &[u8]| {
    let capture = match Capture::read("fuzzed", Cursor::new(input.to_vec())) {
        Ok(capture) => capture,
        Err(error) => return assert!(error.to_string().starts_with("fuzzed: ")),
    };
    let (mut records, mut broken) = (Vec::<Record>::new(), 0);
    for record in capture {
        match record {
            Ok(record) => records.push(record),
            Err(error) => {
                assert_eq!(error.packet, Some(records.len() as u64 + 1));
                assert!(!error.to_string().is_empty());
                broken += 1;
            }
        }
    }
    assert!(broken <= 1, "an error is the end");
    assert!(records.iter().map(|record| record.bytes.len()).sum::<usize>() <= input.len(), "bytes out of nowhere");
    if !records.is_empty() {
        written_again(&records);
    }
});

fn written_again(records: &[Record]) {
    let mut writer = CaptureWriter::new(Vec::new()).expect("memory can be written");
    for record in records {
        writer.write(record.stamp, &record.bytes).expect("memory can be written");
    }
    let file = writer.finish().expect("memory can be written");
    let again = Capture::read("again", Cursor::new(file)).expect("it is our own");
    let mut count = 0;
    for (before, after) in records.iter().zip(again) {
        let after = after.expect("it is our own");
        assert!(before.bytes == after.bytes);
        if before.stamp <= END_OF_TIME {
            assert_eq!(before.stamp, after.stamp);
        }
        count += 1;
    }
    assert_eq!(count, records.len());
}
