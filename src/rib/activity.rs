//! Activity: what the workers' counters say of the last seconds. Rates; when something was heard last; and for how long a
//! peer has been silent.
//!
//! The counters are looked at from outside, a part of them at a time, and everything once in [`PARTS`] times: who counts
//! frames does nothing for it. A look is as long ago as a second, so that this is how exact times are.
//!
//! A peer is *silent* from the first frame on that was sent to it and that nothing followed from there. That a frame came
//! between two looks and one left is enough for an answer: which of them was first cannot be seen. Whom nothing has been
//! sent to for a while is not silent any more, but idle.

use std::sync::Arc;

use crate::counters::{AttachmentCounters, Both, Counters, TrafficCounter};
use crate::dataplane::Now;
use crate::forwarding::{AttachmentId, Claim, DomainId, PeerId, PortId, RowId};

const SECOND: u64 = 1_000_000_000;
/// In so many parts everything is looked at, one part at a time.
pub const PARTS: usize = 10;
/// Rates are counted over once to twice as long as this, in nanoseconds.
const WINDOW: u64 = 3 * SECOND;
/// A frame that was sent may wait so long for an answer without anybody speaking of silence: two looks.
const GRACE: u64 = 2 * SECOND;
/// Whom nothing was sent to for so long is not silent any more; and who was not heard for so long is not fine.
pub const MEMORY: u64 = 300 * SECOND;

/// What happened in the last seconds.
#[derive(Debug, Default)]
pub struct Activity {
    /// The part that is looked at next.
    part: usize,
    ports: Vec<Recent>,
    peers: Vec<Recent>,
    /// By domain, and in it by attachment; without any until something was counted.
    domains: Vec<Vec<Recent>>,
    /// By worker, an older moment and a newer one: nanoseconds that it had worked, and had been busy.
    workers: Vec<[[u64; 2]; 2]>,
}

/// Frames and bits a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TrafficRates {
    /// Frames received.
    pub rx_frames: u64,
    /// Bits received.
    pub rx_bits: u64,
    /// Frames sent.
    pub tx_frames: u64,
    /// Bits sent.
    pub tx_bits: u64,
}

/// What all workers have counted of one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Sums {
    rx: [u64; 2],
    tx: [u64; 2],
    /// Frames that were dropped although they had arrived.
    dropped: u64,
}

impl Sums {
    fn add(&mut self, rx: &TrafficCounter, tx: &TrafficCounter) {
        for (sum, counter) in [(&mut self.rx, rx), (&mut self.tx, tx)] {
            sum[0] += counter.frames.get();
            sum[1] += counter.bytes.get();
        }
    }

    fn of_both<'c>(all: impl Iterator<Item = &'c Both>) -> Self {
        all.fold(Self::default(), |mut sums, both| {
            sums.add(&both.rx, &both.tx);
            sums.dropped += both.dropped.get();
            sums
        })
    }

    fn of_attachment<'c>(all: impl Iterator<Item = &'c AttachmentCounters>) -> Self {
        all.fold(Self::default(), |mut sums, attachment| {
            sums.add(&attachment.rx, &attachment.tx);
            sums
        })
    }

    /// How many frames have arrived, if what was dropped before it was counted as received is put to it.
    const fn arrived(&self) -> u64 {
        self.rx[0] + self.dropped
    }
}

/// The last seconds of one thing that is counted. Moments are nanoseconds of the workers' clock.
#[derive(Debug, Clone, Copy)]
pub struct Recent {
    /// What had been counted at two moments: rates are counted from the older one.
    samples: [(u64, Sums); 2],
    /// Frames that had arrived and that had been sent at the last look.
    seen: [u64; 2],
    /// When frames were seen to arrive last.
    heard: Option<u64>,
    /// When frames were seen to be sent last.
    sent: u64,
    /// When the first frame was seen to be sent after which nothing has arrived.
    unanswered: Option<u64>,
}

impl Recent {
    /// Of what is looked at for the first time at this moment; a look before, nothing had been counted.
    const fn new(now: u64) -> Self {
        let nothing = (now.saturating_sub(SECOND), Sums { rx: [0; 2], tx: [0; 2], dropped: 0 });
        Self { samples: [nothing; 2], seen: [0; 2], heard: None, sent: 0, unanswered: None }
    }

