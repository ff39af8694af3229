//! Writing pcapng in parts, for whoever sends it on while frames still come.
//!
//! An interface for each place where frames are seen. What ties the sightings of one frame together is `epb_packetid`
//! (draft-ietf-opsawg-pcapng §4.3); what is known about it beyond its bytes is a comment, which needs no enterprise number.
//! The crate that writes all else does not know that option. Numbers are big-endian: that is how it writes the two words of
//! a statistics block's time in their right order.

use std::borrow::Cow;

use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::interface_description::{InterfaceDescriptionBlock, InterfaceDescriptionOption};
use pcap_file::pcapng::blocks::interface_statistics::{InterfaceStatisticsBlock, InterfaceStatisticsOption};
use pcap_file::pcapng::blocks::section_header::{SectionHeaderBlock, SectionHeaderOption};
use pcap_file::{DataLink, Endianness, PcapResult};

/// The type of a block with a frame.
const ENHANCED_PACKET: u32 = 6;
/// Its options: `opt_comment`, `epb_flags`, `epb_packetid`, and what ends them.
const COMMENT: u16 = 1;
const FLAGS: u16 = 2;
const PACKET_ID: u16 = 5;
const END_OF_OPTIONS: u16 = 0;
/// Nanoseconds, as `if_tsresol` has it: ten to the power of minus this.
const RESOLUTION: u8 = 9;

/// Which way a frame goes at an interface, as `epb_flags` has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum PacketDirection {
    /// Neither in nor out.
    Inside = 0,
    /// In.
    In = 1,
    /// Out.
    Out = 2,
}

/// A frame as it was seen at an interface.
#[derive(Debug, Clone, Copy)]
pub struct SeenPacket<'a> {
    /// The interface's number: the how manieth it is, from 0.
    pub interface: u32,
    /// When, in nanoseconds since 1970.
    pub at: u64,
    /// The frame's number, the same wherever it is seen.
    pub id: u64,
    /// Which way it goes.
    pub direction: PacketDirection,
    /// Its first bytes.
    pub bytes: &'a [u8],
    /// How many it has.
    pub len: u32,
    /// What else is known.
    pub comment: &'a str,
}

/// What has been written and not yet been taken.
pub struct PcapngParts(PcapNgWriter<Vec<u8>>);

impl PcapngParts {
    /// A file that this program writes.
    ///
    /// # Errors
    /// None that memory could have.
    pub fn new(application: &str) -> PcapResult<Self> {
        let options = vec![SectionHeaderOption::UserApplication(Cow::Owned(application.to_owned()))];
        let section = SectionHeaderBlock { endianness: Endianness::Big, options, ..SectionHeaderBlock::default() };
        Ok(Self(PcapNgWriter::with_section_header(Vec::new(), section)?))
    }

    /// One more interface.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn interface(&mut self, name: &str, description: &str, snaplen: u32) -> PcapResult<()> {
        let options = vec![
            InterfaceDescriptionOption::IfName(Cow::Borrowed(name)),
            InterfaceDescriptionOption::IfDescription(Cow::Borrowed(description)),
            InterfaceDescriptionOption::IfTsResol(RESOLUTION),
        ];
        let block = InterfaceDescriptionBlock { linktype: DataLink::ETHERNET, snaplen, options };
        self.0.write_pcapng_block(block).map(drop)
    }

    /// A frame.
    pub fn packet(&mut self, seen: &SeenPacket<'_>) {
        let mut body = Vec::with_capacity(seen.bytes.len() + seen.comment.len() + 80);
        let words = [seen.interface, (seen.at >> 32) as u32, seen.at as u32, seen.bytes.len() as u32, seen.len];
        for word in words {
            body.extend(word.to_be_bytes());
        }
        padded(&mut body, seen.bytes);
        option(&mut body, COMMENT, seen.comment.as_bytes());
        option(&mut body, FLAGS, &(seen.direction as u32).to_be_bytes());
        option(&mut body, PACKET_ID, &seen.id.to_be_bytes());
        option(&mut body, END_OF_OPTIONS, &[]);
        let len = (body.len() as u32 + 12).to_be_bytes();
        let file = self.0.get_mut();
        file.extend(ENHANCED_PACKET.to_be_bytes());
        file.extend(len);
        file.append(&mut body);
        file.extend(len);
    }

    /// What was counted of an interface until now, since the capture began: frames written, and frames missed. The comment
    /// may be empty.
    ///
    /// # Errors
    /// When there is no such interface.
    pub fn statistics(&mut self, interface: u32, at: u64, counts: (u64, u64), comment: &str) -> PcapResult<()> {
        let comment = Some(comment).filter(|comment| !comment.is_empty());
        let comment = comment.map(|comment| InterfaceStatisticsOption::Comment(Cow::Borrowed(comment)));
        let counts = [
            InterfaceStatisticsOption::IsbEndTime(at),
            InterfaceStatisticsOption::IsbIfDrop(counts.1),
            InterfaceStatisticsOption::IsbUsrDeliv(counts.0),
        ];
        let options = comment.into_iter().chain(counts).collect();
        self.0
            .write_pcapng_block(InterfaceStatisticsBlock { interface_id: interface, timestamp: at, options })
            .map(drop)
    }

    /// How many bytes wait to be taken.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.get_ref().len()
    }

    /// Whether there is nothing to take.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.get_ref().is_empty()
    }

    /// Takes what has been written: whole blocks.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(self.0.get_mut())
    }
}

/// Adds an option.
fn option(body: &mut Vec<u8>, code: u16, value: &[u8]) {
    let value = value.get(..value.len().min(u16::MAX.into())).unwrap_or_default();
    body.extend(code.to_be_bytes());
    body.extend((value.len() as u16).to_be_bytes());
    padded(body, value);
}

/// Adds bytes, and zeros to a multiple of four.
fn padded(body: &mut Vec<u8>, bytes: &[u8]) {
    body.extend_from_slice(bytes);
    body.resize(body.len().next_multiple_of(4), 0);
}
