//! One-to-one: no two IDs of a mapping are written alike, so that each can be a tenant of its own.

use std::ops::ControlFlow;

use super::Meetings;
use super::meeting::{Meeting, Party, Rule, side_word};
use crate::claims::ClaimTable;
use crate::mapping::Flaw;

pub(super) fn look(claims: &ClaimTable<'_>, found: &mut Meetings) -> ControlFlow<()> {
    let (names, tables) = (&claims.plan.names, &claims.plan.tables.mappings);
    for &(mapping, side, flaw) in &claims.flaws {
        let Some(connection) = tables.get(mapping) else { continue };
        let (one, other, why) = match flaw {
            Flaw::Alike(one, other) => (one, other, "write the same ID"),
            Flaw::Shapeless => {
                let ids = &connection.ids;
                (ids.fixed, ids.fixed | ids.varying, "are written so that IDs cannot be told apart")
            }
        };
        let far_end = connection.ends.get(side).map_or_else(String::new, |end| names.peer(end.peer).into_owned());
        let [from, to] = [one, other].map(|id| Party::of_mapping(mapping, side, id, names));
        let path = vec![format!("{from} and {to} {why} on the `{}` side, {far_end}", side_word(side))];
        found.add(Meeting::new(Rule::OneToOne, from, to, path))?;
    }
    ControlFlow::Continue(())
}
