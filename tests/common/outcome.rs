//! All that a gateway's frames leave behind besides the frames that leave: counters, the FDB, what tenants remember, what
//! control is told. Two gateways that handled the same frames are compared by it.

use std::fmt::Write;
use std::sync::atomic::Ordering::Relaxed;

use transload::compile::Names;
use transload::counters::{AttachmentCounters, Both, Counters, DomainCounters, MappingCounters, TrafficCounter};
use transload::events::Event;
use transload::fdb::Entry;
use transload::forwarding::{
    AttachmentId, BumDue, Claim, DomainId, DomainState, Forwarding, LoopMemory, MappingId, PeerId, PortId, Watched,
};
use transload_encaps::DropReason;

use super::twin::Twin;

/// All that is left behind at one moment.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    numbers: Vec<(Owner, &'static str, u64)>,
    fdb: Vec<Entry>,
    /// What has happened since the outcome before, in its order: what workers told control, and control people.
    events: Vec<Event>,
    news: Vec<String>,
}

/// The part of a gateway that a count belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    Worker,
    /// What was carried although a stricter gateway would have dropped it.
    Tolerance,
    /// Copies and segments that did not leave while others did.
    Copies,
    Port(PortId),
    Peer(PeerId),
    Tenant(DomainId),
    Attachment(Claim),
    Mapping(MappingId),
}

impl Outcome {
    pub fn of(twin: &mut Twin<'_>) -> Self {
        let (events, news) = twin.heard();
        let mut numbers = Numbers(Vec::new());
        numbers.worker(twin);
        numbers.counters(twin.worker.counters());
        numbers.memory(&twin.rib.shared().forwarding.load());
        let mut fdb = Vec::new();
        twin.rib.shared().fdb.for_each(|entry| fdb.push(entry));
        Self { numbers: numbers.0, fdb, events, news }
    }

    /// In what this outcome, of fast paths, differs from that of the full path; `None` if in nothing.
    pub fn difference(&self, full: &Self, names: &Names) -> Option<String> {
        if self == full {
            return None;
        }
        let mut text = String::new();
        let number = |(owner, what, value): &(Owner, &str, u64)| format!("{}: {what} {value}", owner.name(names));
        tell(&mut text, &self.numbers, &full.numbers, number);
        let entry = |entry: &Entry| {
            let (tenant, target) = (names.domain(entry.domain), entry.target);
            let attachment = names.attachment(entry.domain, target.attachment);
            format!("FDB: {tenant} {} {attachment} {} {entry:?}", entry.mac, names.peer(target.peer))
        };
        tell(&mut text, &self.fdb, &full.fdb, entry);
        tell(&mut text, &self.events, &full.events, |event| format!("event: {event:?}"));
        tell(&mut text, &self.news, &full.news, |news| format!("news: {news}"));
        Some(if text.is_empty() { "events, or entries of the FDB, in another order".into() } else { text })
    }
}

/// Writes down what only one of both has.
fn tell<T: PartialEq>(text: &mut String, fast: &[T], full: &[T], say: impl Fn(&T) -> String) {
    for (only, these, others) in [("fast path", fast, full), ("full path", full, fast)] {
        for this in these.iter().filter(|this| !others.contains(this)) {
            let _ = writeln!(text, "  {only} only: {}", say(this));
        }
    }
}

impl Owner {
    fn name(self, names: &Names) -> String {
        match self {
            Self::Worker => "worker".into(),
            Self::Tolerance => "tolerated".into(),
            Self::Port(id) => format!("port {}", names.port(id)),
            Self::Peer(id) => format!("peer {}", names.peer(id)),
            Self::Tenant(id) => format!("tenant {}", names.domain(id)),
            Self::Attachment(Claim { domain, attachment }) => {
                format!("attachment {} of {}", names.attachment(domain, attachment), names.domain(domain))
            }
            Self::Mapping(id) => format!("mapping {}", names.mapping(id)),
            Self::Copies => "copies".into(),
        }
    }
}

