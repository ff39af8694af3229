//! How cost grows with size: addresses, tenants, mapped IDs, peers, flood lists. In memory, without privilege.

mod fdb;
mod files;
mod flood;
mod load;

pub use load::load;

use std::io;

use serde::{Deserialize, Serialize};
use transload_lab::interrupt;

/// Several costs over the sizes of one thing.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Growth {
    /// The size that grows, in words.
    pub size: String,
    /// Names of the costs, with units.
    pub costs: Vec<String>,
    /// Size by size, what each cost is.
    pub rows: Vec<(u64, Vec<f64>)>,
}

impl Growth {
    /// Measures one size after the other.
    fn measure(
        size: &str,
        costs: &[&str],
        sizes: &[u64],
        mut measure: impl FnMut(u64) -> io::Result<Vec<f64>>,
    ) -> io::Result<Self> {
        let mut rows = Vec::new();
        for &size in sizes {
            interrupt::check()?;
            rows.push((size, measure(size)?));
        }
        Ok(Self { size: size.into(), costs: costs.iter().map(|&cost| cost.into()).collect(), rows })
    }
}

const LOAD: [&str; 2] = ["load, ms", "memory, MB"];

/// Measures everything, in about a minute. `tell` hears what is going on.
///
/// # Errors
/// When interrupted, or when a file is refused.
pub fn run(tell: &mut dyn FnMut(&str)) -> io::Result<Vec<Growth>> {
    let mut all = Vec::new();
    tell("scale: addresses in the FDB");
    let costs = ["lookup, ns", "learn, ns", "learned, million/s", "bytes each"];
    all.push(Growth::measure("MACs", &costs, &[1_000, 10_000, 100_000, 1_000_000, 4_000_000], |macs| {
        Ok(fdb::costs(macs))
    })?);
    tell("scale: targets of a flood");
    all.push(Growth::measure("flood targets", &["ns for a copy"], &[1, 10, 100, 1_000], |count| {
        flood::nanos_per_copy(count).map(|nanos| vec![nanos])
    })?);
    tell("scale: tenants by pattern");
    all.push(Growth::measure("tenants", &LOAD, &[1, 100, 10_000, 100_000, 1_000_000], |count| {
        load::costs(&files::tenants(count))
    })?);
    tell("scale: IDs by mapping");
    all.push(Growth::measure("mapped IDs", &LOAD, &[1 << 4, 1 << 12, 1 << 16, 1 << 20, 1 << 24], |count| {
        load::costs(&files::mapping(count))
    })?);
    tell("scale: peers");
    all.push(Growth::measure("peers", &LOAD, &[1, 10, 100, 1_000, 10_000], |count| load::costs(&files::peers(count)))?);
    Ok(all)
}
