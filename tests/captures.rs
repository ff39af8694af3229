//! Captures as other tools write them, and as they come broken.

use std::borrow::Cow;
use std::io::Cursor;
use std::time::Duration;

use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::{InterfaceDescriptionBlock, InterfaceDescriptionOption};
use pcap_file::pcapng::blocks::simple_packet::SimplePacketBlock;
use pcap_file::{DataLink, pcapng::PcapNgBlock};
use proptest::prelude::*;
use transload::io::pcap::{Capture, CaptureError, CaptureFault, CaptureWriter, Record};

const SECOND: u64 = 1_000_000_000;

fn read(bytes: Vec<u8>) -> Result<Vec<Record>, CaptureError> {
    Capture::read("test.pcap", Cursor::new(bytes))?.collect()
}

/// A pcap file by hand: little-endian, this magic, snapshot length and link type, and one packet of `captured`
/// bytes that had `original` on the wire.
fn pcap(magic: u32, snaplen: u32, link: u32, fraction: u32, captured: u32, original: u32) -> Vec<u8> {
    let mut file = Vec::new();
    for word in [magic, 0x0004_0002, 0, 0, snaplen, link, 7, fraction, captured, original] {
        file.extend(word.to_le_bytes());
    }
    file.extend(vec![0xab; captured as usize]);
    file
}

#[test]
fn what_is_written_is_read_back_to_the_nanosecond() {
    let mut writer = CaptureWriter::new(Vec::new()).unwrap();
    writer.write(1_700_000_000 * SECOND + 123_456_789, &[1; 60]).unwrap();
    writer.write(1_700_000_001 * SECOND, &[2; 9014]).unwrap();
    let records = read(writer.finish().unwrap()).unwrap();
    assert_eq!(
        records[0],
        Record { stamp: 1_700_000_000 * SECOND + 123_456_789, bytes: vec![1; 60], original_len: 60, fcs_len: 0 }
    );
    assert_eq!((records[1].stamp, records[1].bytes.len()), (1_700_000_001 * SECOND, 9014));
    assert!(!records[1].is_cut());
}

#[test]
fn microsecond_and_nanosecond_files_are_told_apart() {
    let micro = read(pcap(0xa1b2_c3d4, 65_535, 1, 5, 60, 60)).unwrap();
    let nano = read(pcap(0xa1b2_3c4d, 65_535, 1, 5, 60, 60)).unwrap();
    assert_eq!((micro[0].stamp, nano[0].stamp), (7 * SECOND + 5_000, 7 * SECOND + 5));
}

#[test]
fn a_frame_that_the_snapshot_length_cut_says_so() {
    let records = read(pcap(0xa1b2_c3d4, 96, 1, 0, 96, 1514)).unwrap();
    assert_eq!((records[0].bytes.len(), records[0].original_len, records[0].is_cut()), (96, 1514, true));
}

#[test]
fn a_file_that_ends_inside_a_packet_names_file_and_packet() {
    let mut file = pcap(0xa1b2_c3d4, 65_535, 1, 0, 60, 60);
    file.extend(&pcap(0xa1b2_c3d4, 65_535, 1, 0, 60, 60)[24..]);
    for cut in 1..76 {
        let whole = file.len();
        let error = read(file[..whole - cut].to_vec()).unwrap_err();
        assert!(matches!(error.fault, CaptureFault::Truncated), "{error}");
        assert_eq!(error.packet, Some(2));
        assert!(error.to_string().starts_with("test.pcap: packet 2: "), "{error}");
    }
}

#[test]
fn the_records_before_a_fault_are_read_and_none_after() {
    let mut file = pcap(0xa1b2_c3d4, 65_535, 1, 0, 60, 60);
    file.extend([1, 2, 3]);
    let mut capture = Capture::read("x", Cursor::new(file)).unwrap();
    assert!(capture.next().unwrap().is_ok());
    assert!(capture.next().unwrap().is_err());
    assert!(capture.next().is_none());
}

#[test]
fn another_link_type_is_refused_by_its_number() {
    let error = read(pcap(0xa1b2_c3d4, 65_535, 101, 0, 60, 60)).unwrap_err();
    assert!(matches!(error.fault, CaptureFault::LinkType(101)));
    assert!(error.to_string().contains("101"), "{error}");
}

