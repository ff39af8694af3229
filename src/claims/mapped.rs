//! The values that mappings hold: a few runs on either side, in place of millions of IDs.

use transload_encaps::{Compiled, Segment, WireIds};

use super::{ClaimTable, Held, Owner};
use crate::forwarding::{FileTables, Map, MappingId, PeerId};
use crate::mapping::{Run, RunWriter, one_to_one, runs};

impl ClaimTable<'_> {
    /// Adds the values that mappings take, in the spaces their segments are looked up in, and those they write, in the
    /// spaces of the peers they send to.
    pub(super) fn add_mappings(&mut self, tables: &FileTables, space_of: &Map<PeerId, usize>) {
        for (mapping, connection) in tables.mappings.all.iter() {
            let runs = runs(&connection.ids).unwrap_or_else(|flaw| {
                self.flaws.push((mapping, 0, flaw));
                Vec::new()
            });
            for (side, end) in connection.ends.iter().enumerate() {
                if let Err(flaw) = one_to_one(&connection.ids, side) {
                    self.flaws.push((mapping, side, flaw));
                    continue;
                }
                for at in 0..self.spaces.len() {
                    let here = tables.mappings.by_scope.get(self.spaces[at].scope);
                    if here.is_some_and(|here| here.contains(&(mapping, side))) {
                        let rows = self.mapped(tables, at, (mapping, side), &runs, Compiled::rx_ids);
                        self.spaces[at].rx_ids.extend(rows);
                    }
                }
                if let Some(&at) = space_of.get(&end.peer) {
                    let rows = self.mapped(tables, at, (mapping, side), &runs, Compiled::tx_ids);
                    self.spaces[at].tx_ids.extend(rows);
                }
            }
        }
    }

    /// The runs of one side of a mapping, as values of a space.
    fn mapped(
        &mut self,
        tables: &FileTables,
        at: usize,
        (mapping, side): (MappingId, usize),
        runs: &[Run],
        values: fn(&Compiled, Segment) -> WireIds,
    ) -> Vec<Held> {
        let first = self.spaces[at].peers.first().and_then(|&peer| tables.peer(peer));
        let ids = tables.mappings.get(mapping).and_then(|connection| connection.ids.sides.get(side));
        let (Some(peer), Some(ids)) = (first, ids) else { return Vec::new() };
        let writers = RunWriter::of(ids, |segment| values(&peer.compiled, segment)).unwrap_or_else(|flaw| {
            self.flaws.push((mapping, side, flaw));
            Vec::new()
        });
        let held = |writer: &RunWriter<'_>, run: Run| {
            let owner = Owner::Mapping { mapping, side, run };
            Held { ids: writer.values(run), segment: Segment(ids.outline(run.id)), owner }
        };
        writers.iter().flat_map(|writer| runs.iter().map(|&run| held(writer, run)).collect::<Vec<_>>()).collect()
    }

    /// The ID of a mapping that has this value in a space, and its segment there.
    #[must_use]
    pub fn id_at(&self, at: usize, held: &Held, value: u64) -> Option<(u64, Segment)> {
        let Owner::Mapping { mapping, side, run } = held.owner else { return None };
        let tables = &self.plan.tables;
        let compiled = &tables.peer(*self.spaces.get(at)?.peers.first()?)?.compiled;
        let side = tables.mappings.get(mapping)?.ids.sides.get(side)?;
        let writers = [Compiled::rx_ids, Compiled::tx_ids]
            .into_iter()
            .filter_map(|of| RunWriter::of(side, |segment| of(compiled, segment)).ok());
        let id = writers.flatten().find(|writer| writer.values(run) == held.ids)?.id(run, value);
        Some((id, Segment(side.outline(id))))
    }
}
