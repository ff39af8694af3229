//! transload beside other gateways: a lab in network namespaces, traffic from a generator inside the kernel, and what
//! comes out of it.

#![expect(
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "figures are measured: neither is negative, and none needs more digits than a float has"
)]
#![expect(clippy::cast_possible_wrap, reason = "offsets into frames and programs, far below the limits of `i16`")]
#![expect(clippy::format_push_string, reason = "a report is made once, and reads better so")]

mod alarm;
pub mod campaign;
pub mod cpus;
pub mod lab;
pub mod machine;
pub mod measure;
pub mod options;
pub mod path;
pub mod pipeline;
pub mod plan;
pub mod report;
pub mod results;
pub mod scale;
pub mod stats;
pub mod systems;
pub mod traffic;
