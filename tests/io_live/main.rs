//! Ports on real devices, in network namespaces of each test's own.

mod devices;
mod forwarder;
mod gso_batches;
mod lab;
mod quiet;
mod wire;
