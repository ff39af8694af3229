//! Routes and neighbours in, next hops and complaints out: no kernel needed.

use std::net::IpAddr;

use transload::forwarding::{Hop, PeerId, PortId, Slab};
use transload::io::LinkLayer;
use transload::io::link_layer::{FAR_MAC, OWN_MAC};
use transload::kernel::device_kinds::{DeviceFamily, DeviceKind};
use transload::kernel::next_hops::{Complaint, Resolution, flow, flows, resolve};
use transload::kernel::tables::{Flow, Kernel, Link, LinkState, Neighbour, NextHop, Route};
use transload::rib::facts::{PortLink, Tunnel};
use transload_encaps::Mac;
use transload_encaps::underlay::LinkAddresses;

const UP1: PortId = PortId::new(0);
const UP2: PortId = PortId::new(1);
const SOCKET: PortId = PortId::new(2);

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn mac(last: u8) -> Mac {
    Mac([2, 0, 0, 0, 0, last])
}

/// eth1 (index 1, MAC ..01) and eth2 (index 2, MAC ..02) under the ports up1 and up2, eth5 (index 5) under none, and
/// a port that is a socket.
struct World {
    kernel: Kernel,
    ports: Slab<PortId, PortLink>,
    tunnel: Tunnel,
}

impl World {
    fn new() -> Self {
        let mut kernel = Kernel::default();
        for (index, name) in [(1, "eth1"), (2, "eth2"), (5, "eth5")] {
            let link = Link {
                name: name.into(),
                mac: Some(mac(index as u8)),
                mtu: 1500,
                state: LinkState::Up,
                ..Link::default()
            };
            kernel.links.insert(index, link);
        }
        let port = |name: &str, device: Option<&str>| PortLink {
            name: name.into(),
            device: device.map(Into::into),
            ..PortLink::default()
        };
        let ports = [port("up1", Some("eth1")), port("up2", Some("eth2")), port("uml", None)];
        let ports = (0..).map(PortId::new).zip(ports).collect();
        let tunnel = Tunnel {
            peer: PeerId::new(3),
            name: "leaf-9".into(),
            endpoint: "fabric".into(),
            local: ip("192.0.2.1"),
            remote: ip("192.0.2.9"),
            ports: vec![UP1, UP2],
            vlan: None,
        };
        Self { kernel, ports, tunnel }
    }

    fn route(mut self, next_hops: &[(u32, Option<&str>)]) -> Self {
        let next_hop = |&(link, gateway): &(u32, Option<&str>)| NextHop { link, gateway: gateway.map(ip), mtu: None };
        let route = Route::Out(next_hops.iter().map(next_hop).collect());
        self.kernel.routes.insert(flow(&self.tunnel, &self.ports, &self.kernel), route);
        self
    }

    fn neighbour(mut self, link: u32, address: &str, last: u8) -> Self {
        let entry = Neighbour { mac: Some(mac(last)), fixed: false, has_failed: false };
        self.kernel.neighbours.insert((link, ip(address)), entry);
        self
    }

    fn port(&mut self, number: u16) -> &mut PortLink {
        self.ports.get_mut(PortId::new(number)).unwrap()
    }

    fn resolve(&self) -> Resolution {
        resolve(&self.tunnel, &self.ports, &self.kernel)
    }

    fn hops(&self) -> Vec<Hop> {
        self.resolve().hops
    }

    fn complaints(&self) -> Vec<String> {
        self.resolve().complaints.iter().map(Complaint::to_string).collect()
    }
}

fn hop(port: PortId, dst: u8, src: u8) -> Hop {
    Hop { port, link: LinkAddresses { dst: mac(dst), src: mac(src) }, mtu: Some(1500) }
}

#[test]
fn every_equal_cost_next_hop_is_used() {
    let world = World::new().route(&[(1, Some("10.0.1.2")), (2, Some("10.0.2.2"))]);
    let world = world.neighbour(1, "10.0.1.2", 0x21).neighbour(2, "10.0.2.2", 0x22);
    assert_eq!(world.hops(), [hop(UP1, 0x21, 1), hop(UP2, 0x22, 2)]);
    assert_eq!(world.complaints(), [""; 0]);
}

#[test]
fn a_peer_on_the_link_itself_is_its_own_neighbour() {
    let world = World::new().route(&[(1, None)]).neighbour(1, "192.0.2.9", 0x29);
    assert_eq!(world.hops(), [hop(UP1, 0x29, 1)]);
}

