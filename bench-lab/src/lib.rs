//! transload beside other gateways: a lab in network namespaces, traffic from a generator inside the kernel, and what
//! comes out of it.

pub mod bpf;
pub mod campaign;
pub mod cpus;
pub mod lab;
pub mod machine;
pub mod measure;
pub mod options;
pub mod path;
pub mod plan;
pub mod report;
pub mod results;
pub mod stats;
pub mod stop;
pub mod systems;
pub mod traffic;
