//! What the gateway should do, in hash maps: it knows names instead of numbers, and nothing of how tables are made.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::bridge::{Bridge, Decision, Entry, Home};
use crate::common::wire::mac;
use crate::frames::{Delivery, NextHop, Speaker};
use crate::settings::{Far, Peer, Settings, Side, Tenant, Way};
use crate::strangers::Strangers;
use crate::underlay::Underlay;

/// A row of the FDB, in words.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Known {
    pub(crate) tenant: String,
    pub(crate) mac: [u8; 6],
    pub(crate) attachment: String,
    pub(crate) peer: String,
    /// The second of the last frame; 0 for a static one.
    pub(crate) seen: u64,
    pub(crate) pinned: bool,
}

/// What becomes of a frame: the copies that leave, and how many are dropped for which reason.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) sent: Vec<Delivery>,
    pub(crate) drops: BTreeMap<&'static str, u64>,
    /// The address of its sender, if the group is to hear of it.
    pub(crate) stranger: Option<Far>,
}

/// How far the workers and control are behind the newest file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// The workers have not looked at it.
    Taken,
    /// They have; control has not tidied up.
    Passed,
    /// Nothing is left to do.
    Settled,
}

/// All tenants' bridges, and the peers.
pub(crate) struct Reference {
    /// In milliseconds.
    pub(crate) now: u64,
    settings: Settings,
    bridges: BTreeMap<&'static str, Bridge>,
    strangers: Strangers,
    /// How many frames have come from a peer, while its name has been in use.
    received: HashMap<Peer, u64>,
    paths: HashMap<Peer, Vec<NextHop>>,
    progress: Progress,
    /// The whole seconds in which silent addresses were looked for last.
    swept: Option<u64>,
}

/// Files and time.
impl Reference {
    /// The gateway of this file, at this time in milliseconds.
    pub(crate) fn new(settings: &Settings, now: u64) -> Self {
        let mut reference = Self {
            now,
            settings: Settings::empty(),
            bridges: BTreeMap::new(),
            strangers: Strangers::default(),
            received: HashMap::new(),
            paths: HashMap::new(),
            progress: Progress::Settled,
            swept: None,
        };
        reference.take_in(settings);
        reference.breathe();
        reference.settle();
        reference
    }

    /// Another file: names keep what they meant.
    pub(crate) fn take_in(&mut self, settings: &Settings) {
        let before = std::mem::replace(&mut self.settings, settings.clone());
        let named = settings.named();
        let is_named = |far| named.iter().any(|&(_, known)| known == far);
        let from = settings.learn_from();
        self.strangers.retain(|far| from.is_some_and(|from| from.inside.contains(&far)) && !is_named(far));
        if from.is_none() {
            self.strangers.refused = 0;
        }
        self.paths = self.paths_after(&before);
        let mut old = std::mem::take(&mut self.bridges);
        for tenant in &settings.tenants {
            let hosts = old.remove(tenant.name).map(|bridge| bridge.hosts).unwrap_or_default();
            self.bridges.insert(tenant.name, Bridge { tenant: tenant.clone(), hosts });
        }
        self.progress = Progress::Taken;
    }

    /// Tunnels that lead where they did keep their paths, until the source of paths says more; of others, and of those
    /// that had none, there is what the file states.
    fn paths_after(&self, before: &Settings) -> HashMap<Peer, Vec<NextHop>> {
        let before = before.named();
        let known = |peer| self.paths.get(&peer).filter(|hops| !hops.is_empty()).cloned();
        let named = self.settings.named().into_iter().map(|(peer, far)| {
            let kept = known(peer).filter(|_| before.contains(&(peer, far)));
            let stated = self.settings.fabric.stated.filter(|(to, _)| *to == far);
            let stated = || stated.map(|(_, mac)| NextHop { port: "up", mac }).into_iter().collect();
            (peer, kept.unwrap_or_else(stated))
        });
        let learned = self.strangers.iter().map(Peer::Member).filter_map(|peer| Some((peer, known(peer)?)));
        named.chain(learned).collect()
    }

    /// The worker goes by the newest file from here on.
    pub(crate) fn breathe(&mut self) {
        if self.progress == Progress::Taken {
            self.progress = Progress::Passed;
        }
    }

    /// What the newest file does not have is forgotten, and its own addresses are in the table.
    pub(crate) fn settle(&mut self) {
        if self.progress != Progress::Passed {
            return;
        }
        self.progress = Progress::Settled;
        for Bridge { tenant, hosts } in self.bridges.values_mut() {
            hosts.retain(|_, entry| !entry.pinned && is_there(&self.settings, &self.strangers, tenant, &entry.home));
            for known in &tenant.statics {
                let home = Home { way: known.way.clone(), peer: known.peer };
                hosts.insert(mac(known.host), Entry { home, seen: 0, pinned: true });
            }
        }
        let named: BTreeSet<_> = self.settings.named().into_iter().map(|(peer, _)| peer).collect();
        let strangers = &self.strangers;
        let is_learned = |peer| matches!(peer, Peer::Member(far) if strangers.has(far));
        self.received.retain(|peer, _| named.contains(peer) || is_learned(*peer));
    }

