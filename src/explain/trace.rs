//! What the stages said about one frame, written down.

use std::net::IpAddr;

use transload_encaps::outer::Outer;
use transload_encaps::{Decap, DropReason, Frame, Mac};

use crate::dataplane::{Burst, LostFrame, Note, Stage, Tracer, Verdict};
use crate::fdb::LearnOutcome;
use crate::forwarding::{Claim, Crossing, DomainId, EndpointId, Hop, MappingId, PeerId, PortId, Sender, Target};

/// One thing that a stage said. See [`Tracer`] for what each means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    ToEndpoint(EndpointId),
    Outer(Outer),
    Unverified(PeerId),
    Sender(Sender, Option<PeerId>),
    Segment(PeerId, Decap, Option<Claim>),
    Crossing(Result<Crossing, MappingId>),
    Source(Mac, Target, Option<LearnOutcome>),
    UnknownSender(Mac, IpAddr),
    Destination(Mac, Option<Target>),
    Egress(DomainId, Target),
    Hop(Hop, usize),
    Leaves(PortId, Vec<u8>),
    SentTooBig(usize, Option<Target>),
    Lost(DropReason),
}

/// A frame as a stage left it.
#[derive(Debug, Clone)]
pub(super) struct Snapshot {
    pub(super) stage: Stage,
    pub(super) note: Note,
    /// Empty after the last stage, which takes the frames.
    pub(super) bytes: Vec<u8>,
}

/// Everything that happened to the first frame of a burst.
#[derive(Debug, Clone, Default)]
pub(super) struct Trace {
    pub(super) steps: Vec<(Stage, Step)>,
    snapshots: Vec<Snapshot>,
}

impl Trace {
    /// The frame as this stage left it.
    pub(super) fn after(&self, stage: Stage) -> Option<&Snapshot> {
        self.snapshots.iter().find(|snapshot| snapshot.stage == stage)
    }

    /// All that is known about the frame in the end.
    pub(super) fn note(&self) -> Option<&Note> {
        self.snapshots.last().map(|snapshot| &snapshot.note)
    }

    /// Where the frame was dropped, and why.
    pub(super) fn dropped(&self) -> Option<(Stage, DropReason)> {
        self.snapshots.iter().find_map(|snapshot| match snapshot.note.verdict {
            Verdict::Dropped(reason) => Some((snapshot.stage, reason)),
            Verdict::Waiting => Some((snapshot.stage, self.lost_altogether()?)),
            Verdict::Pending | Verdict::Sent => None,
        })
    }

    /// Why no copy of a frame has left, if none has.
    fn lost_altogether(&self) -> Option<DropReason> {
        if self.steps.iter().any(|(_, step)| matches!(step, Step::Leaves(..))) {
            return None;
        }
        self.steps.iter().rev().find_map(|(_, step)| if let Step::Lost(reason) = step { Some(*reason) } else { None })
    }

    /// The stages that looked at the frame while nothing had been decided.
    pub(super) fn stages(&self) -> impl Iterator<Item = &Snapshot> {
        let last = self.dropped().map_or(Stage::Encap, |(stage, _)| stage);
        self.snapshots.iter().filter(move |snapshot| snapshot.stage <= last)
    }

