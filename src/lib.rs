//! transload, a multi-encapsulation overlay gateway: the library behind the command.

pub mod cli;
pub mod config;
pub mod control;
pub mod forwarding;
pub mod io;
