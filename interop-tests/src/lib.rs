//! transload against real kernels and switches.
//!
//! [`mod@testbed`] is one gateway with every peer stack around it that is there; [`cases`] are promises, tried on it by
//! the [`runner`]; [`report`] tells what came out. `cargo xtask interop` does all of it.
//!
//! Tests of `cargo test` build smaller worlds of what `transload_lab` has: the running kernel in a namespace, Open
//! vSwitch, and our own binary between them. To these, [`peers`] adds a [User-Mode Linux](peers::Uml), and [`traffic`]
//! is what tenants do. What the machine lacks is said by `need!`, loudly, and the test skipped.

pub mod captures;
pub mod cases;
pub mod choice;
pub mod drops;
pub mod outcome;
pub mod peers;
pub mod report;
pub mod runner;
pub mod supervise;
pub mod testbed;
pub mod traffic;
pub mod two_leafs;
pub mod world;
