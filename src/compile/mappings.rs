//! Mappings: cross-connects between two sides, checked to be one-to-one and to take nobody else's IDs.

use std::sync::atomic::AtomicU64;

use transload_encaps::{Carrier, Compiled, IdField, IdForm, Ids, InnerTags, Segment};

use super::attachments;
use super::bits;
use super::claims::Segments;
use super::context::Context;
use super::origins::Noun;
use super::room::Room;
use super::sides::{FarSide, FarSides};
use super::specs;
use super::table::check_name;
use crate::config::{self, At, Attachment, Name, Named, Range, Span};
use crate::forwarding::{Connection, End, Map, MappingId, Mappings, Members, Peer, PeerId, Scope, Slab};
use crate::mapping::{self, BitMove, Mapping};
use crate::mapping::{Values, common_segment, segments};

/// Most IDs of one mapping.
const MOST_IDS: u64 = 1 << 24;

/// The pass over the mappings.
pub(super) struct MappingPass<'p, 'n, 'c> {
    pub(super) sides: FarSides<'p, 'c>,
    /// They learn which segments are used.
    pub(super) peers: &'p mut Slab<PeerId, Peer>,
    pub(super) room: &'p mut Room<'c>,
    /// The segments of the tenants.
    pub(super) segments: &'p Segments<'c>,
    pub(super) context: &'p mut Context<'n>,
}

/// The mappings that have been compiled, with their places.
#[derive(Default)]
pub(super) struct MappingSection<'c> {
    pub(super) forwarding: Mappings,
    placed: Map<MappingId, PlacedMapping<'c>>,
}

/// A mapping in its place.
struct PlacedMapping<'c> {
    name: Name<'c>,
    /// The segments of its two sides.
    segments: [Vec<Values>; 2],
}

/// One side of a mapping that is being compiled.
struct SideDraft<'p, V> {
    side: &'p FarSide,
    peer: PeerId,
    inner_tags: InnerTags,
    /// In the order in which the encapsulation lists them.
    fields: Vec<(&'static IdField, V)>,
    /// Where the side stands.
    span: Span,
}

/// A mapping that is right in itself.
struct CheckedMapping<'p> {
    connection: Connection,
    /// What its two sides lead to.
    sides: [&'p FarSide; 2],
}

