//! Bridge: learn where the source lives, look up where the destination does, else flood with split horizon.

use std::net::IpAddr;
use std::sync::atomic::Ordering;

use transload_encaps::l2cp::ControlGroups;
use transload_encaps::{Common, DropReason, Frame, Mac, ethernet};

use super::burst::{Burst, Keys, unknown_sender};
use super::digest::digest;
use super::loop_guard::{self, Sight};
use super::memo::Memo;
use super::note::{Decision, FrameKind};
use super::trace::Tracer;
use super::{Now, bum, rate};
use crate::counters::{Counter, Counters, DomainCounters};
use crate::events::{Event, EventSender, Shortage};
use crate::fdb::{Fdb, Key, LearnOutcome, MAX_AGEING, MacLocation, View};
use crate::forwarding::{Attachment, AttachmentId, Claim, Domain, DomainId, Forwarding, PeerId, Target};
use crate::io::prefetch;

/// Nanoseconds between reports of unknown senders of one tenant at the full allowed rate.
const UNKNOWN_SENDER_INTERVAL: u64 = 10_000_000;

/// Nanoseconds between reports that a tenant's MAC addresses are not learned for want of room.
const SHORTAGE_INTERVAL: u64 = 10_000_000_000;

/// What the bridge stage reads and writes besides the burst.
pub(super) struct Bridge<'a, T> {
    /// The frozen tables.
    pub tables: &'a Forwarding,
    /// The FDB: the place of every MAC address.
    pub fdb: &'a Fdb,
    /// This worker's counters.
    pub counters: &'a Counters,
    /// The ring to the control plane, for new and moved MACs, loops and unknown senders.
    pub events: &'a mut EventSender,
    /// The time of this burst.
    pub now: Now,
    /// The observer of the stages.
    pub tracer: &'a mut T,
}

/// Decides where every tenant's frame of a burst goes.
#[inline(never)]
pub(super) fn bridge<T: Tracer>(burst: &mut Burst<'_>, with: &mut Bridge<'_, T>) {
    let Burst { frames, notes, keys, unknown_senders, .. } = burst;
    let view = with.fdb.view();
    keys.clear();
    // Every line is asked for before the first one is needed, so that their cache misses overlap.
    keys.extend(frames.iter().zip(&*notes).map(|(frame, note)| {
        let domain = note.ingress().map_or(DomainId::new(0), |ingress| ingress.domain);
        let (destination, source) = ethernet::addresses(frame.bytes()).unwrap_or_default();
        let keys = (view.key_of_bits(domain, source), view.key_of_bits(domain, destination));
        for key in [&keys.0, &keys.1] {
            if let Some(line) = view.line(key) {
                prefetch(line);
            }
        }
        keys
    }));
    let tick = with.now.tick();
    let mut memo = Memo::new();
    let are_all_known = unknown_senders.is_empty();
    for (keys, (frame, note)) in keys.iter().zip(frames.iter().zip(notes)) {
        let FrameKind::Tenant(claim) = note.kind else { continue };
        if !note.is_pending() {
            continue;
        }
        let is_alike = |before: &IngressAttachment<'_>| !T::WATCHES && before.claim == claim;
        let ingress = match memo.alike(is_alike) {
            Some(before) => Some(before),
            None => with.look_up(claim, &mut memo),
        };
        let Some(ingress) = ingress else {
            note.drop(Common::UnknownSegment.into());
            continue;
        };
        let origin = Target { attachment: claim.attachment, peer: note.origin.peer };
        if !T::WATCHES
            && are_all_known
            && let Some(target) = with.at_a_glance(&view, tick, keys, origin, ingress)
        {
            note.decision = Decision::To { domain: claim.domain, target };
            continue;
        }
        let unknown_sender = unknown_sender(&note.origin, unknown_senders);
        match with.decide(&Inbound { frame, origin, keys: *keys, unknown_sender }, ingress) {
            Ok(decision) => note.decision = decision,
            Err(reason) => note.drop(reason),
        }
    }
}

/// A tenant's frame, and what the bridge goes by.
struct Inbound<'f> {
    frame: &'f Frame<'f>,
    /// Where its source lives, if the frame does not run round a loop.
    origin: Target,
    keys: Keys,
    /// The outer source address, if the sender has no number yet: nothing is learned to be behind it.
    unknown_sender: Option<IpAddr>,
}

