//! Fates: the same captures through both configurations, in step, and the frames that they handle differently.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Change;
use super::causes::{self, Touched};
use super::reader::{Origin, Reader};
use crate::compile::{Names, Plan};
use crate::io::memory::Handle;
use crate::offline::captured::Captured;
use crate::offline::replay::{Input, Merged, ReplayError};
use crate::offline::{self, Offline};

/// What became of the frames of some captures.
#[derive(Debug, Serialize)]
pub struct Fates {
    /// Number of frames that went in.
    pub frames: u64,
    /// Those that the two files handle differently.
    pub changed: Vec<Changed>,
    /// Frames of the captures that were not what they seem; left out without any.
    #[serde(skip_serializing_if = "Captured::is_plain")]
    pub captured: Captured,
}

/// A frame that the two files handle differently.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Changed {
    /// Its number among all, from 1, in the order of time.
    pub frame: u64,
    /// When it was captured, in nanoseconds.
    pub stamp: u64,
    /// The port it arrives at.
    pub port: String,
    /// What became of it by the first file.
    pub old: Fate,
    /// What becomes of it by the second one.
    pub new: Fate,
    /// The changes that have to do with it; empty when earlier frames, which the gateways learned from, are the cause.
    pub because: Vec<String>,
}

/// What becomes of a frame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fate {
    /// The tenant it belonged to, if one has its ID or its tags.
    pub tenant: Option<String>,
    /// The mapping it belonged to, if one has its ID.
    pub mapping: Option<String>,
    /// Where it, and its copies, were sent.
    pub sent: Vec<SentFrame>,
    /// Why it, or copies of it, were dropped.
    pub dropped: Vec<&'static str>,
}

/// A frame that was sent.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct SentFrame {
    /// The port it left by.
    pub port: String,
    /// The peer it was sent to; the port's own name where it left by tags.
    pub via: String,
    /// The tenant ID it carries, such as `vni 10100`.
    pub segment: String,
    #[serde(skip)]
    bytes: Vec<u8>,
}

impl Fate {
    /// `sent on up1 to leaf-9 with vni 10100`, `dropped: unknown_segment`
    #[must_use]
    pub fn describe(&self) -> String {
        let sent = self.sent.iter().map(|sent| {
            let to = if sent.via == sent.port { String::new() } else { format!(" to {}", sent.via) };
            let with = if sent.segment.is_empty() { String::new() } else { format!(" with {}", sent.segment) };
            format!("sent on {}{to}{with}", sent.port)
        });
        let dropped = self.dropped.iter().map(|reason| format!("dropped: {reason}"));
        let all: Vec<_> = sent.chain(dropped).collect();
        if all.is_empty() { "nothing".to_owned() } else { all.join(", ") }
    }
}

/// A gateway that runs one of the two.
struct Runner<'mem> {
    gateway: Offline<'mem>,
    reader: Reader,
    drops: BTreeMap<&'static str, u64>,
}

impl<'mem> Runner<'mem> {
    fn new(plan: Plan, reader: Plan, arena: &'mem mut [u8]) -> Self {
        Self { gateway: Offline::new(plan, arena), reader: Reader::new(reader), drops: BTreeMap::new() }
    }

    fn names(&self) -> &Names {
        &self.reader.plan().names
    }

    fn run(&mut self, port: crate::forwarding::PortId, frame: crate::io::memory::Packet, stamp: u64) -> (Fate, Origin) {
        let origin = self.reader.received(port, &frame.bytes);
        self.gateway.receive(port, frame, stamp);
        let mut sent = Vec::new();
        for (id, name) in self.reader.plan().names.ports() {
            for packet in self.gateway.port(id).map(Handle::collect).unwrap_or_default() {
                let (via, segment) = self.reader.sent(id, &packet.bytes);
                sent.push(SentFrame { port: name.to_owned(), via, segment, bytes: packet.bytes });
            }
        }
        sent.sort_unstable();
        let drops: BTreeMap<_, _> = self.gateway.drops().map(|(reason, count)| (reason.label(), count)).collect();
        let more = |label: &&'static str| drops.get(label) > self.drops.get(label);
        let dropped = drops.keys().copied().filter(more).collect();
        self.drops = drops;
        let tenant = origin.claim.map(|claim| self.names().domain(claim.domain).into_owned());
        let mapping = origin.mapping.map(|mapping| self.names().mapping(mapping).into_owned());
        (Fate { tenant, mapping, sent, dropped }, origin)
    }
}

/// Both sides of the comparison, each compiled twice: to run, and to read by.
pub struct Plans {
    /// The first file's.
    pub old: (Plan, Plan),
    /// The second one's.
    pub new: (Plan, Plan),
}

/// Runs captures through both configurations, which have to be compiled with the same numbers. A port that only one of
/// them has is one on which the other receives nothing.
///
/// # Errors
/// When a capture is broken, cut short or not Ethernet.
pub fn fates(plans: Plans, inputs: &[Input], changes: &[Change]) -> Result<Fates, ReplayError> {
    let (mut arena, mut other_arena) = (offline::arena(), offline::arena());
    let mut old = Runner::new(plans.old.0, plans.old.1, &mut arena);
    let mut new = Runner::new(plans.new.0, plans.new.1, &mut other_arena);
    let mut records = Merged::open(inputs)?;
    let mut fates = Fates { frames: 0, changed: Vec::new(), captured: Captured::default() };
    while let Some((port, record)) = records.next_record()? {
        fates.frames += 1;
        let stamp = record.stamp;
        // The capture is of the gateway that ran the first file.
        let tables = old.gateway.shared().forwarding.load_full();
        let Some(frame) = fates.captured.arrival(&tables, port, record) else { continue };
        let (before, from) = old.run(port, frame.clone(), stamp);
        let (after, to) = new.run(port, frame, stamp);
        if before == after {
            continue;
        }
        let name = old.names().ports().chain(new.names().ports()).find(|(id, _)| *id == port);
        let name = name.map_or_else(String::new, |(_, name)| name.to_owned());
        let touched = Touched::by(&name, (&old.reader, &before, &from), (&new.reader, &after, &to));
        let because = changes.iter().filter(|change| touched.is_changed_by(change)).map(causes::sentence).collect();
        let (frame, port) = (fates.frames, name);
        fates.changed.push(Changed { frame, stamp, port, old: before, new: after, because });
    }
    Ok(fates)
}
