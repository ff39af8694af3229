//! Loop guard: a broadcast that keeps coming back has found a path around the gateway.
//!
//! If something besides us joins two attachments of a tenant, each broadcast, unknown or multicast frame that we
//! send into one comes back by the other, and is sent round again, for ever. The guard watches a few frames of each
//! domain, each for one [window](WINDOW) from its first sight, and counts how often it *changes sides* (comes in by
//! another attachment than the time before), and how often that is a *return* to one where it has been before. After
//! [`ENOUGH`] returns, the two attachments of the last change are a **pair**, and BUM frames do not pass between them,
//! either way, for a short [probation](PROBATION). Known unicast goes on, and so do BUM frames to and from everybody
//! else.
//!
//! What returns may also be an echo: a far side that sends our frames back by where they came, while its sender
//! repeats itself. An echo ends with the probation, since nothing is sent that could come back. What joins two
//! attachments does not: of a frame that comes in by one of the pair for the first time, and which we keep from the
//! other, it brings a copy to the other all the same. Such a frame is the **proof**, and the pair is held for as long
//! as the tenant says; and anew if there is such a frame at the end of that time. Without proof, the pair is let go,
//! and for as long as it would have been held it takes [`MANY_MORE`] returns to be put on probation again: a loop has
//! them within moments, an echo hardly ever.
//!
//! What is no loop, and why it is not taken for one:
//! * A host that repeats a frame through the same attachment, or a peer that delivers it twice: no change of sides.
//! * A host that moves and says the very same again, however often (gratuitous ARP of a migrated machine): one change
//!   of sides and no return. Even there and back again within a second is one return.
//! * A frame that comes in by every attachment once: no return.
//! * Two hosts that have the same address, and ask the same question once a second: the window is over before.
//!
//! A loop returns at least twice a round, since frames run round it in both directions; it is noticed if a round
//! takes less than half a second. A way round that lets frames through in one direction only cannot be told from
//! a host that moved and repeats itself, and is left to `limits.bum`.
//!
//! What a frame that came back teaches: the first change of sides is learned from, as a move must be; no later one
//! is. When a pair is put on probation, the source goes back to where its frame was first seen.
//! While one is held, no change of sides is learned from, or every broadcast would drag its sender round the loop.
//!
//! The memory is fixed: a frame is watched if its place is free, and keeps the place for its window. So in a storm
//! of many frames some are not watched, but those that are cannot be pushed out.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use super::Now;
use crate::forwarding::{AttachmentId, LoopMemory, Target};

/// A watched frame's digest: 20 bits, of which the last is set, so that no track is 0.
const TAG_BITS: u32 = 20;
const DATE_BITS: u32 = 16;
const ID_BITS: u32 = 12;
const COUNT_BITS: u32 = 4;
/// Dates of watched frames count 2^20 ns, about a millisecond; they wrap after 68 s.
const DATE_UNIT: u32 = 20;
/// How long a frame is watched, in those units: one second.
const WINDOW: u16 = (1_000_000_000_u64 >> DATE_UNIT) as u16;
/// Workers read the clock at different moments: a sight can be this much younger than "now".
const AHEAD: u16 = 64;
/// Number of returns within the window that put a pair on probation.
const ENOUGH: u8 = 3;
/// The same, of a pair that was on probation lately and was not proved to be joined.
const MANY_MORE: u8 = 12;
/// How long a pair is held that has not been proved to be joined, in nanoseconds; and the end of a hold in which a
/// proof holds it anew.
const PROBATION: u64 = 2_000_000_000;
/// The counts stop here.
const MANY: u8 = (1 << COUNT_BITS) - 1;
/// Ends of holds count 2^24 ns, 17 ms, in 39 bits.
const END_UNIT: u32 = 24;
/// Above them, whether the pair was proved to be joined.
const PROVED: u64 = 1 << 39;
const PAIR_AT: u32 = u64::BITS - 2 * ID_BITS;