/// The attachment that a frame came in by, looked up.
struct IngressAttachment<'a> {
    claim: Claim,
    domain: &'a Domain,
    attachment: &'a Attachment,
    /// The gateway's own address in the tenant.
    own: u64,
    /// The tenant's ageing, in seconds, as far as the FDB can tell.
    ageing: u16,
    /// A peer behind the attachment, and where MACs behind it live.
    behind: (PeerId, MacLocation),
    /// The last place that frames were found free to go to from here, and where MACs there live: `NOWHERE` until one was.
    open: (Target, MacLocation),
    /// How many copies of a frame are made that goes to everyone, once one did.
    copies: Option<u64>,
}

impl<'a, T: Tracer> Bridge<'a, T> {
    /// The place where a frame goes of which there is nothing to learn, nothing to flood and nothing to refuse. None
    /// says nothing.
    #[inline]
    fn at_a_glance(
        &self,
        view: &View<'_>,
        tick: u16,
        (source_key, destination_key): &Keys,
        origin: Target,
        ingress: &mut IngressAttachment<'_>,
    ) -> Option<Target> {
        let (source, destination) = (source_key.mac_bits(), destination_key.mac_bits());
        let is_odd = source == 0 || source == ingress.own || source == destination;
        if is_odd || Mac::is_group_bits(source | destination) {
            return None;
        }
        let IngressAttachment { claim, domain, ageing, .. } = *ingress;
        if domain.learning {
            if ingress.behind.0 != origin.peer {
                ingress.behind = (origin.peer, MacLocation::new(claim.domain, origin));
            }
            if !view.glance(source_key)?.is_known_at(ingress.behind.1, tick) {
                return None;
            }
        }
        let seen = view.glance(destination_key)?;
        let (target, location) = ingress.open;
        if seen.is_at(location, tick, ageing) {
            return Some(target);
        }
        self.open(seen.target(tick, ageing)?, ingress)
    }

    /// Remembers a place that frames may go to which come in by this attachment, if they may. Back to where they came
    /// from they never may: that is behind the same horizon.
    #[inline(never)]
    fn open(&self, target: Target, ingress: &mut IngressAttachment<'_>) -> Option<Target> {
        let IngressAttachment { claim, domain, attachment, open: (before, location), .. } = *ingress;
        if location != MacLocation::NOWHERE && before.attachment == target.attachment {
            self.tables.peer(target.peer)?;
        } else if self.exists(domain, target)?.horizon == attachment.horizon {
            return None;
        }
        ingress.open = (target, MacLocation::new(claim.domain, target));
        Some(target)
    }

