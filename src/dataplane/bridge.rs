//! Bridge: learn where the source lives, look up where the destination does, else flood with split horizon.

use std::net::IpAddr;
use std::sync::atomic::Ordering;

use transload_encaps::{Common, DropReason, Frame, Mac, ethernet};

use super::Now;
use super::burst::{Burst, Decision, Note, Stranger};
use super::digest::digest;
use super::loop_guard::{self, Sight};
use super::rate;
use super::trace::Tracer;
use crate::counters::{Counters, DomainCounters};
use crate::events::{Event, Sender};
use crate::fdb::{Fdb, Key, Learned};
use crate::forwarding::{Attachment, Claim, Domain, DomainState, Forwarding, Target};

/// IEEE 802.1Q table 8-1: addresses that no bridge forwards, the last four bits any.
const LINK_LOCAL: u64 = 0x0180_c200_0000;

/// Nanoseconds between news of unknown senders of one tenant at the full allowed rate.
const STRANGER_INTERVAL: u64 = 10_000_000;

/// What the bridge reads and writes besides the frames.
pub(super) struct Bridge<'a, T> {
    /// The frozen tables.
    pub tables: &'a Forwarding,
    /// Where MACs live.
    pub fdb: &'a Fdb,
    /// What this worker counts.
    pub counters: &'a Counters,
    /// Who wants to know of new and moved MACs.
    pub events: &'a mut Sender,
    /// The time of this burst.
    pub now: Now,
    /// Who looks on.
    pub tracer: &'a mut T,
}

/// The FDB keys of a frame's source and destination.
type Keys = (Key, Key);

/// Decides where every frame of a burst goes.
#[inline(never)]
pub(super) fn bridge<T: Tracer>(burst: &mut Burst<'_>, with: &mut Bridge<'_, T>) {
    let mut keys = [None; Burst::LEN];
    for (slot, (frame, note)) in keys.iter_mut().zip(burst.frames.iter().zip(&burst.notes)) {
        *slot = with.keys(frame, note);
    }
    // Every bucket is asked for before the first one is needed, and with nothing in between, so that their cache misses
    // overlap.
    for &(source, destination) in keys.iter().flatten() {
        with.fdb.touch(source);
        with.fdb.touch(destination);
    }
    let mut last = None;
    let mut strangers = burst.strangers.iter().peekable();
    for (n, (keys, (frame, note))) in keys.iter().zip(burst.frames.iter().zip(&mut burst.notes)).enumerate() {
        let stranger = strangers.next_if(|stranger| stranger.frame == n);
        if let (Some(keys), Some(claim)) = (keys, note.claim) {
            let ingress = with.ingress(claim, &mut last);
            match ingress.and_then(|ingress| with.decide(frame, note, &ingress, keys, stranger)) {
                Ok(decision) => note.decision = decision,
                Err(reason) => note.drop(reason),
            }
        }
    }
}

/// Where a frame came in.
#[derive(Clone, Copy)]
struct Ingress<'a> {
    claim: Claim,
    domain: &'a Domain,
    attachment: &'a Attachment,
    /// The gateway's own address in the tenant.
    own: u64,
}

impl<'a, T: Tracer> Bridge<'a, T> {
    #[inline]
    fn keys(&self, frame: &Frame<'_>, note: &Note) -> Option<Keys> {
        let claim = note.claim.filter(|_| note.is_pending())?;
        let (destination, source) = ethernet::addresses(frame.bytes())?;
        Some((self.fdb.key_of_bits(claim.domain, source), self.fdb.key_of_bits(claim.domain, destination)))
    }

