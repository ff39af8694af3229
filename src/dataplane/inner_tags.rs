//! Inner tags: what an attachment does to VLAN tags inside its tenant's frames, in either direction.

use transload_encaps::ethernet::{self, HEADER_LEN};
use transload_encaps::{Common, DropReason, Frame, InnerTags};

/// Does to a tenant's frame what an attachment says of its tags.
///
/// # Errors
/// `InnerTags` when the frame has a tag and may not; `InnerTruncated` when nothing is left behind the tags.
#[inline]
pub(super) fn apply(rule: InnerTags, frame: &mut Frame<'_>) -> Result<(), DropReason> {
    match rule {
        InnerTags::Drop if is_tagged(frame) => Err(Common::InnerTags.into()),
        InnerTags::Keep | InnerTags::Drop => Ok(()),
        InnerTags::Strip => {
            while is_tagged(frame) {
                frame.pop_tag()?;
            }
            if frame.len() < HEADER_LEN { Err(Common::InnerTruncated.into()) } else { Ok(()) }
        }
    }
}

/// Whether [`apply`] would do anything about a frame, or refuse it.
#[inline]
pub(super) fn applies(rule: InnerTags, frame: &Frame<'_>) -> bool {
    rule != InnerTags::Keep && is_tagged(frame)
}

/// How many bytes [`apply`] would take off.
///
/// # Errors
/// `InnerTags` as there.
#[inline]
pub(super) fn stripped(rule: InnerTags, frame: &Frame<'_>) -> Result<usize, DropReason> {
    match rule {
        InnerTags::Drop if is_tagged(frame) => Err(Common::InnerTags.into()),
        InnerTags::Strip if is_tagged(frame) => {
            Ok(ethernet::payload(frame.bytes()).map_or(0, |(_, at)| at - HEADER_LEN))
        }
        InnerTags::Keep | InnerTags::Drop | InnerTags::Strip => Ok(0),
    }
}

#[inline]
fn is_tagged(frame: &Frame<'_>) -> bool {
    ethernet::be16(frame.bytes(), ethernet::ADDRESSES_LEN).is_some_and(ethernet::is_tag)
}
