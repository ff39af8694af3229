//! What `check` says of mappings: how many IDs they have, and which of these have no counterpart.

use serde::Serialize;

use super::render::plural;
use crate::compile::Plan;

/// A mapping, and its IDs that cannot be used.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    /// Its name.
    mapping: String,
    /// How many IDs it has.
    ids: u64,
    /// How many of them are reserved on one side or the other, and dropped.
    holes: u64,
    /// Which: the first and the last of each run.
    hole_ranges: Vec<(u64, u64)>,
}

/// Every mapping of a plan.
pub(super) fn rows(plan: &Plan) -> Vec<Row> {
    let known = plan.names.mappings().filter_map(|(id, name)| Some((name, plan.forwarding.mappings.get(id)?)));
    known
        .map(|(name, connection)| {
            let hole_ranges = connection.ids.holes();
            let holes = hole_ranges.iter().map(|(first, last)| last - first + 1).sum();
            Row { mapping: name.to_owned(), ids: connection.ids.count(), holes, hole_ranges }
        })
        .collect()
}

impl Row {
    /// ``mapping `wholesale`: 4096 IDs; 2 of them are dropped, their counterpart is reserved: 0x0, 0xfff``
    pub(super) fn line(&self) -> String {
        const MOST_SHOWN: usize = 12;
        let ids = format!("mapping `{}`: {}", self.mapping, plural(self.ids as usize, "ID"));
        if self.holes == 0 {
            return format!("{ids}, all of them usable");
        }
        let shown = self.hole_ranges.iter().take(MOST_SHOWN);
        let shown: Vec<_> = shown
            .map(|(first, last)| if first == last { format!("{first:#x}") } else { format!("{first:#x}-{last:#x}") })
            .collect();
        let rest = match self.hole_ranges.len().saturating_sub(MOST_SHOWN) {
            0 => String::new(),
            rest => format!(" and {} more, which --json lists", plural(rest, "range")),
        };
        let holes = self.holes;
        format!("{ids}; {holes} of them reserved here or on the other side, and dropped: {}{rest}", shown.join(", "))
    }
}
