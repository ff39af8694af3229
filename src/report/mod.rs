//! The state of a gateway in names instead of numbers, one vocabulary for `replay`, `show` and whatever else tells it.
//!
//! A [`GatewayState`] borrows what a gateway, live or offline, knows; its methods make [`rows`] of it.

mod advice;
pub mod crossings;
mod details;
pub mod drop_history;
mod drop_samples;
pub mod inspection;
mod links;
mod macs;
pub mod measure;
pub mod metrics;
pub mod rows;
mod state;
mod tenants;
mod trouble;

pub use state::{GatewayState, NoSuchTenant, PortState, TunnelState};
