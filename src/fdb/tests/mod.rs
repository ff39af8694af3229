//! Tests of the FDB: what it does, that it does it as a plain map would, and that it holds with many threads at it.
//!
//! Every order of events that two threads can have is tried by loom, with a table of two buckets:
//!
//! ```text
//! RUSTFLAGS="--cfg transload_loom" CARGO_TARGET_DIR=target/loom cargo test --lib fdb
//! ```
//!
//! The flag is not `loom`, which tokio listens to: it then has no sockets, and nothing above it compiles.

#[cfg(not(transload_loom))]
mod behaviour;
#[cfg(not(transload_loom))]
mod glances;
#[cfg(transload_loom)]
mod interleavings;
#[cfg(not(transload_loom))]
mod model;
#[cfg(not(transload_loom))]
mod stress;

use transload_encaps::Mac;

use crate::forwarding::{AttachmentId, PeerId, Target};

fn mac(number: u64) -> Mac {
    Mac::from_bits(number)
}

fn target(attachment: u16, peer: u32) -> Target {
    Target { attachment: AttachmentId::new(attachment), peer: PeerId::new(peer) }
}
