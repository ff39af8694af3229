//! Findings: the errors and warnings that the passes of the compiler collect.

use std::collections::BTreeSet;

use crate::config::{Problem, Problems, Severity, SourceText, Span};

/// The errors and warnings so far.
#[derive(Debug)]
pub(super) struct Findings {
    pub(super) source: SourceText,
    found: Vec<Problem>,
    /// The places of the errors among them.
    errors: BTreeSet<Span>,
    /// The tenant of a pattern that the next findings are about, since the file does not have its name; else empty.
    subject: String,
    /// Whether the next findings are left out, since others say the same.
    is_muted: bool,
}

impl Findings {
    pub(super) fn new(source: SourceText, found: Vec<Problem>) -> Self {
        let errors = found.iter().filter(|problem| problem.severity == Severity::Error).map(Problem::span).collect();
        Self { source, found, errors, subject: String::new(), is_muted: false }
    }

    /// Adds an error.
    pub(super) fn error(&mut self, span: Span, message: impl Into<String>, help: impl Into<String>) {
        self.add(Problem::error(&self.source, span, message).help(help));
    }

    /// Adds a warning.
    pub(super) fn warning(&mut self, span: Span, message: impl Into<String>, help: impl Into<String>) {
        self.add(Problem::warning(&self.source, span, message).help(help));
    }

    /// Adds an error about two places of the file.
    pub(super) fn conflict(
        &mut self,
        span: Span,
        first: Span,
        about_first: &str,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.add(Problem::error(&self.source, span, message).help(help).also(first, about_first));
    }

    /// `line 7`, and of which file if not of the one the message is about.
    pub(super) fn line(&self, span: Span, seen_from: Span) -> String {
        self.source.line(span, seen_from)
    }

    /// Whether something in this place has been found wrong already.
    pub(super) fn has_errors_in(&self, extent: Span) -> bool {
        let first = Span { start: extent.start, end: extent.start };
        let last = Span { start: extent.end, end: extent.end };
        self.errors.range(first..=last).any(|span| span.end <= extent.end)
    }

    pub(super) fn has_errors(&self) -> bool {
        !self.errors.is_empty()
    }

    /// The next findings are about this tenant of a pattern; about none in particular if it is empty.
    pub(super) fn set_subject(&mut self, tenant: &str) {
        tenant.clone_into(&mut self.subject);
    }

    /// Whether the next findings are left out.
    pub(super) const fn mute(&mut self, is_muted: bool) {
        self.is_muted = is_muted;
    }

    /// The number of findings, which is that of the next one.
    pub(super) fn count(&self) -> usize {
        self.found.len()
    }

    /// Says of a finding how many others there would be like it.
    pub(super) fn and_more(&mut self, finding: usize, more: u64) {
        if let Some(problem) = self.found.get_mut(finding).filter(|_| more > 0) {
            problem.message = format!("{}, and {more} more of the pattern like it", problem.message);
        }
    }

    pub(super) fn add(&mut self, mut problem: Problem) {
        if self.is_muted {
            return;
        }
        if !self.subject.is_empty() {
            problem.message = format!("{}: {}", self.subject, problem.message);
        }
        if problem.severity == Severity::Error {
            self.errors.insert(problem.span());
        }
        self.found.push(problem);
    }

    /// Returns the warnings, or everything if there is an error.
    pub(super) fn finish(self) -> Result<Vec<Problem>, Problems> {
        let problems = Problems::sorted(self.found);
        if problems.has_errors() { Err(problems) } else { Ok(problems.0) }
    }
}
