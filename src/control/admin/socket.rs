//! The Unix socket that a running gateway answers on: ours alone while we run, and gone afterwards.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use rustix::fs::Mode;
use thiserror::Error;

/// Where a gateway listens that was told nothing else.
pub const DEFAULT: &str = "/run/transload/admin.sock";

/// The socket, which is removed when this is dropped.
#[derive(Debug)]
pub struct AdminSocket {
    path: PathBuf,
}

/// Why there is no admin socket.
#[derive(Debug, Error)]
pub enum AdminSocketError {
    /// Another gateway answers.
    #[error("another gateway answers on {}: give this one a socket of its own (`admin:` in the file, or --admin PATH)", .0.display())]
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
        match fs::symlink_metadata(path) {
            Ok(found) if !found.file_type().is_socket() => return Err(AdminSocketError::NotASocket(path.to_owned())),
            Ok(_) if UnixStream::connect(path).is_ok() => return Err(AdminSocketError::Live(path.to_owned())),
            Ok(_) => fs::remove_file(path).map_err(failed)?,
            Err(error) if error.kind() == ErrorKind::NotFound => make_directory(path).map_err(failed)?,
            Err(error) => return Err(failed(error)),
        }
        // The mask, so that there is no moment in which others may connect.
        let mask = rustix::process::umask(Mode::RWXG | Mode::RWXO | Mode::XUSR);
        let listener = UnixListener::bind(path);
        rustix::process::umask(mask);
        let listener = listener.map_err(failed)?;
        let socket = Self { path: path.to_owned() };
        listener.set_nonblocking(true).map_err(failed)?;
        Ok((socket, listener))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for AdminSocket {
    fn drop(&mut self) {
        // If it is gone already, nothing is left to do.
        let _ = fs::remove_file(&self.path);
    }
}

fn make_directory(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => fs::create_dir_all(parent),
        _ => Ok(()),
    }
}
