//! What survives a restart: where MAC addresses live and which peers were learned, in names, since numbers mean
//! something else after it.
//!
//! What is restored is a hint. It forwards, and it ages as if nothing had happened; but it stays marked in the FDB until
//! the address is heard, and then counts as heard for the first time.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use transload_encaps::Mac;

use super::facts::Targets;
use super::{Output, Rib};
use crate::compile::Names;
use crate::dataplane::{Now, Shared};
use crate::fdb::MAX_AGEING;
use crate::forwarding::{DomainId, Forwarding, Map, PeerId, Target};

/// What a gateway knew.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Remembered {
    /// The peers that were learned.
    pub peers: Vec<RememberedPeer>,
    /// The places where MAC addresses lived.
    pub places: Vec<RememberedPlace>,
    /// The MAC addresses.
    pub macs: Vec<RememberedMac>,
}

/// A learned peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RememberedPeer {
    /// The name of its group.
    pub group: String,
    /// The name of the tenant that it was heard in first.
    pub tenant: String,
    /// Its address.
    pub address: IpAddr,
}

/// A place where MAC addresses lived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RememberedPlace {
    /// The name of the tenant.
    pub tenant: String,
    /// The name of the attachment.
    pub attachment: String,
    /// The name of the peer, or of the port.
    pub via: String,
}

/// A MAC address that lived somewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RememberedMac {
    /// Which of the places.
    pub place: u32,
    /// The address.
    pub mac: Mac,
    /// Seconds since the last frame from it.
    pub age: u16,
}

/// How much of what was remembered is of use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Restored {
    /// MAC addresses that are back.
    pub macs: usize,
    /// Learned peers that are back.
    pub peers: usize,
    /// MAC addresses that are not: their place is gone, they have aged, something else is known of them, or there is no
    /// room for them.
    pub left_out: usize,
}

/// What it takes to write down what is known, beside the RIB and without holding it.
pub struct Remembering {
    shared: Arc<Shared>,
    names: Names,
    peers: Vec<RememberedPeer>,
    /// [`Rib::reclaims`] when it began.
    pub reclaims: u64,
}

impl Remembering {
    /// What is known by now. It is worth nothing if [`Rib::reclaims`] has changed meanwhile: a number may have been read
    /// under the name of its last owner.
    #[must_use]
    pub fn remembered(&self, now: Now) -> Remembered {
        let mut found = Remembered { peers: self.peers.clone(), ..Remembered::default() };
        let mut numbers: Map<(DomainId, Target), Option<u32>> = Map::default();
        self.shared.fdb.for_each(|entry| {
            if !entry.source.is_learned() {
                return;
            }
            let place = *numbers.entry((entry.domain, entry.target)).or_insert_with(|| {
                let [tenant, attachment, via] = self.names.place(entry.domain, entry.target)?.map(str::to_owned);
                found.places.push(RememberedPlace { tenant, attachment, via });
                u32::try_from(found.places.len() - 1).ok()
            });
            if let Some(place) = place {
                found.macs.push(RememberedMac { place, mac: entry.mac, age: entry.age(now.tick()) });
            }
        });
        found
    }
}

impl Rib {
    /// Begins to write down what is known.
    #[must_use]
    pub fn remembering(&self) -> Remembering {
        Remembering {
            shared: Arc::clone(&self.shared),
            names: self.plan.names.clone(),
            peers: self.learned.remembered(&self.plan),
            reclaims: self.reclaims,
        }
    }

    /// How often numbers have become free.
    #[must_use]
    pub const fn reclaims(&self) -> u64 {
        self.reclaims
    }

    /// Takes in what a gateway of the same file knew that ended so many seconds ago.
    pub fn restore(&mut self, remembered: &Remembered, seconds: u64, now: Now) -> Restored {
        let mut restored = Restored { peers: self.restore_peers(&remembered.peers, now), ..Restored::default() };
        let tables = self.shared.forwarding.load_full();
        let places = Places::new(&self.plan.names);
        let places: Vec<_> = remembered.places.iter().map(|place| places.find(&tables, place)).collect();
        for known in &remembered.macs {
            let place = usize::try_from(known.place).ok().and_then(|place| *places.get(place)?);
            let age = u16::try_from(seconds.saturating_add(known.age.into())).ok();
            let is_back =
                place.zip(age).is_some_and(|(place, age)| self.restore_mac(&tables, place, known.mac, age, now));
            if is_back {
                restored.macs += 1;
            } else {
                restored.left_out += 1;
            }
        }
        restored
    }

    fn restore_peers(&mut self, peers: &[RememberedPeer], now: Now) -> usize {
        let anonymous: HashMap<_, _> =
            self.plan.learning.iter().map(|group| (group.name.clone(), group.anonymous)).collect();
        let tenants: HashMap<_, _> = self.plan.names.domains().map(|(id, name)| (name.to_owned(), id)).collect();
        let learn = |peer: &RememberedPeer| {
            let (anonymous, tenant) = (*anonymous.get(&peer.group)?, *tenants.get(&peer.tenant)?);
            self.learned.learn(&mut self.plan, anonymous, peer.address, (tenant, now.nanos))
        };
        let tunnels: Vec<_> = peers.iter().filter_map(learn).collect();
        let count = tunnels.len();
        if count > 0 {
            self.outputs.push_back(Output::Resolve(Targets::Add(tunnels)));
            self.publish();
        }
        count
    }

    fn restore_mac(&self, tables: &Forwarding, (id, target): (DomainId, Target), mac: Mac, age: u16, now: Now) -> bool {
        let fdb = &self.shared.fdb;
        let Some(domain) = tables.domain(id).filter(|domain| domain.learning) else { return false };
        let admit = || tables.admit_mac(domain, fdb.len());
        age <= domain.ageing.min(MAX_AGEING)
            && mac != Mac::default()
            && !mac.is_group()
            && tables.own_macs.domain(id) != Some(mac)
            && fdb.restore(fdb.key(id, mac), target, now.tick().wrapping_sub(age), admit)
    }
}

/// The numbers of names, to find many places by.
struct Places<'n> {
    names: &'n Names,
    tenants: HashMap<&'n str, DomainId>,
    /// A peer and a port may have the same name.
    peers: HashMap<&'n str, Vec<PeerId>>,
}

impl<'n> Places<'n> {
    fn new(names: &'n Names) -> Self {
        let mut peers: HashMap<_, Vec<_>> = HashMap::new();
        for (id, name) in names.peers() {
            peers.entry(name).or_default().push(id);
        }
        Self { names, tenants: names.domains().map(|(id, name)| (name, id)).collect(), peers }
    }

    /// The numbers of a place, if the tables still have it.
    fn find(&self, tables: &Forwarding, place: &RememberedPlace) -> Option<(DomainId, Target)> {
        let domain = *self.tenants.get(place.tenant.as_str())?;
        let mut attachments = tables.domain(domain)?.attachments.iter();
        let (attachment, found) =
            attachments.find(|(id, _)| *self.names.attachment(domain, *id) == place.attachment)?;
        let mut peers = self.peers.get(place.via.as_str())?.iter().copied();
        let peer = peers.find(|peer| tables.is_member(&found.members, *peer))?;
        Some((domain, Target { attachment, peer }))
    }
}
