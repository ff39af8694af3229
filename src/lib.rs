//! transload, a multi-encapsulation overlay gateway: the library behind the command.

pub mod fdb;
pub mod forwarding;
pub mod io;
