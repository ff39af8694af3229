//! IDs that are one number in what is received and another in what is sent (RFC 8365 §5.1.2).

mod common;

use common::Lab;
use common::wire::{self, BROADCAST, mac};
use transload::compile::{Numbers, compile, compile_with_origins};
use transload::offline::{self, Offline};
use transload::{config, explain, isolation};

const YAML: &str = r#"
version: 1
ports:
  up: { device: up, mac: "02:aa:00:00:00:01", next_hops: { 192.0.2.9: "02:bb:00:00:00:01", 192.0.2.77: "02:bb:00:00:00:01",
        192.0.2.99: "02:bb:00:00:00:01", 192.0.2.11: "02:bb:00:00:00:01" } }
  access: { device: access }
endpoints:
  e: { address: 192.0.2.1, ports: [up] }
peers:
  vxlan: { address: 192.0.2.9, encap: vxlan }
  nvgre: { address: 192.0.2.77, encap: { nvgre: { flow_id: zero } } }
  gre: { address: 192.0.2.99, encap: gre }
groups:
  leafs: { members: [192.0.2.11], encap: vxlan }
tenants:
  blue:
    attachments:
      vxlan: { peer: vxlan, vni: { receive: 10, send: 20 } }
      nvgre: { peer: nvgre, vsid: { receive: 5000, send: 6000 } }
      gre: { peer: gre, key: { receive: 7, send: 0xbeef } }
      leafs: { group: leafs, vni: { receive: 30, send: 31 } }
      ce: { port: access, vid: 100 }
  red:
    attachments:
      vxlan: { peer: vxlan, vni: { receive: 20, send: 10 } }
      ce: { port: access, vid: 200 }
patterns:
  "cust-{n}":
    for: { n: 1-9 }
    attachments:
      leafs: { group: leafs, vni: { receive: "1000+n", send: "2000+n" } }
      ce: { port: access, vid: "1000+n" }
"#;

/// A packet from a peer to our endpoint.
fn packet(from: u8, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let ends = ([192, 0, 2, from].into(), [192, 0, 2, 1].into());
    wire::outer(([2, 0xaa, 0, 0, 0, 1], mac(0xbb)), ends, 0, protocol, payload)
}

fn vxlan(from: u8, vni: u32, frame: &[u8]) -> Vec<u8> {
    packet(from, 17, &wire::udp(50_000, 4789, &wire::vxlan(vni, frame)))
}

/// The 24 or 32 bits of the ID in what has been sent to each peer, by the last byte of its address.
fn ids(sent: &[(String, Vec<u8>)]) -> Vec<(u8, u32)> {
    let id = |bytes: &[u8]| {
        let at = if bytes[23] == 17 { 46 } else { 38 };
        u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap())
    };
    let mut ids: Vec<_> = sent.iter().filter(|(port, _)| port == "up").map(|(_, b)| (b[33], id(b))).collect();
    ids.sort_unstable();
    ids
}

#[test]
fn every_encapsulation_sends_with_one_id_and_receives_with_the_other() {
    let mut lab = Lab::new(YAML);
    let frame = wire::tenant_frame(BROADCAST, mac(1), 0);
    let sent = lab.send("access", wire::tag(&frame, 0x8100, 100));
    assert_eq!(ids(&sent), [(9, 20 << 8), (11, 31 << 8), (77, 6000 << 8), (99, 0xbeef)]);
    for packet in [
        vxlan(9, 10, &frame),
        vxlan(11, 30, &frame),
        packet(77, 47, &wire::nvgre(5000, 0, &frame)),
        packet(99, 47, &wire::gre(Some(7), &frame)),
    ] {
        let sent = lab.send("up", packet);
        assert!(sent.contains(&("access".to_owned(), wire::tag(&frame, 0x8100, 100))), "{sent:02x?}");
    }
    for packet in [
        vxlan(11, 31, &frame),
        packet(77, 47, &wire::nvgre(6000, 0, &frame)),
        packet(99, 47, &wire::gre(Some(0xbeef), &frame)),
    ] {
        assert_eq!(lab.dropped_for("up", packet), "unknown_segment");
    }
}

