//! `transload capture`: frames of a running gateway, at its ports and between its stages, as pcapng or a line each.

use std::fs::File;
use std::io::{self, ErrorKind, IsTerminal, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{process, thread};

use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

use super::Failure;
use super::capture_lines::lines;
use super::render::{plural, tell};
use super::show::socket_or_the_only_one;
use crate::admin::CaptureRequest;
use crate::admin::client;

/// Bytes that are read from the gateway at a time.
const READ: usize = 1 << 18;
/// The type of a block that says what was counted until then.
const STATISTICS: u32 = 5;
/// The type of a block with a frame.
const PACKET: u32 = 6;
/// Its options `opt_comment` and `isb_ifdrop`.
const COMMENT: u16 = 1;
const MISSED: u16 = 5;
/// What a program's end by Ctrl-C is called: 128 and the signal's number.
const BY_CTRL_C: i32 = 130;
/// No block is longer, in bytes.
const LONGEST: usize = 1 << 24;

/// A frame is captured if it has all that is asked for; then every sighting of it is, at each point of `--at`. What ties
/// them together is the packet ID (`frame.packet_id` in Wireshark), and the comment of each says whose it is, where it
/// goes and why it is dropped. Frames that the program of an XDP port or a device drops are not seen.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where the pcapng goes: a file, or `-` for standard output; without it, a line is printed for each sighting
    #[arg(short, long, value_name = "FILE")]
    write: Option<PathBuf>,
    /// Only frames of this tenant
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// Only frames that come from this peer or go to it
    #[arg(long, value_name = "NAME")]
    peer: Option<String>,
    /// Only frames that come in by this port or leave by it
    #[arg(long, value_name = "NAME")]
    port: Option<String>,
    /// Only frames from or to this MAC address, inside a tunnel or not
    #[arg(long, value_name = "MAC")]
    mac: Option<String>,
    /// Only frames that are dropped for this reason, as `show drops` calls it
    #[arg(long, value_name = "REASON")]
    reason: Option<String>,
    /// Only frames that are dropped
    #[arg(long)]
    dropped: bool,
    /// The points: receive, decap, bridge, transmit, drop, separated by commas; all unless told otherwise
    #[arg(long, value_name = "POINTS")]
    at: Option<String>,
    /// End after so many frames
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// End after this time: 10s, 5m, 1h
    #[arg(long = "for", value_name = "TIME", value_parser = seconds)]
    seconds: Option<u64>,
    /// Of N frames, only one
    #[arg(long, value_name = "1/N", value_parser = sample)]
    sample: Option<u64>,
    /// Only so many bytes of each frame
    #[arg(short, long, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(1..))]
    snaplen: Option<u32>,
    /// The gateway's admin socket, such as /run/transload/admin.sock; may be left out where one gateway runs
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
}

fn seconds(text: &str) -> Result<u64, String> {
    let (number, unit) = text.split_at(text.trim_end_matches(|c: char| c.is_alphabetic()).len());
    let factor = match unit {
        "s" => Some(1),
        "m" => Some(60),
        "h" => Some(3600),
        _ => None,
    };
    let whole = number.parse::<u64>().ok().zip(factor).and_then(|(number, factor)| number.checked_mul(factor));
    whole.filter(|seconds| *seconds > 0).ok_or_else(|| "write a number and s, m or h: 10s, 5m, 1h".to_owned())
}

