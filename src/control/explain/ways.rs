//! The ways a frame went, or should have gone: to attachments of its tenant, across a mapping, back to its sender.

use transload_encaps::{DropReason, InnerTags, Segment};

use super::case::Case;
use super::trace::Step;
use crate::dataplane::{Decision, Stage};
use crate::forwarding::{AttachmentId, Crossing, DomainId, Hop, PeerId, PortId, Target};

/// One way, and what happened to the frame, or a copy of it, there.
pub(super) struct Way<'a> {
    /// "leafs (peer leafs/192.0.2.11, vni 10100)"
    pub(super) to: String,
    pub(super) peer: PeerId,
    pub(super) segment: Segment,
    pub(super) inner_tags: InnerTags,
    /// None across a mapping.
    pub(super) attachment: Option<(DomainId, AttachmentId)>,
    /// Whether the gateway's own answer went this way.
    pub(super) is_answer: bool,
    pub(super) hop: Option<Hop>,
    pub(super) left: Vec<(PortId, &'a [u8])>,
    pub(super) lost: Option<DropReason>,
}

/// All of them, in the order in which they were gone.
pub(super) fn ways<'a>(case: &Case<'a>) -> Vec<Way<'a>> {
    let trace = case.trace;
    let domain = trace.note().and_then(crate::dataplane::Note::domain);
    let mut all: Vec<Way<'a>> = crossing(case).and_then(|crossing| across(case, crossing)).into_iter().collect();
    for step in trace.steps_of(Stage::Encap) {
        match (step, all.last_mut()) {
            (Step::Way(target) | Step::Told(_, target), _) => {
                all.extend(domain.and_then(|domain| to(case, domain, *target, matches!(step, Step::Told(..)))));
            }
            (Step::Hop(hop, _), Some(way)) => way.hop = Some(*hop),
            (Step::Leaves(port, bytes), Some(way)) => way.left.push((*port, bytes)),
            (Step::Lost(reason), Some(way)) => way.lost = Some(*reason),
            _ => {}
        }
    }
    all
}

/// The way across that the frame was given, if it is a mapping's.
pub(super) fn crossing(case: &Case<'_>) -> Option<Crossing> {
    match case.trace.note()?.decision {
        Decision::Across(crossing) => Some(crossing),
        _ => None,
    }
}

fn to<'a>(case: &Case<'a>, domain: DomainId, target: Target, is_answer: bool) -> Option<Way<'a>> {
    let row = case.tables.domain(domain)?.attachment(target.attachment)?;
    Some(Way {
        to: case.target(domain, target),
        peer: target.peer,
        segment: row.segment,
        inner_tags: row.inner_tags,
        attachment: Some((domain, target.attachment)),
        is_answer,
        hop: None,
        left: Vec::new(),
        lost: None,
    })
}

fn across<'a>(case: &Case<'a>, crossing: Crossing) -> Option<Way<'a>> {
    let end = case.tables.mappings.get(crossing.mapping)?.ends.get(usize::from(crossing.to))?;
    let kind = case.tables.peer(end.peer)?.compiled.kind();
    Some(Way {
        to: format!("{}, {}", case.peer(end.peer), Case::ids(kind, crossing.segment)),
        peer: end.peer,
        segment: crossing.segment,
        inner_tags: end.inner_tags,
        attachment: None,
        is_answer: false,
        hop: None,
        left: Vec::new(),
        lost: None,
    })
}
