//! Everything slow: what may allocate, lock, log and wait.

pub mod ageing;
pub mod compile;
pub mod offline;
pub mod replay;
pub mod report;