fn sample(text: &str) -> Result<u64, String> {
    let number = text.strip_prefix("1/").and_then(|number| number.parse::<u64>().ok());
    number.filter(|number| *number > 0).ok_or_else(|| "write one of how many: 1/100".to_owned())
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let to_stdout = args.write.as_deref() == Some(Path::new("-"));
    if to_stdout && io::stdout().is_terminal() {
        return Err(Failure::with_help(
            "pcapng is not for a terminal",
            "write it to a file with -w FILE, pipe it to `wireshark -k -i -`, or leave -w out for a line each",
        ));
    }
    let socket = socket_or_the_only_one(args.socket.as_deref())?;
    let request = CaptureRequest {
        tenant: args.tenant.clone(),
        peer: args.peer.clone(),
        port: args.port.clone(),
        mac: args.mac.clone(),
        reason: args.reason.clone(),
        dropped: args.dropped,
        at: args.at.clone(),
        count: args.count,
        seconds: args.seconds,
        sample: args.sample,
        snaplen: args.snaplen,
    };
    // What cannot match must not cost somebody the file of the last capture.
    let mut capture = client::capture(&socket, &request).map_err(|error| Failure::new(error.to_string()))?;
    let is_interrupted =
        ended_by_ctrl_c(capture.get_ref()).map_err(|error| Failure::new(format!("cannot wait for Ctrl-C: {error}")))?;
    let counts = match args.write.as_deref() {
        None => lines(capture)?,
        Some(_) if to_stdout => copy(&mut capture, &mut BlockOutput::Pipe(io::stdout()))?,
        Some(path) => {
            let file = File::create(path).map_err(|error| cannot_write(path, &error))?;
            copy(&mut capture, &mut BlockOutput::File { path, file, whole: 0 })?
        }
    };
    // Nobody reads any more, and nobody asks for counts.
    counts.map_or(Ok(()), |counts| counts.told(is_interrupted.load(Ordering::Relaxed)))
}

/// Ends a capture by Ctrl-C: what has come until then is still read. By a second one the program ends where it is.
fn ended_by_ctrl_c(capture: &UnixStream) -> io::Result<Arc<AtomicBool>> {
    let capture = capture.try_clone()?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let listening = runtime.enter();
    let mut interrupt = signal(SignalKind::interrupt())?;
    drop(listening);
    let is_interrupted = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&is_interrupted);
    thread::spawn(move || {
        runtime.block_on(interrupt.recv());
        told.store(true, Ordering::Relaxed);
        let _ = capture.shutdown(Shutdown::Both);
        runtime.block_on(interrupt.recv());
        process::exit(BY_CTRL_C);
    });
    Ok(is_interrupted)
}

fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    Failure::new(format!("cannot write {}: {error}", path.display()))
}

/// Where whole blocks go.
enum BlockOutput<'p> {
    Pipe(io::Stdout),
    File {
        path: &'p Path,
        file: File,
        /// How many bytes of it are whole blocks.
        whole: u64,
    },
}

impl BlockOutput<'_> {
    /// Writes whole blocks, or nothing. False when the reader has gone, which is no failure.
    fn write(&mut self, blocks: &[u8]) -> Result<bool, Failure> {
        match self {
            Self::Pipe(out) => match out.write_all(blocks).and_then(|()| out.flush()) {
                Ok(()) => Ok(true),
                Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
                Err(error) => Err(Failure::new(format!("cannot write to standard output: {error}"))),
            },
            Self::File { path, file, whole } => match file.write_all(blocks) {
                Ok(()) => {
                    *whole += blocks.len() as u64;
                    Ok(true)
                }
                Err(error) => {
                    // Of a device or a pipe there is nothing to cut off.
                    let _ = file.set_len(*whole);
                    Err(Failure::with_help(
                        format!("cannot write {}: {error}", path.display()),
                        "the capture has ended; what was written before can be read",
                    ))
                }
            },
        }
    }
}

/// What was captured.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct CaptureCounts {
    pub packets: u64,
    pub missed: u64,
    /// Why it has ended, once it has.
    pub ended: Option<String>,
}

impl CaptureCounts {
    /// Says what it was.
    fn told(self, is_interrupted: bool) -> Result<(), Failure> {
        tell(&plural(self.packets as usize, "sighting"));
        match self.ended {
            Some(why) => tell(&why),
            None if !is_interrupted => return Err(ended_early()),
            None if self.missed > 0 => tell(&format!(
                "{} were missed, since they came faster than they were read",
                plural(self.missed as usize, "sighting")
            )),
            None => {}
        }
        Ok(())
    }
}

/// Copies a capture, whole blocks at a time; none of its counts when its reader has gone.
fn copy(capture: &mut impl Read, output: &mut BlockOutput<'_>) -> Result<Option<CaptureCounts>, Failure> {
    let (mut text, mut counts) = (Vec::new(), CaptureCounts::default());
    loop {
        let held = text.len();
        text.resize(held + READ, 0);
        let read = match capture.read(&mut text[held..]) {
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {
                text.truncate(held);
                continue;
            }
            Err(error) => return Err(Failure::new(format!("the gateway's answer cannot be read: {error}"))),
        };
        text.truncate(held + read);
        let whole = whole_blocks(&text, &mut counts)?;
        if whole > 0 && !output.write(&text[..whole])? {
            return Ok(None);
        }
        text.drain(..whole);
        if read == 0 {
            return Ok(Some(counts));
        }
    }
}