/// The loop guard's finding about a BUM frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sight {
    /// It has changed sides so often within the window, this time included.
    Seen {
        /// Number of changes of sides; 0 for a frame that has not been elsewhere, or is not watched.
        changes: u8,
    },
    /// It runs round a loop, or between its sender and an echo.
    Return {
        /// The other attachment of the pair; the one is that of this sight.
        other: AttachmentId,
        /// The place where the frame was first seen, if that is still known.
        home: Option<Target>,
    },
    /// It came in by both of a pair that it does not pass between, by nobody else, and since that is so.
    Proof {
        /// The other attachment of the pair; the one is that of this sight.
        other: AttachmentId,
    },
}

/// A watched frame, unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Track {
    tag: u32,
    date: u16,
    /// The attachment that it came in by last.
    here: AttachmentId,
    changes: u8,
    returns: u8,
}

impl Track {
    fn to_bits(self) -> u64 {
        let word = u64::from(self.tag) << DATE_BITS | u64::from(self.date);
        let word = word << ID_BITS | u64::from(self.here.number());
        (word << COUNT_BITS | u64::from(self.changes)) << COUNT_BITS | u64::from(self.returns)
    }

    fn from_bits(bits: u64) -> Self {
        let here = bits >> (2 * COUNT_BITS);
        let date = here >> ID_BITS;
        Self {
            tag: (date >> DATE_BITS) as u32,
            date: date as u16,
            here: AttachmentId::new(here as u16 & ((1 << ID_BITS) - 1)),
            changes: (bits >> COUNT_BITS) as u8 & MANY,
            returns: bits as u8 & MANY,
        }
    }

    fn is_over(self, date: u16) -> bool {
        let age = date.wrapping_sub(self.date);
        self.tag == 0 || (WINDOW..u16::MAX - AHEAD).contains(&age)
    }

    /// Most nanoseconds since its first sight.
    fn most_age(self, date: u16) -> u64 {
        let age = date.wrapping_sub(self.date);
        (u64::from(if age > u16::MAX - AHEAD { 0 } else { age }) + 1) << DATE_UNIT
    }
}

/// Takes notice of a BUM frame of a domain with this hold, in nanoseconds, that came in from here.
pub(super) fn see(memory: &LoopMemory, digest: u64, from: Target, hold: u64, now: Now) -> Sight {
    let places = memory.watched.len() as u64;
    let Some(place) = memory.watched.get((digest % places) as usize) else { return Sight::Seen { changes: 0 } };
    let tag = (digest >> (u64::BITS - TAG_BITS)) as u32 | 1;
    let date = (now.nanos >> DATE_UNIT) as u16;
    let before = place.track.load(Relaxed);
    let track = Track::from_bits(before);
    // Whoever changes the track first is right; the other worker's sight is not counted.
    let put = |after: u64| place.track.compare_exchange(before, after, Relaxed, Relaxed).is_ok();
    let home_tag = digest & !0xffff_ffff;
    let side = 1 << (from.attachment.number() % 64);
    if track.is_over(date) {
        if put(Track { tag, date, here: from.attachment, changes: 0, returns: 0 }.to_bits()) {
            place.sides.store(side, Relaxed);
            place.home.store(home_tag | u64::from(from.to_bits()), Relaxed);
        }
        return Sight::Seen { changes: 0 };
    }
    if track.tag != tag {
        return Sight::Seen { changes: 0 };
    }
    if track.here == from.attachment {
        return Sight::Seen { changes: track.changes };
    }
    let sides = place.sides.fetch_or(side, Relaxed);
    let was_here = sides & side != 0;
    let (changes, returns) = (MANY.min(track.changes + 1), MANY.min(track.returns + u8::from(was_here)));
    let between = [track.here, from.attachment];
    let is_by_no_other = (sides | side).count_ones() == 2;
    if is_by_no_other && is_proof(memory, between, track.most_age(date), hold, now) {
        put(Track { here: from.attachment, changes, returns, ..track }.to_bits());
        return Sight::Proof { other: track.here };
    }
    if returns < ENOUGH || returns < MANY_MORE && was_let_go(memory, between, hold, now) {
        put(Track { here: from.attachment, changes, returns, ..track }.to_bits());
        return Sight::Seen { changes };
    }
    let home = place.home.load(Relaxed);
    // Watched until its window is over: what is still on its way round must not teach that its source lives there.
    if put(Track { here: from.attachment, changes: MANY, returns: 0, ..track }.to_bits()) {
        let home = (home & !0xffff_ffff == home_tag).then(|| Target::from_bits(home as u32));
        Sight::Return { other: track.here, home }
    } else {
        Sight::Seen { changes }
    }
}

