//! At most one gateway serves an endpoint, or the tags of a device, in one network namespace: two would each deliver
//! every frame.
//!
//! A claim is a lock on a file in the gateway's own directory, where nobody else can make or lock one. The kernel takes
//! it back when the process ends, however it ends.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use crate::admin::directory::{self, network_namespace, own_directory, usual_directories};

/// What this gateway serves and no other may, until it is dropped.
#[derive(Debug, Default)]
pub struct Exclusive(HashMap<String, Lock>);

/// A locked file, which is removed when this is dropped.
#[derive(Debug)]
struct Lock {
    path: PathBuf,
    _file: File,
}

impl Exclusive {
    /// Claims something by its name; false when another gateway has it. What is ours already stays so.
    ///
    /// # Errors
    /// When there is no directory of our own, or no file can be made there.
    pub fn claim(&mut self, what: &str) -> io::Result<bool> {
        if self.0.contains_key(what) {
            return Ok(true);
        }
        let path = own_directory()?.join(name(what)?);
        let lock = Lock::take(path)?;
        let is_ours = lock.is_some();
        self.0.extend(lock.map(|lock| (what.to_owned(), lock)));
        Ok(is_ours)
    }

    /// Whether a gateway serves this now. Nothing is changed.
    #[must_use]
    pub fn is_claimed(what: &str) -> bool {
        let Ok(name) = name(what) else { return false };
        usual_directories().iter().any(|directory| is_held(directory, &name))
    }

    /// Removes the locks of gateways of this network namespace that were killed.
    pub fn remove_abandoned() {
        let (Ok(directory), Ok(namespace)) = (own_directory(), network_namespace()) else { return };
        remove_abandoned(&directory, &format!("{namespace}:"));
    }

    /// Lets go of what is not among these.
    pub fn keep(&mut self, wanted: &[String]) {
        self.0.retain(|what, _| wanted.contains(what));
    }
}

/// `4026531840:endpoint:192.0.2.1.lock`: no name of a device or address has a space or a slash in it.
fn name(what: &str) -> io::Result<String> {
    Ok(format!("{}:{}.lock", network_namespace()?, what.replace(' ', ":")))
}

impl Lock {
    /// Takes the lock; `None` when another process has it.
    fn take(path: PathBuf) -> io::Result<Option<Self>> {
        loop {
            let file = careful().write(true).create(true).truncate(false).mode(0o600).open(&path)?;
            match file.try_lock() {
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(error),
                // Whoever had it may have removed it just before; then it is a lock on nothing.
                Ok(()) if is_at(&file, &path)? => return Ok(Some(Self { path, _file: file })),
                Ok(()) => {}
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // While it is locked, so that nobody else's is removed.
        let _ = fs::remove_file(&self.path);
    }
}

/// Removes the locks that begin like this and that nobody holds.
fn remove_abandoned(directory: &Path, beginning: &str) {
    let entries = fs::read_dir(directory).into_iter().flatten().filter_map(Result::ok);
    for path in entries.map(|entry| entry.path()) {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.starts_with(beginning) && path.extension().is_some_and(|extension| extension == "lock") {
            drop(Lock::take(path));
        }
    }
}

/// Whether somebody holds a lock in this directory. Where anybody may make files, theirs say nothing.
fn is_held(directory: &Path, name: &str) -> bool {
    let is_held = |file: File| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock));
    directory::examine(directory).is_ok() && careful().read(true).open(directory.join(name)).is_ok_and(is_held)
}

/// Opens what is there itself: no link is followed, and nobody waited for, should it be a pipe.
fn careful() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.custom_flags((OFlags::NONBLOCK | OFlags::NOFOLLOW).bits().cast_signed());
    options
}

fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(found) => Ok((found.dev(), found.ino()) == { file.metadata().map(|ours| (ours.dev(), ours.ino()))? }),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    #[test]
    fn a_claim_is_ones_own_until_it_is_dropped() {
        let what = format!("test {}", std::process::id());
        let (mut one, mut other) = (Exclusive::default(), Exclusive::default());
        assert!(one.claim(&what).unwrap());
        assert!(!other.claim(&what).unwrap());
        assert!(Exclusive::is_claimed(&what));
        drop(one);
        assert!(!Exclusive::is_claimed(&what));
        assert!(other.claim(&what).unwrap());
        let path = other.0[&what].path.clone();
        drop(other);
        assert!(!path.exists(), "nothing is left behind");
    }

    #[test]
    fn locks_that_nobody_holds_are_removed_in_ones_own_namespace() {
        let directory = tempfile::tempdir().unwrap();
        let [held, abandoned, elsewhere, other] = ["1:held.lock", "1:abandoned.lock", "11:elsewhere.lock", "1:a.state"]
            .map(|name| directory.path().join(name));
        let _lock = Lock::take(held.clone()).unwrap().unwrap();
        for path in [&abandoned, &elsewhere, &other] {
            fs::write(path, "").unwrap();
        }
        remove_abandoned(directory.path(), "1:");
        assert!(held.exists() && !abandoned.exists() && elsewhere.exists() && other.exists());
    }

    #[test]
    fn a_lock_on_a_file_that_was_removed_is_none() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let file = File::create(&path).unwrap();
        assert!(is_at(&file, &path).unwrap());
        fs::remove_file(&path).unwrap();
        assert!(!is_at(&file, &path).unwrap());
        fs::write(&path, "").unwrap();
        assert!(!is_at(&file, &path).unwrap(), "another file of the same name");
    }

    #[test]
    fn what_others_may_have_put_in_a_locks_place_is_neither_believed_nor_waited_for() {
        let place = tempfile::tempdir().unwrap();
        let chmod = |mode| fs::set_permissions(place.path(), fs::Permissions::from_mode(mode)).unwrap();
        let [held, pipe, link] = ["held", "pipe", "link"].map(|name| place.path().join(name));
        let _lock = Lock::take(held.clone()).unwrap().unwrap();
        mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        symlink(&held, &link).unwrap();
        chmod(0o777);
        assert!(!is_held(place.path(), "held") && !is_held(place.path(), "pipe"));
        chmod(0o700);
        assert!(is_held(place.path(), "held"));
        assert!(!is_held(place.path(), "pipe") && !is_held(place.path(), "link"));
        Lock::take(pipe).unwrap_err();
        Lock::take(link).unwrap_err();
    }
}