#[test]
fn behind_a_device_without_ethernet_no_neighbour_is_asked_for() {
    let kind = DeviceKind { layer: LinkLayer::Ip, has_far_end: true, family: DeviceFamily::Other };
    for gateway in [None, Some("10.0.1.2")] {
        let mut world = World::new().route(&[(1, gateway)]);
        let link = world.kernel.links.get_mut(&1).unwrap();
        (link.kind, link.mac, link.mtu) = (kind, Some(OWN_MAC), 1420);
        let link = LinkAddresses { dst: FAR_MAC, src: OWN_MAC };
        let resolution = world.resolve();
        assert_eq!(resolution.hops, [Hop { port: UP1, link, mtu: Some(1420) }]);
        assert!(resolution.neighbours.is_empty() && resolution.complaints.is_empty(), "{resolution:?}");
    }
}

#[test]
fn a_link_local_peer_is_on_the_link_of_its_endpoint_whatever_the_routes_say() {
    let mut world = World::new().neighbour(1, "fe80::9", 0x11).neighbour(2, "fe80::9", 0x29);
    (world.tunnel.local, world.tunnel.remote, world.tunnel.ports) = (ip("fe80::1"), ip("fe80::9"), vec![UP2]);
    assert_eq!(world.hops(), [hop(UP2, 0x29, 2)]);
    assert!(flows([&world.tunnel], &world.ports, &world.kernel).is_empty(), "no route is asked for");
    world.tunnel.ports = vec![UP1];
    assert_eq!(world.hops(), [hop(UP1, 0x11, 1)]);
    let card = Link { name: "eth1.30".into(), vlan: Some((1, 30)), ..world.kernel.links[&1].clone() };
    world.kernel.links.insert(7, card);
    world.tunnel.vlan = Some(30);
    assert_eq!(world.complaints(), ["fe80::9 on eth1.30 has not answered yet"]);
    world.tunnel.vlan = Some(31);
    assert_eq!(world.complaints(), ["no route to fe80::9"]);
}

#[test]
fn a_route_is_looked_up_in_the_vrf_of_the_endpoints_devices() {
    let mut world = World::new();
    let look = |world: &World| flow(&world.tunnel, &world.ports, &world.kernel).vrf;
    assert_eq!(look(&world), None);
    for (kind, vrf) in [("vrf", Some(9)), ("bridge", None), ("bond", None)] {
        world.kernel.links.get_mut(&1).unwrap().master = Some((9, kind.to_owned()));
        assert_eq!(look(&world), vrf, "a bridge or a bond is no VRF");
    }
}

#[test]
fn an_ipv4_peer_may_be_behind_an_ipv6_next_hop() {
    let world = World::new().route(&[(2, Some("fe80::1"))]).neighbour(2, "fe80::1", 0x31);
    assert_eq!(world.hops(), [hop(UP2, 0x31, 2)]);
}

#[test]
fn the_same_address_on_another_link_is_another_neighbour() {
    let world = World::new().route(&[(1, Some("fe80::1"))]).neighbour(2, "fe80::1", 0x31);
    assert_eq!(world.hops(), []);
}

#[test]
fn an_unanswered_neighbour_is_asked_for_and_costs_only_its_own_path() {
    let world = World::new().route(&[(1, Some("10.0.1.2")), (2, Some("10.0.2.2"))]).neighbour(2, "10.0.2.2", 0x22);
    let resolution = world.resolve();
    assert_eq!(resolution.hops, [hop(UP2, 0x22, 2)]);
    assert!(resolution.neighbours.contains(&(1, ip("10.0.1.2"))));
    let said = ["10.0.1.2 on eth1, the next hop to 192.0.2.9, has not answered yet"];
    assert_eq!(world.complaints(), said);
}

#[test]
fn a_route_by_a_device_that_the_endpoint_does_not_name_is_an_error_in_words() {
    let world = World::new().route(&[(5, Some("10.0.5.2"))]).neighbour(5, "10.0.5.2", 0x25);
    assert_eq!(world.hops(), []);
    assert_eq!(world.complaints(), ["route to 192.0.2.9 leaves by eth5, but endpoint fabric names only eth1, eth2"]);
    assert!(!world.resolve().complaints[0].is_passing());
}

#[test]
fn no_route_and_a_route_to_ourselves_are_told_apart() {
    let mut world = World::new();
    assert_eq!(world.complaints(), ["no route to 192.0.2.9"]);
    world.kernel.routes.insert(Flow { src: ip("192.0.2.1"), dst: ip("192.0.2.9"), vrf: None }, Route::Local);
    assert!(matches!(world.resolve().complaints[0], Complaint::Local(_)));
}

