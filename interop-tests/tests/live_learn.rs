//! Peers that nobody names, and multicast in the underlay: the running kernel's VXLAN as RFC 7348 §4.2 has it, on one
//! switch with the gateway.

use transload_interop_tests::traffic::{is_silent, ping, settle};
use transload_interop_tests::world::Site;
use transload_lab::{Gateway, Host, Namespace, eventually, need, veth};

const UP: &str = "gw0";

/// A switch, the gateway's namespace on its port, and machines on others.
struct Lan {
    switch: Namespace,
    middle: Namespace,
    hosts: Vec<Namespace>,
}

impl Lan {
    fn new(leafs: u8) -> Self {
        let (switch, middle) = (Namespace::new().unwrap(), Namespace::new().unwrap());
        switch.sh("ip link add br0 type bridge mcast_snooping 0; ip link set br0 up").unwrap();
        let mut lan = Self { switch, middle, hosts: Vec::new() };
        lan.plug(0, None);
        for number in 1..=leafs {
            let leaf = Namespace::new().unwrap();
            lan.plug(number, Some(&leaf));
            lan.hosts.push(leaf);
        }
        lan
    }

    /// Number 0 is the gateway: 192.0.2.1; leafs are 192.0.2.11 and so on.
    fn plug(&self, number: u8, leaf: Option<&Namespace>) {
        let (machine, device) = (leaf.unwrap_or(&self.middle), if leaf.is_some() { "eth0" } else { UP });
        veth((&self.switch, &format!("port{number}")), (machine, device), 1500).unwrap();
        self.switch.sh(&format!("ip link set port{number} master br0")).unwrap();
        let last = if leaf.is_some() { 10 + number } else { 1 };
        machine
            .sh(&format!(
                "ip addr add 192.0.2.{last}/24 dev {device}; ip addr add fd00:2::{last}/64 dev {device} nodad"
            ))
            .unwrap();
    }

    /// A VXLAN device `vx0` with this address for the tenant.
    fn vxlan(&self, leaf: usize, options: &str) {
        let (n, host) = (leaf + 1, &self.hosts[leaf]);
        host.sh(&format!(
            "ip link add vx0 type vxlan id 100 {options} dev eth0 dstport 4789; ip addr add 10.1.0.{n}/24 dev vx0
             ip link set vx0 up"
        ))
        .unwrap();
    }
}

fn file(group: &str) -> String {
    format!(
        "version: 1
ports:
  up: {{ device: {UP} }}
  {}
endpoints:
  v4: {{ address: 192.0.2.1, ports: [up] }}
  v6: {{ address: \"fd00:2::1\", ports: [up] }}
  sites: {{ address: 198.51.100.1, ports: [gre] }}
groups:
  leafs: {{ encap: vxlan, {group} }}
peers:
  site: {{ address: {}, encap: gre, endpoint: sites }}
tenants:
  blue:
    attachments:
      leafs: {{ group: leafs, vni: 100 }}
      site: {{ peer: site, key: 7 }}
",
        SITE.port(),
        SITE.address()
    )
}

const SITE: Site = Site { name: "gre", number: 9 };

fn learned(gateway: &Gateway) -> Vec<String> {
    let rows = gateway.show("peers").unwrap();
    let rows = rows.as_array().unwrap().iter().filter(|row| !row["learned_ago"].is_null());
    rows.map(|row| row["peer"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_multicast_vxlan_network_and_a_gre_site_are_one_tenant_over_ipv4_and_ipv6() {
    need!(root, ip, ping, vxlan, uml);
    for (group, options, local) in [
        ("learn_from: 192.0.2.0/24, bum: 239.1.1.1, endpoint: v4", "group 239.1.1.1", "192.0.2.1"),
        ("learn_from: \"fd00:2::/64\", bum: \"ff05::1:1\", endpoint: v6", "group ff05::1:1", "fd00:2::1"),
    ] {
        let lan = Lan::new(2);
        for leaf in 0..2 {
            lan.vxlan(leaf, &format!("local {local}{} {options} ttl 4", leaf + 1));
        }
        let gateway = Gateway::start(&lan.middle, &file(group)).unwrap();
        let site = SITE.boot(&gateway).unwrap();
        site.sh(&format!(
            "{} && ip addr add 10.1.0.9/24 dev gre0s && ip link set gre0s up",
            SITE.gretap("gre0s", "key 7")
        ))
        .unwrap();
        let is_joined =
            || lan.middle.sh("ip maddr show dev gw0").unwrap().contains(options.trim_start_matches("group "));
        eventually("the group is joined", is_joined);
        for leaf in &lan.hosts {
            settle(leaf, "10.1.0.9").unwrap();
            ping(leaf, "10.1.0.9", 1300).unwrap();
        }
        ping(&site, "10.1.0.1", 1300).unwrap();
        ping(&lan.hosts[0], "10.1.0.2", 1300).unwrap();
        let mut expected: Vec<_> = (1..=2).map(|leaf| format!("leafs/{local}{leaf}")).collect();
        expected.sort();
        eventually("both are learned", || learned(&gateway) == expected);
        drop(site);
        gateway.stop().unwrap();
    }
}

#[test]
fn a_group_is_joined_again_when_its_device_comes_back() {
    need!(root, ip, ping, vxlan, uml);
    let lan = Lan::new(1);
    lan.vxlan(0, "local 192.0.2.11 group 239.1.1.1 ttl 4");
    let gateway = Gateway::start(&lan.middle, &file("learn_from: 192.0.2.0/24, bum: 239.1.1.1, endpoint: v4")).unwrap();
    lan.middle.sh(&format!("ip link del {UP}")).unwrap();
    lan.plug(0, None);
    eventually("the group is joined again", || {
        lan.middle.sh(&format!("ip maddr show dev {UP}")).unwrap().contains("239.1.1.1")
    });
    gateway.stop().unwrap();
}

#[test]
fn leafs_that_name_the_gateway_are_learned_from_what_they_send_and_others_are_not() {
    need!(root, ip, ping, vxlan, uml);
    let lan = Lan::new(2);
    for leaf in 0..2 {
        lan.vxlan(leaf, &format!("local 192.0.2.1{} remote 192.0.2.1", leaf + 1));
    }
    let gateway = Gateway::start(&lan.middle, &file("learn_from: 192.0.2.11/32, endpoint: v4")).unwrap();
    let site = SITE.boot(&gateway).unwrap();
    site.sh(&format!("{} && ip addr add 10.1.0.9/24 dev gre0s && ip link set gre0s up", SITE.gretap("gre0s", "key 7")))
        .unwrap();
    settle(&lan.hosts[0], "10.1.0.9").unwrap();
    ping(&site, "10.1.0.1", 1300).unwrap();
    assert!(is_silent(&lan.hosts[1], "10.1.0.9"), "outside the prefix");
    eventually("the one within it is learned", || learned(&gateway) == ["leafs/192.0.2.11"]);
    drop(site);
    gateway.stop().unwrap();
}