/// Whether any pair of the domain is held.
#[inline]
pub(super) fn is_holding(memory: &LoopMemory, now: Now) -> bool {
    now.nanos < memory.held_until.load(Relaxed)
}

/// Puts a pair on probation, in a domain with this hold. Returns whether it was not held already.
pub(super) fn suspect(memory: &LoopMemory, between: [AttachmentId; 2], hold: u64, now: Now) -> bool {
    if is_held(memory, between, now) {
        return false;
    }
    // With more loops than there is memory for, the hold that ends first makes room; but none is there twice.
    let same = || memory.held.iter().find(|held| held.load(Relaxed) >> PAIR_AT == pair(between));
    let first = || memory.held.iter().min_by_key(|held| end(held.load(Relaxed)));
    same().or_else(first).is_some_and(|place| write_hold(memory, place, between, 0, hold.min(PROBATION), now))
}

/// Holds a pair that was proved to be joined, for so many nanoseconds from now.
pub(super) fn prove(memory: &LoopMemory, between: [AttachmentId; 2], hold: u64, now: Now) -> bool {
    let same = memory.held.iter().find(|held| held.load(Relaxed) >> PAIR_AT == pair(between));
    same.is_some_and(|place| write_hold(memory, place, between, PROVED, hold, now))
}

fn write_hold(
    memory: &LoopMemory,
    place: &AtomicU64,
    between: [AttachmentId; 2],
    flags: u64,
    nanos: u64,
    now: Now,
) -> bool {
    let until = now.nanos.saturating_add(nanos).min(u64::MAX >> 2);
    place.store(pair(between) << PAIR_AT | flags | until.div_ceil(1 << END_UNIT), Relaxed);
    memory.held_until.fetch_max(until.next_multiple_of(1 << END_UNIT), Relaxed);
    true
}

/// Whether a frame that was first seen at most so many nanoseconds ago, and came in by both of these, proves that they
/// are joined: they were on probation then already, or at the end of a hold.
fn is_proof(memory: &LoopMemory, between: [AttachmentId; 2], age: u64, hold: u64, now: Now) -> bool {
    let until = holds(memory, between).map(end).find(|end| now.nanos < *end);
    is_holding(memory, now)
        && until.is_some_and(|end| now.nanos - age.min(now.nanos) >= end - hold.min(PROBATION).min(end))
}

/// Whether a pair was on probation lately and let go without proof.
fn was_let_go(memory: &LoopMemory, between: [AttachmentId; 2], hold: u64, now: Now) -> bool {
    let is_lately = |held: u64| held & PROVED == 0 && (end(held)..end(held).saturating_add(hold)).contains(&now.nanos);
    holds(memory, between).any(is_lately)
}

/// Whether BUM frames do not pass between these two now.
pub(super) fn is_held(memory: &LoopMemory, between: [AttachmentId; 2], now: Now) -> bool {
    holds(memory, between).any(|held| now.nanos < end(held))
}

/// The nanoseconds for which this pair is still held, if it is.
#[must_use]
pub fn held_for(memory: &LoopMemory, between: [AttachmentId; 2], now: Now) -> Option<u64> {
    holds(memory, between).map(end).max().and_then(|end| end.checked_sub(now.nanos)).filter(|left| *left > 0)
}

/// What is remembered of a pair.
fn holds(memory: &LoopMemory, between: [AttachmentId; 2]) -> impl Iterator<Item = u64> {
    let pair = pair(between);
    memory.held.iter().map(|held| held.load(Relaxed)).filter(move |held| held >> PAIR_AT == pair)
}

/// Both numbers, the lower one first.
fn pair([a, b]: [AttachmentId; 2]) -> u64 {
    let (low, high) = (a.number().min(b.number()), a.number().max(b.number()));
    u64::from(low) << ID_BITS | u64::from(high)
}

