//! Replay: captures through the production pipeline, on the captures' own clock.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::Offline;
use crate::compile::Plan;
use crate::forwarding::PortId;
use crate::io::memory::Handle;
use crate::io::pcap::{Capture, CaptureError, CaptureWriter, Record};
use crate::offline::captured::Captured;
use crate::report::rows::Summary;

/// One capture, and the port its frames arrive at.
#[derive(Debug, Clone)]
pub struct Input {
    /// The port.
    pub port: PortId,
    /// The capture.
    pub file: PathBuf,
}

/// Why a replay could not begin, or not go on.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// A capture is broken; nothing has been written.
    #[error(transparent)]
    Capture(#[from] CaptureError),
    /// The output would replace a capture that is being replayed; nothing has been written.
    #[error("{} is one of the captures to replay; choose another --out", .0.display())]
    Overwrites(PathBuf),
    /// The output cannot be written.
    #[error("{}: {cause}", file.display())]
    Output {
        /// What was to be written.
        file: PathBuf,
        /// Why it was not.
        cause: io::Error,
    },
}

/// The next record of each capture, handed out in the order of time.
pub struct Merged {
    captures: Vec<(PortId, Capture)>,
    heads: Vec<Option<Record>>,
    clock: u64,
}

impl Merged {
    /// Opens all captures and reads the first record of each.
    ///
    /// # Errors
    /// When a capture is broken or not Ethernet.
    pub fn open(inputs: &[Input]) -> Result<Self, CaptureError> {
        let mut captures = Vec::with_capacity(inputs.len());
        for input in inputs {
            captures.push((input.port, Capture::open(&input.file)?));
        }
        let heads = captures.iter_mut().map(|(_, capture)| capture.next().transpose()).collect::<Result<_, _>>()?;
        Ok(Self { captures, heads, clock: 0 })
    }

    /// The earliest record; of several, that of the capture named first. A stamp that runs backwards is lifted to
    /// the time already reached.
    ///
    /// # Errors
    /// When a capture is broken.
    pub fn next_record(&mut self) -> Result<Option<(PortId, Record)>, CaptureError> {
        let stamps = self.heads.iter().enumerate().filter_map(|(at, head)| Some((head.as_ref()?.stamp, at)));
        let Some((_, at)) = stamps.map(|(stamp, at)| (stamp.max(self.clock), at)).min() else { return Ok(None) };
        let (port, capture) = &mut self.captures[at];
        let following = capture.next().transpose()?;
        let Some(mut record) = std::mem::replace(&mut self.heads[at], following) else { return Ok(None) };
        record.stamp = record.stamp.max(self.clock);
        self.clock = record.stamp;
        Ok(Some((*port, record)))
    }
}

/// The captures that the gateway's ports send into, each made when its first frame is sent.
struct Outputs<'a> {
    files: Vec<PathBuf>,
    writers: BTreeMap<usize, CaptureWriter<io::BufWriter<std::fs::File>>>,
    directory: &'a Path,
}

impl Outputs<'_> {
    fn write(&mut self, gateway: &Offline<'_>, stamp: u64) -> Result<(), ReplayError> {
        for (at, file) in self.files.iter().enumerate() {
            let sent = gateway.port(PortId::new(at as u16)).map(Handle::collect).unwrap_or_default();
            if sent.is_empty() {
                continue;
            }
            let failed = |cause| ReplayError::Output { file: file.clone(), cause };
            let writer = match self.writers.entry(at) {
                std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
                std::collections::btree_map::Entry::Vacant(entry) => {
                    entry.insert(CaptureWriter::create(file).map_err(failed)?)
                }
            };
            for packet in sent {
                writer.write(stamp, &packet.bytes).map_err(failed)?;
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<(), ReplayError> {
        for (at, writer) in self.writers {
            writer.finish().map_err(|cause| ReplayError::Output { file: self.files[at].clone(), cause })?;
        }
        Ok(())
    }

    /// Makes the directory, and takes away what an earlier replay of the same ports left there.
    fn prepare(&self) -> Result<(), ReplayError> {
        let failed = |file: &Path, cause| ReplayError::Output { file: file.to_path_buf(), cause };
        std::fs::create_dir_all(self.directory).map_err(|cause| failed(self.directory, cause))?;
        for file in &self.files {
            match std::fs::remove_file(file) {
                Err(cause) if cause.kind() != io::ErrorKind::NotFound => return Err(failed(file, cause)),
                _ => {}
            }
        }
        Ok(())
    }
}

/// What a replay ends with.
#[derive(Debug, Serialize)]
pub struct Replayed {
    /// What the gateway knows and has counted at the end.
    #[serde(flatten)]
    pub summary: Summary,
    /// Frames of the captures that were not what they seem; left out without any.
    #[serde(skip_serializing_if = "Captured::is_plain")]
    pub captured: Captured,
}

/// Replays captures through the gateway that a plan describes; writes `out/PORT.pcap` for each port that sends.
///
/// # Errors
/// Before anything is written: when a capture is broken, cut short or not Ethernet, or would be overwritten. Later:
/// when the output cannot be written.
pub fn replay(plan: Plan, inputs: &[Input], out: &Path) -> Result<Replayed, ReplayError> {
    // Once through all captures, so that a broken one is found before anything is written.
    let mut all = Merged::open(inputs)?;
    while all.next_record()?.is_some() {}

    let files = plan.ports.iter().map(|port| out.join(format!("{}.pcap", port.name))).collect();
    let mut outputs = Outputs { files, writers: BTreeMap::new(), directory: out };
    for input in inputs {
        let same =
            |file: &&PathBuf| file.canonicalize().is_ok_and(|file| input.file.canonicalize().is_ok_and(|i| i == file));
        if let Some(file) = outputs.files.iter().find(same) {
            return Err(ReplayError::Overwrites(file.clone()));
        }
    }
    outputs.prepare()?;

    let mut arena = super::arena();
    let mut gateway = Offline::new(plan, &mut arena);
    let mut records = Merged::open(inputs)?;
    let mut captured = Captured::default();
    while let Some((port, record)) = records.next_record()? {
        let stamp = record.stamp;
        let tables = gateway.shared().forwarding.load_full();
        let Some(packet) = captured.arrival(&tables, port, record) else { continue };
        gateway.receive(port, packet, stamp);
        outputs.write(&gateway, stamp)?;
    }
    outputs.finish()?;
    let summary = gateway.state(records.clock).summary();
    Ok(Replayed { summary, captured })
}
