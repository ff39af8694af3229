//! Captures: reading pcap and pcapng for replay, writing pcap with nanosecond stamps.
//!
//! Ethernet only. A frame check sequence behind the frames, where the file says that there is one, is cut off. Everything
//! that is wrong with a capture is an error that names the file and the packet.

mod parts;
mod pcapng;

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::Path;

pub use parts::{PacketDirection, PcapngParts, SeenPacket};
use pcap_file::pcap::{PcapHeader, PcapReader, PcapWriter, RawPcapPacket};
use pcap_file::pcapng::PcapNgReader;
use pcap_file::{DataLink, PcapError, TsResolution};

/// No packet is captured longer than this (libpcap's `MAXIMUM_SNAPLEN`); a length above it is a broken file.
const LONGEST: u32 = 262_144;
/// What a pcapng file begins with, in either byte order.
const PCAPNG_MAGIC: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];
/// What of a pcap file's link type field is the link type (draft-ietf-opsawg-pcap §4); the bits between it and those
/// below are to be ignored.
const LINK_TYPE: u32 = 0xffff;
/// Set there if the length of the frame check sequences is known.
const FCS_IS_KNOWN: u32 = 1 << 26;
/// Where that length begins there, in units of 16 bits.
const FCS_WORDS: u32 = 28;

/// One captured frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// When it was captured, in nanoseconds since 1970.
    pub stamp: u64,
    /// As much of the frame as was captured.
    pub bytes: Vec<u8>,
    /// How long the frame was on the wire, without its frame check sequence.
    pub original_len: u32,
    /// How many bytes of frame check sequence were behind it, by what the file says.
    pub fcs_len: u8,
}

impl Record {
    /// Whether the capture kept less than the whole frame.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.bytes.len() < self.original_len as usize
    }
}

/// A capture that cannot be read, and where.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {}{fault}", position(*.packet))]
pub struct CaptureError {
    /// The file's name.
    pub file: String,
    /// Which packet was to be read, counted from 1; `None` when the file's own header is at fault.
    pub packet: Option<u64>,
    /// What is wrong with it.
    #[source]
    pub fault: CaptureFault,
}

fn position(packet: Option<u64>) -> String {
    packet.map_or_else(String::new, |number| format!("packet {number}: "))
}

/// What can be wrong with a capture.
#[derive(Debug, thiserror::Error)]
pub enum CaptureFault {
    /// The file cannot be opened or read.
    #[error("{0}")]
    Unreadable(#[source] io::Error),
    /// The file ends too early.
    #[error("the capture ends in the middle of it; the file was cut short")]
    Truncated,
    /// The file's beginning is neither pcap's nor pcapng's.
    #[error("neither a pcap nor a pcapng file")]
    NotACapture,
    /// What was captured is not Ethernet.
    #[error("link type {0} is not Ethernet (1); capture on an Ethernet device")]
    LinkType(u32),
    /// A field says what cannot be.
    #[error("broken capture: {0}")]
    Broken(String),
}

impl From<PcapError> for CaptureFault {
    fn from(error: PcapError) -> Self {
        match error {
            PcapError::IoError(e) if e.kind() == io::ErrorKind::UnexpectedEof => Self::Truncated,
            PcapError::IncompleteBuffer => Self::Truncated,
            PcapError::IoError(e) => Self::Unreadable(e),
            PcapError::InvalidInterfaceId(id) => Self::Broken(format!("there is no interface {id}")),
            other => Self::Broken(other.to_string()),
        }
    }
}

enum Format {
    Pcap(PcapReader<Box<dyn Read>>),
    PcapNg(PcapNgReader<Box<dyn Read>>),
}

/// The records of a capture, in the order of the file. After an error there are no more.
pub struct Capture {
    file: String,
    format: Format,
    read: u64,
    last_stamp: u64,
    broken: bool,
}

impl Capture {
    /// Opens a capture file.
    ///
    /// # Errors
    /// When it cannot be read, is no capture, or not of Ethernet.
    pub fn open(path: &Path) -> Result<Self, CaptureError> {
        let name = path.display().to_string();
        match File::open(path) {
            Ok(file) => Self::read(name, file),
            Err(e) => Err(CaptureError { file: name, packet: None, fault: CaptureFault::Unreadable(e) }),
        }
    }

    /// Reads a capture from anywhere; `name` is what errors call it.
    ///
    /// # Errors
    /// When it cannot be read, is no capture, or not of Ethernet.
    pub fn read(name: impl Into<String>, source: impl Read + 'static) -> Result<Self, CaptureError> {
        let file = name.into();
        match Format::detect(source) {
            Ok(format) => Ok(Self { file, format, read: 0, last_stamp: 0, broken: false }),
            Err(fault) => Err(CaptureError { file, packet: None, fault }),
        }
    }

