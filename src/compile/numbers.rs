//! Numbers for names, which keep their meaning from one configuration to the next.
//!
//! The FDB outlives a reload and speaks in numbers, so a number is not given to another name before nobody can hold
//! it any more: names that a new configuration does not have are retired, and only [`Numbers::reclaim`] frees theirs.

mod attachments;

use std::collections::BTreeSet;
use std::sync::Arc;

use hashbrown::hash_map::EntryRef;

use crate::forwarding::{AttachmentId, Claim, DomainId, EndpointId, GroupId, Map, MappingId, PeerId, PortId, Scope};
use attachments::Attachments;

/// The numbers of everything that has a name.
#[derive(Debug, Clone, Default)]
pub struct Numbers {
    generation: u64,
    ports: NumberPool,
    endpoints: NumberPool,
    peers: NumberPool,
    groups: NumberPool,
    scopes: NumberPool,
    mappings: NumberPool,
    domains: NumberPool,
    attachments: Attachments,
}

impl Numbers {
    /// These numbers, at the beginning of another configuration: what it does not name is retired.
    pub(super) fn next(&self) -> Self {
        Self { generation: self.generation + 1, ..self.clone() }
    }

    pub(super) fn port(&mut self, name: &str) -> PortId {
        PortId::new(self.ports.number(name, self.generation) as u16)
    }

    pub(super) fn endpoint(&mut self, name: &str) -> EndpointId {
        EndpointId::new(self.endpoints.number(name, self.generation) as u16)
    }

    /// The identity of a peer, of a group or a single one, by which it keeps its number.
    #[must_use]
    pub fn peer_identity(label: &str, name: &str) -> String {
        format!("{label} {name}")
    }

    /// The number of the peer with this identity, a new one if it has none.
    pub fn peer(&mut self, name: &str) -> PeerId {
        PeerId::new(self.peers.number(name, self.generation))
    }

    /// A peer that no configuration names is gone: its number is freed as if one had left it out.
    pub fn retire_peer(&mut self, name: &str) {
        self.peers.retire(name);
    }

    pub(super) fn group(&mut self, name: &str) -> GroupId {
        GroupId::new(self.groups.number(name, self.generation))
    }

    pub(super) fn scope(&mut self, name: &str) -> Scope {
        Scope::new(self.scopes.number(name, self.generation))
    }

    pub(super) fn mapping(&mut self, name: &str) -> MappingId {
        MappingId::new(self.mappings.number(name, self.generation))
    }

    pub(super) fn domain(&mut self, name: &str) -> DomainId {
        DomainId::new(self.domains.number(name, self.generation))
    }

    /// The numbers of all attachments of a tenant, in the order of their names.
    pub(super) fn attachments(&mut self, domain: DomainId, names: &[&str]) -> Arc<[AttachmentId]> {
        self.attachments.numbers(domain, names, self.generation)
    }

    /// The generation of the configuration that was compiled last.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// Frees the numbers of names that were retired when this generation was compiled, or before. To be called once
    /// every worker has passed the swap to its tables and the FDB holds no entry of them any more. What a later one,
    /// which the workers do not have yet, does without is not free.
    pub fn reclaim(&mut self, generation: u64) -> Freed {
        let Self { ports, endpoints, groups, scopes, .. } = self;
        for register in [ports, endpoints, groups, scopes] {
            register.reclaim(generation);
        }
        let mut freed = Freed {
            peers: self.peers.reclaim(generation).into_iter().map(PeerId::new).collect(),
            domains: self.domains.reclaim(generation).into_iter().map(DomainId::new).collect(),
            mappings: self.mappings.reclaim(generation).into_iter().map(MappingId::new).collect(),
            attachments: Vec::new(),
        };
        freed.attachments = self.attachments.reclaim(generation, &freed.domains);
        freed
    }
}

/// Numbers that are free again.
#[derive(Debug, Default)]
pub struct Freed {
    /// Numbers of peers.
    pub peers: Vec<PeerId>,
    /// Numbers of tenants' domains.
    pub domains: Vec<DomainId>,
    /// Numbers of mappings.
    pub mappings: Vec<MappingId>,
    /// Numbers of attachments of tenants that stay.
    pub attachments: Vec<Claim>,
}

/// Numbers from 0, the lowest free one first.
#[derive(Debug, Clone, Default)]
struct NumberPool {
    /// The number, and the newest configuration that named it.
    given: Map<String, (u32, u64)>,
    free: BTreeSet<u32>,
    next: u32,
}

impl NumberPool {
    fn number(&mut self, name: &str, generation: u64) -> u32 {
        match self.given.entry_ref(name) {
            EntryRef::Occupied(mut known) => {
                let (number, seen) = known.get_mut();
                *seen = generation;
                *number
            }
            EntryRef::Vacant(new) => {
                let number = self.free.pop_first().unwrap_or_else(|| {
                    self.next += 1;
                    self.next - 1
                });
                new.insert((number, generation));
                number
            }
        }
    }

    fn retire(&mut self, name: &str) {
        if let Some((_, seen)) = self.given.get_mut(name) {
            *seen = 0;
        }
    }

    fn reclaim(&mut self, generation: u64) -> Vec<u32> {
        let mut freed = Vec::new();
        self.given.retain(|_, &mut (number, seen)| {
            if seen < generation {
                freed.push(number);
            }
            seen >= generation
        });
        self.free.extend(&freed);
        freed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_number_whatever_comes_before_it() {
        let mut numbers = Numbers::default().next();
        let (red, blue) = (numbers.domain("red"), numbers.domain("blue"));
        numbers = numbers.next();
        assert_eq!((numbers.domain("blue"), numbers.domain("red")), (blue, red));
    }

    #[test]
    fn a_retired_number_waits_until_nobody_holds_it() {
        let mut numbers = Numbers::default().next();
        let red = numbers.domain("red");
        numbers = numbers.next();
        assert_ne!(numbers.domain("blue"), red, "an FDB entry of red would be blue's");
        numbers.reclaim(numbers.generation());
        assert_eq!(numbers.domain("green"), red);
    }

    #[test]
    fn a_name_that_comes_back_in_time_is_the_same() {
        let mut numbers = Numbers::default().next();
        let red = numbers.domain("red");
        let leafs = numbers.attachments(red, &["leafs"]);
        numbers = numbers.next();
        numbers = numbers.next();
        assert_eq!(numbers.domain("red"), red);
        numbers.reclaim(numbers.generation());
        assert_eq!(numbers.attachments(red, &["leafs"]), leafs);
    }
}