    /// The attachment that a frame came in by, unless a reload has taken it away.
    #[inline(never)]
    fn look_up<'m>(
        &self,
        claim: Claim,
        memo: &'m mut Memo<IngressAttachment<'a>>,
    ) -> Option<&'m mut IngressAttachment<'a>> {
        let domain = self.tables.domain(claim.domain)?;
        let attachment = domain.attachment(claim.attachment)?;
        let own = self.tables.own_macs.domain(claim.domain)?.to_bits();
        let ageing = domain.ageing.min(MAX_AGEING);
        let nobody = PeerId::new(u32::MAX);
        let behind = (nobody, MacLocation::NOWHERE);
        let open = (Target { attachment: claim.attachment, peer: nobody }, MacLocation::NOWHERE);
        Some(memo.set(IngressAttachment { claim, domain, attachment, own, ageing, behind, open, copies: None }))
    }

    /// Decides about any frame.
    #[inline(never)]
    fn decide(&mut self, inbound: &Inbound<'_>, ingress: &mut IngressAttachment<'_>) -> Result<Decision, DropReason> {
        let Inbound { origin, keys: (source_key, destination_key), .. } = *inbound;
        let IngressAttachment { domain, attachment, own, .. } = *ingress;
        let (source, destination) = (source_key.mac_bits(), destination_key.mac_bits());
        if Mac::is_group_bits(source) || source == 0 {
            return Err(Common::BadSource.into());
        }
        if source == own {
            return Err(Common::FromOwnMac.into());
        }
        let control = ControlGroups::of(destination);
        if !attachment.relayed.holds(control) {
            return Err(Common::L2Control.into());
        }
        let is_group = Mac::is_group_bits(destination);
        let found = if is_group { None } else { self.fdb.lookup(destination_key, self.now.tick(), domain.ageing) };
        let known = found.and_then(|target| Some((target, self.exists(domain, target)?)));
        let may_flood = is_group || domain.flood_unknown;
        let home = if known.is_none() && may_flood && domain.loop_hold != 0 {
            self.watch(inbound, ingress)
        } else {
            Some(origin)
        };
        self.learn(inbound, ingress, home);
        self.tracer.destination(Mac::from_bits(destination), found);
        match known {
            // Its own place was looked up before it was learned.
            _ if destination == source => Err(Common::SameAttachment.into()),
            Some((target, egress)) => to_known(ingress, origin, target, egress),
            // Never learned, so always unknown.
            None if destination == own => Err(Common::ToOwnMac.into()),
            None if !may_flood => Err(Common::UnknownUnicastOff.into()),
            None => self.to_everyone(inbound, ingress, control),
        }
    }

    /// A frame that goes to everyone, as far as its tenant's limits let it.
    fn to_everyone(
        &self,
        inbound: &Inbound<'_>,
        ingress: &mut IngressAttachment<'_>,
        control: ControlGroups,
    ) -> Result<Decision, DropReason> {
        let IngressAttachment { claim: claim @ Claim { domain: id, .. }, domain, attachment, .. } = *ingress;
        let copies = || self.tables.fan_out(domain, attachment, control);
        let copies = if control.is_none() { *ingress.copies.get_or_insert_with(copies) } else { copies() };
        let frame = (inbound.frame.bytes(), inbound.keys.1.mac());
        if !bum::is_within_limits(frame, copies, domain, attachment, self.tables.is_starting, self.now) {
            self.add(claim, copies, |counters| &counters.copies_dropped);
            return Err(Common::BumLimit.into());
        }
        self.count(claim, |counters| &counters.flooded);
        Ok(if control.is_none() {
            Decision::Flood { domain: id }
        } else {
            Decision::FloodControl { domain: id, group: control }
        })
    }

    /// Looks whether a BUM frame runs round a loop; says behind which target its source is to be learned, if at all.
    #[inline(never)]
    fn watch(&mut self, inbound: &Inbound<'_>, ingress: &IngressAttachment<'_>) -> Option<Target> {
        let Inbound { frame, origin, .. } = *inbound;
        let IngressAttachment { claim, domain, .. } = *ingress;
        let (loops, hold) = (&domain.state.loops, domain.loop_hold);
        let most = u8::from(!loop_guard::is_holding(loops, self.now));
        match loop_guard::see(loops, digest(frame.bytes()), origin, hold, self.now) {
            Sight::Seen { changes } => (changes <= most).then_some(origin),
            Sight::Return { other, home } => {
                let horizon = |id| domain.attachment(id).map(|attachment| attachment.horizon);
                // What never feeds each other does not make a loop of us.
                if horizon(other) != horizon(origin.attachment)
                    && loop_guard::suspect(loops, [origin.attachment, other], hold, self.now)
                {
                    self.report_loop(inbound, claim, other, false);
                }
                home.filter(|home| self.tables.peer(home.peer).is_some_and(|peer| !peer.is_anonymous))
            }
            Sight::Proof { other } => {
                if loop_guard::prove(loops, [origin.attachment, other], hold, self.now) {
                    self.report_loop(inbound, claim, other, true);
                }
                None
            }
        }
    }

    /// Reports that a frame came back by two attachments.
    #[cold]
    fn report_loop(&mut self, inbound: &Inbound<'_>, claim: Claim, other: AttachmentId, is_proved: bool) {
        self.count(claim, |counters| &counters.loops);
        let here = inbound.origin.attachment;
        let between = [here.min(other), here.max(other)];
        let (domain, mac, at) = (claim.domain, inbound.keys.0.mac(), self.now.nanos);
        self.events.send(Event::Loop { domain, between, is_proved, mac, at });
    }

    /// Learns that the source of a frame lives at `home`, as far as its tenant learns.
    #[inline]
    fn learn(&mut self, inbound: &Inbound<'_>, ingress: &IngressAttachment<'_>, home: Option<Target>) {
        let source = inbound.keys.0;
        if !ingress.domain.learning {
            return self.tracer.source(source.mac(), inbound.origin, None);
        }
        let Some(home) = home else { return };
        match inbound.unknown_sender.filter(|_| home == inbound.origin) {
            None => self.offer(source, home, ingress),
            Some(address) => self.report_unknown(address, inbound, ingress),
        }
    }

    /// Reports a sender that has no number: what is behind it is learned once control has given it one.
    #[cold]
    fn report_unknown(&mut self, address: IpAddr, inbound: &Inbound<'_>, ingress: &IngressAttachment<'_>) {
        self.tracer.unknown_sender(inbound.keys.0.mac(), address);
        if rate::within(&ingress.domain.state.unknown_sender_due, UNKNOWN_SENDER_INTERVAL, self.now) {
            let (anonymous, domain, at) = (inbound.origin.peer, ingress.claim.domain, self.now.nanos);
            self.events.send(Event::UnknownSender { anonymous, address, domain, at });
        }
    }

    /// The attachment of a target, if a reload has not taken it, or the peer behind it, away.
    #[inline]
    fn exists<'d>(&self, domain: &'d Domain, target: Target) -> Option<&'d Attachment> {
        self.tables.peer(target.peer)?;
        domain.attachment(target.attachment)
    }

    /// Offers a source to the FDB.
    #[inline]
    fn offer(&mut self, key: Key, to: Target, ingress: &IngressAttachment<'_>) {
        let IngressAttachment { claim, domain, .. } = *ingress;
        let admit = || self.tables.admit_mac(domain, self.fdb.len());
        let learned = self.fdb.learn(key, to, self.now.tick(), admit);
        self.tracer.source(key.mac(), to, Some(learned));
        let from = match learned {
            LearnOutcome::Known | LearnOutcome::Static | LearnOutcome::Busy => return,
            LearnOutcome::New => None,
            LearnOutcome::Moved { from } => Some(from),
            LearnOutcome::Held => return self.count(claim, |counters| &counters.held_moves),
            LearnOutcome::Full | LearnOutcome::Refused => {
                return self.report_shortage(claim, domain, shortage(domain));
            }
        };
        self.count(claim, |counters| if from.is_some() { &counters.moved } else { &counters.learned });
        self.events.send(Event::Heard { domain: claim.domain, mac: key.mac(), to, from, at: self.now.nanos });
    }

    /// Counts a source that is not learned for want of room, and reports it now and then.
    #[cold]
    fn report_shortage(&mut self, claim: Claim, domain: &Domain, of: Shortage) {
        self.count(claim, |counters| match of {
            Shortage::Limit => &counters.over_mac_limit,
            Shortage::Table => &counters.table_full,
        });
        if rate::within(&domain.state.shortage_due, SHORTAGE_INTERVAL, self.now) {
            self.events.send(Event::Shortage { domain: claim.domain, of, at: self.now.nanos });
        }
    }

    fn count(&self, claim: Claim, which: impl FnOnce(&DomainCounters) -> &Counter) {
        self.add(claim, 1, which);
    }

    fn add(&self, claim: Claim, many: u64, which: impl FnOnce(&DomainCounters) -> &Counter) {
        if let Some(counters) = self.counters.domain(claim.domain) {
            which(counters).add(many);
        }
    }
}

