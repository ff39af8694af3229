//! transload: a gateway that bridges tenants between overlay networks of different encapsulations.

pub mod admin;
pub mod bpf;
pub mod claims;
pub mod cli;
pub mod compile;
pub mod config;
pub mod counters;
pub mod dataplane;
pub mod demo;
pub mod diff;
pub mod events;
pub mod explain;
pub mod fdb;
pub mod forwarding;
pub mod io;
pub mod isolation;
pub mod kernel;
pub mod logging;
pub mod mapping;
pub mod offline;
pub mod report;
pub mod rib;
pub mod rights;
pub mod run;
