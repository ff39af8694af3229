//! Explain: what the gateway does with one frame, and why, as the stages themselves report it.
//!
//! The frame goes through the production pipeline with a [`Tracer`](crate::dataplane::Tracer) that writes everything
//! down (`trace`); its words come from the compiler's names and places (`case`, `steps`); what would have let a
//! dropped frame pass is looked for in the same tables (`near`); frames are shown as headers and in hex
//! (`decode`, `hex`).

mod case;
mod decode;
mod hex;
mod learned;
mod near;
mod paths;
mod render;
mod steps;
mod trace;

use std::ops::Range;

use serde::Serialize;
use transload_encaps::{DropReason, Kind};

use crate::compile::Origins;
use crate::dataplane::{FrameKind, Stage, Verdict};
use crate::forwarding::{Exit, PeerId, PortId};
use crate::io::memory::Packet;
use crate::offline::Offline;
use case::Case;
use decode::{Inside, decode};
use paths::paths;
use trace::{Step, Trace};

pub use decode::{Decoded, Layer};
pub use learned::{NotLearned, learn};
pub use near::Near;
pub use render::text;
pub use steps::{Said, StageReport};

/// What became of a frame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// All of it in one line: what happened, and to a dropped frame why and what would have let it pass.
    pub headline: String,
    /// The port it came in by.
    pub port: String,
    /// The frame as it arrived.
    pub frame: FrameReport,
    /// Why it was dropped, if it was.
    pub dropped: Option<Dropped>,
    /// What would have let it pass, the nearest first; of a frame that passed, remarks on it.
    pub near: Vec<Near>,
    /// Every stage in order, as far as the frame came.
    pub stages: Vec<StageReport>,
    /// What left because of it.
    pub outputs: Vec<OutputFrame>,
    /// Copies of a flooded frame that did not leave.
    pub lost: Vec<Dropped>,
}

/// Takes any frame apart, header by header. `tunnel` is what its outer IP packet carries, where that is known: bytes
/// alone do not tell NVGRE from GRE.
#[must_use]
pub fn dissect(frame: &[u8], tunnel: Option<Kind>) -> Decoded {
    decode(frame, tunnel.map_or(Inside::Unknown, Inside::Tunnel))
}

/// What to do about packets that are no arrivals.
const LEAVING: &str = "The live port never receives what the gateway sends: capture with `tcpdump -Q in`.";

/// A drop in the operator's words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Dropped {
    /// The counter.
    pub reason: &'static str,
    /// The stage that dropped it.
    pub stage: &'static str,
    /// Who can do something about it: `peer`, `config` (the file) or `local` (this machine); `capture` of a packet that
    /// was leaving.
    pub responsible: &'static str,
    /// What it means, and where to look.
    pub meaning: &'static str,
}

impl Dropped {
    fn new(stage: Stage, reason: DropReason) -> Self {
        let info = reason.info();
        Self { reason: info.label, stage: steps::name(stage), responsible: info.fault.word(), meaning: info.meaning }
    }
}

/// A frame's bytes, and what they say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FrameReport {
    /// Its length in bytes.
    pub len: usize,
    /// The frame header by header.
    pub decoded: Decoded,
    /// The frame's bytes in hexadecimal.
    pub hex: String,
    #[serde(skip)]
    bytes: Vec<u8>,
}

impl FrameReport {
    fn new(bytes: &[u8], inside: Inside) -> Self {
        Self { len: bytes.len(), decoded: decode(bytes, inside), hex: hex::plain(bytes), bytes: bytes.to_vec() }
    }
}

/// A frame that left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OutputFrame {
    /// The port it left by.
    pub port: String,
    /// The attachment and the peer it is for.
    pub to: String,
    /// Whether it is the gateway's own answer to the sender of a frame that was too big.
    pub answer: bool,
    /// The frame.
    pub frame: FrameReport,
    /// Which of its bytes the gateway wrote: the rest is the tenant's, as it arrived.
    pub changed: Vec<Range<usize>>,
}

impl OutputFrame {
    /// The frame's bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.frame.bytes
    }
}

/// Sends a frame through a gateway and tells what happened to it. Time is in nanoseconds of the gateway's clock.
pub fn explain(
    gateway: &mut Offline<'_>,
    origins: &Origins,
    port: PortId,
    packet: impl Into<Packet>,
    nanos: u64,
) -> Explanation {
    let packet = packet.into();
    let arrived = packet.clone();
    let mut trace = Trace::default();
    gateway.receive_before(&mut trace, port, packet, nanos);
    let tables = gateway.shared().forwarding.load_full();
    let (names, frame) = (gateway.names(), &arrived.bytes);
    let case = Case { tables: &tables, names, origins, port, frame, arrived: &arrived, trace: &trace };
    tell(&case)
}

