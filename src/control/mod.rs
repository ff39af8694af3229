//! Everything slow: starting and stopping, next hops, housekeeping, the admin socket, replay.
//!
//! Nothing here runs between a frame's reception and its transmission; here one may allocate, lock, log and wait.

pub mod admin;
pub mod ageing;
pub mod backends;
pub mod captured;
pub mod claims;
pub mod clock;
pub mod compile;
pub mod crossings;
pub mod diff;
pub mod exclusive;
pub mod explain;
pub mod filters;
pub mod gateway;
pub mod history;
pub mod host;
pub mod housekeeping;
pub mod isolation;
pub mod joins;
pub mod kernel;
pub mod learned;
pub mod loops;
pub mod netlink;
pub mod next_hops;
pub mod offline;
pub mod opening;
pub mod publish;
pub mod reload;
pub mod reloading;
pub mod replay;
pub mod report;
pub mod resolver;
pub mod revive;
pub mod standing;
pub mod start;
pub mod supervise;
pub mod tunnels;
pub mod workers;
