//! Reads the text of a configuration: from regular files, and no more than a bounded amount.
//!
//! What a path names may have become anything, such as a FIFO that nobody writes to or a device without an end, and
//! neither a gateway that reloads nor `check` may wait for it or fill its memory with it.

use std::fmt::Display;
use std::fs::{FileType, OpenOptions, metadata};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;

/// Most bytes of a configuration, all its files together.
pub(super) const MOST: usize = 64 << 20;

/// The text of a file, or why there is none. `already` is how many bytes the configuration has besides.
pub(super) fn of_file(path: &Path, already: usize) -> Result<String, String> {
    let text = open(path).and_then(|file| bounded(file, already));
    text.map_err(|why| format!("cannot read {}: {why}", path.display()))
}

/// The text of standard input, or why there is none.
pub(super) fn of_standard_input() -> Result<String, String> {
    bounded(io::stdin(), 0).map_err(|why| format!("cannot read standard input: {why}"))
}

fn open(path: &Path) -> Result<impl Read, String> {
    // Looked at beforehand, since opening some devices is using them; and afterwards, since it may be another by then.
    is_regular(metadata(path).map_err(words)?.file_type())?;
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(words)?;
    is_regular(file.metadata().map_err(words)?.file_type())?;
    Ok(file)
}

fn is_regular(found: FileType) -> Result<(), String> {
    let kinds = [
        (found.is_dir(), "a directory"),
        (found.is_fifo(), "a FIFO"),
        (found.is_socket(), "a socket"),
        (found.is_char_device() || found.is_block_device(), "a device"),
    ];
    match kinds.into_iter().find(|(is_it, _)| *is_it) {
        Some((_, kind)) => Err(format!("it is {kind}, and a configuration is a regular file")),
        None => Ok(()),
    }
}

fn bounded(source: impl Read, already: usize) -> Result<String, String> {
    let room = MOST.saturating_sub(already);
    let mut bytes = Vec::new();
    source.take(room as u64 + 1).read_to_end(&mut bytes).map_err(words)?;
    if bytes.len() > room {
        return Err(format!("a configuration has {} MiB at most, all its files together", MOST >> 20));
    }
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".to_owned())
}

fn words(error: impl Display) -> String {
    error.to_string()
}
