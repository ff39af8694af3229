//! What a package and its program are called: the version in Cargo.toml, and the commit where git knows it.

use std::process::Command;

use super::root;
use crate::run;

/// The version in Cargo.toml, which all crates share.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What `transload --version` says: the version, and the commit unless nobody knows it.
pub(super) fn told(release: Option<&str>) -> String {
    let version = release.unwrap_or(VERSION);
    match git(&["describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]) {
        Ok(commit) => format!("{version} ({commit})"),
        Err(_) => version.to_owned(),
    }
}

/// The package's version. Commits before the version's tag are older than it, and those behind it newer, so that each
/// package can be upgraded to the next.
pub(super) fn debian(release: Option<&str>) -> Result<String, String> {
    let version = release.unwrap_or(VERSION);
    let upstream = version.replacen('-', "~", 1);
    let tag = format!("v{version}");
    let Ok(commit) = git(&["rev-parse", "--short", "HEAD"]) else { return Ok(format!("{upstream}-1")) };
    let is_tagged = git(&["rev-parse", "--verify", "--quiet", &format!("refs/tags/{tag}")]).is_ok();
    let since = if is_tagged { format!("{tag}..HEAD") } else { "HEAD".to_owned() };
    let commits = git(&["rev-list", "--count", &since])?;
    Ok(match (release, is_tagged, commits.as_str()) {
        (Some(_), ..) | (_, true, "0") => format!("{upstream}-1"),
        (None, true, _) => format!("{upstream}+{commits}.g{commit}-1"),
        (None, false, _) => format!("{upstream}~{commits}.g{commit}-1"),
    })
}

/// A version that is newer than this package's and older than whatever else is.
pub(super) fn next(version: &str) -> String {
    format!("{version}+next")
}

/// Who is named as the maintainer in Cargo.toml.
pub(super) fn maintainer() -> Result<String, String> {
    let manifest =
        std::fs::read_to_string(root().join("Cargo.toml")).map_err(|error| format!("Cargo.toml: {error}"))?;
    let line = manifest.lines().find_map(|line| line.strip_prefix("maintainer = "));
    line.map(|name| name.trim_matches('"').to_owned()).ok_or("Cargo.toml names no maintainer".to_owned())
}

pub(crate) fn git(arguments: &[&str]) -> Result<String, String> {
    run::told(Command::new("git").current_dir(root()).args(arguments))
}
