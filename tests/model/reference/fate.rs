//! What becomes of a frame.

use std::collections::BTreeMap;

use super::{Reference, homes_behind, is_there};
use crate::bridge::{Decision, Home};
use crate::frames::{Delivery, Speaker};
use crate::settings::{Far, Peer, Side, Tenant};
use crate::underlay::Underlay;

/// What becomes of frames: the copies that leave, and how many are dropped for which reason.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) sent: Vec<Delivery>,
    pub(crate) drops: BTreeMap<&'static str, u64>,
    /// The addresses of the senders that the group is to hear of.
    pub(crate) strangers: Vec<Far>,
}

impl Reference {
    /// What becomes of a frame that arrives.
    pub(crate) fn receive(&mut self, speaker: Speaker, id: u16, frame: &[u8], underlay: &Underlay) -> Outcome {
        let mut outcome = Outcome::default();
        match self.bridge(speaker, id, frame, &mut outcome) {
            Ok(homes) => homes.into_iter().for_each(|home| self.deliver(&home, id, frame, underlay, &mut outcome)),
            Err(reason) => outcome.lose(reason),
        }
        outcome
    }

    /// Where a frame goes, or why it goes nowhere.
    fn bridge(
        &mut self,
        speaker: Speaker,
        id: u16,
        frame: &[u8],
        outcome: &mut Outcome,
    ) -> Result<Vec<Home>, &'static str> {
        let peer = self.sender(speaker)?;
        let Self { settings, strangers, bridges, received, now, .. } = self;
        let (settings, strangers, second) = (&*settings, &*strangers, *now / 1_000);
        let found = bridges.values_mut().filter(|bridge| bridge.tenant.id == id).find_map(|bridge| {
            let way = bridge.tenant.ways.iter().find(|way| way.side == peer.side())?.clone();
            Some((bridge, way))
        });
        let nobody = if speaker == Speaker::Port { "unclaimed_tags" } else { "unknown_segment" };
        let (bridge, way) = found.ok_or(nobody)?;
        *received.entry(peer).or_default() += 1;
        let origin = Home { way: way.name.clone(), peer };
        let (dst, src) = (frame[..6].try_into().unwrap(), frame[6..12].try_into().unwrap());
        let is_there = |tenant: &Tenant, home: &Home| is_there(settings, strangers, tenant, home);
        let decision = bridge.decide(dst, &origin, &way, second, is_there);
        bridge.learn(src, &origin, second);
        if let (Peer::Stranger, Speaker::Tunnel(far), true) = (peer, speaker, bridge.tenant.learning) {
            outcome.strangers.push(far);
        }
        match decision {
            // A host that speaks to itself is where it speaks from.
            _ if dst == src => Err("same_attachment"),
            Decision::Drop(reason) => Err(reason),
            Decision::To(home) => Ok(vec![home]),
            Decision::Flood(ways) => {
                let homes: Vec<_> = ways.iter().flat_map(|way| homes_behind(settings, strangers, way)).collect();
                if homes.is_empty() { Err("no_targets") } else { Ok(homes) }
            }
        }
    }

    /// Who sends this, or why nobody is heard.
    fn sender(&self, speaker: Speaker) -> Result<Peer, &'static str> {
        let Speaker::Tunnel(from) = speaker else {
            return if self.settings.uses(Side::Tags) { Ok(Peer::Sole(Side::Tags)) } else { Err("not_for_us") };
        };
        let alike = if from < 77 { [Side::One, Side::Two, Side::Mesh] } else { [Side::Nvgre, Side::Gre, Side::Gre] };
        if !alike.into_iter().any(|side| self.settings.uses(side)) {
            return Err("not_for_us");
        }
        let named = self.settings.named().into_iter().find(|(_, far)| *far == from).map(|(peer, _)| peer);
        let learned = || self.strangers.has(from).then_some(Peer::Member(from));
        let is_welcome = |from: Far| self.settings.learn_from().is_some_and(|prefix| prefix.inside.contains(&from));
        let peer = named.or_else(learned).or_else(|| is_welcome(from).then_some(Peer::Stranger));
        peer.ok_or("unknown_peer")
    }

    /// Sends a copy of a frame to where somebody lives.
    fn deliver(&self, home: &Home, id: u16, frame: &[u8], underlay: &Underlay, outcome: &mut Outcome) {
        let (to, frame) = (self.settings.fabric.far(home.peer), frame.to_vec());
        let by = if home.peer == Peer::Sole(Side::Tags) {
            if underlay.down().contains("access") {
                return outcome.lose("port_down");
            }
            Vec::new()
        } else {
            match self.paths.get(&home.peer).filter(|hops| !hops.is_empty()) {
                None => return outcome.lose("no_next_hop"),
                Some(hops) => hops.clone(),
            }
        };
        outcome.sent.push(Delivery { to, id, frame, by });
    }

    /// The group hears of a sender that it may learn.
    pub(crate) fn hear(&mut self, far: Far) {
        let is_named = self.settings.named().iter().any(|(_, known)| *known == far);
        if let Some(from) = self.settings.learn_from().filter(|from| from.inside.contains(&far) && !is_named) {
            self.strangers.hear(far, from, self.now);
        }
    }
}

impl Outcome {
    /// Adds what becomes of further frames.
    pub(crate) fn add(&mut self, further: Self) {
        self.sent.extend(further.sent);
        self.strangers.extend(further.strangers);
        for (reason, count) in further.drops {
            *self.drops.entry(reason).or_default() += count;
        }
    }

    fn lose(&mut self, reason: &'static str) {
        *self.drops.entry(reason).or_default() += 1;
    }
}
