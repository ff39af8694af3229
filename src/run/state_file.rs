//! The state file: what a gateway knew, for the one that is started after it.
//!
//! ```text
//!   transload state 1 SHA-256-OF-THE-REST
//!   { "written": .., "peers": [..], "places": [..], "macs": N }
//!   N times 12 bytes: place (4), MAC address (6), age in seconds (2), in network order
//! ```
//!
//! It is written beside its place and then renamed, so that it is whole at any time.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;
use transload_encaps::Mac;

use super::record::unix_seconds;
use crate::rib::remembered::{Remembered, RememberedMac, RememberedPeer, RememberedPlace};

const MAGIC: &str = "transload state ";
const VERSION: u32 = 1;
const MAC_LEN: usize = 12;
/// A longer file was not written by a gateway that anybody runs: 64 million MAC addresses have room.
const LONGEST: u64 = 1 << 30;

/// What is written before the MAC addresses.
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    /// Seconds since 1970.
    written: u64,
    peers: Vec<RememberedPeer>,
    places: Vec<RememberedPlace>,
    macs: usize,
}

/// Why a state file is not used. The gateway starts without it.
#[derive(Debug, Error)]
pub(super) enum StateError {
    /// It cannot be read.
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
    /// Something else is in its place.
    #[error("it is no regular file")]
    NotAFile,
    /// Others may write to it.
    #[error("it belongs to user {0} or others may write to it: what it says cannot be trusted")]
    Untrusted(u32),
    /// It is too long.
    #[error("it is longer than {} MiB", LONGEST >> 20)]
    TooLong,
    /// It is something else.
    #[error("it is no state file of transload")]
    Foreign,
    /// Another transload has written it.
    #[error("it is of version {0}, and this transload reads version {VERSION}")]
    Version(String),
    /// Its contents are not what was written.
    #[error("it is damaged: its checksum does not match its contents")]
    Damaged,
}

/// Reads a state file; `None` if there is none. Returns what it says and how many seconds ago it was written. It may be
/// root's, our own, or that of `user`, whom a gateway may become.
///
/// # Errors
/// When it cannot be used.
pub(super) fn read(path: &Path, user: Option<u32>) -> Result<Option<(Remembered, u64)>, StateError> {
    // Without waiting for a writer, should it be a pipe.
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let found = file.metadata()?;
    let us = rustix::process::geteuid().as_raw();
    if !found.is_file() {
        return Err(StateError::NotAFile);
    }
    if found.mode() & 0o022 != 0 || ![Some(0), Some(us), user].contains(&Some(found.uid())) {
        return Err(StateError::Untrusted(found.uid()));
    }
    if found.len() > LONGEST {
        return Err(StateError::TooLong);
    }
    let mut bytes = Vec::new();
    file.take(LONGEST).read_to_end(&mut bytes)?;
    let (remembered, written) = decode(&bytes)?;
    // A clock that was set back is no reason to think that what is known is old.
    Ok(Some((remembered, unix_seconds().saturating_sub(written))))
}

/// Writes a state file, readable by its owner alone.
///
/// # Errors
/// When it cannot be written. What was there before is still there.
pub(super) fn write(path: &Path, remembered: &Remembered) -> io::Result<()> {
    let bytes = encode(remembered, unix_seconds());
    let beside = beside(path);
    let written = fill(&beside, &bytes).and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        // It may not have been made.
        let _ = fs::remove_file(&beside);
    }
    written
}

/// `gateway.state` is written as `.gateway.state.new`.
fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.new"))
}

fn fill(path: &Path, bytes: &[u8]) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        // One that a killed gateway left behind.
        _ => {}
    }
    let mut file: File = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    // Not waited for until it is on the disk: a machine that loses its power finds a damaged file, and starts without it.
    file.write_all(bytes)
}

fn encode(remembered: &Remembered, written: u64) -> Vec<u8> {
    let Remembered { peers, places, macs } = remembered;
    let head = Head { written, peers: peers.clone(), places: places.clone(), macs: macs.len() };
    // Texts and numbers always become JSON.
    let mut body = serde_json::to_vec(&head).unwrap_or_default();
    body.reserve(1 + macs.len() * MAC_LEN);
    body.push(b'\n');
    for RememberedMac { place, mac, age } in macs {
        body.extend(place.to_be_bytes());
        body.extend(mac.0);
        body.extend(age.to_be_bytes());
    }
    let mut bytes = format!("{MAGIC}{VERSION} {}\n", checksum(&body)).into_bytes();
    bytes.append(&mut body);
    bytes
}

