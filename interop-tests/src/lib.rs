//! transload against real kernels and switches.
//!
//! [`mod@bench`] is one gateway with every peer stack around it that is there; [`cases`] are promises, tried on it by
//! the [`runner`]; [`report`] tells what came out. `cargo xtask interop` does all of it.
//!
//! Tests of `cargo test` build smaller worlds: [`peers`] are tunnel endpoints that others wrote (the running kernel
//! in a [namespace](peers::Namespace), a whole [Linux](peers::Uml) as a process, [Open
//! vSwitch](peers::OpenVswitch)), a [`Gateway`] is our own binary between them, and [`traffic`] is what tenants do.
//! Whoever is dropped cleans up after itself. What the machine lacks is said by [`need!`], loudly, and the test
//! skipped.

pub mod bench;
pub mod captures;
pub mod cases;
pub mod gateway;
pub mod host;
pub mod interrupt;
pub mod outcome;
pub mod peers;
pub mod programs;
pub mod report;
pub mod runner;
pub mod skip;
pub mod supervise;
pub mod traffic;
pub mod two_leafs;
pub mod world;

pub use gateway::Gateway;
pub use host::Host;
