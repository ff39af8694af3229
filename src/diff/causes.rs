//! Causes: which of the changes have to do with a frame that the two files handle differently.
//!
//! A frame touches the place where it came in, and the places by which it, or copies of it, leave differently. A change
//! of anything else is not the cause, nor is one of a field that does not matter there.

use std::collections::BTreeSet;

use super::fate::Fate;
use super::reader::{Origin, Reader};
use super::{Change, How, Thing};

/// What a frame met in either gateway.
#[derive(Default)]
pub(super) struct Touched {
    arrival: OneWay,
    departure: OneWay,
    tenants: BTreeSet<String>,
    mappings: BTreeSet<String>,
    /// As `tenant/attachment`.
    attachments: BTreeSet<String>,
    /// The tenant's addresses of the frame.
    macs: BTreeSet<String>,
    dropped: BTreeSet<&'static str>,
}

/// Ports, peers and endpoints of one direction, by name.
#[derive(Default)]
struct OneWay {
    ports: BTreeSet<String>,
    peers: BTreeSet<String>,
    endpoints: BTreeSet<String>,
}

impl Touched {
    /// By a frame that came in by a port, and had these fates.
    pub(super) fn by(port: &str, old: (&Reader, &Fate, &Origin), new: (&Reader, &Fate, &Origin)) -> Self {
        let mut all = Self::default();
        all.arrival.ports.insert(port.to_owned());
        for ((reader, fate, origin), other) in [(old, new.1), (new, old.1)] {
            let names = &reader.plan().names;
            all.arrival.peers.extend(origin.peer.map(|peer| names.peer(peer).into_owned()));
            all.arrival.endpoints.extend(origin.endpoint.iter().flat_map(|local| reader.endpoints_at(*local)));
            all.tenants.extend(fate.tenant.clone());
            all.mappings.extend(fate.mapping.clone());
            all.attachments.extend(origin.claim.map(|claim| reader.attachment_name(claim)));
            all.macs.extend(origin.macs.iter().flatten().map(ToString::to_string));
            all.dropped.extend(fate.dropped.iter().filter(|reason| !other.dropped.contains(reason)));
            for sent in fate.sent.iter().filter(|sent| !other.sent.contains(sent)) {
                all.departure.ports.insert(sent.port.clone());
                all.departure.endpoints.extend(reader.endpoint_of(&sent.via).map(str::to_owned));
                all.departure.peers.insert(sent.via.clone());
                let left = origin.claim.map(|claim| reader.attachments_to(claim.domain, &sent.via, &sent.segment));
                all.attachments.extend(left.into_iter().flatten());
            }
        }
        all
    }

    /// Whether a change has to do with it.
    pub(super) fn is_changed_by(&self, change: &Change) -> bool {
        let name = &change.name;
        match change.thing {
            Thing::Port => {
                self.arrival.ports.contains(name) && matters(change, |field| matches!(field, "mac" | "tpids"))
                    || self.departure.ports.contains(name) && matters(change, |field| field != "io")
            }
            Thing::Peer => {
                self.arrival.peers.contains(name) && matters(change, matters_on_arrival)
                    || self.departure.peers.contains(name) && matters(change, matters_on_departure)
                    || self.is_nobodys() && matters(change, |field| matches!(field, "address" | "udp_port" | "encap"))
            }
            Thing::Group => {
                let is_in = |peers: &BTreeSet<String>| {
                    peers.iter().any(|peer| peer.split_once('/').is_some_and(|(group, _)| group == name))
                };
                is_in(&self.arrival.peers) && matters(change, matters_on_arrival)
                    || is_in(&self.departure.peers) && matters(change, matters_on_departure)
            }
            Thing::Tenant => self.tenants.contains(name) && matters(change, |field| self.is_ruled_by(field)),
            Thing::Mapping => self.mappings.contains(name),
            Thing::Attachment => self.attachments.contains(name),
            Thing::Static => name
                .rsplit_once('/')
                .is_some_and(|(tenant, mac)| self.tenants.contains(tenant) && self.macs.contains(mac)),
            Thing::Endpoint => {
                self.arrival.endpoints.contains(name) && matters(change, |field| field != "ttl")
                    || self.departure.endpoints.contains(name) && matters(change, |field| field != "reassemble")
            }
            // They follow from the others.
            Thing::Tunnel | Thing::Setting => false,
        }
    }

    /// Whether it came to one of our addresses, and neither file has a tenant for it.
    fn is_nobodys(&self) -> bool {
        !self.arrival.endpoints.is_empty() && self.tenants.is_empty() && self.mappings.is_empty()
    }

    /// Whether a policy of its tenant may have decided about it.
    fn is_ruled_by(&self, policy: &str) -> bool {
        match policy {
            "bum" => self.dropped.contains("bum_limit"),
            "unknown_unicast" => self.dropped.contains("unknown_unicast_off"),
            "loop_guard" => self.dropped.contains("loop_guard"),
            _ => true,
        }
    }
}

/// Whether a thing comes or goes, or one of these fields of it changes.
fn matters(change: &Change, is_one: impl Fn(&str) -> bool) -> bool {
    match &change.how {
        How::Added(_) | How::Removed(_) => true,
        How::Changed(fields) => fields.keys().any(|field| is_one(field)),
    }
}

/// Fields of peers and groups that matter to what comes from them.
fn matters_on_arrival(field: &str) -> bool {
    !matches!(field, "ttl" | "dscp" | "df" | "udp_source_ports" | "bum" | "flow_id")
}

/// Fields of peers and groups that matter to what goes to them.
fn matters_on_departure(field: &str) -> bool {
    !matches!(field, "accept_from" | "learn_from" | "max_learned" | "reserved")
}

/// `attachment blue/leafs: vni 10100 -> 10101`
pub(super) fn sentence(change: &Change) -> String {
    let details = match &change.how {
        How::Added(_) => "is added".to_owned(),
        How::Removed(_) => "is removed".to_owned(),
        How::Changed(_) => change.details(),
    };
    format!("{} {}: {details}", change.thing.word(), change.name)
}