fn tell(case: &Case<'_>) -> Explanation {
    let dropped = case.trace.dropped();
    let near = match dropped {
        Some((stage, reason)) => near::find(case, stage, reason),
        None => near::remarks(case),
    };
    let origin = case.origin().map(|(_, peer)| peer.compiled.kind());
    let inside = match (case.trace.endpoint(), origin) {
        (Some(_), Some(kind)) => Inside::Tunnel(kind),
        (None, Some(_)) => Inside::Nothing,
        _ => Inside::Unknown,
    };
    let frame = FrameReport::new(case.frame, inside);
    let outputs = outputs(case, &frame);
    let lost = case.trace.steps.iter().filter_map(|(stage, step)| match step {
        Step::Lost(reason) if dropped.is_none() => Some(Dropped::new(*stage, *reason)),
        _ => None,
    });
    Explanation {
        headline: headline(case, dropped, &near, &outputs),
        port: case.names.port(case.port).into_owned(),
        dropped: dropped.map(|(stage, reason)| match case.leaving() {
            Some(_) => Dropped { responsible: "capture", meaning: LEAVING, ..Dropped::new(stage, reason) },
            None => Dropped::new(stage, reason),
        }),
        stages: steps::stages(case),
        lost: lost.collect(),
        near,
        frame,
        outputs,
    }
}

fn headline(case: &Case<'_>, dropped: Option<(Stage, DropReason)>, near: &[Near], outputs: &[OutputFrame]) -> String {
    let nearest = near.first().map(|near| match &near.line {
        Some(line) => format!("{} ({line})", near.text),
        None => near.text.clone(),
    });
    if let Some((_, reason)) = dropped {
        let why = nearest.unwrap_or_else(|| reason.info().meaning.trim_end_matches('.').to_owned());
        let told = if outputs.iter().any(|output| output.answer) { "; its sender got an ICMP error" } else { "" };
        return format!("dropped ({}): {why}{told}", reason.label());
    }
    let Some(note) = case.trace.note() else {
        return "nothing arrived: a port takes frames of 1 byte to 64 KiB".to_owned();
    };
    if (note.kind, note.verdict) == (FrameKind::Unopened, Verdict::Waiting) {
        return "kept: a fragment of a tunnel packet, which is put together once the others are there (`reassemble`)"
            .to_owned();
    }
    let whose = match (note.ingress(), case.trace.crossing()) {
        (Some(claim), _) => case.tenant(claim.domain),
        (None, Some(crossing)) => format!("mapping {}", case.names.mapping(crossing.mapping)),
        (None, None) => "nobody".to_owned(),
    };
    let from = case.peer(note.origin.peer);
    let sent: Vec<_> = outputs.iter().filter(|output| !output.answer).collect();
    let to = match sent.as_slice() {
        [only] => format!("to {} by port {}", only.to, only.port),
        several => format!("to {} places", several.len()),
    };
    let but = nearest.map_or_else(String::new, |remark| format!("; {remark}"));
    format!("sent: {whose}, from {from} {to}{but}")
}

fn outputs(case: &Case<'_>, arrived: &FrameReport) -> Vec<OutputFrame> {
    let from = arrived.decoded.inner_at.unwrap_or(0);
    let end = case.trace.note().map_or(0, |note| note.origin.end as usize).min(case.frame.len());
    let mut outputs = Vec::new();
    for path in paths(case) {
        for (port, bytes) in &path.left {
            let frame = FrameReport::new(bytes, inside(case, path.peer));
            let changed = if path.is_answer {
                vec![Range { start: 0, end: bytes.len() }]
            } else {
                hex::changed(case.frame, from, end, bytes, frame.decoded.inner_at.unwrap_or(0))
            };
            let port = case.names.port(*port).into_owned();
            outputs.push(OutputFrame { port, to: path.to.clone(), answer: path.is_answer, frame, changed });
        }
    }
    outputs
}

fn inside(case: &Case<'_>, peer: PeerId) -> Inside {
    match case.tables.peer(peer).map(|peer| (&peer.exit, peer.compiled.kind())) {
        Some((Exit::Tunnel(_), kind)) => Inside::Tunnel(kind),
        Some((Exit::Port(_), _)) => Inside::Nothing,
        None => Inside::Unknown,
    }
}
