//! When a MAC address moves too often, and where it then belongs: RFC 7432 §15.1 as a rule over dated moves, whoever
//! reports them.
//!
//! An address that moves N times within M seconds is a duplicate. It belongs where it was for the longest of these
//! seconds: whoever wants to have another's address has to take it away again and again, and has had it for moments.

use std::collections::VecDeque;

use crate::forwarding::{Duplicates, Target};

/// A move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Move {
    /// When, in nanoseconds of the workers' clock.
    pub at: u64,
    /// The place it moved from.
    pub from: Target,
    /// The place it moved to.
    pub to: Target,
}

/// The moves of one address that count together, oldest first.
#[derive(Debug, Clone)]
pub struct MoveWindow {
    /// Since when it had been where the first of them took it from; 0 for as long as anybody remembers.
    since: u64,
    /// At most as many as make a duplicate: what comes behind those changes nothing.
    moves: VecDeque<Move>,
}

impl MoveWindow {
    /// No moves yet of an address that has been where it is since then.
    #[must_use]
    pub const fn new(since: u64) -> Self {
        Self { since, moves: VecDeque::new() }
    }

    /// Takes in a move, which may be older than those of other workers. Returns whether there are too many now.
    pub fn add(&mut self, new: Move, policy: &Duplicates) -> bool {
        self.moves.insert(self.moves.partition_point(|other| other.at <= new.at), new);
        let newest = self.moves.back().map_or(new.at, |newest| newest.at);
        while let Some(oldest) = self.moves.pop_front_if(|oldest| newest - oldest.at > policy.within) {
            let next = self.moves.front().filter(|next| next.from != oldest.to);
            self.since = next.map_or(oldest.at, |next| next.at);
        }
        self.moves.truncate(policy.moves as usize);
        self.moves.len() == policy.moves as usize
    }

    /// It was heard for the first time at this moment, before all of the moves.
    pub fn began(&mut self, at: u64) {
        self.since = self.since.max(at);
    }

    /// The place where it was for the longest of the time that counts, `within` nanoseconds up to its last move; of
    /// equals, the earlier one. Only places that `is_there` affirms can be that.
    #[must_use]
    pub fn longest(&self, within: u64, is_there: impl Fn(Target) -> bool) -> Option<Target> {
        let mut since = self.since.max(self.moves.back()?.at.saturating_sub(within));
        let (mut stays, mut was_in) = (Vec::<(Target, u64)>::new(), None);
        for &Move { at, from, to } in &self.moves {
            // Where a move is missing, nobody knows where the address was meanwhile.
            let stay = if was_in.is_none_or(|place| place == from) { at.saturating_sub(since) } else { 0 };
            match stays.iter_mut().find(|(place, _)| *place == from) {
                Some((_, sum)) => *sum += stay,
                None => stays.push((from, stay)),
            }
            (since, was_in) = (at, Some(to));
        }
        let stays = stays.into_iter().filter(|(place, _)| is_there(*place));
        // Of equals, `max_by_key` has the last.
        stays.rev().max_by_key(|(_, sum)| *sum).map(|(place, _)| place)
    }

