//! The Unix socket that a running gateway answers on: ours alone while we run, and gone afterwards.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, lchown};
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, Mode, OFlags};
use rustix::net::sockopt::socket_peercred;
use thiserror::Error;

use super::directory::{self, SYSTEM, is_here, live_sockets, usual_directories};

/// The name of the admin socket of the first gateway of a machine.
pub const NAME: &str = "admin.sock";

/// The socket, which is removed when this is dropped.
#[derive(Debug)]
pub struct AdminSocket {
    path: PathBuf,
    /// Which file it is, by device and number: another gateway may have put its own in the place since.
    file: Option<(u64, u64)>,
    /// Keeps that number from being given to another file.
    _held: Option<File>,
}

/// Why there is no admin socket.
#[derive(Debug, Error)]
pub enum AdminSocketError {
    /// Another gateway answers on this path.
    #[error("another gateway answers on {}: give this one a socket of its own (`admin:` in the file, or --admin PATH), or have it take the other's place (`transload run --replace FILE`)", .0.display())]
    Live(PathBuf),
    /// The path is taken by something else.
    #[error("{} exists and is no socket: give the gateway another path (`admin:` in the file, or --admin PATH)", .0.display())]
    NotASocket(PathBuf),
    /// It cannot be made.
    #[error("cannot listen on {}: {}; give the gateway a path it may write to (`admin:` in the file, or --admin PATH)", .0.display(), .1)]
    Io(PathBuf, io::Error),
}

impl AdminSocket {
    /// Listens on this path, for the owner of this process alone. A socket that nobody answers on any more is
    /// replaced; its directory is made.
    ///
    /// # Errors
    /// When another gateway answers there, or the path cannot be used.
    pub fn bind(path: &Path) -> Result<(Self, UnixListener), AdminSocketError> {
        let failed = |error| AdminSocketError::Io(path.to_owned(), error);
        Self::examine(path)?;
        make_directory(path).map_err(failed)?;
        match fs::remove_file(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            removed => removed.map_err(failed)?,
        }
        // The mask, so that there is no moment in which others may connect.
        let mask = rustix::process::umask(Mode::RWXG | Mode::RWXO | Mode::XUSR);
        let listener = UnixListener::bind(path);
        rustix::process::umask(mask);
        let listener = listener.map_err(failed)?;
        let socket = Self { path: path.to_owned(), file: file_at(path), _held: hold(path) };
        listener.set_nonblocking(true).map_err(failed)?;
        Ok((socket, listener))
    }

    /// Looks whether a gateway could listen on this path. Nothing is changed.
    ///
    /// # Errors
    /// When another gateway answers there, or the path cannot be used.
    pub fn examine(path: &Path) -> Result<(), AdminSocketError> {
        let failed = |error| AdminSocketError::Io(path.to_owned(), error);
        SocketAddr::from_pathname(path).map_err(failed)?;
        match fs::symlink_metadata(path) {
            Ok(found) if !found.file_type().is_socket() => Err(AdminSocketError::NotASocket(path.to_owned())),
            Ok(_) if is_live(path) => Err(AdminSocketError::Live(path.to_owned())),
            Ok(_) => Ok(()),
            Err(error) if error.kind() == ErrorKind::NotFound => place_for(path).map_err(failed),
            Err(error) => Err(failed(error)),
        }
    }

    /// Listens where `show` looks unless told otherwise. The first gateway of a machine gets the plain name, further
    /// ones a name with their process number.
    ///
    /// # Errors
    /// When no usual directory can be used.
    pub fn bind_usual() -> Result<(Self, UnixListener), AdminSocketError> {
        let mut last = None;
        for directory in usual_directories() {
            let numbered = numbered(std::process::id());
            let bound = match Self::bind(&directory.join(NAME)) {
                Err(AdminSocketError::Live(_)) => Self::bind(&directory.join(numbered)),
                Err(error) => {
                    last = Some(error);
                    continue;
                }
                socket => socket,
            };
            remove_abandoned(&directory);
            return bound;
        }
        Err(last.unwrap_or_else(|| AdminSocketError::Io(NAME.into(), ErrorKind::NotFound.into())))
    }

    /// Gives the socket to another user, and the directory too if it is the system's place and no other gateway has its
    /// socket there.
    ///
    /// # Errors
    /// When the system refuses it.
    pub fn hand_over(&self, uid: u32, gid: u32) -> io::Result<()> {
        lchown(&self.path, Some(uid), Some(gid))?;
        match self.path.parent() {
            Some(directory) if directory == Path::new(SYSTEM) && live_sockets(directory) == [self.path.clone()] => {
                lchown(directory, Some(uid), Some(gid))
            }
            _ => Ok(()),
        }
    }

