//! Tables of what a section declares, in which references are looked up by name.

use std::cell::Cell;
use std::collections::HashMap;

use super::findings::Findings;
use crate::config::{At, Name, suggestion};

/// The things of one section, which other parts of the file refer to by name.
#[derive(Debug)]
pub(super) struct Table<'c, T> {
    /// "peer", "port" ..
    kind: &'static str,
    rows: Vec<Declared<'c, T>>,
    by_name: HashMap<&'c str, usize>,
}

/// A thing that the file has under a name; `None` when it is broken, which has been reported where it stands.
#[derive(Debug)]
pub(super) struct Declared<'c, T> {
    pub(super) name: Name<'c>,
    pub(super) thing: Option<T>,
    used: Cell<bool>,
}

impl<'c, T> Table<'c, T> {
    pub(super) fn new(kind: &'static str) -> Self {
        Self { kind, rows: Vec::new(), by_name: HashMap::new() }
    }

    pub(super) fn add(&mut self, name: Name<'c>, thing: Option<T>, findings: &mut Findings) {
        check_name(self.kind, name, findings);
        self.add_unchecked(name, thing);
    }

    /// A row whose name another table has checked.
    pub(super) fn add_unchecked(&mut self, name: Name<'c>, thing: Option<T>) {
        self.by_name.insert(name.text, self.rows.len());
        self.rows.push(Declared { name, thing, used: Cell::new(false) });
    }

    /// Whether there is a row with this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    /// Returns what a reference names, and marks it used; an unknown name is reported.
    pub(super) fn find(&self, reference: &At<String>, findings: &mut Findings) -> Option<&T> {
        let name = reference.get()?;
        let Some(&at) = self.by_name.get(name.as_str()) else {
            let known = self.rows.iter().map(|row| row.name.text);
            let help = suggestion(name, known)
                .unwrap_or_else(|| format!("name one of the {}s of this file, or add it there", self.kind));
            findings.error(reference.span, format!("there is no {} `{name}`", self.kind), help);
            return None;
        };
        let row = self.rows.get(at)?;
        row.used.set(true);
        row.thing.as_ref()
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = &Declared<'c, T>> {
        self.rows.iter()
    }

    /// Warns about every row that nothing referred to.
    pub(super) fn warn_of_unused(&self, what_to_do: &str, findings: &mut Findings) {
        for row in self.rows.iter().filter(|row| !row.is_used()) {
            findings.warning(row.name.span, format!("nothing uses {} `{}`", self.kind, row.name.text), what_to_do);
        }
    }
}

impl<T> Declared<'_, T> {
    pub(super) fn mark_used(&self) {
        self.used.set(true);
    }

    pub(super) fn is_used(&self) -> bool {
        self.used.get()
    }
}

/// A name becomes part of counters, labels and file names.
pub(super) fn check_name(kind: &str, name: Name<'_>, findings: &mut Findings) {
    const LONGEST: usize = 63;
    let is_fine = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | ':' | '+' | '@');
    let begins_well = name.text.chars().next().is_some_and(|c| c.is_alphanumeric() || c == '_');
    if name.text.chars().count() > LONGEST {
        findings.error(name.span, format!("the name of this {kind} is longer than {LONGEST} characters"), "shorten it");
    } else if !begins_well || !name.text.chars().all(is_fine) {
        let message = format!("`{}` cannot be the name of a {kind}", name.text);
        let help = if name.text.contains(" {") {
            "write a `:` after the name, before the `{`"
        } else {
            "start with a letter or a digit; use only letters, digits and - _ . : + @"
        };
        findings.error(name.span, message, help);
    }
}
