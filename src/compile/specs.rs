//! Options of encapsulations, compiled; what is wrong with them is reported where the field stands.

use transload_encaps::{Compiled, Spec, SpecError};

use super::findings::Findings;
use crate::config::{At, Problem, SourceText, Span};

/// An encapsulation as the file has it, and compiled: with no segment claimed, which every peer begins with.
#[derive(Debug)]
pub(super) struct Spoken<'c> {
    pub(super) spec: &'c Spec,
    pub(super) compiled: Compiled,
}

/// The encapsulation, if peers can speak it as the options have it.
pub(super) fn spoken<'c>(encap: &'c At<Spec>, findings: &mut Findings) -> Option<Spoken<'c>> {
    let spec = encap.get()?;
    let compiled = match spec.compile() {
        Ok(compiled) => compiled,
        Err(error) => {
            let span = field_in(&findings.source, encap.span, error.field);
            report(span, &error, findings);
            return None;
        }
    };
    if !spec.kind().has_peers() {
        let message = format!("{} is for ports, not for peers", spec.kind().info().title);
        findings.error(encap.span, message, "attach the tenant to the port: `port: NAME` and its tags");
        return None;
    }
    Some(Spoken { spec, compiled })
}

/// Reports an error in the encapsulation's own words.
pub(super) fn report(span: Span, error: &SpecError, findings: &mut Findings) {
    findings.add(Problem::error(&findings.source, span, error.message.clone()));
}

/// The place of a field inside a value, if it is written there.
fn field_in(source: &SourceText, span: Span, field: &str) -> Span {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let text = source.slice(span);
    let found = text.match_indices(field).map(|(at, _)| at).find(|&at| {
        let before = text.get(..at).and_then(|text| text.chars().next_back());
        let after = text.get(at + field.len()..).unwrap_or_default();
        !before.is_some_and(is_word) && after.trim_start().starts_with(':')
    });
    found.map_or(span, |at| Span { start: span.start + at, end: span.start + at + field.len() })
}
