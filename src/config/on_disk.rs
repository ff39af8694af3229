//! Whether the files of a configuration are still as they were read.

use std::collections::BTreeMap;
use std::path::Path;

use super::source::SourceText;
use super::text;

/// The files that are not as they were read, by name, and how they differ: `changed`, or why they cannot be read. What
/// came by standard input is not looked for.
#[must_use]
pub fn differing(source: &SourceText) -> BTreeMap<String, String> {
    let files = source.files().filter(|(name, _)| *name != "-");
    let differs = files.filter_map(|(name, read)| {
        let how = match text::of_file(Path::new(name), 0) {
            Ok(found) if found == read => return None,
            Ok(_) => "changed".to_owned(),
            Err(why) => why,
        };
        Some((name.to_owned(), how))
    });
    differs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_changed_and_one_that_is_gone_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let name = |of: &str| folder.path().join(of).display().to_string();
        std::fs::write(name("a"), "one").unwrap();
        std::fs::write(name("b"), "two").unwrap();
        let source = SourceText::new("-", "").and(name("a"), "one").and(name("b"), "two").and(name("c"), "three");
        std::fs::write(name("b"), "TWO").unwrap();
        let found = differing(&source);
        assert_eq!(found.keys().cloned().collect::<Vec<_>>(), [name("b"), name("c")]);
        assert_eq!(found[&name("b")], "changed");
        assert!(found[&name("c")].contains("cannot read"), "{found:?}");
    }
}
