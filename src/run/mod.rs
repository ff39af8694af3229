//! The live gateway: it opens the ports, starts the workers, and drives the RIB by what the kernel, the workers and
//! the operator say, until it is told to stop.

pub mod backends;
pub mod exclusive;
pub mod filters;
pub mod gateway;
pub mod housekeeping;
pub mod opening;
pub mod publish;
pub mod reloading;
pub mod revive;
pub mod start;
pub mod supervise;
