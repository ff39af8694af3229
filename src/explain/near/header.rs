//! Tunnel headers that their encapsulation refuses, in its own words.

use transload_encaps::DropReason;

use super::super::case::Case;
use super::Near;
use crate::compile::Noun;

/// What is wrong with the tunnel header.
pub(super) fn refused(case: &Case<'_>, reason: DropReason) -> Option<Near> {
    let (id, peer) = case.origin()?;
    let text = peer.compiled.why(reason, case.tunnel(), &case.peer(id))?;
    Some(Near::new(text, case.line(Noun::Encap(id)).or_else(|| case.line(Noun::Peer(id)))))
}