    /// What the tables say of a claim; `last` is the frame's before.
    #[inline]
    fn ingress(&self, claim: Claim, last: &mut Option<Ingress<'a>>) -> Result<Ingress<'a>, DropReason> {
        if let Some(ingress) = last.filter(|ingress| ingress.claim == claim) {
            return Ok(ingress);
        }
        let domain = self.tables.domain(claim.domain).ok_or(Common::UnknownSegment)?;
        let attachment = domain.attachment(claim.attachment).ok_or(Common::UnknownSegment)?;
        let own = self.tables.own_macs.domain(claim.domain).ok_or(Common::UnknownSegment)?.to_bits();
        Ok(*last.insert(Ingress { claim, domain, attachment, own }))
    }

    #[inline]
    fn decide(
        &mut self,
        frame: &Frame<'_>,
        note: &Note,
        ingress: &Ingress<'_>,
        &(source_key, destination_key): &Keys,
        stranger: Option<&Stranger>,
    ) -> Result<Decision, DropReason> {
        let Ingress { claim, domain, attachment: ingress, own } = *ingress;
        let (source, destination) = (source_key.mac_bits(), destination_key.mac_bits());
        if Mac::is_group_bits(source) || source == 0 {
            return Err(Common::BadSource.into());
        }
        if source == own {
            return Err(Common::FromOwnMac.into());
        }
        let is_control = destination & !0xf == LINK_LOCAL;
        if is_control && !ingress.tunnels_l2cp {
            return Err(Common::L2Control.into());
        }
        let origin = Target { attachment: claim.attachment, peer: note.origin.peer };
        let is_group = Mac::is_group_bits(destination);
        let found = if is_group { None } else { self.fdb.lookup(destination_key, self.now.tick(), domain.ageing) };
        let known = found.and_then(|target| Some((target, self.exists(domain, target)?)));
        let may_flood = is_group || domain.flood_unknown;
        let teaches = if known.is_none() && may_flood && domain.loop_hold != 0 {
            self.watch(frame, Mac::from_bits(source), origin, claim, domain)
        } else {
            Some(origin)
        };
        if !domain.learning {
            self.tracer.source(Mac::from_bits(source), origin, None);
        } else if let Some(home) = teaches {
            match stranger.filter(|_| home == origin) {
                None => self.learn(source_key, home, claim, domain),
                Some(stranger) => self.meet(stranger.address, Mac::from_bits(source), origin, claim, domain),
            }
        }
        self.tracer.destination(Mac::from_bits(destination), found);
        match known {
            // Its own place was looked up before it was learned.
            _ if destination == source => Err(Common::SameAttachment.into()),
            Some((target, egress)) => to_known(origin, ingress, target, egress),
            // Never learned, so always unknown.
            None if destination == own => Err(Common::ToOwnMac.into()),
            None if !may_flood => Err(Common::UnknownUnicastOff.into()),
            None if !rate::within(&domain.state.bum_due, domain.bum_interval, self.now) => Err(Common::BumLimit.into()),
            None => {
                if let Some(counters) = self.counters.domain(claim.domain) {
                    counters.flooded.add(1);
                }
                Ok(if is_control { Decision::FloodControl } else { Decision::Flood })
            }
        }
    }

    /// Looks whether a BUM frame runs round a loop; says behind which target its source is to be learned, if at all.
    #[inline(never)]
    fn watch(
        &mut self,
        frame: &Frame<'_>,
        source: Mac,
        origin: Target,
        claim: Claim,
        domain: &Domain,
    ) -> Option<Target> {
        let loops = &domain.state.loops;
        let most = u8::from(!loop_guard::is_holding(loops, self.now));
        match loop_guard::see(loops, digest(frame.bytes()), origin, self.now) {
            Sight::Seen { changes } => (changes <= most).then_some(origin),
            Sight::Loop { other, home } => {
                let horizon = |id| domain.attachment(id).map(|attachment| attachment.horizon);
                // What never feeds each other does not make a loop of us.
                if horizon(other) != horizon(origin.attachment)
                    && loop_guard::hold(loops, origin.attachment, other, domain.loop_hold, self.now)
                {
                    self.count(claim, |counters| &counters.loops);
                    let between = [origin.attachment.min(other), origin.attachment.max(other)];
                    self.events.send(Event::Loop { domain: claim.domain, between, mac: source, at: self.now.nanos });
                }
                home.filter(|home| self.tables.peer(home.peer).is_some_and(|peer| !peer.is_anonymous))
            }
        }
    }

    /// A source behind a sender that has no number: it is learned once control has given it one.
    #[cold]
    fn meet(&mut self, address: IpAddr, mac: Mac, origin: Target, claim: Claim, domain: &Domain) {
        self.tracer.stranger(mac, address);
        if rate::within(&domain.state.stranger_due, STRANGER_INTERVAL, self.now) {
            let (anonymous, domain, at) = (origin.peer, claim.domain, self.now.nanos);
            self.events.send(Event::Stranger { anonymous, address, domain, at });
        }
    }

    /// The attachment of a target, if a reload has not taken it, or the peer behind it, away.
    #[inline]
    fn exists<'d>(&self, domain: &'d Domain, target: Target) -> Option<&'d Attachment> {
        self.tables.peer(target.peer)?;
        domain.attachment(target.attachment)
    }

    #[inline]
    fn learn(&mut self, key: Key, to: Target, claim: Claim, domain: &Domain) {
        let admit = || admit(&domain.state, domain.mac_limit);
        let learned = self.fdb.learn(key, to, self.now.tick(), admit);
        self.tracer.source(key.mac(), to, Some(learned));
        let from = match learned {
            Learned::Known | Learned::Static | Learned::Busy => return,
            Learned::New => None,
            Learned::Moved { from } => Some(from),
            Learned::Held => return self.count(claim, |counters| &counters.held_moves),
            Learned::Full => return self.count(claim, |counters| &counters.table_full),
            Learned::Refused => return self.count(claim, |counters| &counters.over_mac_limit),
        };
        self.count(claim, |counters| if from.is_some() { &counters.moved } else { &counters.learned });
        self.events.send(Event::Heard { domain: claim.domain, mac: key.mac(), to, from, at: self.now.nanos });
    }

    fn count(&self, claim: Claim, which: impl FnOnce(&DomainCounters) -> &crate::counters::Counter) {
        if let Some(counters) = self.counters.domain(claim.domain) {
            which(counters).add(1);
        }
    }
}

/// A unicast frame whose destination is known: one place, unless split horizon forbids it.
#[inline]
fn to_known(origin: Target, ingress: &Attachment, target: Target, egress: &Attachment) -> Result<Decision, DropReason> {
    if target == origin {
        return Err(Common::SameAttachment.into());
    }
    if egress.horizon == ingress.horizon {
        return Err(Common::SplitHorizon.into());
    }
    Ok(Decision::To(target))
}

/// Takes a place for one more MAC of a tenant, if its limit leaves one.
fn admit(state: &DomainState, limit: u32) -> bool {
    state.macs.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |macs| (macs < limit).then_some(macs + 1)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mac_limit_counts_places() {
        let state = DomainState::default();
        assert_eq!([admit(&state, 2), admit(&state, 2), admit(&state, 2)], [true, true, false]);
    }
}
