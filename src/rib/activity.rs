//! Activity: what the workers' counters say of the last seconds. Rates; when something was heard last; and for how long a
//! peer has been silent.
//!
//! The counters are looked at from outside, a part of them at a time, and everything once in [`PARTS`] times: who counts
//! frames does nothing for it. A look is as long ago as a second, so that this is how exact times are.

mod recent;

use std::sync::Arc;

use crate::counters::Counters;
use crate::dataplane::Now;
use crate::forwarding::{AttachmentId, Claim, DomainId, PeerId, PortId, RowId};

pub use recent::{MEMORY, Recent, SILENCE, TrafficRates};
use recent::{Sums, WINDOW};

/// In so many parts everything is looked at, one part at a time.
pub const PARTS: usize = 10;
/// What happened in the last seconds.
#[derive(Debug, Default)]
pub struct Activity {
    /// The part that is looked at next.
    part: usize,
    ports: Vec<Recent>,
    peers: Vec<Recent>,
    /// By domain, and in it by attachment; without any until something was counted.
    domains: Vec<Vec<Recent>>,
    /// By worker, an older moment and a newer one: nanoseconds that it had worked, and had been busy.
    workers: Vec<[[u64; 2]; 2]>,
}

impl Activity {
    /// Looks at the next part of what was counted. To be called [`PARTS`] times a second. Returns which peers have fallen
    /// silent (`true`) or were heard again.
    pub(super) fn look(&mut self, counters: &[Arc<Counters>], now: Now) -> Vec<(PeerId, bool)> {
        let (part, now) = (self.part, now.nanos);
        self.part = (part + 1) % PARTS;
        let Some(first) = counters.first() else { return Vec::new() };
        let (peers, domains) = first.room();
        let ports = (0..usize::from(u16::MAX)).take_while(|at| first.port(PortId::from_index(*at)).is_some()).count();
        self.ports.resize(ports, Recent::new(now));
        self.peers.resize(peers, Recent::new(now));
        self.domains.resize_with(domains, Vec::new);
        for (at, recent) in of_part(&mut self.ports, part) {
            recent.look(port_sums(counters, PortId::from_index(at)), now);
        }
        let mut turned = Vec::new();
        for (at, recent) in of_part(&mut self.peers, part) {
            let id = PeerId::from_index(at);
            recent.look(peer_sums(counters, id), now);
            turned.extend(recent.turns_silent(now).map(|is_silent| (id, is_silent)));
        }
        for (at, attachments) in of_part(&mut self.domains, part) {
            look_at_attachments(attachments, counters, DomainId::from_index(at), now);
        }
        if part == 0 {
            self.workers.resize(counters.len(), [[0; 2]; 2]);
            for (samples, counters) in self.workers.iter_mut().zip(counters) {
                let [_, newer] = *samples;
                let work = work_of(counters);
                if work[0].saturating_sub(newer[0]) >= WINDOW {
                    *samples = [newer, work];
                }
            }
        }
        turned
    }

    /// The last seconds of a peer, if it has been looked at.
    #[must_use]
    pub fn peer(&self, id: PeerId) -> Option<&Recent> {
        self.peers.get(id.index())
    }

    /// The last seconds of an attachment, if anything was ever counted.
    #[must_use]
    pub fn attachment(&self, claim: Claim) -> Option<&Recent> {
        self.domains.get(claim.domain.index())?.get(claim.attachment.index())
    }

    /// The rates of a port.
    #[must_use]
    pub fn port_rates(&self, id: PortId, counters: &[Arc<Counters>], now: Now) -> TrafficRates {
        let recent = self.ports.get(id.index());
        recent.map_or_else(TrafficRates::default, |recent| recent.rates(port_sums(counters, id), now.nanos))
    }

    /// The rates of a peer.
    #[must_use]
    pub fn peer_rates(&self, id: PeerId, counters: &[Arc<Counters>], now: Now) -> TrafficRates {
        let recent = self.peer(id);
        recent.map_or_else(TrafficRates::default, |recent| recent.rates(peer_sums(counters, id), now.nanos))
    }

