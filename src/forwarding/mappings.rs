//! Stateless cross-connects, as the data plane looks them up.

use std::sync::atomic::AtomicU64;

use transload_encaps::{InnerTags, Segment};

use super::{PeerId, Scope};
use crate::mapping::Mapping;

/// A stateless cross-connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MappingId(pub u32);

/// The stateless cross-connects.
#[derive(Debug, Default)]
pub struct Mappings {
    /// By [`MappingId`]; `None` where a number is free.
    pub all: Vec<Option<Connection>>,
    /// By [`Scope`]: which mappings have a side there, and whether it is side 0 or 1.
    pub by_scope: Vec<Vec<(MappingId, usize)>>,
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
    /// Where its segments are looked up.
    pub scope: Scope,
    /// What happens to VLAN tags inside the frames.
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
        self.all.get(id.0 as usize)?.as_ref()
    }

    /// The mapping that has this segment.
    ///
    /// # Errors
    /// The mapping, when the segment is one of its holes.
    #[must_use]
    pub fn find(&self, scope: Scope, segment: Segment) -> Option<Result<Crossing, MappingId>> {
        self.by_scope.get(scope.0 as usize)?.iter().find_map(|&(mapping, side)| {
            let across = self.get(mapping)?.ids.across(side, segment)?;
            let to = u8::from(side == 0);
            Some(across.map(|segment| Crossing { mapping, to, segment }).map_err(|_| mapping))
        })
    }
}
