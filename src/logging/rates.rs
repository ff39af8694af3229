//! How many lines of a kind are written: a kind is the place in the code that says it.
//!
//! A kind may say [`BURST`] lines at once and one more every [`PERIOD`]; what it says beyond that is counted, and summed up
//! in a line of its own.

use std::collections::HashMap;
use std::fmt::{self, Write};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tracing::callsite::Identifier;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Filter};

use super::UNLOGGED;

/// Lines of a kind at once: more than a start or a reload says of anything that comes in ones.
const BURST: u32 = 50;
/// From one further line of a kind to the next.
const PERIOD: Duration = Duration::from_millis(500);

/// What every kind of line has said lately; clones share it.
#[derive(Debug, Clone)]
pub(super) struct Rates {
    start: Instant,
    kinds: Arc<Mutex<HashMap<Identifier, LineKind>>>,
}

#[derive(Debug)]
struct LineKind {
    level: Level,
    /// When its burst would be whole again, from the start on.
    whole_at: Duration,
    /// Lines held back since the last sum.
    held: u64,
    /// What the first of these said.
    first: String,
}

impl Rates {
    pub(super) fn new(start: Instant) -> Self {
        Self { start, kinds: Arc::default() }
    }

    fn kinds(&self) -> MutexGuard<'_, HashMap<Identifier, LineKind>> {
        self.kinds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a kind may say a line at `now`, from the start on. `words` are asked for if it is the first one held back.
    fn admit(&self, metadata: &Metadata<'_>, now: Duration, words: impl FnOnce() -> String) -> bool {
        let mut kinds = self.kinds();
        let kind = kinds.entry(metadata.callsite()).or_insert_with(|| LineKind {
            level: *metadata.level(),
            whole_at: Duration::ZERO,
            held: 0,
            first: String::new(),
        });
        let whole_at = kind.whole_at.max(now) + PERIOD;
        if whole_at <= now + BURST * PERIOD {
            kind.whole_at = whole_at;
            return true;
        }
        if kind.held == 0 {
            kind.first = words();
        }
        kind.held += 1;
        UNLOGGED.held_back.fetch_add(1, Ordering::Relaxed);
        false
    }

    /// Says of every kind how many of its lines were held back since the last sum.
    pub(super) fn sum_up(&self) {
        let of = |kind: &mut LineKind| {
            (kind.held > 0).then(|| (kind.level, std::mem::take(&mut kind.held), kind.first.clone()))
        };
        let sums: Vec<_> = self.kinds().values_mut().filter_map(of).collect();
        for (level, held, first) in sums {
            match level {
                Level::ERROR => tracing::error!("{held} more like this: {first}"),
                Level::WARN => tracing::warn!("{held} more like this: {first}"),
                Level::INFO => tracing::info!("{held} more like this: {first}"),
                _ => tracing::debug!("{held} more like this: {first}"),
            }
        }
    }
}

impl<S: Subscriber> Filter<S> for Rates {
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        true
    }

    fn event_enabled(&self, event: &Event<'_>, _: &Context<'_, S>) -> bool {
        // Sums come at a rate of their own.
        if event.metadata().target() == module_path!() {
            return true;
        }
        self.admit(event.metadata(), self.start.elapsed(), || {
            let mut words = Words::default();
            event.record(&mut words);
            words.0
        })
    }
}

/// The message of a line.
#[derive(Debug, Default)]
struct Words(String);

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            let _ = write!(self.0, "{value:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::callsite::Callsite;

    /// The metadata of two places that say something.
    fn places() -> [&'static Metadata<'static>; 2] {
        static ONE: tracing::callsite::DefaultCallsite = {
            static META: Metadata<'static> = tracing::metadata! {
                name: "one", target: "test", level: Level::INFO, fields: &[], callsite: &ONE,
                kind: tracing::metadata::Kind::EVENT,
            };
            tracing::callsite::DefaultCallsite::new(&META)
        };
        static OTHER: tracing::callsite::DefaultCallsite = {
            static META: Metadata<'static> = tracing::metadata! {
                name: "other", target: "test", level: Level::INFO, fields: &[], callsite: &OTHER,
                kind: tracing::metadata::Kind::EVENT,
            };
            tracing::callsite::DefaultCallsite::new(&META)
        };
        [ONE.metadata(), OTHER.metadata()]
    }

    fn said(rates: &Rates, place: &Metadata<'_>, lines: u32, now: Duration) -> u32 {
        (0..lines).map(|n| u32::from(rates.admit(place, now, || format!("line {n}")))).sum()
    }

    #[test]
    fn a_kind_says_a_burst_and_then_as_much_as_its_rate() {
        let (rates, [one, other]) = (Rates::new(Instant::now()), places());
        assert_eq!(said(&rates, one, 1_000, Duration::ZERO), BURST);
        assert_eq!(said(&rates, other, 3, Duration::ZERO), 3, "kinds have nothing to do with each other");
        assert_eq!(said(&rates, one, 1_000, 3 * PERIOD), 3);
        assert_eq!(said(&rates, one, 1_000, 1_000 * PERIOD), BURST, "a burst is never larger");
    }

    #[test]
    fn what_is_held_back_is_summed_up_once_with_the_words_of_the_first() {
        let (rates, [one, _]) = (Rates::new(Instant::now()), places());
        said(&rates, one, BURST + 7, Duration::ZERO);
        let kinds =
            |rates: &Rates| rates.kinds().values().map(|kind| (kind.held, kind.first.clone())).collect::<Vec<_>>();
        assert_eq!(kinds(&rates), [(7, format!("line {BURST}"))]);
        rates.sum_up();
        assert_eq!(kinds(&rates)[0].0, 0);
    }
}
