//! How many events of a kind are told: so many at once and one more every period; what is more is counted, and summed up
//! now and then with the words of the first.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::row::{EventLevel, EventRow};
use super::{EventKind, LogEvent};

/// So many tenants have a sum of their own.
const MOST_TENANTS: usize = 10;

/// So many events of a kind at once.
#[derive(Debug, Clone, Copy)]
pub(super) struct LineRate {
    /// At once.
    pub burst: u32,
    /// From one further event to the next.
    pub period: Duration,
}

/// What every kind has said lately, and how much it may say.
#[derive(Debug)]
pub(super) struct Rates {
    start: Instant,
    rate: LineRate,
    kinds: Mutex<HashMap<RateKey, ToldLately>>,
}

/// Events that share a rate.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct RateKey {
    /// Their name, or the place in a library.
    kind: &'static str,
    /// The tenant, where each has a rate of its own; else nothing.
    tenant: String,
}

#[derive(Debug)]
struct ToldLately {
    /// The name of the events, and how serious they are.
    name: &'static str,
    level: EventLevel,
    /// When the burst would be whole again, from the start on.
    whole_at: Duration,
    /// Events held back since the last sum.
    held: u64,
    /// The words of the first of these.
    first: String,
}

/// Events that were held back since the last sum.
#[derive(Debug)]
struct HeldLately {
    /// Their name, and how serious they are.
    name: &'static str,
    level: EventLevel,
    /// The tenant that they are about, where each has a rate of its own; else nothing.
    tenant: String,
    count: u64,
    /// The words of the first.
    first: String,
}

/// Events that share a rate: those of a name, or of a name and a tenant.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sharing<'k> {
    /// What tells them from others.
    pub kind: &'static str,
    /// The tenant, where each has a rate of its own.
    pub tenant: Option<&'k str>,
    /// The events' name.
    pub name: &'static str,
    /// How serious they are.
    pub level: EventLevel,
}

impl Sharing<'_> {
    /// All events of a kind.
    pub(super) const fn of(kind: &'static EventKind) -> Self {
        Self { kind: kind.name, tenant: None, name: kind.name, level: kind.level }
    }
}

impl Rates {
    pub(super) fn new(rate: LineRate) -> Self {
        Self { start: Instant::now(), rate, kinds: Mutex::default() }
    }

    fn kinds(&self) -> MutexGuard<'_, HashMap<RateKey, ToldLately>> {
        self.kinds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether an event may be told now. `words` are asked for if it is the first one held back.
    pub(super) fn admit(&self, of: Sharing<'_>, words: impl FnOnce() -> String) -> bool {
        self.admit_at(self.start.elapsed(), of, words)
    }

    fn admit_at(&self, now: Duration, of: Sharing<'_>, words: impl FnOnce() -> String) -> bool {
        let LineRate { burst, period } = self.rate;
        let mut kinds = self.kinds();
        let key = RateKey { kind: of.kind, tenant: of.tenant.unwrap_or_default().to_owned() };
        let said = kinds.entry(key).or_insert_with(|| ToldLately {
            name: of.name,
            level: of.level,
            whole_at: Duration::ZERO,
            held: 0,
            first: String::new(),
        });
        let whole_at = said.whole_at.max(now) + period;
        if whole_at <= now + burst * period {
            said.whole_at = whole_at;
            return true;
        }
        if said.held == 0 {
            said.first = words();
        }
        said.held += 1;
        false
    }

    /// How many events of each kind were held back since the last sum, as events; of tenants, those with the most have one
    /// each.
    pub(super) fn sums(&self) -> Vec<EventRow> {
        let mut all = self.take_held();
        all.sort_by_key(|held| (!held.tenant.is_empty(), Reverse(held.count)));
        let of_all = all.iter().take_while(|held| held.tenant.is_empty()).count();
        let rest = all.split_off(all.len().min(of_all + MOST_TENANTS));
        let mut others: BTreeMap<&'static str, HeldLately> = BTreeMap::new();
        for held in rest {
            let of_kind = others.entry(held.name);
            of_kind
                .and_modify(|sum| sum.count += held.count)
                .or_insert_with(|| HeldLately { tenant: String::new(), ..held });
        }
        all.iter().chain(others.values()).map(HeldLately::row).collect()
    }

