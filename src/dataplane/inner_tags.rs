//! Inner tags: what an attachment does to VLAN tags inside its tenant's frames, in either direction.

use transload_encaps::ethernet::{self, HEADER_LEN, TAG_LEN};
use transload_encaps::{Common, DropReason, Frame, InnerTags, Priority};

/// The VLAN ID, in the control information of a tag.
const VID: u16 = 0x0fff;

/// Does to a tenant's frame that came in what its attachment says of tags.
///
/// # Errors
/// `InnerTags` when the frame has a tag and may not; `InnerTruncated` when nothing is left behind the tags.
#[inline]
pub(super) fn apply(rule: InnerTags, frame: &mut Frame<'_>) -> Result<(), DropReason> {
    match rule {
        InnerTags::Drop if is_tagged(frame) => Err(Common::InnerTags.into()),
        InnerTags::Keep | InnerTags::Drop => Ok(()),
        InnerTags::Strip => strip(frame),
    }
}

/// Takes all tags off. Their priority goes into the tags that the frame leaves in, if it gets any.
///
/// # Errors
/// `InnerTruncated` when nothing is left behind the tags.
#[inline]
pub(super) fn strip(frame: &mut Frame<'_>) -> Result<(), DropReason> {
    while is_tagged(frame) {
        let (_, tci) = frame.pop_tag()?;
        frame.meta.priorities[0].get_or_insert(Priority::of_tci(tci));
    }
    if frame.len() < HEADER_LEN { Err(Common::InnerTruncated.into()) } else { Ok(()) }
}

/// Whether a rule would do anything about a frame, or refuse it.
#[inline]
pub(super) fn applies(rule: InnerTags, frame: &Frame<'_>) -> bool {
    rule != InnerTags::Keep && is_tagged(frame)
}

/// How many bytes of tags a frame loses as it leaves by an attachment with this rule: where there may be no tag, one
/// that only carries a priority, which RFC 7637 §3.2 has removed.
///
/// # Errors
/// `InnerTags` when the frame has a tag and may not.
#[inline]
pub fn stripped(rule: InnerTags, frame: &[u8]) -> Result<usize, DropReason> {
    let is_tagged = || ethernet::be16(frame, ethernet::ADDRESSES_LEN).is_some_and(ethernet::is_tag);
    if rule != InnerTags::Keep && is_tagged() { stripped_of_tagged(rule, frame) } else { Ok(0) }
}

#[cold]
fn stripped_of_tagged(rule: InnerTags, frame: &[u8]) -> Result<usize, DropReason> {
    let tags = ethernet::payload(frame).map_or(0, |(_, at)| at - HEADER_LEN);
    // IEEE 802.1Q §6.9.1: VLAN ID 0 names no VLAN; the frame is an untagged one.
    let is_priority = tags == TAG_LEN && ethernet::be16(frame, HEADER_LEN).is_some_and(|tci| tci & VID == 0);
    if rule == InnerTags::Drop && !is_priority { Err(Common::InnerTags.into()) } else { Ok(tags) }
}

#[inline]
fn is_tagged(frame: &Frame<'_>) -> bool {
    ethernet::be16(frame.bytes(), ethernet::ADDRESSES_LEN).is_some_and(ethernet::is_tag)
}
