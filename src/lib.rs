//! transload: a gateway that bridges tenants between overlay networks of different encapsulations.

pub mod bpf;
pub mod cli;
pub mod config;
pub mod control;
pub mod counters;
pub mod dataplane;
pub mod demo;
pub mod events;
pub mod fdb;
pub mod forwarding;
pub mod io;
pub mod mapping;
