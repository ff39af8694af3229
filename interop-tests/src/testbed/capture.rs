//! What was on the cables: a capture of each, for as long as the testbed stands.

use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::process::{Pid, Signal, kill_process};
use transload::io::pcap::{Capture, Record};
use transload_lab::{Namespace, interrupt, programs};

use super::stack::Stack;

/// As much of a frame as is kept: all of it, but for super-frames.
const SNAPLEN: &str = "2048";
const START: Duration = Duration::from_secs(30);

/// One cable's capture.
#[derive(Debug)]
pub struct Tape {
    /// Between the gateway and whom.
    pub stack: Stack,
    /// Where it is kept.
    pub file: PathBuf,
    tcpdump: Option<Child>,
}

impl Tape {
    /// A capture that somebody else writes.
    pub(super) fn of(stack: Stack, file: PathBuf) -> Self {
        Self { stack, file, tcpdump: None }
    }

    /// Captures at a device of the gateway.
    pub(super) fn start(stack: Stack, namespace: &Namespace, device: &str, file: PathBuf) -> io::Result<Self> {
        let program = programs::find("tcpdump").ok_or_else(|| io::Error::other("tcpdump is not installed"))?;
        let mut command = Command::new(program);
        // Every frame is written at once, and as root where that is who we are.
        command.args(["-i", device, "-n", "-U", "--immediate-mode", "-B", "8192", "-s", SNAPLEN, "-Z", "root"]);
        command.arg("--time-stamp-precision=nano").arg("-w").arg(&file).process_group(0);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let tape = Self { stack, file, tcpdump: Some(namespace.spawn(&mut command)?) };
        let end = Instant::now() + START;
        while !std::fs::metadata(&tape.file).is_ok_and(|file| file.len() > 0) {
            if Instant::now() > end {
                return Err(io::Error::other(format!("tcpdump does not start on {device}")));
            }
            interrupt::pause(Duration::from_millis(10))?;
        }
        Ok(tape)
    }

    /// Every frame from one moment to another, in nanoseconds since 1970.
    ///
    /// # Errors
    /// When the capture cannot be read.
    pub fn frames(&self, from: u64, to: u64) -> io::Result<Vec<Record>> {
        read(&self.file, from, to)
    }
}

/// The frames of a capture from one moment to another; one that is being written ends where it ends.
fn read(file: &Path, from: u64, to: u64) -> io::Result<Vec<Record>> {
    let capture = Capture::open(file).map_err(io::Error::other)?;
    let records = capture.map_while(Result::ok);
    Ok(records.filter(|record| (from..=to).contains(&record.stamp)).collect())
}

/// Now, as captures say it.
#[must_use]
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
}

impl Drop for Tape {
    fn drop(&mut self) {
        if let Some(tcpdump) = &mut self.tcpdump {
            let _ = kill_process(Pid::from_child(tcpdump), Signal::TERM);
            let _ = tcpdump.wait();
        }
    }
}
