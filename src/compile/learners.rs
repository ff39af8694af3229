//! Prefixes that groups learn their members from. No two may hold the same address, since its sender could be of
//! either group.

use super::context::Context;
use super::origins::Noun;
use crate::config::Span;
use crate::forwarding::Learner;

/// All prefixes, with their places in the file.
#[derive(Default)]
pub(super) struct ClaimedPrefixes(Vec<ClaimedPrefix>);

struct ClaimedPrefix {
    learner: Learner,
    /// "group `leafs`"
    label: String,
    /// As it is written.
    prefix: String,
    span: Span,
}

impl ClaimedPrefixes {
    /// Takes a prefix in, unless it meets another one of the same endpoint and carrier.
    pub(super) fn claim(
        &mut self,
        learner: Learner,
        label: &str,
        prefix: String,
        span: Span,
        context: &mut Context<'_>,
    ) {
        let meets = |row: &&ClaimedPrefix| {
            let other = row.learner;
            (other.endpoint, other.carrier) == (learner.endpoint, learner.carrier)
                && other.first <= learner.last
                && learner.first <= other.last
        };
        if let Some(first) = self.0.iter().find(meets) {
            let line = context.findings.line(first.span, span);
            let (message, help) = if first.label == label {
                (format!("{prefix} and {} ({line}) overlap", first.prefix), "remove one of the two")
            } else {
                (
                    format!(
                        "{label} and {} ({line}) both learn members from {prefix} ({}): a sender there could belong to either",
                        first.label, learner.carrier
                    ),
                    "narrow one of the two prefixes, or give one group an endpoint of its own",
                )
            };
            context.findings.conflict(span, first.span, "the first", message, help);
            return;
        }
        context.note(Noun::Learner(learner), span);
        self.0.push(ClaimedPrefix { learner, label: label.to_owned(), prefix, span });
    }

    /// The table for the data plane, sorted.
    pub(super) fn table(&self) -> Vec<Learner> {
        let mut table: Vec<_> = self.0.iter().map(|row| row.learner).collect();
        table.sort_unstable();
        table
    }
}
