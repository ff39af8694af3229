//! Which frames of a port are the gateway's, out of the frozen tables: for the program that redirects them.

use std::collections::BTreeSet;

use transload_encaps::qinq::{FIRST_VID_AT, FirstTag, first_tag};
use transload_encaps::{Carrier, Compiled, Mac, Segment};

use crate::dataplane::host_traffic::tunnel_carriers;
use crate::forwarding::{EndpointId, FileTables, PeerId, Port, PortId, Scope};
use crate::io::af_xdp::{AllowedSenders, Claims, Entrance, Filter, Tags};

/// Which frames of a port, whose MAC address this is, are the gateway's.
#[must_use]
pub fn filter(tables: &FileTables, port: PortId, mac: Option<Mac>) -> Filter {
    let Some(port) = tables.ports.get(port) else { return Filter::default() };
    let endpoints = port.endpoints.iter().filter_map(|&id| Some((id, tables.endpoints.get(id)?)));
    let entrances = endpoints.map(|(id, endpoint)| Entrance {
        address: endpoint.address,
        vlan: endpoint.vlan,
        multicast: endpoint.multicast.clone(),
        carriers: endpoint.carriers.clone(),
        senders: senders(tables, id),
    });
    let other_tunnels: BTreeSet<_> = tunnel_carriers(tables).collect();
    Filter {
        mac,
        entrances: entrances.collect(),
        tags: tags(tables, port),
        own: tables.endpoints.values().map(|endpoint| endpoint.address).collect(),
        other_tunnels: other_tunnels.into_iter().collect(),
        no_tunnels: Carrier::others().filter(|(_, other)| !other.is_tunnel).map(|(carrier, _)| carrier).collect(),
    }
}

/// Whom an endpoint's tunnel packets come from. Learned peers are inside the prefixes that they are learned from.
fn senders(tables: &FileTables, endpoint: EndpointId) -> AllowedSenders {
    let peers = tables.senders.keys().filter(|sender| sender.endpoint == endpoint);
    let peers: BTreeSet<_> = peers.map(|sender| (sender.carrier, sender.address)).collect();
    let learners = tables.learners.iter().filter(|learner| learner.endpoint == endpoint);
    let learners = learners.map(|learner| (learner.carrier, learner.first, learner.last)).collect();
    AllowedSenders::Known { peers: peers.into_iter().collect(), learners }
}

fn tags(tables: &FileTables, port: &Port) -> Tags {
    match port.tags {
        None => Tags::None,
        Some(peer) => match claims(tables, peer) {
            None => Tags::None,
            // Only tenants are behind it: what nobody claims is dropped and counted.
            Some(claims) if port.endpoints.is_empty() && claims.untagged => Tags::All,
            Some(claims) if port.endpoints.is_empty() => Tags::Tagged(claims.tpids),
            Some(claims) => Tags::Some(claims),
        },
    }
}

/// The first tags that attachments and mappings claim of a port.
fn claims(tables: &FileTables, peer: PeerId) -> Option<Claims> {
    let peer = tables.peer(peer)?;
    let Compiled::QinQ(grammar, _) = &peer.compiled else { return None };
    let (mut outer, mut single, mut untagged) = (BTreeSet::new(), BTreeSet::new(), false);
    let attached = tables.segments.keys().filter(|(scope, _)| *scope == peer.scope).map(|(_, segment)| *segment);
    for segment in attached.chain(mapped(tables, peer.scope)) {
        match first_tag(segment) {
            FirstTag::None => untagged = true,
            FirstTag::Single(vid) => drop(single.insert(vid)),
            FirstTag::Outer(vid) => drop(outer.insert(vid)),
        }
    }
    let tpids: BTreeSet<_> = grammar.tpids().iter().copied().collect();
    let in_order = |set: BTreeSet<u16>| set.into_iter().collect();
    Some(Claims { tpids: in_order(tpids), outer: in_order(outer), single: in_order(single), untagged })
}

