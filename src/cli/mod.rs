//! The command line.

pub mod show;
