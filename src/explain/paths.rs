//! The paths that a frame took, or should have taken: to attachments of its tenant, across a mapping, back to its
//! sender.

use transload_encaps::{DropReason, InnerTags, Segment};

use super::case::Case;
use super::trace::Step;
use crate::dataplane::Stage;
use crate::forwarding::{AttachmentId, Crossing, DomainId, Hop, MappingId, PeerId, PortId, Target};

/// One path, and what happened to the frame, or a copy of it, on it.
pub(super) struct TracedPath<'a> {
    /// Where it leads, in words: "leafs (peer leafs/192.0.2.11, vni 10100)"
    pub(super) to: String,
    pub(super) peer: PeerId,
    pub(super) segment: Segment,
    pub(super) inner_tags: InnerTags,
    /// The attachment that the frame leaves by; none across a mapping.
    pub(super) attachment: Option<(DomainId, AttachmentId)>,
    /// Whether it is the gateway's own ICMP error that took this path.
    pub(super) is_answer: bool,
    pub(super) hop: Option<Hop>,
    pub(super) left: Vec<(PortId, &'a [u8])>,
    pub(super) lost: Option<DropReason>,
}

/// All of them, in the order in which they were taken.
pub(super) fn paths<'a>(case: &Case<'a>) -> Vec<TracedPath<'a>> {
    let trace = case.trace;
    let ingress = trace.ingress().map(|ingress| ingress.domain);
    let mut all: Vec<TracedPath<'a>> =
        trace.crossing().and_then(|crossing| across(case, crossing)).into_iter().collect();
    for step in trace.steps_of(Stage::Encap) {
        match (step, all.last_mut()) {
            (Step::Egress(domain, target), _) => all.extend(to(case, *domain, *target)),
            (Step::SentTooBig(_, origin), _) => {
                let back = ingress.zip(*origin).and_then(|(domain, origin)| to(case, domain, origin));
                all.extend(back.or_else(|| returning(case)).map(|path| TracedPath { is_answer: true, ..path }));
            }
            (Step::Hop(hop, _), Some(path)) => path.hop = Some(*hop),
            (Step::Leaves(port, bytes), Some(path)) => path.left.push((*port, bytes)),
            (Step::Lost(reason), Some(path)) => path.lost = Some(*reason),
            _ => {}
        }
    }
    all
}

fn to<'a>(case: &Case<'a>, domain: DomainId, target: Target) -> Option<TracedPath<'a>> {
    let row = case.tables.domain(domain)?.attachment(target.attachment)?;
    Some(TracedPath {
        to: case.target(domain, target),
        peer: target.peer,
        segment: row.segment,
        inner_tags: row.inner_tags,
        attachment: Some((domain, target.attachment)),
        is_answer: false,
        hop: None,
        left: Vec::new(),
        lost: None,
    })
}

fn across<'a>(case: &Case<'a>, crossing: Crossing) -> Option<TracedPath<'a>> {
    end(case, crossing.mapping, crossing.to, crossing.segment)
}

/// Back to the side of the mapping that the frame came in by.
fn returning<'a>(case: &Case<'a>) -> Option<TracedPath<'a>> {
    let crossing = case.trace.crossing()?;
    end(case, crossing.mapping, 1 - crossing.to.min(1), case.trace.segment()?.1.segment)
}

fn end<'a>(case: &Case<'a>, mapping: MappingId, side: u8, segment: Segment) -> Option<TracedPath<'a>> {
    let end = case.tables.mappings.get(mapping)?.ends.get(usize::from(side))?;
    let kind = case.tables.peer(end.peer)?.compiled.kind();
    Some(TracedPath {
        to: format!("{}, {}", case.peer(end.peer), Case::ids(kind, segment)),
        peer: end.peer,
        segment,
        inner_tags: end.inner_tags,
        attachment: None,
        is_answer: false,
        hop: None,
        left: Vec::new(),
        lost: None,
    })
}
