//! A new encapsulation is one file and one line: the whole gateway speaks one that it has never heard of.
//!
//! `cargo test --features shim --test fifth_encapsulation`
#![cfg(feature = "shim")]

mod common;

use common::Lab;
use common::wire::{self, BROADCAST, mac};

const YAML: &str = r#"
version: 1
ports:
  up:     { device: up, mac: "02:aa:00:00:00:01", next_hops: { 192.0.2.5: "02:bb:00:00:00:01" } }
  access: { device: access }
endpoints:
  fabric: { address: 192.0.2.1, ports: [up] }
peers:
  fifth: { address: 192.0.2.5, encap: shim }
tenants:
  blue:
    attachments:
      fifth: { peer: fifth, tenant_tag: 0xcafe }
      ce:    { port: access, vid: 7 }
"#;

#[test]
fn a_frame_crosses_between_a_new_encapsulation_and_an_old_one() {
    let mut lab = Lab::new(YAML);
    let frame = wire::tenant_frame(BROADCAST, mac(1), 0);
    let sent = lab.send("access", wire::tag(&frame, 0x8100, 7));
    let (port, packet) = &sent[0];
    assert_eq!((port.as_str(), sent.len()), ("up", 1));
    assert_eq!(packet[36..38], 6635_u16.to_be_bytes());
    assert_eq!(packet[42..], [&[0, 0, 0xca, 0xfe][..], &frame].concat());

    let back = wire::tenant_frame(mac(1), mac(2), 0);
    let ends = ("192.0.2.5".parse().unwrap(), "192.0.2.1".parse().unwrap());
    let datagram = wire::udp(5, 6635, &[&[0, 0, 0xca, 0xfe][..], &back].concat());
    let sent = lab.send("up", wire::outer(([2, 0xaa, 0, 0, 0, 1], mac(9)), ends, 0, 17, &datagram));
    assert_eq!(sent, [("access".to_owned(), wire::tag(&back, 0x8100, 7))]);
}

#[test]
fn its_own_way_to_die_has_a_name_and_a_counter() {
    let mut lab = Lab::new(YAML);
    let ends = ("192.0.2.5".parse().unwrap(), "192.0.2.1".parse().unwrap());
    let datagram = wire::udp(5, 6635, &[0; 60]);
    let packet = wire::outer(([2, 0xaa, 0, 0, 0, 1], mac(9)), ends, 0, 17, &datagram);
    assert_eq!(lab.dropped_for("up", packet), "shim_zero");
}

#[test]
fn a_wrong_id_field_is_told_apart() {
    let wrong = YAML.replace("tenant_tag: 0xcafe", "vni: 5");
    let config = transload::config::parse("lab.yaml", &wrong);
    let problems = match config {
        Err(problems) => problems,
        Ok(config) => transload::compile::compile(&config, &mut transload::compile::Numbers::default(), None)
            .expect_err("vni is VXLAN's"),
    };
    assert!(format!("{problems:?}").contains("tenant_tag"), "{problems:?}");
}
