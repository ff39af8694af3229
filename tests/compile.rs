//! What a configuration comes to: the tables, their numbers, and what a reload keeps.

use std::net::IpAddr;

use transload::compile::{Numbers, Plan, compile};
use transload::config;
use transload::forwarding::{Exit, Members, PeerId, PortId, Sender, Target};
use transload::offline;
use transload::offline::placeholders::{placeholder_next_hop, placeholder_port};
use transload::rib::Rib;
use transload_encaps::{Carrier, Frame, InnerTags, Mac};

fn plan_after(text: &str, before: &Plan) -> Plan {
    let config = config::parse("test.yaml", text).unwrap_or_else(|problems| panic!("{problems}"));
    compile(&config, &before.numbers, Some(&before.tables)).unwrap_or_else(|problems| panic!("{problems}"))
}

fn plan(text: &str) -> Plan {
    plan_after(text, &Plan::default())
}

fn peer(plan: &Plan, name: &str) -> PeerId {
    plan.names.peers().find(|(_, known)| *known == name).unwrap_or_else(|| panic!("no peer {name}")).0
}

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

const BORDER: &str = include_str!("../configs/dc-border.yaml");
const HUB: &str = include_str!("../configs/gre-hub.yaml");

const SMALL: &str = r#"
version: 1
ports:
  up: { device: eth1, mac: "02:00:00:00:00:aa", mtu: 1600, next_hops: { 192.0.2.9: "02:00:00:00:00:09" } }
  up2: { device: eth2 }
  access: { device: eth3 }
endpoints:
  vtep: { address: 192.0.2.1, ports: [up, up2] }
peers:
  leaf: { address: 192.0.2.9, accept_from: [192.0.2.90], encap: vxlan }
  site: { address: 192.0.2.77, encap: { gre: { sequence: true } } }
groups:
  mesh: { encap: nvgre, members: [192.0.2.20-192.0.2.22] }
tenants:
  red:
    attachments:
      leaf: { peer: leaf, vni: 1 }
      mesh: { group: mesh, vsid: 4096 }
      ce: { port: access, vid: 7 }
  blue:
    attachments:
      leaf: { peer: leaf, vni: 2 }
      site: { peer: site, key: 0, split_horizon: far }
      ce: { port: access, s_vid: 8, c_vid: 9, split_horizon: far }
    static: [{ mac: "02:00:00:00:00:01", via: ce }]
"#;

#[test]
fn a_tunnel_packet_is_one_peers_by_endpoint_address_and_carrier() {
    let plan = plan(SMALL);
    let endpoint = plan.tables.ports.values().next().unwrap().endpoints[0];
    let find = |address_text: &str, carrier| {
        let sender = Sender { endpoint, address: address(address_text), carrier };
        plan.tables.senders.get(&sender).copied()
    };
    assert_eq!(find("192.0.2.9", Carrier::Udp(4789)), Some(peer(&plan, "leaf")));
    assert_eq!(find("192.0.2.90", Carrier::Udp(4789)), Some(peer(&plan, "leaf")), "accept_from");
    assert_eq!(find("192.0.2.9", Carrier::Udp(8472)), None);
    assert_eq!(find("192.0.2.21", Carrier::Ip(47)), Some(peer(&plan, "mesh/192.0.2.21")));
    assert_eq!(find("192.0.2.23", Carrier::Ip(47)), None);
    let carriers = &plan.tables.endpoints.get(endpoint).unwrap().carriers;
    assert_eq!(carriers.len(), 2, "UDP 4789 and GRE: {carriers:?}");
}

#[test]
fn the_members_of_a_group_share_one_number_space() {
    let plan = plan(SMALL);
    let scopes: Vec<_> = ["mesh/192.0.2.20", "mesh/192.0.2.22"]
        .map(|name| plan.tables.peer(peer(&plan, name)).expect("it is there").scope)
        .to_vec();
    assert_eq!(scopes[0], scopes[1]);
    let leaf = plan.tables.peer(peer(&plan, "leaf")).expect("it is there");
    assert_ne!(scopes[0], leaf.scope);
}

#[test]
fn attachments_of_one_split_horizon_share_its_number_and_no_other_does() {
    let plan = plan(SMALL);
    let blue = plan.names.domain_id("blue").expect("blue is there");
    let rows: Vec<_> = plan.tables.domain(blue).expect("it is there").attachments.values().collect();
    assert_eq!(rows.len(), 3);
    assert_eq!(rows[1].horizon, rows[2].horizon);
    assert_ne!(rows[0].horizon, rows[1].horizon);
}

