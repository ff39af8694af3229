//! A new encapsulation is one file and one line: the whole gateway speaks one that it has never heard of.
//!
//! `cargo test --features shim --test fifth_encapsulation`
#![cfg(feature = "shim")]

mod common;

use common::Lab;
use common::wire::{self, BROADCAST, mac};
use transload::compile::compile_with_origins;
use transload::config;
use transload::explain::{self, Explanation, dissect};
use transload::offline::{self, Offline, captured};
use transload_encaps::{Checksum, Kind};

const YAML: &str = r#"
version: 1
ports:
  up:     { device: up, mac: "02:aa:00:00:00:01", next_hops: { 192.0.2.5: "02:bb:00:00:00:01" } }
  access: { device: access }
endpoints:
  fabric: { address: 192.0.2.1, ports: [up] }
peers:
  fifth: { address: 192.0.2.5, encap: shim }
  other: { address: 192.0.2.6, encap: gre }
tenants:
  blue:
    attachments:
      fifth: { peer: fifth, tenant_tag: 0xcafe }
      other: { peer: other }
      ce:    { port: access, vid: 7 }
"#;

/// A packet of the new encapsulation from this address to the gateway.
fn shim(from: &str, tag: u32, frame: &[u8]) -> Vec<u8> {
    let ends = (from.parse().unwrap(), "192.0.2.1".parse().unwrap());
    let datagram = wire::udp(5, 6635, &[&tag.to_be_bytes()[..], frame].concat());
    wire::outer(([2, 0xaa, 0, 0, 0, 1], mac(9)), ends, 0, 17, &datagram)
}

fn explained(frame: Vec<u8>) -> Explanation {
    let config = config::parse("lab.yaml", YAML).unwrap();
    let (plan, origins) = compile_with_origins(&config).unwrap_or_else(|problems| panic!("{problems}"));
    let port = plan.names.port_id("up").unwrap();
    let mut arena = offline::arena();
    explain::explain(&mut Offline::new(plan, &mut arena), &origins, port, frame, 1)
}

#[test]
fn a_frame_crosses_between_a_new_encapsulation_and_an_old_one() {
    let mut lab = Lab::new(YAML);
    let frame = wire::tenant_frame(BROADCAST, mac(1), 0);
    let sent = lab.send("access", wire::tag(&frame, 0x8100, 7));
    let (port, packet) = &sent[0];
    assert_eq!((port.as_str(), sent.len()), ("up", 2), "and one to the old encapsulation beside it");
    assert_eq!(packet[36..38], 6635_u16.to_be_bytes());
    assert_eq!(packet[42..], [&[0, 0, 0xca, 0xfe][..], &frame].concat());

    let back = wire::tenant_frame(mac(1), mac(2), 0);
    let sent = lab.send("up", shim("192.0.2.5", 0xcafe, &back));
    assert_eq!(sent, [("access".to_owned(), wire::tag(&back, 0x8100, 7))]);
}

#[test]
fn its_own_way_to_die_has_a_name_and_a_counter() {
    let mut lab = Lab::new(YAML);
    assert_eq!(lab.dropped_for("up", shim("192.0.2.5", 0, &[0; 56])), "shim_zero");
}

#[test]
fn a_wrong_id_field_is_told_apart() {
    let wrong = YAML.replace("tenant_tag: 0xcafe", "vni: 5");
    let config = config::parse("lab.yaml", &wrong);
    let problems = match config {
        Err(problems) => problems,
        Ok(config) => transload::compile::compile(&config, &transload::compile::Numbers::default(), None)
            .expect_err("vni is VXLAN's"),
    };
    assert!(format!("{problems:?}").contains("tenant_tag"), "{problems:?}");
}

#[test]
fn its_header_is_taken_apart_and_the_frame_in_it() {
    let packet = shim("192.0.2.5", 0xcafe, &wire::tenant_frame(BROADCAST, mac(1), 0));
    let of_a_peer = explained(packet.clone()).frame.decoded;
    for decoded in [dissect(&packet, Some(Kind::Shim)), dissect(&packet, None), of_a_peer] {
        let names: Vec<_> = decoded.layers.iter().map(|layer| layer.name).collect();
        assert_eq!(names, ["Ethernet", "IPv4", "UDP", "Shim", "Ethernet", "IPv4", "UDP"]);
        let header = &decoded.layers[3];
        assert_eq!((header.at, header.len, &header.fields), (42, 4, &vec![("tenant_tag", "0xcafe".to_owned())]));
        assert_eq!(decoded.inner_at, Some(46));
    }
}

#[test]
fn its_own_drop_is_explained_with_the_line_of_the_peer() {
    let told = explained(shim("192.0.2.5", 0, &wire::tenant_frame(BROADCAST, mac(1), 0)));
    assert_eq!(
        told.headline,
        "dropped (shim_zero): the tenant tag from peer fifth is zero: give its tunnel a tag (lab.yaml:9)"
    );
}

#[test]
fn another_reading_of_its_id_is_found_and_so_is_an_id_that_nobody_has() {
    let told = explained(shim("192.0.2.5", 0xfeca_0000, &wire::tenant_frame(BROADCAST, mac(1), 0)));
    assert_eq!(
        told.headline,
        "dropped (unknown_segment): tenant tag 0xfeca0000 is not configured, but tenant tag 0xcafe would be tenant \
         blue (attachment fifth): the peer writes the tag in the wrong byte order (lab.yaml:14)"
    );
    let told = explained(shim("192.0.2.5", 5, &wire::tenant_frame(BROADCAST, mac(1), 0)));
    assert_eq!(
        told.headline,
        "dropped (unknown_segment): tenant_tag 5 from peer fifth is not configured; configured: tenant_tag 51966 \
         (tenant blue) (lab.yaml:14)"
    );
}

#[test]
fn a_peer_of_another_encapsulation_that_speaks_it_is_told_so() {
    let told = explained(shim("192.0.2.6", 0xcafe, &wire::tenant_frame(BROADCAST, mac(1), 0)));
    assert_eq!(
        told.headline,
        "dropped (unknown_peer): 192.0.2.6 is peer other: it speaks Shim (UDP port 6635), the configuration says GRE (IP \
         protocol 47) (lab.yaml:10)"
    );
}

#[test]
fn a_checksum_inside_it_that_a_device_was_to_fill_in_is_found_in_a_capture() {
    let lab = Lab::new(YAML);
    let mut inner = wire::tenant_frame(BROADCAST, mac(1), 0);
    let pseudo = !wire::sum(&[&inner[26..34], &[0, 17], &inner[38..40]]);
    inner[40..42].copy_from_slice(&pseudo.to_be_bytes());
    let at = 46 + 34;
    // From its peer, and from anybody else who sends to its port.
    for from in ["192.0.2.5", "192.0.2.99"] {
        let packet = captured::of_bytes(&lab.tables(), lab.port("up"), shim(from, 0xcafe, &inner)).0;
        assert_eq!(packet.checksum, Checksum::Partial { start: at, offset: 6 }, "from {from}");
    }
    let mut to_another_port = shim("192.0.2.5", 0xcafe, &inner);
    to_another_port[36..38].copy_from_slice(&9_u16.to_be_bytes());
    let packet = captured::of_bytes(&lab.tables(), lab.port("up"), to_another_port).0;
    assert_eq!(packet.checksum, Checksum::Unknown, "whatever is in a datagram is no tunnel");
}
