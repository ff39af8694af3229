//! What is shown of the results.

mod table;

pub use table::tables;

/// Frames a second, in thousands.
fn thousands(rate: f64) -> String {
    format!("{:.0}", rate / 1000.0)
}

/// A share, in percent.
fn percent(share: f64) -> String {
    if share > 0.0 && share < 0.095 { format!("{:.1} %", share * 100.0) } else { format!("{:.0} %", share * 100.0) }
}
