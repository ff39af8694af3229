//! Mapping: a segment that no tenant claims may belong to a stateless cross-connect, and then goes straight to the
//! other side: no learning, no flooding, and everything crosses, bridges' control frames included.

use transload_encaps::{Common, DropReason, Segment};

use super::trace::Tracer;
use crate::counters::Counters;
use crate::forwarding::{Crossing, End, Exit, Forwarding, Peer};

/// The crossing of a segment that no tenant claims but a mapping has.
///
/// # Errors
/// `MappingHole` when its counterpart is reserved; `UnknownSegment` or `UnclaimedTags` when no mapping has it.
#[cold]
pub(super) fn find<T: Tracer>(
    tables: &Forwarding,
    counters: &Counters,
    peer: &Peer,
    segment: Segment,
    tracer: &mut T,
) -> Result<Crossing, DropReason> {
    let found = tables.mappings.find(peer.scope, segment);
    if let Some(found) = found {
        tracer.crossing(found);
    }
    match found {
        Some(Ok(crossing)) => Ok(crossing),
        Some(Err(mapping)) => {
            if let Some(mapping) = counters.mapping(mapping) {
                mapping.holes.add(1);
            }
            Err(Common::MappingHole.into())
        }
        None => Err(match peer.exit {
            Exit::Tunnel(_) => Common::UnknownSegment,
            Exit::Port(_) => Common::UnclaimedTags,
        }
        .into()),
    }
}

/// The side that a frame leaves by.
#[inline]
pub(super) fn destination(tables: &Forwarding, crossing: Crossing) -> Option<&End> {
    tables.mappings.get(crossing.mapping)?.ends.get(usize::from(crossing.to))
}

/// The side that a frame came in by.
#[inline]
pub(super) fn origin(tables: &Forwarding, crossing: Crossing) -> Option<&End> {
    tables.mappings.get(crossing.mapping)?.ends.get(usize::from(1 - crossing.to.min(1)))
}
