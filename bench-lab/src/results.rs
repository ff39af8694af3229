//! The figures of a whole run, as they are kept in JSON.

use serde::{Deserialize, Serialize};

use crate::machine::Machine;
use crate::measure::{Case, Point};
use crate::stats;

/// Everything that was measured.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Results {
    /// Where.
    pub machine: Machine,
    /// The share of frames that may be missing in what is called lossless.
    pub loss: f64,
    /// Nanoseconds of the generator for each frame, and how many a second it makes and the sink counts.
    pub generator: (f64, f64),
    /// The lab's figures.
    pub cells: Vec<Cell>,
}

/// One system under one kind of traffic.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Cell {
    /// From what to what.
    pub path: String,
    /// The traffic.
    pub case: Case,
    /// Who.
    pub system: String,
    /// What each run gave.
    pub runs: Vec<Point>,
    /// Bytes of memory that its processes hold after each run.
    pub memory: Vec<u64>,
    /// Why there is nothing, if so.
    pub note: Option<String>,
}

impl Cell {
    /// The median of one figure over the runs.
    pub fn median(&self, figure: impl Fn(&Point) -> Option<f64>) -> Option<f64> {
        stats::median(&self.values(figure))
    }

    /// How far the runs lie apart in one figure, as a share of the median.
    pub fn spread(&self, figure: impl Fn(&Point) -> Option<f64>) -> Option<f64> {
        stats::spread(&self.values(figure))
    }

    fn values(&self, figure: impl Fn(&Point) -> Option<f64>) -> Vec<f64> {
        self.runs.iter().filter_map(figure).collect()
    }
}

impl Results {
    /// The cell of these, made if it is not there.
    pub fn cell(&mut self, path: &str, case: Case, system: &str) -> &mut Cell {
        let is_it = |cell: &Cell| cell.path == path && cell.case == case && cell.system == system;
        let at = self.cells.iter().position(is_it).unwrap_or_else(|| {
            let (path, system) = (path.to_owned(), system.to_owned());
            self.cells.push(Cell { path, case, system, runs: Vec::new(), memory: Vec::new(), note: None });
            self.cells.len() - 1
        });
        &mut self.cells[at]
    }
}
