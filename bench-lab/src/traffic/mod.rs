//! Frames: made in the kernel at one end, counted and timed in the kernel at the other.

pub mod frame;
mod generator;
mod generator_code;
mod histogram;
mod sink;
mod tunnel;
mod tunnel_code;

pub use generator::{Generator, Order, Sent, Variety};
pub use histogram::Histogram;
pub use sink::{Arrived, Sink};
pub use tunnel::{Station, Tunnel, TunnelPrograms};

use std::io;

use rustix::net::{AddressFamily, SocketType, netdevice, socket};

/// The number of a device of the calling thread's namespace.
fn index_of(device: &str) -> io::Result<u32> {
    let any = socket(AddressFamily::INET, SocketType::DGRAM, None)?;
    netdevice::name_to_index(&any, device).map_err(|error| io::Error::other(format!("{device}: {error}")))
}
