//! Near misses: the nearest thing that would have let a frame pass, or remarks on one that passed.
//!
//! A finder tries other readings of the same bytes against the same tables: another carrier, another byte order,
//! another tag. What it finds is said with the line of the file that would have to change.

mod bridge;
mod checks;
mod exit;
mod header;
mod outer;
mod reading;
mod segment;
mod sender;
mod tags;

use serde::Serialize;
use transload_encaps::{Common, DropReason};

use super::case::Case;
use crate::compile::Line;
use crate::dataplane::Stage;

pub(super) use bridge::remarks;

/// Something that would have let the frame pass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Near {
    /// What, in one sentence.
    pub text: String,
    /// The line of the file to look at.
    pub line: Option<Line>,
}

impl Near {
    fn new(text: impl Into<String>, line: Option<Line>) -> Self {
        Self { text: text.into(), line }
    }
}

/// Everything near, the nearest first.
pub(super) fn find(case: &Case<'_>, stage: Stage, reason: DropReason) -> Vec<Near> {
    let mut all = of(case, stage, reason);
    let remarks = remarks(case);
    // What was forgiven in the header may well be why the frame behind it makes no sense.
    let at = if reason == Common::BadSource.into() { 0 } else { all.len() };
    all.splice(at..at, remarks);
    all
}

fn of(case: &Case<'_>, stage: Stage, reason: DropReason) -> Vec<Near> {
    let is = |common: Common| reason == common.into();
    match stage {
        _ if is(Common::Truncated) || is(Common::InnerTruncated) => checks::truncated(case, stage),
        Stage::Receive => Vec::new(),
        Stage::Classify if is(Common::NotForUs) => outer::not_for_us(case),
        Stage::Classify if is(Common::NotOurMac) => outer::not_our_mac(case),
        Stage::Classify if is(Common::OtherGroup) => outer::other_group(case),
        Stage::Classify if is(Common::HostTraffic) => sender::host_traffic(case),
        Stage::Classify if is(Common::UnknownPeer) => sender::unknown(case),
        Stage::Classify => checks::outer(case, reason),
        _ if is(Common::L2Control) => bridge::refused(case, reason),
        Stage::Decap if is(Common::UnknownSegment) => segment::unknown(case),
        Stage::Decap if is(Common::MappingHole) => segment::hole(case).into_iter().collect(),
        Stage::Decap if is(Common::EcnDropped) => checks::ecn(case),
        Stage::Decap if is(Common::InnerTags) => exit::inner_tags(case, stage),
        Stage::Decap if case.trace.endpoint().is_none() => tags::unclaimed(case, reason),
        Stage::Decap => header::refused(case, reason).into_iter().collect(),
        Stage::Bridge => bridge::refused(case, reason),
        Stage::Encap => exit::refused(case, reason),
    }
}
