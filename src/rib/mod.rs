//! The routing information base: everything that is known, and from whom; the only place that makes the frozen tables
//! of it.

pub mod ageing;
pub mod history;
pub mod learned;
pub mod loops;
pub mod reload;
pub mod standing;
pub mod tunnels;
