//! A release: what is unreleased in the changelog becomes a version, in a commit with a tag, from which the packages are
//! made. It stays on this machine until somebody pushes it.

use std::fs;
use std::process::Command;

use crate::package::changelog::{self, UNRELEASED};
use crate::package::{self, ARM64, Plan, git};
use crate::run;

const MANIFEST: &str = "Cargo.toml";
const CHANGELOG: &str = "CHANGELOG.md";
/// Where the versions of our own crates are written down besides.
const LOCKS: &[&str] = &["Cargo.lock", "fuzz/Cargo.lock"];

/// Makes the release, or says only what stands in its way. If packages fail, the commit is there without a tag: mend
/// what is wrong, commit it, and release the same version again.
pub(crate) fn make(version: &str, dry: bool) -> Result<(), String> {
    std::env::set_current_dir(package::root()).map_err(|error| error.to_string())?;
    let manifest = read(MANIFEST)?;
    let log = read(CHANGELOG)?;
    let current = version_in(&manifest).ok_or(format!("{MANIFEST} has no version"))?;
    let is_written = current == version && changelog::entries(&log).iter().any(|entry| entry.version == version);
    let obstacles = obstacles(version, current, &log, is_written);
    if !obstacles.is_empty() {
        return Err(format!("{version} cannot be released:\n    {}", obstacles.join("\n    ")));
    }
    if dry {
        let written = if is_written { "is written down already" } else { "would be written down and committed" };
        eprintln!("{version} {written}; packages would be made of it, then the tag v{version}. Nothing was changed.");
        return Ok(());
    }
    if !is_written {
        let today = run::told(Command::new("date").args(["-u", "+%F"]))?;
        write(CHANGELOG, &changelog::released(&log, version, &today))?;
        write(MANIFEST, &manifest.replacen(&line_of(current), &line_of(version), 1))?;
        let main_lock = read(LOCKS[0])?;
        let ours = own_crates(&main_lock);
        for lock in LOCKS {
            write(lock, &bumped(&read(lock)?, &ours, version))?;
        }
        git(&[&["commit", "--quiet", "--message", &format!("transload {version}"), "--", MANIFEST, CHANGELOG], LOCKS]
            .concat())?;
    }
    let plan = Plan { release: Some(version), ..Plan::default() };
    package::make(&Plan { test: true, ..plan })?;
    package::make(&Plan { target: Some(ARM64), ..plan })?;
    let tag = format!("v{version}");
    git(&["tag", "--annotate", "--message", &format!("transload {version}"), &tag])?;
    eprintln!("{tag} is made, and its packages are in target/debian. `git push origin HEAD {tag}` publishes it.");
    Ok(())
}

/// Everything that stands in the way of a release.
fn obstacles(version: &str, current: &str, log: &str, is_written: bool) -> Vec<String> {
    let mut found = Vec::new();
    match (order(version), order(current)) {
        (None, _) => found.push(format!("`{version}` is no version like 1.2.3 or 1.2.3-rc.1")),
        (Some(new), Some(old)) if new < old => {
            found.push(format!("the version in {MANIFEST} is {current}, a later one"));
        }
        _ => {}
    }
    if git(&["rev-parse", "--verify", "--quiet", &format!("refs/tags/v{version}")]).is_ok() {
        found.push(format!("the tag v{version} is there already"));
    }
    match git(&["status", "--porcelain"]) {
        Ok(changes) if changes.is_empty() => {}
        Ok(changes) => found.push(format!("the tree has changes that are not committed:\n{changes}")),
        Err(error) => found.push(error),
    }
    let unreleased = changelog::entries(log).into_iter().find(|entry| entry.version == UNRELEASED);
    if !is_written && unreleased.is_none_or(|entry| entry.text.is_empty()) {
        found.push(format!("{CHANGELOG} has nothing under [{UNRELEASED}]"));
    }
    found
}

/// What versions are ordered by: the numbers, whether it is no pre-release, and the pre-release's parts, of which numbers
/// come before words (Semantic Versioning 2.0.0 §11).
type Order<'a> = ([u32; 3], bool, Vec<(bool, u32, &'a str)>);

