//! The state of a gateway in names instead of numbers, one vocabulary for `replay`, `show` and whatever else tells it.
//!
//! A [`GatewayState`] borrows what a gateway, live or offline, knows; its methods make [`rows`] of it.

pub mod crossings;
mod drop_samples;
mod links;
mod macs;
pub mod measure;
pub mod metrics;
pub mod rows;
mod state;
mod tenants;
pub mod wall;

pub use state::{GatewayState, NoSuchTenant, PortState, TunnelState};
