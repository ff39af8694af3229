//! Frames: made in the kernel at one end, counted and timed in the kernel at the other.

pub mod frame;
mod generator;
mod generator_code;
mod histogram;
mod sink;

pub use generator::{Generator, Order, Sent, Variety};
pub use histogram::Histogram;
pub use sink::{Arrived, Sink};
