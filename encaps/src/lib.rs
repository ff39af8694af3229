//! The encapsulations transload speaks, as pure functions over a frame's bytes.
//!
//! The path of a frame: a port fills a [`Frame`]; [`outer::walk`] reads the outer Ethernet, VLAN, IP
//! and UDP headers once and says what carries the tunnel; the peer it belongs to, a
//! [`Compiled`] encapsulation, strips the tunnel header and names the
//! [`Segment`]; [`ecn`] brings congestion marks inward. What bridges the frame is the gateway's
//! business. On egress the peer pushes its header, and [`underlay`] writes UDP, IP and Ethernet around
//! it, balanced by the [`flow`] hash. What the tenant's frame carries is read by [`inner`] only.
//!
//! Nothing here does I/O, reads a clock or, after `compile`, touches the heap; but for what an encapsulation says of its
//! headers to people ([`words`]), which is text, and which no frame waits for.
#![forbid(unsafe_code)]

pub mod checksum;
pub mod drops;
pub mod ecn;
pub mod encap;
pub mod ethernet;
pub mod flow;
pub mod fragment;
pub mod frame;
pub mod gre;
pub mod inner;
pub mod ip;
pub mod l2cp;
pub mod nvgre;
pub mod others;
pub mod outer;
pub mod qinq;
pub mod registry;
mod reserved;
#[cfg(feature = "shim")]
pub mod shim;
pub mod underlay;
pub mod vxlan;
mod wire_ids;
pub mod words;

pub use drops::{Common, DropReason, Fault, LastStage};
pub use encap::{Carrier, Decap, Encap, IdField, IdForm, IdNumber, Ids, InnerTags, Payload, Segment, SpecError};
pub use ethernet::Mac;
pub use frame::{Checksum, Frame, Gso, GsoKind, Meta, Priority};
pub use registry::{Compiled, Kind, KindInfo, MAX_OVERHEAD, Spec, Work};
pub use reserved::Reserved;
pub use wire_ids::WireIds;
pub use words::{Fix, HeaderField, Reading, Readings};

/// Most bytes an encapsulation with all its outer headers adds in front of a tenant's frame: the headroom ports
/// reserve. Outer Ethernet with one tag, IPv6, UDP, and the longest tunnel header.
pub const HEADROOM: usize = underlay::MAX_LEN + MAX_OVERHEAD;
