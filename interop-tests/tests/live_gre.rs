//! The running kernel's VXLAN on one side, and on the other a Linux whose `gretap` speaks GRE, or NVGRE as Linux
//! can.

use transload_interop_tests::traffic::{ping, settle, transfer};
use transload_interop_tests::world::{Leaf, Site};
use transload_lab::{Gateway, Host, Namespace, need};

const LEAF: Leaf<'_> = Leaf { device: "eth1", gateway: "192.0.2.1", address: "192.0.2.11", mtu: 1500 };
const SITE: Site = Site { name: "site", number: 2 };

/// A gateway between a VXLAN leaf and a site, spoken to as `encap` says and attached under `id`.
fn file(encap: &str, id: &str) -> String {
    format!(
        r"
version: 1
ports:
  up1: {{ device: eth1 }}
  {port}
endpoints:
  fabric: {{ address: 192.0.2.1, ports: [up1] }}
  sites: {{ address: 198.51.100.1, ports: [site] }}
peers:
  left: {{ address: 192.0.2.11, endpoint: fabric, encap: vxlan }}
  site: {{ address: {address}, endpoint: sites, encap: {encap} }}
tenants:
  blue:
    attachments:
      left: {{ peer: left, vni: 100 }}
      site: {{ peer: site{id} }}
",
        port = SITE.port(),
        address = SITE.address(),
    )
}

/// A host at the leaf and one at the site reach each other, and move TCP both ways.
fn leaf_and_site_meet(encap: &str, id: &str, gretap: &str) {
    let middle = Namespace::new().unwrap();
    let leaf = LEAF.with_vxlan(&middle, 100, "10.1.0.1/24").unwrap();
    let gateway = Gateway::start(&middle, &file(encap, id)).unwrap();
    let site = SITE.boot(&gateway).unwrap();
    site.sh(&format!("{}; ip addr add 10.1.0.2/24 dev gt0; ip link set gt0 up", SITE.gretap("gt0", gretap))).unwrap();

    settle(&leaf, "10.1.0.2").unwrap();
    ping(&leaf, "10.1.0.2", 1400).unwrap();
    ping(&site, "10.1.0.1", 1400).unwrap();
    transfer(&leaf, &site, "10.1.0.2", 4).unwrap();
    transfer(&site, &leaf, "10.1.0.1", 4).unwrap();
    drop(site);
    gateway.stop().unwrap();
}

#[test]
fn vxlan_meets_gre_with_a_key() {
    need!(root, ip, ping, vxlan, uml);
    leaf_and_site_meet("gre", ", key: 7", "key 7");
}

#[test]
fn vxlan_meets_gre_without_a_key() {
    need!(root, ip, ping, vxlan, uml);
    leaf_and_site_meet("gre", "", "");
}

#[test]
fn vxlan_meets_gre_with_checksums_and_sequence_numbers() {
    need!(root, ip, ping, vxlan, uml);
    leaf_and_site_meet("{ gre: { checksum: true, sequence: true } }", ", key: 7", "key 7 csum seq");
}

#[test]
fn vxlan_meets_nvgre_whose_flow_id_is_zero() {
    need!(root, ip, ping, vxlan, uml);
    let key = format!("key {}", 5100 << 8);
    leaf_and_site_meet("{ nvgre: { flow_id: zero } }", ", vsid: 5100", &key);
}
