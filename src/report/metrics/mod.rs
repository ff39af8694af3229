//! Rows as metrics: what the fields of a row are stands at the fields themselves ([`measure`](super::measure)), so that a
//! new row needs nothing here but its line in the catalogue.

pub mod catalogue;
mod samples;
mod text;
mod walk;

pub use samples::{MetricSamples, OTHERS};
pub use text::MetricFormat;
