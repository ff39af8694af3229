//! What the gateway makes of a case: the production pipeline over its captures.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::io;
use std::path::Path;

use transload::compile::{Numbers, compile, placeholder_hops};
use transload::config;
use transload::io::pcap::Record;
use transload::offline::replay::{Input, replay};
use transload::report::summary::Report;

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
        let mut plan = compile(&config, &mut Numbers::default(), None).map_err(io::Error::other)?;
        placeholder_hops(&mut plan);
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
        Ok(Self { sent, summary: summary(&done.report) })
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
fn summary(report: &Report) -> String {
    let mut text = String::new();
    let mut say = |line: String| {
        let _ = writeln!(text, "{line}");
    };
    for (port, traffic) in &report.ports {
        say(format!("port {port}: {} received, {} sent", traffic.received, traffic.sent));
    }
    for (reason, times) in &report.drops {
        say(format!("dropped {times} {reason}"));
    }
    for (reason, times) in &report.tolerated {
        say(format!("tolerated {times} {reason}"));
    }
    for (mapping, crossed) in &report.mappings {
        say(format!(
            "mapping {mapping}: {} sent from, {} sent to, {} holes, {} dropped",
            crossed.sent_from, crossed.sent_to, crossed.holes, crossed.dropped
        ));
    }
    for row in &report.fdb {
        let kind = if row.is_static { ", static" } else { "" };
        let held = if row.held { ", held" } else { "" };
        say(format!("{} of {}: at {}, behind {}{kind}{held}", row.mac, row.tenant, row.attachment, row.peer));
    }
    for found in &report.loops {
        let [a, b] = &found.between;
        say(format!("loop in {} between {a} and {b}, found {} times", found.tenant, found.times));
    }
    text
}
