//! Stacked VLAN tags on a port: IEEE 802.1ad, 802.1Q, and none at all.
//!
//! ```text
//! | dst MAC | src MAC | TPID 88a8 | PCP DEI S-VID | 8100 | PCP DEI C-VID | type | payload ...
//! ```
//!
//! The tags are the segment. Five grammars share a port: `{ s_vid, c_vid }` takes two tags; the same with a range of
//! C-VIDs takes the outer one and leaves the C-tag in the frame; `{ s_vid }` takes the outer one and leaves whatever
//! comes behind it; `{ vid }` takes exactly one 0x8100 tag, and `{ untagged: true }` none, or a tag that only carries a
//! priority (VID 0).

mod brought;
mod claimed;
mod shape;
mod words;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::drops::{Common, DropReason, drop_reasons};
use crate::encap::{Carrier, Decap, Encap, IdField, IdForm, Ids, Segment, SpecError};
use crate::ethernet::{self, C_TAG, S_TAG, TAG_LEN};
use crate::frame::{Frame, Priority};
use crate::l2cp::ControlGroups;
use crate::wire_ids::WireIds;
use crate::words::Readings;
use claimed::{Claimed, Uses};
use shape::{Shape, parts, range, segment};

const VID_MASK: u16 = 0x0fff;
const VID_RESERVED: u16 = 0x0fff;
const MOST_TPIDS: usize = 8;

drop_reasons! {
    /// The drop reasons that only tagged ports have.
    pub enum Drop for QinQ {
        [Decap]
        WrongTpid, "qinq_wrong_tpid", Config, "The outer tag's TPID is not in the port's tpids.";
        ReservedVid, "qinq_reserved_vid", Peer, "VLAN ID 4095 is reserved by IEEE 802.1Q.";
        TagShape, "qinq_tag_shape", Config, "The tags have a shape that no attachment of the port can have: too many, too few, or an inner TPID other than 0x8100.";
        [Encap]
        OutsideRange, "qinq_outside_range", Config, "Where the attachment takes a range of C-VIDs (`c_vid: 7-9`), frames leave with the C-tag that they bring: this one has none, or one that is not in the range.";
        ForeignTag, "qinq_foreign_tag", Config, "A VLAN tag inside the tenant's frame would have made it another attachment's frame where it leaves: write `inner_tags: strip` or `drop`, or give the attachment tags of its own.";
    }
}

/// The values that no VLAN ID has, and why.
type VidRules = [(std::ops::RangeInclusive<u64>, &'static str); 2];

const fn vid_rules(zero: &'static str) -> VidRules {
    [(0..=0, zero), (0xfff..=0xfff, "reserved by IEEE 802.1Q; VLAN IDs run from 1 to 4094")]
}

const S_VID_RULES: &VidRules = &vid_rules(
    "only marks a priority (IEEE 802.1Q); write `vid` alone for frames with a single tag, or `untagged: true` alone for those \
     without a VLAN",
);
const C_VID_RULES: &VidRules = &vid_rules(
    "only marks a priority (IEEE 802.1Q); leave `c_vid` out: `s_vid` alone takes every frame of the S-VLAN that no other \
     attachment claims by its C-VID",
);
const VID_RULES: &VidRules =
    &vid_rules("only marks a priority (IEEE 802.1Q); write `untagged: true` alone for frames without a VLAN");

const fn vid_field(
    name: &'static str,
    takes_ranges: bool,
    reserved: &'static VidRules,
    about: &'static str,
) -> IdField {
    IdField { name, form: IdForm::Number { max: 0xfff }, reserved, takes_ranges, about }
}

/// How a port speaks tags.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "TagOptions")]
pub struct Spec {
    /// TPIDs accepted on the outer tag.
    pub tpids: Vec<u16>,
    /// TPID written on the outer tag; the first of `tpids` if left out.
    pub emit_tpid: Option<u16>,
}

impl Default for Spec {
    fn default() -> Self {
        Self { tpids: vec![S_TAG], emit_tpid: None }
    }
}

/// What stands first in a frame, as the upper bits of [`wire_id`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum First {
    /// No tag.
    Nothing,
    /// A tag of TPID 0x8100.
    CTag,
    /// A tag of another TPID that the port takes.
    Accepted,
    /// A tag of a TPID that the port does not take.
    Foreign,
}

/// Bits of what comes behind the first tag: 0 for no tag, 1 for one that is not 0x8100, else 0x1000 and its VLAN ID.
const NEXT_BITS: u32 = 13;
const ANY_NEXT: u64 = (1 << NEXT_BITS) - 1;
const NEXT_IS_C_TAG: u64 = 1 << 12;

/// The tags of a frame as one number, which is what the claims of a port are counted in.
const fn wire_id(first: First, vid: u16, next: u64) -> u64 {
    (first as u64) << (12 + NEXT_BITS) | (vid as u64) << NEXT_BITS | next
}

/// What an IP packet with one 0x8100 tag of this VLAN ID, or with none, is counted as on every port.
#[must_use]
pub const fn wire_id_of_vlan(vlan: Option<u16>) -> u64 {
    match vlan {
        Some(vid) => wire_id(First::CTag, vid, 0),
        None => wire_id(First::Nothing, 0, 0),
    }
}

/// The segment of frames without a VLAN ID.
pub const UNTAGGED: Segment = segment(Shape::Untagged, 0, 0);

/// The segment of a single 0x8100 tag.
#[must_use]
pub const fn single(vid: u16) -> Segment {
    segment(Shape::Single, vid, 0)
}

/// The first tag of a segment's frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirstTag {
    /// None, or one without a VLAN ID.
    None,
    /// A 0x8100 tag that stands alone.
    Single(u16),
    /// The outer tag, of one of the port's TPIDs.
    Outer(u16),
}

