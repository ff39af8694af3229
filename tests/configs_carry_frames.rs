//! Every sample gateway at work: a broadcast of each place of each tenant reaches all others of its tenant, and what
//! was learned from it is then reached alone.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::net::IpAddr;

use common::Lab;
use common::wire::{self, BROADCAST, mac};
use transload::forwarding::{Claim, Exit, Forwarding, PeerId, Sender};
use transload_encaps::{Carrier, Frame, HEADROOM};

/// A place from which frames of a tenant come: a peer, under the segment of one attachment.
#[derive(Clone, Copy)]
struct Place {
    peer: PeerId,
    claim: Claim,
}

fn places(tables: &Forwarding) -> Vec<Place> {
    let domains = tables.domains.iter();
    domains
        .flat_map(|(domain, row)| {
            row.attachments.iter().flat_map(move |(id, attachment)| {
                let claim = Claim { domain, attachment: id };
                tables.members(&attachment.members).iter().map(move |&peer| Place { peer, claim })
            })
        })
        .collect()
}

/// The tenant's frame as it arrives from a place, and the port: the tunnel header by the peer's own compiled
/// encapsulation, everything around it by hand.
fn arriving(lab: &Lab, tables: &Forwarding, place: Place, inner: &[u8]) -> (String, Vec<u8>) {
    let peer = tables.peer(place.peer).unwrap();
    let attachment = tables.domain(place.claim.domain).unwrap().attachment(place.claim.attachment).unwrap();
    let mut chunk = vec![0; HEADROOM + 4096];
    let mut frame = Frame::new(&mut chunk);
    assert!(frame.fill(HEADROOM, inner));
    peer.compiled.encap(&mut frame, attachment.segment, 0).unwrap();
    if let Exit::Port(port) = peer.exit {
        return (lab.name_of(port), frame.bytes().to_vec());
    }
    let senders: Vec<&Sender> =
        tables.senders.iter().filter(|(_, peer)| **peer == place.peer).map(|(sender, _)| sender).collect();
    let sender = senders[0];
    let endpoint = tables.endpoints.get(sender.endpoint).unwrap();
    let (protocol, packet) = match sender.carrier {
        Carrier::Udp(port) => (17, udp(sender.address, endpoint.address, port, frame.bytes())),
        Carrier::Ip(protocol) => (protocol, frame.bytes().to_vec()),
        Carrier::Port => unreachable!("tunnels ride on IP"),
    };
    let (port, row) = tables.ports.iter().find(|(_, row)| row.endpoints.contains(&sender.endpoint)).unwrap();
    let dst = row.mac.map_or(mac(0xee), |mac| mac.0);
    let mut packet = wire::outer((dst, mac(0xff)), (sender.address, endpoint.address), 0, protocol, &packet);
    if let Some(vlan) = endpoint.vlan {
        packet = wire::tag(&packet, 0x8100, vlan);
    }
    (lab.name_of(port), packet)
}

fn udp(src: IpAddr, dst: IpAddr, port: u16, payload: &[u8]) -> Vec<u8> {
    let mut packet = wire::udp(50_000, port, payload);
    if let (IpAddr::V6(src), IpAddr::V6(dst)) = (src, dst) {
        let len = (packet.len() as u32).to_be_bytes();
        let sum = wire::sum(&[&src.octets(), &dst.octets(), &len, &[0, 0, 0, 17], &packet]);
        packet[6..8].copy_from_slice(&sum.to_be_bytes());
    }
    packet
}

/// A host that no sample names.
fn host(number: usize) -> [u8; 6] {
    let [high, low] = (number as u16).to_be_bytes();
    [2, 0x7e, 0, 0, high, low]
}

/// How many copies of a broadcast from one place leave: one for every member of every attachment beyond the horizon.
fn audience(tables: &Forwarding, from: Place) -> usize {
    let domain = tables.domain(from.claim.domain).unwrap();
    let horizon = domain.attachment(from.claim.attachment).unwrap().horizon;
    let others = domain.attachments.values().filter(|attachment| attachment.horizon != horizon);
    others.map(|attachment| tables.members(&attachment.members).len()).sum()
}

fn exercise(name: &str, yaml: &str) {
    let mut lab = Lab::new(yaml);
    let tables = lab.tables();
    let places = places(&tables);
    let tenants: BTreeSet<_> = places.iter().map(|place| place.claim.domain).collect();
    assert!(!tenants.is_empty() && places.len() >= 2, "{name} joins nobody");
    for (number, &place) in places.iter().enumerate() {
        let (port, packet) = arriving(&lab, &tables, place, &wire::tenant_frame(BROADCAST, host(number), 0));
        let sent = lab.send(&port, packet);
        assert_eq!(sent.len(), audience(&tables, place), "{name}: broadcast from place {number}: {:?}", lab.drops());
    }
    for (a, &from) in places.iter().enumerate() {
        for (b, &to) in places.iter().enumerate().filter(|&(b, _)| b != a) {
            lab.clock += 1_000_000;
            let (port, packet) = arriving(&lab, &tables, from, &wire::tenant_frame(host(b), host(a), 0));
            let sent = lab.send(&port, packet).len();
            let horizon = |place: Place| {
                tables.domain(place.claim.domain).unwrap().attachment(place.claim.attachment).unwrap().horizon
            };
            let learning = tables.domain(from.claim.domain).unwrap().learning;
            let same_tenant = learning && from.claim.domain == to.claim.domain;
            let reaches = same_tenant && horizon(from) != horizon(to);
            assert!(!reaches || sent == 1, "{name}: from place {a} to place {b}: {sent}, {:?}", lab.drops());
            assert!(!same_tenant || reaches || sent == 0, "{name}: {a} and {b} are one mesh");
        }
    }
}

#[test]
fn every_sample_gateway_carries_the_frames_of_every_tenant() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/configs");
    let mut names: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    names.sort();
    for required in ["dc-border", "vxlan-two-sites", "nvgre-migration", "qinq-handoff", "gre-hub", "traffic-mirror"] {
        assert!(names.iter().any(|path| path.file_stem().is_some_and(|stem| stem == required)), "no {required}");
    }
    for path in names {
        exercise(&path.display().to_string(), &fs::read_to_string(&path).unwrap());
    }
}
