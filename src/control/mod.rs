//! Everything slow: what may allocate, lock, log and wait.

pub mod compile;
