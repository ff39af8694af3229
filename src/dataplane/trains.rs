//! Trains: tunnel packets of one flow that arrive as one super-frame, and are cut into the packets that they were.
//!
//! ```text
//! | Ethernet, IP, UDP of the first packet | its payload | payload of the second | .. | of the last, maybe shorter |
//!                                         |<-- size --->|<------- size -------->|
//! ```
//!
//! A receiver's kernel joins them (GRO: `rx-udp-gro-forwarding` leaves the UDP checksum unfinished, `rx-gro-list` says
//! that it is verified), or a sender on a veth has left the cutting to its device (`UDP_SEGMENT`). The lengths in the
//! headers are those of the whole.
//!
//! The classify stage, which tells tunnel packets from all others, stops at a train. The train and the frames behind it
//! are set aside, and go through all stages once the frames before them have: nothing overtakes anything.

use std::collections::VecDeque;

use transload_encaps::inner::Inner;
use transload_encaps::ip::UDP_LEN;
use transload_encaps::outer::Outer;
use transload_encaps::{Checksum, Frame, Gso, GsoKind, HEADROOM, Kind};

use super::burst::Burst;
use super::note::Note;
use super::ports::WorkerPorts;
use super::trace::{LostFrame, Tracer};
use super::{Now, offload};
use crate::counters::Counters;
use crate::forwarding::{Forwarding, PeerId, PortId};
use crate::io::Pool;

/// The frames of a burst that wait until those before them are done; empty between bursts.
pub(super) struct Aside<'mem> {
    /// In the order in which they arrived.
    frames: VecDeque<Frame<'mem>>,
    /// The peer that has sent the first of them, if that is a train.
    train_of: Option<PeerId>,
}

/// What cutting a train takes besides the burst.
pub(super) struct Shunter<'a, 'mem, T> {
    /// The port that the burst came in by.
    pub port: PortId,
    /// The ports, to send from what has its headers already: that makes chunks free.
    pub ports: &'a mut WorkerPorts<'mem>,
    /// Chunks for the packets.
    pub pool: &'a mut Pool<'mem>,
    /// This worker's counters.
    pub counters: &'a Counters,
    /// The frozen tables.
    pub tables: &'a Forwarding,
    /// The time of this burst.
    pub now: Now,
    /// The observer of the stages.
    pub tracer: &'a mut T,
}

impl<'mem> Aside<'mem> {
    /// Room for as many frames as there are chunks, so that it never allocates.
    pub(super) fn new(chunks: usize) -> Self {
        Self { frames: VecDeque::with_capacity(chunks), train_of: None }
    }

    /// Sets the frames of a burst aside, from this one on, which is a train of this peer.
    #[cold]
    pub(super) fn put(&mut self, burst: &mut Burst<'mem>, from: usize, peer: PeerId) {
        burst.notes.truncate(from);
        burst.frames.drain(from..).rev().for_each(|frame| self.frames.push_front(frame));
        self.train_of = Some(peer);
    }

    /// Fills the empty burst with frames that were set aside; false if there are none.
    #[inline]
    pub(super) fn resume<T: Tracer>(&mut self, burst: &mut Burst<'mem>, with: &mut Shunter<'_, 'mem, T>) -> bool {
        if self.frames.is_empty() {
            return false;
        }
        self.refill(burst, with);
        true
    }

    #[cold]
    fn refill<T: Tracer>(&mut self, burst: &mut Burst<'mem>, with: &mut Shunter<'_, 'mem, T>) {
        if let Some(peer) = self.train_of.take() {
            self.cut_first(peer, with);
        }
        let count = self.frames.len().min(Burst::LEN);
        burst.frames.extend(self.frames.drain(..count));
        burst.received(with.port);
    }

    /// Cuts the first frame into its packets, each of which counts as received like one that came alone.
    fn cut_first<T: Tracer>(&mut self, peer: PeerId, with: &mut Shunter<'_, 'mem, T>) {
        let Shunter { port, ports, pool, counters, tables, now, tracer } = with;
        let Some(train) = self.frames.pop_front() else { return };
        ports.transmit(pool, counters);
        let (behind, mut bytes) = (self.frames.len(), 0);
        let cut = offload::segments(&train, pool, HEADROOM, |packet| {
            bytes += packet.len() as u64;
            self.frames.push_back(packet);
        });
        let packets = self.frames.len() - behind;
        self.frames.rotate_right(packets);
        match cut {
            Ok(()) => {
                if let Some(counters) = counters.port(*port) {
                    counters.rx.add(packets as u64 - 1, bytes.saturating_sub(train.len() as u64));
                }
            }
            Err(reason) => {
                counters.dropped(reason, None, 1);
                counters.dropped_at(*port, Some(peer), reason, 1);
                let mut note = Note::new(*port);
                (note.origin.peer, note.origin.end) = (peer, train.len() as u32);
                note.drop(reason);
                tracer.again(0, &note, &train);
                tracer.dropped(&LostFrame { reason, frame: &train, note: &note, wrapped: 0, tables, now: *now });
            }
        }
        pool.put(train);
    }
}

/// Whether a super-frame with these outer headers, from a peer that speaks this encapsulation, is a train; else it is one
/// tunnel packet with a super-frame inside.
#[cold]
pub(super) fn is_train(frame: &Frame<'_>, gso: Gso, outer: &Outer, kind: Kind) -> bool {
    // Packets without a checksum are joined by nobody, and the sum of a pseudo-header is not zero.
    if gso.kind != GsoKind::Udp || outer.udp_checksum.is_none_or(|checksum| checksum == 0) {
        return false;
    }
    let at = usize::from(outer.at);
    match frame.meta.checksum {
        // What is unfinished is the checksum of what is to be cut.
        Checksum::Partial { start, .. } => start == frame.chunk_offset(at - UDP_LEN),
        Checksum::Valid | Checksum::Unknown => {
            let tunnel = frame.bytes().get(at..outer.end as usize).unwrap_or_default();
            !holds_a_packet_longer_than(tunnel, gso.size.into(), kind)
        }
    }
}

/// Whether the IP packet inside a tunnel packet ends behind so many bytes: no packet of a train reaches into the next.
fn holds_a_packet_longer_than(tunnel: &[u8], size: usize, kind: Kind) -> bool {
    let end = || {
        let at = kind.inner_at(tunnel)?;
        Some(at + Inner::of(tunnel.get(at..)?)?.packet()?.end)
    };
    end().is_some_and(|end| end > size)
}
