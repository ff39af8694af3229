//! The state of a gateway in names instead of numbers, one vocabulary for `replay`, `show` and whatever else tells it.

pub mod crossings;
mod read;
pub mod rows;
pub mod summary;