/// The first tag of a segment's frames.
#[must_use]
pub const fn first_tag(segment: Segment) -> FirstTag {
    match parts(segment) {
        (Shape::Untagged, ..) => FirstTag::None,
        (Shape::Single, vid, _) => FirstTag::Single(vid),
        (Shape::Outer | Shape::Both | Shape::Range, vid, _) => FirstTag::Outer(vid),
    }
}

/// Where the VLAN ID of the first tag begins in a segment.
pub const FIRST_VID_AT: u32 = 12;

/// A port's tag grammar, compiled from its TPIDs and from what its attachments claim.
#[derive(Debug, Clone)]
pub struct QinQ {
    tpids: [u16; MOST_TPIDS],
    emit_tpid: u16,
    /// The lowest type of a tag, on frames that come in or that go out.
    least_tpid: u16,
    /// Boxed, since a peer of another kind has no use for the room.
    claimed: Box<Claimed>,
}

impl QinQ {
    /// The TPIDs that an outer tag may have on receive; some may stand here twice.
    #[must_use]
    pub const fn tpids(&self) -> &[u16] {
        &self.tpids
    }
}

impl Encap for QinQ {
    const TAG: &'static str = "qinq";
    const TITLE: &'static str = "802.1ad (QinQ)";
    const STANDARD: &'static str = "IEEE 802.1Q";
    const CARRIER: Carrier = Carrier::Port;
    const OVERHEAD: usize = 2 * TAG_LEN;
    const IDS: &'static [IdField] = &[
        vid_field("s_vid", false, S_VID_RULES, "VLAN ID of the outer tag, 1 to 4094"),
        vid_field("c_vid", true, C_VID_RULES, "VLAN ID of the inner 0x8100 tag, 1 to 4094, beside `s_vid`"),
        vid_field("vid", false, VID_RULES, "VLAN ID of a single 0x8100 tag, 1 to 4094"),
        IdField {
            name: "untagged",
            form: IdForm::Flag,
            reserved: &[(0..=0, "the opposite of untagged is a `vid` or an `s_vid`")],
            takes_ranges: false,
            about: "frames without a tag, or with a tag that only carries a priority",
        },
    ];

    type Spec = Spec;
    type Drop = Drop;
    type State = ();

    fn compile(spec: &Spec) -> Result<Self, SpecError> {
        let Some(&first) = spec.tpids.first() else {
            return Err(SpecError::new(
                "tpids",
                "the list is empty; write the outer TPIDs to accept, such as [0x88a8]",
            ));
        };
        if spec.tpids.len() > MOST_TPIDS {
            return Err(SpecError::new("tpids", format!("at most {MOST_TPIDS} TPIDs fit a port")));
        }
        let emit_tpid = spec.emit_tpid.unwrap_or(first);
        for (field, tpid) in spec.tpids.iter().map(|&tpid| ("tpids", tpid)).chain([("emit_tpid", emit_tpid)]) {
            // Nobody has these, but many leave `0x` out.
            if let 8100 | 9100 | 9200 | 9300 = tpid {
                return Err(SpecError::new(field, format!("{tpid} is decimal, {tpid:#06x}; write 0x{tpid}")));
            }
            // Everything below 0x600 is a length; IP and ARP would swallow untagged traffic.
            if tpid < 0x600 || matches!(tpid, ethernet::IPV4 | ethernet::IPV6 | ethernet::ARP) {
                return Err(SpecError::new(
                    field,
                    format!("{tpid:#06x} cannot be a TPID; usual ones are 0x88a8, 0x8100 and 0x9100"),
                ));
            }
        }
        let mut tpids = [first; MOST_TPIDS];
        tpids.iter_mut().zip(&spec.tpids).for_each(|(slot, &tpid)| *slot = tpid);
        let least_tpid = spec.tpids.iter().copied().fold(emit_tpid.min(C_TAG), u16::min);
        Ok(Self { tpids, emit_tpid, least_tpid, claimed: Box::new(Claimed::none()) })
    }

    fn overhead(&self, segment: Segment) -> usize {
        match parts(segment).0 {
            Shape::Untagged => 0,
            Shape::Single | Shape::Outer | Shape::Range => TAG_LEN,
            Shape::Both => 2 * TAG_LEN,
        }
    }

    fn outer_tag(&self, segment: Segment) -> Option<u16> {
        match parts(segment).0 {
            Shape::Untagged => None,
            Shape::Single => Some(C_TAG),
            Shape::Outer | Shape::Both | Shape::Range => Some(self.emit_tpid),
        }
    }

    fn segment(ids: &Ids) -> Result<Segment, SpecError> {
        let vid = |name| ids.get(name).map(|vid| vid as u16);
        let last = ids.range("c_vid").map(|c_vids| *c_vids.end() as u16);
        match (vid("s_vid"), vid("c_vid"), vid("vid"), ids.get("untagged").is_some()) {
            (Some(outer), Some(first), None, false) if let Some(last) = last => Ok(range(outer, first, last)),
            (Some(outer), Some(inner), None, false) => Ok(segment(Shape::Both, outer, inner)),
            (Some(outer), None, None, false) => Ok(segment(Shape::Outer, outer, 0)),
            (None, None, Some(vid), false) => Ok(segment(Shape::Single, vid, 0)),
            (None, None, None, true) => Ok(segment(Shape::Untagged, 0, 0)),
            (None, Some(_), None, false) => Err(SpecError::new(
                "c_vid",
                "an inner VLAN ID needs its outer one; add `s_vid`, or write `vid` for a single tag",
            )),
            (None, None, None, false) => Err(SpecError::new(
                "s_vid",
                "a port attachment needs its tags: `s_vid` and `c_vid`, `s_vid` alone, `vid`, or `untagged: true`",
            )),
            (_, _, _, true) => Err(SpecError::new("untagged", "use either `untagged` or a VLAN ID, not both")),
            _ => Err(SpecError::new("vid", "`vid` is a single tag; write `s_vid` and `c_vid` for two, or `vid` alone")),
        }
    }

    fn relayed(segment: Segment) -> ControlGroups {
        // With its C-tag taken off, a frame is in a C-VLAN.
        if parts(segment).0 == Shape::Outer { ControlGroups::RELAYED_IN_S_VLANS } else { ControlGroups::NONE }
    }

    fn ids(segment: Segment) -> Ids {
        let (shape, outer, inner) = parts(segment);
        let (outer, inner) = (u64::from(outer), u64::from(inner));
        match shape {
            Shape::Untagged => Ids::of(&[("untagged", 1)]),
            Shape::Single => Ids::of(&[("vid", outer)]),
            Shape::Outer => Ids::of(&[("s_vid", outer)]),
            Shape::Both => Ids::of(&[("s_vid", outer), ("c_vid", inner)]),
            Shape::Range => {
                let mut ids = Ids::of(&[("s_vid", outer)]);
                ids.set_range("c_vid", inner..=u64::from(shape::last(segment)));
                ids
            }
        }
    }

    fn claim(&mut self, segment: Segment) -> Result<(), SpecError> {
        self.join(segment, segment)
    }

    fn join(&mut self, segment: Segment, first: Segment) -> Result<(), SpecError> {
        self.check_single(segment)?;
        self.claimed.add(segment, first)
    }

    fn claim_mapped(&mut self, segment: Segment) -> Result<(), SpecError> {
        self.check_single(segment)?;
        self.claimed.add_mapped(segment)
    }

    fn longer(&self, segment: Segment) -> Vec<Segment> {
        self.claimed.longer(segment)
    }

    fn fellows(&self, segment: Segment) -> Vec<Segment> {
        self.claimed.list(segment)
    }

    fn rx_ids(&self, segment: Segment) -> WireIds {
        let (shape, vid, inner) = parts(segment);
        let tagged = |vid, next, last| {
            let range = move |first| Some((wire_id(first, vid, next), wire_id(first, vid, last)));
            let c_tag = self.accepts(C_TAG).then_some(First::CTag).and_then(range);
            let others = self.tpids.iter().any(|&tpid| tpid != C_TAG).then_some(First::Accepted).and_then(range);
            (c_tag, others)
        };
        match shape {
            Shape::Untagged => {
                let (_, others) = tagged(0, 0, 0);
                let (none, priority) = (wire_id(First::Nothing, 0, 0), wire_id(First::CTag, 0, 0));
                WireIds::of([Some((none, none)), Some((priority, priority)), others])
            }
            Shape::Single => WireIds::one(wire_id(First::CTag, vid, 0)),
            Shape::Outer => {
                let (c_tag, others) = tagged(vid, 0, ANY_NEXT);
                WireIds::of([c_tag, others, None])
            }
            Shape::Both => {
                let next = NEXT_IS_C_TAG | u64::from(inner);
                let (c_tag, others) = tagged(vid, next, next);
                WireIds::of([c_tag, others, None])
            }
            Shape::Range => {
                let (first, last) = (u64::from(inner), u64::from(shape::last(segment)));
                let (c_tag, others) = tagged(vid, NEXT_IS_C_TAG | first, NEXT_IS_C_TAG | last);
                WireIds::of([c_tag, others, None])
            }
        }
    }

    /// What the tenant's frame begins with is left out where [`encap`](Self::encap) sees to it.
    fn tx_ids(&self, segment: Segment) -> WireIds {
        let (shape, vid, inner) = parts(segment);
        let first = match self.emit_tpid {
            C_TAG => First::CTag,
            tpid if self.accepts(tpid) => First::Accepted,
            _ => First::Foreign,
        };
        match shape {
            Shape::Untagged => WireIds::one(wire_id(First::Nothing, 0, 0)),
            Shape::Single => WireIds::one(wire_id(First::CTag, vid, 0)),
            Shape::Outer => WireIds::range(wire_id(first, vid, 0), wire_id(first, vid, ANY_NEXT)),
            Shape::Both => WireIds::one(wire_id(first, vid, NEXT_IS_C_TAG | u64::from(inner))),
            Shape::Range => {
                let next = |c_vid: u16| wire_id(first, vid, NEXT_IS_C_TAG | u64::from(c_vid));
                WireIds::range(next(inner), next(shape::last(segment)))
            }
        }
    }

    fn blocks_foreign_tags(&self, segment: Segment) -> bool {
        self.claimed.knows(segment)
    }

    #[expect(
        clippy::inline_always,
        reason = "in one loop for every kind of observer, each of which is to have its own"
    )]
    #[inline(always)]
    fn decap(&self, (): &(), frame: &mut Frame<'_>) -> Result<Decap, DropReason> {
        let head: &[u8] = frame.bytes();
        let tpid = ethernet::be16(head, 12).ok_or(Common::Truncated)?;
        let is_outer = self.accepts(tpid);
        if !is_outer && tpid != C_TAG {
            return if ethernet::is_tag(tpid) {
                Err(Drop::WrongTpid.into())
            } else {
                Ok(Decap::ethernet(segment(Shape::Untagged, 0, 0)))
            };
        }
        let tci = ethernet::be16(head, 14).ok_or(Common::Truncated)?;
        let next = ethernet::be16(head, 16).ok_or(Common::Truncated)?;
        let vid = tci & VID_MASK;

        let uses = self.claimed.uses(vid);

        let found = if vid == VID_RESERVED {
            return Err(Drop::ReservedVid.into());
        } else if is_outer
            && uses.has(Uses::WHOLE.or(Uses::LAYERED))
            && let Some(found) = self.behind_outer(uses, vid, head)?
        {
            found
        } else if is_outer && vid != 0 && next == C_TAG {
            let inner = ethernet::be16(head, 18).ok_or(Common::Truncated)? & VID_MASK;
            if head.len() < 22 {
                return Err(Common::Truncated.into());
            }
            if inner == VID_RESERVED {
                return Err(Drop::ReservedVid.into());
            }
            segment(Shape::Both, vid, inner)
        } else if ethernet::is_tag(next) {
            return Err(Drop::TagShape.into());
        } else if vid == 0 {
            segment(Shape::Untagged, 0, 0)
        } else if tpid == C_TAG {
            segment(Shape::Single, vid, 0)
        } else {
            // Nobody claims it, or it would have been found above; it is well-formed all the same.
            segment(Shape::Outer, vid, 0)
        };

        frame.pop_tag()?;
        frame.meta.priorities = [Some(Priority::of_tci(tci)), None];
        if parts(found).0 == Shape::Both {
            let (_, inner) = frame.pop_tag()?;
            frame.meta.priorities[1] = Some(Priority::of_tci(inner));
        }
        Ok(Decap::ethernet(found))
    }

    #[inline]
    fn encap(&self, (): &(), frame: &mut Frame<'_>, segment: Segment, _: u32) -> Result<(), DropReason> {
        let (shape, outer, inner) = parts(segment);
        let [outer_priority, inner_priority] = priorities(frame);
        if frame.headroom() < self.overhead(segment) {
            return Err(Common::NoHeadroom.into());
        }
        match shape {
            Shape::Untagged if self.is_anothers(frame) => Err(Drop::ForeignTag.into()),
            Shape::Untagged => Ok(()),
            Shape::Single if self.is_anothers_behind(frame, outer) => Err(Drop::ForeignTag.into()),
            Shape::Single => frame.push_tag(C_TAG, outer_priority | outer),
            Shape::Outer | Shape::Range if self.claimed.uses(outer).has(Uses::LAYERED) => {
                self.check_inner(frame, segment)?;
                frame.push_tag(self.emit_tpid, outer_priority | outer)
            }
            Shape::Outer | Shape::Range => frame.push_tag(self.emit_tpid, outer_priority | outer),
            Shape::Both => {
                frame.push_tag(C_TAG, inner_priority | inner)?;
                frame.push_tag(self.emit_tpid, outer_priority | outer)
            }
        }
    }

    fn why(&self, reason: Drop, frame: &[u8], who: &str) -> Option<String> {
        Some(words::why(self, reason, frame, who))
    }

    fn readings(&self, frame: &[u8], configured: &[Segment]) -> Readings {
        words::readings(self, frame, configured)
    }
}

