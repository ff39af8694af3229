//! Whether User-Mode Linux starts here at all, asked once and written down: a boot takes more than a second.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use super::{Launch, PRELOAD, UmlFailure, XSTATE, find};
use crate::programs;

/// The first program of one that is only to show that it starts.
const INIT: &str = "#!/bin/sh\necho @READY\nread line\n";
const BOOT: Duration = Duration::from_mins(1);
/// A failure may have been one of the hour, such as memory that was short: it is believed for so long.
const BELIEVED: Duration = Duration::from_mins(10);
const GOOD: &str = "it starts";

/// Whether User-Mode Linux starts here. The first to ask boots one; others of this machine's uptime, program and user
/// read what became of it beside the programs that cargo has built.
///
/// # Errors
/// Why it does not, in one line about "it".
pub fn starts() -> Result<(), String> {
    static FOUND: OnceLock<Result<(), String>> = OnceLock::new();
    FOUND.get_or_init(|| ask(Note::here().ok().as_ref())).clone()
}

fn ask(note: Option<&Note>) -> Result<(), String> {
    if let Some(known) = note.and_then(Note::read) {
        return known;
    }
    let found = try_it(note).map_err(|error| match error.get_ref().and_then(|inner| inner.downcast_ref()) {
        Some(failure) => UmlFailure::in_one_line(failure),
        None => format!("it cannot be started: {error}"),
    });
    if let Some(note) = note {
        // Without a note the next one boots, too.
        let _ = note.write(&found);
    }
    found
}

fn try_it(note: Option<&Note>) -> io::Result<()> {
    let mut launch = Launch::new()?;
    if let Some(note) = note {
        launch.keep_output(&note.file.with_extension("log"));
    }
    let init = launch.directory().join("init.sh");
    fs::write(&init, INIT)?;
    fs::set_permissions(&init, fs::Permissions::from_mode(0o755))?;
    launch.arg("mem=64M").arg(&format!("init={}", init.display()));
    launch.start(Command::spawn)?.until("@READY", BOOT).map(drop)
}

/// What was found out, in a file.
#[derive(Debug)]
struct Note {
    /// One file for each program.
    file: PathBuf,
    /// Of all that the answer depends on.
    hash: u64,
}

impl Note {
    fn here() -> io::Result<Self> {
        let program = find().ok_or(io::ErrorKind::NotFound)?;
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
        let (image, user) = (fs::metadata(&program)?, rustix::process::geteuid().as_raw());
        let image = (image.ino(), image.len(), image.mtime(), image.mtime_nsec());
        let file = programs::directory()?.join(format!("uml-starts-{:016x}", hash(&program)));
        Ok(Self { file, hash: hash(&(boot, image, user, XSTATE, std::env::var_os(PRELOAD))) })
    }

    fn read(&self) -> Option<Result<(), String>> {
        let text = fs::read_to_string(&self.file).ok()?;
        let answer = text.strip_prefix(&format!("{:016x} ", self.hash))?;
        if answer == GOOD {
            return Some(Ok(()));
        }
        let age = fs::metadata(&self.file).ok()?.modified().ok()?.elapsed().ok()?;
        (age < BELIEVED).then(|| Err(answer.to_owned()))
    }

    /// Writes it at once, so that nobody reads half of it.
    fn write(&self, found: &Result<(), String>) -> io::Result<()> {
        let answer = found.as_ref().map_or_else(String::as_str, |()| GOOD);
        let mut file = tempfile::NamedTempFile::new_in(self.file.parent().unwrap_or(Path::new(".")))?;
        write!(file, "{:016x} {answer}", self.hash)?;
        file.persist(&self.file).map(drop).map_err(|error| error.error)
    }
}

fn hash(what: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(file: &Path, hash: u64) -> Note {
        Note { file: file.to_owned(), hash }
    }

    #[test]
    fn what_was_written_down_is_read_while_nothing_has_changed() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("note");
        assert_eq!(note(&file, 1).read(), None);
        for found in [Ok(()), Err("it has ended".to_owned())] {
            note(&file, 1).write(&found).unwrap();
            assert_eq!(note(&file, 1).read(), Some(found));
            assert_eq!(note(&file, 2).read(), None, "another boot, or another program");
        }
    }

    #[test]
    fn a_failure_is_believed_for_ten_minutes() {
        let directory = tempfile::tempdir().unwrap();
        let note = note(&directory.path().join("note"), 1);
        for (found, later) in [(Ok(()), Some(Ok(()))), (Err("no memory".to_owned()), None)] {
            note.write(&found).unwrap();
            let file = fs::File::options().append(true).open(&note.file).unwrap();
            file.set_modified(std::time::SystemTime::now() - BELIEVED).unwrap();
            assert_eq!(note.read(), later);
        }
    }
}