    fn look(&mut self, sums: Sums, now: u64) {
        let seen = [sums.arrived(), sums.tx[0]];
        let [has_arrived, was_sent] = [0, 1].map(|at| seen[at] != self.seen[at]);
        self.seen = seen;
        if was_sent {
            self.sent = now;
        }
        if has_arrived {
            (self.heard, self.unanswered) = (Some(now), None);
        } else if was_sent {
            self.unanswered.get_or_insert(now);
        } else if now.saturating_sub(self.sent) > MEMORY {
            self.unanswered = None;
        }
        let [_, newer] = self.samples;
        if now.saturating_sub(newer.0) >= WINDOW {
            self.samples = [newer, (now, sums)];
        }
    }

    fn rates(&self, sums: Sums, now: u64) -> TrafficRates {
        let [(at, before), _] = self.samples;
        let time = now.saturating_sub(at);
        let rate = |now: u64, before: u64| {
            let rate = u128::from(now.saturating_sub(before)) * u128::from(SECOND);
            rate.checked_div(time.into()).unwrap_or(0).try_into().unwrap_or(u64::MAX)
        };
        TrafficRates {
            rx_frames: rate(sums.rx[0], before.rx[0]),
            rx_bits: rate(sums.rx[1], before.rx[1]).saturating_mul(8),
            tx_frames: rate(sums.tx[0], before.tx[0]),
            tx_bits: rate(sums.tx[1], before.tx[1]).saturating_mul(8),
        }
    }

    /// When frames were seen to arrive last, in nanoseconds of the workers' clock.
    #[must_use]
    pub const fn heard(&self) -> Option<u64> {
        self.heard
    }

    /// How long nothing has arrived though frames were sent, in nanoseconds; none if that cannot be said.
    #[must_use]
    pub fn silent_for(&self, now: Now) -> Option<u64> {
        let silence = now.nanos.saturating_sub(self.unanswered?);
        (silence >= GRACE).then_some(silence)
    }
}

impl Activity {
    /// Looks at the next part of what was counted. To be called [`PARTS`] times a second.
    pub(super) fn look(&mut self, counters: &[Arc<Counters>], now: Now) {
        let (part, now) = (self.part, now.nanos);
        self.part = (part + 1) % PARTS;
        let Some(first) = counters.first() else { return };
        let (peers, domains) = first.room();
        let ports = (0..).take_while(|at| first.port(PortId::from_index(*at)).is_some()).count();
        self.ports.resize(ports, Recent::new(now));
        self.peers.resize(peers, Recent::new(now));
        self.domains.resize_with(domains, Vec::new);
        for (at, recent) in of_part(&mut self.ports, part) {
            recent.look(port_sums(counters, PortId::from_index(at)), now);
        }
        for (at, recent) in of_part(&mut self.peers, part) {
            recent.look(peer_sums(counters, PeerId::from_index(at)), now);
        }
        for (at, attachments) in of_part(&mut self.domains, part) {
            look_at_attachments(attachments, counters, DomainId::from_index(at), now);
        }
        if part == 0 {
            self.workers.resize(counters.len(), [[0; 2]; 2]);
            for (samples, counters) in self.workers.iter_mut().zip(counters) {
                let [_, newer] = *samples;
                let work = work_of(counters);
                if work[0].saturating_sub(newer[0]) >= WINDOW {
                    *samples = [newer, work];
                }
            }
        }
    }

    /// The last seconds of a peer, if it has been looked at.
    #[must_use]
    pub fn peer(&self, id: PeerId) -> Option<&Recent> {
        self.peers.get(id.index())
    }

    /// The last seconds of an attachment, if anything was ever counted.
    #[must_use]
    pub fn attachment(&self, claim: Claim) -> Option<&Recent> {
        self.domains.get(claim.domain.index())?.get(claim.attachment.index())
    }

    /// The rates of a port.
    #[must_use]
    pub fn port_rates(&self, id: PortId, counters: &[Arc<Counters>], now: Now) -> TrafficRates {
        let recent = self.ports.get(id.index());
        recent.map_or_else(TrafficRates::default, |recent| recent.rates(port_sums(counters, id), now.nanos))
    }

