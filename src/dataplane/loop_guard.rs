//! Loop guard: a broadcast that keeps coming back has found a path around the gateway.
//!
//! If something besides us joins two attachments of a tenant, each broadcast, unknown or multicast frame that we
//! send into one comes back by the other, and is sent round again, for ever. The guard watches a few frames of each
//! domain, each for one [window](WINDOW) from its first sight, and counts how often it *changes sides* (comes in by
//! another attachment than the time before), and how often that is a *return* to one where it has been before. After
//! [`ENOUGH`] returns, the two attachments of the last change are a **pair**, and BUM frames do not pass between them,
//! either way, until the hold is over. Known unicast goes on, and so do BUM frames to and from everybody else.
//!
//! What is no loop, and why it is not taken for one:
//! * A host that repeats a frame through the same attachment, or a peer that delivers it twice: no change of sides.
//! * A host that moves and says the very same again, however often (gratuitous ARP of a migrated machine): one change
//!   of sides and no return. Even there and back again within a second is one return.
//! * A frame that comes in by every attachment once: no return.
//! * Two hosts that have the same address, and ask the same question once a second: the window is over before.
//!
//! A loop returns at least twice a round, since frames run round it in both directions; it is recognised if a round
//! takes less than half a second. A way round that lets frames through in one direction only cannot be told from
//! a host that moved and repeats itself, and is left to `limits.bum`.
//!
//! What a frame that came back teaches: the first change of sides is learned from, as a move must be; no later one
//! is. When a pair is found, the source goes back to where its frame was first seen. While one is held, no change of
//! sides is learned from, or every broadcast would drag its sender round the loop.
//!
//! The memory is fixed: a frame is watched if its place is free, and keeps the place for its window. So in a storm
//! of many frames some are not watched, but those that are cannot be pushed out.

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
/// Number of returns within the window that make a loop.
const ENOUGH: u8 = 3;
/// The counts stop here.
const MANY: u8 = (1 << COUNT_BITS) - 1;
/// Ends of holds count 2^24 ns, 17 ms, in 40 bits.
const END_UNIT: u32 = 24;

/// The loop guard's finding about a BUM frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sight {
    /// It has changed sides so often within the window, this time included.
    Seen {
        /// Number of changes of sides; 0 for a frame that has not been elsewhere, or is not watched.
        changes: u8,
    },
    /// It runs round a loop.
    Loop {
        /// The other attachment of the pair; the one is that of this sight.
        other: AttachmentId,
        /// The place where the frame was first seen, if that is still known.
        home: Option<Target>,
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
}

/// Takes notice of a BUM frame that came in from here.
pub(super) fn see(memory: &LoopMemory, digest: u64, from: Target, now: Now) -> Sight {
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
    let was_here = place.sides.fetch_or(side, Relaxed) & side != 0;
    let (changes, returns) = (MANY.min(track.changes + 1), track.returns + u8::from(was_here));
    if returns < ENOUGH {
        put(Track { here: from.attachment, changes, returns, ..track }.to_bits());
        return Sight::Seen { changes };
    }
    let home = place.home.load(Relaxed);
    // Watched until its window is over: what is still on its way round must not teach that its source lives there.
    if put(Track { here: from.attachment, changes: MANY, returns: 0, ..track }.to_bits()) {
        let home = (home & !0xffff_ffff == home_tag).then(|| Target::from_bits(home as u32));
        Sight::Loop { other: track.here, home }
    } else {
        Sight::Seen { changes }
    }
}

/// Whether any pair of the domain is held.
#[inline]
pub(super) fn is_holding(memory: &LoopMemory, now: Now) -> bool {
    now.nanos < memory.held_until.load(Relaxed)
}

/// Holds a pair for so many nanoseconds. Returns whether it was not held already. With more loops than there is
/// memory for, the hold that ends first makes room.
pub(super) fn hold(memory: &LoopMemory, a: AttachmentId, b: AttachmentId, nanos: u64, now: Now) -> bool {
    if is_held(memory, a, b, now) {
        return false;
    }
    let until = now.nanos.saturating_add(nanos).min(u64::MAX >> 1);
    let Some(first) = memory.held.iter().min_by_key(|held| end(held.load(Relaxed))) else { return false };
    first.store(pair(a, b) << (u64::BITS - 2 * ID_BITS) | until.div_ceil(1 << END_UNIT), Relaxed);
    memory.held_until.fetch_max(until.next_multiple_of(1 << END_UNIT), Relaxed);
    true
}

/// Whether BUM frames do not pass between these two now.
pub(super) fn is_held(memory: &LoopMemory, a: AttachmentId, b: AttachmentId, now: Now) -> bool {
    let pair = pair(a, b);
    memory
        .held
        .iter()
        .map(|held| held.load(Relaxed))
        .any(|held| held >> (u64::BITS - 2 * ID_BITS) == pair && now.nanos < end(held))
}

