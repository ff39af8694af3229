//! What rows are made from, and how what several workers have counted is added up.

use std::sync::Arc;

use thiserror::Error;
use transload_encaps::{DropReason, Fault};

use super::rows::{DropRow, RatesRow, Summary, Traffic, WorkerRow};
use crate::compile::Names;
use crate::counters::{Both, Counter, Counters, TrafficCounter};
use crate::dataplane::{Now, Shared};
use crate::forwarding::{DomainId, PeerId, PortId, Slab};
use crate::rib::activity::{Activity, TrafficRates};
use crate::rib::drop_samples::DropSamples;
use crate::rib::history::History;
use crate::rib::loops::Loops;
use crate::rib::path_reports::PathReport;

/// A second, in nanoseconds.
pub(super) const SECOND: u64 = 1_000_000_000;

/// All that a gateway knows, borrowed for as long as somebody reads it.
#[derive(Debug, Clone)]
pub struct GatewayState<'a> {
    /// The tables and the FDB.
    pub shared: &'a Shared,
    /// What was counted, a block for each worker.
    pub counters: &'a [Arc<Counters>],
    /// What the numbers of the tables are called.
    pub names: &'a Names,
    /// Where MAC addresses have been.
    pub history: &'a History,
    /// The loops that were found.
    pub loops: &'a Loops,
    /// What happened in the last seconds; none where nobody watches.
    pub activity: Option<&'a Activity>,
    /// The ports that each worker serves; without any where there are no threads.
    pub crews: &'a [Vec<PortId>],
    /// Frames that were dropped.
    pub drop_samples: &'a DropSamples,
    /// The ports; empty where captures stand for them.
    pub ports: Slab<PortId, PortState<'a>>,
    /// The tunnel peers.
    pub tunnels: Vec<TunnelState<'a>>,
    /// The moment that ages are counted from, by the workers' clock.
    pub now: Now,
}

/// What is known of a port besides the tables.
#[derive(Debug, Clone)]
pub struct PortState<'a> {
    /// What moves its frames, and the device or socket behind it.
    pub io: &'a str,
    /// Why it does not receive, if it does not.
    pub failure: Option<&'a str>,
}

/// What is known of a tunnel peer besides the tables.
#[derive(Debug, Clone)]
pub struct TunnelState<'a> {
    /// Its number.
    pub peer: PeerId,
    /// The name of our endpoint.
    pub endpoint: &'a str,
    /// Its tunnel address; of a peer that has none yet, the DNS name.
    pub address: String,
    /// When it was learned, in nanoseconds of the workers' clock; none for one of the file's.
    pub learned: Option<u64>,
    /// Why it, or one of its paths, cannot be used.
    pub failures: Vec<String>,
    /// What ICMP errors said of the path to it.
    pub report: Option<&'a PathReport>,
}

/// The sum of a counter over all workers.
pub(super) fn sum<'c>(counters: &'c [Arc<Counters>], of: impl Fn(&'c Counters) -> Option<&'c Counter>) -> u64 {
    counters.iter().filter_map(|counters| of(counters)).map(Counter::get).sum()
}

/// Counters added up: what was received, and what was sent.
pub(super) fn traffic<'c>(all: impl Iterator<Item = (&'c TrafficCounter, &'c TrafficCounter)>) -> Traffic {
    all.fold(Traffic::default(), |sum, (rx, tx)| Traffic {
        rx_frames: sum.rx_frames + rx.frames.get(),
        rx_bytes: sum.rx_bytes + rx.bytes.get(),
        tx_frames: sum.tx_frames + tx.frames.get(),
        tx_bytes: sum.tx_bytes + tx.bytes.get(),
    })
}

/// Rows were asked for of a tenant that does not exist.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("there is no tenant `{0}`")]
pub struct NoSuchTenant(pub String);

