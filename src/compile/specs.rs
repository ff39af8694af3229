//! What an encapsulation says about a configuration it cannot mean, shown where the field stands.

use transload_encaps::{Spec, SpecError};

use super::report::Report;
use crate::config::{At, Problem, Source, Span};

/// The encapsulation, if peers can speak it as the options have it.
pub(super) fn spoken<'a>(encap: &'a At<Spec>, report: &mut Report) -> Option<&'a Spec> {
    let spec = encap.get()?;
    if let Err(error) = spec.compile() {
        let span = field_in(&report.source, encap.span, error.field);
        tell(span, &error, report);
        return None;
    }
    if !spec.kind().has_peers() {
        let message = format!("{} is spoken on ports, not by peers", spec.kind().info().title);
        report.error(encap.span, message, "attach the tenant to the port: `port: NAME` and its tags");
        return None;
    }
    Some(spec)
}

/// Says what is wrong, in the encapsulation's own words.
pub(super) fn tell(span: Span, error: &SpecError, report: &mut Report) {
    report.add(Problem::error(&report.source, span, error.message.clone()));
}

/// Where a field stands inside a value, if it is written there.
fn field_in(source: &Source, span: Span, field: &str) -> Span {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let text = source.slice(span);
    let found = text.match_indices(field).map(|(at, _)| at).find(|&at| {
        let before = text.get(..at).and_then(|text| text.chars().next_back());
        let after = text.get(at + field.len()..).unwrap_or_default();
        !before.is_some_and(is_word) && after.trim_start().starts_with(':')
    });
    found.map_or(span, |at| Span { start: span.start + at, end: span.start + at + field.len() })
}