impl QinQ {
    #[inline]
    fn accepts(&self, tpid: u16) -> bool {
        self.tpids.contains(&tpid)
    }

    /// The segment of a frame with an outer tag that is claimed as a whole, or with ranges behind it; `None` where
    /// nobody claims what comes behind it.
    #[inline]
    fn behind_outer(&self, uses: Uses, vid: u16, head: &[u8]) -> Result<Option<Segment>, DropReason> {
        if uses.has(Uses::LAYERED) {
            self.longest_match(uses, vid, head)
        } else {
            Ok(Some(segment(Shape::Outer, vid, 0)))
        }
    }

    #[inline(never)]
    fn longest_match(&self, uses: Uses, vid: u16, head: &[u8]) -> Result<Option<Segment>, DropReason> {
        let mut found = None;
        if ethernet::be16(head, 16) == Some(C_TAG) {
            let inner = ethernet::be16(head, 18).ok_or(Common::Truncated)? & VID_MASK;
            if head.len() < 22 {
                return Err(Common::Truncated.into());
            }
            found = self.claimed.longest(vid, inner);
        }
        let whole = uses.has(Uses::WHOLE).then_some(segment(Shape::Outer, vid, 0));
        Ok(found.or(whole))
    }

    /// A single tag and an outer one of the same VLAN ID are alike where the port takes, or writes, 0x8100 outside.
    fn check_single(&self, segment: Segment) -> Result<(), SpecError> {
        let (shape, vid, _) = parts(segment);
        let uses = self.claimed.uses(vid);
        match shape {
            _ if !self.accepts(C_TAG) && self.emit_tpid != C_TAG => Ok(()),
            Shape::Outer if uses.has(Uses::SINGLE) => Err(self.same_tag("s_vid", vid)),
            Shape::Single if uses.has(Uses::WHOLE) => Err(self.same_tag("vid", vid)),
            _ => Ok(()),
        }
    }

    fn same_tag(&self, field: &'static str, vid: u16) -> SpecError {
        let why = if self.accepts(C_TAG) { "0x8100 is in the port's tpids" } else { "0x8100 is the port's emit_tpid" };
        SpecError::new(
            field,
            format!(
                "a single 0x8100 tag with VLAN ID {vid} would fit both `vid: {vid}` and `s_vid: {vid}`, since {why}"
            ),
        )
    }
}

/// PCP and DEI for the tags to push: those taken off on the way in, else those of a tag that is payload, else 0.
#[inline]
fn priorities(frame: &Frame<'_>) -> [u16; 2] {
    let [outer, inner] = frame.meta.priorities;
    let outer = outer.or_else(|| {
        let bytes = frame.bytes();
        let tagged = ethernet::be16(bytes, 12).is_some_and(ethernet::is_tag);
        if tagged { ethernet::be16(bytes, 14).map(Priority::of_tci) } else { None }
    });
    [outer.unwrap_or_default().to_tci(), inner.or(outer).unwrap_or_default().to_tci()]
}
