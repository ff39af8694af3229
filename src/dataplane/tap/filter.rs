//! What a capture asks for, in numbers: a frame has to have all of it, from the moment that it came in until it is gone.

use transload_encaps::{DropReason, Kind, Mac, ethernet, outer};

use super::super::note::{FrameKind, Note};
use super::record::TapPoint;
use crate::forwarding::{DomainId, MappingId, PeerId, PortId, Target};

/// The points that records are kept of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TapPoints(u8);

impl TapPoints {
    /// All of them.
    pub const ALL: Self = Self(u8::MAX);

    /// Those of these points.
    #[must_use]
    pub fn of(points: &[TapPoint]) -> Self {
        Self(points.iter().fold(0, |all, point| all | 1 << *point as u8))
    }

    /// Whether a point is among them.
    #[must_use]
    pub const fn holds(self, point: TapPoint) -> bool {
        self.0 & 1 << point as u8 != 0
    }
}

/// What a frame must have, each `None` if it does not matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TapFilter {
    /// The tenant.
    pub tenant: Option<DomainId>,
    /// The peer that it came from or goes to, and the mappings that lead there.
    pub peer: Option<(PeerId, Vec<MappingId>)>,
    /// The port that it came in or leaves by.
    pub port: Option<PortId>,
    /// The source or destination address.
    pub mac: Option<Mac>,
    /// The reason for which it, or a copy of it, is dropped.
    pub reason: Option<DropReason>,
    /// Whether it, or a copy of it, must have been dropped.
    pub dropped: bool,
    /// The points that are recorded.
    pub points: TapPoints,
    /// Of so many frames that have all this, one is recorded; at least 1.
    pub sample: u64,
    /// The most bytes of a frame that are recorded.
    pub snaplen: usize,
}

const TENANT: u8 = 1;
const PEER: u8 = 2;
const PORT: u8 = 4;
const MAC: u8 = 8;
const REASON: u8 = 16;
const DROPPED: u8 = 32;

impl TapFilter {
    /// Whether a frame that has so much has all.
    pub(super) fn is_met_by(&self, has: u8) -> bool {
        let asked = [
            (self.tenant.is_some(), TENANT),
            (self.peer.is_some(), PEER),
            (self.port.is_some(), PORT),
            (self.mac.is_some(), MAC),
            (self.reason.is_some(), REASON),
            (self.dropped, DROPPED),
        ];
        asked.iter().all(|(is_asked, bit)| !is_asked || has & bit != 0)
    }

    /// Whether a frame that has so much when its tunnel is off may come to have all: no later stage gives it another tenant or
    /// other addresses.
    pub(super) fn may_be_met_by(&self, has: u8) -> bool {
        (self.tenant.is_none() || has & TENANT != 0) && (self.mac.is_none() || has & MAC != 0)
    }

    pub(super) fn of_port(&self, port: PortId) -> u8 {
        if self.port == Some(port) { PORT } else { 0 }
    }

    pub(super) fn of_frame(&self, frame: &[u8]) -> u8 {
        let Some(mac) = self.mac.map(Mac::to_bits) else { return 0 };
        let is_of = ethernet::addresses(frame).is_some_and(|(to, from)| to == mac || from == mac);
        if is_of { MAC } else { 0 }
    }

    /// Of a frame as it came, and of what is in it if it looks like a tunnel packet: it may never be opened.
    pub(super) fn of_arrival(&self, frame: &[u8]) -> u8 {
        if self.mac.is_none() {
            return 0;
        }
        self.of_frame(frame) | self.of_frame(inner(frame).unwrap_or_default())
    }

    pub(super) fn of_note(&self, note: &Note) -> u8 {
        let tenant = note.ingress().is_some_and(|ingress| Some(ingress.domain) == self.tenant);
        let peer = self.peer.as_ref().is_some_and(|(peer, mappings)| {
            let crosses = matches!(note.kind, FrameKind::Mapping(crossing) if mappings.contains(&crossing.mapping));
            note.origin.peer == *peer || crosses
        });
        (if tenant { TENANT } else { 0 }) | if peer { PEER } else { 0 }
    }

    pub(super) fn of_target(&self, target: Target) -> u8 {
        if self.peer.as_ref().is_some_and(|(peer, _)| *peer == target.peer) { PEER } else { 0 }
    }

    pub(super) fn of_drop(&self, reason: DropReason) -> u8 {
        DROPPED | if self.reason == Some(reason) { REASON } else { 0 }
    }
}

fn inner(frame: &[u8]) -> Option<&[u8]> {
    let (ether_type, at) = ethernet::payload(frame)?;
    let outer = matches!(ether_type, ethernet::IPV4 | ethernet::IPV6).then(|| outer::walk(frame, at).ok())??;
    let tunnel = frame.get(outer.at.into()..)?;
    let at = Kind::on(outer.carrier).find_map(|kind| kind.inner_at(tunnel))?;
    tunnel.get(at..)
}
