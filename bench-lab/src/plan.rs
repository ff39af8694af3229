//! What is measured, and for how long.

use std::time::Duration;

use crate::measure::{Case, Patience};
use crate::path::Path;

/// The extent of a measurement: cases, rounds, and seconds each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// The least that shows something, in under three minutes.
    Quick,
    /// Every system at the corners: a quarter of an hour.
    Corners,
    /// Every size with every number of flows and addresses, on every path: hours.
    Full,
}

/// The measurements of the lab.
#[derive(Debug)]
pub struct Plan {
    /// How often everything is measured. Systems take turns within each round.
    pub rounds: usize,
    /// Paths, and the traffic that each is measured with.
    pub paths: Vec<(Path, Vec<Case>)>,
    /// How long each takes.
    pub patience: Patience,
    /// How long each TCP transfer takes.
    pub tcp: Duration,
}

const LENS: [usize; 3] = [64, 512, 1400];
const FLOWS: [u32; 2] = [1, 1000];
const MACS: [u32; 2] = [1, 100_000];
/// The share of frames that may be missing in what is called lossless.
pub const LOSS: f64 = 0.001;

impl Plan {
    /// The plan of this extent.
    #[must_use]
    pub fn new(extent: Extent) -> Self {
        let case = |len, flows, macs| Case { len, flows, macs };
        let (rounds, millis, steps, first, others) = match extent {
            Extent::Quick => (1, 250, 5, vec![case(64, 1, 1), case(64, 1000, 100_000)], vec![case(64, 1000, 1)]),
            Extent::Corners => (
                3,
                400,
                6,
                vec![
                    case(64, 1, 1),
                    case(64, 1000, 1),
                    case(64, 1000, 100_000),
                    case(512, 1000, 1),
                    case(1400, 1000, 1),
                ],
                vec![case(64, 1000, 1), case(64, 1000, 100_000)],
            ),
            Extent::Full => (3, 500, 7, all(), all()),
        };
        let [vxlan, rest @ ..] = Path::measured();
        let paths = [(vxlan, first)].into_iter().chain(rest.map(|path| (path, others.clone()))).collect();
        let patience = Patience { trial: Duration::from_millis(millis), steps, loss: LOSS };
        Self { rounds, paths, patience, tcp: Duration::from_millis(2 * millis) }
    }
}

fn all() -> Vec<Case> {
    let lens = LENS.into_iter();
    lens.flat_map(|len| FLOWS.into_iter().flat_map(move |flows| MACS.map(|macs| Case { len, flows, macs }))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_full_plan_is_the_whole_product_on_every_path() {
        let plan = Plan::new(Extent::Full);
        assert_eq!(plan.paths.len(), 4);
        assert!(plan.paths.iter().all(|(_, cases)| cases.len() == 12));
    }

    #[test]
    fn every_size_and_number_is_at_a_corner() {
        let plan = Plan::new(Extent::Corners);
        let cases = &plan.paths[0].1;
        assert!(LENS.iter().all(|len| cases.iter().any(|case| case.len == *len)));
        assert!(FLOWS.iter().all(|flows| cases.iter().any(|case| case.flows == *flows)));
        assert!(MACS.iter().all(|macs| cases.iter().any(|case| case.macs == *macs)));
    }
}
