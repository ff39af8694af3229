//! Tags in words: what else the tags of a frame may have been meant to be.
//!
//! Every guess is put to the port's own decapsulation, so that what is said of it is true.

use std::borrow::Cow;

use super::shape::{Shape, last, parts};
use super::{Drop, QinQ, VID_MASK, VID_RESERVED};
use crate::encap::{Encap, Segment};
use crate::ethernet::{self, ADDRESSES_LEN, C_TAG, S_TAG, TAG_LEN};
use crate::frame::Frame;
use crate::words::{Fix, Reading, Readings};

const USUAL_TPIDS: [u16; 5] = [S_TAG, C_TAG, 0x9100, 0x9200, 0x9300];

/// A VLAN tag: its TPID, and priority with VLAN ID.
#[derive(Clone, Copy)]
struct VlanTag {
    tpid: u16,
    tci: u16,
}

impl VlanTag {
    const fn vid(self) -> u16 {
        self.tci & VID_MASK
    }

    const fn under(self, tpid: u16) -> Self {
        Self { tpid, ..self }
    }

    fn bytes(self) -> [u8; TAG_LEN] {
        let ([a, b], [c, d]) = (self.tpid.to_be_bytes(), self.tci.to_be_bytes());
        [a, b, c, d]
    }
}

/// The tags of a frame, the outermost first.
fn tags(frame: &[u8]) -> Vec<VlanTag> {
    let tag = |at| Some(VlanTag { tpid: ethernet::be16(frame, at)?, tci: ethernet::be16(frame, at + 2)? });
    let all = (ADDRESSES_LEN..).step_by(TAG_LEN).map_while(tag);
    all.take_while(|tag| ethernet::is_tag(tag.tpid)).collect()
}

/// "VLAN 100 under 0x88a8 and VLAN 7 under 0x8100"
fn in_words(tags: &[VlanTag]) -> String {
    if tags.is_empty() {
        return "no tag".to_owned();
    }
    let each: Vec<_> = tags.iter().map(|tag| format!("VLAN {} under {:#06x}", tag.vid(), tag.tpid)).collect();
    each.join(" and ")
}

/// Why a frame was dropped. See [`Encap::why`].
pub(super) fn why(port: &QinQ, reason: Drop, frame: &[u8], who: &str) -> String {
    let tags = tags(frame);
    let words = in_words(&tags);
    match reason {
        Drop::WrongTpid => {
            let mut accepted: Vec<_> = port.tpids().iter().map(|tpid| format!("{tpid:#06x}")).collect();
            accepted.dedup();
            let tpid = tags.first().map_or(0, |tag| tag.tpid);
            format!("the outer tag on {who} has TPID {tpid:#06x}, and the port's `tpids` are {}", accepted.join(", "))
        }
        Drop::ReservedVid => {
            format!("a tag on {who} has VLAN ID {VID_RESERVED}, which IEEE 802.1Q reserves: {words}")
        }
        Drop::TagShape => format!(
            "{words} on {who} fits no attachment: two tags are an outer one under one of the port's `tpids` and an \
             inner one under 0x8100"
        ),
        Drop::OutsideRange => format!(
            "the tenant's frame brings {words}, and on {who} frames leave with the C-tag that they bring, which must be \
             a 0x8100 tag of the attachment's `c_vid` that no other attachment has: send it with one, or keep frames of \
             other attachments from losing theirs (`inner_tags: keep`)"
        ),
        Drop::ForeignTag => format!(
            "the tenant's frame brings {words}, which would make it another attachment's on {who}: write `inner_tags: \
             strip` or `drop`, or give the attachment tags of its own"
        ),
    }
}

/// What else the tags may have been meant to be. See [`Encap::readings`].
pub(super) fn readings(port: &QinQ, frame: &[u8], configured: &[Segment]) -> Readings {
    let tags = tags(frame);
    let mut others: Vec<_> =
        guesses(&tags).into_iter().filter_map(|guess| guess.reading(port, frame, tags.len())).collect();
    others.extend(inner_tag_differs(&tags, configured));
    others.extend(outer_tag_lost(&tags, configured));
    let found = if tags.is_empty() { "an untagged frame".to_owned() } else { in_words(&tags) };
    Readings { found: Some(found), others }
}

/// Other tags, and what is wrong if they were meant.
struct Guess {
    tags: Vec<VlanTag>,
    why: Cow<'static, str>,
    fix: Fix,
}

impl Guess {
    fn new(tags: impl Into<Vec<VlanTag>>, why: impl Into<Cow<'static, str>>) -> Self {
        Self { tags: tags.into(), why: why.into(), fix: Fix::Id }
    }

