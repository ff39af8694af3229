//! The live gateway: it opens the ports, starts the workers, and drives the RIB by what the kernel, the workers and
//! the operator say, until it is stopped.

mod asked;
pub mod backends;
mod capturing;
pub mod confine;
mod exclusive;
pub mod filters;
pub mod fixed;
pub mod gateway;
pub mod host_names;
mod housekeeping;
mod ipsec;
mod log;
pub mod opening;
pub mod preflight;
pub mod record;
pub mod reload;
mod remembering;
pub mod reopen;
mod replace;
mod service_manager;
pub mod serving;
mod signals;
pub mod start;
mod state_file;
pub mod supervise;
mod underlay;
