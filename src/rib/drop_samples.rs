//! The last dropped frames of each reason and peer, in names: what they are called may change, what happened does not.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

use transload_encaps::{DropReason, Kind};

use crate::compile::Names;
use crate::events::DropSample;
use crate::forwarding::Forwarding;

/// How many are kept of each reason and peer.
const KEPT: usize = 4;
/// Of so many reasons and peers; of more, those are forgotten whose last one is the oldest.
const PAIRS: usize = 1024;
/// Of so many senders that are no peers; they may make their addresses up, and must not push out what peers have sent.
const STRANGERS: usize = 64;

/// A frame that was dropped, in names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedSample {
    /// What the worker saw.
    pub seen: DropSample,
    /// When, in nanoseconds since 1970: one time, whoever asks for it when.
    pub wall: u64,
    /// The port that it came in by.
    pub port: String,
    /// The peer that it came from, or the port in whose tags it came.
    pub via: Option<String>,
    /// The tenant ID, in words: `vni 10100`.
    pub id: Option<String>,
    /// The tenant, and the attachment that it came in by.
    pub tenant: Option<[String; 2]>,
    /// The mapping that it was to cross.
    pub mapping: Option<String>,
}

/// The last ones of each reason and sender.
#[derive(Debug, Default)]
pub struct DropSamples(HashMap<(DropReason, SampledSender), VecDeque<NamedSample>>);

/// Whose frames they were.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum SampledSender {
    /// A peer's, or those in a port's tags.
    Peer(String),
    /// Those of nobody who is known, from this address.
    Stranger(Option<IpAddr>),
}

impl DropSamples {
    /// Takes in what a worker saw, under the names of now.
    pub fn note(&mut self, (seen, wall): (DropSample, u64), tables: &Forwarding, names: &Names) {
        let sample = NamedSample {
            seen,
            wall,
            port: names.port(seen.port).into(),
            via: seen.peer.map(|peer| names.peer(peer).into()),
            id: id(&seen, tables),
            tenant: seen.claim.map(|claim| {
                [names.domain(claim.domain), names.attachment(claim.domain, claim.attachment)].map(Into::into)
            }),
            mapping: seen.mapping.map(|mapping| names.mapping(mapping).into()),
        };
        let stranger = || SampledSender::Stranger(seen.outer.map(|outer| outer.src));
        let pair = (seen.reason, sample.via.clone().map_or_else(stranger, SampledSender::Peer));
        if !self.0.contains_key(&pair) {
            let is_stranger = |sender: &SampledSender| matches!(sender, SampledSender::Stranger(_));
            if is_stranger(&pair.1) && self.0.keys().filter(|(_, sender)| is_stranger(sender)).count() >= STRANGERS {
                self.forget_oldest(is_stranger);
            } else if self.0.len() >= PAIRS {
                self.forget_oldest(|_| true);
            }
        }
        let kept = self.0.entry(pair).or_default();
        if kept.len() >= KEPT {
            kept.pop_front();
        }
        kept.push_back(sample);
    }

    fn forget_oldest(&mut self, of: impl Fn(&SampledSender) -> bool) {
        let last = |kept: &VecDeque<NamedSample>| kept.back().map(|sample| sample.seen.at);
        let those = self.0.iter().filter(|((_, sender), _)| of(sender));
        if let Some(oldest) = those.min_by_key(|(_, kept)| last(kept)).map(|(pair, _)| pair.clone()) {
            self.0.remove(&oldest);
        }
    }

    /// All that are kept, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &NamedSample> {
        self.0.values().flatten()
    }
}

/// The tenant ID: as the packet's header has it, else as its attachment is written.
fn id(seen: &DropSample, tables: &Forwarding) -> Option<String> {
    let peer = seen.peer.and_then(|peer| tables.peer(peer));
    let header = seen.outer.as_ref().and_then(|outer| Some((&outer.header, outer.carrier?)));
    if let Some((header, carrier)) = header {
        let kind = match peer {
            Some(peer) => Some(peer.compiled.kind()),
            None => Kind::on(carrier).find(|kind| kind.inner_at(header).is_some()),
        };
        return kind.and_then(|kind| id_of_header(kind, header));
    }
    let compiled = &peer?.compiled;
    if let Some(segment) = seen.segment {
        return Some(compiled.kind().ids(segment).to_string());
    }
    let claim = seen.claim?;
    let attachment = tables.domain(claim.domain)?.attachment(claim.attachment)?;
    Some(attachment.ids_in_words(compiled))
}

fn id_of_header(kind: Kind, header: &[u8]) -> Option<String> {
    let fields = kind.fields(header);
    let is_id = |name: &str| kind.info().ids.iter().any(|id| id.name == name);
    let id = fields.iter().find(|field| is_id(field.name))?;
    Some(format!("{} {}", id.name, id.value))
}
