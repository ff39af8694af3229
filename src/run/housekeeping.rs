//! What has to be done again and again: forget MAC addresses that fell silent, and hear what the workers have to say.

use std::time::Duration;

use tokio::time::MissedTickBehavior;

use crate::events::{Event, EventReceiver};
use crate::forwarding::PortId;
use crate::io::huge::prefer_huge_pages;
use crate::rib::ageing::Ageing;
use crate::rib::history::Duplicate;
use crate::run::gateway::Gateway;

/// How often the workers are heard: a sender that is to be learned does not wait long.
const PERIOD: Duration = Duration::from_millis(100);
/// When one part in so many of the remembered addresses has left the FDB, it is time to forget them.
const FORGETFUL: usize = 4;

/// Keeps house until the task is dropped. `events` has an end for every worker.
pub async fn keep(gateway: &Gateway, mut events: Vec<EventReceiver>) {
    let mut period = tokio::time::interval(PERIOD);
    period.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut ageing = Ageing::default();
    let (mut lost, mut left) = (0, 0);
    // Learned peers that are gone, while workers may still know them.
    let mut leaving = None;
    let mut has_huge_pages = false;
    loop {
        period.tick().await;
        let mut strangers = Vec::new();
        for ring in &mut events {
            while let Some(event) = ring.hear() {
                match event {
                    Event::UnknownSender { .. } => strangers.push(event),
                    _ => hear(gateway, &event),
                }
            }
        }
        if !strangers.is_empty() {
            gateway.acquaint(&strangers);
        }
        leaving = match leaving {
            Some(swap) => gateway.settle(swap).err(),
            None => gateway.forget_learned(gateway.clock.now()),
        };
        let released = gateway.news().history.release(&gateway.shared, gateway.clock.now());
        for (domain, mac) in released {
            tracing::info!("{}: {mac} may move again", gateway.view().names.domain(domain));
        }
        let now_lost = events.iter().map(EventReceiver::lost).sum();
        if now_lost > lost {
            tracing::warn!("{} events of the workers were lost; counters are right all the same", now_lost - lost);
            lost = now_lost;
        }
        left += ageing.advance(&gateway.shared, gateway.clock.now());
        if left > gateway.news().history.len() / FORGETFUL {
            forget(gateway);
            left = 0;
        }
        if !has_huge_pages && gateway.shared.fdb.is_spread() {
            enlarge_pages(gateway);
            has_huge_pages = true;
        }
    }
}

/// A table with MACs everywhere takes all its memory anyway, and searches are quicker in huge pages. Asked for any
/// sooner, a few MACs would cost as many huge pages.
fn enlarge_pages(gateway: &Gateway) {
    if let Err(error) = prefer_huge_pages(gateway.shared.fdb.memory()) {
        tracing::debug!("the table of addresses stays in small pages: {error}");
    }
}

fn hear(gateway: &Gateway, event: &Event) {
    let view = gateway.view();
    let names = &view.names;
    let mut news = gateway.news();
    let duplicate = news.history.note(event, &gateway.shared);
    news.loops.note(event);
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
        Event::Loop { domain, between, mac, .. } => {
            let tenant = names.domain(domain);
            let [a, b] = between.map(|id| names.attachment(domain, id));
            tracing::warn!(
                "{tenant}: {a} and {b} are joined in a loop: what {mac} broadcasts keeps coming back; broadcast, \
                 unknown and multicast frames do not pass between the two for now, known unicast does"
            );
        }
        Event::UnknownSender { .. } => {}
        // Of a device that fails, the kernel tells us more than the worker can, and first.
        Event::PortFailed { port, .. } | Event::PortBack { port } if has_device(gateway, port) => {}
        Event::PortFailed { port, errno } => {
            let cause = errno.map_or_else(|| "it is gone".into(), cause);
            tracing::warn!("port {}: {cause}; the others go on, and it is tried again", names.port(port));
            news.failures.insert(port, cause);
        }
        Event::PortBack { port } => {
            tracing::info!("port {} receives again", names.port(port));
            news.failures.remove(&port);
        }
    }
    if let Some(duplicate) = duplicate {
        warn_of(gateway, &duplicate);
    }
}

fn warn_of(gateway: &Gateway, duplicate: &Duplicate) {
    let Duplicate { domain, mac, held_at, last, policy } = *duplicate;
    let view = gateway.view();
    let names = &view.names;
    let seconds = |nanos: u64| nanos / 1_000_000_000;
    let place = |target: crate::forwarding::Target| {
        format!("{} ({})", names.attachment(domain, target.attachment), names.peer(target.peer))
    };
    tracing::warn!(
        "{}: {mac} moved {} times within {} s, last from {} to {}: two hosts seem to have it; it stays behind {} for {} s",
        names.domain(domain),
        policy.moves,
        seconds(policy.within),
        place(last.from),
        place(last.to),
        place(held_at),
        seconds(policy.hold)
    );
}

fn has_device(gateway: &Gateway, port: PortId) -> bool {
    gateway.view().ports.get(usize::from(port.0)).is_some_and(|link| link.device.is_some())
}

/// What the system calls this error, without Rust's "(os error 100)".
fn cause(errno: i32) -> String {
    let text = std::io::Error::from_raw_os_error(errno).to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

/// What is remembered of addresses that have left the FDB is forgotten once it is a good part of all.
fn forget(gateway: &Gateway) {
    let fdb = &gateway.shared.fdb;
    gateway.news().history.retain(|domain, mac| fdb.lookup(fdb.key(domain, mac), 0, u16::MAX).is_some());
}
