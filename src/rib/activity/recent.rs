//! The last seconds of one thing that is counted: its rates, when it was heard last, and for how long it has been silent.
//!
//! A peer is *silent* from the first frame on that was sent to it and that nothing followed from there. That a frame came
//! between two looks and one left is enough for an answer: which of them was first cannot be seen. Whom nothing has been
//! sent to for a while is not silent any more, but idle.
//!
//! A flooded frame goes to everyone, and most have no answer to it: whoever was heard within the last minutes owes one only
//! to a frame that went to it alone.

use crate::counters::{AttachmentCounters, Both, TrafficCounter};
use crate::dataplane::Now;

const SECOND: u64 = 1_000_000_000;
/// Rates are counted over once to twice as long as this, in nanoseconds.
pub(super) const WINDOW: u64 = 3 * SECOND;
/// A frame that was sent may wait so long for an answer without anybody speaking of silence: two looks.
const GRACE: u64 = 2 * SECOND;
/// The time, in nanoseconds, after which a peer that has not answered is called silent.
pub const SILENCE: u64 = 10 * SECOND;
/// Whom nothing was sent to for so long is not silent any more; and who was not heard for so long is not fine.
pub const MEMORY: u64 = 300 * SECOND;

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
pub(super) struct Sums {
    rx: [u64; 2],
    tx: [u64; 2],
    /// Frames that were dropped although they had arrived.
    dropped: u64,
    /// Frames sent that were copies of flooded ones.
    flooded: u64,
}

impl Sums {
    fn add(&mut self, rx: &TrafficCounter, tx: &TrafficCounter) {
        for (sum, counter) in [(&mut self.rx, rx), (&mut self.tx, tx)] {
            sum[0] += counter.frames.get();
            sum[1] += counter.bytes.get();
        }
    }

    /// Of a port or a peer, by worker.
    pub(super) fn of_both<'c>(all: impl Iterator<Item = &'c Both>) -> Self {
        all.fold(Self::default(), |mut sums, both| {
            sums.add(&both.rx, &both.tx);
            sums.dropped += both.dropped.get();
            sums.flooded += both.flooded.get();
            sums
        })
    }

    /// Of an attachment, by worker.
    pub(super) fn of_attachment<'c>(all: impl Iterator<Item = &'c AttachmentCounters>) -> Self {
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
    /// Frames that had arrived, that had been sent, and that had been sent to it alone, at the last look.
    seen: [u64; 3],
    /// When frames were seen to arrive last.
    heard: Option<u64>,
    /// When frames were seen to be sent last.
    sent: u64,
    /// When the first frame to which an answer is due was seen to be sent after which nothing has arrived.
    unanswered: Option<u64>,
    /// Whether it has been called silent.
    is_silent: bool,
}

impl Recent {
    /// Of what is looked at for the first time at this moment; a look before, nothing had been counted.
    pub(super) const fn new(now: u64) -> Self {
        let nothing = (now.saturating_sub(SECOND), Sums { rx: [0; 2], tx: [0; 2], dropped: 0, flooded: 0 });
        Self { samples: [nothing; 2], seen: [0; 3], heard: None, sent: 0, unanswered: None, is_silent: false }
    }

    /// The number is another's from now on.
    pub(super) fn forget(&mut self) {
        *self = Self::new(self.samples[1].0);
    }

    /// Looks at what has been counted so far.
    pub(super) fn look(&mut self, sums: Sums, now: u64) {
        let [arrived, sent, asked] = self.seen;
        // A copy that is on its way counts as flooded already.
        let alone = sums.tx[0].saturating_sub(sums.flooded).max(asked);
        self.seen = [sums.arrived(), sums.tx[0], alone];
        let [has_arrived, was_sent, was_asked] = [arrived != self.seen[0], sent != self.seen[1], asked != alone];
        let is_known = self.heard.is_some_and(|at| now.saturating_sub(at) <= MEMORY);
        if was_sent {
            self.sent = now;
        }
        if has_arrived {
            (self.heard, self.unanswered) = (Some(now), None);
        } else if was_asked || (was_sent && !is_known) {
            self.unanswered.get_or_insert(now);
        } else if now.saturating_sub(self.sent) > MEMORY {
            self.unanswered = None;
        }
        let [_, newer] = self.samples;
        if now.saturating_sub(newer.0) >= WINDOW {
            self.samples = [newer, (now, sums)];
        }
    }

    /// Whether it has fallen silent since this was asked last, or was heard again; none if that is as it was.
    pub(super) fn turns_silent(&mut self, now: u64) -> Option<bool> {
        let silence = self.unanswered.map_or(0, |since| now.saturating_sub(since));
        let before = std::mem::replace(&mut self.is_silent, silence >= SILENCE);
        (before != self.is_silent).then_some(self.is_silent)
    }

    /// The rates, if so much has been counted up to now.
    pub(super) fn rates(&self, sums: Sums, now: u64) -> TrafficRates {
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

        /// So many seconds pass, in each of which it gets a copy of a flooded frame.
        fn flood(&mut self, seconds: u64) {
            for _ in 0..seconds {
                self.sums.flooded += 1;
                self.pass(1, 0, 1);
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
    fn that_it_falls_silent_and_speaks_again_is_told_once() {
        let mut watch = Watch::new();
        let mut told = Vec::new();
        for (rx, tx) in [(1, 1), (0, 1), (1, 1), (0, 1)] {
            for _ in 0..20 {
                watch.pass(1, rx, tx);
                told.extend(watch.recent.turns_silent(watch.now));
            }
        }
        assert_eq!(told, [true, false, true]);
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
    fn who_was_heard_lately_has_nothing_to_say_to_frames_for_everyone() {
        let mut watch = Watch::new();
        watch.flood(20);
        assert_eq!(watch.silent_for(), Some(19), "it has never said anything");
        watch.pass(1, 1, 1);
        watch.flood(250);
        assert_eq!(watch.silent_for(), None, "they are none of its business");
        watch.pass(1, 0, 1);
        watch.flood(20);
        assert_eq!(watch.silent_for(), Some(20), "one was for it alone");
        watch.pass(1, 1, 0);
        watch.flood(320);
        assert_eq!(watch.silent_for(), Some(19), "after five minutes nothing is known of it any more");
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
}