/// When a hold ends, in nanoseconds; 0 for a free place.
fn end(held: u64) -> u64 {
    (held & (PROVED - 1)) << END_UNIT
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forwarding::PeerId;

    const SECOND: u64 = 1_000_000_000;
    const HOLD: u64 = 60 * SECOND;

    fn at(attachment: u16) -> Target {
        Target { attachment: AttachmentId::new(attachment), peer: PeerId::new(7) }
    }

    fn now(nanos: u64) -> Now {
        Now { nanos }
    }

    /// The same frame by these attachments, so many nanoseconds apart.
    fn sights(memory: &LoopMemory, attachments: &[u16], apart: u64) -> Vec<Sight> {
        let times = (0..).map(|n| now(5 * SECOND + n * apart));
        attachments.iter().zip(times).map(|(id, now)| see(memory, 0xabcd_ef01_2345_6789, at(*id), HOLD, now)).collect()
    }

    fn is_loop(sight: &Sight) -> bool {
        matches!(sight, Sight::Return { .. })
    }

    #[test]
    fn the_third_return_is_a_loop_that_began_at_home() {
        let seen = sights(&LoopMemory::default(), &[0, 2, 1, 2, 1, 2], 1000);
        assert!(!seen[..5].iter().any(is_loop), "{seen:?}");
        assert_eq!(seen[5], Sight::Return { other: AttachmentId::new(1), home: Some(at(0)) });
        assert_eq!(seen[4], Sight::Seen { changes: 4 });
    }

    #[test]
    fn what_is_still_on_its_way_when_the_loop_is_found_has_the_same_home() {
        let seen = sights(&LoopMemory::default(), &[0, 2, 1, 2, 1, 2, 1, 2, 1], 1000);
        assert_eq!(seen[6], Sight::Seen { changes: MANY }, "not a new frame, whose source lives where it comes in");
        assert_eq!(seen[8], Sight::Return { other: AttachmentId::new(2), home: Some(at(0)) });
    }

    #[test]
    fn a_way_once_round_all_attachments_is_none() {
        let all: Vec<_> = (0..64).collect();
        assert!(!sights(&LoopMemory::default(), &all, 0).iter().any(is_loop));
    }

    #[test]
    fn what_returns_after_the_window_starts_anew() {
        let seen = sights(&LoopMemory::default(), &[0, 1, 0, 1, 0, 1, 0], SECOND / 2);
        assert!(!seen.iter().any(is_loop), "{seen:?}");
        assert_eq!(seen[2], Sight::Seen { changes: 0 });
    }

    #[test]
    fn a_watched_frame_is_not_pushed_out_by_others_in_its_place() {
        let memory = LoopMemory::default();
        let frame = 0x1000_0000_0000_0005;
        see(&memory, frame, at(0), HOLD, now(0));
        for other in 1..100 {
            assert_eq!(see(&memory, frame + (other << 45), at(1), HOLD, now(other)), Sight::Seen { changes: 0 });
        }
        assert_eq!(see(&memory, frame, at(1), HOLD, now(200)), Sight::Seen { changes: 1 });
    }

    #[test]
    fn a_sight_dated_a_moment_earlier_does_not_end_the_window() {
        let memory = LoopMemory::default();
        see(&memory, 5, at(0), HOLD, now(70 * SECOND));
        assert_eq!(see(&memory, 5, at(1), HOLD, now(70 * SECOND - 20_000_000)), Sight::Seen { changes: 1 });
    }

    #[test]
    fn a_pair_is_held_in_either_order_and_no_other_is() {
        let memory = LoopMemory::default();
        let (a, b, c) = (AttachmentId::new(3), AttachmentId::new(4095), AttachmentId::new(0));
        let start = now(1_700_000_000 * SECOND);
        let later = |seconds| now(start.nanos + seconds * SECOND);
        assert!(!is_holding(&memory, start));
        assert!(suspect(&memory, [b, a], HOLD, start));
        assert!(!suspect(&memory, [a, b], HOLD, start), "it is held already");
        assert!(is_held(&memory, [a, b], later(1)) && !is_held(&memory, [a, b], later(3)), "on probation");
        assert!(prove(&memory, [a, b], HOLD, start));
        assert!(is_held(&memory, [a, b], later(59)) && is_held(&memory, [b, a], later(59)));
        assert!(is_holding(&memory, later(59)));
        assert!(!is_held(&memory, [a, c], start) && !is_held(&memory, [a, a], start));
        assert!(held_for(&memory, [a, b], later(20)).is_some_and(|left| left / SECOND == 40));
        assert!(!is_held(&memory, [a, b], later(61)) && !is_holding(&memory, later(61)));
        assert_eq!(held_for(&memory, [a, b], later(61)), None);
    }

    /// A frame comes in by these attachments one after the other, at one moment; says what the last sight was.
    fn comes_by(memory: &LoopMemory, frame: u64, attachments: &[u16], at_time: u64) -> Option<Sight> {
        attachments.iter().map(|id| see(memory, frame, at(*id), HOLD, now(at_time))).last()
    }

    #[test]
    fn only_a_frame_that_is_new_since_the_probation_proves_it_and_only_if_no_other_brought_it() {
        let memory = LoopMemory::default();
        let between = [AttachmentId::new(1), AttachmentId::new(2)];
        comes_by(&memory, 0x11 << 44, &[1, 2], 99 * SECOND);
        assert!(suspect(&memory, between, HOLD, now(99 * SECOND + 500_000_000)));
        let start = 100 * SECOND;
        let proof = Sight::Proof { other: AttachmentId::new(1) };
        assert_eq!(
            comes_by(&memory, 0x11 << 44, &[1], start - 100_000_000),
            Some(Sight::Seen { changes: 2 }),
            "it is older"
        );
        assert_eq!(
            comes_by(&memory, 0x21 << 44 | 1, &[3, 1, 2], start),
            Some(Sight::Seen { changes: 2 }),
            "it was sent to both"
        );
        assert_eq!(comes_by(&memory, 0x31 << 44 | 2, &[1, 3], start), Some(Sight::Seen { changes: 1 }));
        assert_eq!(comes_by(&memory, 0x41 << 44 | 3, &[1, 1, 2], start), Some(proof));
        assert_eq!(comes_by(&memory, 0x51 << 44 | 4, &[1, 2], start + 3 * SECOND), Some(Sight::Seen { changes: 1 }));
    }

    #[test]
    fn a_proof_at_the_end_of_a_hold_holds_it_anew_and_earlier_ones_do_not_count() {
        let memory = LoopMemory::default();
        let between = [AttachmentId::new(1), AttachmentId::new(2)];
        suspect(&memory, between, HOLD, now(0));
        prove(&memory, between, HOLD, now(SECOND));
        for (second, is_proof) in [(30, false), (58, false), (60, true), (62, false)] {
            let sight = comes_by(&memory, second << 44, &[2, 1], second * SECOND);
            assert_eq!(sight == Some(Sight::Proof { other: AttachmentId::new(2) }), is_proof, "after {second} s");
        }
    }

    #[test]
    fn a_pair_that_was_let_go_is_suspected_again_only_after_many_more_returns() {
        let memory = LoopMemory::default();
        let between = [AttachmentId::new(1), AttachmentId::new(2)];
        suspect(&memory, between, HOLD, now(0));
        let returns = |frame: u64, second: u64| {
            let sights = (0..40_u16).map(|n| see(&memory, frame << 44, at(1 + n % 2), HOLD, now(second * SECOND)));
            sights.take_while(|sight| !is_loop(sight)).count()
        };
        assert_eq!(returns(1, 10), 13);
        assert_eq!(returns(3, 61), 13);
        assert_eq!(returns(5, 63), 4);
    }

    #[test]
    fn with_more_pairs_than_room_the_one_that_ends_first_goes() {
        let memory = LoopMemory::default();
        let pairs: Vec<_> = (0..9).map(|n| [AttachmentId::new(n), AttachmentId::new(n + 1)]).collect();
        for (n, between) in (0..).zip(&pairs) {
            assert!(suspect(&memory, *between, HOLD, now(n * SECOND / 10)));
        }
        let held: Vec<_> = pairs.iter().map(|between| is_held(&memory, *between, now(SECOND))).collect();
        assert_eq!(held, [false, true, true, true, true, true, true, true, true]);
    }
}
