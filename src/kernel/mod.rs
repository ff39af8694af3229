//! What Linux knows: its devices, routes and neighbours, and what tunnels make of them.

pub mod devices;
pub mod host;
pub mod ipsec;
pub mod memberships;
pub mod netlink;
pub mod next_hops;
pub mod resolver;
pub mod tables;
