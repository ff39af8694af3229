//! The gateway's own directory, where its admin socket, its locks and its state are: nobody else may write there.

use std::fs::{self, DirBuilder};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, lchown};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use rustix::process::Pid;

/// The system's place for gateways. Only root makes directories beside it, so that whoever owns it has it from root.
pub const SYSTEM: &str = "/run/transload";

/// The directories that may be it, in order of preference: the system's place, the user's, a temporary one.
#[must_use]
pub fn usual_directories() -> Vec<PathBuf> {
    let user = rustix::process::geteuid();
    let is_given = || fs::symlink_metadata(SYSTEM).is_ok_and(|found| found.uid() == user.as_raw());
    let system = (user.is_root() || is_given()).then(|| PathBuf::from(SYSTEM));
    let session = std::env::var_os("XDG_RUNTIME_DIR").map(|directory| PathBuf::from(directory).join("transload"));
    let temporary = std::env::temp_dir().join(format!("transload-{}", user.as_raw()));
    system.into_iter().chain(session).chain([temporary]).collect()
}

/// The first of them that is ours or can be made.
///
/// # Errors
/// When there is none; the error is about the last.
pub fn own_directory() -> io::Result<PathBuf> {
    let mut last = io::Error::from(ErrorKind::NotFound);
    for directory in usual_directories() {
        match make(&directory) {
            Ok(()) => return Ok(directory),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Makes such a directory, for its owner alone, or finds it ours.
///
/// # Errors
/// When it cannot be made, or is not ours alone.
pub fn make(directory: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(directory) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        made => made?,
    }
    take_back(directory);
    examine(directory).map_err(|why| io::Error::new(ErrorKind::PermissionDenied, why))
}

/// Makes the system's place root's again, which a gateway that became another user had for itself, and has left.
fn take_back(directory: &Path) {
    if rustix::process::geteuid().is_root() && directory == Path::new(SYSTEM) && live_sockets(directory).is_empty() {
        // If it is refused, `examine` or whoever writes there says so.
        let _ = lchown(directory, Some(0), Some(0));
    }
}

/// The admin sockets in a directory that a gateway answers on.
#[must_use]
pub fn live_sockets(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten();
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let is_live = |path: &PathBuf| path.extension().is_some_and(|it| it == "sock") && UnixStream::connect(path).is_ok();
    paths.filter(is_live).collect()
}

/// Looks whether a directory is ours alone to write to.
///
/// # Errors
/// Why it is not, in words; also when there is none.
pub fn examine(directory: &Path) -> Result<(), String> {
    let name = directory.display();
    // Where a link leads to is up to whoever made it.
    let found = fs::symlink_metadata(directory).map_err(|error| format!("{name}: {error}"))?;
    let us = rustix::process::geteuid().as_raw();
    if !found.is_dir() {
        Err(format!("{name} is no directory"))
    } else if found.uid() != us && directory != Path::new(SYSTEM) {
        Err(format!("{name} belongs to user {}, not to user {us}", found.uid()))
    } else if found.mode() & 0o022 != 0 {
        Err(format!("others may write to {name}: `chmod go-w {name}`"))
    } else {
        Ok(())
    }
}

/// What tells this network namespace from others, as long as it exists.
///
/// # Errors
/// Without /proc.
pub fn network_namespace() -> io::Result<u64> {
    Ok(fs::metadata("/proc/thread-self/ns/net")?.ino())
}

/// Whether a process is in our network namespace.
///
/// # Errors
/// When the process is gone, or another user's whom we may not look at.
pub fn is_here(process: Pid) -> io::Result<bool> {
    let theirs = fs::metadata(format!("/proc/{}/ns/net", process.as_raw_nonzero()))?.ino();
    Ok(theirs == network_namespace()?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_directory_that_others_may_write_to_or_have_made_is_not_ours() {
        let place = tempfile::tempdir().unwrap();
        let directory = place.path().join("transload");
        make(&directory).unwrap();
        make(&directory).unwrap();
        assert_eq!(fs::metadata(&directory).unwrap().permissions().mode() & 0o777, 0o700);
        for (mode, is_ours) in [(0o755, true), (0o775, false), (0o1777, false)] {
            fs::set_permissions(&directory, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(make(&directory).is_ok(), is_ours, "{mode:o}");
        }
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o700)).unwrap();
        let link = place.path().join("link");
        symlink(&directory, &link).unwrap();
        assert!(examine(&link).unwrap_err().contains("no directory"));
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(&directory, Some(65534), None).unwrap();
            assert!(examine(&directory).unwrap_err().contains("belongs to user 65534, not to user 0"));
        }
    }
}