    /// The rates of a peer.
    #[must_use]
    pub fn peer_rates(&self, id: PeerId, counters: &[Arc<Counters>], now: Now) -> TrafficRates {
        let recent = self.peer(id);
        recent.map_or_else(TrafficRates::default, |recent| recent.rates(peer_sums(counters, id), now.nanos))
    }

    /// The rates of an attachment.
    #[must_use]
    pub fn attachment_rates(&self, claim: Claim, counters: &[Arc<Counters>], now: Now) -> TrafficRates {
        let recent = self.attachment(claim);
        recent.map_or_else(TrafficRates::default, |recent| recent.rates(attachment_sums(counters, claim), now.nanos))
    }

    /// The part of the last seconds, in thousandths, in which a worker had frames in hand.
    #[must_use]
    pub fn busy(&self, worker: usize, counters: &Counters) -> u64 {
        let before = self.workers.get(worker).map_or([0; 2], |samples| samples[0]);
        let work = work_of(counters);
        let [time, busy] = [0, 1].map(|at| work[at].saturating_sub(before[at]));
        busy.saturating_mul(1_000).checked_div(time).unwrap_or(0).min(1_000)
    }

    /// Forgets peers whose numbers are free.
    pub(super) fn forget_peer(&mut self, id: PeerId) {
        forget(self.peers.get_mut(id.index()));
    }

    /// Forgets tenants whose numbers are free.
    pub(super) fn forget_domain(&mut self, id: DomainId) {
        self.domains.get_mut(id.index()).into_iter().for_each(|attachments| *attachments = Vec::new());
    }

    /// Forgets attachments whose numbers are free.
    pub(super) fn forget_attachment(&mut self, claim: Claim) {
        let attachments = self.domains.get_mut(claim.domain.index());
        forget(attachments.and_then(|attachments| attachments.get_mut(claim.attachment.index())));
    }
}

fn forget(recent: Option<&mut Recent>) {
    if let Some(recent) = recent {
        *recent = Recent::new(recent.samples[1].0);
    }
}

fn look_at_attachments(recents: &mut Vec<Recent>, counters: &[Arc<Counters>], domain: DomainId, now: u64) {
    let all = counters.iter().filter_map(|counters| Some(counters.domain(domain)?.attachments().count()));
    for at in 0..all.max().unwrap_or(0) {
        let claim = Claim { domain, attachment: AttachmentId::from_index(at) };
        let sums = attachment_sums(counters, claim);
        if at >= recents.len() {
            // Of most tenants of many nothing is counted, and nothing has to be kept.
            if sums == Sums::default() {
                continue;
            }
            recents.resize(at + 1, Recent::new(now));
        }
        if let Some(recent) = recents.get_mut(at) {
            recent.look(sums, now);
        }
    }
}

/// The items of a part, with their indices.
fn of_part<T>(all: &mut [T], part: usize) -> impl Iterator<Item = (usize, &mut T)> {
    let [start, end] = [part, part + 1].map(|part| all.len() * part / PARTS);
    all.iter_mut().enumerate().take(end).skip(start)
}

fn port_sums(counters: &[Arc<Counters>], id: PortId) -> Sums {
    Sums::of_both(counters.iter().filter_map(|counters| counters.port(id)))
}

fn peer_sums(counters: &[Arc<Counters>], id: PeerId) -> Sums {
    Sums::of_both(counters.iter().filter_map(|counters| counters.peer(id)))
}

fn attachment_sums(counters: &[Arc<Counters>], claim: Claim) -> Sums {
    Sums::of_attachment(counters.iter().filter_map(|counters| counters.attachment(claim)))
}

