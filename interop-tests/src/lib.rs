//! transload against real kernels and switches.
//!
//! A test builds a small world: [`peers`] are tunnel endpoints that others wrote (the running kernel in a
//! [namespace](peers::Namespace), a whole [Linux](peers::Uml) as a process, [Open vSwitch](peers::OpenVswitch)), a
//! [`Gateway`] is our own binary between them, and [`traffic`] is what tenants do. Whoever is dropped cleans up
//! after itself. What the machine lacks is said by [`need!`], loudly, and the test skipped.

pub mod captures;
pub mod gateway;
pub mod host;
pub mod peers;
pub mod skip;
pub mod traffic;
pub mod world;

pub use gateway::Gateway;
pub use host::Host;