#[test]
fn defaults_are_those_of_the_standards() {
    let plan = plan(SMALL);
    let red = plan.names.domain_id("red").expect("red is there");
    let domain = plan.tables.domain(red).expect("it is there");
    assert!(domain.learning && domain.flood_unknown);
    assert_eq!((domain.ageing, domain.bum.broadcast), (300, 10_000));
    let tags: Vec<_> = domain.attachments.values().map(|row| row.inner_tags).collect();
    assert_eq!(tags, [InnerTags::Keep, InnerTags::Drop, InnerTags::Keep], "RFC 7637 §3.2: no tag inside NVGRE");
    assert_eq!((plan.settings.workers, plan.settings.fdb_capacity), (1, 1 << 20));
}

#[test]
fn a_static_address_leads_to_the_attachment_and_its_peer() {
    let plan = plan(BORDER);
    let [ce, leafs] = plan.statics.as_slice() else { panic!("{:?}", plan.statics) };
    assert_eq!(plan.names.attachment(ce.domain, ce.target.attachment), "ce");
    assert_eq!(plan.names.peer(ce.target.peer), "access");
    assert_eq!(plan.names.attachment(leafs.domain, leafs.target.attachment), "leafs");
    assert_eq!(plan.names.peer(leafs.target.peer), "leafs/192.0.2.11");
    assert_eq!(Target::from_bits(leafs.target.to_bits()), leafs.target);
}

#[test]
fn a_port_without_tenants_has_no_tags() {
    let plan = plan(SMALL);
    let tags: Vec<_> = plan.tables.ports.values().map(|port| port.tags.is_some()).collect();
    assert_eq!(tags, [false, false, true]);
    assert_eq!(plan.tables.peers.values().filter(|peer| matches!(peer.exit, Exit::Port(_))).count(), 1);
}

#[test]
fn a_static_next_hop_is_used_where_the_ports_address_is_known() {
    let rib = Rib::new(plan(SMALL), Vec::new(), 1, None);
    let [hop] = rib.hops(peer(rib.plan(), "leaf")) else { panic!("one port has its address") };
    assert_eq!((hop.link.dst, hop.link.src), (Mac([2, 0, 0, 0, 0, 9]), Mac([2, 0, 0, 0, 0, 0xaa])));
    assert_eq!(hop.mtu, Some(1600));
    assert!(rib.hops(peer(rib.plan(), "site")).is_empty(), "a source finds it");
}

#[test]
fn placeholders_give_every_tunnel_a_way_out_and_are_all_different() {
    let (rib, _) = offline::rib(plan(SMALL), 1);
    let tables = rib.shared().forwarding.load();
    assert_eq!(rib.hops(peer(rib.plan(), "leaf")).len(), 1, "the stated next hop is on one port only");
    let site = peer(rib.plan(), "site");
    let hops = tables.hops(site).expect("there are some");
    assert_eq!(hops.len(), 2, "every port of the endpoint");
    assert!(hops.iter().all(|hop| hop.link.dst == placeholder_next_hop(site)));
    assert_eq!(hops[0].link.src, Mac([2, 0, 0, 0, 0, 0xaa]), "the port's own");
    assert_eq!(hops[1].link.src, placeholder_port(hops[1].port));
    assert_ne!(hops[1].link.src, hops[1].link.dst);
    assert_eq!(tables.ports.get(PortId::new(1)).unwrap().mac, None, "it goes on accepting any address");
}

#[test]
fn the_samples_can_be_replayed_without_a_device() {
    for text in [BORDER, HUB] {
        let (rib, _) = offline::rib(plan(text), 1);
        for tunnel in rib.tunnels() {
            assert!(!rib.hops(tunnel.peer).is_empty(), "{}", tunnel.remote);
        }
    }
}

/// The same gateway in another order, without `site`, and with a tenant in front.
const REORDERED: &str = r"
version: 1
ports:
  access: { device: eth3 }
  up2: { device: eth2 }
  up: { device: eth1 }
endpoints:
  vtep: { address: 192.0.2.1, ports: [up, up2] }
groups:
  mesh: { encap: nvgre, members: [192.0.2.22, 192.0.2.20] }
peers:
  early: { address: 192.0.2.8, encap: vxlan }
  leaf: { address: 192.0.2.9, encap: vxlan }
tenants:
  aardvark:
    attachments:
      early: { peer: early, vni: 1 }
      leaf: { peer: leaf, vni: 3 }
  blue:
    attachments:
      ce: { port: access, s_vid: 8, c_vid: 9 }
      leaf: { peer: leaf, vni: 2 }
  red:
    attachments:
      ce: { port: access, vid: 7 }
      mesh: { group: mesh, vsid: 4096 }
      leaf: { peer: early, vni: 9 }
";

