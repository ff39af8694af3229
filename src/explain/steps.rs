//! What every stage looked up and what answered, in sentences with the line that decided.

use serde::Serialize;
use transload_encaps::{Checksum, Decap, DropReason, Gso, Mac};

use super::case::Case;
use super::trace::Step;
use crate::compile::{Line, Noun};
use crate::dataplane::Stage;
use crate::fdb::LearnOutcome;
use crate::forwarding::{Claim, DomainId, PeerId, Sender, Target};
use crate::io::memory::Packet;

/// What a stage did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StageReport {
    /// Its name.
    pub stage: &'static str,
    /// What it asked and heard, in order.
    pub steps: Vec<Said>,
}

/// One sentence, and the line of the file behind it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Said {
    /// What was looked up and what answered.
    pub text: String,
    /// The line that decided; none where a default or a learned entry did.
    pub line: Option<Line>,
}

fn said(text: impl Into<String>, line: Option<Line>) -> Said {
    Said { text: text.into(), line }
}

/// Every stage that saw the frame.
pub(super) fn stages(case: &Case<'_>) -> Vec<StageReport> {
    case.trace
        .stages()
        .map(|snapshot| {
            let stage = snapshot.stage;
            let mut steps = opening(case, stage);
            steps.extend(case.trace.steps_of(stage).filter_map(|step| sentence(case, step)));
            if let Some((at, reason)) = case.trace.dropped()
                && at == stage
            {
                steps.push(dropped(reason));
            }
            StageReport { stage: name(stage), steps }
        })
        .collect()
}

/// The stage's name.
pub(super) const fn name(stage: Stage) -> &'static str {
    match stage {
        Stage::Receive => "receive",
        Stage::Classify => "classify",
        Stage::Decap => "decap",
        Stage::Bridge => "bridge",
        Stage::Encap => "encap",
    }
}

fn dropped(reason: DropReason) -> Said {
    said(format!("dropped: {} ({})", reason.label(), reason.info().meaning), None)
}

fn opening(case: &Case<'_>, stage: Stage) -> Vec<Said> {
    match stage {
        Stage::Receive => {
            let cut = if case.arrived.cut { ", cut short by the capture" } else { "" };
            let text = format!("{} bytes on port {}{cut}", case.frame.len(), case.names.port(case.port));
            let mut all = vec![said(text, case.line(Noun::Port(case.port)))];
            all.extend(left_to_a_device(case.arrived).map(|text| said(text, None)));
            all
        }
        Stage::Classify if case.trace.endpoint().is_none() => {
            let tags = case.tables.ports.get(case.port).and_then(|port| port.tags);
            let text = match tags {
                Some(_) => {
                    format!("no tunnel packet to an endpoint: the tags of port {} decide", case.names.port(case.port))
                }
                None => "no tunnel packet to an endpoint, and no attachment claims tags of this port".to_owned(),
            };
            vec![said(text, None)]
        }
        Stage::Bridge if case.trace.crossing().is_some() => {
            vec![said("no part in it: a mapping has no addresses", None)]
        }
        _ => Vec::new(),
    }
}

/// What the frame's sender has left to its device.
fn left_to_a_device(arrived: &Packet) -> Option<String> {
    let Checksum::Partial { start, .. } = arrived.checksum else { return None };
    let checksum = format!(
        "captured before its sender's device had filled in the checksum of the header at byte {start}: taken as the \
         live port would take it"
    );
    Some(match arrived.gso {
        None => checksum,
        Some(Gso { size, .. }) => format!(
            "{checksum}; it is longer than the wire carries, and a capture does not say how that device cuts it: \
             taken as segments of {size} bytes, which fit the MTU"
        ),
    })
}

fn sentence(case: &Case<'_>, step: &Step) -> Option<Said> {
    let domain = case.trace.ingress().map(|ingress| ingress.domain);
    Some(match step {
        Step::ToEndpoint(id) => said(format!("to {}", case.endpoint(*id)), case.line(Noun::Endpoint(*id))),
        Step::Outer(outer) => {
            said(format!("outer headers are whole: {} from {}", outer.carrier.in_words(), outer.src), None)
        }
        Step::Unverified(peer) => said(
            format!("UDP checksum not verified, as {} says (`rx: ignore`)", case.peer(*peer)),
            case.line(Noun::UdpChecksum(*peer)),
        ),
        Step::Sender(sender, peer) => by(case, sender, *peer),
        Step::Segment(peer, found, claim) => segment(case, *peer, found, *claim),
        Step::Crossing(Ok(crossing)) => said(case.crossing(*crossing), case.line(Noun::Mapping(crossing.mapping))),
        Step::Crossing(Err(mapping)) => said(
            format!("mapping {} has it, but its counterpart is reserved", case.names.mapping(*mapping)),
            case.line(Noun::Mapping(*mapping)),
        ),
        Step::Source(mac, to, learned) => source(case, domain?, *mac, *to, *learned),
        Step::UnknownSender(mac, address) => {
            said(format!("source {mac}: not learned yet, since {address} has no number; it is given one now"), None)
        }
        Step::Destination(mac, target) => destination(case, domain?, *mac, *target),
        Step::Egress(domain, target) => {
            let line = case.line(Noun::Attachment(*domain, target.attachment));
            said(format!("to {}", case.target(*domain, *target)), line)
        }
        Step::Hop(hop, of) => {
            let of = if *of > 1 { format!(", one of {of} of equal cost") } else { String::new() };
            said(format!("next hop {} by port {}{of}", hop.link.dst, case.names.port(hop.port)), None)
        }
        Step::Leaves(port, bytes) => said(
            format!("leaves by port {}: {} bytes", case.names.port(*port), bytes.len()),
            case.line(Noun::Port(*port)),
        ),
        Step::SentTooBig(mtu, origin) => {
            let back = domain.zip(*origin).map(|(domain, origin)| format!(", back at {}", case.target(domain, origin)));
            said(format!("ICMP error to the sender: {mtu} bytes fit{}", back.unwrap_or_default()), None)
        }
        Step::Lost(reason) => said(format!("does not leave: {} ({})", reason.label(), reason.info().meaning), None),
    })
}