#[test]
fn a_frame_check_sequence_that_the_link_type_field_tells_of_is_cut_off() {
    let link = |bits: u32, captured, original| {
        let record = read(pcap(0xa1b2_c3d4, 65_535, 1 | bits, 0, captured, original)).unwrap().remove(0);
        (record.bytes.len(), record.original_len, record.fcs_len)
    };
    let known = 1 << 26;
    assert_eq!(link(2 << 28 | known, 64, 64), (60, 60, 4));
    assert_eq!(link(2 << 28 | known, 62, 64), (60, 60, 4), "the snapshot length cut nothing but the sequence");
    assert_eq!(link(2 << 28 | known, 50, 64), (50, 60, 4));
    assert_eq!(link(known, 64, 64), (64, 64, 0));
    assert_eq!(link(2 << 28, 64, 64), (64, 64, 0), "without the flag the length means nothing");
    assert_eq!(link(1 << 16 | 1 << 25 | 1 << 27, 64, 64), (64, 64, 0), "reserved bits are ignored");
    assert_eq!(link(2 << 28 | known, 3, 3), (0, 0, 4));
    let other = read(pcap(0xa1b2_c3d4, 65_535, 0x65 | 2 << 28 | known, 0, 60, 60)).unwrap_err();
    assert!(matches!(other.fault, CaptureFault::LinkType(101)), "{other}");
}

#[test]
fn what_is_no_capture_is_refused() {
    for bytes in [b"version: 1\nports: {}\n# a configuration, not a capture".to_vec(), vec![0; 64]] {
        assert!(matches!(read(bytes).unwrap_err().fault, CaptureFault::NotACapture));
    }
    for len in 0..24 {
        let file = pcap(0xa1b2_c3d4, 65_535, 1, 0, 60, 60)[..len].to_vec();
        assert!(matches!(read(file).unwrap_err().fault, CaptureFault::Truncated));
    }
}

#[test]
fn lengths_that_lie_are_a_broken_capture() {
    let more_than_there_was = read(pcap(0xa1b2_c3d4, 65_535, 1, 0, 60, 59)).unwrap_err();
    assert!(matches!(more_than_there_was.fault, CaptureFault::Broken(_)));
    let half_a_minute_behind_the_point = read(pcap(0xa1b2_c3d4, 65_535, 1, 30_000_000, 60, 60)).unwrap_err();
    assert!(matches!(half_a_minute_behind_the_point.fault, CaptureFault::Broken(_)));
    let longer_than_any = read(pcap(0xa1b2_c3d4, 65_535, 1, 0, 300_000, 300_000)).unwrap_err();
    assert!(matches!(longer_than_any.fault, CaptureFault::Broken(_)));
}

#[test]
fn a_file_that_does_not_exist_is_named() {
    let error = Capture::open("/nonexistent/in.pcap".as_ref()).err().unwrap();
    assert!(error.to_string().starts_with("/nonexistent/in.pcap: "), "{error}");
}

fn interface(link: DataLink, options: Vec<InterfaceDescriptionOption<'static>>) -> InterfaceDescriptionBlock<'static> {
    InterfaceDescriptionBlock { linktype: link, snaplen: 65_535, options }
}

fn enhanced(interface_id: u32, units: u64, bytes: &[u8]) -> EnhancedPacketBlock<'static> {
    EnhancedPacketBlock {
        interface_id,
        timestamp: Duration::from_nanos(units),
        original_len: bytes.len() as u32,
        data: Cow::Owned(bytes.to_vec()),
        options: vec![],
    }
}

fn pcapng<'a>(blocks: impl IntoIterator<Item = pcap_file::pcapng::Block<'a>>) -> Vec<u8> {
    let mut writer = PcapNgWriter::new(Vec::new()).unwrap();
    for block in blocks {
        writer.write_block(&block).unwrap();
    }
    writer.into_inner()
}

#[test]
fn each_interface_of_a_pcapng_file_has_its_own_clock() {
    use InterfaceDescriptionOption::{IfTsOffset, IfTsResol};
    let records = read(pcapng([
        interface(DataLink::ETHERNET, vec![]).into_block(),
        interface(DataLink::ETHERNET, vec![IfTsResol(9)]).into_block(),
        interface(DataLink::ETHERNET, vec![IfTsResol(0x8a), IfTsOffset(100)]).into_block(),
        enhanced(0, 5_000_001, &[1; 60]).into_block(),
        enhanced(1, 5_000_000_001, &[2; 61]).into_block(),
        enhanced(2, 5 * 1024 + 512, &[3; 62]).into_block(),
    ]))
    .unwrap();
    let stamps: Vec<_> = records.iter().map(|record| record.stamp).collect();
    assert_eq!(stamps, [5 * SECOND + 1_000, 5 * SECOND + 1, 105 * SECOND + SECOND / 2]);
    assert_eq!(records.iter().map(|record| record.bytes.len()).collect::<Vec<_>>(), [60, 61, 62]);
}