#[test]
fn numbers_keep_their_meaning_when_the_file_is_reordered() {
    let before = plan(SMALL);
    let after = plan_after(REORDERED, &before);

    for (id, name) in after.names.ports() {
        assert_eq!(before.names.port_id(name), Some(id), "port {name}");
    }
    for name in ["leaf", "mesh/192.0.2.20", "mesh/192.0.2.22", "access"] {
        assert_eq!(peer(&before, name), peer(&after, name), "{name}");
    }
    for (id, name) in after.names.domains().filter(|(_, name)| *name != "aardvark") {
        assert_eq!(before.names.domain_id(name), Some(id), "tenant {name}");
    }
    let taken = ["site", "mesh/192.0.2.21"].map(|name| peer(&before, name));
    assert!(!taken.contains(&peer(&after, "early")), "an FDB entry of a peer that is gone would be its");
}

#[test]
fn an_attachment_that_leads_elsewhere_is_another_one() {
    let before = plan(SMALL);
    let after = plan_after(REORDERED, &before);
    let number = |plan: &Plan, name: &str| {
        let red = plan.names.domain_id("red").expect("red is there");
        let rows = &plan.tables.domain(red).expect("it is there").attachments;
        rows.iter().map(|(id, _)| id).find(|id| plan.names.attachment(red, *id) == name).expect("it is there")
    };
    assert_eq!(number(&before, "mesh"), number(&after, "mesh"));
    assert_ne!(number(&before, "leaf"), number(&after, "leaf"), "it was peer leaf's and is peer early's");
}

#[test]
fn what_a_domain_counts_goes_on_across_a_reload() {
    let before = plan(SMALL);
    let after = plan_after(REORDERED, &before);
    let state = |plan: &Plan| {
        let blue = plan.names.domain_id("blue").expect("blue is there");
        std::sync::Arc::as_ptr(&plan.tables.domain(blue).expect("it is there").state)
    };
    assert_eq!(state(&before), state(&after));
}

#[test]
fn gre_sequence_numbers_go_on_across_a_reload() {
    let before = plan(SMALL);
    let sequence = |plan: &Plan| {
        let site = plan.tables.peer(peer(plan, "site")).expect("it is there");
        let blue = plan.tables.domain(plan.names.domain_id("blue").expect("blue is there")).expect("it is there");
        let mut segments = blue.attachments.values().filter(|row| row.members == Members::One(peer(plan, "site")));
        let mut chunk = [0; 256];
        let mut frame = Frame::new(&mut chunk);
        assert!(frame.fill(64, &[0; 60]));
        site.compiled.encap(&mut frame, segments.next().expect("one attachment").segment, 0).expect("there is room");
        u32::from_be_bytes(frame.bytes()[8..12].try_into().expect("behind flags and key"))
    };
    assert_eq!((sequence(&before), sequence(&before)), (0, 1));
    let after = plan_after(&SMALL.replace("red:", "crimson:"), &before);
    assert_eq!(sequence(&after), 2);
}

#[test]
fn a_refused_file_leaves_the_numbers_as_they_were() {
    let before = plan(SMALL);
    let broken = SMALL.replace("red:", "green:").replace("vni: 2", "vni: 99999999");
    let config = config::parse("broken.yaml", &broken).expect("it is YAML");
    assert!(compile(&config, &before.numbers, Some(&before.tables)).is_err());
    let after = plan_after(&SMALL.replace("red:", "white:"), &before);
    let white = after.names.domain_id("white").expect("white is there").number();
    assert_eq!(white, 2, "red and blue are 0 and 1, and green never was");
}

#[test]
fn an_unquoted_mac_address_and_ipv6_address_are_what_they_look_like() {
    let plan = plan(
        "version: 1\nports:\n  up: { device: eth1, mac: 02:10:20:30:40:50 }\n  ce: { device: eth2 }\nendpoints:\n  v6: { address: \
         2001:db8::1, ports: [up] }\npeers:\n  a: { address: 2001:db8::10:20, encap: vxlan }\ntenants:\n  t:\n    attachments: { a: \
         { peer: a, vni: 0x10 }, ce: { port: ce, vid: 10 } }\n",
    );
    assert_eq!(plan.ports[0].mac, Some(Mac([0x02, 0x10, 0x20, 0x30, 0x40, 0x50])));
    assert_eq!(plan.tunnels[0].remote, address("2001:db8::10:20"));
    let segments: Vec<_> = plan.tables.segments.keys().map(|(_, segment)| segment.0 & 0xfff_ffff).collect();
    assert!(segments.contains(&0x10), "{segments:?}");
}

#[test]
fn anchors_and_merge_keys_save_typing() {
    let text = SMALL
        .replace("{ peer: leaf, vni: 1 }", "&leaf { peer: leaf, vni: 1 }")
        .replace("{ peer: leaf, vni: 2 }", "{ <<: *leaf, vni: 2 }");
    assert_eq!(plan(&text).tables.segments.len(), plan(SMALL).tables.segments.len());
}

