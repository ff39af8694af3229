//! The text of a configuration file, and places in it.

use std::sync::Arc;

/// A part of the file, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, PartialOrd, Ord)]
pub struct Span {
    /// The first byte.
    pub start: usize,
    /// The byte after the last one.
    pub end: usize,
}

/// A configuration file: its name for people, and its text. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Source(Arc<Text>);

#[derive(Debug)]
struct Text {
    name: String,
    whole: String,
    /// Where each line begins.
    lines: Vec<usize>,
}

impl Source {
    /// This text under this name.
    #[must_use]
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        let (name, text) = (name.into(), text.into());
        let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self(Arc::new(Text { name, whole: text, lines }))
    }

    /// What people call the file.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The whole text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0.whole
    }

    /// The text in a place; empty if there is no such place.
    #[must_use]
    pub fn slice(&self, span: Span) -> &str {
        self.0.whole.get(span.start..span.end).unwrap_or_default()
    }

    /// Line and column of a byte, both counted from 1; the column counts characters.
    #[must_use]
    pub fn position(&self, at: usize) -> (usize, usize) {
        let line = self.0.lines.partition_point(|&start| start <= at).max(1);
        let start = self.0.lines.get(line - 1).copied().unwrap_or(0);
        let before = self.0.whole.get(start..at).map_or(0, |text| text.chars().count());
        (line, before + 1)
    }

    /// The part of a place that lies on its first line, without blanks at its end.
    #[must_use]
    pub fn first_line(&self, span: Span) -> Span {
        let line = self.slice(span).lines().next().unwrap_or_default().trim_end();
        Span { start: span.start, end: span.start + line.len() }
    }

    /// The byte where a line and column are, as a parser counts them.
    pub(super) fn offset(&self, line: usize, column: usize) -> usize {
        let start = self.0.lines.get(line.saturating_sub(1)).copied().unwrap_or(self.0.whole.len());
        let rest = self.0.whole.get(start..).unwrap_or_default();
        start + rest.char_indices().nth(column.saturating_sub(1)).map_or(rest.len(), |(at, _)| at)
    }
}