fn order(version: &str) -> Option<Order<'_>> {
    let (numbers, before) =
        version.split_once('-').map_or((version, None), |(numbers, before)| (numbers, Some(before)));
    let number = |text: &str| text.chars().all(|c| c.is_ascii_digit()).then(|| text.parse().ok()).flatten();
    let numbers: Vec<u32> = numbers.split('.').map(number).collect::<Option<_>>()?;
    let part = |part| match number(part) {
        Some(number) => Some((false, number, "")),
        None if !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric()) => Some((true, 0, part)),
        None => None,
    };
    let parts = before.map(|before| before.split('.').map(part).collect::<Option<_>>());
    let is_final = parts.is_none();
    Some((numbers.try_into().ok()?, is_final, parts.unwrap_or(Some(Vec::new()))?))
}

fn line_of(version: &str) -> String {
    format!("\nversion = \"{version}\"\n")
}

/// The workspace's version, which is the first in its manifest.
fn version_in(manifest: &str) -> Option<&str> {
    manifest.lines().find_map(|line| line.strip_prefix("version = \""))?.strip_suffix('"')
}

/// The crates of a lock file that come from nowhere else.
fn own_crates(lock: &str) -> Vec<&str> {
    let ours = lock.split("[[package]]").filter(|block| !block.contains("\nsource = "));
    ours.filter_map(|block| block.lines().find_map(|line| line.strip_prefix("name = "))).collect()
}

/// The lock file with our own crates in this version.
fn bumped(lock: &str, ours: &[&str], version: &str) -> String {
    let block = |block: &str| {
        let is_ours = ours.iter().any(|name| block.starts_with(&format!("\nname = {name}\n")));
        match version_in(block) {
            Some(old) if is_ours => block.replacen(&line_of(old), &line_of(version), 1),
            _ => block.to_owned(),
        }
    };
    lock.split("[[package]]").map(block).collect::<Vec<_>>().join("[[package]]")
}

fn read(file: &str) -> Result<String, String> {
    fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))
}

fn write(file: &str, text: &str) -> Result<(), String> {
    fs::write(file, text).map_err(|error| format!("{file}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_have_an_order() {
        let ordered = ["0.1.0-alpha", "0.1.0-rc.9", "0.1.0-rc.10", "0.1.0", "0.1.10", "1.0.0"];
        assert!(ordered.windows(2).all(|pair| order(pair[0]) < order(pair[1])));
        for wrong in ["", "1", "1.2", "1.2.3.4", "v1.2.3", "1.2.x", "1.2.3-", "1.2.3+4", "1.2.3-a b"] {
            assert_eq!(order(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn only_our_own_crates_get_the_version() {
        let lock = |ours: &str| {
            format!(
                "version = 4\n\n[[package]]\nname = \"other\"\nversion = \"0.1.0\"\nsource = \"registry\"\n\n[[package]]\n\
                 name = \"transload\"\nversion = \"{ours}\"\ndependencies = [\n \"other\",\n]\n"
            )
        };
        let old = lock("0.1.0");
        assert_eq!(own_crates(&old), ["\"transload\""]);
        assert_eq!(bumped(&old, &own_crates(&old), "0.2.0"), lock("0.2.0"));
    }

    #[test]
    fn the_manifest_has_the_version_of_this_crate() {
        let manifest = fs::read_to_string(package::root().join(MANIFEST)).unwrap();
        assert_eq!(version_in(&manifest), Some(env!("CARGO_PKG_VERSION")));
    }

    #[test]
    fn an_empty_changelog_stands_in_the_way() {
        let of = |log: &str, version: &str| obstacles(version, "0.1.0", log, false).join("\n");
        assert!(of("\n## [Unreleased]\n\n## [0.1.0] - 2026-11-30\n\n- One.\n", "0.2.0").contains("nothing under"));
        let log = "\n## [Unreleased]\n\n- One.\n";
        assert!(!of(log, "0.2.0").contains("nothing under"));
        assert!(of(log, "0.0.9").contains("a later one"));
        assert!(of(log, "0.2").contains("no version like"));
    }
}
