//! The last events, for those who follow them: a bounded ring that nobody fills alone, and that waits for nobody.

use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::rates::{LineRate, Rates, Sharing};
use super::row::{self, EventLevel, EventRow};
use super::{EventKind, LogEvent};

/// Events that are kept.
const KEPT: usize = 1_000;
/// Bytes of a text that is kept, at most: a file may be wrong in ten thousand places.
const LONGEST: usize = 4_096;
/// Cuts a text to the length at which texts are kept.
pub fn cut_to_keep(text: &mut String) {
    row::cut(text, LONGEST);
}

/// So many of a kind about one tenant, and of a kind in all, are told one by one.
const OF_TENANT: LineRate = LineRate { burst: 50, period: Duration::from_millis(500) };
const OF_KIND: LineRate = LineRate { burst: 200, period: Duration::from_millis(50) };

/// The last events of this process.
pub(super) static RECENT: LazyLock<RecentEvents> = LazyLock::new(RecentEvents::new);

/// The last events, and whoever waits for the next.
pub(super) struct RecentEvents {
    of_tenants: Rates,
    of_kinds: Rates,
    ring: Mutex<EventRing>,
    is_new: Notify,
}

/// The events with their serial numbers, which have a gap where one was pushed out.
#[derive(Default)]
struct EventRing {
    rows: VecDeque<KeptEvent>,
    next: u64,
    /// How many there are of each share.
    counts: HashMap<EventShare, usize>,
}

struct KeptEvent {
    serial: u64,
    share: EventShare,
    row: Arc<EventRow>,
}

/// What events share a place by: their name and tenant.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct EventShare {
    name: Cow<'static, str>,
    tenant: String,
}

impl RecentEvents {
    fn new() -> Self {
        let (of_tenants, of_kinds) = (Rates::new(OF_TENANT), Rates::new(OF_KIND));
        Self { of_tenants, of_kinds, ring: Mutex::default(), is_new: Notify::new() }
    }

    fn ring(&self) -> MutexGuard<'_, EventRing> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether an event is to be kept: it is worth it, and neither its tenant nor its kind has said too much lately.
    pub(super) fn admit(&self, kind: &'static EventKind, event: &LogEvent<'_>) -> bool {
        let of_kind = Sharing::of(kind);
        let of_tenant = Sharing { tenant: event.tenant(), ..of_kind };
        kind.level <= EventLevel::Info
            && self.of_tenants.admit(of_tenant, || event.to_string())
            && self.of_kinds.admit(of_kind, || event.to_string())
    }

    pub(super) fn push(&self, row: Arc<EventRow>) {
        self.ring().push(if row.is_longer_than(LONGEST) { Arc::new(row.cut(LONGEST)) } else { row });
        self.is_new.notify_waiters();
    }

    /// Tells how many events were not kept.
    pub(super) fn sum_up(&self) {
        self.of_tenants.sums().into_iter().chain(self.of_kinds.sums()).for_each(|sum| self.push(Arc::new(sum)));
    }
}

impl EventRing {
    fn push(&mut self, row: Arc<EventRow>) {
        if self.rows.len() >= KEPT {
            self.push_out();
        }
        let share = EventShare { name: row.event.clone(), tenant: row.text("tenant").unwrap_or_default().to_owned() };
        *self.counts.entry(share.clone()).or_default() += 1;
        self.rows.push_back(KeptEvent { serial: self.next, share, row });
        self.next += 1;
    }

    /// Pushes out the oldest of those that there are most of, so that one tenant's do not push out all others.
    fn push_out(&mut self) {
        let Some(most) = self.counts.iter().max_by_key(|(_, count)| **count).map(|(share, _)| share.clone()) else {
            return;
        };
        if let Some(oldest) = self.rows.iter().position(|kept| kept.share == most) {
            self.rows.remove(oldest);
        }
        if let Some(count) = self.counts.get_mut(&most) {
            *count -= 1;
        }
        self.counts.retain(|_, count| *count > 0);
    }

    /// The first event from this serial number on, with its own.
    fn from(&self, serial: u64) -> Option<&KeptEvent> {
        self.rows.get(self.rows.partition_point(|kept| kept.serial < serial))
    }
}

/// Which events somebody wants; what is empty does not matter.
#[derive(Debug, Clone, Default)]
pub struct EventFilter {
    /// Only those about this tenant.
    pub tenant: Option<String>,
    /// Only those about this peer or port: itself, or as the place of a MAC address.
    pub peer: Option<String>,
    /// Only those of these names.
    pub names: Vec<String>,
}

impl EventFilter {
    fn wants(&self, row: &EventRow) -> bool {
        let is_named = |name: &String| row.event == **name || row.text("of") == Some(name);
        let is_there = |peer: &str| {
            ["peer", "port", "from_via", "to_via", "held_via"].iter().any(|field| row.text(field) == Some(peer))
                || row
                    .fields
                    .get("peers")
                    .and_then(|peers| peers.as_array())
                    .is_some_and(|all| all.contains(&peer.into()))
        };
        // The end concerns everybody.
        row.event == LogEvent::STOPPING
            || (self.names.is_empty() || self.names.iter().any(is_named))
                && self.tenant.as_ref().is_none_or(|tenant| row.text("tenant") == Some(tenant))
                && self.peer.as_ref().is_none_or(|peer| is_there(peer))
    }
}

/// Somebody who follows events.
#[derive(Debug)]
pub struct Follower {
    filter: EventFilter,
    /// What happened before, still to be read.
    before: VecDeque<Arc<EventRow>>,
    /// The serial number of the next event.
    next: u64,
    /// Whether there is nothing to wait for.
    is_over: bool,
}

