//! Captures as cases: every directory of `interop-tests/cases` holds a gateway, frames that a real peer or an
//! independent builder made, and what must come of them, which two independent dissectors read as well.
//!
//! A case is three promises. What the pipeline sends and counts is `out`, to the byte and the nanosecond. What
//! `pnet_packet` sees in `out` is its `PORT.txt`. And so is what tshark sees, where it is installed.

mod case;
mod pnet;
mod record;
mod replay;
mod seen;
mod tshark;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

pub use case::Case;
pub use record::record;
use replay::Made;
pub use seen::Seen;
use transload_lab::skip;

/// What came of one case.
#[derive(Debug)]
pub struct Outcome {
    /// The case.
    pub case: Case,
    /// Why it failed; empty when it has passed.
    pub faults: Vec<String>,
    /// What could not be looked at, and why.
    pub skipped: Option<String>,
}

/// Where the project keeps its cases.
#[must_use]
pub fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("cases")
}

/// Runs every case below a directory.
///
/// # Errors
/// When the directory or one of its cases is not as a case must be.
pub fn run_all(directory: &Path) -> io::Result<Vec<Outcome>> {
    run(Case::all(directory)?)
}

/// Runs these cases.
///
/// # Errors
/// When what one of them must come to cannot be read.
pub fn run(cases: Vec<Case>) -> io::Result<Vec<Outcome>> {
    let mut outcomes = Vec::new();
    for case in cases {
        let mut faults = replayed(&case)?;
        faults.extend(dissected("pnet_packet", &case, &mut |frames, ports| Ok(pnet::dissect(frames, ports)))?);
        outcomes.push(Outcome { case, faults, skipped: None });
    }
    look_with_tshark(&mut outcomes)?;
    Ok(outcomes)
}

/// How what the gateway does differs from what it must.
fn replayed(case: &Case) -> io::Result<Vec<String>> {
    let out = tempfile::tempdir()?;
    Ok(match Made::replayed(case, out.path()) {
        Ok(made) => made.differences(&Made::expected(case)?),
        Err(error) => vec![error.to_string()],
    })
}

/// What a dissector makes of frames; `None` is one that it cannot read.
type Dissect<'a> = &'a mut dyn FnMut(&[Vec<u8>], &BTreeSet<u16>) -> io::Result<Vec<Option<Seen>>>;

/// How what a dissector sees in a case's `out` differs from its texts.
fn dissected(who: &str, case: &Case, dissect: Dissect<'_>) -> io::Result<Vec<String>> {
    let mut faults = Vec::new();
    for (port, lines) in lines(case, &case.frames("out")?, dissect)? {
        let expected = case::read(&case.file("out", &port, "txt"))?;
        if lines != expected {
            faults.push(format!("{who} sees at {port}:\n{lines}instead of:\n{expected}"));
        }
    }
    Ok(faults)
}

/// What a dissector sees in frames that leave, by port: a line each, with the frame that came in whose tenant's
/// bytes it carries.
fn lines(
    case: &Case,
    sent: &BTreeMap<String, Vec<transload::io::pcap::Record>>,
    dissect: Dissect<'_>,
) -> io::Result<BTreeMap<String, String>> {
    let arrived = case.frames("in")?;
    let all: Vec<_> = arrived.values().chain(sent.values()).flatten().map(|record| record.bytes.clone()).collect();
    let mut seen = dissect(&all, &case.udp_ports()?)?.into_iter();
    let mut origins = Vec::new();
    for (port, records) in &arrived {
        origins.extend((1..=records.len()).map(|number| format!("{port} {number}")).zip(seen.by_ref()));
    }
    let mut texts = BTreeMap::new();
    for (port, records) in sent {
        let text = seen.by_ref().take(records.len()).map(|seen| match seen {
            Some(seen) => seen.line(&origin(&seen, &origins)) + "\n",
            None => "cannot be read\n".to_owned(),
        });
        texts.insert(port.clone(), text.collect());
    }
    Ok(texts)
}

/// Which frame that came in carried the same tenant's frame, tags aside.
fn origin(seen: &Seen, came: &[(String, Option<Seen>)]) -> String {
    let same = came.iter().find_map(|(name, came)| {
        let padding = seen.tenant.padding_behind(&came.as_ref()?.tenant.bytes)?;
        Some(if padding == 0 { format!("as {name}") } else { format!("as {name} and {padding} bytes of padding") })
    });
    same.unwrap_or_else(|| "as none that came in".to_owned())
}

/// Looks at all cases with one run of tshark, which takes longer to start than to look.
fn look_with_tshark(outcomes: &mut [Outcome]) -> io::Result<()> {
    if let Err(missing) = skip::tshark() {
        for outcome in outcomes {
            outcome.skipped = Some(missing.clone());
        }
        return Ok(());
    }
    let mut all = Vec::new();
    let mut ports = BTreeSet::new();
    let mut collect = |frames: &[Vec<u8>], own: &BTreeSet<u16>| {
        all.extend_from_slice(frames);
        ports.extend(own);
        Ok(vec![None; frames.len()])
    };
    for outcome in &*outcomes {
        lines(&outcome.case, &outcome.case.frames("out")?, &mut collect)?;
    }
    let mut seen = tshark::dissect(&all, &ports)?.into_iter();
    let mut next = |frames: &[Vec<u8>], _: &BTreeSet<u16>| Ok(seen.by_ref().take(frames.len()).collect());
    for outcome in outcomes {
        outcome.faults.extend(dissected("tshark", &outcome.case, &mut next)?);
    }
    Ok(())
}