#[cfg(feature = "shim")]
#[test]
fn an_encapsulation_that_only_the_registry_knows_needs_no_change_here() {
    let plan = plan(&SMALL.replace("encap: vxlan", "encap: shim").replace("vni:", "tenant_tag:"));
    let leaf = plan.tables.peer(peer(&plan, "leaf")).expect("it is there");
    assert_eq!(leaf.compiled.carrier(), Carrier::Udp(6635));
    let text = SMALL.replace("encap: vxlan", "encap: shim");
    let config = config::parse("shim.yaml", &text).expect("it is YAML");
    let problems = compile(&config, &Numbers::default(), None).expect_err("a VNI is no tenant tag").to_string();
    assert!(problems.contains("peer `leaf` speaks Shim, whose tenant ID is `tenant_tag`"), "{problems}");
}

#[test]
fn line_ends_and_marks_of_other_systems_change_nothing() {
    let windows = SMALL.replace('\n', "\r\n");
    assert_eq!(plan(&windows).tables.segments.len(), plan(SMALL).tables.segments.len());
    let marked = format!("\u{feff}{}", SMALL.trim_start());
    assert_eq!(plan(&marked).tables.segments.len(), plan(SMALL).tables.segments.len());
}

#[test]
fn a_place_is_right_behind_letters_of_more_than_one_byte() {
    let text = "\u{feff}version: 1\r\n# Grüße aus Köln ☃\r\nports: { über-1: { devise: eth1 } }\r\n";
    let config = config::parse("places.yaml", text).expect("it is YAML");
    let problems = compile(&config, &Numbers::default(), None).expect_err("devise is no field");
    let unknown = problems.0.iter().find(|problem| problem.message.contains("devise")).expect("it is told");
    assert_eq!((unknown.line, unknown.column, unknown.text.as_str()), (3, 20, "devise"));
}

#[test]
fn a_tenant_of_too_many_attachments_is_one_error() {
    use std::fmt::Write;
    let mut text = SMALL.to_owned() + "  wide:\n    attachments:\n";
    for n in 0..=4096 {
        let _ = writeln!(text, "      a{n}: {{ peer: leaf, vni: {} }}", 1000 + n);
    }
    let config = config::parse("wide.yaml", &text).expect("it is YAML");
    let problems = compile(&config, &Numbers::default(), None).expect_err("12 bits number them");
    assert_eq!(problems.to_string(), "wide.yaml:26:3: tenant `wide` has more than 4096 attachments");
}

/// One address of ours in two VLANs, and ports of every kind.
const TWO_VLANS: &str = r"
version: 1
ports:
  up: { device: eth1 }
  access: { device: eth2 }
  both: { device: eth3 }
  vm: { io: { unix: { local: /run/vm } } }
endpoints:
  blue: { address: 192.0.2.1, ports: [up], vlan: 10 }
  green: { address: 192.0.2.1, ports: [up, both], vlan: 20 }
peers:
  leaf: { address: 192.0.2.9, endpoint: green, encap: vxlan }
groups:
  mesh: { members: [192.0.2.20-192.0.2.21], learn_from: 198.51.100.0/24, endpoint: blue, encap: nvgre }
tenants:
  red:
    attachments:
      leaf: { peer: leaf, vni: 1 }
      mesh: { group: mesh, vsid: 4096 }
      access: { port: access, vid: 7 }
      both: { port: both, vid: 7 }
      vm: { port: vm, untagged: true }
";

#[test]
fn a_tunnel_knows_the_names_of_its_two_ends() {
    let plan = plan(TWO_VLANS);
    let ends: Vec<_> = plan.tunnels.iter().map(|tunnel| (tunnel.name.as_str(), tunnel.endpoint.as_str())).collect();
    assert_eq!(ends, [("leaf", "green"), ("mesh/192.0.2.20", "blue"), ("mesh/192.0.2.21", "blue")]);
    assert_eq!(plan.learning[0].tunnel.endpoint, "blue");
}

#[test]
fn a_plan_knows_the_ports_with_tags_and_the_devices_behind_which_are_only_tenants() {
    let plan = plan(TWO_VLANS);
    let answers = |name: &str| {
        let port = plan.ports.iter().find(|port| port.name == name).expect("a port of the file");
        (plan.has_tags(port.id), plan.tenant_device(port))
    };
    assert_eq!(answers("up"), (false, None));
    assert_eq!(answers("access"), (true, Some("eth2")));
    assert_eq!(answers("both"), (true, None), "tunnel packets come in by it too");
    assert_eq!(answers("vm"), (true, None), "a socket is not a device of the machine");
}
