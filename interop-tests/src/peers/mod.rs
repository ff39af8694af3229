//! Tunnel endpoints that others wrote, each as something a test can start, command and drop.

mod namespace;
mod ovs;
mod uml;
mod wire;

pub use namespace::{Namespace, veth};
pub use ovs::OpenVswitch;
pub use uml::Uml;
pub use wire::Wire;
