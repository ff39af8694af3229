//! The libraries that the program contains: their names, versions and licences, and the texts that the licences want to
//! be passed on.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::run;

/// What files with the text of a licence, or with names that it wants to be passed on, begin with.
const TEXTS: &[&str] = &["license", "licence", "copying", "copyright", "notice", "unlicense"];

/// All of them. Texts that several share come once.
pub(super) fn licences(target: Option<&str>) -> Result<String, String> {
    let wanted = names(target)?;
    let metadata = run::told(&mut run::cargo_command(&["metadata", "--format-version", "1", "--locked"]))?;
    let metadata: Value = serde_json::from_str(&metadata).map_err(|error| format!("cargo metadata: {error}"))?;
    let mut list = "The program contains these libraries:\n\n".to_owned();
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let field = |name: &str| package[name].as_str().unwrap_or_default();
        let name = format!("{} {}", field("name"), field("version"));
        // Those without a source are our own.
        if package["source"].is_null() || !wanted.contains(&name) {
            continue;
        }
        let _ = writeln!(list, "{name}: {} {}", field("license"), field("repository"));
        for text in texts_in(Path::new(field("manifest_path")).parent().unwrap_or(Path::new("."))) {
            texts.entry(text).or_default().push(name.clone());
        }
    }
    for (text, names) in texts {
        let _ = write!(list, "\n{}\n{}\n\n{text}\n", "-".repeat(80), names.join(", "));
    }
    Ok(list)
}

/// The names and versions of what is linked into the program.
fn names(target: Option<&str>) -> Result<BTreeSet<String>, String> {
    let mut cargo = run::cargo_command(&["tree", "--locked", "--package", "transload", "--edges", "normal"]);
    cargo.args(["--prefix", "none", "--format", "{p}"]);
    cargo.args(target.into_iter().flat_map(|target| ["--target", target]));
    let name = |line: &str| {
        let (name, version) = line.split_once(" v")?;
        Some(format!("{name} {}", version.split_whitespace().next()?))
    };
    Ok(run::told(&mut cargo)?.lines().filter_map(name).collect())
}

/// The texts beside a library's manifest.
fn texts_in(folder: &Path) -> Vec<String> {
    let mut files: Vec<_> = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    files.retain(|file| {
        let name = file.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        file.is_file() && TEXTS.iter().any(|text| name.starts_with(text))
    });
    files.sort();
    let text = |file| fs::read_to_string(file).ok().map(|text| text.replace('\r', "").trim().to_owned());
    files.into_iter().filter_map(text).collect()
}
