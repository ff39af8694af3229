//! Housekeeping: hands the workers' events to the RIB, and has it do what is due.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::MissedTickBehavior;

use super::gateway::Gateway;
use super::log;
use crate::events::EventReceiver;
use crate::io::huge::prefer_huge_pages;
use crate::logging::LogEvent;

/// How often the workers are heard: a sender that is to be learned does not wait long.
const PERIOD: Duration = Duration::from_millis(100);

/// Keeps house until the task is dropped. `events` has an end for every worker.
pub(super) async fn keep(gateway: &Gateway, mut events: Vec<EventReceiver>) {
    let mut period = tokio::time::interval(PERIOD);
    period.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut lost = 0;
    let mut has_huge_pages = false;
    loop {
        period.tick().await;
        gateway.change(|rib| {
            for event in events.iter_mut().flat_map(|ring| std::iter::from_fn(|| ring.hear())) {
                log::event(rib, &event);
                rib.hear(&event);
            }
            let origin = gateway.clock.origin();
            for sample in events.iter_mut().flat_map(|ring| std::iter::from_fn(|| ring.hear_sample())) {
                rib.dropped(sample, origin + sample.at);
            }
            rib.tick(gateway.clock.now());
            rib.watch(gateway.clock.now());
        });
        note_drops(gateway);
        let now_lost = events.iter().map(EventReceiver::lost).sum();
        if now_lost > lost {
            LogEvent::WorkerEventsLost { count: now_lost - lost }.tell();
            lost = now_lost;
            gateway.events_lost.store(lost, Ordering::Relaxed);
        }
        if !has_huge_pages && gateway.shared.fdb.is_spread() {
            enlarge_pages(gateway);
            has_huge_pages = true;
        }
    }
}

fn note_drops(gateway: &Gateway) {
    let rib = gateway.rib();
    gateway.drop_history().note(gateway.clock.now(), rib.counters(), rib.names());
}

/// A table with MACs everywhere takes all its memory anyway, and searches are quicker in huge pages. Asked for any
/// sooner, a few MACs would cost as many huge pages.
fn enlarge_pages(gateway: &Gateway) {
    if let Err(error) = prefer_huge_pages(gateway.shared.fdb.memory()) {
        LogEvent::HugePagesRefused { why: &error.to_string() }.tell();
    }
}
