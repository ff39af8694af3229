//! Stateless cross-connects, as the data plane looks them up.

use std::sync::atomic::AtomicU64;

use transload_encaps::{InnerTags, Segment};

use super::{MappingId, PeerId, Scope, Slab};
use crate::mapping::Mapping;

/// The stateless cross-connects.
#[derive(Debug, Default)]
pub struct Mappings {
    /// All of them.
    pub all: Slab<MappingId, Connection>,
    /// The mappings that have a side in a number space, and whether it is side 0 or 1.
    pub by_scope: Slab<Scope, Vec<(MappingId, usize)>>,
}

/// A stateless cross-connect.
#[derive(Debug)]
pub struct Connection {
    /// Its IDs, and how the two sides write them.
    pub ids: Mapping,
    /// The `from` side and the `to` side.
    pub ends: [End; 2],
    /// When the next ICMP error would be on schedule, in nanoseconds of the workers' clock.
    pub icmp_due: AtomicU64,
}

/// One side of a stateless cross-connect.
#[derive(Debug, Clone, Copy)]
pub struct End {
    /// The peer, or the tags of a port.
    pub peer: PeerId,
    /// The number space that its segments are looked up in.
    pub scope: Scope,
    /// The rule for VLAN tags inside the frames.
    pub inner_tags: InnerTags,
}

/// Where a frame of a mapping goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Crossing {
    /// The mapping.
    pub mapping: MappingId,
    /// The side it leaves by: 0 or 1.
    pub to: u8,
    /// The tenant ID there.
    pub segment: Segment,
}

impl Mappings {
    /// The mapping with this number.
    #[must_use]
    #[inline]
    pub fn get(&self, id: MappingId) -> Option<&Connection> {
        self.all.get(id)
    }

    /// The mapping that has this segment.
    ///
    /// # Errors
    /// The mapping, when the segment is one of its holes.
    #[must_use]
    pub fn find(&self, scope: Scope, segment: Segment) -> Option<Result<Crossing, MappingId>> {
        self.by_scope.get(scope)?.iter().find_map(|&(mapping, side)| {
            let across = self.get(mapping)?.ids.across(side, segment)?;
            let to = u8::from(side == 0);
            Some(across.map(|segment| Crossing { mapping, to, segment }).map_err(|_| mapping))
        })
    }
}