fn work_of(counters: &Counters) -> [u64; 2] {
    [counters.work.time.get(), counters.work.busy.get()]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A peer that is looked at every second, first at the second one, and what was counted of it.
    struct Watch {
        recent: Recent,
        sums: Sums,
        now: u64,
    }

    impl Watch {
        fn new() -> Self {
            Self { recent: Recent::new(2 * SECOND), sums: Sums::default(), now: SECOND }
        }

        /// So many seconds pass, in each of which so many frames of 100 bytes arrive and leave.
        fn pass(&mut self, seconds: u64, rx: u64, tx: u64) {
            for _ in 0..seconds {
                self.now += SECOND;
                for (sum, frames) in [(&mut self.sums.rx, rx), (&mut self.sums.tx, tx)] {
                    sum[0] += frames;
                    sum[1] += 100 * frames;
                }
                self.recent.look(self.sums, self.now);
            }
        }

        fn silent_for(&self) -> Option<u64> {
            self.recent.silent_for(Now { nanos: self.now }).map(|nanos| nanos / SECOND)
        }

        fn heard_ago(&self) -> Option<u64> {
            Some((self.now - self.recent.heard()?) / SECOND)
        }

        fn rates(&self) -> [u64; 4] {
            let TrafficRates { rx_frames, rx_bits, tx_frames, tx_bits } = self.recent.rates(self.sums, self.now);
            [rx_frames, rx_bits, tx_frames, tx_bits]
        }
    }

    #[test]
    fn who_answers_whenever_it_is_asked_is_never_silent() {
        let mut watch = Watch::new();
        for _ in 0..50 {
            watch.pass(1, 0, 1);
            assert_eq!(watch.silent_for(), None, "the answer may still come");
            watch.pass(1, 1, 0);
            assert_eq!((watch.silent_for(), watch.heard_ago()), (None, Some(0)));
            watch.pass(3, 0, 0);
            assert_eq!((watch.silent_for(), watch.heard_ago()), (None, Some(3)), "nobody asks");
        }
    }

    #[test]
    fn silence_begins_with_the_first_frame_that_nothing_follows() {
        let mut watch = Watch::new();
        watch.pass(5, 3, 3);
        watch.pass(100, 0, 0);
        assert_eq!((watch.silent_for(), watch.heard_ago()), (None, Some(100)));
        watch.pass(20, 0, 5);
        assert_eq!((watch.silent_for(), watch.heard_ago()), (Some(19), Some(120)));
        watch.pass(10, 0, 0);
        assert_eq!(watch.silent_for(), Some(29), "what was sent is still not answered");
        watch.pass(1, 1, 5);
        assert_eq!((watch.silent_for(), watch.heard_ago()), (None, Some(0)));
    }

    #[test]
    fn whom_nothing_is_sent_to_any_more_is_not_silent_but_idle() {
        let mut watch = Watch::new();
        watch.pass(1, 0, 1);
        watch.pass(300, 0, 0);
        assert_eq!(watch.silent_for(), Some(300));
        watch.pass(1, 0, 0);
        assert_eq!((watch.silent_for(), watch.heard_ago()), (None, None));
        watch.pass(3, 0, 1);
        assert_eq!(watch.silent_for(), Some(2), "and this silence is a new one");
    }

    #[test]
    fn a_peer_whose_frames_are_all_dropped_is_heard() {
        let mut watch = Watch::new();
        watch.pass(10, 0, 1);
        watch.sums.dropped += 1;
        watch.pass(1, 0, 1);
        assert_eq!((watch.silent_for(), watch.heard_ago()), (None, Some(0)));
        assert_eq!(watch.rates(), [0, 0, 1, 800], "dropped frames are none that it sent us");
    }

    #[test]
    fn rates_are_those_of_the_last_seconds() {
        let mut watch = Watch::new();
        watch.pass(1, 10, 20);
        assert_eq!(watch.rates(), [10, 8_000, 20, 16_000], "from the first second on");
        watch.pass(20, 10, 20);
        assert_eq!(watch.rates(), [10, 8_000, 20, 16_000]);
        watch.pass(7, 0, 0);
        assert_eq!(watch.rates(), [0; 4]);
        watch.pass(7, 1_000_000_000, 1);
        assert_eq!(watch.rates()[..2], [1_000_000_000, 800_000_000_000]);
    }

    #[test]
    fn in_all_parts_everything_is_there_once() {
        for len in [0, 1, 9, 10, 11, 1_234] {
            let mut all: Vec<usize> = (0..len).collect();
            let parts =
                (0..PARTS).flat_map(|part| of_part(&mut all.clone(), part).map(|item| item.0).collect::<Vec<_>>());
            assert_eq!(parts.collect::<Vec<_>>(), all);
            all.clear();
        }
    }
}
