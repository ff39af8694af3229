//! Known senders: what the last packet of each looked like, so that its next one is known at a look.

use transload_encaps::outer::Pattern;
use transload_encaps::{Checksum, Frame};

use super::note::PacketOrigin;
use crate::forwarding::{Forwarding, PeerId, PortId};

/// How many senders are known at once. A sender's place is its address's, so some push each other out.
const PLACES: usize = 1024;

/// Packets of known senders. They outlive the burst, but not the tables that they were found by.
pub(super) struct KnownSenders {
    places: Box<[Option<KnownPacket>]>,
    /// Where those tables are. A worker holds them until it has others, which therefore are elsewhere.
    tables: usize,
}

/// A packet of a sender that has a number.
#[derive(Clone, Copy)]
struct KnownPacket {
    pattern: Pattern,
    port: PortId,
    peer: PeerId,
}

impl KnownSenders {
    pub(super) fn new() -> Self {
        Self { places: vec![None; PLACES].into(), tables: 0 }
    }

    /// Forgets all of them if there are other tables now: there the same packet may be another peer's, or nobody's.
    #[inline]
    pub(super) fn under(&mut self, tables: &Forwarding) {
        let tables = std::ptr::from_ref(tables).addr();
        if self.tables != tables {
            self.tables = tables;
            self.places.fill(None);
        }
    }

    /// The origin of a packet that has come in by a port, if its sender is known and nothing is wrong about it.
    #[inline]
    pub(super) fn origin(&self, frame: &Frame<'_>, port: PortId) -> Option<PacketOrigin> {
        let KnownPacket { pattern, port: before, peer } = self.places.get(place(frame)?)?.as_ref()?;
        let found = pattern.likeness(frame.bytes())?;
        // A train has a checksum.
        let is_judged = found.udp_checksum == 0 || frame.meta.checksum != Checksum::Unknown && frame.meta.gso.is_none();
        let outer_class = Some(found.traffic_class);
        (is_judged && *before == port && !frame.meta.cut).then_some(PacketOrigin {
            peer: *peer,
            at: found.at,
            end: found.end,
            outer_class,
            unknown_sender: None,
        })
    }

    /// Remembers a packet with nothing wrong about it, and the peer that sent it.
    pub(super) fn remember(&mut self, frame: &Frame<'_>, pattern: Pattern, port: PortId, peer: PeerId) {
        if let Some(place) = place(frame).and_then(|place| self.places.get_mut(place)) {
            *place = Some(KnownPacket { pattern, port, peer });
        }
    }
}

/// The place of a packet's sender.
#[inline]
fn place(frame: &Frame<'_>) -> Option<usize> {
    // Addresses of a fabric differ in their low bits, whichever those are in memory.
    let spread = Pattern::sender_bits(frame.bytes())?.wrapping_mul(0x9e37_79b1);
    Some((spread >> (u32::BITS - PLACES.ilog2())) as usize)
}
