//! The text of a configuration, which may be several files, and places in it.

use std::sync::Arc;

use sha2::{Digest, Sha256};

/// A part of the configuration, in bytes. Its files count on from one another, so a place says which file it is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, PartialOrd, Ord)]
pub struct Span {
    /// The first byte.
    pub start: usize,
    /// The byte after the last one.
    pub end: usize,
}

/// The files of a configuration: their names and their text. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct SourceText(Arc<Vec<Arc<SourceFile>>>);

/// One file.
#[derive(Debug)]
pub(super) struct SourceFile {
    /// Its name, as it was given.
    pub(super) name: String,
    /// The whole text.
    pub(super) whole: String,
    /// The offset of its first byte, counting on from the files before it.
    pub(super) base: usize,
    /// The offset of each line within this file.
    lines: Vec<usize>,
}

impl SourceText {
    /// This text under this name.
    #[must_use]
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self(Arc::new(vec![Arc::new(SourceFile::new(name.into(), text.into(), 0))]))
    }

    /// The same files, and one more behind them.
    #[must_use]
    pub fn and(&self, name: impl Into<String>, text: impl Into<String>) -> Self {
        // The place behind the last byte of a file is still its own.
        let base = self.newest().base + self.newest().whole.len() + 1;
        let added = Arc::new(SourceFile::new(name.into(), text.into(), base));
        Self(Arc::new(self.0.iter().cloned().chain([added]).collect()))
    }

    /// How many bytes all files have.
    pub(super) fn len(&self) -> usize {
        self.0.iter().map(|file| file.whole.len()).sum()
    }

    /// The SHA-256 of the text of all files, one behind the other in the order in which they are read, in hexadecimal.
    #[must_use]
    pub fn sha256(&self) -> String {
        let mut hash = Sha256::new();
        self.0.iter().for_each(|file| hash.update(&file.whole));
        format!("{:x}", hash.finalize())
    }

    /// The name of the first file.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.at(0).name
    }

    /// The names of all files.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|file| file.name.as_str())
    }

    /// The name and the text of every file.
    pub(super) fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|file| (file.name.as_str(), file.whole.as_str()))
    }

    /// The name of the file that this place is in.
    #[must_use]
    pub fn name_at(&self, at: usize) -> &str {
        &self.at(at).name
    }

    /// The text in a place; empty if there is no such place.
    #[must_use]
    pub fn slice(&self, span: Span) -> &str {
        let file = self.at(span.start);
        file.whole.get(span.start - file.base..span.end.saturating_sub(file.base)).unwrap_or_default()
    }

    /// Line and column of a byte in its file, both counted from 1; the column counts characters.
    #[must_use]
    pub fn position(&self, at: usize) -> (usize, usize) {
        let file = self.at(at);
        let at = at - file.base;
        let line = file.lines.partition_point(|&start| start <= at).max(1);
        let start = file.lines.get(line - 1).copied().unwrap_or(0);
        let before = file.whole.get(start..at).map_or(0, |text| text.chars().count());
        (line, before + 1)
    }

    /// The part of a place that lies on its first line, without spaces at its end.
    #[must_use]
    pub fn first_line(&self, span: Span) -> Span {
        let line = self.slice(span).lines().next().unwrap_or_default().trim_end();
        Span { start: span.start, end: span.start + line.len() }
    }

    /// A place, for a message about something in `seen_from`: `line 7`, with the file's name if it is another one.
    #[must_use]
    pub fn line(&self, span: Span, seen_from: Span) -> String {
        let (file, (line, _)) = (self.at(span.start), self.position(span.start));
        let is_here = file.base == self.at(seen_from.start).base;
        if is_here { format!("line {line}") } else { format!("line {line} of {}", file.name) }
    }

    /// The file that a place is in.
    pub(super) fn at(&self, at: usize) -> &SourceFile {
        let behind = self.0.partition_point(|file| file.base <= at);
        &self.0[behind.max(1) - 1]
    }

    /// The file that was added last.
    pub(super) fn newest(&self) -> &SourceFile {
        &self.0[self.0.len() - 1]
    }
}

impl SourceFile {
    fn new(name: String, whole: String, base: usize) -> Self {
        let lines = std::iter::once(0).chain(whole.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { name, whole, base, lines }
    }

    /// The place where a line and column of this file are, as a parser counts them.
    pub(super) fn offset(&self, line: usize, column: usize) -> usize {
        let start = self.lines.get(line.saturating_sub(1)).copied().unwrap_or(self.whole.len());
        let rest = self.whole.get(start..).unwrap_or_default();
        let within = rest.char_indices().nth(column.saturating_sub(1)).map_or(rest.len(), |(at, _)| at);
        self.base + start + within
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_that_of_all_texts_in_their_order() {
        let both = SourceText::new("a.yaml", "a").and("b.yaml", "bc");
        // echo -n abc | sha256sum
        assert_eq!(both.sha256(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn a_place_knows_its_file() {
        let both = SourceText::new("a.yaml", "one\ntwo").and("b.yaml", "three\nfour");
        assert_eq!((both.name_at(7), both.position(7)), ("a.yaml", (2, 4)), "behind the last byte");
        assert_eq!((both.name_at(8), both.position(8)), ("b.yaml", (1, 1)));
        assert_eq!(both.slice(Span { start: 14, end: 18 }), "four");
        assert_eq!(both.line(Span { start: 14, end: 18 }, Span::default()), "line 2 of b.yaml");
    }
}
