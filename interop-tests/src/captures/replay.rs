//! What the gateway makes of a case: the production pipeline over its captures.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::io;
use std::path::Path;

use transload::compile::{Numbers, compile};
use transload::config;
use transload::io::pcap::Record;
use transload::offline::replay::{Input, replay};
use transload::report::rows::{RowSource, Summary};

use super::case::{Case, captures, frames};

/// What came of a case.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Made {
    /// The frames that left, by port.
    pub(super) sent: BTreeMap<String, Vec<Record>>,
    /// What was counted, in words.
    pub(super) summary: String,
}

impl Made {
    /// Replays a case's `in` into a directory.
    pub(super) fn replayed(case: &Case, out: &Path) -> io::Result<Self> {
        let config = config::load(&case.gateway()).map_err(io::Error::other)?;
        let plan = compile(&config, &Numbers::default(), None).map_err(io::Error::other)?;
        let mut inputs = Vec::new();
        for port in case.ports("in")? {
            let file = case.file("in", &port, "pcap");
            let unknown = || io::Error::other(format!("in/{port}.pcap: gateway.yaml has no port `{port}`"));
            inputs.push(Input { port: plan.names.port_id(&port).ok_or_else(unknown)?, file });
        }
        let done = replay(plan, &inputs, out).map_err(io::Error::other)?;
        let mut sent = BTreeMap::new();
        for port in captures(out)? {
            sent.insert(port.clone(), frames(&out.join(format!("{port}.pcap")))?);
        }
        Ok(Self { sent, summary: summary(&done.summary) })
    }

    /// What the case says must come of it.
    pub(super) fn expected(case: &Case) -> io::Result<Self> {
        let summary = super::case::read(&case.directory.join("out/summary.txt"))?;
        Ok(Self { sent: case.frames("out")?, summary })
    }

    /// How this differs from what must be, a line each.
    pub(super) fn differences(&self, expected: &Self) -> Vec<String> {
        let mut found = Vec::new();
        if self.summary != expected.summary {
            found.push(format!("counted:\n{}instead of:\n{}", self.summary, expected.summary));
        }
        let ports: std::collections::BTreeSet<_> = self.sent.keys().chain(expected.sent.keys()).collect();
        for port in ports {
            let none = Vec::new();
            let ours = self.sent.get(port).unwrap_or(&none);
            let theirs = expected.sent.get(port).unwrap_or(&none);
            if ours.len() != theirs.len() {
                found.push(format!("{port} sends {} frames instead of {}", ours.len(), theirs.len()));
            }
            let first = ours.iter().zip(theirs).position(|(ours, theirs)| ours != theirs);
            found.extend(first.map(|at| difference(port, at, &ours[at], &theirs[at])));
        }
        found
    }
}

fn difference(port: &str, at: usize, ours: &Record, theirs: &Record) -> String {
    let number = at + 1;
    if ours.bytes == theirs.bytes {
        return format!("{port}: frame {number} leaves at {} instead of {}", ours.stamp, theirs.stamp);
    }
    let byte = ours.bytes.iter().zip(&theirs.bytes).take_while(|(ours, theirs)| ours == theirs).count();
    let hex = |bytes: &[u8]| bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    format!(
        "{port}: frame {number} differs from byte {byte} on:\n{}\ninstead of\n{}",
        hex(&ours.bytes),
        hex(&theirs.bytes)
    )
}

/// What a replay counted: what it dropped and tolerated by name, what crossed mappings, where every MAC lives.
fn summary(found: &Summary) -> String {
    let mut text = String::new();
    let mut say = |line: String| {
        let _ = writeln!(text, "{line}");
    };
    let (mut ports, mut drops) = (found.ports.clone(), found.drops.clone());
    ports.sort_by(|a, b| a.port.cmp(&b.port));
    drops.sort_by(|a, b| a.reason.cmp(&b.reason));
    for row in &ports {
        say(format!("port {}: {} received, {} sent", row.port, row.traffic.rx_frames, row.traffic.tx_frames));
    }
    for row in drops.iter().filter(|row| row.dropped > 0) {
        say(format!("dropped {} {}", row.dropped, row.reason));
    }
    for row in drops.iter().filter(|row| row.tolerated > 0) {
        say(format!("tolerated {} {}", row.tolerated, row.reason));
    }
    for row in &found.mappings {
        say(format!(
            "mapping {}: {} sent from, {} sent to, {} holes, {} dropped",
            row.mapping, row.to_from_frames, row.from_to_frames, row.dropped_unmapped, row.dropped
        ));
    }
    for row in &found.fdb {
        let kind = if row.source == RowSource::Static { ", static" } else { "" };
        let held = if row.held_for.is_some() { ", held" } else { "" };
        say(format!("{} of {}: at {}, behind {}{kind}{held}", row.mac, row.tenant, row.attachment, row.via));
    }
    for row in &found.loops {
        let [a, b] = &row.between;
        say(format!("loop in {} between {a} and {b}, found {} times", row.tenant, row.times));
    }
    text
}
