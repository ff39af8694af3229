//! The workers' counters: one block per worker, plain stores; readers add the blocks up.

mod domain;
mod growing;

use std::sync::atomic::{AtomicU64, Ordering};

use transload_encaps::DropReason;

use crate::forwarding::{Claim, DomainId, FileTables, Forwarding, MappingId, PeerId, PortId, RowId};
pub use domain::{AttachmentCounters, DomainCounters};
use growing::{Growing, block};

/// A number that one worker writes and any thread reads.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds, without a read-modify-write: the worker that owns the block is the only writer.
    #[inline]
    pub fn add(&self, n: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
    }

    /// Sets it to zero; only while no worker counts under this number.
    fn forget(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    /// The number now.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Frames and their bytes.
#[derive(Debug, Default)]
pub struct TrafficCounter {
    /// Number of frames.
    pub frames: Counter,
    /// How many bytes, without preamble and FCS.
    pub bytes: Counter,
}

impl TrafficCounter {
    /// Counts one more frame, of this length in bytes.
    #[inline]
    pub fn count(&self, len: usize) {
        self.add(1, len as u64);
    }

    fn forget(&self) {
        self.frames.forget();
        self.bytes.forget();
    }

    /// More frames at once.
    #[inline]
    pub fn add(&self, frames: u64, bytes: u64) {
        self.frames.add(frames);
        self.bytes.add(bytes);
    }
}

/// Frames of one kind that are counted together, when the last of them has passed.
#[derive(Debug)]
pub struct TrafficTally<'a> {
    to: Option<&'a TrafficCounter>,
    frames: u64,
    bytes: u64,
}

impl<'a> TrafficTally<'a> {
    /// Of no frames yet, to be counted there.
    #[must_use]
    #[inline]
    pub const fn new(to: Option<&'a TrafficCounter>) -> Self {
        Self { to, frames: 0, bytes: 0 }
    }

    /// One more frame, of this length in bytes.
    #[inline]
    pub const fn count(&mut self, len: usize) {
        self.frames += 1;
        self.bytes += len as u64;
    }
}

impl Drop for TrafficTally<'_> {
    #[inline]
    fn drop(&mut self) {
        if let Some(to) = self.to {
            to.add(self.frames, self.bytes);
        }
    }
}

/// Frames in both directions, of a port (whole frames) or a peer (tenants' frames).
#[derive(Debug, Default)]
pub struct Both {
    /// Frames received.
    pub rx: TrafficCounter,
    /// Frames sent.
    pub tx: TrafficCounter,
    /// Of those received, or of those that were to leave by this port, how many were dropped.
    pub dropped: Counter,
    /// Of a peer: those that were to be sent to it and were dropped. They are dropped where they came from, too.
    pub unsent: Counter,
    /// Of those sent to a peer, how many were copies of flooded frames.
    pub flooded: Counter,
}

impl Both {
    /// A copy of a flooded frame is about to be sent, and counts as flooded before it counts as sent: who takes the former
    /// from the latter never has one left over. Returns how many frames had been sent.
    pub fn begin_copy(&self) -> u64 {
        self.flooded.add(1);
        self.tx.frames.get()
    }

    /// The copy has left, in one frame, several, or none.
    pub fn end_copy(&self, before: u64) {
        self.flooded.add(self.tx.frames.get().wrapping_sub(before).wrapping_sub(1));
    }

    fn forget(&self) {
        let Self { rx, tx, dropped, unsent, flooded } = self;
        [rx, tx].into_iter().for_each(TrafficCounter::forget);
        [dropped, unsent, flooded].into_iter().for_each(Counter::forget);
    }
}

/// One mapping's counters.
#[derive(Debug, Default)]
pub struct MappingCounters {
    /// The frames that left by the `from` side, and by the `to` side.
    pub sent: [TrafficCounter; 2],
    /// Frames whose tenant ID has no counterpart.
    pub holes: Counter,
    /// Segments of super-frames that were made, beyond one for each frame.
    pub copies: Counter,
    /// ICMP errors sent to hosts whose packet was too big.
    pub too_big_answers: Counter,
    /// Frames that were dropped while they crossed.
    pub dropped: Counter,
}

/// How a worker spends its time.
#[derive(Debug, Default)]
pub struct WorkTime {
    /// Nanoseconds that it has worked, up to a moment ago.
    pub time: Counter,
    /// Nanoseconds of these in which it had frames in hand.
    pub busy: Counter,
}

impl WorkTime {
    /// More nanoseconds have passed, and in so many of these it had frames in hand.
    pub fn add(&self, time: u64, busy: u64) {
        self.time.add(time);
        self.busy.add(busy);
    }
}

/// All counters of one worker.
#[derive(Debug)]
pub struct Counters {
    /// How it spends its time.
    pub work: WorkTime,
    drops: Box<[Counter]>,
    copy_drops: Box<[Counter]>,
    tolerated: Box<[Counter]>,
    /// By port.
    ports: Box<[Both]>,
    /// By port, and in it by reason.
    port_drops: Box<[Counter]>,
    /// By port.
    lost: Box<[Counter]>,
    peers: Growing<PeerId, Both>,
    domains: Growing<DomainId, DomainCounters>,
    mappings: Growing<MappingId, MappingCounters>,
}

impl Counters {
    /// Room for everything these tables number.
    #[must_use]
    pub fn new(tables: &FileTables) -> Self {
        let counters = Self {
            work: WorkTime::default(),
            drops: block(DropReason::COUNT),
            copy_drops: block(DropReason::COUNT),
            tolerated: block(DropReason::COUNT),
            ports: block(tables.ports.span()),
            port_drops: block(tables.ports.span() * DropReason::COUNT),
            lost: block(tables.ports.span()),
            peers: Growing::new(tables.peers.span()),
            domains: Growing::new(tables.domains.span()),
            mappings: Growing::new(tables.mappings.all.span()),
        };
        counters.grow(tables);
        counters
    }

