//! Mappings: cross-connects between two sides, checked to be one-to-one and to take nobody else's IDs.

use std::sync::atomic::AtomicU64;

use transload_encaps::{Carrier, IdField, IdForm, Ids, InnerTags, Mac, Segment, Spec};

use super::attachments;
use super::bits;
use super::claims::Segments;
use super::fit::Room;
use super::names::{Names, slot};
use super::numbers::Numbers;
use super::ports::Ports;
use super::report::{Report, check_name};
use super::sides::{Side, Sides};
use super::specs;
use crate::config::{self, At, Attachment, Name, Named, Range, Span};
use crate::forwarding::{Connection, End, Map, MappingId, Mappings, Members, Peer, PeerId, Scope};
use crate::mapping::{self, Mapping, Move};
use crate::mapping::{Values, common_segment, segments};

/// Most IDs of one mapping.
const MOST_IDS: u64 = 1 << 24;

/// What the pass over the mappings works with.
pub(super) struct Pass<'p, 'c> {
    pub(super) ports: &'p Ports<'c>,
    pub(super) sides: Sides<'p, 'c>,
    /// By number; they learn which segments are claimed.
    pub(super) peers: &'p mut [Option<Peer>],
    pub(super) segments: &'p Segments<'c>,
    pub(super) numbers: &'p mut Numbers,
    pub(super) names: &'p mut Names,
    pub(super) report: &'p mut Report,
    pub(super) room: Room,
}

/// The mappings that have been compiled, with their places.
#[derive(Default)]
pub(super) struct Connections<'c> {
    pub(super) forwarding: Mappings,
    placed: Map<MappingId, Placed<'c>>,
}

/// A mapping in its place.
struct Placed<'c> {
    name: Name<'c>,
    /// The segments of its two sides.
    segments: [Vec<Values>; 2],
}

/// One side of a mapping on its way into the tables.
struct Draft<'p, V> {
    side: &'p Side,
    peer: PeerId,
    inner_tags: InnerTags,
    /// In the order in which the encapsulation lists them.
    fields: Vec<(&'static IdField, V)>,
    /// Where the side stands.
    span: Span,
}

