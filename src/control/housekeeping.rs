//! What has to be done every second: forget MAC addresses that fell silent, and hear what the workers have to say.

use std::ops::Range;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::MissedTickBehavior;

use crate::control::gateway::Gateway;
use crate::control::history::History;
use crate::events::{Event, Receiver};
use crate::fdb::Entry;
use crate::forwarding::Forwarding;

const PERIOD: Duration = Duration::from_secs(1);
/// After so many buckets the rest of the control plane gets its turn: about a tenth of a millisecond.
const SLICE: usize = 4096;

/// Keeps house until the task is dropped. `events` has an end for every worker.
pub async fn keep(gateway: &Gateway, mut events: Vec<Receiver>) {
    let mut period = tokio::time::interval(PERIOD);
    period.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut lost = 0;
    loop {
        period.tick().await;
        for ring in &mut events {
            while let Some(event) = ring.next() {
                hear(gateway, &event);
            }
        }
        let now_lost = events.iter().map(Receiver::lost).sum();
        if now_lost > lost {
            tracing::warn!("{} events of the workers were lost; counters are right all the same", now_lost - lost);
            lost = now_lost;
        }
        sweep(gateway).await;
    }
}

fn hear(gateway: &Gateway, event: &Event) {
    let names = &gateway.names;
    let mut news = gateway.news();
    news.history.note(event);
    match *event {
        Event::Heard { domain, mac, to, from, .. } => {
            let tenant = names.domain(domain);
            let (at, via) = (names.attachment(domain, to.attachment), names.peer(to.peer));
            match from {
                None => tracing::debug!("{tenant}: {mac} is behind {at} ({via})"),
                Some(from) => {
                    let before = names.attachment(domain, from.attachment);
                    tracing::info!("{tenant}: {mac} moved from {before} to {at} ({via})");
                }
            }
        }
        Event::PortFailed { port, errno } => {
            let cause = errno.map_or_else(|| "it is gone".into(), cause);
            tracing::warn!(
                "port {} does not receive: {cause}; the others go on, and it is tried again",
                names.port(port)
            );
            news.failures.insert(port, cause);
        }
        Event::PortBack { port } => {
            tracing::info!("port {} receives again", names.port(port));
            news.failures.remove(&port);
        }
    }
}

/// What the system calls this error, without Rust's "(os error 100)".
fn cause(errno: i32) -> String {
    let text = std::io::Error::from_raw_os_error(errno).to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

/// Frees the FDB's slots of what is silent for too long, and of what belongs to nothing any more.
async fn sweep(gateway: &Gateway) {
    let fdb = &gateway.shared.fdb;
    // An empty table is not walked: its pages are not even there.
    if fdb.is_empty() {
        return;
    }
    for start in (0..fdb.buckets()).step_by(SLICE) {
        sweep_slice(gateway, start..start + SLICE);
        tokio::task::yield_now().await;
    }
}

fn sweep_slice(gateway: &Gateway, buckets: Range<usize>) {
    let tables = gateway.shared.forwarding.load();
    let tick = gateway.clock.now().tick();
    let mut news = gateway.news();
    gateway.shared.fdb.sweep(buckets, |entry| {
        let keep = keeps(&tables, entry, tick);
        if !keep {
            forget(&tables, &mut news.history, entry);
        }
        keep
    });
}

fn keeps(tables: &Forwarding, entry: &Entry, tick: u16) -> bool {
    tables.domain(entry.domain).is_some_and(|domain| {
        domain.attachment(entry.target.attachment).is_some() && !entry.is_expired(tick, domain.ageing)
    })
}

/// The entry no longer counts against its tenant's limit, nor does anybody remember it.
fn forget(tables: &Forwarding, history: &mut History, entry: &Entry) {
    history.forget(entry.domain, entry.mac);
    if let Some(domain) = tables.domain(entry.domain).filter(|_| !entry.is_static) {
        domain.state.macs.fetch_sub(1, Ordering::Relaxed);
    }
}
