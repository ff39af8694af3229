//! What the FDB has no room for: since when a MAC address lives where it lives, how often it moved, when last, from
//! where to where; and which addresses two hosts seem to have.
//!
//! RFC 7432 §15.1: an address that moves N times within M seconds is a duplicate, and its moves are not to be followed
//! any more. Here it stays where it is when that is noticed, held in the FDB, for a time that the tenant chooses; it
//! may leave earlier by falling silent there.
//!
//! Fed by the workers' events, of which some may be lost; the FDB alone says what is true now.

use std::collections::{BTreeMap, VecDeque};

use transload_encaps::Mac;

use crate::dataplane::{Now, Shared};
use crate::events::Event;
use crate::forwarding::{DomainId, Duplicates, Map, Target};

/// What is remembered of one address.
#[derive(Debug, Clone, Default)]
pub struct Heard {
    /// When it was first heard where it is, in nanoseconds of the workers' clock.
    pub since: u64,
    /// What is remembered of one that has moved.
    pub moves: Option<Box<Moves>>,
}

/// What is remembered of an address that has moved.
#[derive(Debug, Clone)]
pub struct Moves {
    /// Number of moves so far.
    pub count: u64,
    /// The last time.
    pub last: Move,
    /// Until when it is held as a duplicate, if it is, in nanoseconds of the workers' clock.
    pub held: Option<u64>,
    /// When it moved lately, in order: as many as may make a duplicate.
    recent: VecDeque<u64>,
}

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

/// An address that is held from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Duplicate {
    /// The tenant.
    pub domain: DomainId,
    /// The address.
    pub mac: Mac,
    /// Where it is held.
    pub held_at: Target,
    /// Its last move.
    pub last: Move,
    /// What it is held by.
    pub policy: Duplicates,
}

/// What is remembered of all addresses.
#[derive(Debug, Default)]
pub struct History {
    all: Map<(DomainId, Mac), Heard>,
    /// Those that are held, and until when.
    held: BTreeMap<(DomainId, Mac), u64>,
}

impl Heard {
    /// How often it moved.
    #[must_use]
    pub fn move_count(&self) -> u64 {
        self.moves.as_ref().map_or(0, |moves| moves.count)
    }
}

impl Moves {
    fn first(last: Move) -> Self {
        Self { count: 0, last, held: None, recent: VecDeque::new() }
    }

    /// Notes one more move. Returns whether there are too many now.
    fn add(&mut self, new: Move, policy: Option<Duplicates>) -> bool {
        self.count += 1;
        // Each worker tells its moves in order, but not all of them together.
        if new.at >= self.last.at {
            self.last = new;
        }
        let Some(policy) = policy.filter(|_| self.held.is_none()) else { return false };
        self.recent.insert(self.recent.partition_point(|at| *at <= new.at), new.at);
        while self.recent.len() > policy.moves as usize {
            self.recent.pop_front();
        }
        let span = self.recent.back().zip(self.recent.front()).map(|(last, first)| last - first);
        self.recent.len() == policy.moves as usize && span.is_some_and(|span| span <= policy.within)
    }
}

impl History {
    /// Takes in what a worker says; holds the address in the FDB if it has moved once too often.
    pub fn note(&mut self, event: &Event, shared: &Shared) -> Option<Duplicate> {
        let Event::Heard { domain, mac, to, from, at } = *event else { return None };
        let heard = self.all.entry((domain, mac)).or_default();
        heard.since = heard.since.max(at);
        let Some(from) = from else {
            self.heard_anew(domain, mac, at);
            return None;
        };
        let policy = shared.forwarding.load().domain(domain).and_then(|domain| domain.duplicates);
        let last = Move { at, from, to };
        let moves = heard.moves.get_or_insert_with(|| Box::new(Moves::first(last)));
        let (true, Some(policy)) = (moves.add(last, policy), policy) else { return None };
        let entry = shared.fdb.hold(shared.fdb.key(domain, mac), true)?;
        let until = at.saturating_add(policy.hold);
        moves.recent.clear();
        moves.held = Some(until);
        self.held.insert((domain, mac), until);
        Some(Duplicate { domain, mac, held_at: entry.target, last: moves.last, policy })
    }

    /// An address that was not in the FDB is in it: a hold that began before then went with the old entry.
    fn heard_anew(&mut self, domain: DomainId, mac: Mac, at: u64) {
        let Some(moves) = self.all.get_mut(&(domain, mac)).and_then(|heard| heard.moves.as_mut()) else { return };
        if moves.held.is_some() && moves.last.at < at {
            moves.held = None;
            self.held.remove(&(domain, mac));
        }
    }

    /// Lets go of the addresses that have been held for long enough. Returns which.
    pub fn release(&mut self, shared: &Shared, now: Now) -> Vec<(DomainId, Mac)> {
        let due: Vec<_> = self.held.iter().filter(|(_, until)| **until <= now.nanos).map(|(who, _)| *who).collect();
        for who in &due {
            self.held.remove(who);
            shared.fdb.hold(shared.fdb.key(who.0, who.1), false);
            if let Some(moves) = self.all.get_mut(who).and_then(|heard| heard.moves.as_mut()) {
                moves.held = None;
            }
        }
        due
    }

    /// What is remembered of an address.
    #[must_use]
    pub fn of(&self, domain: DomainId, mac: Mac) -> Option<&Heard> {
        self.all.get(&(domain, mac))
    }

    /// How many addresses are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether no address is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Forgets what `keep` refuses.
    pub fn retain(&mut self, keep: impl Fn(DomainId, Mac) -> bool) {
        self.all.retain(|&(domain, mac), _| keep(domain, mac));
        self.held.retain(|who, _| self.all.contains_key(who));
    }
}