fn by(case: &Case<'_>, sender: &Sender, peer: Option<PeerId>) -> Said {
    let asked = format!(
        "sender {}, {}, to endpoint {}",
        sender.address,
        sender.carrier.in_words(),
        case.origins.endpoint(sender.endpoint)
    );
    match peer {
        Some(peer) if !case.tables.senders.contains_key(sender) => {
            let learner = case.tables.learner(sender);
            let inside = learner.map_or_else(String::new, |row| format!(", inside {} to {}", row.first, row.last));
            let line = learner.and_then(|row| case.line(Noun::Learner(*row)));
            said(format!("{asked}: {}{inside}", case.peer(peer)), line)
        }
        Some(peer) => said(format!("{asked}: {}", case.peer(peer)), case.line(Noun::Sender(*sender))),
        None => said(format!("{asked}: unknown"), None),
    }
}

fn segment(case: &Case<'_>, id: PeerId, found: &Decap, claim: Option<Claim>) -> Said {
    let Some(peer) = case.tables.peer(id) else { return said("the peer is gone", None) };
    let kind = peer.compiled.kind();
    let asked = format!("{} header off, {} of {}", kind.info().title, Case::ids(kind, found.segment), case.peer(id));
    match claim {
        Some(claim) => {
            said(format!("{asked}: {}", case.claim(claim)), case.line(Noun::Segment(peer.scope, found.segment)))
        }
        None => said(format!("{asked}: no tenant's"), None),
    }
}

/// Where an FDB entry comes from.
fn provenance(case: &Case<'_>, domain: DomainId, mac: Mac) -> (&'static str, Option<Line>) {
    match case.line(Noun::Static(domain, mac)) {
        Some(line) => ("static", Some(line)),
        None => ("learned", None),
    }
}

fn source(case: &Case<'_>, domain: DomainId, mac: Mac, to: Target, learned: Option<LearnOutcome>) -> Said {
    let at = case.target(domain, to);
    let (how, line) = provenance(case, domain, mac);
    match learned {
        None => said(format!("source {mac}: the tenant does not learn"), case.line(Noun::Learning(domain))),
        Some(LearnOutcome::Known) => said(format!("source {mac}: known at {at} ({how})"), line),
        Some(LearnOutcome::New) => said(format!("source {mac}: learned at {at}"), None),
        Some(LearnOutcome::Moved { from }) => {
            said(format!("source {mac}: moved from {} to {at}", case.target(domain, from)), None)
        }
        Some(LearnOutcome::Static) => said(format!("source {mac}: static elsewhere, not learned at {at}"), line),
        Some(LearnOutcome::Held) => said(format!("source {mac}: held elsewhere, not learned at {at}"), None),
        Some(LearnOutcome::Full) => said(format!("source {mac}: not learned, the FDB is full"), None),
        Some(LearnOutcome::Refused) => {
            said(format!("source {mac}: not learned, the tenant has as many as it may"), case.line(Noun::Macs(domain)))
        }
        Some(LearnOutcome::Busy) => said(format!("source {mac}: not learned now, another worker writes there"), None),
    }
}

fn destination(case: &Case<'_>, domain: DomainId, mac: Mac, target: Option<Target>) -> Said {
    match target {
        Some(target) => {
            let (how, line) = provenance(case, domain, mac);
            said(format!("destination {mac}: {} ({how})", case.target(domain, target)), line)
        }
        None if mac == Mac::BROADCAST => said(format!("destination {mac}: everyone"), None),
        None if mac.is_group() => said(format!("destination {mac}: a group, which goes to everyone"), None),
        None => said(format!("destination {mac}: unknown"), case.line(Noun::UnknownUnicast(domain))),
    }
}