/// Segments that mappings have in a scope, one for every first tag.
fn mapped(tables: &FileTables, scope: Scope) -> impl Iterator<Item = Segment> {
    let sides = tables.mappings.by_scope.get(scope).into_iter().flatten();
    sides.flat_map(|&(mapping, side)| {
        let side = tables.mappings.get(mapping).and_then(|connection| connection.ids.sides.get(side));
        side.into_iter().flat_map(|side| {
            let vids = side.fields.iter().find(|field| field.at == FIRST_VID_AT).map(|vids| vids.first..=vids.last);
            vids.unwrap_or(0..=0).map(|vid| Segment(side.base | vid << FIRST_VID_AT))
        })
    })
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::compile::{Numbers, compile};
    use crate::config;

    /// The filters of three ports: one with tunnels, one that tunnels and tags share, one with tenants only.
    fn filters() -> [Filter; 3] {
        let text = "
version: 1
ports:
  tunnels: { device: eth0 }
  shared: { device: eth1 }
  tenants: { device: eth2 }
endpoints:
  first: { address: 192.0.2.1, ports: [tunnels] }
  second: { address: 198.51.100.1, ports: [shared] }
peers:
  left: { address: 192.0.2.11, endpoint: first, encap: vxlan }
  right: { address: 198.51.100.11, endpoint: second, encap: nvgre }
tenants:
  blue:
    attachments:
      left: { peer: left, vni: 100 }
      right: { peer: right, vsid: 5000 }
      stacked: { port: shared, s_vid: 100, c_vid: 7 }
      single: { port: shared, vid: 300 }
      office: { port: tenants, vid: 5 }
";
        let plan = compile(&config::parse("gateway.yaml", text).unwrap(), &Numbers::default(), None).unwrap();
        let named = |name: &str| plan.ports.iter().find(|port| port.name == name).unwrap().id;
        ["tunnels", "shared", "tenants"].map(|name| filter(&plan.tables, named(name), None))
    }

    #[test]
    fn a_port_takes_the_tunnels_of_its_own_endpoints_by_what_carries_them() {
        let [tunnels, shared, tenants] = filters();
        let entrance = |address: &str, carrier, peer: &str| Entrance {
            address: address.parse().unwrap(),
            vlan: None,
            multicast: vec![],
            carriers: vec![carrier],
            senders: AllowedSenders::Known { peers: vec![(carrier, peer.parse().unwrap())], learners: vec![] },
        };
        assert_eq!(tunnels.entrances, [entrance("192.0.2.1", Carrier::Udp(4789), "192.0.2.11")]);
        assert_eq!(shared.entrances, [entrance("198.51.100.1", Carrier::Ip(47), "198.51.100.11")]);
        assert_eq!(tenants.entrances, []);
        let own: [IpAddr; 2] = [[192, 0, 2, 1].into(), [198, 51, 100, 1].into()];
        for filter in [tunnels, shared, tenants] {
            assert_eq!(filter.own, own, "to whichever port it comes");
        }
    }

    #[test]
    fn a_port_takes_the_tags_that_are_claimed_and_all_tags_where_only_tenants_are() {
        let [tunnels, shared, tenants] = filters();
        assert_eq!((tunnels.tags, tenants.tags), (Tags::None, Tags::Tagged(vec![0x88a8])));
        let Tags::Some(claims) = shared.tags else { panic!("{:?}", shared.tags) };
        assert_eq!((claims.outer, claims.single, claims.untagged), (vec![100], vec![300], false));
    }

    #[test]
    fn tunnel_packets_come_from_every_address_of_a_peer_and_from_prefixes_that_peers_are_learned_from() {
        let text = "
version: 1
ports:
  up: { device: eth0 }
endpoints:
  own: { address: 192.0.2.1, ports: [up] }
groups:
  leafs: { encap: vxlan, members: [192.0.2.9], learn_from: 198.51.100.0/24, bum: 239.1.1.1 }
peers:
  far: { address: 192.0.2.250, accept_from: [192.0.2.251], encap: nvgre }
tenants:
  blue:
    attachments:
      leafs: { group: leafs, vni: 100 }
      far: { peer: far, vsid: 5000 }
";
        let plan = compile(&config::parse("gateway.yaml", text).unwrap(), &Numbers::default(), None).unwrap();
        let filter = filter(&plan.tables, plan.ports[0].id, None);
        let [Entrance { multicast, senders: AllowedSenders::Known { peers, learners }, .. }] = &filter.entrances[..]
        else {
            panic!("{:?}", filter.entrances)
        };
        let ip = |address: &str| address.parse::<IpAddr>().unwrap();
        let (vxlan, nvgre) = (Carrier::Udp(4789), Carrier::Ip(47));
        assert_eq!(multicast, &[ip("239.1.1.1")]);
        let expected = [(nvgre, ip("192.0.2.250")), (nvgre, ip("192.0.2.251")), (vxlan, ip("192.0.2.9"))];
        assert_eq!(peers, &expected);
        assert_eq!(learners, &[(vxlan, ip("198.51.100.0"), ip("198.51.100.255"))]);
    }
}
