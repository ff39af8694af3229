//! What would have let an unclaimed frame pass, from the tables alone.

use transload::config;
use transload::control::claims::Claims;
use transload::control::claims::near::{Miss, Reading, Stray, candidates};
use transload::control::compile::{Numbers, Plan, compile};
use transload_encaps::Carrier;

const FILE: &str = r"
version: 1
ports:
  up:     { device: up }
  up2:    { device: up2 }
  access: { device: access, tpids: [0x88a8] }
endpoints:
  one: { address: 192.0.2.1, ports: [up] }
  two: { address: 192.0.2.2, ports: [up2], vlan: 5 }
peers:
  leaf:  { address: 192.0.2.9,  endpoint: one, encap: { vxlan: { udp_port: 8472 } } }
  other: { address: 192.0.2.8,  endpoint: one, encap: { vxlan: { udp_port: 8472 } } }
  site:  { address: 192.0.2.77, endpoint: one, encap: gre }
  hyper: { address: 192.0.2.78, endpoint: one, encap: nvgre }
  far:   { address: 192.0.2.99, endpoint: two, encap: vxlan }
tenants:
  blue:
    attachments:
      leaf:  { peer: leaf, vni: 0x1389 }
      site:  { peer: site, key: 0x1389 }
      whole: { peer: site, key: 0x200000 }
      none:  { peer: site }
      hyper: { peer: hyper, vsid: 0x1389 }
      far:   { peer: far, vni: 1 }
      ce:    { port: access, s_vid: 100, c_vid: 7 }
      one:   { port: access, vid: 30 }
      outer: { port: access, s_vid: 200 }
  red:
    attachments: { other: { peer: other, vni: 77 } }
";

fn plan() -> Plan {
    let config = config::parse("near.yaml", FILE).unwrap_or_else(|problems| panic!("{problems:?}"));
    compile(&config, &mut Numbers::default(), None).unwrap_or_else(|problems| panic!("{problems:?}"))
}

/// Each as what misses, the peer and the tenant it would be.
fn near(port: &str, tags: &[(u16, u16)], outer: Option<(&str, &str, Carrier)>, id: Option<u64>) -> Vec<String> {
    let plan = plan();
    let claims = Claims::of(&plan);
    let outer = outer.map(|(from, to, carrier)| (from.parse().unwrap(), to.parse().unwrap(), carrier));
    let stray = Stray { port: plan.names.port_id(port).unwrap(), tags, outer, id };
    let found = candidates(&claims, &stray).into_iter().map(|near| {
        let peer = near.peer.map_or("nobody".into(), |peer| plan.names.peer(peer));
        let claim = near.claim.map_or_else(String::new, |claim| {
            format!(": {}/{}", plan.names.domain(claim.domain), plan.names.attachment(claim.domain, claim.attachment))
        });
        let miss = match near.miss {
            Miss::Reading { how, id } => format!("{how:?} {id}"),
            Miss::Tags(ids) => format!("Tags {ids}"),
            Miss::SwappedTags(ids) => format!("SwappedTags {ids}"),
            other => format!("{other:x?}"),
        };
        format!("{miss} of {peer}{claim}")
    });
    found.collect()
}

const VXLAN: Carrier = Carrier::Udp(4789);
const LINUX: Carrier = Carrier::Udp(8472);
const GRE: Carrier = Carrier::Ip(47);

#[test]
fn another_udp_port_of_a_known_sender_is_named_with_the_tenant() {
    let found = near("up", &[], Some(("192.0.2.9", "192.0.2.1", VXLAN)), Some(0x1389));
    assert_eq!(found[0], "Carrier(Udp(2118)) of leaf: blue/leaf");
}

#[test]
fn a_vni_in_the_other_byte_order_or_shifted_is_recognised() {
    let from_leaf = |vni| near("up", &[], Some(("192.0.2.9", "192.0.2.1", LINUX)), Some(vni));
    assert_eq!(from_leaf(0x89_1300), ["Swapped vni 5001 of leaf: blue/leaf"]);
    assert_eq!(from_leaf(0x13_8900), ["Shifted vni 5001 of leaf: blue/leaf"]);
    assert_eq!(from_leaf(77), ["Peer of other: red/other"]);
    assert_eq!(from_leaf(78), [""; 0]);
}

#[test]
fn a_key_that_is_a_vsid_with_a_flow_id_is_recognised() {
    let from_site = |key| near("up", &[], Some(("192.0.2.77", "192.0.2.1", GRE)), Some(key));
    assert_eq!(from_site(0x0013_8907)[0], "Vsid key 0x1389 of site: blue/site");
    assert_eq!(from_site(0x0020_0005), ["FlowId key 0x200000 of site: blue/whole"]);
    assert_eq!(from_site(0), ["KeylessOrZero no key of site: blue/none"]);
}

#[test]
fn a_vsid_that_is_a_whole_key_is_recognised() {
    let found = near("up", &[], Some(("192.0.2.78", "192.0.2.1", GRE)), Some(0x1389));
    assert!(found.contains(&"WholeKey vsid 5001 of hyper: blue/hyper".to_owned()), "{found:?}");
}

#[test]
fn an_unknown_sender_beside_a_known_one_is_told_of_it() {
    let found = near("up", &[], Some(("192.0.2.11", "192.0.2.1", LINUX)), Some(0x1389));
    assert!(
        found[0].starts_with("Sender(192.0.2.9) of leaf") || found[0].starts_with("Sender(192.0.2.8)"),
        "{found:?}"
    );
    assert_eq!(near("up", &[], Some(("198.51.100.1", "192.0.2.1", LINUX)), Some(0x1389)), [""; 0]);
}

#[test]
fn the_wrong_outer_tag_port_or_endpoint_is_named() {
    let far = |port, tags: &[(u16, u16)], to| near(port, tags, Some(("192.0.2.99", to, VXLAN)), Some(1));
    assert_eq!(far("up2", &[], "192.0.2.2"), ["EndpointTag(Some(5)) of far: blue/far"]);
    assert_eq!(far("up", &[(0x8100, 5)], "192.0.2.2"), ["Port(PortId(1)) of far: blue/far"]);
    assert_eq!(far("up", &[], "192.0.2.1")[0], "Endpoint(192.0.2.2) of far: blue/far");
}

#[test]
fn tags_that_are_nearly_claimed_are_named() {
    let on_access = |tags: &[(u16, u16)]| near("access", tags, None, None);
    assert_eq!(on_access(&[(0x9100, 100), (0x8100, 7)]), ["Tpid(9100) of access: blue/ce"]);
    assert_eq!(on_access(&[(0x88a8, 7), (0x8100, 100)]), ["SwappedTags s_vid 100, c_vid 7 of access: blue/ce"]);
    assert_eq!(on_access(&[(0x88a8, 30)]), ["Tpid(8100) of access: blue/one"]);
    assert_eq!(on_access(&[(0x8100, 200)]), ["Tpid(8100) of access: blue/outer"]);
    assert_eq!(on_access(&[(0x88a8, 9), (0x8100, 30)]), ["Tags vid 30 of access: blue/one"]);
    assert_eq!(Reading::Shifted.to_string(), "the ID shifted by eight bits");
}