    /// Makes room for what another file numbers, before a worker gets its tables. Ports stay as many as they were.
    pub fn grow(&self, tables: &FileTables) {
        self.peers.grow(tables.peers.span());
        self.domains.grow(tables.domains.span());
        self.mappings.grow(tables.mappings.all.span());
        for (id, domain) in tables.domains.iter() {
            if let Some(counters) = self.domain(id) {
                counters.grow(domain.attachments.span());
            }
        }
    }

    /// Makes room for peers that were learned, before a worker gets tables that have them.
    pub fn grow_learned(&self, tables: &Forwarding) {
        let learned = tables.learned.peers.keys().map(|id| id.index() + 1).max().unwrap_or(0);
        self.peers.grow(learned);
    }

    /// How many peers and tenants have room.
    #[must_use]
    pub fn room(&self) -> (usize, usize) {
        (self.peers.len(), self.domains.len())
    }

    /// Forgets what was counted under a number that is free now, so that its next owner begins with nothing. The
    /// workers have passed the tables that had it.
    pub fn forget_peer(&self, id: PeerId) {
        self.peer(id).into_iter().for_each(Both::forget);
    }

    /// As [`forget_peer`](Self::forget_peer), of a tenant.
    pub fn forget_domain(&self, id: DomainId) {
        self.domain(id).into_iter().for_each(DomainCounters::forget);
    }

    /// As [`forget_peer`](Self::forget_peer), of an attachment. What it counted stays in the numbers of its tenant.
    pub fn forget_attachment(&self, claim: Claim) {
        self.domain(claim.domain).into_iter().for_each(|domain| domain.forget_attachment(claim.attachment));
    }

    /// As [`forget_peer`](Self::forget_peer), of a mapping.
    pub fn forget_mapping(&self, id: MappingId) {
        let Some(mapping) = self.mapping(id) else { return };
        mapping.sent.iter().for_each(TrafficCounter::forget);
        mapping.holes.forget();
        mapping.copies.forget();
        mapping.too_big_answers.forget();
        mapping.dropped.forget();
    }

    /// Frames dropped for this reason.
    #[must_use]
    #[inline]
    pub fn drops(&self, reason: DropReason) -> Option<&Counter> {
        self.drops.get(reason.index())
    }

    /// Copies of flooded frames and segments of super-frames, dropped for this reason while others of the same frame left;
    /// and the gateway's own answers that did not leave.
    #[must_use]
    pub fn copy_drops(&self, reason: DropReason) -> Option<&Counter> {
        self.copy_drops.get(reason.index())
    }

    /// Frames carried although a stricter gateway would have dropped them for this reason.
    #[must_use]
    #[inline]
    pub fn tolerated(&self, reason: DropReason) -> Option<&Counter> {
        self.tolerated.get(reason.index())
    }

    /// The frames that a port received and sent.
    #[must_use]
    #[inline]
    pub fn port(&self, id: PortId) -> Option<&Both> {
        self.ports.get(id.index())
    }

    /// Frames that arrived at a port and that its device lost before they could be received.
    #[must_use]
    pub fn lost(&self, id: PortId) -> Option<&Counter> {
        self.lost.get(id.index())
    }

    /// The frames that came from and went to a peer.
    #[must_use]
    #[inline]
    pub fn peer(&self, id: PeerId) -> Option<&Both> {
        self.peers.get(id)
    }

    /// A tenant's counters.
    #[must_use]
    #[inline]
    pub fn domain(&self, id: DomainId) -> Option<&DomainCounters> {
        self.domains.get(id)
    }

    /// An attachment's counters.
    #[must_use]
    #[inline]
    pub fn attachment(&self, claim: Claim) -> Option<&AttachmentCounters> {
        self.domain(claim.domain)?.attachment(claim.attachment)
    }

    /// A mapping's counters.
    #[must_use]
    #[inline]
    pub fn mapping(&self, id: MappingId) -> Option<&MappingCounters> {
        self.mappings.get(id)
    }

    /// Frames dropped for this reason that a port received, or was to send.
    #[must_use]
    pub fn drops_at(&self, id: PortId, reason: DropReason) -> Option<&Counter> {
        self.port_drops.get(id.index() * DropReason::COUNT + reason.index())
    }

    /// Counts dropped frames at the port, and at the peer they came from, if it is known.
    pub fn dropped_at(&self, port: PortId, peer: Option<PeerId>, reason: DropReason, frames: u64) {
        let places = [self.port(port), peer.and_then(|peer| self.peer(peer))];
        places.into_iter().flatten().for_each(|both| both.dropped.add(frames));
        if let Some(counter) = self.drops_at(port, reason) {
            counter.add(frames);
        }
    }

    /// Counts a copy or a segment dropped for this reason while others of its frame leave; of an attachment, if it is known
    /// which one the frame came in by.
    #[cold]
    pub fn dropped_copy(&self, reason: DropReason, ingress: Option<Claim>) {
        if let Some(counter) = self.copy_drops(reason) {
            counter.add(1);
        }
        if let Some(counters) = ingress.and_then(|claim| self.attachment(claim)) {
            counters.dropped.add(1);
        }
    }

    /// Counts so many frames dropped for this reason; of an attachment, if it is known which one they came in by.
    #[inline]
    pub fn dropped(&self, reason: DropReason, ingress: Option<Claim>, frames: u64) {
        if let Some(counter) = self.drops(reason) {
            counter.add(frames);
        }
        if let Some(counters) = ingress.and_then(|claim| self.attachment(claim)) {
            counters.dropped.add(frames);
        }
    }
}