    /// The path of the socket.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for AdminSocket {
    fn drop(&mut self) {
        if self.file.is_some() && file_at(&self.path) == self.file {
            // If it is gone already, nothing is left to do.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// The sockets in the usual directories that a gateway answers on, of our own user; of those, only the ones of our own
/// network namespace, if there are any. And what is not believed there, in words.
#[must_use]
pub fn running() -> (Vec<PathBuf>, Vec<String>) {
    let (mut live, mut refused) = (Vec::new(), Vec::new());
    for directory in usual_directories().into_iter().filter(|directory| fs::symlink_metadata(directory).is_ok()) {
        if let Err(why) = directory::examine(&directory) {
            refused.push(why);
            continue;
        }
        for path in live_sockets(&directory) {
            match stranger(&path, None) {
                None => live.push(path),
                Some(user) => refused.push(format!("{} is of user {user}", path.display())),
            }
        }
    }
    live.sort_unstable();
    let here: Vec<_> = live.iter().filter(|path| answers_here(path)).cloned().collect();
    (if here.is_empty() { live } else { here }, refused)
}

/// Whether the process that listens on a socket is in our network namespace; false where that cannot be told.
#[must_use]
pub fn answers_here(path: &Path) -> bool {
    let listener = UnixStream::connect(path).and_then(|stream| Ok(socket_peercred(&stream)?.pid));
    listener.and_then(is_here).unwrap_or(false)
}

/// The user behind a socket, if it is one whom we do not believe: who answers on it or owns it is neither root, nor
/// ourselves, nor the owner of [`SYSTEM`], nor `user`. On a socket of their own, anybody may answer anything.
#[must_use]
pub fn stranger(path: &Path, user: Option<u32>) -> Option<u32> {
    let owner_of = |path: &Path| fs::symlink_metadata(path).map(|found| found.uid()).ok();
    let listener = UnixStream::connect(path).and_then(|stream| Ok(socket_peercred(&stream)?.uid.as_raw())).ok();
    let system = path.parent().filter(|directory| *directory == Path::new(SYSTEM)).and_then(owner_of);
    let believed = [Some(0), Some(rustix::process::geteuid().as_raw()), system, user];
    [listener, owner_of(path)].into_iter().flatten().find(|user| !believed.contains(&Some(*user)))
}

/// The name of the admin socket of a further gateway of a machine.
fn numbered(process: u32) -> String {
    format!("admin-{process}.sock")
}

/// Removes the sockets of further gateways that were killed: whose process is gone, and which nobody answers on.
fn remove_abandoned(directory: &Path) {
    let entries = fs::read_dir(directory).into_iter().flatten().filter_map(Result::ok);
    for path in entries.map(|entry| entry.path()) {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let process = name.strip_prefix("admin-").and_then(|name| name.strip_suffix(".sock")?.parse::<u32>().ok());
        if process.is_some_and(|process| !Path::new(&format!("/proc/{process}")).exists()) && !is_live(&path) {
            // Somebody else may be as tidy.
            let _ = fs::remove_file(&path);
        }
    }
}

fn file_at(path: &Path) -> Option<(u64, u64)> {
    fs::symlink_metadata(path).ok().map(|found| (found.dev(), found.ino()))
}

/// A descriptor of what is there, which can do nothing but be there.
fn hold(path: &Path) -> Option<File> {
    let flags = (OFlags::PATH | OFlags::NOFOLLOW).bits().cast_signed();
    OpenOptions::new().read(true).custom_flags(flags).open(path).ok()
}

fn is_live(path: &Path) -> bool {
    UnixStream::connect(path).is_ok()
}

/// Whether the directories that a path needs are there, or may be made.
fn place_for(path: &Path) -> io::Result<()> {
    let above = path.ancestors().skip(1).find(|directory| directory.exists());
    let Some(above) = above.filter(|above| !above.as_os_str().is_empty()) else { return Ok(()) };
    rustix::fs::access(above, Access::WRITE_OK | Access::EXEC_OK)?;
    if above.is_dir() { Ok(()) } else { Err(ErrorKind::NotADirectory.into()) }
}

fn make_directory(path: &Path) -> io::Result<()> {
    let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) else { return Ok(()) };
    // In a directory of somebody else's making, that somebody could put another socket in our place.
    if usual_directories().iter().any(|usual| usual == parent) {
        return directory::make(parent);
    }
    DirBuilder::new().recursive(true).mode(0o755).create(parent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ones_own_socket_is_removed_at_the_end() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(NAME);
        let (first, listener) = AdminSocket::bind(&path).unwrap();
        drop(listener);
        let (second, _listener) = AdminSocket::bind(&path).unwrap();
        drop(first);
        assert!(is_live(&path), "the second one's is still there");
        drop(second);
        assert!(!path.exists());
    }

    #[test]
    fn sockets_of_gateways_that_were_killed_are_removed() {
        let directory = tempfile::tempdir().unwrap();
        let in_it = |name: &str| directory.path().join(name);
        // No process has a number that high (proc_sys_kernel(5): pid_max is 2^22 at most).
        let [abandoned, answering, ours, other] =
            [numbered(5_000_000), numbered(5_000_001), numbered(std::process::id()), "mine.sock".to_owned()]
                .map(|name| in_it(&name));
        for path in [&abandoned, &ours, &other] {
            drop(UnixListener::bind(path).unwrap());
        }
        let _listener = UnixListener::bind(&answering).unwrap();
        remove_abandoned(directory.path());
        assert!(!abandoned.exists() && answering.exists() && ours.exists() && other.exists());
    }

    #[test]
    fn who_listens_in_this_network_namespace_answers_here() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(NAME);
        assert!(!answers_here(&path));
        let _listener = UnixListener::bind(&path).unwrap();
        assert!(answers_here(&path));
    }
}
