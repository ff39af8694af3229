//! What the gateway should do, in hash maps: bridges that know names instead of numbers.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::common::wire::mac;
use crate::frames::Delivery;
use crate::settings::{Settings, Side, Tenant, Way};

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

/// Where a host lives. To be attached elsewhere under the same name is to be another attachment.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Home {
    name: String,
    side: Side,
    member: u8,
}

#[derive(Debug, Clone)]
struct Entry {
    home: Home,
    seen: u64,
    pinned: bool,
}

struct Bridge {
    tenant: Tenant,
    hosts: HashMap<[u8; 6], Entry>,
}

/// All tenants' bridges.
pub(crate) struct Reference {
    now: u64,
    members: Vec<u8>,
    bridges: BTreeMap<&'static str, Bridge>,
}

impl Reference {
    pub(crate) fn new(now: u64) -> Self {
        Self { now, members: Vec::new(), bridges: BTreeMap::new() }
    }

    /// What leaves when a frame arrives.
    pub(crate) fn receive(&mut self, side: Side, id: u16, member: u8, frame: &[u8]) -> BTreeSet<Delivery> {
        let (now, members) = (self.now, &self.members);
        if side == Side::Mesh && !members.contains(&member) {
            return BTreeSet::new();
        }
        let found = self.bridges.values_mut().find_map(|bridge| {
            let way = bridge.tenant.ways.iter().find(|way| way.side == side && bridge.tenant.id == id)?.clone();
            Some((bridge, way))
        });
        let Some((bridge, way)) = found else { return BTreeSet::new() };
        let (dst, src) = (frame[..6].try_into().unwrap(), frame[6..12].try_into().unwrap());
        let origin = way.home(member);
        bridge.learn(src, &origin, now);
        // A host that speaks to itself is where it speaks from.
        let homes = if dst == src { vec![] } else { bridge.homes_of(dst, &origin, &way, members, now) };
        homes.into_iter().map(|home| bridge.delivery(&home, frame)).collect()
    }

    /// Time passes, and the gateway has swept as much of its table as it had time for: `left` is what is still there.
    pub(crate) fn sleep(&mut self, seconds: u64, left: &BTreeSet<Known>) {
        self.now += seconds;
        let left: BTreeSet<_> = left.iter().map(|known| (known.tenant.as_str(), known.mac)).collect();
        for (name, Bridge { tenant, hosts }) in &mut self.bridges {
            // Whoever is silent for too long may go; after sixteen seconds the whole table has been swept.
            hosts
                .retain(|mac, entry| entry.is_young(self.now, tenant) || seconds < 16 && left.contains(&(*name, *mac)));
        }
    }

    /// Another file: names keep what they meant, everything else is forgotten.
    pub(crate) fn reload(&mut self, settings: &Settings) {
        let mut before = std::mem::take(&mut self.bridges);
        self.members.clone_from(&settings.members);
        for tenant in &settings.tenants {
            let mut hosts = before.remove(tenant.name).map(|bridge| bridge.hosts).unwrap_or_default();
            hosts.retain(|_, entry| !entry.pinned && tenant.has(&entry.home, &self.members));
            for &(host, way, member) in &tenant.statics {
                let home = tenant.ways[way].home(member);
                hosts.insert(mac(host), Entry { home, seen: 0, pinned: true });
            }
            self.bridges.insert(tenant.name, Bridge { tenant: tenant.clone(), hosts });
        }
    }

    /// Everything known.
    pub(crate) fn table(&self) -> BTreeSet<Known> {
        let rows = self.bridges.iter().flat_map(|(name, bridge)| {
            bridge.hosts.iter().map(|(mac, Entry { home, seen, pinned })| Known {
                tenant: (*name).to_owned(),
                mac: *mac,
                attachment: home.name.clone(),
                peer: home.side.peer_name(home.member),
                seen: *seen,
                pinned: *pinned,
            })
        });
        rows.collect()
    }
}

impl Entry {
    fn is_young(&self, now: u64, tenant: &Tenant) -> bool {
        self.pinned || now - self.seen <= tenant.ageing
    }
}

impl Way {
    /// Only a mesh has members.
    fn home(&self, member: u8) -> Home {
        let member = if self.side == Side::Mesh { member } else { 0 };
        Home { name: self.name.clone(), side: self.side, member }
    }

    fn may_feed(&self, other: &Self) -> bool {
        self != other && (self.horizon.is_none() || self.horizon != other.horizon)
    }
}

impl Tenant {
    fn has(&self, home: &Home, members: &[u8]) -> bool {
        let is_there = self.ways.iter().any(|way| way.name == home.name && way.side == home.side);
        is_there && (home.side != Side::Mesh || members.contains(&home.member))
    }
}

impl Bridge {
    fn learn(&mut self, src: [u8; 6], origin: &Home, now: u64) {
        let learned = self.hosts.values().filter(|entry| !entry.pinned).count();
        match self.hosts.get_mut(&src) {
            _ if !self.tenant.learning => {}
            Some(entry) if entry.pinned => {}
            Some(entry) => (entry.home, entry.seen) = (origin.clone(), now),
            None if learned >= self.tenant.macs => {}
            None => drop(self.hosts.insert(src, Entry { home: origin.clone(), seen: now, pinned: false })),
        }
    }

    /// Where a frame goes.
    fn homes_of(&self, dst: [u8; 6], origin: &Home, ingress: &Way, members: &[u8], now: u64) -> Vec<Home> {
        let known = self.hosts.get(&dst).filter(|entry| entry.is_young(now, &self.tenant));
        match known {
            Some(Entry { home, .. }) => {
                let egress = self.tenant.ways.iter().find(|way| way.name == home.name).expect("reload has seen to it");
                if home != origin && ingress.may_feed(egress) { vec![home.clone()] } else { vec![] }
            }
            None if dst[0] & 1 == 0 && !self.tenant.flood_unknown => vec![],
            None => self.everyone_behind(ingress, members),
        }
    }

    fn everyone_behind(&self, ingress: &Way, members: &[u8]) -> Vec<Home> {
        let mut homes = Vec::new();
        for way in self.tenant.ways.iter().filter(|way| ingress.may_feed(way)) {
            match way.side {
                Side::Mesh => homes.extend(members.iter().map(|&member| way.home(member))),
                _ => homes.push(way.home(0)),
            }
        }
        homes
    }

    fn delivery(&self, home: &Home, frame: &[u8]) -> Delivery {
        let port = home.side.port().to_owned();
        Delivery { port, to: home.side.host(home.member), id: self.tenant.id, frame: frame.to_vec() }
    }
}
