//! The blocks of a pcapng file: each interface with a link type, a clock and a frame check sequence of its own.

use std::io::Read;

use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketOption;
use pcap_file::pcapng::blocks::interface_description::{InterfaceDescriptionBlock, InterfaceDescriptionOption};
use pcap_file::pcapng::blocks::packet::PacketOption;
use pcap_file::pcapng::{Block, PcapNgReader};

use super::{CaptureFault, Record, ethernet, record};

/// The next packet block of a pcapng file; a simple one, which has no stamp, gets the last one's.
pub(super) fn next_record(
    reader: &mut PcapNgReader<Box<dyn Read>>,
    last_stamp: u64,
) -> Option<Result<Record, CaptureFault>> {
    loop {
        let found = match reader.next_block()? {
            Err(e) => Err(e.into()),
            Ok(Block::InterfaceDescription(interface)) => match ethernet(interface.linktype.into()) {
                Ok(()) => continue,
                Err(fault) => Err(fault),
            },
            Ok(Block::EnhancedPacket(packet)) => {
                let (id, units, len) = (packet.interface_id, packet.timestamp.as_nanos() as u64, packet.original_len);
                let flags = packet.options.iter().find_map(|option| match option {
                    EnhancedPacketOption::Flags(flags) => Some(*flags),
                    _ => None,
                });
                let bytes = packet.data.into_owned();
                interface(reader, id).and_then(|from| record(stamp(from, units), bytes, len, fcs_len(from, flags)))
            }
            Ok(Block::Packet(packet)) => {
                let (id, units, len) = (packet.interface_id.into(), packet.timestamp, packet.original_len);
                let flags = packet.options.iter().find_map(|option| match option {
                    PacketOption::Flags(flags) => Some(*flags),
                    _ => None,
                });
                let bytes = packet.data.into_owned();
                interface(reader, id).and_then(|from| record(stamp(from, units), bytes, len, fcs_len(from, flags)))
            }
            Ok(Block::SimplePacket(packet)) => {
                let (len, mut bytes) = (packet.original_len, packet.data.into_owned());
                interface(reader, 0).and_then(|from| {
                    // The block is padded to four bytes and says only how long the frame was on the wire.
                    let snaplen = if from.snaplen == 0 { u32::MAX } else { from.snaplen };
                    bytes.truncate(len.min(snaplen) as usize);
                    record(last_stamp, bytes, len, fcs_len(from, None))
                })
            }
            Ok(_) => continue,
        };
        return Some(found);
    }
}

fn interface(
    reader: &PcapNgReader<Box<dyn Read>>,
    id: u32,
) -> Result<&InterfaceDescriptionBlock<'static>, CaptureFault> {
    let found = reader.interfaces().get(id as usize);
    found.ok_or_else(|| CaptureFault::Broken(format!("there is no interface {id}")))
}

/// Nanoseconds since 1970 of a stamp in the interface's own units: by default microseconds, else 10 or 2 to the
/// power of `-if_tsresol` seconds (the highest bit says which), counted from `if_tsoffset`.
fn stamp(interface: &InterfaceDescriptionBlock<'_>, units: u64) -> u64 {
    let (mut resolution, mut offset) = (6, 0);
    for option in &interface.options {
        match option {
            InterfaceDescriptionOption::IfTsResol(value) => resolution = *value,
            InterfaceDescriptionOption::IfTsOffset(seconds) => offset = seconds.cast_signed(),
            _ => {}
        }
    }
    let per_second = match resolution {
        power @ 0..=0x7f => 10_u128.checked_pow(power.into()),
        power => 2_u128.checked_pow(u32::from(power & 0x7f)),
    };
    let nanos = per_second.map_or(0, |per_second| u128::from(units) * 1_000_000_000 / per_second);
    let nanos = i128::try_from(nanos).unwrap_or(i128::MAX).saturating_add(i128::from(offset) * 1_000_000_000);
    u64::try_from(nanos.max(0)).unwrap_or(u64::MAX)
}

/// The length of a packet's frame check sequence in bytes: by the packet's own flags, where they say (bits 5 to 8), else
/// by the interface's `if_fcslen`. That is in bits, but its example is "4", and some write bytes: no frame check sequence
/// has 8 bits or fewer, and none more than 8 bytes.
fn fcs_len(interface: &InterfaceDescriptionBlock<'_>, flags: Option<u32>) -> u8 {
    let of_packet = flags.map_or(0, |flags| (flags >> 5 & 0xf) as u8);
    if of_packet > 0 {
        return of_packet;
    }
    let of_interface = interface.options.iter().find_map(|option| match option {
        InterfaceDescriptionOption::IfFcsLen(len) => Some(*len),
        _ => None,
    });
    match of_interface.unwrap_or(0) {
        bytes @ 0..=8 => bytes,
        bits => bits / 8,
    }
}
