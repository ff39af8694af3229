//! Assumptions: what the proof takes for granted, because no table of ours can ensure it.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use serde::Serialize;
use transload_encaps::Carrier;

use super::meeting::Holding;
use super::proof;
use crate::claims::{ClaimTable, FarEnd, crossed};
use crate::compile::NamedPeer;
use crate::forwarding::PeerId;

/// Something that has to hold outside of the tables.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Assumption {
    /// Its name, one word.
    pub name: &'static str,
    /// What has to hold.
    pub statement: &'static str,
    /// The parts of this configuration that depend on it; empty if all do.
    pub here: Vec<String>,
}

const SOURCE_ADDRESS: &str = "The source address of a tunnel packet is what identifies a peer: nobody else on the \
     underlay can send from the address of a peer to one of our endpoints. The tunnels carry no other proof of origin.";
const HOST_NAMES: &str = "Whoever answers for these names decides which address is the peer. An answer that is already somebody \
     else's address at the endpoint, or one of our own, is refused, so that tenants do not meet whatever the answers are.";
const LEARNERS: &str = "Whoever can send from these addresses to our endpoint is a member of the group, and may speak as any of its \
     tenants: `learn_from` names nobody. Configured peers take precedence over learned ones.";
const FAR_ENDS: &str = "A far end keeps tenants apart by the IDs of this file: what we send with an ID reaches only \
     that tenant there, and only that tenant's frames come back with it.";
const DELIVERY: &str = "The underlay delivers packets to the addresses, and frames to the MAC addresses, they are sent \
     to; it is not itself reached through the port of a tenant.";
const ANY_MAC: &str = "These ports have no `mac` in the file. `run` takes the device's; where there is none, tunnel \
     packets to any MAC address are accepted, so that only the IP address says they are for us.";
const TAGS: &str = "Whoever is connected to a port with tags may use every VLAN ID on it: the device at the other end \
     of the cable keeps customers to theirs.";
const WIRES: &str = "Ports are wires of their own: what is sent on one does not come in by another, by a cable, a \
     bridge or the host, except through a peer.";
const PROGRAM: &str = "The program does what its tables say: MAC addresses are learned and looked up within one tenant, \
     and a number is not given to another tenant, attachment or peer while something may still hold it.";
const ONE_FAR_END: &str = "These are the same far end, reached from several of our addresses, and tenants have the same \
     ID there: it has to tell our addresses apart.";

const IDS_APART: &str = "These far ends send each tenant with another ID than they receive it with, as the file says: an ID that one \
     tenant is sent with comes back as that of another.";

pub(super) fn of(claims: &ClaimTable<'_>) -> Vec<Assumption> {
    let always = |name, statement| Assumption { name, statement, here: Vec::new() };
    let mut all = Vec::new();
    if !claims.entrances.is_empty() {
        all.push(always("source_addresses", SOURCE_ADDRESS));
        all.push(Assumption { name: "host_names", statement: HOST_NAMES, here: host_names(claims) });
        all.push(Assumption { name: "learn_from", statement: LEARNERS, here: learners(claims) });
        all.push(always("far_ends", FAR_ENDS));
        all.push(always("delivery", DELIVERY));
        all.push(Assumption { name: "any_mac", statement: ANY_MAC, here: ports_without_mac(claims) });
    }
    if !claims.tags.is_empty() {
        let names = &claims.plan.names;
        let mut here: Vec<_> =
            claims.tags.iter().map(|entrance| format!("port {}", names.port(entrance.port))).collect();
        here.sort_unstable();
        all.push(Assumption { name: "tags", statement: TAGS, here });
    }
    all.push(always("wires", WIRES));
    all.push(always("program", PROGRAM));
    all.push(Assumption { name: "one_far_end", statement: ONE_FAR_END, here: one_far_end(claims) });
    all.push(Assumption { name: "ids_apart", statement: IDS_APART, here: ids_apart(claims) });
    all.retain(|assumption| {
        !matches!(assumption.name, "any_mac" | "host_names" | "learn_from" | "one_far_end" | "ids_apart")
            || !assumption.here.is_empty()
    });
    all
}