    /// The rates of an attachment.
    #[must_use]
    pub fn attachment_rates(&self, claim: Claim, counters: &[Arc<Counters>], now: Now) -> TrafficRates {
        let recent = self.attachment(claim);
        recent.map_or_else(TrafficRates::default, |recent| recent.rates(attachment_sums(counters, claim), now.nanos))
    }

    /// The part of the last seconds, in thousandths, in which a worker had frames in hand.
    #[must_use]
    pub fn busy(&self, worker: usize, counters: &Counters) -> u64 {
        let before = self.workers.get(worker).map_or([0; 2], |samples| samples[0]);
        let work = work_of(counters);
        let [time, busy] = [0, 1].map(|at| work[at].saturating_sub(before[at]));
        busy.saturating_mul(1_000).checked_div(time).unwrap_or(0).min(1_000)
    }

    /// Forgets peers whose numbers are free.
    pub(super) fn forget_peer(&mut self, id: PeerId) {
        forget(self.peers.get_mut(id.index()));
    }

    /// Forgets tenants whose numbers are free.
    pub(super) fn forget_domain(&mut self, id: DomainId) {
        self.domains.get_mut(id.index()).into_iter().for_each(|attachments| *attachments = Vec::new());
    }

    /// Forgets attachments whose numbers are free.
    pub(super) fn forget_attachment(&mut self, claim: Claim) {
        let attachments = self.domains.get_mut(claim.domain.index());
        forget(attachments.and_then(|attachments| attachments.get_mut(claim.attachment.index())));
    }
}

fn forget(recent: Option<&mut Recent>) {
    if let Some(recent) = recent {
        recent.forget();
    }
}

fn look_at_attachments(recents: &mut Vec<Recent>, counters: &[Arc<Counters>], domain: DomainId, now: u64) {
    let all = counters.iter().filter_map(|counters| Some(counters.domain(domain)?.attachments().count()));
    for at in 0..all.max().unwrap_or(0) {
        let claim = Claim { domain, attachment: AttachmentId::from_index(at) };
        let sums = attachment_sums(counters, claim);
        if at >= recents.len() {
            // Of most tenants of many nothing is counted, and nothing has to be kept.
            if sums == Sums::default() {
                continue;
            }
            recents.resize(at + 1, Recent::new(now));
        }
        if let Some(recent) = recents.get_mut(at) {
            recent.look(sums, now);
        }
    }
}

/// The items of a part, with their indices.
fn of_part<T>(all: &mut [T], part: usize) -> impl Iterator<Item = (usize, &mut T)> {
    let [start, end] = [part, part + 1].map(|part| all.len() * part / PARTS);
    all.iter_mut().enumerate().take(end).skip(start)
}

fn port_sums(counters: &[Arc<Counters>], id: PortId) -> Sums {
    Sums::of_both(counters.iter().filter_map(|counters| counters.port(id)))
}

fn peer_sums(counters: &[Arc<Counters>], id: PeerId) -> Sums {
    Sums::of_both(counters.iter().filter_map(|counters| counters.peer(id)))
}

fn attachment_sums(counters: &[Arc<Counters>], claim: Claim) -> Sums {
    Sums::of_attachment(counters.iter().filter_map(|counters| counters.attachment(claim)))
}

fn work_of(counters: &Counters) -> [u64; 2] {
    [counters.work.time.get(), counters.work.busy.get()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_all_parts_everything_is_there_once() {
        for len in [0, 1, 9, 10, 11, 1_234] {
            let mut all: Vec<usize> = (0..len).collect();
            let parts =
                (0..PARTS).flat_map(|part| of_part(&mut all.clone(), part).map(|item| item.0).collect::<Vec<_>>());
            assert_eq!(parts.collect::<Vec<_>>(), all);
            all.clear();
        }
    }
}
