//! Why a User-Mode Linux is of no use: what it said last, and what that means.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// How many of its last lines are quoted.
const QUOTED: usize = 3;
/// Names the directory where the output of a User-Mode Linux that failed is kept; else that is the system's directory
/// for temporary files.
pub const KEEP_IN: &str = "TRANSLOAD_KEEP";
/// What is known about a line.
const KNOWN: &[(&str, &str)] = &[(
    "ptrace set fp regs failed, errno = 14",
    "this processor (as with AMX) has a larger register area than it knows, and the library that helps it there \
     was not loaded",
)];

/// A User-Mode Linux that ended, or does not do what it was started for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UmlFailure {
    /// What happened, in a few words behind "User-Mode Linux".
    pub what: String,
    /// The reason, where its last words are known to have one.
    pub reason: Option<&'static str>,
    /// The end of what it printed.
    pub last_words: Vec<String>,
    /// All that it printed; none if that could not be kept.
    pub output: Option<PathBuf>,
}

impl UmlFailure {
    /// Of one whose output is in this file, which is copied to where it stays: to `kept`, or to a new file.
    pub(super) fn of(what: &str, output: &Path, kept: Option<&Path>) -> Self {
        let printed = fs::read(output).unwrap_or_default();
        let printed = String::from_utf8_lossy(&printed);
        let reason = KNOWN.iter().find(|(line, _)| printed.contains(line)).map(|(_, reason)| *reason);
        Self { what: what.to_owned(), reason, last_words: last_words(&printed), output: keep(&printed, kept).ok() }
    }
}

impl UmlFailure {
    /// What happened to "it" and why, its last line, and where the rest is; [`Display`](fmt::Display) takes several
    /// lines.
    #[must_use]
    pub fn in_one_line(&self) -> String {
        let reason = self.reason.map(|reason| format!(": {reason}")).unwrap_or_default();
        let last = self.last_words.last().map(|line| format!("; it said `{line}`")).unwrap_or_default();
        let output = self.output.as_ref().map(|file| format!("; its output is in {}", file.display()));
        format!("it {}{reason}{last}{}", self.what, output.unwrap_or_default())
    }
}

impl fmt::Display for UmlFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "User-Mode Linux {}", self.what)?;
        if let Some(reason) = self.reason {
            write!(f, ": {reason}")?;
        }
        if !self.last_words.is_empty() {
            write!(f, ". Its last words:")?;
        }
        for line in &self.last_words {
            write!(f, "\n    {line}")?;
        }
        match &self.output {
            Some(output) => write!(f, "\nIts whole output is in {}", output.display()),
            None => Ok(()),
        }
    }
}

impl std::error::Error for UmlFailure {}

impl From<UmlFailure> for io::Error {
    fn from(failure: UmlFailure) -> Self {
        Self::other(failure)
    }
}

/// The last lines, or those up to one that is known or to a kernel's panic: what comes behind that are its registers
/// and its stack.
fn last_words(printed: &str) -> Vec<String> {
    let lines: Vec<_> = printed.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let is_the_end = |line: &&str| line.contains("Kernel panic") || KNOWN.iter().any(|(known, _)| line.contains(known));
    let end = lines.iter().position(is_the_end).map_or(lines.len(), |at| at + 1);
    lines[end.saturating_sub(QUOTED)..end].iter().map(|line| (*line).to_owned()).collect()
}

fn keep(printed: &str, kept: Option<&Path>) -> io::Result<PathBuf> {
    let path = match kept {
        Some(path) => path.to_owned(),
        None => new_file()?,
    };
    fs::write(&path, printed)?;
    Ok(path)
}

fn new_file() -> io::Result<PathBuf> {
    let directory = std::env::var_os(KEEP_IN).map_or_else(std::env::temp_dir, PathBuf::from);
    fs::create_dir_all(&directory)?;
    Ok(tempfile::Builder::new().prefix("uml-").suffix(".log").tempfile_in(directory)?.keep()?.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const AMX: &str = "\
mmapper_init - find_iomem failed
Failed to initialize ubd device 0 :Couldn't determine size of device's file

userspace - ptrace set fp regs failed, errno = 14
Kernel panic - not syncing: Attempted to kill init! exitcode=0x0000000b
CPU: 0 PID: 1 Comm: init.sh Not tainted 6.1.176 #1
";

    #[test]
    fn what_is_known_ends_the_quotation() {
        let words = last_words(AMX);
        assert_eq!(words.len(), QUOTED);
        assert_eq!(words[QUOTED - 1], "userspace - ptrace set fp regs failed, errno = 14");
    }

    #[test]
    fn a_panic_is_quoted_without_its_stack() {
        let words = last_words("one\nKernel panic - not syncing: No working init found.\nStack:\n 6069\n");
        assert_eq!(words, ["one", "Kernel panic - not syncing: No working init found."]);
    }

    #[test]
    fn else_the_last_lines_are_quoted() {
        assert_eq!(last_words("one\ntwo\n\nthree\nfour\n"), ["two", "three", "four"]);
        assert_eq!(last_words(""), [""; 0]);
    }
}
