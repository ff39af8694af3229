//! The data plane: what happens to a frame between two ports.

pub mod offload;