/// Follows the events of this process that pass a filter, beginning with the `last` ones so far; no further than to now
/// unless `goes_on`.
#[must_use]
pub fn follow(filter: EventFilter, last: usize, goes_on: bool) -> Follower {
    Follower::of(&RECENT.ring(), filter, last, goes_on)
}

impl Follower {
    fn of(ring: &EventRing, filter: EventFilter, last: usize, goes_on: bool) -> Self {
        let wanted = ring.rows.iter().rev().map(|kept| &kept.row).filter(|row| filter.wants(row)).take(last);
        let mut before: VecDeque<_> = wanted.cloned().collect();
        before.make_contiguous().reverse();
        Self { filter, before, next: ring.next, is_over: !goes_on }
    }

    /// The next event; none at the end.
    pub async fn next(&mut self) -> Option<Arc<EventRow>> {
        loop {
            let is_new = RECENT.is_new.notified();
            let row = self.look(&RECENT.ring());
            if row.is_some() || self.is_over {
                return row;
            }
            is_new.await;
        }
    }

    /// The next event that is there; before it, how many were pushed out unread.
    fn look(&mut self, ring: &EventRing) -> Option<Arc<EventRow>> {
        if let Some(row) = self.before.pop_front() {
            return Some(row);
        }
        while !self.is_over {
            let KeptEvent { serial, row, .. } = ring.from(self.next)?;
            let count = serial - std::mem::replace(&mut self.next, *serial);
            if count > 0 {
                return Some(Arc::new(EventRow::of(&LogEvent::EventsLost { count })));
            }
            self.next += 1;
            if self.filter.wants(row) {
                return Some(row.clone());
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moved(tenant: &str, via: &str) -> Arc<EventRow> {
        let mac = "02:00:00:00:00:01".parse().expect("an address");
        let (from, to) = ("a", "b");
        let event = LogEvent::MacMoved { tenant, mac, from, from_via: "leaf-1", to, to_via: via };
        Arc::new(EventRow::of(&event))
    }

    fn learned(peer: &str) -> Arc<EventRow> {
        Arc::new(EventRow::of(&LogEvent::PeerLearned { peer }))
    }

    fn read(follower: &mut Follower, ring: &EventRing) -> Vec<String> {
        std::iter::from_fn(|| follower.look(ring)).map(|row| row.event.to_string()).collect()
    }

    #[test]
    fn a_tenant_that_is_never_still_pushes_out_its_own_events_only() {
        let mut ring = EventRing::default();
        ring.push(learned("leaf"));
        ring.push(moved("calm", "leaf-2"));
        (0..10 * KEPT).for_each(|_| ring.push(moved("noisy", "leaf-2")));
        assert_eq!(ring.rows.len(), KEPT);
        let kept: Vec<_> = ring.rows.iter().take(2).map(|kept| kept.row.text("tenant")).collect();
        assert_eq!(kept, [None, Some("calm")]);
    }

    #[test]
    fn a_follower_that_is_slow_is_told_how_many_it_lost_and_reads_on() {
        let mut ring = EventRing::default();
        let mut follower = Follower::of(&ring, EventFilter::default(), 0, true);
        ring.push(learned("leaf"));
        assert_eq!(read(&mut follower, &ring), ["peer_learned"]);
        (0..KEPT + 7).for_each(|_| ring.push(moved("noisy", "leaf-2")));
        let rows: Vec<_> = std::iter::from_fn(|| follower.look(&ring)).collect();
        assert_eq!((&*rows[0].event, &rows[0].fields["count"]), ("events_lost", &8.into()));
        assert_eq!(rows.len(), KEPT);
    }

    #[test]
    fn a_follower_gets_what_it_wants_from_before_and_from_now_on() {
        let mut ring = EventRing::default();
        let all = [moved("blue", "leaf-2"), moved("red", "leaf-3"), learned("leaf-2"), learned("leaf-9")];
        for row in &all {
            ring.push(row.clone());
        }
        let want = |tenant: Option<&str>, peer: Option<&str>, names: &[&str], last: usize| {
            let names = names.iter().map(ToString::to_string).collect();
            let filter = EventFilter { tenant: tenant.map(str::to_owned), peer: peer.map(str::to_owned), names };
            Follower::of(&ring, filter, last, true)
        };
        assert_eq!(read(&mut want(None, None, &[], 3), &ring), ["mac_moved", "peer_learned", "peer_learned"]);
        assert_eq!(read(&mut want(Some("red"), None, &[], 9), &ring), ["mac_moved"]);
        assert_eq!(read(&mut want(None, Some("leaf-2"), &[], 9), &ring), ["mac_moved", "peer_learned"]);
        assert_eq!(read(&mut want(None, Some("leaf-2"), &["mac_moved"], 9), &ring), ["mac_moved"]);
        let mut ports = EventRing::default();
        ports.push(Arc::new(EventRow::of(&LogEvent::PortFailed { port: "eth1", why: "gone" })));
        let filter = EventFilter { peer: Some("eth1".to_owned()), ..EventFilter::default() };
        assert_eq!(read(&mut Follower::of(&ports, filter, 9, true), &ports), ["port_failed"]);
        let mut follower = want(Some("blue"), None, &["mac_moved"], 0);
        for row in &all {
            ring.push(row.clone());
        }
        ring.push(Arc::new(EventRow::of(&LogEvent::Stopping { why: "asked to" })));
        assert_eq!(read(&mut follower, &ring), ["mac_moved", "stopping"], "the end concerns everybody");
    }
}
