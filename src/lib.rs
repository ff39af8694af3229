//! transload, a multi-encapsulation overlay gateway: the library behind the command.

pub mod control;
pub mod forwarding;
pub mod io;
pub mod lab;
