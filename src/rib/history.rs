//! What the FDB has no room for: since when a MAC address lives where it lives, how often it moved, when last, from
//! where to where; and which addresses two hosts seem to have.
//!
//! RFC 7432 §15.1: an address that moves N times within M seconds is a duplicate, and its moves are not to be followed
//! any more. Here it goes back to where it was for the longest of these seconds ([`MoveWindow`]) and is held there in
//! the FDB, for a time that the tenant chooses; it may leave earlier by falling silent there.
//!
//! Fed by the workers' events, of which some may be lost; the FDB alone says what is true now. Workers are heard one
//! after the other, so that an address is judged only once all of them have been.

use std::collections::BTreeMap;

use transload_encaps::Mac;

use super::ageing::is_meant;
pub use super::move_window::{Move, MoveWindow};
use crate::dataplane::{Now, Shared};
use crate::events::Event;
use crate::forwarding::{DomainId, Duplicates, Map, PeerId, Target};

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
    /// Those that may make a duplicate of it.
    window: MoveWindow,
}

/// An address that is held from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Duplicate {
    /// The tenant.
    pub domain: DomainId,
    /// The address.
    pub mac: Mac,
    /// Where it is held: where it was for the longest.
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
    /// Those that have moved too often, and are not held yet.
    suspects: Vec<(DomainId, Mac)>,
}

impl Heard {
    /// How often it moved.
    #[must_use]
    pub fn move_count(&self) -> u64 {
        self.moves.as_ref().map_or(0, |moves| moves.count)
    }
}

impl Moves {
    /// The first move of an address that has been where it was since then.
    const fn first(last: Move, since: u64) -> Self {
        Self { count: 0, last, held: None, window: MoveWindow::new(since) }
    }

    /// Notes one more move. Returns whether there are too many now.
    fn add(&mut self, new: Move, policy: Option<Duplicates>) -> bool {
        self.count += 1;
        // Each worker tells its moves in order, but not all of them together.
        if new.at >= self.last.at {
            self.last = new;
        }
        policy.is_some_and(|policy| self.held.is_none() && self.window.add(new, &policy))
    }
}

impl History {
    /// Takes in what a worker says.
    pub fn note(&mut self, event: &Event, shared: &Shared) {
        let Event::Heard { domain, mac, to, from, at } = *event else { return };
        let heard = self.all.entry((domain, mac)).or_default();
        let since = heard.since;
        heard.since = since.max(at);
        let Some(from) = from else { return self.heard_anew(domain, mac, at) };
        let policy = shared.forwarding.load().domain(domain).and_then(|domain| domain.duplicates);
        let last = Move { at, from, to };
        if heard.moves.get_or_insert_with(|| Box::new(Moves::first(last, since))).add(last, policy) {
            self.suspects.push((domain, mac));
        }
    }

    /// An address that was not in the FDB is in it: what was before then went with the old entry.
    fn heard_anew(&mut self, domain: DomainId, mac: Mac, at: u64) {
        let Some(moves) = self.all.get_mut(&(domain, mac)).and_then(|heard| heard.moves.as_mut()) else { return };
        if at <= moves.last.at {
            return moves.window.began(at);
        }
        moves.window = MoveWindow::new(at);
        if moves.held.take().is_some() {
            self.held.remove(&(domain, mac));
        }
    }

    /// Holds the addresses that have moved too often, each in the place where it was for the longest. To be called
    /// once all workers have been heard. Returns which.
    pub fn judge(&mut self, shared: &Shared) -> Vec<Duplicate> {
        std::mem::take(&mut self.suspects)
            .into_iter()
            .filter_map(|(domain, mac)| self.hold(domain, mac, shared))
            .collect()
    }

    fn hold(&mut self, domain: DomainId, mac: Mac, shared: &Shared) -> Option<Duplicate> {
        let tables = shared.forwarding.load();
        let policy = tables.domain(domain)?.duplicates?;
        let heard = self.all.get_mut(&(domain, mac))?;
        let moves = heard.moves.as_mut().filter(|moves| moves.held.is_none())?;
        let is_place = |place| is_meant(&tables, domain, place);
        let longest = moves.window.longest(policy.within, is_place);
        let home = longest.or_else(|| Some(moves.last.to).filter(|place| is_meant(&tables, domain, *place)))?;
        let entry = shared.fdb.hold(shared.fdb.key(domain, mac), Some(home))?;
        let (last, until) = (moves.last, moves.last.at.saturating_add(policy.hold));
        (moves.window, moves.held) = (MoveWindow::new(last.at), Some(until));
        self.held.insert((domain, mac), until);
        Some(Duplicate { domain, mac, held_at: entry.target, last, policy })
    }

    /// Lets go of the addresses that have been held for long enough. Returns which.
    pub fn release(&mut self, shared: &Shared, now: Now) -> Vec<(DomainId, Mac)> {
        let due: Vec<_> = self.held.iter().filter(|(_, until)| **until <= now.nanos).map(|(who, _)| *who).collect();
        for who in &due {
            self.held.remove(who);
            shared.fdb.hold(shared.fdb.key(who.0, who.1), None);
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

    /// The addresses of a tenant that are held, having moved too often.
    pub fn held(&self, domain: DomainId) -> impl Iterator<Item = Mac> + '_ {
        let first = (domain, Mac([0; 6]));
        self.held.range(first..).map(|(who, _)| *who).take_while(move |(of, _)| *of == domain).map(|(_, mac)| mac)
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

    /// Forgets the moves to and from peers whose numbers are free now.
    pub fn forget_peers(&mut self, is_gone: impl Fn(PeerId) -> bool) {
        for heard in self.all.values_mut() {
            let moves = heard.moves.as_mut().filter(|moves| moves.window.any(|place| is_gone(place.peer)));
            if let Some(moves) = moves {
                moves.window = MoveWindow::new(heard.since);
            }
        }
    }

    /// Forgets what `keep` refuses.
    pub fn retain(&mut self, keep: impl Fn(DomainId, Mac) -> bool) {
        self.all.retain(|&(domain, mac), _| keep(domain, mac));
        self.held.retain(|who, _| self.all.contains_key(who));
    }
}
