//! What a gateway knows and has counted, in names instead of numbers: for `replay`'s summary and the admin socket.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use transload_encaps::DropReason;

use crate::compile::Names;
use crate::counters::{Both, Counters, MappingCounters};
use crate::dataplane::Shared;
use crate::fdb::Entry;
use crate::forwarding::PortId;
use crate::rib::loops::{self, Loop, Loops};

/// Frames and bytes, in and out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Traffic {
    /// Frames received.
    pub received: u64,
    /// Frames sent.
    pub sent: u64,
    /// Bytes received.
    pub received_bytes: u64,
    /// Bytes sent.
    pub sent_bytes: u64,
}

impl Traffic {
    /// The sum over all workers.
    pub fn sum<'a>(counters: impl IntoIterator<Item = &'a Both>) -> Self {
        counters.into_iter().fold(Self::default(), |sum, both| Self {
            received: sum.received + both.rx.frames.get(),
            sent: sum.sent + both.tx.frames.get(),
            received_bytes: sum.received_bytes + both.rx.bytes.get(),
            sent_bytes: sum.sent_bytes + both.tx.bytes.get(),
        })
    }
}

/// One MAC address and where it lives.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FdbRow {
    /// The tenant.
    pub tenant: String,
    /// The address.
    pub mac: String,
    /// The attachment it lives behind.
    pub attachment: String,
    /// The peer, or the port.
    pub peer: String,
    /// Whether the configuration says so.
    #[serde(rename = "static")]
    pub is_static: bool,
    /// Whether it is held there, having moved too often.
    pub held: bool,
}

impl FdbRow {
    /// An entry in names.
    #[must_use]
    pub fn of(entry: &Entry, names: &Names) -> Self {
        Self {
            tenant: names.domain(entry.domain).into_owned(),
            mac: entry.mac.to_string(),
            attachment: names.attachment(entry.domain, entry.target.attachment).into_owned(),
            peer: names.peer(entry.target.peer).into_owned(),
            is_static: entry.is_static,
            held: entry.is_held,
        }
    }
}

/// Every MAC known, in the order of tenant and address.
#[must_use]
pub fn fdb(shared: &Shared, names: &Names) -> Vec<FdbRow> {
    let mut rows = Vec::with_capacity(shared.fdb.len());
    shared.fdb.for_each(|entry| rows.push(FdbRow::of(&entry, names)));
    rows.sort();
    rows
}

/// How often each of these counters, one per drop reason, has counted; zeros left out.
pub fn by_label<'a>(count: impl Fn(DropReason) -> u64 + 'a) -> BTreeMap<&'static str, u64> {
    DropReason::all().map(|reason| (reason.label(), count(reason))).filter(|(_, count)| *count > 0).collect()
}

/// Two attachments that something besides the gateway joins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoopRow {
    /// The tenant.
    pub tenant: String,
    /// The two attachments.
    pub between: [String; 2],
    /// How often that was found.
    pub times: u64,
}

impl LoopRow {
    fn of((domain, between): loops::Pair, found: Loop, names: &Names) -> Self {
        Self {
            tenant: names.domain(domain).into_owned(),
            between: between.map(|id| names.attachment(domain, id).into_owned()),
            times: found.times,
        }
    }
}

/// What a replay ends with.
#[derive(Debug, Serialize)]
pub struct Report {
    /// By port: whole frames, as on the wire.
    pub ports: BTreeMap<String, Traffic>,
    /// By drop reason: frames, and copies of flooded frames.
    pub drops: BTreeMap<&'static str, u64>,
    /// By the reason for which a stricter gateway would have dropped them: frames carried.
    pub tolerated: BTreeMap<&'static str, u64>,
    /// By mapping: what crossed; left out without mappings.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub mappings: BTreeMap<String, Crossed>,
    /// Where every MAC lives at the end.
    pub fdb: Vec<FdbRow>,
    /// The loops that were found.
    pub loops: Vec<LoopRow>,
}

/// What crossed a mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Crossed {
    /// Frames that left by the `from` side.
    pub sent_from: u64,
    /// Frames that left by the `to` side.
    pub sent_to: u64,
    /// Frames whose ID has no counterpart.
    pub holes: u64,
    /// Frames dropped on their way across.
    pub dropped: u64,
}

impl Crossed {
    /// What several workers have counted together.
    pub fn sum<'a>(counters: impl Iterator<Item = &'a MappingCounters>) -> Self {
        counters.fold(Self::default(), |sum, one| {
            let [from, to] = &one.sent;
            Self {
                sent_from: sum.sent_from + from.frames.get(),
                sent_to: sum.sent_to + to.frames.get(),
                holes: sum.holes + one.holes.get(),
                dropped: sum.dropped + one.dropped.get(),
            }
        })
    }
}

impl Report {
    /// What these workers have counted together.
    #[must_use]
    pub fn of(shared: &Shared, workers: &[&Counters], loops: &Loops, names: &Names) -> Self {
        let tables = shared.forwarding.load();
        let ports = (0..tables.ports.len()).map(|id| PortId(id as u16)).map(|id| {
            (names.port(id).into_owned(), Traffic::sum(workers.iter().filter_map(|counters| counters.port(id))))
        });
        let sum = |which: fn(&Counters, DropReason) -> u64| {
            by_label(move |reason| workers.iter().map(|counters| which(counters, reason)).sum())
        };
        Self {
            ports: ports.collect(),
            drops: sum(|counters, reason| counters.drops(reason).map_or(0, crate::counters::Counter::get)),
            tolerated: sum(|counters, reason| counters.tolerated(reason).map_or(0, crate::counters::Counter::get)),
            mappings: names
                .mappings()
                .map(|(id, name)| {
                    (name.to_owned(), Crossed::sum(workers.iter().filter_map(|counters| counters.mapping(id))))
                })
                .collect(),
            fdb: fdb(shared, names),
            loops: loops.iter().map(|(pair, found)| LoopRow::of(pair, found, names)).collect(),
        }
    }
}
