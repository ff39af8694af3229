//! What Linux knows: its devices, routes and neighbours, what tunnels make of them, and the ICMP errors it receives.

pub mod asking;
pub mod device_kinds;
pub mod devices;
pub mod host;
pub mod icmp;
pub mod ipsec;
pub mod memberships;
pub mod netlink;
pub mod next_hops;
pub mod resolver;
pub mod rights;
mod said;
pub mod tables;
