//! The loops that the workers found: between which attachments, how often, and when last.

use std::collections::{BTreeMap, BTreeSet};

use transload_encaps::Mac;

use crate::events::Event;
use crate::forwarding::{AttachmentId, DomainId};

/// Two attachments of a domain, the lower number first.
pub type Pair = (DomainId, [AttachmentId; 2]);

/// Two attachments between which broadcasts came back, by a loop or an echo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loop {
    /// How often that was found; each time holds the pair.
    pub times: u64,
    /// When last, in nanoseconds of the workers' clock.
    pub at: u64,
    /// The source address of the frame that came back.
    pub mac: Mac,
}

/// All that were found.
#[derive(Debug, Default)]
pub struct Loops {
    found: BTreeMap<Pair, Loop>,
    /// Those that are kept apart, as far as is known.
    apart: BTreeSet<Pair>,
}

impl Loops {
    /// Takes in what a worker says.
    pub fn note(&mut self, event: &Event) {
        let Event::Loop { domain, between, mac, at, .. } = *event else { return };
        let found = self.found.entry((domain, between)).or_insert(Loop { times: 0, at, mac });
        *found = Loop { times: found.times + 1, at: found.at.max(at), mac };
        self.apart.insert((domain, between));
    }

    /// Those that were kept apart and are no longer, as `is_apart` knows.
    pub(super) fn ended(&mut self, is_apart: impl Fn(Pair) -> bool) -> BTreeSet<Pair> {
        let (apart, ended) = std::mem::take(&mut self.apart).into_iter().partition(|pair| is_apart(*pair));
        self.apart = apart;
        ended
    }

    /// Every pair, by tenant and attachments.
    pub fn iter(&self) -> impl Iterator<Item = (Pair, Loop)> {
        self.found.iter().map(|(pair, found)| (*pair, *found))
    }

    /// Forgets those of the tenants that `keep` refuses.
    pub fn retain(&mut self, keep: impl Fn(DomainId) -> bool) {
        self.found.retain(|(domain, _), _| keep(*domain));
        self.apart.retain(|(domain, _)| keep(*domain));
    }

    /// Those of one tenant.
    pub fn of(&self, domain: DomainId) -> impl Iterator<Item = ([AttachmentId; 2], Loop)> {
        let first = (domain, [AttachmentId::new(0); 2]);
        let from_there_on = self.found.range(first..).take_while(move |((id, _), _)| *id == domain);
        from_there_on.map(|((_, between), found)| (*between, *found))
    }
}
