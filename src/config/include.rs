//! A configuration in several files: which ones `include` names, and what may stand in them.

use std::collections::HashSet;
use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};

use super::at::{At, Named, section};
use super::problem::Problem;
use super::source::{SourceText, Span};
use super::tree::{Node, Value};
use super::{
    File, Group, IdNumbers, Mapping, Offset, Peer, Tenant, check_version, profiles, reader, stars, text, tree,
};

/// The files to read besides: paths relative to the file that names them, whose last part may hold `*` and `?`.
#[derive(Debug, Clone)]
pub struct Include(pub Vec<String>);

impl<'de> Deserialize<'de> for Include {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Paths;

        impl<'de> Visitor<'de> for Paths {
            type Value = Include;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the path of a file such as tenants.d/*.yaml, or a list of paths")
            }

            fn visit_str<E: Error>(self, path: &str) -> Result<Include, E> {
                Ok(Include(vec![path.to_owned()]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Include, A::Error> {
                let mut paths = Vec::new();
                while let Some(path) = items.next_element()? {
                    paths.push(path);
                }
                Ok(Include(paths))
            }
        }

        deserializer.deserialize_any(Paths)
    }
}

impl JsonSchema for Include {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Include".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }] })
    }
}

/// What an included file may say; what belongs to the whole gateway stays in the first file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Part {
    version: Option<At<u64>>,
    #[serde(default, deserialize_with = "section")]
    peers: Named<Peer>,
    #[serde(default, deserialize_with = "section")]
    groups: Named<Group>,
    #[serde(default, deserialize_with = "section")]
    tenants: Named<Tenant>,
    #[serde(default, deserialize_with = "section")]
    patterns: Named<Tenant<IdNumbers<Offset>>>,
    #[serde(default, deserialize_with = "section")]
    mappings: Named<Mapping>,
}

/// What only the first file may say.
const OF_THE_FIRST: [&str; 11] =
    ["include", "ports", "endpoints", "fdb", "workers", "polling", "admin", "metrics", "state", "user", "seccomp"];

/// Takes out and reports what only the first file may say.
fn take_misplaced(root: &mut Node, source: &SourceText, problems: &mut Vec<Problem>) {
    let Value::Map(entries) = &mut root.value else { return };
    for (key, node) in entries.extract_if(.., |(key, _)| OF_THE_FIRST.contains(&key.text())) {
        let place = if node.span.start == node.span.end { key.span } else { node.span };
        let (message, help) = match key.text() {
            "include" => ("an included file cannot include others".to_owned(), "name them in"),
            section => (format!("`{section}` cannot stand in an included file"), "move it to"),
        };
        problems.push(Problem::error(source, place, message).help(format!("{help} {}", source.name())));
    }
}

/// Reads every file that `include` names into `file`; relative paths begin at `folder`.
pub(super) fn read(file: &mut File, folder: Option<&Path>, source: &mut SourceText, problems: &mut Vec<Problem>) {
    let Some((at, Include(patterns))) = file.include.as_ref().and_then(|at| Some((at.span, at.get()?.clone()))) else {
        return;
    };
    let Some(folder) = folder else {
        problems.push(Problem::error(source, at, "a configuration that is not a file cannot include others"));
        return;
    };
    let mut paths = Vec::new();
    let mut named = HashSet::new();
    for pattern in &patterns {
        match matches(folder, pattern) {
            Ok(found) if found.is_empty() => {
                let message = format!("no file matches {}", folder.join(pattern).display());
                problems.push(
                    Problem::warning(source, at, message).help("paths are relative to the file that includes them"),
                );
            }
            Ok(found) => paths.extend(found.into_iter().filter(|path| named.insert(path.clone()))),
            Err((message, help)) => problems.push(Problem::error(source, at, message).help(help)),
        }
    }
    let first = place_on_disk(Path::new(source.name()));
    if paths.iter().any(|path| first.is_some() && place_on_disk(path) == first) {
        let message = format!("{} includes itself", source.name());
        let help = "name the other files alone, or keep them in a folder of their own, such as tenants.d/*.yaml";
        problems.push(Problem::error(source, at, message).help(help));
        return;
    }
    let mut parts: Vec<_> = paths.iter().filter_map(|path| part(path, at, source, problems)).collect();
    if parts.is_empty() {
        return;
    }
    macro_rules! append {
        ($($section:ident: $kind:literal;)*) => {$(
            let more = parts.iter_mut().map(|part| std::mem::take(&mut part.$section));
            file.$section.append(more, $kind, source, problems);
        )*};
    }
    append! { peers: "peer"; groups: "group"; tenants: "tenant"; patterns: "pattern"; mappings: "mapping"; }
}

/// Which file it is, whatever it is called.
fn place_on_disk(path: &Path) -> Option<(u64, u64)> {
    path.metadata().ok().map(|found| (found.dev(), found.ino()))
}

/// The files that a pattern names, in the order of their names.
fn matches(folder: &Path, pattern: &str) -> Result<Vec<PathBuf>, (String, String)> {
    let path = folder.join(pattern);
    let is_wild = |text: &str| text.contains(['*', '?']);
    let Some((parent, name)) = path.parent().zip(path.file_name().and_then(|name| name.to_str())) else {
        return Err((format!("`{pattern}` is not a path"), "write one such as tenants.d/*.yaml".into()));
    };
    if is_wild(&parent.to_string_lossy()) && is_wild(pattern.strip_suffix(name).unwrap_or_default()) {
        return Err((format!("`{pattern}` has a * in the name of a folder"), "name the folders, one path each".into()));
    }
    if !is_wild(name) {
        return Ok(vec![path]);
    }
    // The parent of `gateway.yaml` is "", which no folder is called.
    let listed = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    let entries = std::fs::read_dir(listed).map_err(|error| {
        (
            format!("cannot list {}: {error}", listed.display()),
            "paths are relative to the file that includes them".to_owned(),
        )
    })?;
    let mut found: Vec<_> = entries
        .flatten()
        .filter(|entry| entry.file_name().to_str().is_some_and(|text| is_meant(name, text)))
        .map(|entry| parent.join(entry.file_name()))
        // What else is no regular file is refused by name when it is read: its tenants must not vanish without a word.
        .filter(|path| !path.is_dir())
        .collect();
    found.sort_unstable();
    Ok(found)
}

/// Whether a file name fits a pattern. As in a shell, `*` does not stand for a leading dot.
fn is_meant(pattern: &str, name: &str) -> bool {
    (pattern.starts_with('.') || !name.starts_with('.')) && stars::fits(pattern.as_bytes(), name.as_bytes())
}

fn part(path: &Path, at: Span, source: &mut SourceText, problems: &mut Vec<Problem>) -> Option<Part> {
    let text = match text::of_file(path, source.len()) {
        Ok(text) => text,
        Err(why) => {
            problems.push(Problem::error(source, at, why));
            return None;
        }
    };
    *source = source.and(path.display().to_string(), text);
    let mut root = match tree::read(source, problems) {
        Ok(root) => root,
        Err(found) => {
            problems.extend(found.0);
            return None;
        }
    };
    take_misplaced(&mut root, source, problems);
    profiles::write_out(&mut root);
    let part = reader::read::<Part>(&root, source, problems)?;
    if let Some(version) = &part.version {
        problems.extend(check_version(version, source));
    }
    Some(part)
}

#[cfg(test)]
mod tests {
    use super::is_meant;

    #[test]
    fn a_star_does_not_stand_for_a_leading_dot() {
        assert!(is_meant("*.yaml", "blue.yaml") && is_meant(".*", ".blue.yaml") && !is_meant("*.yaml", ".blue.yaml"));
    }
}