    pub(super) fn steps_of(&self, stage: Stage) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter(move |(at, _)| *at == stage).map(|(_, step)| step)
    }

    fn find<T>(&self, pick: impl Fn(&Step) -> Option<T>) -> Option<T> {
        self.steps.iter().find_map(|(_, step)| pick(step))
    }

    /// The endpoint that the frame is a tunnel packet to.
    pub(super) fn endpoint(&self) -> Option<EndpointId> {
        self.find(|step| if let Step::ToEndpoint(id) = step { Some(*id) } else { None })
    }

    /// Its outer headers, if they are whole.
    pub(super) fn outer(&self) -> Option<Outer> {
        self.find(|step| if let Step::Outer(outer) = step { Some(*outer) } else { None })
    }

    /// What the tunnel header said.
    pub(super) fn segment(&self) -> Option<(PeerId, Decap, Option<Claim>)> {
        self.find(
            |step| if let Step::Segment(peer, found, claim) = step { Some((*peer, *found, *claim)) } else { None },
        )
    }

    /// The mapping that takes it across, if one does.
    pub(super) fn crossing(&self) -> Option<Crossing> {
        self.find(|step| if let Step::Crossing(Ok(crossing)) = step { Some(*crossing) } else { None })
    }

    /// What became of the source address.
    pub(super) fn source(&self) -> Option<(Mac, Target, Option<LearnOutcome>)> {
        self.find(|step| if let Step::Source(mac, to, learned) = step { Some((*mac, *to, *learned)) } else { None })
    }

    /// What the FDB said about the destination address.
    pub(super) fn destination(&self) -> Option<(Mac, Option<Target>)> {
        self.find(|step| if let Step::Destination(mac, target) = step { Some((*mac, *target)) } else { None })
    }

    /// The attachment that a tenant's frame came in by.
    pub(super) fn ingress(&self) -> Option<Claim> {
        self.note()?.ingress()
    }

    fn say(&mut self, stage: Stage, step: Step) {
        self.steps.push((stage, step));
    }
}

impl Tracer for Trace {
    fn done(&mut self, stage: Stage, burst: &Burst<'_>) {
        if let Some(note) = burst.notes.first() {
            let bytes = burst.frames.first().map(|frame| frame.bytes().to_vec());
            self.snapshots.push(Snapshot { stage, note: *note, bytes: bytes.unwrap_or_default() });
        }
    }

    fn to_endpoint(&mut self, endpoint: EndpointId) {
        self.say(Stage::Classify, Step::ToEndpoint(endpoint));
    }

    fn outer(&mut self, outer: &Outer) {
        self.say(Stage::Classify, Step::Outer(*outer));
    }

    fn unverified(&mut self, peer: PeerId) {
        self.say(Stage::Classify, Step::Unverified(peer));
    }

    fn sender(&mut self, sender: &Sender, peer: Option<PeerId>) {
        self.say(Stage::Classify, Step::Sender(*sender, peer));
    }

    fn segment(&mut self, peer: PeerId, found: &Decap, claim: Option<Claim>) {
        self.say(Stage::Decap, Step::Segment(peer, *found, claim));
    }

    fn crossing(&mut self, crossing: Result<Crossing, MappingId>) {
        self.say(Stage::Decap, Step::Crossing(crossing));
    }

    fn source(&mut self, mac: Mac, to: Target, learned: Option<LearnOutcome>) {
        self.say(Stage::Bridge, Step::Source(mac, to, learned));
    }

    fn unknown_sender(&mut self, mac: Mac, address: IpAddr) {
        self.say(Stage::Bridge, Step::UnknownSender(mac, address));
    }

    fn destination(&mut self, mac: Mac, target: Option<Target>) {
        self.say(Stage::Bridge, Step::Destination(mac, target));
    }

    fn egress(&mut self, domain: DomainId, target: Target) {
        self.say(Stage::Encap, Step::Egress(domain, target));
    }

    fn hop(&mut self, hop: &Hop, of: usize) {
        self.say(Stage::Encap, Step::Hop(*hop, of));
    }

    fn leaves(&mut self, port: PortId, frame: &Frame<'_>) {
        self.say(Stage::Encap, Step::Leaves(port, frame.bytes().to_vec()));
    }

    fn sent_too_big(&mut self, mtu: usize, origin: Option<Target>) {
        self.say(Stage::Encap, Step::SentTooBig(mtu, origin));
    }

    fn dropped(&mut self, lost: &LostFrame<'_>) {
        // What had no path yet is dropped by a stage, as the snapshots say; and of segments, one says it for all.
        let on_path = self.steps.iter().rev().find_map(|(_, step)| match step {
            Step::Egress(..) | Step::Crossing(Ok(_)) => Some(true),
            Step::Lost(_) => Some(false),
            _ => None,
        });
        if lost.note.is_pending() && on_path == Some(true) {
            self.say(Stage::Encap, Step::Lost(lost.reason));
        }
    }
}
