//! The segments of a port: what the tags look like, and their VLAN IDs.

use super::VID_MASK;
use crate::encap::Segment;

/// What the tags of a segment look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Untagged,
    Single,
    /// An outer tag, whatever comes behind it.
    Outer,
    Both,
    /// An outer tag, and behind it a C-tag of a range, which is payload.
    Range,
}

const SHAPE_AT: u32 = 24;
const LAST_AT: u32 = 32;

/// Layout: the last inner VID of a range in bits 32 to 43, shape in 24 to 26, outer VID in 12 to 23, inner VID in 0 to
/// 11.
pub(super) const fn segment(shape: Shape, outer: u16, inner: u16) -> Segment {
    Segment((shape as u64) << SHAPE_AT | (outer as u64) << 12 | inner as u64)
}

pub(super) const fn range(outer: u16, first: u16, last: u16) -> Segment {
    Segment(segment(Shape::Range, outer, first).0 | (last as u64) << LAST_AT)
}

pub(super) const fn parts(segment: Segment) -> (Shape, u16, u16) {
    let shape = match segment.0 >> SHAPE_AT & 7 {
        0 => Shape::Untagged,
        1 => Shape::Single,
        2 => Shape::Outer,
        3 => Shape::Both,
        _ => Shape::Range,
    };
    (shape, (segment.0 >> 12) as u16 & VID_MASK, segment.0 as u16 & VID_MASK)
}

/// The last inner VID of a range.
pub(super) const fn last(segment: Segment) -> u16 {
    (segment.0 >> LAST_AT) as u16 & VID_MASK
}
