//! Tags that a tenant's frame brings: whether it may leave with them, or would be another attachment's where it arrives.

use super::claimed::Uses;
use super::shape::{Shape, parts};
use super::{Drop, QinQ, VID_MASK};
use crate::encap::Segment;
use crate::ethernet::{self, ADDRESSES_LEN, C_TAG, TAG_LEN};
use crate::frame::Frame;

impl QinQ {
    /// Whether a frame may leave behind this outer tag with the C-tag that it brings, or without one.
    #[inline(never)]
    pub(super) fn check_inner(&self, frame: &Frame<'_>, segment: Segment) -> Result<(), Drop> {
        let (shape, s_vid, _) = parts(segment);
        let c_vid = |tag: Option<(u16, u16)>| tag.filter(|(tpid, _)| *tpid == C_TAG).map(|(_, vid)| vid);
        if shape == Shape::Range {
            let is_its_own = c_vid(tag_of(frame)).is_some_and(|inner| self.claimed.is_in_list(segment, s_vid, inner));
            return if is_its_own { Ok(()) } else { Err(Drop::OutsideRange) };
        }
        let taken = c_vid(self.vlan_tag(frame)).and_then(|inner| self.claimed.longest(s_vid, inner));
        if taken.is_some() { Err(Drop::ForeignTag) } else { Ok(()) }
    }

    /// Whether a frame that leaves without a tag of ours brings one that an attachment of this port claims.
    #[inline]
    pub(super) fn is_anothers(&self, frame: &Frame<'_>) -> bool {
        let Some((tpid, vid)) = self.vlan_tag(frame) else { return false };
        let uses = self.claimed.uses(vid);
        tpid == C_TAG && uses.has(Uses::SINGLE) || self.is_outer(tpid) && uses.has(Uses::WHOLE.or(Uses::INNER))
    }

    /// Whether a frame that leaves with a single tag of ours brings a second one, and an attachment claims such pairs.
    #[inline]
    pub(super) fn is_anothers_behind(&self, frame: &Frame<'_>, vid: u16) -> bool {
        self.claimed.uses(vid).has(Uses::INNER)
            && self.is_outer(C_TAG)
            && self.vlan_tag(frame).is_some_and(|(tpid, _)| tpid == C_TAG)
    }

    /// Whether an outer tag has this TPID, on frames that come in or that go out.
    #[inline]
    fn is_outer(&self, tpid: u16) -> bool {
        self.accepts(tpid) || tpid == self.emit_tpid
    }

    /// Whether this is the type of a tag, for this port or for any reader of frames.
    #[inline]
    fn is_tag(&self, tpid: u16) -> bool {
        // Most frames are IP.
        tpid >= self.least_tpid && tpid != ethernet::IPV6 && (ethernet::is_tag(tpid) || self.is_outer(tpid))
    }

    /// Type and VLAN ID of the tag that says in which VLAN whoever receives a frame takes it to be: the first one that
    /// names a VLAN. IEEE 802.1Q §6.9.1: one with VLAN ID 0 names none, and the next one counts. Of a frame with
    /// nothing but such tags, it is the last.
    #[inline]
    fn vlan_tag(&self, frame: &Frame<'_>) -> Option<(u16, u16)> {
        let first = tag_of(frame).filter(|(tpid, _)| self.is_tag(*tpid))?;
        if first.1 == 0 { Some(self.behind_priority_tags(frame, first)) } else { Some(first) }
    }

    #[cold]
    fn behind_priority_tags(&self, frame: &Frame<'_>, first: (u16, u16)) -> (u16, u16) {
        let tags = frame.bytes().get(ADDRESSES_LEN..).unwrap_or_default().as_chunks::<TAG_LEN>().0.iter();
        let tags = tags.map(|&[a, b, c, d]| (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]) & VID_MASK));
        let mut last = first;
        for tag in tags.take_while(|(tpid, _)| self.is_tag(*tpid)) {
            last = tag;
            if tag.1 != 0 {
                break;
            }
        }
        last
    }
}

/// Type and VLAN ID of what would be a frame's outer tag.
#[inline]
fn tag_of(frame: &Frame<'_>) -> Option<(u16, u16)> {
    let bytes = frame.bytes();
    Some((ethernet::be16(bytes, 12)?, ethernet::be16(bytes, 14)? & VID_MASK))
}