/// Numbers that are not zero, in a fixed order.
struct Numbers(Vec<(Owner, &'static str, u64)>);

impl Numbers {
    fn add(&mut self, owner: Owner, what: &'static str, value: u64) {
        if value > 0 {
            self.0.push((owner, what, value));
        }
    }

    fn traffic(&mut self, owner: Owner, [frames, bytes]: [&'static str; 2], counter: &TrafficCounter) {
        self.add(owner, frames, counter.frames.get());
        self.add(owner, bytes, counter.bytes.get());
    }

    fn both(&mut self, owner: Owner, Both { rx, tx, dropped, unsent, flooded }: &Both) {
        self.traffic(owner, ["frames received", "bytes received"], rx);
        self.traffic(owner, ["frames sent", "bytes sent"], tx);
        self.add(owner, "frames dropped", dropped.get());
        self.add(owner, "frames not sent", unsent.get());
        self.add(owner, "flooded frames sent", flooded.get());
    }

    fn worker(&mut self, twin: &Twin<'_>) {
        self.add(Owner::Worker, "free chunks", twin.worker.free_chunks() as u64);
        self.add(Owner::Worker, "events lost", twin.events_lost());
        for (id, handle) in twin.ports() {
            let sent = handle.sent();
            self.add(Owner::Port(id), "frames taken by the device", sent.frames.into());
            self.add(Owner::Port(id), "bytes taken by the device", sent.bytes);
            self.add(Owner::Port(id), "frames refused: busy", sent.busy.into());
            self.add(Owner::Port(id), "frames refused: down", sent.down.into());
            self.add(Owner::Port(id), "frames not yet received", handle.waiting() as u64);
        }
    }

    fn counters(&mut self, counters: &Counters) {
        for reason in DropReason::all() {
            self.add(Owner::Worker, reason.label(), counters.drops(reason).unwrap().get());
            self.add(Owner::Copies, reason.label(), counters.copy_drops(reason).unwrap().get());
            self.add(Owner::Tolerance, reason.label(), counters.tolerated(reason).unwrap().get());
        }
        for (id, port) in (0..).map(PortId::new).map_while(|id| Some((id, counters.port(id)?))) {
            self.both(Owner::Port(id), port);
            self.add(Owner::Port(id), "frames lost by the device", counters.lost(id).unwrap().get());
            for reason in DropReason::all() {
                self.add(Owner::Port(id), reason.label(), counters.drops_at(id, reason).unwrap().get());
            }
        }
        for (id, peer) in (0..).map(PeerId::new).map_while(|id| Some((id, counters.peer(id)?))) {
            self.both(Owner::Peer(id), peer);
        }
        for (id, domain) in (0..).map(DomainId::new).map_while(|id| Some((id, counters.domain(id)?))) {
            self.domain(id, domain);
        }
        for (id, mapping) in (0..).map(MappingId::new).map_while(|id| Some((id, counters.mapping(id)?))) {
            let MappingCounters { sent: [from, to], holes, copies, too_big_answers, dropped } = mapping;
            self.traffic(Owner::Mapping(id), ["frames sent to `from`", "bytes sent to `from`"], from);
            self.traffic(Owner::Mapping(id), ["frames sent to `to`", "bytes sent to `to`"], to);
            self.add(Owner::Mapping(id), "holes", holes.get());
            self.add(Owner::Mapping(id), "copies", copies.get());
            self.add(Owner::Mapping(id), "answers", too_big_answers.get());
            self.add(Owner::Mapping(id), "frames dropped", dropped.get());
        }
    }

    fn domain(&mut self, id: DomainId, counters: &DomainCounters) {
        for (number, AttachmentCounters { rx, tx, dropped }) in (0..).zip(counters.attachments()) {
            let owner = Owner::Attachment(Claim { domain: id, attachment: AttachmentId::new(number) });
            self.traffic(owner, ["frames received", "bytes received"], rx);
            self.traffic(owner, ["frames sent", "bytes sent"], tx);
            self.add(owner, "frames or copies dropped", dropped.get());
        }
        let DomainCounters { flooded, too_big_answers, learned, moved, held_moves, .. } = counters;
        let DomainCounters { loops, over_mac_limit, table_full, copies, copies_dropped, .. } = counters;
        for (what, counter) in [
            ("flooded", flooded),
            ("copies", copies),
            ("answers", too_big_answers),
            ("learned", learned),
            ("moved", moved),
            ("held moves", held_moves),
            ("loops", loops),
            ("over the MAC limit", over_mac_limit),
            ("table full", table_full),
            ("copies dropped", copies_dropped),
        ] {
            self.add(Owner::Tenant(id), what, counter.get());
        }
    }

    /// What tenants and mappings remember from frame to frame.
    fn memory(&mut self, tables: &Forwarding) {
        for (id, domain) in tables.domains.iter() {
            let owner = Owner::Tenant(id);
            let DomainState { macs, icmp_due, unknown_sender_due, shortage_due, loops } = &*domain.state;
            self.add(owner, "MACs", macs.load(Relaxed).into());
            for attachment in domain.attachments.values() {
                let BumDue { broadcast, multicast, unknown_unicast, neighbours } = &*attachment.bum_due;
                for due in [broadcast, multicast, unknown_unicast, neighbours] {
                    self.add(owner, "copies due", due.load(Relaxed));
                }
            }
            self.add(owner, "ICMP errors due", icmp_due.load(Relaxed));
            self.add(owner, "reports of unknown senders due", unknown_sender_due.load(Relaxed));
            self.add(owner, "reports of shortages due", shortage_due.load(Relaxed));
            let LoopMemory { watched, held, held_until } = loops;
            self.add(owner, "loops held until", held_until.load(Relaxed));
            for pair in held {
                self.add(owner, "a held pair", pair.load(Relaxed));
            }
            for Watched { track, home, sides } in watched {
                self.add(owner, "track of a watched frame", track.load(Relaxed));
                self.add(owner, "home of a watched frame", home.load(Relaxed));
                self.add(owner, "sides of a watched frame", sides.load(Relaxed));
            }
        }
        for (id, mapping) in tables.mappings.all.iter() {
            self.add(Owner::Mapping(id), "ICMP errors due", mapping.icmp_due.load(Relaxed));
        }
    }
}
