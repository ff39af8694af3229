//! Where the passes of the compiler put what they find, and how they look names up.

use std::cell::Cell;
use std::collections::{BTreeSet, HashMap};

use crate::config::{At, Name, Problem, Problems, Severity, Source, Span, suggestion};

/// What is wrong so far.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) source: Source,
    found: Vec<Problem>,
    /// Where the errors among them are.
    errors: BTreeSet<Span>,
    /// The tenant of a pattern that is spoken of, whose name the file does not have; else empty.
    subject: String,
}

impl Report {
    pub(super) fn new(source: Source, found: Vec<Problem>) -> Self {
        let errors = found.iter().filter(|problem| problem.severity == Severity::Error).map(Problem::span).collect();
        Self { source, found, errors, subject: String::new() }
    }

    pub(super) fn error(&mut self, span: Span, message: impl Into<String>, help: impl Into<String>) {
        self.add(Problem::error(&self.source, span, message).help(help));
    }

    pub(super) fn warning(&mut self, span: Span, message: impl Into<String>, help: impl Into<String>) {
        self.add(Problem::warning(&self.source, span, message).help(help));
    }

    /// An error about two places of the file.
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

    /// From now on, everything is about this tenant of a pattern; about nobody special if it is empty.
    pub(super) fn speak_of(&mut self, tenant: &str) {
        tenant.clone_into(&mut self.subject);
    }

    pub(super) fn add(&mut self, mut problem: Problem) {
        if !self.subject.is_empty() {
            problem.message = format!("{}: {}", self.subject, problem.message);
        }
        if problem.severity == Severity::Error {
            self.errors.insert(problem.span());
        }
        self.found.push(problem);
    }

    /// The warnings, if nothing is worse.
    pub(super) fn finish(self) -> Result<Vec<Problem>, Problems> {
        let problems = Problems::sorted(self.found);
        if problems.has_errors() { Err(problems) } else { Ok(problems.0) }
    }
}

/// Things that other parts of the file refer to by name.
#[derive(Debug)]
pub(super) struct Table<'c, T> {
    /// "peer", "port" ..
    kind: &'static str,
    rows: Vec<Row<'c, T>>,
    by_name: HashMap<&'c str, usize>,
}

/// A thing with a name. It is `None` when it is broken, which has been reported where it stands.
#[derive(Debug)]
pub(super) struct Row<'c, T> {
    pub(super) name: Name<'c>,
    pub(super) thing: Option<T>,
    used: Cell<bool>,
}

impl<'c, T> Table<'c, T> {
    pub(super) fn new(kind: &'static str) -> Self {
        Self { kind, rows: Vec::new(), by_name: HashMap::new() }
    }

    pub(super) fn add(&mut self, name: Name<'c>, thing: Option<T>, report: &mut Report) {
        check_name(self.kind, name, report);
        self.add_unchecked(name, thing);
    }

    /// A row whose name another table has checked.
    pub(super) fn add_unchecked(&mut self, name: Name<'c>, thing: Option<T>) {
        self.by_name.insert(name.text, self.rows.len());
        self.rows.push(Row { name, thing, used: Cell::new(false) });
    }

    /// Whether there is a row with this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    /// What this reference means; an unknown name is reported.
    pub(super) fn find(&self, reference: &At<String>, report: &mut Report) -> Option<&T> {
        let name = reference.get()?;
        let Some(&at) = self.by_name.get(name.as_str()) else {
            let known = self.rows.iter().map(|row| row.name.text);
            let help = suggestion(name, known)
                .unwrap_or_else(|| format!("name one of the {}s of this file, or add it there", self.kind));
            report.error(reference.span, format!("there is no {} `{name}`", self.kind), help);
            return None;
        };
        let row = self.rows.get(at)?;
        row.used.set(true);
        row.thing.as_ref()
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = &Row<'c, T>> {
        self.rows.iter()
    }

    /// Warns about every row that nothing referred to.
    pub(super) fn warn_of_unused(&self, what_to_do: &str, report: &mut Report) {
        for row in self.rows.iter().filter(|row| !row.is_used()) {
            report.warning(row.name.span, format!("nothing uses {} `{}`", self.kind, row.name.text), what_to_do);
        }
    }
}

impl<T> Row<'_, T> {
    pub(super) fn mark_used(&self) {
        self.used.set(true);
    }

    pub(super) fn is_used(&self) -> bool {
        self.used.get()
    }
}

/// A name becomes part of counters, labels and file names.
pub(super) fn check_name(kind: &str, name: Name<'_>, report: &mut Report) {
    const LONGEST: usize = 63;
    let is_fine = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | ':' | '+' | '@');
    let begins_well = name.text.chars().next().is_some_and(|c| c.is_alphanumeric() || c == '_');
    if name.text.chars().count() > LONGEST {
        report.error(name.span, format!("the name of this {kind} is longer than {LONGEST} characters"), "shorten it");
    } else if !begins_well || !name.text.chars().all(is_fine) {
        let message = format!("`{}` cannot be the name of a {kind}", name.text);
        let help = if name.text.contains(" {") {
            "write a `:` behind the name, before the `{`"
        } else {
            "begin with a letter or digit; go on with those and - _ . : + @"
        };
        report.error(name.span, message, help);
    }
}
