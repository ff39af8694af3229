//! What the FDB has no room for: since when a MAC address lives where it lives, and how often it moved.
//!
//! Fed by the workers' events, of which some may be lost; the FDB alone says what is true now.

use transload_encaps::Mac;

use crate::events::Event;
use crate::forwarding::{DomainId, Map};

/// What is remembered of one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Heard {
    /// When it was first heard where it is, in nanoseconds of the workers' clock.
    pub since: u64,
    /// How often it moved.
    pub moves: u64,
}

/// What is remembered of all addresses.
#[derive(Debug, Default)]
pub struct History(Map<(DomainId, Mac), Heard>);

impl History {
    /// Takes in what a worker says.
    pub fn note(&mut self, event: &Event) {
        let Event::Heard { domain, mac, from, at, .. } = *event else { return };
        let heard = self.0.entry((domain, mac)).or_default();
        heard.since = at;
        heard.moves += u64::from(from.is_some());
    }

    /// What is remembered of an address.
    #[must_use]
    pub fn of(&self, domain: DomainId, mac: Mac) -> Option<Heard> {
        self.0.get(&(domain, mac)).copied()
    }

    /// How many addresses are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Forgets what `keep` refuses.
    pub fn retain(&mut self, keep: impl Fn(DomainId, Mac) -> bool) {
        self.0.retain(|&(domain, mac), _| keep(domain, mac));
    }
}