#[test]
fn a_device_without_carrier_is_no_path() {
    let mut world = World::new().route(&[(1, None)]).neighbour(1, "192.0.2.9", 0x29);
    world.kernel.links.get_mut(&1).unwrap().state = LinkState::Down;
    assert_eq!(world.hops(), []);
    assert_eq!(world.complaints(), ["the path to 192.0.2.9 leaves by eth1, which is down"]);
    world.kernel.links.get_mut(&1).unwrap().state = LinkState::NoCarrier;
    world.port(0).next_hops = vec![(ip("192.0.2.9"), mac(0x77))];
    assert_eq!(world.hops(), [], "nor is it one that the configuration names");
    let words = "the path to 192.0.2.9 leaves by eth1, which has no carrier: the other end of the cable is down";
    assert_eq!(world.complaints(), [words]);
}

#[test]
fn what_has_come_right_is_told_by_what_the_kernel_shows() {
    let world = World::new().route(&[(1, Some("10.0.1.2"))]);
    let complaint = world.resolve().complaints.remove(0);
    let gone = "cleared: 10.0.1.2 on eth1, the next hop to 192.0.2.9, has not answered yet";
    assert_eq!(complaint.cleared(&world.kernel), gone, "another route made it go");
    let mut world = world.neighbour(1, "10.0.1.2", 0x21);
    assert_eq!(complaint.cleared(&world.kernel), "next hop 10.0.1.2 (eth1) resolved");

    world.kernel.links.get_mut(&1).unwrap().state = LinkState::Down;
    let down = world.resolve().complaints.remove(0);
    world.kernel.links.get_mut(&1).unwrap().state = LinkState::Up;
    assert_eq!(down.cleared(&world.kernel), "eth1 is up again");
}

#[test]
fn a_next_hop_in_the_configuration_wins_over_the_kernel() {
    let mut world = World::new().route(&[(1, None)]).neighbour(1, "192.0.2.9", 0x29);
    world.port(1).next_hops = vec![(ip("192.0.2.9"), mac(0x77))];
    assert_eq!(world.hops(), [hop(UP2, 0x77, 2)]);
}

#[test]
fn a_gateway_in_the_configuration_needs_no_answer_from_the_kernel() {
    let mut world = World::new().route(&[(1, Some("10.0.1.2"))]);
    world.port(0).next_hops = vec![(ip("10.0.1.2"), mac(0x78))];
    assert_eq!(world.hops(), [hop(UP1, 0x78, 1)]);
    assert!(world.resolve().neighbours.is_empty());
}

#[test]
fn a_socket_has_no_routes_and_says_what_it_needs() {
    let mut world = World::new();
    world.tunnel.ports = vec![SOCKET];
    assert_eq!(world.complaints(), ["port uml is no network device: give it `next_hops: { 192.0.2.9: MAC }`"]);
    world.port(2).next_hops = vec![(ip("192.0.2.9"), mac(0x79))];
    assert_eq!(world.complaints(), ["port uml has no MAC address to send tunnel packets from: give it `mac:`"]);
    world.port(2).mac = Some(mac(0x70));
    let expected = Hop { mtu: None, ..hop(SOCKET, 0x79, 0x70) };
    assert_eq!(world.hops(), [expected]);
}

#[test]
fn a_tagged_endpoint_leaves_by_the_vlan_device_on_its_port() {
    let mut world = World::new().route(&[(7, None)]).neighbour(7, "192.0.2.9", 0x29);
    let vlan = Link {
        name: "eth1.30".into(),
        mac: Some(mac(1)),
        mtu: 1400,
        state: LinkState::Up,
        vlan: Some((1, 30)),
        ..Link::default()
    };
    world.kernel.links.insert(7, vlan);
    world.tunnel.vlan = Some(30);
    assert_eq!(world.hops(), [Hop { mtu: Some(1400), ..hop(UP1, 0x29, 1) }]);
    world.tunnel.vlan = Some(31);
    let said = "route to 192.0.2.9 leaves by eth1.30, but endpoint fabric names only eth1 (vlan 31), eth2 (vlan 31)";
    assert_eq!(world.complaints(), [said]);
    world.tunnel.vlan = None;
    let said = "route to 192.0.2.9 leaves by eth1.30, but endpoint fabric names only eth1, eth2";
    assert_eq!(world.complaints(), [said]);
}

#[test]
fn the_smallest_known_mtu_counts() {
    let mut world = World::new().route(&[(1, None)]).neighbour(1, "192.0.2.9", 0x29);
    world.port(0).mtu = Some(9000);
    assert_eq!(world.hops()[0].mtu, Some(9000));
    let flow = flow(&world.tunnel, &world.ports, &world.kernel);
    if let Some(Route::Out(next_hops)) = world.kernel.routes.get_mut(&flow) {
        next_hops[0].mtu = Some(1400);
    }
    assert_eq!(world.hops()[0].mtu, Some(1400));
}
