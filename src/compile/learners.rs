//! Prefixes that groups learn their members from: no two may hold the same address, or nobody could tell whose it is.

use super::report::Report;
use crate::config::Span;
use crate::forwarding::Learner;

/// Every prefix, and where it stands.
#[derive(Default)]
pub(super) struct Learners(Vec<Row>);

struct Row {
    learner: Learner,
    /// "group `leafs`"
    label: String,
    /// As it is written.
    prefix: String,
    span: Span,
}

impl Learners {
    /// Takes a prefix in, unless it meets another one of the same endpoint and carrier.
    pub(super) fn claim(&mut self, learner: Learner, label: &str, prefix: String, span: Span, report: &mut Report) {
        let meets = |row: &&Row| {
            let other = row.learner;
            (other.endpoint, other.carrier) == (learner.endpoint, learner.carrier)
                && other.first <= learner.last
                && learner.first <= other.last
        };
        if let Some(first) = self.0.iter().find(meets) {
            let line = report.line(first.span, span);
            let (message, help) = if first.label == label {
                (format!("{prefix} and {} ({line}) overlap", first.prefix), "remove one of the two")
            } else {
                (
                    format!(
                        "{label} and {} ({line}) both learn {} from {prefix}: a sender there could be of either",
                        first.label, learner.carrier
                    ),
                    "narrow one of the two prefixes, or give one group an endpoint of its own",
                )
            };
            report.conflict(span, first.span, "the first", message, help);
            return;
        }
        self.0.push(Row { learner, label: label.to_owned(), prefix, span });
    }

    /// As the data plane looks them up.
    pub(super) fn table(&self) -> Vec<Learner> {
        let mut table: Vec<_> = self.0.iter().map(|row| row.learner).collect();
        table.sort_unstable();
        table
    }

    /// Every prefix, and where it stands.
    pub(super) fn places(&self) -> impl Iterator<Item = (Learner, Span)> {
        self.0.iter().map(|row| (row.learner, row.span))
    }
}