impl<'p, 'c> Pass<'p, 'c> {
    pub(super) fn compile(mut self, mappings: &'c Named<config::Mapping>) -> Connections<'c> {
        let mut all = Connections::default();
        for (name, config) in mappings.iter() {
            check_name("mapping", name, self.report);
            let Some(connection) = config.and_then(|config| self.connection(name, config)) else { continue };
            // Where they cannot be told, the proof of isolation says so.
            let segments = [0, 1].map(|side| segments(&connection.ids, side).unwrap_or_default());
            let placed = Placed { name, segments };
            if self.is_free(&placed, &connection, &all) && self.claim(name, &connection, &all) {
                let id = self.numbers.mapping(name.text);
                self.names.set_mapping(id, name.text);
                all.placed.insert(id, placed);
                all.add(id, connection);
            }
        }
        all
    }

    fn connection(&mut self, name: Name<'c>, config: &'c config::Mapping) -> Option<Connection> {
        let from = self.draft("from", &config.from);
        let to = self.draft("to", &config.to);
        let (from, to) = (from?, to?);
        let ids = self.ids(&from)?;
        let to_side = self.side(&to, |pass, field, at| bits::field(field, at, &ids, pass.report))?;
        let ids = Mapping { sides: [ids.sides[0].clone(), to_side], ..ids };
        let is_one_to_one =
            bits::check(&ids, &to.fields, to.span, self.report) && bits::check_values(&ids, &to.fields, self.report);
        if !is_one_to_one {
            return None;
        }
        let holes: u64 = ids.holes().iter().map(|(first, last)| last - first + 1).sum();
        if holes == ids.count() {
            let message =
                format!("no ID of mapping `{}` can be used: on one side or the other all are reserved", name.text);
            self.report.error(name.span, message, "choose other IDs");
            return None;
        }
        let end = |side: &Side, peer, inner_tags| End { peer, scope: side.scope, inner_tags };
        let ends = [end(from.side, from.peer, from.inner_tags), end(to.side, to.peer, to.inner_tags)];
        // The whole gateway decides about it, once it is known.
        let mac = Mac::from_bits(0);
        Some(Connection { ids, ends, mac, icmp_due: AtomicU64::default() })
    }

    /// A side with its fields, as they are written.
    fn draft<V>(&mut self, word: &'static str, at: &'c At<Attachment<V>>) -> Option<Draft<'p, &'c At<V>>> {
        let config = at.get()?;
        let name = Name { text: word, span: at.span, extent: at.span };
        let side = self.sides.find(name, config, self.report)?;
        let Members::One(peer) = side.members else {
            let message =
                format!("a mapping leads from one peer or port to another, and {} has many members", side.label);
            self.report.error(config.group.as_ref().map_or(at.span, |at| at.span), message, "name a peer or a port");
            return None;
        };
        if let Some(at) = &config.split_horizon {
            let message = "a mapping has two sides, so `split_horizon` does nothing";
            self.report.error(at.span, message, "remove it");
        }
        if let Spec::Gre(spec) = &side.spec
            && spec.sequence
        {
            let message = format!("{} counts sequence numbers for every key, which a mapping cannot keep", side.label);
            self.report.error(at.span, message, "use tenants, or a peer without `sequence: true`");
            return None;
        }
        let inner_tags = attachments::inner_tags(config, side, self.report);
        let mut fields = attachments::fields(config, side, self.report)?;
        let order = side.kind.info().ids;
        fields.sort_by_key(|(field, _)| order.iter().position(|known| known.name == field.name));
        Some(Draft { side, peer, inner_tags, fields, span: at.span })
    }

    /// The IDs of the `from` side, each field above the next.
    fn ids(&mut self, from: &Draft<'p, &'c At<Range>>) -> Option<Mapping> {
        let (mut low, mut varying, mut fixed, mut count) = (0, 0, 0, 1_u64);
        let mut places = Vec::new();
        for (known, at) in from.fields.iter().rev() {
            let Range { first, last } = *at.get()?;
            let IdForm::Number { max } = known.form else { continue };
            if last > max {
                let message = format!("{} {last} is out of range", known.name);
                self.report.error(at.span, message, format!("`{}`: {}", known.name, known.about));
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
            self.report.error(from.span, message, "make the ranges smaller");
            return None;
        }
        let side = self.side(from, |_, known, at| {
            let Range { first, last } = *at.get()?;
            let (_, low) = places.iter().find(|(name, _)| *name == known.name)?;
            let IdForm::Number { max } = known.form else { return None };
            let step = Move { mask: max << low, left: (u64::BITS - low) % u64::BITS };
            Some(bits::Value { first, last, add: 0, constant: 0, moves: vec![step] })
        })?;
        let to = mapping::Side { base: 0, fields: Box::default() };
        Some(Mapping { sides: [side, to], varying, fixed })
    }

    /// How a side writes an ID: where its fields are in the segment, and what `value` says is in them.
    fn side<V>(
        &mut self,
        draft: &Draft<'p, &'c At<V>>,
        mut value: impl FnMut(&mut Self, &'static IdField, &'c At<V>) -> Option<bits::Value>,
    ) -> Option<mapping::Side> {
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
                specs::tell(draft.span, &error, self.report);
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
                self.report.error(at.span, message, "use tenants");
                return None;
            }
            let bits::Value { first, last, add, constant, moves } = value(self, known, at)?;
            let reserved = known.reserved.iter().map(|(range, _)| (*range.start(), *range.end())).collect();
            let moves = moves.into();
            fields.push(mapping::Field { at: at_bit, mask, first, last, reserved, add, constant, moves });
        }
        Some(mapping::Side { base, fields: fields.into() })
    }