impl<'p, 'c> MappingPass<'p, '_, 'c> {
    pub(super) fn compile(mut self, mappings: &'c Named<config::Mapping>) -> MappingSection<'c> {
        let mut all = MappingSection::default();
        for (name, config) in mappings.iter() {
            check_name("mapping", name, &mut self.context.findings);
            let Some(made) = config.and_then(|config| self.checked(name, config)) else { continue };
            // Where they cannot be listed, the proof of isolation says so.
            let segments = [0, 1].map(|side| segments(&made.connection.ids, side).unwrap_or_default());
            let placed = PlacedMapping { name, segments };
            if self.is_free(&placed, &made, &all) && self.claim(name, &made, &all) {
                let id = self.context.numbers.mapping(name.text);
                self.context.names.set_mapping(id, name.text);
                self.context.note(Noun::Mapping(id), name.span);
                all.placed.insert(id, placed);
                all.add(id, made.connection);
            }
        }
        all
    }

    fn checked(&mut self, name: Name<'c>, config: &'c config::Mapping) -> Option<CheckedMapping<'p>> {
        let from = self.draft("from", &config.from);
        let to = self.draft("to", &config.to);
        let (from, to) = (from?, to?);
        let ids = self.ids(&from)?;
        let to_side = self.side(&to, |pass, field, at| bits::field(field, at, &ids, &mut pass.context.findings))?;
        let ids = Mapping { sides: [ids.sides[0].clone(), to_side], ..ids };
        let findings = &mut self.context.findings;
        if !bits::check(&ids, &to.fields, to.span, findings) || !bits::check_values(&ids, &to.fields, findings) {
            return None;
        }
        let holes: u64 = ids.holes().iter().map(|(first, last)| last - first + 1).sum();
        if holes == ids.count() {
            let message =
                format!("no ID of mapping `{}` can be used: on one side or the other all are reserved", name.text);
            findings.error(name.span, message, "choose other IDs");
            return None;
        }
        let end = |side: &FarSide, peer, inner_tags| End { peer, scope: side.scope, inner_tags };
        let ends = [end(from.side, from.peer, from.inner_tags), end(to.side, to.peer, to.inner_tags)];
        let connection = Connection { ids, ends, icmp_due: AtomicU64::default() };
        Some(CheckedMapping { connection, sides: [from.side, to.side] })
    }

    /// A side with its fields, as they are written.
    fn draft<V>(&mut self, word: &'static str, at: &'c At<Attachment<V>>) -> Option<SideDraft<'p, &'c At<V>>> {
        let config = at.get()?;
        let name = Name { text: word, span: at.span, extent: at.span };
        let side = self.sides.find(name, config, &mut self.context.findings)?;
        let Members::One(peer) = side.members else {
            let message =
                format!("a mapping leads from one peer or port to another, and {} has many members", side.label);
            self.context.findings.error(
                config.group.as_ref().map_or(at.span, |at| at.span),
                message,
                "name a peer or a port",
            );
            return None;
        };
        if let Some(at) = &config.split_horizon {
            let message = "a mapping has two sides, so `split_horizon` does nothing";
            self.context.findings.error(at.span, message, "remove it");
        }
        if let Err(error) = side.spec.mappable() {
            let help = format!("use tenants, or a peer without `{}`", error.field);
            self.context.findings.error(at.span, format!("{} {}", side.label, error.message), help);
            return None;
        }
        let inner_tags = attachments::inner_tags(config, side, &mut self.context.findings);
        let mut fields = attachments::fields(config, side, &mut self.context.findings)?;
        if let Some(id) = config.ids.iter().find(|id| id.sent.is_some()) {
            let message = "a mapping has the same IDs in both directions";
            self.context.findings.error(id.value.span, message, format!("write one `{}`", id.name));
            return None;
        }
        let order = side.kind.info().ids;
        fields.sort_by_key(|(field, _)| order.iter().position(|known| known.name == field.name));
        Some(SideDraft { side, peer, inner_tags, fields, span: at.span })
    }

    /// The IDs of the `from` side, each field above the next.
    fn ids(&mut self, from: &SideDraft<'p, &'c At<Range>>) -> Option<Mapping> {
        let (mut low, mut varying, mut fixed, mut count) = (0, 0, 0, 1_u64);
        let mut places = Vec::new();
        for (known, at) in from.fields.iter().rev() {
            let Range { first, last } = *at.get()?;
            let IdForm::Number { max } = known.form else { continue };
            if last > max {
                let message = format!("{} {last} is out of range", known.name);
                self.context.findings.error(at.span, message, format!("`{}`: {}", known.name, known.about));
                return None;
            }
            let differing = u64::BITS - (first ^ last).leading_zeros();
            let differing = 1_u64.checked_shl(differing).map_or(u64::MAX, |bit| bit - 1);
            varying |= (first & differing | differing) << low;
            fixed |= (first & !differing) << low;
            count = count.saturating_mul(last - first + 1);
            places.push((known.name, low));
            low += u64::BITS - max.leading_zeros();
        }
        if count > MOST_IDS {
            let message = format!("these are {count} IDs, and a mapping has at most {MOST_IDS}");
            self.context.findings.error(from.span, message, "make the ranges smaller");
            return None;
        }
        let side = self.side(from, |_, known, at| {
            let Range { first, last } = *at.get()?;
            let (_, low) = places.iter().find(|(name, _)| *name == known.name)?;
            let IdForm::Number { max } = known.form else { return None };
            let step = BitMove { mask: max << low, left: (u64::BITS - low) % u64::BITS };
            Some(bits::FieldValue { first, last, add: 0, constant: 0, moves: vec![step] })
        })?;
        let to = mapping::MappingSide { base: 0, fields: Box::default() };
        Some(Mapping { sides: [side, to], varying, fixed })
    }

    /// One side's way of writing an ID: the places of its fields in the segment, and their contents as `value` gives
    /// them.
    fn side<V>(
        &mut self,
        draft: &SideDraft<'p, &'c At<V>>,
        mut value: impl FnMut(&mut Self, &'static IdField, &'c At<V>) -> Option<bits::FieldValue>,
    ) -> Option<mapping::MappingSide> {
        let kind = draft.side.kind;
        let segment = |set: Option<(&'static str, u64)>| {
            let mut ids = Ids::default();
            for (known, _) in &draft.fields {
                let number = set.filter(|(name, _)| *name == known.name).map_or(0, |(_, value)| value);
                ids.set(known.name, if known.form == IdForm::Flag { 1 } else { number });
            }
            kind.segment(&ids)
        };
        let base = match segment(None) {
            Ok(Segment(base)) => base,
            Err(error) => {
                specs::report(draft.span, &error, &mut self.context.findings);
                return None;
            }
        };
        let mut fields = Vec::new();
        for &(known, at) in &draft.fields {
            let IdForm::Number { max: mask } = known.form else { continue };
            let shows = |value: u64| segment(Some((known.name, value))).map_or(0, |Segment(bits)| bits ^ base);
            let at_bit = shows(1).trailing_zeros();
            if at_bit == u64::BITS || shows(mask) != mask << at_bit {
                let message = format!("{} cannot be mapped", known.name);
                self.context.findings.error(at.span, message, "use tenants");
                return None;
            }
            let bits::FieldValue { first, last, add, constant, moves } = value(self, known, at)?;
            let reserved = known.reserved.iter().map(|(range, _)| (*range.start(), *range.end())).collect();
            let moves = moves.into();
            fields.push(mapping::Field { at: at_bit, mask, first, last, reserved, add, constant, moves });
        }
        Some(mapping::MappingSide { base, fields: fields.into() })
    }

    /// Whether no tenant and no other mapping has one of the IDs; a holder is reported.
    fn is_free(&mut self, placed: &PlacedMapping<'_>, new: &CheckedMapping<'_>, all: &MappingSection<'_>) -> bool {
        let PlacedMapping { name, segments: ours } = placed;
        let Context { names, findings, .. } = &mut *self.context;
        for (side, end) in new.connection.ends.iter().enumerate() {
            let far = new.sides[side];
            let rival = self.segments.in_scope(end.scope, names, |segment| new.connection.ids.has(side, segment));
            if let Some((segment, holder)) = rival.min_by_key(|(segment, holder)| (holder.span, *segment)) {
                let line = findings.line(holder.span, name.span);
                let tenant = names.domain(holder.domain);
                let message = format!(
                    "mapping `{}` takes {}, which is attachment `{}` of tenant `{tenant}` ({line})",
                    name.text,
                    far.ids(segment),
                    holder.attachment
                );
                let help = "an ID belongs to one attachment or mapping; leave it out of one of the two";
                findings.conflict(name.span, holder.span, "has it", message, help);
                return false;
            }
            let [from, to] = &new.connection.ends;
            if side == 0
                && from.scope == to.scope
                && let Some(segment) = common_segment(&ours[0], &ours[1])
            {
                let message = format!("mapping `{}` has {} on both sides", name.text, far.ids(segment));
                findings.error(name.span, message, "make the two sides differ");
                return false;
            }
            for (PlacedMapping { name: first, segments: theirs }, _, other_side) in all.in_scope(end.scope) {
                let Some(segment) = common_segment(&ours[side], &theirs[other_side]) else { continue };
                let (ids, line) = (far.ids(segment), findings.line(first.span, name.span));
                let message = format!("mappings `{}` ({line}) and `{}` both take {ids}", first.text, name.text);
                let help = "an ID belongs to one attachment or mapping; leave it out of one of the two";
                findings.conflict(name.span, first.span, "has it", message, help);
                return false;
            }
        }
        true
    }

    /// Tells the peers which segments are used; ports may not be able to tell them from others.
    fn claim(&mut self, name: Name<'_>, new: &CheckedMapping<'_>, all: &MappingSection<'_>) -> bool {
        let Context { names, findings, .. } = &mut *self.context;
        for (n, side) in new.sides.iter().enumerate() {
            self.room.check(side, Segment(new.connection.ids.sides[n].base), findings);
            // Only tags depend on what else is claimed; a header's IDs are all alike.
            if side.compiled.carrier() != Carrier::Port {
                continue;
            }
            for segment in new.connection.ids.first_values(n) {
                let Err(error) = side.claim_mapped(segment, self.peers) else { continue };
                let message = format!("mapping `{}`: {}", name.text, error.message);
                let help = "give one of the two different tags";
                let mapping = || all.in_scope(side.scope).next().map(|(PlacedMapping { name, .. }, ..)| name.span);
                let rival = self.segments.rival(side, segment, Compiled::claim_mapped, names).map(|holder| holder.span);
                match rival.or_else(mapping) {
                    Some(first) => findings.conflict(name.span, first, "the other", message, help),
                    None => findings.error(name.span, message, help),
                }
                return false;
            }
        }
        true
    }
}

impl<'c> MappingSection<'c> {
    fn add(&mut self, id: MappingId, connection: Connection) {
        let Mappings { all, by_scope } = &mut self.forwarding;
        for (side, end) in connection.ends.iter().enumerate() {
            by_scope.get_or_default(end.scope).push((id, side));
        }
        all.insert(id, connection);
    }

    /// The mappings with a side in this number space, and which side it is.
    fn in_scope(&self, scope: Scope) -> impl Iterator<Item = (&PlacedMapping<'c>, &Connection, usize)> {
        let here = self.forwarding.by_scope.get(scope).map_or(&[][..], Vec::as_slice);
        here.iter().filter_map(|&(id, side)| Some((self.placed.get(&id)?, self.forwarding.get(id)?, side)))
    }

    /// The mapping that has a segment.
    pub(super) fn holder(&self, scope: Scope, segment: Segment) -> Option<Name<'c>> {
        let mut here = self.in_scope(scope);
        here.find(|(_, connection, side)| connection.ids.has(*side, segment)).map(|(placed, ..)| placed.name)
    }
}