fn decode(bytes: &[u8]) -> Result<(Remembered, u64), StateError> {
    let (first, body) = split_line(bytes).ok_or(StateError::Foreign)?;
    let first = str::from_utf8(first).ok().and_then(|line| line.strip_prefix(MAGIC)).ok_or(StateError::Foreign)?;
    let (version, sum) = first.split_once(' ').unwrap_or((first, ""));
    if version != VERSION.to_string() {
        let is_number = !version.is_empty() && version.len() < 10 && version.bytes().all(|byte| byte.is_ascii_digit());
        return Err(if is_number { StateError::Version(version.to_owned()) } else { StateError::Foreign });
    }
    if checksum(body) != sum {
        return Err(StateError::Damaged);
    }
    let (head, macs) = split_line(body).ok_or(StateError::Damaged)?;
    let Head { written, peers, places, macs: count } = serde_json::from_slice(head).map_err(|_| StateError::Damaged)?;
    let (macs, rest) = macs.as_chunks::<MAC_LEN>();
    if macs.len() != count || !rest.is_empty() {
        return Err(StateError::Damaged);
    }
    let macs = macs.iter().map(|&[p0, p1, p2, p3, m0, m1, m2, m3, m4, m5, a0, a1]| RememberedMac {
        place: u32::from_be_bytes([p0, p1, p2, p3]),
        mac: Mac([m0, m1, m2, m3, m4, m5]),
        age: u16::from_be_bytes([a0, a1]),
    });
    Ok((Remembered { peers, places, macs: macs.collect() }, written))
}

/// The first line, and what follows it.
fn split_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    Some((&bytes[..end], &bytes[end + 1..]))
}

fn checksum(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn known() -> Remembered {
        let place =
            |tenant: &str| RememberedPlace { tenant: tenant.into(), attachment: "leafs".into(), via: "ce\n".into() };
        let mac = |n: u8| RememberedMac { place: u32::from(n) % 2, mac: Mac([2, 0, 0, 0, 0, n]), age: 300 };
        Remembered {
            peers: vec![RememberedPeer {
                group: "leafs".into(),
                tenant: "red".into(),
                address: "2001:db8::7".parse().unwrap(),
            }],
            places: vec![place("blue"), place("red")],
            macs: (0..5).map(mac).collect(),
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("gateway.state");
        assert!(read(&path, None).unwrap().is_none());
        for known in [Remembered::default(), known()] {
            write(&path, &known).unwrap();
            let (read, ago) = read(&path, None).unwrap().unwrap();
            assert_eq!(read, known);
            assert!(ago < 3600);
        }
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn a_file_of_another_version_is_refused_in_words() {
        let newer = String::from_utf8_lossy(&encode(&Remembered::default(), 0)).replace("state 1 ", "state 2 ");
        let error = decode(newer.as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), "it is of version 2, and this transload reads version 1");
    }

    #[test]
    fn every_damage_is_noticed() {
        let whole = encode(&known(), 1_700_000_000);
        assert!(decode(&whole).is_ok());
        for len in 0..whole.len() {
            assert!(decode(&whole[..len]).is_err(), "cut after {len} bytes");
        }
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            assert!(decode(&changed).is_err(), "byte {at} changed");
        }
        assert!(matches!(decode(b"\x7fELF and so on\n"), Err(StateError::Foreign)));
        assert!(matches!(decode(&[whole, vec![0]].concat()), Err(StateError::Damaged)));
    }

    #[test]
    fn what_others_may_have_written_is_not_believed_and_a_pipe_not_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("gateway.state");
        write(&path, &known()).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o622)).unwrap();
        assert!(matches!(read(&path, None), Err(StateError::Untrusted(_))));
        fs::remove_file(&path).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
        assert!(matches!(read(&path, None), Err(StateError::NotAFile)));
        assert!(matches!(read(directory.path(), None), Err(StateError::NotAFile)));
    }

    #[test]
    fn what_the_user_wrote_whom_the_gateway_becomes_is_believed() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("gateway.state");
        write(&path, &known()).unwrap();
        std::os::unix::fs::chown(&path, Some(65534), None).unwrap();
        assert!(matches!(read(&path, None), Err(StateError::Untrusted(65534))));
        assert!(matches!(read(&path, Some(1)), Err(StateError::Untrusted(65534))));
        assert_eq!(read(&path, Some(65534)).unwrap().unwrap().0, known());
    }

    #[test]
    fn what_cannot_be_written_leaves_what_was_there() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("gateway.state");
        write(&path, &known()).unwrap();
        fs::create_dir(beside(&path)).unwrap();
        write(&path, &Remembered::default()).unwrap_err();
        assert_eq!(read(&path, None).unwrap().unwrap().0, known());
    }
}