/// The nanoseconds for which this pair is still held, if it is.
#[must_use]
pub fn held_for(memory: &LoopMemory, [a, b]: [AttachmentId; 2], now: Now) -> Option<u64> {
    let pair = pair(a, b);
    let ends = memory.held.iter().map(|held| held.load(Relaxed));
    let ends = ends.filter(|held| held >> (u64::BITS - 2 * ID_BITS) == pair).map(end);
    ends.max().and_then(|end| end.checked_sub(now.nanos)).filter(|left| *left > 0)
}

/// Both numbers, the lower one first.
fn pair(a: AttachmentId, b: AttachmentId) -> u64 {
    let (low, high) = (a.number().min(b.number()), a.number().max(b.number()));
    u64::from(low) << ID_BITS | u64::from(high)
}

/// When a hold ends, in nanoseconds; 0 for a free place.
fn end(held: u64) -> u64 {
    held << END_UNIT
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forwarding::PeerId;

    const SECOND: u64 = 1_000_000_000;

    fn at(attachment: u16) -> Target {
        Target { attachment: AttachmentId::new(attachment), peer: PeerId::new(7) }
    }

    fn now(nanos: u64) -> Now {
        Now { nanos }
    }

    /// The same frame by these attachments, so many nanoseconds apart.
    fn sights(memory: &LoopMemory, attachments: &[u16], apart: u64) -> Vec<Sight> {
        let times = (0..).map(|n| now(5 * SECOND + n * apart));
        attachments.iter().zip(times).map(|(id, now)| see(memory, 0xabcd_ef01_2345_6789, at(*id), now)).collect()
    }

    fn is_loop(sight: &Sight) -> bool {
        matches!(sight, Sight::Loop { .. })
    }

    #[test]
    fn the_third_return_is_a_loop_that_began_at_home() {
        let seen = sights(&LoopMemory::default(), &[0, 2, 1, 2, 1, 2], 1000);
        assert!(!seen[..5].iter().any(is_loop), "{seen:?}");
        assert_eq!(seen[5], Sight::Loop { other: AttachmentId::new(1), home: Some(at(0)) });
        assert_eq!(seen[4], Sight::Seen { changes: 4 });
    }

    #[test]
    fn what_is_still_on_its_way_when_the_loop_is_found_has_the_same_home() {
        let seen = sights(&LoopMemory::default(), &[0, 2, 1, 2, 1, 2, 1, 2, 1], 1000);
        assert_eq!(seen[6], Sight::Seen { changes: MANY }, "not a new frame, whose source lives where it comes in");
        assert_eq!(seen[8], Sight::Loop { other: AttachmentId::new(2), home: Some(at(0)) });
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
        see(&memory, frame, at(0), now(0));
        for other in 1..100 {
            assert_eq!(see(&memory, frame + (other << 45), at(1), now(other)), Sight::Seen { changes: 0 });
        }
        assert_eq!(see(&memory, frame, at(1), now(200)), Sight::Seen { changes: 1 });
    }

    #[test]
    fn a_sight_dated_a_moment_earlier_does_not_end_the_window() {
        let memory = LoopMemory::default();
        see(&memory, 5, at(0), now(70 * SECOND));
        assert_eq!(see(&memory, 5, at(1), now(70 * SECOND - 20_000_000)), Sight::Seen { changes: 1 });
    }

    #[test]
    fn a_pair_is_held_in_either_order_for_its_time_and_no_other_is() {
        let memory = LoopMemory::default();
        let (a, b, c) = (AttachmentId::new(3), AttachmentId::new(4095), AttachmentId::new(0));
        let start = now(1_700_000_000 * SECOND);
        assert!(!is_holding(&memory, start));
        assert!(hold(&memory, b, a, 60 * SECOND, start));
        assert!(!hold(&memory, a, b, 60 * SECOND, start), "it is held already");
        let later = |seconds| now(start.nanos + seconds * SECOND);
        assert!(
            is_held(&memory, a, b, later(59)) && is_held(&memory, b, a, later(59)) && is_holding(&memory, later(59))
        );
        assert!(!is_held(&memory, a, c, start) && !is_held(&memory, a, a, start));
        assert!(held_for(&memory, [a, b], later(20)).is_some_and(|left| left / SECOND == 40));
        assert!(!is_held(&memory, a, b, later(61)) && !is_holding(&memory, later(61)));
        assert_eq!(held_for(&memory, [a, b], later(61)), None);
    }

    #[test]
    fn with_more_pairs_than_room_the_one_that_ends_first_goes() {
        let memory = LoopMemory::default();
        let pairs: Vec<_> = (0..9).map(|n| (AttachmentId::new(n), AttachmentId::new(n + 1))).collect();
        for (n, (a, b)) in (0..).zip(&pairs) {
            assert!(hold(&memory, *a, *b, 60 * SECOND, now(n * SECOND)));
        }
        let held: Vec<_> = pairs.iter().map(|(a, b)| is_held(&memory, *a, *b, now(10 * SECOND))).collect();
        assert_eq!(held, [false, true, true, true, true, true, true, true, true]);
    }
}
