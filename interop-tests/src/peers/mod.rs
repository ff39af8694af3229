//! Tunnel endpoints that others wrote, each as something a test can start, command and drop; more of them are in
//! `transload_lab`.

mod uml;
mod wire;

pub use uml::Uml;
pub use wire::Wire;
