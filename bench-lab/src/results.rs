//! The figures of a whole run, as they are kept in JSON.

use serde::{Deserialize, Serialize};

use crate::machine::Machine;
use crate::measure::{Case, Point};
use crate::pipeline::Row;
use crate::scale::Growth;
use crate::stats;
use crate::systems::System;

/// Everything that was measured.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Results {
    /// The machine it was measured on.
    pub machine: Machine,
    /// The share of frames that may be missing in what is called lossless.
    pub loss: f64,
    /// Nanoseconds of the generator for each frame, and how many a second it makes and the sink counts.
    pub generator: (f64, f64),
    /// The lab's figures.
    pub cells: Vec<Cell>,
    /// TCP between hosts at both ends.
    pub tcp: Vec<Tcp>,
    /// Our gateway with nothing to do: which, the share of a processor, and bytes of memory.
    pub idle: Vec<(String, f64, u64)>,
    /// What grows with what.
    pub growth: Vec<Growth>,
    /// The in-memory bench's figures.
    pub pipeline: Vec<Row>,
}

/// One TCP stream through one gateway.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Tcp {
    /// From what to what.
    pub path: String,
    /// The name of the system that carried the traffic.
    pub system: String,
    /// Whether the hosts leave checksums and segmentation to their devices.
    pub offloads: bool,
    /// Bits a second, run by run.
    pub runs: Vec<f64>,
    /// What the receiving host had as its end of the tunnel.
    #[serde(default)]
    pub far_end: Option<String>,
    /// Why there is nothing, if so.
    pub note: Option<String>,
}

/// One system under one kind of traffic.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Cell {
    /// From what to what.
    pub path: String,
    /// The traffic.
    pub case: Case,
    /// The name of the system that carried the traffic.
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
    /// Nothing yet.
    #[must_use]
    pub fn new(machine: Machine, loss: f64) -> Self {
        let (cells, tcp, idle, growth, pipeline) = Default::default();
        Self { machine, loss, generator: (0.0, 0.0), cells, tcp, idle, growth, pipeline }
    }

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

    /// Bits a second of one TCP stream, if it was measured.
    #[must_use]
    pub fn tcp_rate(&self, path: &str, system: System, offloads: bool) -> Option<f64> {
        let is_it = |tcp: &&Tcp| tcp.path == path && tcp.system == system.name() && tcp.offloads == offloads;
        stats::median(&self.tcp.iter().find(is_it)?.runs)
    }

    /// The same of the kernel's bridge. Where this kernel has no device for one side, its VXLAN stands for it.
    #[must_use]
    pub fn kernel_tcp_rate(&self, path: &str, offloads: bool) -> Option<f64> {
        let of = |path| self.tcp_rate(path, System::Kernel, offloads);
        of(path).or_else(|| of("VXLAN→VXLAN"))
    }

    /// The TCP stream of these, made if it is not there.
    pub fn stream(&mut self, path: &str, system: &str, offloads: bool) -> &mut Tcp {
        let is_it = |tcp: &Tcp| tcp.path == path && tcp.system == system && tcp.offloads == offloads;
        let at = self.tcp.iter().position(is_it).unwrap_or_else(|| {
            let (path, system) = (path.to_owned(), system.to_owned());
            self.tcp.push(Tcp { path, system, offloads, runs: Vec::new(), far_end: None, note: None });
            self.tcp.len() - 1
        });
        &mut self.tcp[at]
    }
}
