//! A machine that commands can be run on.

use std::io;
use std::process::{Command, Output};

/// A namespace of the running kernel, or a kernel of its own.
pub trait Host {
    /// Runs a shell line and gives back what it printed.
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

/// What a program printed on stdout.
///
/// # Errors
/// When it cannot be started, or fails: the error shows what it printed.
pub fn output(command: &mut Command) -> io::Result<String> {
    let Output { status, stdout, stderr } = command.output()?;
    let (out, err) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    if status.success() { Ok(out.into_owned()) } else { Err(failed(&format!("{command:?}"), &format!("{out}{err}"))) }
}

/// The error of a line that failed.
pub(crate) fn failed(line: &str, printed: &str) -> io::Error {
    io::Error::other(format!("{line}\n{}", printed.trim_end()))
}