    /// Control does what is due. Of silent addresses it has looked at as many as it had time for: `left` is what is
    /// still in its table.
    pub(crate) fn tick(&mut self, left: &BTreeSet<Known>) {
        self.settle();
        if self.progress == Progress::Settled {
            self.forget_strangers();
        }
        let second = self.now / 1_000;
        let elapsed = second - self.swept.replace(second).unwrap_or(second);
        if elapsed == 0 {
            return;
        }
        let left: BTreeSet<_> = left.iter().map(|known| (known.tenant.as_str(), known.mac)).collect();
        let (settings, strangers) = (&self.settings, &self.strangers);
        for (name, Bridge { tenant, hosts }) in &mut self.bridges {
            // After sixteen seconds the whole table has been swept.
            hosts.retain(|mac, entry| {
                let stays = entry.is_young(second, tenant) && is_there(settings, strangers, tenant, &entry.home);
                stays || elapsed < 16 && left.contains(&(*name, *mac))
            });
        }
    }

    fn forget_strangers(&mut self) {
        let entries = self.bridges.values().flat_map(|bridge| bridge.hosts.values());
        let homes: BTreeSet<_> = entries.map(|entry| entry.home.peer).collect();
        let received = |far| self.received.get(&Peer::Member(far)).copied().unwrap_or(0);
        if self.strangers.look(self.now, received, |far| homes.contains(&Peer::Member(far))) {
            let (named, strangers) = (self.settings.named(), &self.strangers);
            let is_left = |peer| matches!(peer, Peer::Member(far) if strangers.has(far));
            self.paths.retain(|&peer, _| is_left(peer) || named.iter().any(|(known, _)| *known == peer));
            self.progress = Progress::Taken;
        }
    }

    /// The source of paths tells what it finds by now.
    pub(crate) fn answer(&mut self, underlay: &Underlay) {
        let learned = self.strangers.iter().map(|far| (Peer::Member(far), far));
        let all: Vec<_> = self.settings.named().into_iter().chain(learned).collect();
        self.paths.extend(all.into_iter().map(|(peer, far)| (peer, underlay.hops(far, self.settings.fabric.stated))));
    }
}

/// Frames.
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
            outcome.stranger = Some(far);
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
    fn lose(&mut self, reason: &'static str) {
        *self.drops.entry(reason).or_default() += 1;
    }
}

/// What is known, to be compared.
impl Reference {
    /// Whether nothing is left in the table of a file before.
    pub(crate) fn is_settled(&self) -> bool {
        self.progress == Progress::Settled
    }

    /// Everything known that the newest file, or what was learned, has a name for.
    pub(crate) fn table(&self) -> BTreeSet<Known> {
        let rows = self.bridges.iter().flat_map(|(name, bridge)| {
            bridge.hosts.iter().map(|(mac, Entry { home, seen, pinned })| Known {
                tenant: (*name).to_owned(),
                mac: *mac,
                attachment: home.way.clone(),
                peer: home.peer.name(),
                seen: *seen,
                pinned: *pinned,
            })
        });
        rows.filter(|row| self.is_settled() || self.means(row)).collect()
    }

    /// Whether a row of the table means something.
    pub(crate) fn means(&self, row: &Known) -> bool {
        let way = self.bridges.get(row.tenant.as_str()).and_then(|bridge| bridge.tenant.way(&row.attachment));
        let mut homes = way.into_iter().flat_map(|way| homes_behind(&self.settings, &self.strangers, way));
        homes.any(|home| home.peer.name() == row.peer)
    }

    /// By tenant: how many places its addresses take that are not the file's.
    pub(crate) fn learned_macs(&self) -> BTreeMap<String, usize> {
        self.bridges.iter().map(|(name, bridge)| ((*name).to_owned(), bridge.learned())).collect()
    }

    pub(crate) fn strangers(&self) -> BTreeSet<String> {
        self.strangers.iter().map(|far| Peer::Member(far).name()).collect()
    }

    pub(crate) const fn refused(&self) -> u64 {
        self.strangers.refused
    }

    /// The paths of all tunnels.
    pub(crate) fn paths(&self) -> BTreeMap<String, Vec<NextHop>> {
        let named = self.settings.named().into_iter().map(|(peer, _)| peer);
        let all = named.chain(self.strangers.iter().map(Peer::Member));
        all.map(|peer| (peer.name(), self.paths.get(&peer).cloned().unwrap_or_default())).collect()
    }
}

/// Whether a home is still one.
fn is_there(settings: &Settings, strangers: &Strangers, tenant: &Tenant, home: &Home) -> bool {
    let way = tenant.way(&home.way).filter(|way| way.side == home.peer.side());
    way.is_some_and(|way| homes_behind(settings, strangers, way).contains(home))
}

/// All homes behind an attachment.
fn homes_behind(settings: &Settings, strangers: &Strangers, way: &Way) -> Vec<Home> {
    let home = |peer| Home { way: way.name.clone(), peer };
    if way.side != Side::Mesh {
        return vec![home(Peer::Sole(way.side))];
    }
    settings.fabric.members.iter().copied().chain(strangers.iter()).map(|far| home(Peer::Member(far))).collect()
}