#[test]
fn two_tenants_may_have_each_others_ids() {
    let mut lab = Lab::new(YAML);
    let frame = wire::tenant_frame(BROADCAST, mac(1), 0);
    let sent = lab.send("up", vxlan(9, 20, &frame));
    assert_eq!(sent, [("access".to_owned(), wire::tag(&frame, 0x8100, 200))]);
    assert_eq!(ids(&lab.send("access", wire::tag(&frame, 0x8100, 200))), [(9, 10 << 8)]);
}

#[test]
fn tenants_with_each_others_ids_do_not_meet_if_the_far_end_does_as_the_file_says() {
    let examined = |text: &str| {
        let plan = compile(&config::parse("gw.yaml", text).unwrap(), &Numbers::default(), None).unwrap();
        let found = isolation::examine(&plan);
        let here: Vec<_> = found.assumptions().into_iter().filter(|it| it.name == "ids_apart").collect();
        (found.meetings.len(), here.into_iter().flat_map(|it| it.here).collect::<Vec<_>>())
    };
    let (meetings, here) = examined(YAML);
    assert_eq!(meetings, 0);
    assert_eq!(
        here,
        [
            "peer vxlan: vni 10 is sent by tenant `red` (attachment `vxlan`) and received by tenant `blue` (attachment \
             `vxlan`)",
            "peer vxlan: vni 20 is sent by tenant `blue` (attachment `vxlan`) and received by tenant `red` (attachment \
             `vxlan`)",
        ]
    );
    let alike = YAML.replace("vni: { receive: 20, send: 10 }", "vni: 21");
    assert_eq!(examined(&alike), (0, Vec::new()), "nobody has another one's");
}

#[test]
fn a_patterns_ids_count_up_in_both_directions() {
    let mut lab = Lab::new(YAML);
    let frame = wire::tenant_frame(BROADCAST, mac(1), 0);
    assert_eq!(ids(&lab.send("access", wire::tag(&frame, 0x8100, 1003))), [(11, 2003 << 8)]);
    let sent = lab.send("up", vxlan(11, 1003, &frame));
    assert_eq!(sent, [("access".to_owned(), wire::tag(&frame, 0x8100, 1003))]);
}

#[test]
fn explain_names_both_and_a_packet_with_the_other_directions_id() {
    let config = config::parse("gw.yaml", YAML).unwrap();
    let (plan, origins) = compile_with_origins(&config).unwrap_or_else(|problems| panic!("{problems}"));
    let mut arena = offline::arena();
    let mut gateway = Offline::new(plan, &mut arena);
    let up = gateway.names().port_id("up").unwrap();
    let frame = wire::tenant_frame(BROADCAST, mac(1), 0);
    let told = explain::explain(&mut gateway, &origins, up, vxlan(11, 31, &frame), 1);
    assert_eq!(
        told.headline,
        "dropped (unknown_segment): vni 31 is what tenant blue (attachment leafs) sends to group leafs, and it receives \
         vni 30: let the far end send that, or change `receive` (gw.yaml:21)"
    );
    let told = explain::explain(&mut gateway, &origins, up, vxlan(11, 30, &frame), 2);
    let text = explain::text(&told);
    assert!(text.contains("to vxlan (peer vxlan, vni 10, sent: vni 20)"), "{text}");
}

#[test]
fn rows_name_both() {
    let lab = Lab::new(YAML);
    let summary = serde_json::to_value(lab.gateway.state(0).tenants(None).ok()).unwrap();
    let text = summary.to_string();
    assert!(text.contains(r#""vni 10, sent: vni 20""#) && text.contains(r#""key 0x7, sent: key 0xbeef""#), "{text}");
}
