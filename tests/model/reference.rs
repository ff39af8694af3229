//! What the gateway should do, in hash maps: it knows names instead of numbers, and nothing of how tables are made.

mod fate;
mod rows;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::bridge::{Bridge, Entry, Home};
use crate::common::wire::mac;
use crate::frames::NextHop;
use crate::settings::{Peer, Settings, Side, Tenant, Way};
use crate::strangers::Strangers;
use crate::underlay::Underlay;
pub(crate) use fate::Outcome;
pub(crate) use rows::Known;

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
