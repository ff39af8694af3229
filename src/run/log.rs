//! What is told of the workers' events and of news, in names instead of numbers.

use crate::events::{Event, Shortage};
use crate::forwarding::DomainId;
use crate::logging::LogEvent;
use crate::rib::history::Duplicate;
use crate::rib::{News, Rib};

/// What a worker reports.
pub(super) fn event(rib: &Rib, event: &Event) {
    let names = rib.names();
    match *event {
        Event::Heard { domain, mac, to, from, .. } => {
            let tenant = &*names.domain(domain);
            let (to, to_via) = (&*names.attachment(domain, to.attachment), &*names.peer(to.peer));
            match from {
                None => LogEvent::MacLearned { tenant, mac, to, to_via }.tell(),
                Some(from) => {
                    let (from, from_via) = (&*names.attachment(domain, from.attachment), &*names.peer(from.peer));
                    LogEvent::MacMoved { tenant, mac, from, from_via, to, to_via }.tell();
                }
            }
        }
        Event::Loop { domain, between, is_proved, mac, .. } => {
            let tenant = &*names.domain(domain);
            let [a, b] = between.map(|id| names.attachment(domain, id));
            let between = [&*a, &*b];
            if is_proved {
                LogEvent::LoopFound { tenant, between, mac }.tell();
            } else {
                LogEvent::LoopSuspected { tenant, between, mac }.tell();
            }
        }
        Event::Shortage { .. } | Event::UnknownSender { .. } | Event::PortFailed { .. } | Event::PortBack { .. } => {}
    }
}

/// What the RIB reports.
pub(super) fn news(rib: &Rib, news: &News) {
    let names = rib.names();
    match news {
        News::Duplicate(duplicate) => held(rib, duplicate),
        News::Released { domain, mac } => {
            LogEvent::MacReleased { tenant: &names.domain(*domain), mac: *mac }.tell();
        }
        News::LoopEnded { domain, between } => {
            let [a, b] = between.map(|id| names.attachment(*domain, id));
            LogEvent::LoopEnded { tenant: &names.domain(*domain), between: [&*a, &*b] }.tell();
        }
        News::PeerLearned { name } => LogEvent::PeerLearned { peer: name }.tell(),
        News::GroupFull { group, refused } => LogEvent::GroupFull { group, count: *refused }.tell(),
        News::PeersForgotten { count, names } => LogEvent::PeerForgotten { count: *count, peers: names }.tell(),
        News::PathMtu { peer, from, mtu } => {
            LogEvent::PathMtuLowered { peer: &names.peer(*peer), address: *from, mtu: *mtu }.tell();
        }
        News::Unreachable { peer, from, what } => {
            LogEvent::PeerUnreachable { peer: &names.peer(*peer), address: *from, why: what }.tell();
        }
        News::Silence { peer, is_silent: true } => LogEvent::PeerSilent { peer: &names.peer(*peer) }.tell(),
        News::Silence { peer, is_silent: false } => LogEvent::PeerHeard { peer: &names.peer(*peer) }.tell(),
        News::Shortage { domain, of } => shortage(rib, *domain, *of),
        News::NoRoom(entry) => {
            LogEvent::StaticMacRefused { tenant: &names.domain(entry.domain), mac: entry.mac }.tell();
        }
        News::PortFailed { port, cause } => LogEvent::PortFailed { port: &names.port(*port), why: cause }.tell(),
        News::PortWorks { port } => LogEvent::PortRecovered { port: &names.port(*port) }.tell(),
    }
}

fn held(rib: &Rib, duplicate: &Duplicate) {
    let Duplicate { domain, mac, held_at, last, policy } = *duplicate;
    let names = rib.names();
    let seconds = |nanos: u64| nanos / 1_000_000_000;
    let [from, to, stays] = [last.from, last.to, held_at];
    LogEvent::MacHeld {
        tenant: &names.domain(domain),
        mac,
        moves: policy.moves.into(),
        within: seconds(policy.within),
        from: &names.attachment(domain, from.attachment),
        from_via: &names.peer(from.peer),
        to: &names.attachment(domain, to.attachment),
        to_via: &names.peer(to.peer),
        held_at: &names.attachment(domain, stays.attachment),
        held_via: &names.peer(stays.peer),
        seconds: seconds(policy.hold),
    }
    .tell();
}

fn shortage(rib: &Rib, domain: DomainId, of: Shortage) {
    let tenant = &*rib.names().domain(domain);
    let Some(state) = rib.plan().tables.domain(domain) else { return };
    match of {
        Shortage::Limit => LogEvent::MacLimitReached { tenant, limit: state.mac_limit }.tell(),
        Shortage::Table => {
            let capacity = rib.plan().settings.fdb_capacity;
            LogEvent::MacTableFull { tenant, reserve: state.mac_reserve, capacity }.tell();
        }
    }
}
