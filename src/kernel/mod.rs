//! What Linux knows: devices, routes and neighbours and what tunnels make of them, the ICMP errors it receives, its IPsec
//! policies; and what of all this stands in the way of a configuration (`host`).

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