/// `peer leaf-3: leaf-3.example.net, here 192.0.2.13`
fn host_names(claims: &ClaimTable<'_>) -> Vec<String> {
    let with_address = |peer: &NamedPeer| {
        let address = peer.address.map_or_else(String::new, |address| format!(", here {address}"));
        format!("peer {}: {}{address}", peer.name, peer.host)
    };
    let mut here: Vec<_> = claims.plan.named.iter().map(with_address).collect();
    here.sort_unstable();
    here
}

/// `group leafs: 198.51.100.0 to 198.51.100.255, UDP port 4789`
fn learners(claims: &ClaimTable<'_>) -> Vec<String> {
    let (tables, names) = (&claims.plan.tables, &claims.plan.names);
    let mut here: Vec<_> = tables
        .learners
        .iter()
        .map(|row| {
            let name = names.peer(row.peer);
            let group = name.split_once('/').map_or(&*name, |(group, _)| group);
            format!("group {group}: {} to {}, {}", row.first, row.last, row.carrier)
        })
        .collect();
    here.sort_unstable();
    here
}

fn ports_without_mac(claims: &ClaimTable<'_>) -> Vec<String> {
    let ports = claims.plan.ports.iter().filter(|port| {
        let row = claims.plan.tables.ports.get(port.id);
        row.is_some_and(|row| row.mac.is_none() && !row.endpoints.is_empty())
    });
    let mut names: Vec<_> = ports.map(|port| format!("port {}", port.name)).collect();
    names.sort_unstable();
    names
}

/// Far ends under two names, with an ID that belongs to one tenant under the first and to another under the second.
fn one_far_end(claims: &ClaimTable<'_>) -> Vec<String> {
    let mut ends: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for departure in &claims.departures {
        if let FarEnd::Tunnel { remote, carrier, .. } = departure.far_end {
            ends.entry((remote, carrier)).or_default().push(departure);
        }
    }
    let mut here = Vec::new();
    for ((remote, carrier), departures) in ends {
        for (n, one) in departures.iter().enumerate() {
            for other in departures[n + 1..].iter().filter(|other| other.space != one.space) {
                let (ours, theirs) = (&claims.spaces[one.space], &claims.spaces[other.space]);
                let _ = crossed(&ours.tx_ids, &theirs.tx_ids, |a, b, value| {
                    let a = Holding::of(claims, one.space, a, Some(value));
                    let b = Holding::of(claims, other.space, b, Some(value));
                    here.push(same_id(claims, (remote, carrier), (one.peer, &a), (other.peer, &b)));
                    ControlFlow::Continue(())
                });
            }
        }
    }
    here.sort_unstable();
    here
}

/// IDs that one tenant is sent with and another received with.
fn ids_apart(claims: &ClaimTable<'_>) -> Vec<String> {
    let mut here = Vec::new();
    for (at, space) in claims.spaces.iter().enumerate() {
        let _ = crossed(&space.tx_ids, &space.rx_ids, |out, held, value| {
            if claims.has_ids_apart(out) {
                let [out, held] = [out, held].map(|held| Holding::of(claims, at, held, Some(value)));
                let peers = proof::peers(claims, at);
                here.push(format!("{peers}: {} is sent by {} and received by {}", out.ids, out.party, held.party));
            }
            ControlFlow::Continue(())
        });
    }
    here.sort_unstable();
    here
}

fn same_id(
    claims: &ClaimTable<'_>,
    (remote, carrier): (std::net::IpAddr, Carrier),
    (one, a): (PeerId, &Holding),
    (other, b): (PeerId, &Holding),
) -> String {
    let names = &claims.plan.names;
    format!(
        "{remote}, {carrier}, is both {} and {}: {} is {} by the first and {} by the second",
        names.peer(one),
        names.peer(other),
        a.ids,
        a.party,
        b.party
    )
}