    /// Whether no tenant and no other mapping has one of the IDs; who has is reported.
    fn is_free(&mut self, placed: &Placed<'_>, new: &Connection, all: &Connections<'_>) -> bool {
        let Placed { name, segments: ours } = placed;
        for (side, end) in new.ends.iter().enumerate() {
            let rival = self.segments.in_scope(end.scope, self.names, |segment| new.ids.has(side, segment));
            if let Some((segment, holder)) = rival.min_by_key(|(segment, holder)| (holder.span, *segment)) {
                let ids = self.ids_of(end.peer, segment);
                let line = self.report.line(holder.span, name.span);
                let tenant = self.names.domain(holder.domain);
                let message = format!(
                    "mapping `{}` takes {ids}, which is attachment `{}` of tenant `{tenant}` ({line})",
                    name.text, holder.attachment
                );
                let help = "an ID belongs to one attachment or mapping; leave it out of one of the two";
                self.report.conflict(name.span, holder.span, "has it", message, help);
                return false;
            }
            let [from, to] = &new.ends;
            if side == 0
                && from.scope == to.scope
                && let Some(segment) = common_segment(&ours[0], &ours[1])
            {
                let ids = self.ids_of(end.peer, segment);
                let message = format!("mapping `{}` has {ids} on both sides", name.text);
                self.report.error(name.span, message, "make the two sides differ");
                return false;
            }
            for (Placed { name: first, segments: theirs }, _, other_side) in all.in_scope(end.scope) {
                let Some(segment) = common_segment(&ours[side], &theirs[other_side]) else { continue };
                let (ids, line) = (self.ids_of(end.peer, segment), self.report.line(first.span, name.span));
                let message = format!("mappings `{}` ({line}) and `{}` both take {ids}", first.text, name.text);
                let help = "an ID belongs to one attachment or mapping; leave it out of one of the two";
                self.report.conflict(name.span, first.span, "has it", message, help);
                return false;
            }
        }
        true
    }

    /// Tells the peers which segments are used; ports may not be able to tell them from others.
    fn claim(&mut self, name: Name<'_>, new: &Connection, all: &Connections<'_>) -> bool {
        for (side, end) in new.ends.iter().enumerate() {
            let Some(peer) = self.peers.get_mut(end.peer.0 as usize).and_then(Option::as_mut) else { continue };
            let base = new.ids.sides[side].base;
            if let Some(found) = self.sides.of(end.peer) {
                self.room.check(found, Segment(base), &peer.compiled, self.ports, self.report);
            }
            // Only tags depend on what else is claimed; a header's IDs are all alike.
            if peer.compiled.carrier() != Carrier::Port {
                continue;
            }
            for segment in new.ids.first_values(side) {
                let Err(error) = peer.compiled.claim(segment) else { continue };
                let rival = self.sides.of(end.peer).and_then(|side| self.segments.rival(side, segment, self.names));
                let message = format!("mapping `{}`: {}", name.text, error.message);
                let help = "give one of the two other tags";
                if let Some(holder) = rival {
                    self.report.conflict(name.span, holder.span, "the other", message, help);
                } else if let Some((Placed { name: first, .. }, ..)) = all.in_scope(end.scope).next() {
                    self.report.conflict(name.span, first.span, "the other", message, help);
                } else {
                    self.report.error(name.span, message, help);
                }
                return false;
            }
        }
        true
    }

    /// ``vni 7 of peer `leaf-9` ``
    fn ids_of(&self, peer: PeerId, segment: Segment) -> String {
        let side = self.sides.of(peer);
        side.map_or_else(String::new, |side| format!("{} of {}", side.kind.ids(segment), side.label))
    }
}

impl<'c> Connections<'c> {
    fn add(&mut self, id: MappingId, connection: Connection) {
        let Mappings { all, by_scope } = &mut self.forwarding;
        for (side, end) in connection.ends.iter().enumerate() {
            slot(by_scope, end.scope.0 as usize).push((id, side));
        }
        *slot(all, id.0 as usize) = Some(connection);
    }

    /// The mappings with a side in this number space, and which side it is.
    fn in_scope(&self, scope: Scope) -> impl Iterator<Item = (&Placed<'c>, &Connection, usize)> {
        let here = self.forwarding.by_scope.get(scope.0 as usize).map_or(&[][..], Vec::as_slice);
        here.iter().filter_map(|&(id, side)| Some((self.placed.get(&id)?, self.forwarding.get(id)?, side)))
    }

    /// Every mapping, and where the file names it.
    pub(super) fn places(&self) -> impl Iterator<Item = (MappingId, Span)> {
        self.placed.iter().map(|(id, placed)| (*id, placed.name.span))
    }

    /// The mapping that has a segment.
    pub(super) fn holder(&self, scope: Scope, segment: Segment) -> Option<Name<'c>> {
        let mut here = self.in_scope(scope);
        here.find(|(_, connection, side)| connection.ids.has(*side, segment)).map(|(placed, ..)| placed.name)
    }
}
