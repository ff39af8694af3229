//! One tenant in all four encapsulations, and another with the same addresses in the same places: everyone reaches
//! their own, and nobody the other's.

use transload_interop_tests::peers::Uml;
use transload_interop_tests::traffic::{is_silent, ping, settle};
use transload_interop_tests::world::{Inside, Leaf, Site};
use transload_lab::{Gateway, Host, Namespace, need};

const LEAF: Leaf<'_> = Leaf { device: "eth1", gateway: "192.0.2.1", address: "192.0.2.11", mtu: 1500 };
const GRE: Site = Site { name: "gre", number: 2 };
const NVGRE: Site = Site { name: "nvgre", number: 3 };
const ACCESS: Site = Site { name: "access", number: 4 };

const TENANTS: [&str; 2] = ["blue", "red"];

fn file() -> String {
    format!(
        r"
version: 1
ports:
  up1: {{ device: eth1 }}
  {}
  {}
  {}
endpoints:
  fabric: {{ address: 192.0.2.1, ports: [up1] }}
  sites: {{ address: 198.51.100.1, ports: [gre, nvgre] }}
peers:
  leaf: {{ address: 192.0.2.11, endpoint: fabric, encap: vxlan }}
  gre: {{ address: {}, endpoint: sites, encap: gre }}
  nvgre: {{ address: {}, endpoint: sites, encap: {{ nvgre: {{ flow_id: zero }} }} }}
tenants:
  blue:
    attachments:
      leaf: {{ peer: leaf, vni: 100 }}
      gre: {{ peer: gre, key: 7 }}
      nvgre: {{ peer: nvgre, vsid: 5100 }}
      ce: {{ port: access, s_vid: 100, c_vid: 7 }}
  red:
    attachments:
      leaf: {{ peer: leaf, vni: 101 }}
      gre: {{ peer: gre, key: 8 }}
      nvgre: {{ peer: nvgre, vsid: 5101 }}
      ce: {{ port: access, s_vid: 100, c_vid: 8 }}
",
        GRE.port(),
        NVGRE.port(),
        ACCESS.tagged_port(),
        GRE.address(),
        NVGRE.address(),
    )
}

/// The four places: what makes the device of a tenant there, 0 for blue and 1 for red.
fn device(place: usize, tenant: u32) -> String {
    match place {
        1 => LEAF.vxlan("t0", 100 + tenant),
        2 => GRE.gretap("t0", &format!("key {}", 7 + tenant)),
        3 => NVGRE.gretap("t0", &format!("key {}", (5100 + tenant) << 8)),
        _ => format!("ip link add link s100 name t0 type vlan id {}", 7 + tenant),
    }
}

struct World {
    /// In places 2, 3 and 4, with a namespace for each tenant.
    sites: [Uml; 3],
    /// The tenants' hosts in place 1, whose tunnels end in `leaf`.
    hosts: [Namespace; 2],
    leaf: Namespace,
    gateway: Gateway,
    _middle: Namespace,
}

fn world() -> World {
    let middle = Namespace::new().unwrap();
    let leaf = LEAF.build(&middle).unwrap();
    let gateway = Gateway::start(&middle, &file()).unwrap();
    let sites = [GRE, NVGRE, ACCESS].map(|site| site.boot(&gateway).unwrap());
    sites[2].sh("ip link add link vec0 name s100 type vlan protocol 802.1ad id 100 && ip link set s100 up").unwrap();
    let hosts = [0, 1].map(|_| Namespace::new().unwrap());

    let world = World { sites, hosts, leaf, gateway, _middle: middle };
    for (tenant, place) in [0, 1].into_iter().flat_map(|tenant| (1..=4).map(move |place| (tenant, place))) {
        world.furnish(tenant, place);
    }
    world
}

impl World {
    /// Gives a tenant its device in a place, under the addresses that this place has for every tenant.
    fn furnish(&self, tenant: usize, place: usize) {
        let device = device(place, tenant as u32);
        if place == 1 {
            let target = self.hosts[tenant].path();
            self.leaf.sh(&format!("{device}; ip link set t0 netns {target}")).unwrap();
        } else {
            let name = TENANTS[tenant];
            let line = format!("{device} && ip netns add {name} && ip link set t0 netns {name}");
            self.sites[place - 2].sh(&line).unwrap();
        }
        let address = format!("ip link set t0 address 02:00:00:00:00:0{place}; ip addr add 10.1.0.{place}/24 dev t0");
        self.at(place, tenant).sh(&format!("{address}; ip link set t0 up")).unwrap();
    }

    /// A tenant's host in a place.
    fn at(&self, place: usize, tenant: usize) -> Box<dyn Host + '_> {
        if place == 1 {
            Box::new(&self.hosts[tenant])
        } else {
            Box::new(Inside { host: &self.sites[place - 2], namespace: TENANTS[tenant].to_owned() })
        }
    }
}

#[test]
fn every_encapsulation_meets_every_other_and_tenants_never_meet() {
    need!(root, ip, ping, vxlan, uml);
    let world = world();
    for tenant in [0, 1] {
        for (from, to) in (1..=4).flat_map(|from| (1..=4).map(move |to| (from, to))).filter(|(a, b)| a != b) {
            settle(&*world.at(from, tenant), &format!("10.1.0.{to}")).unwrap();
            ping(&*world.at(from, tenant), &format!("10.1.0.{to}"), 1400).unwrap();
        }
    }

    // Who answered was one's own: where red's host is gone, red hears nothing, and blue its own as before.
    world.at(2, 1).sh("ip link set t0 down").unwrap();
    for from in [1, 3, 4] {
        assert!(is_silent(&*world.at(from, 1), "10.1.0.2"), "red's dead host answers red at place {from}");
        ping(&*world.at(from, 0), "10.1.0.2", 64).unwrap();
    }

    // An address that only one of them has is nowhere to be found for the other.
    world.at(3, 0).sh("ip addr add 10.1.0.8/24 dev t0").unwrap();
    settle(&*world.at(1, 0), "10.1.0.8").unwrap();
    for from in [1, 3, 4] {
        assert!(is_silent(&*world.at(from, 1), "10.1.0.8"), "red at place {from} reaches blue");
    }
    let World { sites, gateway, .. } = world;
    drop(sites);
    gateway.stop().unwrap();
}
