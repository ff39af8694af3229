//! Shortages: which tenants have more MAC addresses than are learned, each told once for as long as it lasts.

use crate::events::{Event, Shortage};
use crate::forwarding::{DomainId, Map};

/// Nanoseconds without a report after which a shortage is over. While it lasts, workers report it every ten seconds, if
/// there is traffic.
const QUIET: u64 = 300_000_000_000;

/// When each of them was reported last, in nanoseconds of the workers' clock.
#[derive(Debug, Default)]
pub(super) struct Shortages(Map<(DomainId, Shortage), u64>);

impl Shortages {
    /// Takes in what a worker says. Returns whether that is news.
    pub(super) fn note(&mut self, event: &Event) -> bool {
        let Event::Shortage { domain, of, at } = *event else { return false };
        let before = self.0.insert((domain, of), at);
        before.is_none_or(|before| at.saturating_sub(before) > QUIET)
    }

    /// Forgets those of the tenants that `keep` refuses.
    pub(super) fn retain(&mut self, keep: impl Fn(DomainId) -> bool) {
        self.0.retain(|(domain, _), _| keep(*domain));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shortage_is_news_once_until_it_was_over_for_a_while() {
        let mut shortages = Shortages::default();
        let mut note = |domain, of, second: u64| {
            shortages.note(&Event::Shortage { domain: DomainId::new(domain), of, at: second * 1_000_000_000 })
        };
        assert!(note(1, Shortage::Limit, 0));
        assert!((1..100).all(|n| !note(1, Shortage::Limit, 10 * n)));
        assert!(note(1, Shortage::Table, 1000) && note(2, Shortage::Limit, 1000));
        assert!(note(1, Shortage::Limit, 2000));
    }
}
