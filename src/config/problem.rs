//! What is wrong with a configuration: the place, the text there, and what to write instead.

use std::fmt;

use miette::{Diagnostic, LabeledSpan, SourceCode};
use serde::Serialize;

use super::source::{SourceText, Span};

/// Severity of a problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, PartialOrd, Ord)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The gateway will not start with this.
    Error,
    /// It will, but this deserves a look.
    Warning,
}

/// One thing that is wrong with a configuration.
#[derive(Debug, Clone, Serialize)]
pub struct Problem {
    /// Severity of a problem.
    pub severity: Severity,
    /// What is wrong, in a sentence.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
    /// The file, as it was named when it was loaded.
    pub file: String,
    /// The line, counted from 1; 0 for a file that cannot be read.
    pub line: usize,
    /// The column, counted from 1 in characters; 0 for a file that cannot be read.
    pub column: usize,
    /// The text at fault.
    pub text: String,
    /// A second place that the problem is about.
    pub also: Option<ProblemPlace>,
    #[serde(skip)]
    source: SourceText,
    #[serde(skip)]
    span: Span,
}

/// A second place that a problem is about.
#[derive(Debug, Clone, Serialize)]
pub struct ProblemPlace {
    /// What is there.
    pub about: String,
    /// The file, as it was named when it was loaded.
    pub file: String,
    /// The line, counted from 1.
    pub line: usize,
    /// The column, counted from 1 in characters.
    pub column: usize,
    #[serde(skip)]
    span: Span,
}

impl Problem {
    /// An error in this place.
    #[must_use]
    pub fn error(source: &SourceText, span: Span, message: impl Into<String>) -> Self {
        let span = source.first_line(span);
        let (line, column) = source.position(span.start);
        Self {
            severity: Severity::Error,
            message: message.into(),
            help: None,
            file: source.name_at(span.start).to_owned(),
            line,
            column,
            text: source.slice(span).to_owned(),
            also: None,
            source: source.clone(),
            span,
        }
    }

    /// A file that cannot be read, and so has no places.
    #[must_use]
    pub fn unreadable(name: &str, why: impl Into<String>) -> Self {
        Self { line: 0, column: 0, ..Self::error(&SourceText::new(name, ""), Span::default(), why) }
    }

    /// A warning about this place.
    #[must_use]
    pub fn warning(source: &SourceText, span: Span, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(source, span, message) }
    }

    /// The same, saying what to write instead.
    #[must_use]
    pub fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    /// The same, pointing to a second place as well.
    #[must_use]
    pub fn also(self, span: Span, about: impl Into<String>) -> Self {
        let span = self.source.first_line(span);
        let (line, column) = self.source.position(span.start);
        let file = self.source.name_at(span.start).to_owned();
        Self { also: Some(ProblemPlace { about: about.into(), file, line, column, span }), ..self }
    }

    /// Whether the line it is on can be shown to people.
    #[must_use]
    pub fn has_a_short_line(&self) -> bool {
        const LONGEST: usize = 400;
        let file = self.source.at(self.span.start);
        let text = file.whole.as_str();
        let start =
            text.get(..self.span.start - file.base).and_then(|before| before.rfind('\n')).map_or(0, |at| at + 1);
        let line = text.get(start..).and_then(|rest| rest.lines().next()).unwrap_or_default();
        !text.is_empty() && line.len() <= LONGEST
    }

    /// Where it is, for people: `gateway.yaml:3:7: `, or nothing when the message alone names the file.
    #[must_use]
    pub fn place(&self) -> String {
        if self.line == 0 { String::new() } else { format!("{}:{}:{}: ", self.file, self.line, self.column) }
    }

    /// Where it is.
    #[must_use]
    pub const fn span(&self) -> Span {
        self.span
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Problem {}

impl Diagnostic for Problem {
    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as _)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.has_a_short_line().then_some(&self.source as _)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let range = |span: Span| (span.start, span.end - span.start);
        let here = self.also.as_ref().map(|_| "here".to_owned());
        let here = LabeledSpan::new_primary_with_span(here, range(self.span));
        let also = self.also.as_ref();
        let also = also.map(|place| LabeledSpan::new_with_span(Some(place.about.clone()), range(place.span)));
        self.has_a_short_line().then(|| Box::new(std::iter::once(here).chain(also)) as _)
    }
}

impl SourceCode for SourceText {
    fn read_span<'a>(
        &'a self,
        span: &miette::SourceSpan,
        before: usize,
        after: usize,
    ) -> Result<Box<dyn miette::SpanContents<'a> + 'a>, miette::MietteError> {
        let file = self.at(span.offset());
        let within = (span.offset() - file.base, span.len()).into();
        let contents = file.whole.read_span(&within, before, after)?;
        let shown = (contents.span().offset() + file.base, contents.span().len()).into();
        Ok(Box::new(miette::MietteSpanContents::new_named(
            file.name.clone(),
            contents.data(),
            shown,
            contents.line(),
            contents.column(),
            contents.line_count(),
        )))
    }
}

/// Everything that is wrong with a configuration, in the order of the file.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(transparent)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    /// These, in the order of the file.
    #[must_use]
    pub fn sorted(mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|problem| (problem.span, problem.severity));
        Self(problems)
    }

    /// Whether the gateway must not start.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.0.iter().any(|problem| problem.severity == Severity::Error)
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, problem) in self.0.iter().enumerate() {
            let gap = if n == 0 { "" } else { "\n" };
            write!(f, "{gap}{}{problem}", problem.place())?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