/// A unicast frame whose destination is known: one place, unless split horizon forbids it.
#[inline]
fn to_known(
    ingress: &IngressAttachment<'_>,
    origin: Target,
    target: Target,
    egress: &Attachment,
) -> Result<Decision, DropReason> {
    if target == origin {
        return Err(Common::SameAttachment.into());
    }
    if egress.horizon == ingress.attachment.horizon {
        return Err(Common::SplitHorizon.into());
    }
    Ok(Decision::To { domain: ingress.claim.domain, target })
}

/// Why a tenant's MAC was not learned: its limit, or the table.
fn shortage(domain: &Domain) -> Shortage {
    let is_at_limit = domain.state.macs.load(Ordering::Relaxed) >= domain.mac_limit;
    if is_at_limit { Shortage::Limit } else { Shortage::Table }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forwarding::FileTables;

    #[test]
    fn the_mac_limit_counts_places_and_a_crowded_table_has_the_reserve() {
        let domain = Domain { mac_limit: 3, mac_reserve: 1, ..Domain::default() };
        let tables = FileTables { common_macs: 10, ..FileTables::default() };
        assert!(tables.admit_mac(&domain, 12));
        assert!(!tables.admit_mac(&domain, 12));
        assert_eq!(shortage(&domain), Shortage::Table);
        assert_eq!([(); 3].map(|()| tables.admit_mac(&domain, 11)), [true, true, false]);
        assert_eq!(shortage(&domain), Shortage::Limit);
    }
}