    /// Whether any of the moves was from or to such a place.
    #[must_use]
    pub fn any(&self, is_such: impl Fn(Target) -> bool) -> bool {
        self.moves.iter().any(|one| is_such(one.from) || is_such(one.to))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forwarding::{AttachmentId, PeerId};
    use proptest::prelude::*;

    const SECOND: u64 = 1_000_000_000;
    const POLICY: Duplicates = Duplicates { moves: 5, within: 180 * SECOND, hold: 180 * SECOND };

    fn place(number: u16) -> Target {
        Target { attachment: AttachmentId::new(number), peer: PeerId::new(7) }
    }

    fn moved(at: u64, from: u16, to: u16) -> Move {
        Move { at, from: place(from), to: place(to) }
    }

    /// Adds these moves; says whether the last one was one too many.
    fn window(since: u64, moves: &[Move]) -> (MoveWindow, bool) {
        let mut window = MoveWindow::new(since);
        let mut is_duplicate = false;
        for one in moves {
            is_duplicate = window.add(*one, &POLICY);
        }
        (window, is_duplicate)
    }

    fn home(window: &MoveWindow) -> Option<Target> {
        window.longest(POLICY.within, |_| true)
    }

    /// Back and forth between place 1, where it begins, and place 2, with these seconds from each move to the next.
    fn to_and_fro(start: u64, seconds: &[u64]) -> Vec<Move> {
        let mut at = start;
        let one = |(n, gap): (usize, &u64)| {
            at += gap * SECOND;
            if n % 2 == 0 { moved(at, 1, 2) } else { moved(at, 2, 1) }
        };
        seconds.iter().enumerate().map(one).collect()
    }

    #[test]
    fn three_odd_frames_between_the_owners_leave_the_address_with_the_owner() {
        let frames: Vec<_> = (0..5).map(|n| moved(3600 * SECOND + n, 1 + n as u16 % 2, 2 - n as u16 % 2)).collect();
        let (window, is_duplicate) = window(0, &frames);
        assert!(is_duplicate);
        assert_eq!(home(&window), Some(place(1)));
    }

    #[test]
    fn whoever_has_had_it_for_longer_keeps_it_though_the_other_had_it_first() {
        let (window, _) = window(1000 * SECOND, &to_and_fro(1000 * SECOND, &[5, 60, 1, 60, 1]));
        assert_eq!(home(&window), Some(place(2)));
    }

    #[test]
    fn only_the_time_of_the_window_counts() {
        // An hour in place 1 does not count, of which 60 s are in the window; then 100 s in place 2.
        let (window, is_duplicate) = window(0, &to_and_fro(3600 * SECOND, &[0, 100, 1, 9, 10]));
        assert!(is_duplicate);
        assert_eq!(home(&window), Some(place(2)));
    }

    #[test]
    fn of_equals_the_earlier_one_keeps_it() {
        let (window, _) = window(1000 * SECOND, &to_and_fro(1000 * SECOND, &[0, 45, 45, 45, 45]));
        assert_eq!(home(&window), Some(place(1)));
    }

    #[test]
    fn moves_that_are_spread_wider_than_the_window_are_none_too_many() {
        let (_, is_duplicate) = window(0, &to_and_fro(0, &[45, 45, 45, 45, 46, 45, 46, 45]));
        assert!(!is_duplicate);
    }

    #[test]
    fn a_time_with_a_move_missing_is_nobodys() {
        // Twice from 1 to 2: when it came back to 1 is not known.
        let moves = [moved(1000, 1, 2), moved(1100, 2, 3), moved(9000, 1, 2), moved(9001, 2, 1), moved(9002, 1, 2)];
        let (window, _) = window(990, &moves.map(|one| Move { at: one.at * SECOND / 100, ..one }));
        assert_eq!(home(&window), Some(place(1)));
        let lost = MoveWindow { since: 89 * SECOND, ..window };
        assert_eq!(home(&lost), Some(place(2)));
    }

    #[test]
    fn a_place_that_is_gone_is_not_chosen() {
        let (window, _) = window(0, &to_and_fro(3600 * SECOND, &[0, 1, 1, 1, 1]));
        assert_eq!(window.longest(POLICY.within, |at| at != place(1)), Some(place(2)));
        assert_eq!(window.longest(POLICY.within, |_| false), None);
    }

    proptest! {
        #[test]
        fn the_order_in_which_workers_are_heard_does_not_matter(
            gaps in prop::collection::vec(1..40_u64, 1..12),
            first in prop::collection::vec(any::<bool>(), 12),
        ) {
            let moves = to_and_fro(500 * SECOND, &gaps);
            let of = |worker: bool| moves.iter().zip(&first).filter(move |(_, first)| **first == worker).map(|(m, _)| *m);
            let heard: Vec<_> = of(true).chain(of(false)).collect();
            let fits = moves.len() <= POLICY.moves as usize && gaps.iter().skip(1).sum::<u64>() <= 180;
            prop_assume!(fits);
            let ((told, yes), (shuffled, also)) = (window(7, &moves), window(7, &heard));
            prop_assert_eq!((home(&told), yes), (home(&shuffled), also));
        }

        #[test]
        fn an_owner_of_three_minutes_keeps_it_whatever_comes_within_a_minute(
            gaps in prop::collection::vec(0..15_u64, 5..60),
        ) {
            let mut window = MoveWindow::new(0);
            for one in to_and_fro(3600 * SECOND, &gaps) {
                if window.add(one, &POLICY) {
                    prop_assert_eq!(home(&window), Some(place(1)));
                    break;
                }
            }
        }
    }
}
