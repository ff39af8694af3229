//! Bridges' control frames: where they pass between the attachments of a tenant (IEEE 802.1Q §8.6.3).

use transload_encaps::l2cp::ControlGroups;
use transload_encaps::{Kind, Segment};

use super::attachments::AttachmentDraft;
use crate::config::L2cp;
use crate::forwarding::{Attachment, AttachmentId, Slab};

/// What passes at an attachment by itself: as the file says, else as its tags say.
pub(super) fn relayed(stated: Option<L2cp>, kind: Kind, received: Segment) -> ControlGroups {
    match stated {
        Some(L2cp::Tunnel) => ControlGroups::ALL,
        Some(L2cp::Drop) => ControlGroups::NONE,
        None => kind.relayed(received),
    }
}

/// What passes at a port because of its tags also passes through the tenant's tunnels: spanning tree that came through
/// one way only would be worse than none.
pub(super) fn pass_on<'d, V: 'd>(
    drafts: impl Iterator<Item = (&'d AttachmentDraft<'d, 'd, V>, &'d AttachmentId)> + Clone,
    attachments: &mut Slab<AttachmentId, Attachment>,
) {
    let by_default = drafts.filter(|(draft, _)| draft.l2cp.is_none());
    let of_tags = by_default.clone().filter_map(|(_, id)| Some(attachments.get(*id)?.relayed));
    let all = of_tags.fold(ControlGroups::NONE, ControlGroups::and);
    for (_, id) in by_default.filter(|(draft, _)| draft.side.kind.has_peers()) {
        if let Some(attachment) = attachments.get_mut(*id) {
            attachment.relayed = all;
        }
    }
}