    /// What was held back since the last time.
    fn take_held(&self) -> Vec<HeldLately> {
        let mut kinds = self.kinds();
        let held = kinds.iter_mut().filter(|(_, said)| said.held > 0).map(|(key, said)| HeldLately {
            name: said.name,
            level: said.level,
            tenant: key.tenant.clone(),
            count: std::mem::take(&mut said.held),
            first: std::mem::take(&mut said.first),
        });
        let held = held.collect();
        // A kind that has its whole burst again is as one that has said nothing.
        let now = self.start.elapsed();
        kinds.retain(|_, said| said.whole_at > now);
        held
    }
}

impl HeldLately {
    fn row(&self) -> EventRow {
        let tenant = Some(&*self.tenant).filter(|tenant| !tenant.is_empty());
        let mut row =
            EventRow::of(&LogEvent::HeldBack { count: self.count, of: self.name, tenant, first: &self.first });
        row.level = self.level;
        row
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: LineRate = LineRate { burst: 50, period: Duration::from_millis(500) };

    fn kind(kind: &'static str, tenant: Option<&'static str>) -> Sharing<'static> {
        Sharing { kind, tenant, name: kind, level: EventLevel::Info }
    }

    fn told(rates: &Rates, of: Sharing<'_>, events: u32, now: Duration) -> u32 {
        (0..events).map(|n| u32::from(rates.admit_at(now, of, || format!("line {n}")))).sum()
    }

    #[test]
    fn a_kind_says_a_burst_and_then_as_much_as_its_rate() {
        let (rates, LineRate { burst, period }) = (Rates::new(RATE), RATE);
        let (one, other) = (kind("one", None), kind("other", None));
        assert_eq!(told(&rates, one, 1_000, Duration::ZERO), burst);
        assert_eq!(told(&rates, other, 3, Duration::ZERO), 3, "kinds have nothing to do with each other");
        assert_eq!(told(&rates, one, 1_000, 3 * period), 3);
        assert_eq!(told(&rates, one, 1_000, 1_000 * period), burst, "a burst is never larger");
    }

    #[test]
    fn tenants_have_nothing_to_do_with_each_other_where_each_has_a_rate() {
        let rates = Rates::new(RATE);
        assert_eq!(told(&rates, kind("one", Some("noisy")), 1_000, Duration::ZERO), RATE.burst);
        assert_eq!(told(&rates, kind("one", Some("calm")), 3, Duration::ZERO), 3);
    }

    #[test]
    fn what_is_held_back_is_summed_up_once_with_the_words_of_the_first() {
        let rates = Rates::new(RATE);
        told(&rates, kind("one", Some("blue")), RATE.burst + 7, Duration::ZERO);
        let sums = rates.sums();
        let [sum] = &sums[..] else { panic!("{sums:?}") };
        assert_eq!((&*sum.event, &*sum.message), ("held_back", "7 more like this: line 50"));
        assert_eq!((&sum.fields["count"], sum.text("of"), sum.text("tenant")), (&7.into(), Some("one"), Some("blue")));
        assert!(rates.sums().is_empty());
    }

    #[test]
    fn of_many_tenants_those_that_said_most_are_told_and_the_rest_as_one() {
        let rates = Rates::new(RATE);
        let tenants: Vec<String> = (0..100).map(|number| format!("cust-{number}")).collect();
        for (number, tenant) in tenants.iter().enumerate() {
            let of = Sharing { tenant: Some(tenant), ..kind("mac_moved", None) };
            told(&rates, of, RATE.burst + 1 + number as u32, Duration::ZERO);
        }
        told(&rates, kind("peer_learned", None), RATE.burst + 1, Duration::ZERO);
        let sums = rates.sums();
        let count = |row: &EventRow| row.fields["count"].as_u64().unwrap_or(0);
        assert_eq!(sums.iter().map(count).sum::<u64>(), 1 + (1..=100).sum::<u64>(), "nothing is left out");
        assert_eq!(sums.len(), 1 + MOST_TENANTS + 1);
        let of_tenants: Vec<_> = sums.iter().filter_map(|row| Some((row.text("tenant")?, count(row)))).collect();
        assert_eq!(of_tenants[..2], [("cust-99", 100), ("cust-98", 99)]);
    }
}