#[test]
fn a_simple_packet_loses_its_padding_and_takes_the_last_stamp() {
    let simple = SimplePacketBlock { original_len: 61, data: Cow::Owned(vec![9; 61]) };
    let records = read(pcapng([
        interface(DataLink::ETHERNET, vec![]).into_block(),
        enhanced(0, 3_000_000, &[1; 60]).into_block(),
        simple.into_block(),
    ]))
    .unwrap();
    assert_eq!(records[1], Record { stamp: 3 * SECOND, bytes: vec![9; 61], original_len: 61, fcs_len: 0 });
}

#[test]
fn a_frame_check_sequence_of_an_interface_or_of_one_packet_is_cut_off() {
    use InterfaceDescriptionOption::IfFcsLen;
    let with_flags = |id, flags| {
        let options = vec![EnhancedPacketOption::Flags(flags)];
        EnhancedPacketBlock { options, ..enhanced(id, 1, &[1; 64]) }.into_block()
    };
    let records = read(pcapng([
        interface(DataLink::ETHERNET, vec![IfFcsLen(32)]).into_block(),
        interface(DataLink::ETHERNET, vec![IfFcsLen(4)]).into_block(),
        interface(DataLink::ETHERNET, vec![]).into_block(),
        enhanced(0, 1, &[1; 64]).into_block(),
        enhanced(1, 1, &[1; 64]).into_block(),
        enhanced(2, 1, &[1; 64]).into_block(),
        with_flags(2, 4 << 5 | 1),
        with_flags(0, 1),
    ]))
    .unwrap();
    let lengths: Vec<_> = records.iter().map(|record| (record.bytes.len(), record.fcs_len)).collect();
    assert_eq!(lengths, [(60, 4), (60, 4), (64, 0), (60, 4), (60, 4)]);
    assert!(records.iter().all(|record| !record.is_cut()));
}

#[test]
fn a_pcapng_file_of_another_link_type_is_refused() {
    let error = read(pcapng([interface(DataLink::RAW, vec![]).into_block(), enhanced(0, 0, &[0x45; 60]).into_block()]));
    assert!(matches!(error.unwrap_err().fault, CaptureFault::LinkType(_)));
}

#[test]
fn a_packet_of_no_interface_is_a_broken_capture() {
    let mut file = pcapng([interface(DataLink::ETHERNET, vec![]).into_block(), enhanced(0, 0, &[1; 60]).into_block()]);
    // Behind the section header (28 bytes), the interface (20), and the packet's block type and length.
    file[56..60].copy_from_slice(&5_u32.to_ne_bytes());
    let error = read(file).unwrap_err();
    assert!(error.to_string().contains("no interface 5"), "{error}");
}

#[test]
fn a_pcapng_file_cut_anywhere_is_truncated_or_ends_between_packets() {
    let file = pcapng([interface(DataLink::ETHERNET, vec![]).into_block(), enhanced(0, 0, &[1; 60]).into_block()]);
    for len in 0..file.len() {
        match read(file[..len].to_vec()) {
            Ok(records) => assert!(records.is_empty(), "a whole record of {len} bytes of file"),
            Err(error) => assert!(matches!(error.fault, CaptureFault::Truncated), "at {len}: {error}"),
        }
    }
}

proptest! {
    #[test]
    fn no_damage_to_a_capture_panics(
        is_pcapng in any::<bool>(),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        kinds in proptest::collection::vec(1..10_u8, 3),
    ) {
        use InterfaceDescriptionOption::{IfTsOffset, IfTsResol};
        let mut file = if is_pcapng {
            let options = vec![IfTsResol(9), IfTsOffset(7)];
            let packet = || enhanced(0, 1, &[1; 60]).into_block();
            let mut file = pcapng([interface(DataLink::ETHERNET, options).into_block(), packet(), packet(), packet()]);
            // Blocks of other kinds, with bodies that are not theirs; the packets' are 92 bytes each, at the end.
            let first = file.len() - 3 * 92;
            for (block, kind) in kinds.iter().enumerate() {
                file[first + block * 92] = *kind;
            }
            file
        } else {
            pcap(0xa1b2_c3d4, 65_535, 1, 0, 60, 60)
        };
        for (at, byte) in damage {
            let at = at.index(file.len());
            file[at] = byte;
        }
        let _ = read(file);
    }
}