/// What is said when the gateway's answer ends before the capture has.
pub(super) fn ended_early() -> Failure {
    Failure::with_help(
        "the capture ended early: the gateway has stopped, or nothing was read for too long",
        "what came until then can be read",
    )
}

/// How long the blocks are that are whole; counts them.
fn whole_blocks(text: &[u8], counts: &mut CaptureCounts) -> Result<usize, Failure> {
    let mut at = 0;
    while let Some(head) = text.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let [t1, t2, t3, t4, l1, l2, l3, l4] = *head;
        let (kind, len) = (u32::from_be_bytes([t1, t2, t3, t4]), u32::from_be_bytes([l1, l2, l3, l4]) as usize);
        if !(12..=LONGEST).contains(&len) || !len.is_multiple_of(4) {
            return Err(Failure::new("the gateway's answer is no capture"));
        }
        let Some(block) = text.get(at..at + len) else { break };
        counts.packets += u64::from(kind == PACKET);
        if kind == STATISTICS {
            let missed = option(block, MISSED).and_then(|number| number.first_chunk());
            // Counted since the capture began.
            counts.missed = counts.missed.max(missed.map_or(0, |number| u64::from_be_bytes(*number)));
            let why = option(block, COMMENT).map(|why| String::from_utf8_lossy(why).into_owned());
            counts.ended = counts.ended.take().or(why);
        }
        at += len;
    }
    Ok(at)
}

/// An option of a block that says what was counted.
fn option(block: &[u8], wanted: u16) -> Option<&[u8]> {
    const OPTIONS: usize = 20;
    let mut options = block.get(OPTIONS..)?;
    loop {
        let [c1, c2, l1, l2] = *options.first_chunk()?;
        let (code, len) = (u16::from_be_bytes([c1, c2]), usize::from(u16::from_be_bytes([l1, l2])));
        if code == wanted {
            return options.get(4..4 + len);
        }
        options = options.get(4 + len.next_multiple_of(4)..).filter(|_| code != 0)?;
    }
}

#[cfg(test)]
mod tests {
    use crate::io::pcap::{PacketDirection, PcapngParts, SeenPacket};

    use super::*;

    fn capture() -> Vec<u8> {
        let mut file = PcapngParts::new("test").unwrap();
        file.interface("up", "a port", 100).unwrap();
        let seen = |bytes, comment| SeenPacket {
            interface: 0,
            at: 1,
            id: 7,
            direction: PacketDirection::In,
            bytes,
            len: 100,
            comment,
        };
        file.packet(&seen(&[1, 2, 3], "a comment"));
        file.statistics(0, 2, (1, 3), "").unwrap();
        file.packet(&seen(&[], ""));
        file.statistics(0, 2, (2, 5), "over").unwrap();
        file.take()
    }

    #[test]
    fn what_comes_in_pieces_is_written_in_whole_blocks() {
        let whole = capture();
        let mut all = CaptureCounts::default();
        assert_eq!(whole_blocks(&whole, &mut all).ok(), Some(whole.len()));
        assert_eq!(all, CaptureCounts { packets: 2, missed: 5, ended: Some("over".to_owned()) });
        for end in 0..whole.len() {
            let mut counts = CaptureCounts::default();
            let len = whole_blocks(&whole[..end], &mut counts).ok().unwrap();
            assert!(len <= end && counts.ended.is_none());
            assert_eq!(whole_blocks(&whole[len..], &mut counts).ok(), Some(whole.len() - len));
            assert_eq!(counts, all);
        }
        assert!(whole_blocks(b"HTTP/1.0 200 OK", &mut CaptureCounts::default()).is_err());
    }

    #[test]
    fn times_and_samples_are_read_or_refused_in_words() {
        assert_eq!([seconds("10s"), seconds("5m"), seconds("1h")], [Ok(10), Ok(300), Ok(3600)]);
        for wrong in ["", "10", "s", "0s", "1.5s", "-1s", "10 days", "18446744073709551615h"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
        assert_eq!(sample("1/100"), Ok(100));
        for wrong in ["", "100", "1/0", "2/3", "1/"] {
            assert!(sample(wrong).is_err(), "{wrong}");
        }
    }
}
