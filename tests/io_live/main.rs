//! Ports on real devices, in network namespaces of each test's own.

mod devices;
mod forwarder;
mod lab;
mod quiet;
mod trains;
mod wire;
