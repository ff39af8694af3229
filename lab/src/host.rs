//! A machine that commands can be run on.

use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::interrupt;

/// How long a step may take.
pub const STEP: Duration = Duration::from_mins(1);

/// A namespace of the running kernel, or a kernel of its own.
pub trait Host {
    /// Runs a shell line. Returns what it printed.
    ///
    /// # Errors
    /// When the machine is gone, or the line fails: the error shows the line and what it printed.
    fn sh(&self, line: &str) -> io::Result<String>;

    /// Starts a shell line that goes on beside the test; it ends with the machine at the latest.
    ///
    /// # Errors
    /// When it cannot be started.
    fn background(&self, line: &str) -> io::Result<()>;
}

impl<H: Host + ?Sized> Host for &H {
    fn sh(&self, line: &str) -> io::Result<String> {
        (**self).sh(line)
    }

    fn background(&self, line: &str) -> io::Result<()> {
        (**self).background(line)
    }
}

/// What a program printed on stdout, if it ends within a minute.
///
/// # Errors
/// When it cannot be started, takes too long, or fails: the error shows what it printed.
pub fn output(command: &mut Command) -> io::Result<String> {
    output_within(command, STEP)
}

/// The same with another limit. A program that takes longer is ended with all that it started.
///
/// # Errors
/// As [`output`].
pub fn output_within(command: &mut Command, patience: Duration) -> io::Result<String> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let spawned = command.spawn();
    let mut child = spawned.map_err(|error| io::Error::new(error.kind(), format!("{command:?}: {error}")))?;
    let (out, err) = (drain(child.stdout.take()), drain(child.stderr.take()));
    let status = wait(&mut child, patience);
    if status.is_err() {
        kill_process_group(Pid::from_child(&child), Signal::KILL)?;
        child.wait()?;
    }
    let [out, err] = [out, err].map(|reader| reader.join().unwrap_or_default());
    match status {
        Ok(status) if status.success() => Ok(out),
        Ok(_) => Err(failed(&format!("{command:?}"), &format!("{out}{err}"))),
        Err(why) => Err(failed(&format!("{command:?}: {why}"), &format!("{out}{err}"))),
    }
}

fn wait(child: &mut Child, patience: Duration) -> io::Result<ExitStatus> {
    let end = Instant::now() + patience;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        interrupt::check()?;
        if Instant::now() > end {
            return Err(io::Error::other(format!("still running after {} s", patience.as_secs())));
        }
        thread::sleep(Duration::from_millis(2));
    }
}

/// Reads to the end beside the program, which would wait if nobody did.
fn drain(pipe: Option<impl Read + Send + 'static>) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            // What was read until then is all there is to show.
            let _ = pipe.read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// The error of a line that failed.
#[must_use]
pub fn failed(line: &str, printed: &str) -> io::Error {
    io::Error::other(format!("{line}\n{}", printed.trim_end()))
}
