//! The numbers of attachments, each within its tenant.
//!
//! There may be a million tenants, most of them alike: those share a register, as long as they follow one another.

use std::sync::Arc;

use super::NumberPool;
use crate::forwarding::{AttachmentId, Claim, DomainId, Slab};

/// The numbers of all attachments.
#[derive(Debug, Clone, Default)]
pub(super) struct Attachments {
    /// The numbers of each domain's attachments.
    registers: Slab<DomainId, Arc<NumberPool>>,
    latest: Option<NumberedAttachments>,
}

/// The numbers of one tenant's attachments, and what they were made from.
#[derive(Debug, Clone)]
struct NumberedAttachments {
    generation: u64,
    names: Vec<String>,
    before: Option<Arc<NumberPool>>,
    after: Arc<NumberPool>,
    numbers: Arc<[AttachmentId]>,
}

impl Attachments {
    pub(super) fn numbers(&mut self, domain: DomainId, names: &[&str], generation: u64) -> Arc<[AttachmentId]> {
        let register = self.registers.get(domain);
        let latest = match self.latest.take() {
            Some(latest) if latest.is_of(register, names, generation) => latest,
            _ => NumberedAttachments::new(register.cloned(), names, generation),
        };
        self.registers.insert(domain, Arc::clone(&latest.after));
        let numbers = Arc::clone(&latest.numbers);
        self.latest = Some(latest);
        numbers
    }

    /// Frees the numbers of what was retired. Returns those of tenants that stay.
    pub(super) fn reclaim(&mut self, generation: u64, domains: &[DomainId]) -> Vec<Claim> {
        for &domain in domains {
            self.registers.remove(domain);
        }
        self.latest = None;
        // What was shared stays shared.
        let mut latest: Option<[Arc<NumberPool>; 2]> = None;
        let (mut freed, mut of_latest) = (Vec::new(), Vec::new());
        for (domain, register) in self.registers.iter_mut() {
            let after = match &latest {
                Some([before, after]) if Arc::ptr_eq(before, register) => Arc::clone(after),
                _ => {
                    let mut after = NumberPool::clone(register);
                    of_latest = after.reclaim(generation);
                    Arc::new(after)
                }
            };
            let claim = |&number: &u32| Claim { domain, attachment: AttachmentId::new(number as u16) };
            freed.extend(of_latest.iter().map(claim));
            latest = Some([std::mem::replace(register, Arc::clone(&after)), after]);
        }
        freed
    }
}

impl NumberedAttachments {
    fn new(before: Option<Arc<NumberPool>>, names: &[&str], generation: u64) -> Self {
        let mut after = before.as_deref().cloned().unwrap_or_default();
        let numbers = names.iter().map(|name| AttachmentId::new(after.number(name, generation) as u16)).collect();
        let names = names.iter().map(|&name| name.to_owned()).collect();
        Self { generation, names, before, after: Arc::new(after), numbers }
    }

    /// Whether a tenant with this register and these names would be numbered just so.
    fn is_of(&self, before: Option<&Arc<NumberPool>>, names: &[&str], generation: u64) -> bool {
        let is_same = match (&self.before, before) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (one, other) => one.is_none() && other.is_none(),
        };
        is_same && self.generation == generation && self.names == names
    }
}

#[cfg(test)]
mod tests {
    use super::super::Numbers;
    use super::*;

    #[test]
    fn tenants_that_are_alike_share_a_register_until_they_differ() {
        let mut numbers = Numbers::default().next();
        let (red, blue) = (numbers.domain("red"), numbers.domain("blue"));
        let at = |numbers: &mut Numbers, domain, names: &[&str]| -> Vec<u16> {
            numbers.attachments(domain, names).iter().map(|id| id.number()).collect()
        };
        let is_shared = |numbers: &Numbers| {
            let [one, other] = [red, blue].map(|id| numbers.attachments.registers.get(id).unwrap());
            Arc::ptr_eq(one, other)
        };
        for domain in [red, blue] {
            assert_eq!(at(&mut numbers, domain, &["leafs", "site"]), [0, 1]);
        }
        assert!(is_shared(&numbers));
        numbers = numbers.next();
        for domain in [red, blue] {
            numbers.domain(if domain == red { "red" } else { "blue" });
            assert_eq!(
                at(&mut numbers, domain, &["site", "hub"]),
                [1, 2],
                "nobody else gets the number of the leafs yet"
            );
        }
        numbers.reclaim(numbers.generation());
        assert!(is_shared(&numbers));
        assert_eq!(at(&mut numbers, red, &["site", "hub", "new"]), [1, 2, 0]);
        assert!(!is_shared(&numbers));
        assert_eq!(at(&mut numbers, blue, &["site", "hub"]), [1, 2]);
    }

    #[test]
    fn what_only_a_later_configuration_does_without_is_still_in_use() {
        let mut numbers = Numbers::default().next();
        let red = numbers.domain("red");
        let published = numbers.generation();
        numbers = numbers.next();
        numbers.domain("blue");
        numbers.reclaim(published);
        assert_ne!(numbers.domain("green"), red, "the workers still have red");
    }
}
