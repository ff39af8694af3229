//! The lab: what the demonstration, the live tests, the interop matrix and the measurements share.
//!
//! A [`Namespace`] is a machine of the running kernel, [`uml`] starts User-Mode Linux, [`OpenVswitch`] is a switch in a
//! namespace, and [`Gateway`] is the program under test, started as an operator would. All of them are processes and
//! descriptors: whoever is dropped cleans up after itself. [`skip`] says what the machine lacks, [`eventually`] waits,
//! and [`interrupt`] ends all waiting. This crate does not know the gateway's code.

pub mod gateway;
pub mod host;
pub mod interrupt;
mod loopback;
mod namespace;
mod ovs;
pub mod programs;
pub mod skip;
pub mod uml;
mod waiting;

pub use gateway::Gateway;
pub use host::Host;
pub use namespace::{Namespace, enter_user_namespace, veth};
pub use ovs::OpenVswitch;
pub use waiting::{PATIENCE, eventually, obtained};
