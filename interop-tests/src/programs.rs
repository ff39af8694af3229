//! Where cargo puts what it builds of this workspace.

use std::io;
use std::path::PathBuf;

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

/// A program of this crate.
///
/// # Errors
/// When it is not built.
pub fn beside(name: &str) -> io::Result<PathBuf> {
    let path = directory()?.join(name);
    if path.is_file() { Ok(path) } else { Err(io::Error::other(format!("the program `{name}` is not built"))) }
}
