//! Patterns: the names and numbers of tenants that are alike.

use super::findings::Findings;
use super::table::check_name;
use crate::config::{Attachment, IdNumbers, Name, Offset, Range, Span, Tenant, is_variable, number_meant};
use crate::forwarding::MAX_DOMAINS;

/// The tenants of a pattern.
pub(super) struct PatternTenants<'c> {
    name: Name<'c>,
    /// The variable as it is written in the name: `{n}`.
    place: String,
    /// The parts of the name before, between and behind the variable.
    around: Vec<&'c str>,
    numbers: Range,
}

/// The tenants that a pattern stands for; what is wrong with it is reported.
pub(super) fn numbered<'c>(
    name: Name<'c>,
    config: &'c Tenant<IdNumbers<Offset>>,
    findings: &mut Findings,
) -> Option<PatternTenants<'c>> {
    let (variable, numbers) = variable(name, config, findings)?;
    let place = format!("{{{variable}}}");
    let around = name.text.split(&*place).collect();
    let pattern = PatternTenants { name, place, around, numbers };
    let is_named = pattern.check_name(variable, findings);
    let mut all_known = true;
    for (_, attachment) in config.attachments.iter() {
        all_known &= attachment.is_none_or(|attachment| check_attachment(attachment, variable, findings));
    }
    (is_named && all_known).then_some(pattern)
}

/// The variable and its range.
fn variable<'c>(
    name: Name<'_>,
    config: &'c Tenant<IdNumbers<Offset>>,
    findings: &mut Findings,
) -> Option<(&'c str, Range)> {
    const HELP: &str = "add `for: { n: 1-500 }`, the numbers that {n} in its name stands for";
    let Some(stated) = &config.numbers else {
        findings.error(name.span, format!("pattern `{}` has no `for`", name.text), HELP);
        return None;
    };
    let mut variables = stated.get()?.iter();
    let Some((variable, range)) = variables.next() else {
        findings.error(stated.span, "`for` names no variable", HELP);
        return None;
    };
    if let Some((second, _)) = variables.next() {
        let message = format!("a pattern has one variable, and `{}` is a second one", second.text);
        findings.error(second.span, message, "write one pattern for each of its values");
        return None;
    }
    if !is_variable(variable.text) {
        let message = format!("`{}` cannot be the name of a variable", variable.text);
        findings.error(variable.span, message, "write a letter, such as `n`");
        return None;
    }
    let range = *range?;
    if range.count() > MAX_DOMAINS as u64 {
        let message = format!("these are {} tenants, and a gateway has at most {MAX_DOMAINS}", range.count());
        findings.error(variable.extent, message, "use fewer");
        return None;
    }
    Some((variable.text, range))
}

/// Whether the attachment's numbers have no other variable, and what it leads to has none at all.
fn check_attachment(attachment: &Attachment<IdNumbers<Offset>>, variable: &str, findings: &mut Findings) -> bool {
    let mut is_fine = true;
    for at in attachment.ids.iter().flat_map(|id| [Some(&id.value), id.sent.as_ref()]).flatten() {
        let stated = match at.get() {
            Some(IdNumbers::One(offset)) => offset.variable.as_deref(),
            _ => None,
        };
        if let Some(other) = stated.filter(|&other| other != variable) {
            let message = format!("`{other}` is not the variable of this pattern");
            let hex = number_meant(other).map_or_else(String::new, |number| format!("; as a number write {number}"));
            findings.error(at.span, message, format!("its `for` names `{variable}`{hex}"));
            is_fine = false;
        }
    }
    for at in [&attachment.peer, &attachment.group, &attachment.port].into_iter().flatten() {
        if at.get().is_some_and(|name| name.contains(['{', '}'])) {
            let message = "all tenants of a pattern attach to the same peer, group or port";
            findings.error(at.span, message, "write its name without { }; only IDs count up");
            is_fine = false;
        }
    }
    is_fine
}

impl PatternTenants<'_> {
    /// The numbers, in order.
    pub(super) fn numbers(&self) -> impl Iterator<Item = u64> + use<> {
        self.numbers.first..=self.numbers.last
    }

    /// Where the file names the pattern.
    pub(super) fn span(&self) -> Span {
        self.name.span
    }

    /// The name of the tenant with this number.
    pub(super) fn name(&self, n: u64) -> String {
        self.around.join(&n.to_string())
    }

    /// The names differ only in their number, so the longest says whether all can be names.
    fn check_name(&self, variable: &str, findings: &mut Findings) -> bool {
        let Name { text, span, .. } = self.name;
        if !text.contains(&self.place) {
            let message = format!("the tenants of pattern `{text}` would all have the same name");
            findings.error(span, message, format!("put {{{variable}}} into it, such as \"{text}-{{{variable}}}\""));
            return false;
        }
        if self.around.iter().any(|part| part.contains(['{', '}'])) {
            let message = format!("`{text}` has braces around something other than the variable");
            findings.error(span, message, format!("its `for` names `{variable}`"));
            return false;
        }
        check_name("tenant", Name { text: &self.name(self.numbers.last), ..self.name }, findings);
        true
    }
}
