//! Where programs are: those of the system, and what cargo builds of this workspace.

use std::io;
use std::path::{Path, PathBuf};

/// The directory of the profile that this program was built in.
///
/// # Errors
/// When this program is not where cargo put it.
pub fn directory() -> io::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let beside = own.parent().ok_or_else(|| io::Error::other("this program has no directory"))?;
    // Tests are one directory deeper.
    let is_deps = beside.file_name().is_some_and(|name| name == "deps");
    Ok(if is_deps { beside.parent().unwrap_or(beside) } else { beside }.to_owned())
}

/// A program of this workspace.
///
/// # Errors
/// When it is not built.
pub fn beside(name: &str) -> io::Result<PathBuf> {
    let path = directory()?.join(name);
    if path.is_file() { Ok(path) } else { Err(io::Error::other(format!("the program `{name}` is not built"))) }
}

/// Where a program is, also when it is one of the administrator's and the path names only the users'.
#[must_use]
pub fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let sbin = ["/usr/sbin", "/sbin", "/usr/local/sbin"].map(|dir| Path::new(dir).to_owned());
    std::env::split_paths(&path).chain(sbin).map(|dir| dir.join(name)).find(|path| path.is_file())
}