impl GatewayState<'_> {
    /// Every reason for drops, in the order of the drop table.
    #[must_use]
    pub fn drops(&self) -> Vec<DropRow> {
        let mut samples = self.samples_by_reason();
        let with_samples = |reason: DropReason| {
            let samples = samples.remove(&reason).unwrap_or_default();
            DropRow { samples, ..self.drop_row(reason) }
        };
        DropReason::all().map(with_samples).collect()
    }

    /// The same rows with nothing in them but what is counted: no samples.
    #[must_use]
    pub fn drops_counted(&self) -> Vec<DropRow> {
        DropReason::all().map(|reason| self.drop_row(reason)).collect()
    }

    fn drop_row(&self, reason: DropReason) -> DropRow {
        let at = |id: PortId| self.sum(|counters| counters.drops_at(id, reason));
        let ports = self.names.ports().map(|(id, name)| (name.to_owned(), at(id)));
        let frames = self.sum(|counters| counters.drops(reason));
        let is_lost = reason.info().fault != Fault::Nobody;
        let (dropped, left) = if is_lost { (frames, 0) } else { (0, frames) };
        DropRow {
            reason: reason.label().into(),
            dropped,
            left,
            copies: self.sum(|counters| counters.copy_drops(reason)),
            tolerated: self.sum(|counters| counters.tolerated(reason)),
            ports: ports.filter(|(_, frames)| *frames > 0).collect(),
            samples: Vec::new(),
            responsible: reason.info().fault.word().into(),
            meaning: reason.info().meaning.into(),
        }
    }

    /// What a replay ends with: of the reasons for drops, those that occurred.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let occurred = |row: &DropRow| row.dropped + row.left + row.copies + row.tolerated > 0;
        Summary {
            ports: self.ports(),
            mappings: self.mappings(),
            drops: self.drops().into_iter().filter(occurred).collect(),
            fdb: self.fdb(None).unwrap_or_default(),
            loops: self.all_loops(),
        }
    }

    /// The number of the tenant that somebody asks for.
    ///
    /// # Errors
    /// When there is no such tenant.
    pub fn tenant(&self, name: Option<&str>) -> Result<Option<DomainId>, NoSuchTenant> {
        name.map(|name| self.names.domain_id(name).ok_or_else(|| NoSuchTenant(name.into()))).transpose()
    }

    /// The sum over all workers.
    pub(super) fn sum<'c>(&'c self, of: impl Fn(&'c Counters) -> Option<&'c Counter>) -> u64 {
        sum(self.counters, of)
    }

    /// The sum over all workers.
    pub(super) fn traffic<'c>(&'c self, of: impl Fn(&'c Counters) -> Option<&'c Both>) -> Traffic {
        traffic(self.counters.iter().filter_map(|counters| of(counters)).map(|both| (&both.rx, &both.tx)))
    }

    /// The rates that somebody watches.
    pub(super) fn rates(&self, of: impl Fn(&Activity) -> TrafficRates) -> Option<RatesRow> {
        let TrafficRates { rx_frames, rx_bits, tx_frames, tx_bits } = of(self.activity?);
        Some(RatesRow { rx_frames, rx_bits, tx_frames, tx_bits })
    }

    /// The workers, in the order of their numbers.
    #[must_use]
    pub fn workers(&self) -> Vec<WorkerRow> {
        let row = |(number, ports): (usize, &Vec<PortId>)| WorkerRow {
            worker: format!("worker-{number}"),
            ports: ports.iter().map(|port| self.names.port(*port).into()).collect(),
            busy: self
                .activity
                .zip(self.counters.get(number))
                .map_or(0, |(activity, counters)| activity.busy(number, counters)),
        };
        self.crews.iter().enumerate().map(row).collect()
    }

    /// Whole seconds since a moment, in nanoseconds, of the workers' clock.
    pub(super) fn seconds_since(&self, at: u64) -> u64 {
        self.now.nanos.saturating_sub(at) / SECOND
    }

    /// Seconds until a moment, in nanoseconds, of the workers' clock, begun ones included.
    pub(super) fn seconds_until(&self, at: u64) -> u64 {
        at.saturating_sub(self.now.nanos).div_ceil(SECOND)
    }
}