    /// The same tags, the first of them under another TPID.
    fn under(tpid: u16, tags: &[VlanTag], swapped: &str) -> Option<Self> {
        let (first, rest) = tags.split_first()?;
        let others = [&[first.under(tpid)], rest].concat();
        let why = format!(
            "the sender writes TPID {:#06x}; change it there, or add it to the port's `tpids`{swapped}",
            first.tpid
        );
        Some(Self { fix: Fix::Options, ..Self::new(others, why) })
    }

    /// What the port would make of a frame with these tags in the place of those it has.
    fn reading(self, port: &QinQ, frame: &[u8], tags_there: usize) -> Option<Reading> {
        let (addresses, rest) = frame.split_at_checked(ADDRESSES_LEN)?;
        let tags: Vec<_> = self.tags.iter().flat_map(|tag| tag.bytes()).collect();
        let mut bytes = [addresses, &tags, rest.get(TAG_LEN * tags_there..)?].concat();
        let len = bytes.len();
        let mut guessed = Frame::new(&mut bytes);
        guessed.set_len(len);
        let segment = port.decap(&(), &mut guessed).ok()?.segment;
        let why = match (self.fix, parts(segment)) {
            (Fix::Options, (Shape::Single, vid, _)) => {
                format!("`vid` is a tag under 0x8100; change it at the sender, or write `s_vid: {vid}`").into()
            }
            _ => self.why,
        };
        Some(Reading { segment, words: in_words(&self.tags), why, fix: self.fix })
    }
}

/// The segments that may have been meant, the likeliest first.
fn guesses(tags: &[VlanTag]) -> Vec<Guess> {
    let other_tpids = |of: VlanTag| USUAL_TPIDS.into_iter().filter(move |tpid| *tpid != of.tpid);
    let mut all = Vec::new();
    match *tags {
        [] => {}
        [only] => {
            if only.vid() == 0 {
                all.push(Guess::new([], "a tag with VLAN ID 0 only marks a priority"));
            }
            all.extend(other_tpids(only).filter_map(|tpid| Guess::under(tpid, &[only], "")));
        }
        [outer, inner, ..] => {
            let swapped = [inner.under(outer.tpid), outer.under(inner.tpid)];
            all.push(Guess::new(swapped, "S-VID and C-VID are swapped"));
            all.extend(other_tpids(outer).filter_map(|tpid| Guess::under(tpid, &[outer, inner], "")));
            let why = format!("the inner tag must be 0x8100, not {:#06x}", inner.tpid);
            all.push(Guess::new([outer, inner.under(C_TAG)], why));
            all.push(Guess::new([inner, outer], "the two tags are in the wrong order"));
            let swapped = [inner.under(outer.tpid), outer.under(C_TAG)];
            let why = ", and S-VID and C-VID are swapped";
            all.extend(other_tpids(outer).filter_map(|tpid| Guess::under(tpid, &swapped, why)));
            all.push(Guess::new([outer], "there is one tag too many"));
            all.push(Guess::new([inner], "there is one tag too many, the outer one"));
            all.push(Guess::new([inner.under(C_TAG)], "there is one tag too many, the outer one"));
        }
    }
    all
}

/// An outer tag that the configuration has only together with an inner one, or with another.
fn inner_tag_differs(tags: &[VlanTag], configured: &[Segment]) -> Option<Reading> {
    let wanted = tags.first()?.vid();
    let segment = configured.iter().find(|segment| {
        let (shape, outer, _) = parts(**segment);
        outer == wanted && matches!(shape, Shape::Outer | Shape::Both | Shape::Range)
    })?;
    let why = match (parts(*segment).0, tags) {
        (Shape::Outer, _) => return None,
        (_, [_]) => "the frame has one tag where two are needed",
        _ => "the S-VID is the same, the C-VID is not",
    };
    Some(Reading::new(segment.0, QinQ::ids(*segment).to_string(), why))
}

/// An inner tag that the configuration has below an outer one, which is not there or says nothing.
fn outer_tag_lost(tags: &[VlanTag], configured: &[Segment]) -> Option<Reading> {
    let (inner, why) = match *tags {
        [only] => (only, "the outer tag is missing"),
        [outer, inner, ..] if outer.vid() == 0 => (inner, "the outer tag has VLAN ID 0, which only marks a priority"),
        _ => return None,
    };
    let segment = configured.iter().find(|segment| {
        let (shape, _, c_vid) = parts(**segment);
        match shape {
            Shape::Both => c_vid == inner.vid(),
            Shape::Range => (c_vid..=last(**segment)).contains(&inner.vid()),
            _ => false,
        }
    })?;
    Some(Reading::new(segment.0, QinQ::ids(*segment).to_string(), why))
}
