//! What the log says of events and news, in names instead of numbers.

use crate::events::{Event, Shortage};
use crate::forwarding::{DomainId, Target};
use crate::rib::history::Duplicate;
use crate::rib::{News, Rib};

/// What a worker reports.
pub(super) fn event(rib: &Rib, event: &Event) {
    let names = rib.names();
    match *event {
        Event::Heard { domain, mac, to, from, .. } => {
            let tenant = names.domain(domain);
            let (at, via) = (names.attachment(domain, to.attachment), names.peer(to.peer));
            match from {
                None => tracing::debug!("{tenant}: {mac} is behind {at} ({via})"),
                Some(from) => {
                    let (before, way) = (names.attachment(domain, from.attachment), names.peer(from.peer));
                    tracing::info!("{tenant}: {mac} moved from {before} ({way}) to {at} ({via})");
                }
            }
        }
        Event::Loop { domain, between, is_proved, mac, .. } => {
            let tenant = names.domain(domain);
            let [a, b] = between.map(|id| names.attachment(domain, id));
            if is_proved {
                tracing::warn!(
                    "{tenant}: {a} and {b} are joined in a loop: what {mac} broadcasts comes in by both; broadcast, unknown \
                     and multicast frames do not pass between the two for now, known unicast does"
                );
            } else {
                tracing::warn!(
                    "{tenant}: what {mac} broadcasts keeps coming back by {a} and {b}, from an echo or a loop; for two \
                     seconds, or until that is known, broadcast, unknown and multicast frames do not pass between the two"
                );
            }
        }
        Event::Shortage { .. } | Event::UnknownSender { .. } | Event::PortFailed { .. } | Event::PortBack { .. } => {}
    }
}

/// What the RIB reports.
pub(super) fn news(rib: &Rib, news: &News) {
    let names = rib.names();
    match news {
        News::Duplicate(duplicate) => warn_of(rib, duplicate),
        News::Released { domain, mac } => tracing::info!("{}: {mac} may move again", names.domain(*domain)),
        News::PeerLearned { name } => tracing::info!("peer {name}: learned from what it sends"),
        News::GroupFull { group, refused } => tracing::warn!(
            "group {group}: {refused} senders are not learned, since `max_learned` is reached; their frames are \
             carried, but answers to them are flooded"
        ),
        News::PeersForgotten(count) => {
            tracing::info!("{count} learned peers removed, silent and without MAC addresses");
        }
        News::PathMtu { peer, from, mtu } => {
            tracing::info!("peer {}: {from} carries packets of {mtu} bytes at most: the path MTU", names.peer(*peer));
        }
        News::Unreachable { peer, from, what } => tracing::warn!("peer {}: {from} answers: {what}", names.peer(*peer)),
        News::Shortage { domain, of } => warn_of_shortage(rib, *domain, *of),
        News::NoRoom(entry) => {
            let tenant = names.domain(entry.domain);
            tracing::error!("{tenant}: the MAC table has no room for the static address {}", entry.mac);
        }
        News::PortFailed { port, cause } => {
            tracing::warn!(
                "port {}: {cause}; the other ports go on, and it is retried every second",
                names.port(*port)
            );
        }
        News::PortWorks { port } => tracing::info!("port {} works again", names.port(*port)),
    }
}

fn warn_of(rib: &Rib, duplicate: &Duplicate) {
    let Duplicate { domain, mac, held_at, last, policy } = *duplicate;
    let names = rib.names();
    let seconds = |nanos: u64| nanos / 1_000_000_000;
    let place =
        |target: Target| format!("{} ({})", names.attachment(domain, target.attachment), names.peer(target.peer));
    tracing::warn!(
        "{}: {mac} moved {} times within {} s, last from {} to {}: two hosts seem to have it; it stays behind {}, where \
         it was for the longest, for {} s",
        names.domain(domain),
        policy.moves,
        seconds(policy.within),
        place(last.from),
        place(last.to),
        place(held_at),
        seconds(policy.hold)
    );
}

fn warn_of_shortage(rib: &Rib, domain: DomainId, of: Shortage) {
    let tenant = rib.names().domain(domain);
    let tables = &rib.plan().tables;
    let Some(state) = tables.domain(domain) else { return };
    match of {
        Shortage::Limit => tracing::warn!(
            "{tenant}: it has the {} MAC addresses that its limit allows: further ones are not learned, and frames to them \
             are flooded; raise `limits: {{ macs: .. }}` if these are hosts",
            state.mac_limit
        ),
        Shortage::Table => tracing::warn!(
            "{tenant}: the MAC table has no more room for it: further addresses are not learned, and frames to them are \
             flooded; {} are its own, and beyond them it gets what others leave; raise `fdb: {{ capacity: .. }}` (now {}), \
             or lower the limits of others",
            state.mac_reserve,
            rib.plan().settings.fdb_capacity
        ),
    }
}