    fn next_record(&mut self) -> Option<Result<Record, CaptureFault>> {
        match &mut self.format {
            Format::Pcap(reader) => {
                let header = reader.header();
                let raw = reader.next_raw_packet()?;
                Some(raw.map_err(Into::into).and_then(|packet| classic(packet, &header)))
            }
            Format::PcapNg(reader) => pcapng::next_record(reader, self.last_stamp),
        }
    }
}

impl Iterator for Capture {
    type Item = Result<Record, CaptureError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.broken {
            return None;
        }
        let record = self.next_record()?;
        self.read += 1;
        match record {
            Ok(record) => {
                self.last_stamp = record.stamp;
                Some(Ok(record))
            }
            Err(fault) => {
                self.broken = true;
                Some(Err(CaptureError { file: self.file.clone(), packet: Some(self.read), fault }))
            }
        }
    }
}

impl Format {
    fn detect(source: impl Read + 'static) -> Result<Self, CaptureFault> {
        let mut source = BufReader::new(source);
        let is_pcapng = source.fill_buf().map_err(CaptureFault::Unreadable)?.starts_with(&PCAPNG_MAGIC);
        let source: Box<dyn Read> = Box::new(source);
        if is_pcapng {
            return Ok(Self::PcapNg(PcapNgReader::new(source)?));
        }
        let reader = PcapReader::new(source).map_err(|e| match e.into() {
            CaptureFault::Broken(_) => CaptureFault::NotACapture,
            fault => fault,
        })?;
        ethernet(u32::from(reader.header().datalink) & LINK_TYPE)?;
        Ok(Self::Pcap(reader))
    }
}

fn ethernet(link: u32) -> Result<(), CaptureFault> {
    if link == u32::from(DataLink::ETHERNET) { Ok(()) } else { Err(CaptureFault::LinkType(link)) }
}

/// The length of the frame check sequences in bytes, by the link type field of a pcap file.
const fn fcs_len(link: u32) -> u8 {
    if link & FCS_IS_KNOWN == 0 { 0 } else { 2 * (link >> FCS_WORDS) as u8 }
}

/// A record of a pcap file. The file's own snapshot length is not held against it: `tcpdump -s` writes frames that
/// were longer on the wire.
fn classic(packet: RawPcapPacket<'_>, header: &PcapHeader) -> Result<Record, CaptureFault> {
    let nanos = match header.ts_resolution {
        TsResolution::MicroSecond => u64::from(packet.ts_frac) * 1_000,
        TsResolution::NanoSecond => u64::from(packet.ts_frac),
    };
    if nanos >= 1_000_000_000 {
        return Err(CaptureFault::Broken("a stamp with a second or more behind the point".into()));
    }
    let stamp = u64::from(packet.ts_sec) * 1_000_000_000 + nanos;
    record(stamp, packet.data.into_owned(), packet.orig_len, fcs_len(header.datalink.into()))
}

/// A record of which the last `fcs_len` bytes that were on the wire are a frame check sequence.
fn record(stamp: u64, mut bytes: Vec<u8>, original_len: u32, fcs_len: u8) -> Result<Record, CaptureFault> {
    let captured = bytes.len();
    if captured > LONGEST as usize {
        return Err(CaptureFault::Broken(format!("{captured} bytes are longer than any captured frame")));
    }
    if captured > original_len as usize {
        let lie = format!("{captured} bytes captured of a frame that had {original_len}");
        return Err(CaptureFault::Broken(lie));
    }
    let original_len = original_len.saturating_sub(fcs_len.into());
    bytes.truncate(original_len as usize);
    Ok(Record { stamp, bytes, original_len, fcs_len })
}

/// Writes a pcap file with nanosecond stamps.
pub struct CaptureWriter<W: Write>(PcapWriter<W>);

impl CaptureWriter<BufWriter<File>> {
    /// Creates the file, or empties it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn create(path: &Path) -> io::Result<Self> {
        Self::new(BufWriter::new(File::create(path)?))
    }
}

impl<W: Write> CaptureWriter<W> {
    /// Writes the file's header.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn new(writer: W) -> io::Result<Self> {
        // Little-endian whatever the machine, so that the same frames make the same file.
        let endianness = pcap_file::Endianness::Little;
        let ts_resolution = TsResolution::NanoSecond;
        let header = PcapHeader { snaplen: LONGEST, ts_resolution, endianness, ..PcapHeader::default() };
        PcapWriter::with_header(writer, header).map(Self).map_err(written)
    }

    /// Writes a whole frame with its stamp, in nanoseconds since 1970; the format's seconds end in 2106.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&mut self, stamp: u64, frame: &[u8]) -> io::Result<()> {
        let ts_sec = u32::try_from(stamp / 1_000_000_000).unwrap_or(u32::MAX);
        let len = frame.len() as u32;
        let packet = RawPcapPacket {
            ts_sec,
            ts_frac: (stamp % 1_000_000_000) as u32,
            incl_len: len,
            orig_len: len,
            data: frame.into(),
        };
        self.0.write_raw_packet(&packet).map(|_| ()).map_err(written)
    }

    /// Ends the file.
    ///
    /// # Errors
    /// When what is still buffered cannot be written.
    pub fn finish(self) -> io::Result<W> {
        let mut writer = self.0.into_writer();
        writer.flush()?;
        Ok(writer)
    }
}

fn written(error: PcapError) -> io::Error {
    match error {
        PcapError::IoError(e) => e,
        other => io::Error::other(other),
    }
}
