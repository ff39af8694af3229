//! What `check` says of mappings: how many IDs they have, and which of these have no counterpart.

use serde::Serialize;

use super::render::plural;
use crate::compile::Plan;

/// A mapping, and its IDs that cannot be used. The keys are those of `show mappings`.
#[derive(Debug, Serialize)]
pub(super) struct MappingIds {
    /// The mapping.
    mapping: String,
    /// IDs that it has.
    ids: u64,
    /// IDs that are reserved on one side or the other, and dropped.
    unmapped_ids: u64,
    /// Which these are: the first and the last of each run.
    unmapped_ranges: Vec<(u64, u64)>,
}

/// Every mapping of a plan.
pub(super) fn rows(plan: &Plan) -> Vec<MappingIds> {
    let known = plan.names.mappings().filter_map(|(id, name)| Some((name, plan.tables.mappings.get(id)?)));
    known
        .map(|(name, connection)| {
            let unmapped_ranges = connection.ids.holes();
            let unmapped_ids = unmapped_ranges.iter().map(|(first, last)| last - first + 1).sum();
            MappingIds { mapping: name.to_owned(), ids: connection.ids.count(), unmapped_ids, unmapped_ranges }
        })
        .collect()
}

impl MappingIds {
    /// ``mapping `wholesale`: 4096 IDs, 2 of them unmapped (reserved on one side or the other) and dropped: 0x0, 0xfff``
    pub(super) fn line(&self) -> String {
        const MOST_SHOWN: usize = 12;
        let ids = format!("mapping `{}`: {}", self.mapping, plural(self.ids as usize, "ID"));
        if self.unmapped_ids == 0 {
            return format!("{ids}, all of them mapped");
        }
        let shown = self.unmapped_ranges.iter().take(MOST_SHOWN);
        let shown: Vec<_> = shown
            .map(|(first, last)| if first == last { format!("{first:#x}") } else { format!("{first:#x}-{last:#x}") })
            .collect();
        let rest = match self.unmapped_ranges.len().saturating_sub(MOST_SHOWN) {
            0 => String::new(),
            rest => format!(" and {} more, which --json lists", plural(rest, "range")),
        };
        let (unmapped, shown) = (self.unmapped_ids, shown.join(", "));
        format!("{ids}, {unmapped} of them unmapped (reserved on one side or the other) and dropped: {shown}{rest}")
    }
}
